"""A config as text: Python, YAML, JSON, canonical, command-line words; and written to a file."""

import os
import re
from typing import Any, cast

from fkit.config.change.literal import dotted
from fkit.config.change.word import shell, write_words
from fkit.config.show.python import check_key, python_text
from fkit.format.json import pretty_json
from fkit.format.yaml import write_yaml
from fkit.tree.canonical import TAGS, canonical, encode
from fkit.tree.check import expect
from fkit.tree.error import FkitOSError, FkitValueError
from fkit.tree.node import Node
from fkit.tree.tree import map as map_leaves
from fkit.tree.write import atomic_write

__all__ = ["FORMS", "form_of", "text", "write"]

FORMS = ("python", "yaml", "json", "canonical", "words")
_BY_SUFFIX = ((".py", "python"), (".yaml", "yaml"), (".yml", "yaml"), (".json", "json"))
_SURROGATE = re.compile("[\ud800-\udfff]")
# braces that a reader would take for `{{ fileBasename }}` and its like, as they pass through libyaml: it writes these
# two characters as escapes, and the text between quotes
_BRACES, _ESCAPED = "{\x1a\x16", "{\\x1A\\x16"


def text(cfg: Node, form: str) -> str:
    """The config as text.

    Args:
        cfg: the config.
        form: "python", "yaml", "json", "canonical", or "words": what to write after ``--cfg-options``, a line each,
            quoted for a shell.

    Raises:
        FkitTypeError: a value that has no text.
        FkitValueError: another form, or a value that the form cannot hold.

    Example:
        >>> text(Node({"a": (1, 2)}), "json")
        '{\\n  "a": {"__tuple__": [1, 2]}\\n}\\n'
        >>> text(Node({"a": {"b": "x y", "c": [1.5, True]}}), "words")
        "'a.b=x y'\\n'a.c=[1.5,True]'\\n"
    """
    expect(cfg, Node, "`cfg` is a config")
    if form == "canonical":
        return canonical(cfg)
    if form == "python":
        return python_text(cfg)
    if form in ("json", "yaml"):
        for key in cfg:
            check_key(cfg, key)
        return _json(cfg) if form == "json" else _yaml(cfg)
    if form == "words":
        return "".join(f"{shell(word)}\n" for word in write_words(cfg))
    raise FkitValueError(f"A config has no text of the form {form!r}.", value=str(form), choices=FORMS, label="Forms")


def form_of(path: str) -> str | None:
    """The form of the text that a file holds, by its suffix.

    Example:
        >>> form_of("a/b.yml"), form_of("a.toml")
        ('yaml', None)
    """
    suffix = os.path.splitext(path)[1]
    return next((form for ending, form in _BY_SUFFIX if ending == suffix), None)


def write(cfg: Node, path: str) -> None:
    """Write the config to a file, whole or not at all; the suffix says how.

    Raises:
        FkitOSError: another suffix, or a file that cannot be written; FkitFileNotFoundError: its folder is missing.
    """
    expect(path, str, "`path` is a path")
    form = form_of(path)
    if form is None:
        raise FkitOSError(
            f"A config cannot be written to {path}.", choices=[s for s, _ in _BY_SUFFIX], label="Suffixes"
        )
    atomic_write(path, text(cfg, form).encode())


def _named(leaf: Any) -> Any:
    """Classes, functions and imported names as ``module.Name``, which a registry takes too; others as they are."""
    name = dotted(leaf)
    return leaf if name is None else name


def _json(cfg: Node) -> str:
    written = pretty_json(encode(map_leaves(_named, cfg)))
    # braces that a reader would take for `{{ fileBasename }}` stand in strings only
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", written).replace("{{", "{\\u007b") + "\n"


def _yaml(cfg: Node) -> str:
    plain = _for_yaml(map_leaves(_named, cfg))
    return write_yaml(plain, width=88, default_flow_style=None).replace(_ESCAPED, "{\\x7B")


def _for_yaml(value: Any) -> Any:
    """Plain values; tuples by the one tag of Python's that is read, the rest tagged as in canonical text."""
    if isinstance(value, str):
        if _is_escaped(value):
            return {"__str__": [ord(char) for char in value]}
        return value.replace("{{", _BRACES) if "{{" in value else value
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        if not all(map(_is_key, items)) or (len(items) == 1 and not TAGS.isdisjoint(items)):
            return {"__dict__": [[_for_yaml(key), _for_yaml(item)] for key, item in items.items()]}
        return {_for_yaml(key): _for_yaml(item) for key, item in items.items()}
    if isinstance(value, list):
        return [_for_yaml(item) for item in cast("list[Any]", value)]
    if isinstance(value, tuple):
        return tuple(_for_yaml(item) for item in cast("tuple[Any, ...]", value))
    if isinstance(value, (set, frozenset)):
        return {"__set__": [_for_yaml(item) for item in sorted(cast("set[Any]", value), key=canonical)]}
    return value if value is None or isinstance(value, (int, float)) else encode(value)


def _is_key(key: Any) -> bool:
    return key is None or isinstance(key, (int, float)) or (isinstance(key, str) and not _is_escaped(key))


def _is_escaped(text: str) -> bool:
    """Whether a text has what YAML has no escape for: half of a surrogate pair; or what stands for braces here."""
    return (not text.isascii() and _SURROGATE.search(text) is not None) or _BRACES in text
