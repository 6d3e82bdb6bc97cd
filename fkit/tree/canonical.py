"""The canonical form of a tree: JSON with tags for what JSON cannot say. Fingerprints are made of it."""

import json
from typing import Any

from fkit.tree.error import FkitTypeError

__all__ = ["canonical", "encode", "fingerprint", "reference"]


def encode(value: Any, sort: bool = False) -> Any:
    """A tree of plain JSON values with tags.

    Tuples are ``{"__tuple__": [...]}``, sets ``{"__set__": [...]}`` sorted, non-finite floats ``{"__float__": "nan"}``,
    mappings with a key that is not a string ``{"__dict__": [[k, v], ...]}``, classes and functions ``{"__ref__":
    "module.qualname"}``, names of new-style configs ``{"__lazy__": "module.qualname"}``.

    Args:
        value: any tree of config values.
        sort: mapping keys in sorted order, as fingerprints want; otherwise in theirs.

    Raises:
        FkitTypeError: a leaf that has no canonical form.

    Example:
        >>> encode({"a": (1, float("inf")), "b": {2: None}})
        {'a': {'__tuple__': [1, {'__float__': 'inf'}]}, 'b': {'__dict__': [[2, None]]}}
    """
    if value is None or isinstance(value, (str, bool, int)):
        return _exact(value)
    if isinstance(value, float):
        finite = value - value == 0
        return float(value) if finite else {"__float__": repr(float(value))}
    if isinstance(value, dict):
        return _encode_mapping(value, sort)
    if isinstance(value, (list, tuple)):
        items = [encode(v, sort) for v in value]
        return items if isinstance(value, list) else {"__tuple__": items}
    if isinstance(value, (set, frozenset)):
        return {"__set__": sorted((encode(v, sort) for v in value), key=_text)}
    if hasattr(type(value), "__lazy__"):
        return {"__lazy__": value.__lazy__()}
    return {"__ref__": reference(value)}


def _exact(value: Any) -> Any:
    # subclasses (enumerations, numpy scalars) are written as what they are
    if type(value) in (str, int, bool, type(None)):
        return value
    return str.__str__(value) if isinstance(value, str) else int(value)


def _encode_mapping(value: dict[Any, Any], sort: bool) -> Any:
    if all(type(k) is str for k in value):
        return {k: encode(value[k], sort) for k in (sorted(value) if sort else value)}
    pairs = [[encode(k, sort), encode(v, sort)] for k, v in value.items()]
    return {"__dict__": sorted(pairs, key=lambda pair: _text(pair[0])) if sort else pairs}


def reference(value: Any) -> str:
    """``module.qualname`` of a class or a function.

    Raises:
        FkitTypeError: the value has no such name.
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if name is None:
        raise FkitTypeError(
            f"A {type(value).__name__} has no text in a config: {str(value)[:80]}.",
            repair="Config values are None, booleans, numbers, strings, lists, tuples, sets, mappings, classes and functions.",
        )
    return f"{module}.{name}" if module else name


def _text(encoded: Any) -> str:
    return json.dumps(encoded, ensure_ascii=True, allow_nan=False)


def canonical(value: Any, sort: bool = False) -> str:
    """The canonical text, one line of JSON.

    Example:
        >>> canonical({"b": (1, 2.0), "a": None})
        '{"b": {"__tuple__": [1, 2.0]}, "a": null}'
    """
    return json.dumps(encode(value, sort), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Any) -> str:
    """The sha256 hex digest of the canonical text with sorted keys.

    Example:
        >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        True
    """
    import hashlib

    return hashlib.sha256(_text(encode(value, sort=True)).encode()).hexdigest()
