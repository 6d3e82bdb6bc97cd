"""Indices into fields of equal length: what a user may write, made one of two forms and applied to any value."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import concrete, family, host, is_array, namespace
from fkit.tree.error import FkitIndexError, FkitTypeError, FkitValueError, like, quoted

__all__ = ["Index", "forward", "join", "length_of", "parse_index", "parse_slice", "pick", "whole"]

Index: TypeAlias = "slice | Rows"


class Rows(NamedTuple):
    """Rows by an array, of positions or a mask: the user's own array, for values of its library."""

    array: Any
    library: str

    def positions(self) -> NDArray[np.int64]:
        """The rows' positions, on the host."""
        if self.library != "numpy" and not concrete(self.array):
            raise FkitTypeError(
                "rows of a list, a tuple or a str cannot be picked by an array that is being traced.",
                repair="Keep in the element what the traced function needs: arrays.",
            )
        array = host(self.array)
        return np.flatnonzero(array) if array.dtype == bool else array.astype(np.int64)

    def of(self, value: Any, library: str) -> Any:
        """The index as an array that ``value``, one of a library, can be indexed by."""
        if library != self.library:
            # a copy: torch takes neither negative strides nor, without a warning, what is read-only
            array = np.array(host(self.array), order="C")
            return namespace(value).as_tensor(array) if library == "torch" else array
        if library == "torch" and self.array.device != value.device:
            return self.array.to(value.device)
        return self.array


def whole(value: Any) -> int | None:
    """The int that a value is where Python asks for an index; None where it is none, or none yet.

    Example:
        >>> whole(np.int32(3)), whole(0.5), whole(True), whole(np.arange(2))
        (3, None, None, None)
    """
    if isinstance(value, (bool, np.bool_)) or (is_array(value) and not _integral(value)):
        return None
    try:
        return operator.index(value)
    except Exception:  # each library has an error of its own for an array of several numbers, or one that is traced
        return None


def parse_slice(index: "slice[Any, Any, Any]") -> "slice[Any, Any, Any]":
    """A slice of ints.

    Raises:
        FkitTypeError: its parts are neither ints nor None.
        FkitValueError: its step is 0.

    Example:
        >>> parse_slice(slice(np.int64(1), None))
        slice(1, None, None)
    """
    parts = [None if part is None else whole(part) for part in (index.start, index.stop, index.step)]
    for number, part in zip(parts, (index.start, index.stop, index.step), strict=True):
        if number is None and part is not None:
            raise FkitTypeError(f"a slice is of ints, not of {quoted(part)}.")
    if parts[2] == 0:
        raise FkitValueError("the step of a slice cannot be 0.")
    return slice(*parts)


def parse_index(index: Any, length: int) -> Index:
    """An index as rows or a slice.

    Args:
        index: an int (which picks one row and keeps the axis), a slice, a list or 1-D array of ints or of bools.
        length: how many rows there are.

    Raises:
        FkitIndexError: a position outside. An array on a device is waited for, to look; one that is traced is not.
        FkitValueError: a mask of another length, a step of 0.
        FkitTypeError: anything else.

    Example:
        >>> parse_index(-1, 3), parse_index([True, False, True], 3).positions()
        (slice(2, 3, None), array([0, 2]))
    """
    if isinstance(index, slice):
        return parse_slice(cast("slice[Any, Any, Any]", index))
    if isinstance(index, (bool, np.bool_)):
        raise FkitTypeError(f"{index!r} picks no rows: a mask has one bool a row.")
    library = family(index)
    if isinstance(index, (int, np.integer)) or (library is not None and index.ndim == 0 and _integral(index)):
        at = whole(index)
        if at is None:  # a number that is being traced: the row that it will be
            return Rows(cast(Any, index).reshape(1), cast(str, library))
        if not -length <= at < length:
            raise FkitIndexError(f"index {at} is out of range: there are {length} rows.")
        return slice(at % length, at % length + 1)
    if isinstance(index, (list, range)):
        return _rows(_array_of(cast("Sequence[Any]", index), length), "numpy", length)
    if library is None or index.ndim != 1:
        shape = f" of shape {tuple(index.shape)}" if library else ""
        raise FkitTypeError(
            f"rows are picked by an int, a slice, or a 1-D list or array of ints or bools, not a {type(index).__name__}"
            f"{shape}."
        )
    return _rows(index, library, length)


def _rows(index: Any, library: str, length: int) -> Rows:
    if str(index.dtype).endswith("bool"):
        if index.shape[0] != length:
            raise FkitValueError(f"the mask has {index.shape[0]} entries, and there are {length} rows.")
        return Rows(index, library)
    if not _integral(index):
        raise FkitTypeError(f"rows are picked by ints or bools, not {index.dtype}.")
    if library == "numpy" or concrete(index):
        outside = (index < -length) | (index >= length)
        if bool(outside.any()):
            raise FkitIndexError(f"index {int(index[outside][0])} is out of range: there are {length} rows.")
    if library == "numpy":
        index = index.astype(np.int64, copy=False)
    elif library == "torch":
        index = index.long()  # torch takes uint8 for a mask
    return Rows(index, library)


def _integral(index: Any) -> bool:
    return "int" in str(index.dtype)


def _array_of(index: Sequence[Any], length: int) -> NDArray[Any]:
    if not index:
        return np.zeros(0, np.int64)
    if not all(isinstance(at, (int, np.integer, np.bool_)) for at in index):
        raise FkitTypeError("a list that picks rows holds ints, or bools.")
    if len({isinstance(at, (bool, np.bool_)) for at in index}) > 1:
        raise FkitTypeError("a list that picks rows holds ints or bools, not both.")
    if not isinstance(index[0], (bool, np.bool_)):
        for at in index:  # before numpy sees them: one of 70 bits has no dtype
            if not -length <= at < length:
                raise FkitIndexError(f"index {at} is out of range: there are {length} rows.")
    return np.asarray(index)


def pick(value: Any, rows: Index) -> Any:
    """The rows of a value: an array, list, tuple, str, or anything with ``__getitem__`` (and ``cat``, for masks).

    Example:
        >>> pick("abc", parse_index([2, 0], 3)), pick((1, 2, 3), slice(1, None))
        ('ca', (2, 3))
    """
    library = family(value)
    if isinstance(rows, slice):
        return value[forward(rows, len(value)) if library == "torch" else rows]
    if library is not None:
        return value[rows.of(value, library)]
    if isinstance(value, str):
        return "".join(value[at] for at in rows.positions())
    if isinstance(value, (list, tuple)):
        items = [value[at] for at in rows.positions().tolist()]
        return items if isinstance(value, list) else tuple(items)
    if getattr(value, "takes_rows", False):
        return value[rows.array]
    n = len(value)
    parts = [value[slice(at % n, at % n + 1)] for at in rows.positions().tolist()] or [value[slice(0, 0)]]
    return join("rows", parts)


def forward(rows: "slice[Any, Any, Any]", length: int) -> Any:
    """A slice as torch takes it, which knows none that go backward: those as a list of positions.

    Example:
        >>> forward(slice(None, None, -1), 3), forward(slice(1, 2), 3)
        ([2, 1, 0], slice(1, 2, None))
    """
    return rows if rows.step is None or rows.step > 0 else list(range(length))[rows]


def join(name: str, values: Sequence[Any]) -> Any:
    """Values of one kind, one behind the other.

    Args:
        name: the field whose values they are, for errors.
        values: at least one.

    Raises:
        FkitTypeError: they are of different kinds, or cannot be joined.
        FkitValueError: arrays that differ in more than the first axis.

    Example:
        >>> join("ids", [[1], [2, 3]]), join("names", ["ab", "c"])
        ([1, 2, 3], 'abc')
    """
    first = values[0]
    library = family(first)
    for value in values[1:]:
        if type(value) is not type(first) and _sort(value) != _sort(first):
            raise FkitTypeError(
                f"the field {name!r} cannot be joined: it is {_described(first)} in one element, {_described(value)} in "
                "another."
            )
    if library is not None:
        return _join_arrays(name, values)
    if isinstance(first, str):
        return "".join(values)
    if isinstance(first, (list, tuple)):
        items = [item for value in values for item in value]
        return items if isinstance(first, list) else tuple(items)
    cat = getattr(first, "cat", None)
    if cat is None:
        raise FkitTypeError(
            f"the field {name!r}: a {type(first).__name__} cannot be joined: it has no `cat`.",
            repair="Give the class a static method `cat(values)`.",
        )
    return cat(list(values))


def _join_arrays(name: str, arrays: Sequence[Any]) -> Any:
    first = arrays[0]
    for array in arrays[1:]:
        if tuple(array.shape[1:]) != tuple(first.shape[1:]):
            raise FkitValueError(
                f"the field {name!r} cannot be joined: its rows are of shape {tuple(first.shape[1:])} in one element, of "
                f"{tuple(array.shape[1:])} in another."
            )
    try:
        return namespace(first).concat(tuple(arrays), axis=0)
    except (TypeError, ValueError, RuntimeError) as cause:  # dtypes without a common one, arrays on different devices
        raise like(cause)(f"the field {name!r} cannot be joined: {cause}") from cause


def _sort(value: Any) -> Any:
    """What values that are joined have in common."""
    library = family(value)
    if library is not None:
        return library
    return next((kind for kind in (str, list, tuple) if isinstance(value, kind)), None)


def _described(value: Any) -> str:
    library = family(value)
    return f"a {type(value).__name__}" if library is None else f"an array of {library}"


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
        if str(getattr(value, "layout", "")).startswith("torch.sparse"):
            raise FkitTypeError(f"{name!r} is a sparse tensor, whose rows cannot be picked.", repair="value.to_dense()")
        return int(value.shape[0])
    if isinstance(value, Mapping) or not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        raise FkitTypeError(f"{name!r} is a {type(value).__name__}, which has no length or cannot be indexed.")
    return len(value)
