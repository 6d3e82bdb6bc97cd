"""Config files -> a frozen Config."""

import os
from typing import Any

from fkit.config.config import Config, Meta
from fkit.config.delta import inheritance, merge, overrides
from fkit.tree.error import FkitFileNotFoundError, FkitKeyError


def load_config(path: str | os.PathLike[str], *words: str, trust: bool = False) -> Config:
    """Interim loader (literal files), replaced by the evaluator."""
    file = os.path.abspath(os.fspath(path))
    if not os.path.exists(file):
        raise FkitFileNotFoundError(f"There is no config file {file}.")
    cfg = _load(file)
    changes: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        try:
            import ast

            changes[key.rstrip(":")] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            changes[key.rstrip(":")] = value
    cfg = cfg.merge(changes)
    return Config.of(dict(cfg), cfg._marks, Meta(file))


def _load(file: str) -> Config:
    import ast
    import json

    with open(file, encoding="utf-8") as handle:
        text = handle.read()
    if file.endswith(".json"):
        raw = json.loads(text)
    elif file.endswith((".yaml", ".yml")):
        import yaml

        raw = yaml.safe_load(text)
    else:
        tree = ast.parse(text, file)
        space: dict[str, Any] = {"__builtins__": {"dict": dict, "list": list, "tuple": tuple, "range": range, "len": len, "set": set}}
        eval(compile(tree, file, "exec"), space)
        raw = {k: v for k, v in space.items() if not k.startswith("__")}
    raw = dict(raw)
    bases = raw.pop("_base_", [])
    union: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        got = _load(os.path.join(os.path.dirname(file), base))
        if union.keys() & got.keys():
            raise FkitKeyError(f"{file}: duplicate keys among bases: {sorted(union.keys() & got.keys())}")
        union |= got
    return merge(Config(union), inheritance(raw))


def load_string(text: str, file_format: str = ".py") -> Config:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=file_format) as f:
        f.write(text)
        f.flush()
        return _load(f.name)
