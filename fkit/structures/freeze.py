"""What enters a structure is frozen: containers become frozen ones, arrays of numpy read-only views."""

from collections import deque
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, NoReturn, Self, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.tree.error import FkitTypeError, FkitValueError, FrozenError, quoted
from fkit.tree.node import Items, Node

__all__ = ["FrozenList", "freeze", "freeze_copy", "read_only", "thaw"]


class FrozenList(list[Any]):
    """A list that cannot change, of anything: what a list becomes in an element. It equals a list of the same items.

    Example:
        >>> names = FrozenList(["cat", "dog"])
        >>> names == ["cat", "dog"], names[1:], [*names, "fox"]
        (True, ['dog'], ['cat', 'dog', 'fox'])
        >>> names.append("fox")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FrozenError: the list of a field is frozen.
          list(field) is a fresh one to change, and element.set(field=...) gives an element with it.
    """

    __slots__ = ("_sealed",)

    def __init__(self, items: Iterable[Any] = (), /) -> None:
        if hasattr(self, "_sealed"):
            self._refuse()
        super().__init__(items)
        object.__setattr__(self, "_sealed", True)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise FrozenError(
            "the list of a field is frozen.",
            repair="list(field) is a fresh one to change, and element.set(field=...) gives an element with it.",
        )

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse  # pyright: ignore[reportAssignmentType]
    __setitem__ = __delitem__ = __setattr__ = __delattr__ = __iadd__ = __imul__ = _refuse  # pyright: ignore

    def copy(self) -> list[Any]:
        """A fresh list of the same items, free to change."""
        return list(self)

    def __copy__(self) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return FrozenList, (list(self),)


# nothing in them can change
FrozenList.__name__ = "list"  # what messages call it, Python's and ours
_ATOMS = frozenset((str, int, float, bool, complex, bytes, type(None), FrozenList, Items, Node))


def freeze(value: Any) -> Any:
    """A value that the caller's code no longer changes by changing its own lists, dicts and sets.

    Returns:
        lists and deques as frozen lists (which equal lists), mappings as frozendicts, sets as frozensets, bytearrays as
        bytes, at any depth; numpy arrays as read-only views of the caller's memory, whose own flags stay as they are.
        Tensors, and objects of other classes, stay what they are.

    Raises:
        FkitValueError: a container that is nested too deeply, or holds itself.

    Example:
        >>> names, boxes = ["cat", "dog"], np.zeros((2, 4))
        >>> kept = freeze({"names": names, "boxes": boxes})
        >>> names.append("fox")
        >>> kept["names"], kept["boxes"].flags.writeable, boxes.flags.writeable
        (['cat', 'dog'], False, True)
    """
    return value if type(value) in _ATOMS else _whole(value, False)


def freeze_copy(value: Any) -> Any:
    """As `freeze`, with nothing shared: arrays are copied, and so are objects of other classes.

    Raises:
        FkitTypeError: an object that cannot be copied.
        FkitValueError: a container that is nested too deeply, or holds itself.

    Example:
        >>> sizes = np.zeros(2)
        >>> kept = freeze_copy((sizes,))
        >>> sizes[0] = 1.0
        >>> kept
        (array([0., 0.]),)
    """
    return value if type(value) in _ATOMS else _whole(value, True)


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


def _whole(value: Any, copied: bool) -> Any:
    try:
        return _freeze(value, copied)
    except RecursionError:
        raise FkitValueError("the value of a field is nested too deeply, or holds itself.") from None


def _freeze(value: Any, copied: bool) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, np.ndarray):
        return read_only(value.copy() if copied else value)
    if isinstance(value, (list, deque)):
        items = cast("list[Any]", value)
        plain = all(type(item) in _ATOMS for item in items)
        return FrozenList(items if plain else [_freeze(item, copied) for item in items])
    if isinstance(value, tuple):
        return _tuple(cast("tuple[Any, ...]", value), copied)
    if isinstance(value, dict):
        mapping = cast("Mapping[Any, Any]", value)
        items = {key: _freeze(item, copied) for key, item in mapping.items()}
        same = isinstance(value, frozendict) and all(items[key] is item for key, item in mapping.items())
        return value if same else frozendict[Any, Any](items)
    if isinstance(value, (set, frozenset)):
        return frozenset(cast("frozenset[Any]", value))
    if isinstance(value, (bytearray, memoryview)):
        return bytes(cast("bytearray", value))
    return _copy(value) if copied else value


def _copy(value: Any) -> Any:
    try:
        return deepcopy(value)
    except (TypeError, ValueError) as cause:  # what cannot be pickled: locks, files, generators
        raise FkitTypeError(
            f"a meta field is a copy, and {quoted(value)} cannot be copied: {cause}.",
            repair="Keep it as a data field, which is not copied.",
        ) from cause


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
