"""Indices into fields of equal length: what a user may write, made one of three forms and applied to any value."""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import family, host, is_array, namespace
from fkit.tree.error import FkitIndexError, FkitTypeError, FkitValueError

__all__ = ["Picked", "joined", "length_of", "parsed", "picked"]

Picked: TypeAlias = "slice | Rows"


class Rows(NamedTuple):
    """Rows by an array: of positions, or a mask. ``given`` is the user's own array, for values of its library."""

    given: Any
    own: str

    def positions(self) -> NDArray[np.int64]:
        """The rows' positions, on the host."""
        array = host(self.given)
        return np.flatnonzero(array) if array.dtype == bool else array.astype(np.int64)

    def for_family(self, name: str) -> Any:
        """The index as an array of a library can be indexed by it."""
        if self.own == name:
            return self.given
        return host(self.given)


def parsed(index: Any, length: int) -> Picked:
    """An index as rows or a slice.

    Args:
        index: an int (which picks one row and keeps the axis), a slice, a list or 1-D array of ints or of bools.
        length: how many rows there are.

    Raises:
        FkitIndexError: a position outside.
        FkitValueError: a mask of another length.
        FkitTypeError: anything else.

    Example:
        >>> parsed(-1, 3), parsed([True, False, True], 3).positions()
        (slice(2, 3, None), array([0, 2]))
    """
    if isinstance(index, slice):
        return cast("slice[Any, Any, Any]", index)
    if isinstance(index, (bool, np.bool_)):
        raise FkitTypeError(f"{index!r} picks no rows: a mask has one bool a row.")
    if isinstance(index, (int, np.integer)) or (is_array(index) and index.ndim == 0 and _integral(index)):
        at = operator.index(cast(Any, index))
        if not -length <= at < length:
            raise FkitIndexError(f"index {at} is out of range: there are {length} rows.")
        return slice(at % length, at % length + 1)
    if isinstance(index, (list, range)):
        index = _array_of(cast("Sequence[Any]", index))
    own = family(index)
    if own is None or index.ndim != 1:
        shape = f" of shape {tuple(index.shape)}" if own else ""
        raise FkitTypeError(
            f"rows are picked by an int, a slice, or a 1-D list or array of ints or bools, not a {type(index).__name__}"
            f"{shape}."
        )
    if str(index.dtype).endswith("bool"):
        if index.shape[0] != length:
            raise FkitValueError(f"the mask has {index.shape[0]} entries, and there are {length} rows.")
        return Rows(index, own)
    if not _integral(index):
        raise FkitTypeError(f"rows are picked by ints or bools, not {index.dtype}.")
    if own == "numpy":
        index = _within(index.astype(np.int64), length)
    elif own == "torch":
        index = index.long()  # torch takes uint8 for a mask
    return Rows(index, own)


def _integral(index: Any) -> bool:
    return "int" in str(index.dtype)


def _array_of(index: Sequence[Any]) -> NDArray[Any]:
    if not index:
        return np.zeros(0, np.int64)
    if not all(isinstance(at, (int, np.integer, np.bool_)) for at in index):
        raise FkitTypeError("a list that picks rows holds ints, or bools.")
    if len({isinstance(at, (bool, np.bool_)) for at in index}) > 1:
        raise FkitTypeError("a list that picks rows holds ints or bools, not both.")
    return np.asarray(index)


def _within(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    outside = index[(index < -length) | (index >= length)]
    if outside.size:
        raise FkitIndexError(f"index {outside[0]} is out of range: there are {length} rows.")
    return index


def picked(value: Any, rows: Picked) -> Any:
    """The rows of a value: an array, list, tuple, str, or anything with ``__getitem__`` (and ``cat``, for masks).

    Example:
        >>> picked("abc", parsed([2, 0], 3)), picked((1, 2, 3), slice(1, None))
        ('ca', (2, 3))
    """
    own = family(value)
    if isinstance(rows, slice):
        return value[_forward(rows, len(value)) if own == "torch" else rows]
    if own is not None:
        return value[rows.for_family(own)]
    if isinstance(value, str):
        return "".join(value[at] for at in rows.positions())
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        return type(items)([items[at] for at in rows.positions()])  # pyright: ignore[reportCallIssue]
    if getattr(value, "takes_rows", False):
        return value[rows.given]
    n = len(value)
    parts = [value[slice(at % n, at % n + 1)] for at in rows.positions().tolist()] or [value[slice(0, 0)]]
    return joined(parts)


def _forward(rows: slice, length: int) -> Any:
    """torch knows no slices that go backward."""
    if rows.step is None or operator.index(rows.step) > 0:
        return rows
    return list(range(length))[rows]


def joined(values: Sequence[Any]) -> Any:
    """Values of one kind, one behind the other.

    Example:
        >>> joined([[1], [2, 3]]), joined(["ab", "c"])
        ([1, 2, 3], 'abc')
    """
    first = values[0]
    if is_array(first):
        return namespace(first).concat(tuple(values), axis=0)
    if isinstance(first, str):
        return "".join(values)
    if isinstance(first, (list, tuple)):
        return cast(Any, type(cast(Any, first)))([item for value in values for item in value])
    cat = getattr(first, "cat", None)
    if cat is None:
        raise FkitTypeError(
            f"a {type(first).__name__} cannot be joined: it has no `cat`.",
            repair="Give the class a static method `cat(values)`.",
        )
    return cat(list(values))


def length_of(value: Any, name: str) -> int:
    """A field's length.

    Raises:
        FkitTypeError: it has none, or cannot be indexed.

    Example:
        >>> length_of(np.zeros((3, 4)), "bboxes")
        3
    """
    if is_array(value):
        if value.ndim == 0:
            raise FkitTypeError(f"{name!r} has no length: it is an array without axes.", repair="Give it one axis.")
        return int(value.shape[0])
    if not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        raise FkitTypeError(f"{name!r} is a {type(value).__name__}, which has no length or cannot be indexed.")
    return len(value)
