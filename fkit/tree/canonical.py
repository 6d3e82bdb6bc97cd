"""The canonical form of a tree: JSON with tags for what JSON cannot say. Fingerprints are made of it.

Two values have one canonical text exactly where they are equal (`fkit.tree.equal.same`) and their keys have one order;
with sorted keys, exactly where they are equal.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any

from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.path import Path, show

__all__ = ["TAGS", "canonical", "encode", "fingerprint", "reference"]

TAGS = frozenset(("__tuple__", "__set__", "__dict__", "__float__", "__bytes__", "__str__", "__ref__", "__lazy__"))
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # two halves that JSON would read as one character
_HALF = re.compile("[\ud800-\udfff]")  # what no encoding of text can write


def encode(value: Any, sort: bool = False) -> Any:
    """A tree of plain JSON values with tags.

    Tuples are ``{"__tuple__": [...]}``, sets ``{"__set__": [...]}`` sorted, non-finite floats ``{"__float__": "nan"}``,
    bytes ``{"__bytes__": "hex"}``, classes, functions and members of enumerations ``{"__ref__": "module.qualname"}``,
    names of new-style configs ``{"__lazy__": "module.qualname"}``. Mappings with a key that is not a string are
    ``{"__dict__": [[k, v], ...]}``, and so are those that would read as one of these tags.

    Args:
        value: any tree of config values.
        sort: mapping keys in sorted order, as fingerprints want; otherwise in theirs.

    Raises:
        FkitTypeError: a leaf that has no canonical form.

    Example:
        >>> encode({"a": (1, float("inf")), "b": {2: None}})
        {'a': {'__tuple__': [1, {'__float__': 'inf'}]}, 'b': {'__dict__': [[2, None]]}}
        >>> encode({"__tuple__": [1]})
        {'__dict__': [['__tuple__', [1]]]}
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() or not _PAIR.search(value) else {"__str__": [ord(c) for c in value]}
    if value is None or kind is int or kind is bool:
        return value
    if isinstance(value, Enum):
        return {"__ref__": reference(value)}
    if isinstance(value, float):
        number = float.__float__(value)
        return number if number - number == 0 else {"__float__": repr(number)}
    if isinstance(value, Mapping):
        return _encode_mapping(value, sort)
    if isinstance(value, list):
        return [encode(v, sort) for v in value]
    if isinstance(value, tuple):
        return {"__tuple__": [encode(v, sort) for v in value]}
    if isinstance(value, (set, frozenset)):
        return {"__set__": sorted((encode(v, sort) for v in value), key=_text)}
    return _encode_leaf(value)


def _encode_leaf(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"__bytes__": bytes.hex(value)}
    # subclasses (numpy scalars among them) are written as what they are
    if isinstance(value, str):
        return encode(str.__str__(value))
    if isinstance(value, int):
        return int.__int__(value)
    if hasattr(type(value), "__lazy__"):
        return {"__lazy__": value.__lazy__()}
    return {"__ref__": reference(value)}


def _is_tagged(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is written as pairs: a key is no plain string, or it would read as a tag."""
    if not all(type(k) is str and (k.isascii() or not _PAIR.search(k)) for k in value):
        return True
    return len(value) == 1 and not TAGS.isdisjoint(value)


def _encode_mapping(value: Mapping[Any, Any], sort: bool) -> Any:
    if not _is_tagged(value):
        return {k: encode(value[k], sort) for k in (sorted(value) if sort else value)}
    pairs = [[encode(k, sort), encode(v, sort)] for k, v in value.items()]
    return {"__dict__": sorted(pairs, key=_text) if sort else pairs}


def reference(value: Any) -> str:
    """``module.qualname`` of a class, a function or a member of an enumeration: the name that leads back to it.

    Raises:
        FkitTypeError: the value has no such name.

    Example:
        >>> reference(len), reference(re.RegexFlag.IGNORECASE)
        ('builtins.len', 're.RegexFlag.IGNORECASE')
    """
    kind = type(value)
    owner: Any = kind if isinstance(value, Enum) else value
    module, name = getattr(owner, "__module__", None), getattr(owner, "__qualname__", None)
    bound: Any = getattr(owner, "__self__", None)
    if isinstance(value, Enum):
        name = f"{name}.{value.name}"
    elif isinstance(bound, type):  # a method of a class
        module, name = bound.__module__, f"{bound.__qualname__}.{getattr(owner, '__name__', '')}"
    if isinstance(module, str) and isinstance(name, str) and _leads_to(module, name, value):
        return f"{module}.{name}"
    named = isinstance(name, str) and not isinstance(value, Enum)
    what = f"{quoted(value)} has no name in a module" if named else f"A {kind.__name__} has no text: {quoted(value)}"
    raise FkitTypeError(
        f"{what}.",
        repair="Text holds None, booleans, numbers, strings, bytes, lists, tuples, sets, mappings, and the classes and "
        "functions that are defined at the top of a module.",
    )


def _leads_to(module: str, name: str, value: Any) -> bool:
    target: Any = sys.modules.get(module, ABSENT)
    for part in name.split("."):
        target = getattr(target, part, ABSENT)
    # a method of a class is made anew each time it is asked for
    return target is value or (callable(value) and type(target) is type(value) and bool(target == value))


def _text(encoded: Any) -> str:
    return json.dumps(encoded, ensure_ascii=True, allow_nan=False)


def canonical(value: Any, sort: bool = False) -> str:
    """The canonical text, one line of JSON.

    Raises:
        FkitTypeError: a leaf that has no canonical form; its path is in the message.
        FkitValueError: a whole number of more than 4,300 digits, or a tree that is nested too deeply.

    Example:
        >>> canonical({"b": (1, 2.0), "a": None})
        '{"b": {"__tuple__": [1, 2.0]}, "a": null}'
    """
    text = _written(value, sort, False)
    return text if text.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def fingerprint(value: Any) -> str:
    """The sha256 hex digest of the canonical text with sorted keys.

    Raises:
        FkitTypeError, FkitValueError: as `canonical` does.

    Example:
        >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(_written(value, True, True).encode()).hexdigest()


def _written(value: Any, sort: bool, ascii_only: bool) -> str:
    try:
        return json.dumps(encode(value, sort), ensure_ascii=ascii_only, allow_nan=False)
    except FkitTypeError as error:
        path = show(_unnamed(value) or ())
        raise FkitTypeError(f"{path}: {error.what}" if path else error.what, path=path, repair=error.repair) from None
    except RecursionError:
        raise FkitValueError("The value is nested too deeply, or holds itself.") from None
    except ValueError:  # of json: Python writes no longer ones
        raise FkitValueError("A whole number of more than 4,300 digits has no text.") from None


def _unnamed(value: Any) -> Path | None:
    """The path of the first leaf that has no text; None where all have one."""
    if isinstance(value, Mapping):
        pairs: Any = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    else:
        try:
            encode(value)
        except FkitTypeError:
            return ()
        return None
    for key, item in pairs:
        below = _unnamed(item)
        if below is not None:
            return (key, *below)
    return None
