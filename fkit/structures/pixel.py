"""PixelData: what an image has at every pixel."""

from typing import Any, Self, cast

from fkit.structures.content import family, is_array
from fkit.structures.element import DataElement
from fkit.structures.field import element_of
from fkit.structures.index import forward, parse_slice, whole
from fkit.tree.error import FkitIndexError, FkitTypeError, FkitValueError, quoted

__all__ = ["PixelData"]


class PixelData(DataElement):
    """Maps of one height and width: arrays (C, H, W); one of (H, W) becomes (1, H, W).

    Example:
        >>> import numpy as np
        >>> x = PixelData(sem_seg=np.zeros((4, 6), np.uint8), logits=np.zeros((3, 4, 6)))
        >>> x.shape, x.sem_seg.shape, x[1:3, 2].shape
        ((4, 6), (1, 4, 6), (2, 1))
    """

    __slots__ = ()

    def _checked(self, name: str, value: Any) -> Any:
        value = super()._checked(name, value)
        if not is_array(value):
            raise FkitTypeError(f"PixelData.{name} is an array (C, H, W) or (H, W), not a {type(value).__name__}.")
        if value.ndim not in (2, 3):
            raise FkitValueError(f"PixelData.{name} is (C, H, W) or (H, W), not {tuple(value.shape)}.")
        return value.reshape((1, *value.shape)) if value.ndim == 2 else value

    def _verify(self) -> None:
        shapes = {name: tuple(value.shape[-2:]) for name, value in self._data.items()}
        if len(set(shapes.values())) > 1:
            sizes = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise FkitValueError(f"the maps of {type(self).__name__} differ in height or width: {sizes}.")

    @property
    def shape(self) -> tuple[int, int] | None:
        """(H, W); None without a map."""
        for value in self._data.values():
            return int(value.shape[-2]), int(value.shape[-1])
        return None

    def __getitem__(self, index: Any) -> Self:
        """A part of the plane: ``x[rows, columns]``, each an int (the axis stays) or a slice.

        Raises:
            FkitIndexError: a position outside.
            FkitValueError: a slice whose step is 0.
            FkitTypeError: any other index.
        """
        pair = cast("tuple[Any, ...]", index) if isinstance(index, tuple) else ()
        if len(pair) != 2:
            raise FkitTypeError(f"PixelData is indexed by [rows, columns], not by {quoted(index)}.")
        height, width = self.shape or (0, 0)
        rows, columns = _range(pair[0], height, "row"), _range(pair[1], width, "column")
        data = {name: _window(value, rows, columns) for name, value in self._data.items()}
        return element_of(type(self), data, self._meta)


def _range(index: Any, length: int, word: str) -> "slice[Any, Any, Any]":
    if isinstance(index, slice):
        return parse_slice(cast("slice[Any, Any, Any]", index))
    at = whole(index)
    if at is None:
        raise FkitTypeError(f"a {word} is an int or a slice, not {quoted(index)}.")
    if not -length <= at < length:
        raise FkitIndexError(f"{word} {at} is out of range: there are {length}.")
    return slice(at % length, at % length + 1)


def _window(value: Any, rows: "slice[Any, Any, Any]", columns: "slice[Any, Any, Any]") -> Any:
    if family(value) != "torch":
        return value[:, rows, columns]
    height, width = value.shape[-2:]
    return value[:, forward(rows, height)][:, :, forward(columns, width)]
