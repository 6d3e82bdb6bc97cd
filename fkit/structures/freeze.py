"""What enters a structure is frozen: containers become frozen ones, arrays of numpy read-only views."""

from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.tree.node import Items, Node

__all__ = ["freeze", "freeze_copy", "read_only", "thaw"]

_ATOMS = frozenset((str, int, float, bool, complex, bytes, type(None), Items, Node))  # nothing in them can change


def freeze(value: Any) -> Any:
    """A value that the caller's code no longer changes by changing its own lists, dicts and sets.

    Returns:
        lists and deques as frozen lists (which equal lists), mappings as frozendicts, sets as frozensets, bytearrays as
        bytes, at any depth; numpy arrays as read-only views of the caller's memory, whose own flags stay as they are.
        Tensors, and objects of other classes, stay what they are.

    Example:
        >>> names, boxes = ["cat", "dog"], np.zeros((2, 4))
        >>> kept = freeze({"names": names, "boxes": boxes})
        >>> names.append("fox")
        >>> kept["names"], kept["boxes"].flags.writeable, boxes.flags.writeable
        (['cat', 'dog'], False, True)
    """
    return _freeze(value, False)


def freeze_copy(value: Any) -> Any:
    """As `freeze`, with nothing shared: arrays are copied, and so are objects of other classes.

    Example:
        >>> sizes = np.zeros(2)
        >>> kept = freeze_copy((sizes,))
        >>> sizes[0] = 1.0
        >>> kept
        (array([0., 0.]),)
    """
    return _freeze(value, True)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself if it cannot be written to, else a view that cannot.

    Example:
        >>> array = np.zeros(2)
        >>> read_only(array).flags.writeable, array.flags.writeable
        (False, True)
    """
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _freeze(value: Any, copied: bool) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, np.ndarray):
        return read_only(value.copy() if copied else value)
    if isinstance(value, (list, deque)):
        return Items([_freeze(item, copied) for item in cast("list[Any]", value)])
    if isinstance(value, tuple):
        return _tuple(cast("tuple[Any, ...]", value), copied)
    if isinstance(value, dict):
        mapping = cast("Mapping[Any, Any]", value)
        items = {key: _freeze(item, copied) for key, item in mapping.items()}
        same = isinstance(value, frozendict) and all(items[key] is item for key, item in mapping.items())
        return value if same else frozendict[Any, Any](items)
    if isinstance(value, (set, frozenset)):
        return frozenset(cast("frozenset[Any]", value))
    if isinstance(value, bytearray):
        return bytes(value)
    return deepcopy(value) if copied else value


def _tuple(value: tuple[Any, ...], copied: bool) -> tuple[Any, ...]:
    items = [_freeze(item, copied) for item in value]
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value
    make: Any = getattr(type(value), "_make", None)  # a named tuple keeps its class
    return tuple(items) if make is None else make(items)


def thaw(value: Any) -> Any:
    """The value with fresh lists and dicts, free to change; arrays and all else stay as they are.

    Example:
        >>> thaw(freeze({"a": [1, (2, [3])]}))
        {'a': [1, (2, [3])]}
    """
    if isinstance(value, list):
        return [thaw(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple):
        items = [thaw(item) for item in cast("tuple[Any, ...]", value)]
        make: Any = getattr(cast(Any, type(cast(Any, value))), "_make", None)
        return tuple(items) if make is None else make(items)
    return value
