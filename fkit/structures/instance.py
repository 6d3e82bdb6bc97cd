"""InstanceData: the objects of one image, as fields of equal length."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, cast

import numpy as np

from fkit.structures.content import is_array, of_family
from fkit.structures.element import DataElement
from fkit.structures.field import element_of
from fkit.structures.index import join, length_of, parse_index, pick, whole
from fkit.structures.pad import pad_rows
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = ["InstanceData", "bucket"]

_VALID = "valid"


class InstanceData(DataElement):
    """Fields of equal length, one row an object: arrays, lists, strings, tuples, or what has length, rows and ``cat``.

    Example:
        >>> import numpy as np
        >>> x = InstanceData(bboxes=np.arange(12.0).reshape(3, 4), names=["cat", "dog", "fox"])
        >>> len(x), x[1].names, x[[True, False, True]].names, x[-1].bboxes
        (3, ['dog'], ['cat', 'fox'], array([[ 8.,  9., 10., 11.]]))
        >>> x.set(scores=np.zeros(2))
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: the fields of InstanceData differ in length: bboxes 3, names 3, scores 2.
    """

    __slots__ = ()
    takes_rows = True  # nested in another, it is indexed as arrays are

    def _verify(self) -> None:
        lengths = {name: length_of(value, name) for name, value in self._data.items()}
        if len(set(lengths.values())) > 1:
            sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise FkitValueError(f"the fields of {type(self).__name__} differ in length: {sizes}.")

    def __len__(self) -> int:
        for name, value in self._data.items():
            return length_of(value, name)
        return 0

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Self]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """Some of the rows, as a new element with the same meta fields.

        Args:
            index: an int (one row: the axis stays), a slice, a list or 1-D array of ints or of bools; or a field's
                name, which gives the field.

        Raises:
            FkitIndexError: a position outside. To see it in an array on a device, that array is waited for; an array
                that is being traced is not looked at.
            FkitValueError: a mask of another length, or a slice whose step is 0.
            FkitTypeError: any other index.
        """
        if isinstance(index, str):
            return getattr(self, index)
        rows = parse_index(index, len(self))
        return self._of({name: pick(value, rows) for name, value in self._data.items()})

    def _of(self, data: Mapping[str, Any]) -> Self:
        # rows of fields that were checked: nothing to check again, and the meta fields are the element's own
        return element_of(type(self), data, self._meta)

    @staticmethod
    def cat(instances: Iterable["InstanceData"]) -> "InstanceData":
        """Several elements' rows, one behind the other; meta fields and class of the first.

        Raises:
            FkitValueError: there are none, their fields differ, or a field's arrays do in more than the first axis.
            FkitTypeError: other things than InstanceData, or a field of two kinds.

        Example:
            >>> InstanceData.cat([InstanceData(a=[1]), InstanceData(a=[2, 3])]).a
            [1, 2, 3]
        """
        if isinstance(instances, (str, InstanceData)) or not isinstance(instances, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"`cat` wants a sequence of InstanceData, not {quoted(instances)}.")
        parts = tuple(instances)
        if not parts:
            raise FkitValueError("`cat` wants at least one InstanceData.")
        for part in parts:
            if not isinstance(part, InstanceData):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise FkitTypeError(f"`cat` joins InstanceData, not a {type(part).__name__}.")
        first = parts[0]
        if len(parts) == 1:
            return first
        for part in parts[1:]:
            if set(part.keys()) != set(first.keys()):
                raise FkitValueError(
                    f"`cat` wants the same fields: {sorted(first.keys())} and {sorted(part.keys())} differ."
                )
        return first._of({name: join(name, [part._data[name] for part in parts]) for name in first._data})

    def pad(self, size: int | Iterable[int], fill: Any = 0) -> Self:
        """The rows padded to a fixed number, with the field ``valid``: which of them are real.

        Args:
            size: how many rows, or several sizes, of which the least that holds them is taken.
            fill: the number that rows of arrays are filled with, or {field: number}, 0 for the others; rows of lists
                and tuples hold None.

        Returns:
            An element with ``size`` rows and ``valid`` ((size,) bool), which is an array of the library of the others.

        Raises:
            FkitValueError: there are more rows than that, ``valid`` is there already, or a field's dtype has no such
                number as ``fill``.
            FkitTypeError: ``size`` or ``fill`` is no number, or a field's rows cannot be padded.
            FkitKeyError: ``fill`` names no field.

        Example:
            >>> import numpy as np
            >>> x = InstanceData(labels=np.array([3, 1])).pad((4, 8), fill=-1)
            >>> x.labels, x.valid
            (array([ 3,  1, -1, -1]), array([ True,  True, False, False]))
            >>> x.unpad().labels
            array([3, 1])
        """
        if _VALID in self:
            raise FkitValueError("the field 'valid' is there already: the rows are padded.", repair="unpad() first.")
        count = len(self)
        whole_size = whole(size)
        rows = bucket(count, cast("Iterable[int]", size)) if whole_size is None else whole_size
        if rows < count:
            raise FkitValueError(f"{count} rows do not fit into {rows}.", repair="Choose a larger size, or fewer rows.")
        data = self._padded(rows - count, fill if isinstance(fill, Mapping) else None, fill)
        arrays = (value for value in data.values() if is_array(value))
        valid = of_family(np.arange(rows) < count, next(arrays, None))
        return self._of({**data, _VALID: valid})

    def _padded(self, more: int, fills: Mapping[str, Any] | None, fill: Any) -> dict[str, Any]:
        """The data fields with so many more rows; nested elements take the fills of their own names."""
        for name in fills or ():
            if name not in self._names():
                raise FkitKeyError(
                    f"`fill` names {name!r}, which is no field.", value=str(name), choices=self._names(), label="Fields"
                )
        return {
            name: value._of(value._padded(more, None if fills is None else _fills_of(value, fills), fill))
            if isinstance(value, InstanceData)
            else pad_rows(name, value, more, fill if fills is None else fills.get(name, 0))
            for name, value in self._data.items()
        }

    def _names(self) -> tuple[str, ...]:
        inner = (value._names() for value in self._data.values() if isinstance(value, InstanceData))
        return (*self._data, *(name for names in inner for name in names))

    def unpad(self) -> Self:
        """The real rows of what was padded, without ``valid``.

        Raises:
            FkitValueError: there is no field ``valid``.
        """
        if _VALID not in self._data:
            raise FkitValueError("there is no field 'valid': the rows are not padded.")
        return self[self._data[_VALID]].drop(_VALID)


def bucket(count: int, sizes: Iterable[int]) -> int:
    """The least of ``sizes`` that holds ``count``.

    Raises:
        FkitValueError: none does.
        FkitTypeError: they are no ints.

    Example:
        >>> bucket(5, (4, 8, 16))
        8
    """
    number = whole(count)
    if number is None:
        raise FkitTypeError(f"`count` is a number of rows, not {quoted(count)}.")
    if not isinstance(sizes, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"a size is an int, or several of which one is taken, not {quoted(sizes)}.")
    known: list[int] = []
    for size in sizes:
        rows = whole(size)
        if rows is None:
            raise FkitTypeError(f"a size is a number of rows, not {quoted(size)}.")
        known.append(rows)
    known.sort()
    for size in known:
        if size >= number:
            return size
    raise FkitValueError(f"{number} rows fit into none of the sizes {known}.", repair="Declare a larger size.")


def _fills_of(element: InstanceData, fills: Mapping[str, Any]) -> Mapping[str, Any]:
    names = element._names()  # pyright: ignore[reportPrivateUsage]
    return {name: value for name, value in fills.items() if name in names}
