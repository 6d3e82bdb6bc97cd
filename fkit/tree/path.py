"""Dotted paths: ``model.backbone.depth``, ``pipeline.0.type``, ``a['key.with.dots'].b``."""

import re
from typing import Any

from fkit.tree.error import FkitAttributeError, FkitIndexError, FkitValueError

__all__ = ["Path", "follow", "parse", "show", "step"]

Path = tuple[Any, ...]  # a string names a key (or, as digits, a list's item); another value is a key as it is

_PART = re.compile(
    r"\.?(?P<bare>[^.\[\]]+)|\[(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\]|\[(?P<number>-?\d+)\]"
)
_BARE = re.compile(r"[^.\[\]'\"\s\\=]+")
_MISSING = object()


def parse(text: str) -> Path:
    """The keys of a path string.

    Raises:
        FkitValueError: a bracket or a dot too many.

    Example:
        >>> parse("a.b.0.c"), parse("a['b.c'].d"), parse("a[3]"), parse("")
        (('a', 'b', '0', 'c'), ('a', 'b.c', 'd'), ('a', 3), ())
    """
    if "[" not in text and "]" not in text:
        parts = text.split(".") if text else []
        if text and "" in parts:
            raise FkitValueError(f"The path {text!r} has an empty part.", repair="Write a key with dots as a['b.c'].")
        return tuple(parts)
    found: list[Any] = []
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or (at == 0 and text[0] == "."):
            raise FkitValueError(
                f"The path {text!r} cannot be read from {text[at:]!r} on.", repair="Write a key with dots as a['b.c']."
            )
        if part["bare"] is not None:
            if at and text[at] != ".":
                raise FkitValueError(f"The path {text!r} misses a dot before {text[at:]!r}.")
            found.append(part["bare"])
        elif part["quoted"] is not None:
            found.append(re.sub(r"\\(.)", r"\1", part["quoted"][1:-1]))
        else:
            found.append(int(part["number"]))
        at = part.end()
    return tuple(found)


def show(path: Path) -> str:
    """The string that ``parse`` reads back to the path.

    Example:
        >>> show(("a", "b.c", "0", "d")), show(("a", 3))
        ("a['b.c'].0.d", 'a[3]')
    """
    text = ""
    for key in path:
        if isinstance(key, str) and _BARE.fullmatch(key):
            text += f".{key}" if text else key
        elif isinstance(key, str):
            escaped = key.replace("\\", "\\\\").replace("'", "\\'")
            text += f"['{escaped}']"
        else:
            text += f"[{key!r}]"
    return text


def step(node: Any, key: Any) -> Any:
    """One key down: an item of a mapping, or by index of a list or tuple.

    Raises:
        KeyError, IndexError: nothing is there (plain ones: ``follow`` says where).
    """
    if isinstance(node, dict):
        found: Any = dict.get(node, key, _MISSING)
        if found is _MISSING:
            raise KeyError(key)
        return found
    if isinstance(node, (list, tuple)):
        if isinstance(key, str) and key.isdecimal() and key.isascii() and len(key) < 10:
            return node[int(key)]
        if type(key) is int:
            return node[key]
    raise KeyError(key)


def follow(tree: Any, path: str | Path) -> Any:
    """The value at a path.

    Raises:
        FkitAttributeError: a key is not there; FkitIndexError: a list is shorter.

    Example:
        >>> follow({"a": [{"b": 1}]}, "a.0.b")
        1
    """
    keys = parse(path) if isinstance(path, str) else path
    node = tree
    for depth, key in enumerate(keys):
        try:
            node = step(node, key)
        except IndexError:
            where = show(keys[:depth])
            raise FkitIndexError(f"{where} has {len(node)} items, none at {key}.", path=where) from None
        except KeyError:
            where = show(keys[:depth])
            choices = [str(k) for k in node] if isinstance(node, dict) else []
            inside = f"{where or 'the top level'} (a {_kind(node)})"
            message = f"There is no key {key!r} in {inside}."
            raise FkitAttributeError(message, path=show(keys), value=str(key), choices=choices, label="Keys") from None
    return node


def _kind(node: Any) -> str:
    if isinstance(node, dict):
        return "mapping"
    return type(node).__name__ if isinstance(node, tuple) or not isinstance(node, list) else "list"
