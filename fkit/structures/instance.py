"""InstanceData: the objects of one image, as fields of equal length."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
from frozendict import frozendict

from fkit.structures.content import family, is_array, namespace, of_family
from fkit.structures.element import DataElement
from fkit.structures.field import made
from fkit.structures.index import joined, length_of, parsed, picked
from fkit.tree.error import FkitTypeError, FkitValueError

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

    def _checked(self, name: str, value: Any) -> Any:
        value = super()._checked(name, value)
        length_of(value, name)
        return value

    def _verify(self) -> None:
        lengths = {name: length_of(value, name) for name, value in self._data.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise FkitValueError(f"the fields of {type(self).__name__} differ in length: {told}.")

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
            FkitIndexError: a position outside.
            FkitValueError: a mask of another length.
            FkitTypeError: any other index.
        """
        if isinstance(index, str):
            return getattr(self, index)
        rows = parsed(index, len(self))
        return self._of({name: picked(value, rows) for name, value in self._data.items()})

    def _of(self, data: Mapping[str, Any]) -> Self:
        # rows of fields that were checked: nothing to check again, and the meta fields are the element's own
        return made(type(self), frozendict(data), self._meta)

    @staticmethod
    def cat(instances: Sequence["InstanceData"]) -> "InstanceData":
        """Several elements' rows, one behind the other; meta fields and class of the first.

        Raises:
            FkitValueError: there are none, or their fields differ.

        Example:
            >>> InstanceData.cat([InstanceData(a=[1]), InstanceData(a=[2, 3])]).a
            [1, 2, 3]
        """
        if not instances:
            raise FkitValueError("`cat` wants at least one InstanceData.")
        for other in instances:
            if not isinstance(other, InstanceData):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise FkitTypeError(f"`cat` joins InstanceData, not a {type(other).__name__}.")
        first = instances[0]
        if len(instances) == 1:
            return first
        for other in instances[1:]:
            if set(other.keys()) != set(first.keys()):
                raise FkitValueError(
                    f"`cat` joins elements of the same fields: {sorted(first.keys())} and {sorted(other.keys())} differ."
                )
        return first._of({name: joined([one._data[name] for one in instances]) for name in first._data})

    def pad(self, size: int | Iterable[int], fill: Any = 0) -> Self:
        """The rows padded to a fixed number, with the field ``valid``: which of them are real.

        Args:
            size: how many rows, or several sizes, of which the least that holds them is taken.
            fill: what the rows of arrays are filled with, or {field: value}; rows of lists and tuples hold None.

        Returns:
            An element with ``size`` rows and ``valid`` ((size,) bool), which is an array of the library of the others.

        Raises:
            FkitValueError: there are more rows than that, or ``valid`` is there already.

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
        have = len(self)
        rows = size if isinstance(size, int) else bucket(have, size)
        if rows < have:
            raise FkitValueError(f"{have} rows do not fit into {rows}.", repair="Choose a larger size, or fewer rows.")
        data = {name: _padded(value, rows - have, _fill_of(fill, name)) for name, value in self._data.items()}
        arrays = (value for value in data.values() if is_array(value))
        valid = of_family(np.arange(rows) < have, next(arrays, None))
        return self._of({**data, _VALID: valid})

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

    Example:
        >>> bucket(5, (4, 8, 16))
        8
    """
    known = sorted(sizes)
    for size in known:
        if size >= count:
            return size
    raise FkitValueError(f"{count} rows fit into none of the sizes {known}.", repair="Declare a larger size.")


def _fill_of(fill: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", fill).get(name, 0) if isinstance(fill, Mapping) else fill


def _padded(value: Any, more: int, fill: Any) -> Any:
    if is_array(value):
        xp = namespace(value)
        # filled by arithmetic of its own library, so that device and type are those of the value
        where = {"device": value.device} if family(value) == "torch" else {}
        return xp.concat((value, xp.full((more, *value.shape[1:]), fill, dtype=value.dtype, **where)), axis=0)
    if isinstance(value, str):
        return value + "\0" * more
    if isinstance(value, (list, tuple)):
        return cast(Any, type(cast(Any, value)))([*cast("Sequence[Any]", value), *[None] * more])
    if isinstance(value, InstanceData):
        return value.set(**{name: _padded(part, more, _fill_of(fill, name)) for name, part in value.items()})
    raise FkitTypeError(
        f"rows of a {type(value).__name__} cannot be padded.", repair="Keep it as an array, a list or a tuple."
    )
