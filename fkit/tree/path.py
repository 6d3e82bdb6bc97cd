"""Dotted paths: ``model.backbone.depth``, ``pipeline[0].type``, ``a['key.with.dots'].b``.

One grammar, for what errors print and for what a user writes: an item of a list is written ``parts[1]`` or
``parts.1``, and `show` writes the first.
"""

import ast
import re
from collections.abc import Iterable
from typing import Any, cast

from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitAttributeError, FkitIndexError, FkitTypeError, FkitValueError, quoted

__all__ = ["Path", "exact", "follow", "keys_of", "parse", "show"]

Path = tuple[Any, ...]  # a string names a key (or, as digits, a list's item); another value is a key as it is

_PART = re.compile(
    r"\.?(?P<bare>[^.\[\]]+)"
    r"|\[(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\]"
    r"|\[(?P<value>(?:[^\[\]'\"]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")+)\]",
    re.DOTALL,
)
_BARE = re.compile(r"[^.\[\]'\"\s\\=]+")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_DOTS = "Write a key with dots as a['b.c'], and an item of a list as a[0]."


def parse(text: str) -> Path:
    """The keys of a path string. ``parts.1`` and ``parts[1]`` lead to one item of a list.

    In brackets stands a key as Python writes it: a string in quotes, or a number, True, False, None or a tuple, for
    mappings whose keys are no strings.

    Raises:
        FkitValueError: a bracket or a dot too many.
        FkitTypeError: it is no string.

    Example:
        >>> parse("a.b.0.c"), parse("a['b.c'].d"), parse("a[3]"), parse("")
        (('a', 'b', '0', 'c'), ('a', 'b.c', 'd'), ('a', 3), ())
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"A path is a string such as 'model.depth', not {quoted(text)}.")
    if "[" not in text and "]" not in text:
        parts = text.split(".") if text else []
        if text and "" in parts:
            raise FkitValueError(f"The path {text!r} has an empty part.", repair=_DOTS)
        return tuple(parts)
    keys: list[Any] = []
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or (at == 0 and text[0] == "."):
            raise _unread(text, text[at:])
        if part["bare"] is not None:
            if at and text[at] != ".":
                raise FkitValueError(f"The path {text!r} misses a dot before {text[at:]!r}.", repair=_DOTS)
            keys.append(part["bare"])
        elif part["quoted"] is not None:
            keys.append(_ESCAPE.sub(_unescape, part["quoted"][1:-1]))
        else:
            keys.append(_literal(part["value"], text))
        at = part.end()
    return tuple(keys)


def keys_of(path: str | Path) -> Path:
    """The keys of a path, given as a string or as keys.

    Raises:
        FkitTypeError: it is neither; FkitValueError: it cannot be read.
    """
    if isinstance(path, str):
        return parse(path)
    try:
        if isinstance(path, (tuple, list)):  # pyright: ignore[reportUnnecessaryIsInstance]
            hash(tuple(path))
            return tuple(path)
    except TypeError:
        pass
    raise FkitTypeError(f"A path is a string such as 'model.depth', or a tuple of keys, not {quoted(path)}.")


def _unread(text: str, rest: str) -> FkitValueError:
    return FkitValueError(f"The path {text!r} cannot be read from {rest!r} on.", repair=_DOTS)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 1:
        return {"n": "\n", "r": "\r", "t": "\t"}.get(code, code)
    number = int(code[1:], 16)
    return chr(number) if number < 0x110000 else match[0]


class _Floats(ast.NodeTransformer):
    """``inf`` and ``nan``, which Python writes and does not read."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def _literal(text: str, whole: str) -> Any:
    """A key in brackets that is no string."""
    try:
        value: Any = ast.literal_eval(_Floats().visit(ast.parse(text.lstrip(" \t"), mode="eval")))
        hash(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise _unread(whole, f"[{text}]") from None
    return value


def show(path: Path) -> str:
    """The string that ``parse`` reads back to the path.

    Example:
        >>> show(("a", "b.c", "d")), show(("a", 3, None))
        ("a['b.c'].d", 'a[3][None]')
    """
    if not isinstance(path, Iterable) or isinstance(path, (str, bytes)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"A path is a tuple of keys, not {quoted(path)}.")
    text = ""
    for key in path:
        if isinstance(key, str) and _BARE.fullmatch(key):
            text += f".{key}" if text else key
        else:
            text += f"[{_shown(key)}]"
    return text


def _shown(key: Any) -> str:
    if isinstance(key, str):
        return str.__repr__(key)
    try:
        return repr(key)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return hex(key) if isinstance(key, int) else object.__repr__(key)


def step(node: Any, key: Any) -> Any:
    """One key down: an item of a mapping, or by index of a list or tuple. For those that look for themselves.

    Raises:
        KeyError, IndexError: nothing is there (plain ones: ``follow`` says where).
    """
    if isinstance(node, dict):
        value: Any = dict.get(cast("dict[Any, Any]", node), key, ABSENT)
        if value is ABSENT:
            raise KeyError(key)
        return value
    if isinstance(node, (list, tuple)):
        index = _index(key)
        if index is not None:
            return node[index]
    raise KeyError(key)


def _index(key: Any) -> int | None:
    """The place in a list that a key names, if it names one."""
    if type(key) is int:
        return key
    return int(key) if isinstance(key, str) and key.isdecimal() and key.isascii() and len(key) < 10 else None


def exact(tree: Any, path: str | Path) -> Path:
    """The path with the items of lists by number, as `show` is to write them; what is not there stays as it is.

    Example:
        >>> show(exact({"a": [{"0": 1}]}, "a.0.0")), show(exact({"a": 1}, "a.0"))
        ('a[0].0', 'a.0')
    """
    keys: list[Any] = []
    node = tree
    for key in keys_of(path):
        index = _index(key) if isinstance(node, (list, tuple)) else None
        keys.append(key if index is None else index)
        try:
            node = step(node, key)
        except (KeyError, IndexError):
            node = ABSENT
    return tuple(keys)


def follow(tree: Any, path: str | Path) -> Any:
    """The value at a path.

    Raises:
        FkitAttributeError: a key is not there; FkitIndexError: a list is shorter.

    Example:
        >>> follow({"a": [{"b": 1}]}, "a.0.b"), follow({"a": [{"b": 1}]}, "a[0].b")
        (1, 1)
    """
    keys = keys_of(path)
    node = tree
    for depth, key in enumerate(keys):
        try:
            node = step(node, key)
        except IndexError:
            where = show(exact(tree, keys[:depth]))
            raise FkitIndexError(f"{where or 'It'} has {len(node)} items, none at {key}.", path=where) from None
        except KeyError:
            where = show(exact(tree, keys[:depth]))
            choices = [str(k) for k in node] if isinstance(node, dict) else []
            inside = f"{where or 'the top level'} (a {_kind(node)})"
            message = f"There is no key {key!r} in {inside}."
            there = show(exact(tree, keys))
            raise FkitAttributeError(message, path=there, value=str(key), choices=choices, label="Keys") from None
    return node


def _kind(node: Any) -> str:
    if isinstance(node, dict):
        return "mapping"
    return type(node).__name__ if isinstance(node, tuple) or not isinstance(node, list) else "list"
