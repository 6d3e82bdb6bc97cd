"""A config as text: Python, YAML, JSON and canonical; and written to a file."""

import json
import os
from typing import Any

from fkit.config.show.python import python_text
from fkit.format.json import pretty_json
from fkit.format.yaml import write_yaml
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
        return pretty_json(encode(cfg)) + "\n"
    if form == "yaml":
        return write_yaml(_for_yaml(cfg), width=88, default_flow_style=None)
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
        return tuple(_for_yaml(v) for v in value)
    if isinstance(value, (set, frozenset)):
        return {"__set__": [_for_yaml(v) for v in sorted(value, key=_order)]}
    if isinstance(value, (float, int, str, type(None))):
        return value
    return encode(value)
