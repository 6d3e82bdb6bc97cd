"""A hook's memory as JSON, and back to the very same values."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["read_memory", "write_memory"]

_PLAIN = frozenset((str, int, float, bool, type(None)))
_TAGS = frozenset(("__list__", "__dict__", "__array__"))


def write_memory(value: Any, what: str) -> Any:
    """A value as JSON can hold it: a tuple is a JSON array, a mapping with keys of text an object; lists, other keys, and
    numpy's numbers and arrays are tagged, so that `read_memory` gives each back as it was.

    Args:
        what: the value's name, for messages.

    Raises:
        FkitTypeError: it holds something else.

    Example:
        >>> write_memory((1, {2: np.float32(0.5)}), "memory")
        [1, {'__dict__': [[2, {'__array__': ['float32', 0.5]}]]}]
        >>> read_memory(write_memory((1, {2: np.float32(0.5)}), "memory")) == (1, {2: np.float32(0.5)})
        True
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple:
        return [write_memory(item, what) for item in value]
    if kind is list:
        return {"__list__": [write_memory(item, what) for item in value]}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        word = value.dtype.name if isinstance(value, np.generic) else [value.dtype.name, *value.shape]
        return {"__array__": [word, value.ravel().tolist() if isinstance(value, np.ndarray) else value.item()]}
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        if all(type(key) is str and key not in _TAGS for key, _ in items):
            return {key: write_memory(item, what) for key, item in items}
        return {"__dict__": [[write_memory(key, what), write_memory(item, what)] for key, item in items]}
    raise FkitTypeError(
        f"{what} holds {quoted(value)}, a {kind.__name__}, which a checkpoint cannot keep.",
        repair="Let it be of tuples, lists, mappings, numbers, text, None, and numpy's numbers and arrays.",
    )


def read_memory(value: Any) -> Any:
    """What `write_memory` wrote; mappings come back frozen.

    Raises:
        FkitValueError: a tag holds what it cannot.
    """
    if isinstance(value, list | tuple):
        return tuple(read_memory(item) for item in cast("list[Any]", value))
    if not isinstance(value, Mapping):
        return value
    table = cast("Mapping[str, Any]", value)
    try:
        if "__list__" in table:
            return [read_memory(item) for item in table["__list__"]]
        if "__dict__" in table:
            return frozen({read_memory(key): read_memory(item) for key, item in table["__dict__"]})
        if "__array__" in table:
            word, numbers = table["__array__"]
            if isinstance(word, str):
                return np.dtype(word).type(numbers)
            return np.array(numbers, word[0]).reshape(word[1:])
    except (TypeError, ValueError) as cause:
        raise FkitValueError(f"the checkpoint's memory {quoted(value)} is of another layout.") from cause
    return frozen({name: read_memory(item) for name, item in table.items()})
