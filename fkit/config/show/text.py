"""A config as text: Python, YAML, JSON and canonical; and written to a file."""

import json
import os
from typing import Any

from fkit.config.show.python import python_text
from fkit.tree.canonical import canonical, encode
from fkit.tree.error import FkitOSError, FkitValueError
from fkit.tree.node import Node
from fkit.tree.write import atomic_write

__all__ = ["text", "write"]

FORMS = ("python", "yaml", "json", "canonical")
_BY_SUFFIX = ((".py", "python"), (".yaml", "yaml"), (".yml", "yaml"), (".json", "json"))


def text(cfg: Node, form: str) -> str:
    """The config as text.

    Args:
        cfg: the config.
        form: "python", "yaml", "json" or "canonical".

    Raises:
        FkitValueError: another form.

    Example:
        >>> text(Node({"a": (1, 2)}), "json")
        '{\\n  "a": {"__tuple__": [1, 2]}\\n}\\n'
    """
    if form == "canonical":
        return canonical(cfg)
    if form == "python":
        return python_text(cfg)
    if form == "json":
        return _json(encode(cfg), "") + "\n"
    if form == "yaml":
        return _yaml(cfg)
    raise FkitValueError(f"A config has no text of the form {form!r}.", value=form, choices=FORMS, label="Forms")


def write(cfg: Node, path: str) -> None:
    """Write the config to a file, whole or not at all; the suffix says how.

    Raises:
        FkitOSError: another suffix, or a folder that cannot be written to.
    """
    suffix = os.path.splitext(path)[1]
    form = next((form for known, form in _BY_SUFFIX if known == suffix), None)
    if form is None:
        raise FkitOSError(
            f"A config cannot be written to {path}.", choices=[s for s, _ in _BY_SUFFIX], label="Suffixes"
        )
    try:
        atomic_write(path, text(cfg, form).encode())
    except OSError as error:
        raise FkitOSError(f"The config cannot be written to {path}: {error.strerror}.") from error


def _json(value: Any, indent: str) -> str:
    """JSON with two blanks a level; what fits stands in one line of 88."""
    short = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, (dict, list)) or not value or (indent and len(short) + len(indent) <= 80):
        return short
    deeper = indent + "  "
    if isinstance(value, list):
        parts = [f"{deeper}{_json(item, deeper)}" for item in value]
        return "[\n" + ",\n".join(parts) + f"\n{indent}]"
    parts = [f"{deeper}{json.dumps(k, ensure_ascii=False)}: {_json(v, deeper)}" for k, v in value.items()]
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def _yaml(cfg: Node) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def mapping(dumper: Any, value: Any) -> Any:
        return dumper.represent_mapping("tag:yaml.org,2002:map", value.items())

    def number(dumper: Any, value: float) -> Any:
        # PyYAML writes 1e-05 as a string's text; with a dot all readers see a number
        written = repr(value)
        if value != value or value in (float("inf"), float("-inf")):
            return dumper.represent_float(value)
        if "." not in written and "e" in written:
            written = written.replace("e", ".0e", 1)
        return dumper.represent_scalar("tag:yaml.org,2002:float", written)

    def sequence(dumper: Any, value: _Tuple) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:python/tuple", value.items, flow_style=True)

    def string(dumper: Any, value: str) -> Any:
        # PyYAML writes these line ends raw, and reads them as blanks
        style = '"' if any(end in value for end in "\x85\u2028\u2029\ufeff") else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(dict, mapping)
    Dumper.add_representer(str, string)
    Dumper.add_representer(float, number)
    Dumper.add_representer(_Tuple, sequence)
    return yaml.dump(
        _for_yaml(cfg), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=88, default_flow_style=None
    )


class _Tuple:
    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items


def _order(value: Any) -> str:
    return json.dumps(encode(value))


def _for_yaml(value: Any) -> Any:
    """Plain values; tuples by the one tag of Python's that is read, the rest tagged as in canonical text."""
    if isinstance(value, dict):
        if any(not isinstance(k, (str, int, float, type(None))) for k in value):
            return {"__dict__": [[_for_yaml(k), _for_yaml(v)] for k, v in value.items()]}
        return {k: _for_yaml(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_for_yaml(v) for v in value]
    if isinstance(value, tuple):
        return _Tuple([_for_yaml(v) for v in value])
    if isinstance(value, (set, frozenset)):
        return {"__set__": [_for_yaml(v) for v in sorted(value, key=_order)]}
    if isinstance(value, (float, int, str, type(None))):
        return value
    return encode(value)
