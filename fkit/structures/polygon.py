"""Masks of instances as polygons: a few corners in place of a bitmap. A frozen value; each method gives a new one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import finite, pair, whole
from fkit.image.refuse import one_of
from fkit.image.resize import rescale_size
from fkit.image.warp import DIRECTIONS
from fkit.structures.bitmap import BitmapMasks, clipped_box, joined, sides
from fkit.structures.clip import clip_polygon
from fkit.structures.coco import polygon_to_bitmap
from fkit.structures.freeze import read_only
from fkit.structures.index import parse_index
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, quoted

__all__ = ["PolygonMasks"]

Part = NDArray[np.floating[Any]]
Points = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class PolygonMasks:
    """Masks as polygons; mmdet's PolygonMasks, whose numbers and names these are.

    Args:
        masks: of each object its parts, each part a flat array or list x y x y ... in pixels. Kept as tuples of
            read-only arrays of floats: corners in whole numbers are not cut to whole numbers by what follows.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Raises:
        FkitTypeError: no lists of lists of numbers.
        FkitValueError: a part with an odd number of coordinates, or none.

    Example:
        >>> masks = PolygonMasks([[[0, 0, 4, 0, 4, 2]]], height=5, width=8)
        >>> masks.areas.tolist(), masks.get_bboxes().tolist()
        ([4.0], [[0.0, 0.0, 4.0, 2.0]])
        >>> masks.flip().masks[0][0].tolist()
        [8.0, 0.0, 4.0, 0.0, 4.0, 2.0]
    """

    masks: tuple[tuple[Part, ...], ...]
    height: int
    width: int

    def __post_init__(self) -> None:
        expect(self.masks, (list, tuple), "PolygonMasks: masks is a list of objects, each a list of parts")
        for word in ("height", "width"):
            object.__setattr__(self, word, whole("PolygonMasks", word, getattr(self, word), 0))
        object.__setattr__(self, "masks", tuple(_object(parts) for parts in self.masks))

    def __len__(self) -> int:
        return len(self.masks)

    def __iter__(self) -> Iterator[tuple[Part, ...]]:
        return iter(self.masks)

    def __repr__(self) -> str:
        return f"PolygonMasks(num_masks={len(self)}, height={self.height}, width={self.width})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PolygonMasks)
            and (self.height, self.width) == (other.height, other.width)
            and [len(parts) for parts in self.masks] == [len(parts) for parts in other.masks]
            and all(np.array_equal(a, b) for a, b in zip(self._parts(), other._parts(), strict=True))
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[Any, ...]:
        return PolygonMasks, (self.masks, self.height, self.width)

    def __getitem__(self, index: Any) -> "PolygonMasks":
        """Some of the masks: an int (one, the axis is kept), a slice, a list or array of ints, or a mask of bools."""
        rows = parse_index(index, len(self))
        if isinstance(rows, slice):
            return _of_parts(self.masks[rows], self.height, self.width)
        return _of_parts(tuple(self.masks[at] for at in rows.positions().tolist()), self.height, self.width)

    @classmethod
    def cat(cls, masks: Sequence["PolygonMasks"]) -> "PolygonMasks":
        """The masks of several, one after the other; all of one size."""
        parts = joined(cls, masks)
        return _of_parts(tuple(one for part in parts for one in part.masks), parts[0].height, parts[0].width)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(N,) pixels of each, by the shoelace formula; parts that overlap count twice."""
        return np.array([sum(_area(part) for part in parts) for parts in self.masks], np.float64)

    def get_bboxes(self, dst_type: str = "hbox") -> NDArray[np.float32]:
        """(N, 4) float32 boxes x1 y1 x2 y2 around the corners; an edge at or below 0 is at 0 on the far side."""
        one_of("get_bboxes", "dst_type", dst_type, ("hbox",))
        boxes = np.empty((len(self), 4), np.float32)
        for box, parts in zip(boxes, self.masks, strict=True):
            points = np.concatenate([part.reshape(-1, 2) for part in parts] or [np.empty((0, 2))])
            box[:2] = np.minimum((self.width * 2, self.height * 2), points.min(0, initial=np.inf))
            box[2:] = points.max(0, initial=0)
        return boxes

    def to_ndarray(self) -> NDArray[Any]:
        """(N, height, width) bool, by pycocotools' rule of which pixels are inside."""
        if not self.masks:
            return np.empty((0, self.height, self.width), np.uint8)
        return np.stack([polygon_to_bitmap(parts, self.height, self.width) for parts in self.masks])

    to_array = to_ndarray

    def to_bitmap(self) -> BitmapMasks:
        """The masks as bitmaps, uint8."""
        return BitmapMasks(self.to_ndarray().view(np.uint8), self.height, self.width)

    def rescale(self, scale: float | tuple[float, float], interpolation: str | None = None) -> "PolygonMasks":
        """Resized with the ratio of the sides kept: by a factor, or into two lengths, by ``rescale_size``'s rule."""
        width, height = rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str | None = None) -> "PolygonMasks":
        """Resized to ``out_shape`` (height, width); polygons need no interpolation."""
        height, width = sides("resize", out_shape)
        factors = (width / max(self.width, 1), height / max(self.height, 1))
        return self._moved(lambda points: points * factors, (height, width))

    def flip(self, flip_direction: str = "horizontal") -> "PolygonMasks":
        """Mirrored: "horizontal" (x becomes width - x), "vertical" or "diagonal"."""
        one_of("flip", "flip_direction", flip_direction, DIRECTIONS)
        across, down = flip_direction != "vertical", flip_direction != "horizontal"
        start, sign = (self.width * across, self.height * down), (1 - 2 * across, 1 - 2 * down)
        return self._moved(lambda points: start + points * sign, (self.height, self.width))

    def pad(self, out_shape: tuple[int, int], pad_val: float = 0) -> "PolygonMasks":
        """On a picture of ``out_shape`` (height, width): the corners stay."""
        return _of_parts(self.masks, *sides("pad", out_shape))

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> "PolygonMasks":
        """On a larger picture, ``top`` and ``left`` pixels from its corner. (mmdet has it for bitmaps only.)"""
        shape = sides("expand", (expanded_h, expanded_w))
        shift = (whole("expand", "left", left, 0), whole("expand", "top", top, 0))
        return self._moved(lambda points: points + shift, shape)

    def crop(self, bbox: NDArray[Any] | Sequence[float]) -> "PolygonMasks":
        """Cut out of ``bbox`` (4,) x1 y1 x2 y2, clipped to the picture; at least one pixel.

        A part that the box cuts in two becomes two. Of an object with nothing inside stays one part of three corners
        at 0, so that masks and boxes keep going together.
        """
        left, top, wide, high = clipped_box(bbox, self.height, self.width)
        nothing = (np.zeros(6),)
        cropped: list[tuple[Part, ...]] = []
        for parts in self.masks:
            inside = [
                (points - (left, top)).reshape(-1)
                for part in parts
                for points in clip_polygon(part.reshape(-1, 2), (left, top, left + wide, top + high))
            ]
            cropped.append(tuple(inside) or nothing)
        return _of_parts(tuple(cropped), high, wide)

    def crop_and_resize(
        self,
        bboxes: NDArray[Any],
        out_shape: tuple[int, int],
        inds: NDArray[Any],
        device: str = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> "PolygonMasks":
        """The masks ``inds`` (M,) within ``bboxes`` (M, 4) x1 y1 x2 y2, each box stretched to ``out_shape``.

        Corners outside a box stay, outside the new picture. ``binarize`` can only be True: polygons have no grey.
        """
        height, width = sides("crop_and_resize", out_shape)
        if not binarize:
            raise FkitValueError("crop_and_resize: polygons have no grey levels; binarize=False is for bitmaps.")
        boxes = np.asarray(bboxes).reshape(-1, 4)
        picked = self[np.asarray(inds, np.int64)]
        cut: list[tuple[Part, ...]] = []
        for box, parts in zip(boxes, picked.masks, strict=True):
            size = np.maximum(box[2:] - box[:2], 1)
            factors = (width / size[0], height / size[1])
            cut.append(tuple(((part.reshape(-1, 2) - box[:2]) * factors).reshape(-1) for part in parts))
        return _of_parts(tuple(cut), height, width)

    def translate(
        self,
        out_shape: tuple[int, int],
        offset: float,
        direction: str = "horizontal",
        border_value: int | None = None,
        interpolation: str | None = None,
    ) -> "PolygonMasks":
        """Shifted by ``offset`` pixels; that coordinate is clipped to ``out_shape`` (height, width)."""
        shape = sides("translate", out_shape)
        one_of("translate", "direction", direction, DIRECTIONS[:2])
        _check_border("translate", border_value)
        axis = DIRECTIONS.index(direction)
        by = finite("translate", "offset", offset)

        def shifted(points: Points) -> Points:
            moved = points.copy()
            moved[:, axis] = (points[:, axis] + by).clip(0, shape[1 - axis])
            return moved

        return self._moved(shifted, shape)

    def shear(
        self,
        out_shape: tuple[int, int],
        magnitude: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> "PolygonMasks":
        """Sheared by ``magnitude`` pixels a pixel, clipped to ``out_shape`` (height, width)."""
        shape = sides("shear", out_shape)
        one_of("shear", "direction", direction, DIRECTIONS[:2])
        by = float(np.float32(finite("shear", "magnitude", magnitude)))  # the reference's matrix is float32
        matrix = np.array(((1, by), (0, 1)) if direction == "horizontal" else ((1, 0), (by, 1)))
        return self._moved(lambda points: (points @ matrix.T).clip(0, shape[::-1]), shape)

    def rotate(
        self,
        out_shape: tuple[int, int],
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> "PolygonMasks":
        """Turned clockwise by ``angle`` degrees about ``center`` (x, y), clipped to ``out_shape`` (height, width).

        Where ``center`` is None it is (0, 0), as in mmdet; bitmaps turn about their middle.
        """
        shape = sides("rotate", out_shape)
        about = (0.0, 0.0) if center is None else pair("rotate", "center", center)
        angle, scale = finite("rotate", "angle", angle), finite("rotate", "scale", scale)
        matrix = np.asarray(cv2.getRotationMatrix2D(about, -angle, scale), np.float64)
        return self._moved(lambda points: (points @ matrix[:, :2].T + matrix[:, 2]).clip(0, shape[::-1]), shape)

    def _parts(self) -> list[Part]:
        return [part for parts in self.masks for part in parts]

    def _moved(self, move: Callable[[Points], Points], out_shape: tuple[int, int]) -> "PolygonMasks":
        """Each corner where ``move``, a function of (n, 2) points, puts it: all at once."""
        parts = self._parts()
        if not parts:
            return _of_parts(self.masks, *out_shape)
        moved = move(np.concatenate(parts).reshape(-1, 2)).reshape(-1)
        split = iter(np.split(moved, np.cumsum([len(part) for part in parts[:-1]])))
        return _of_parts(tuple(tuple(next(split) for _ in parts) for parts in self.masks), *out_shape)


def _of_parts(masks: tuple[tuple[Part, ...], ...], height: int, width: int) -> PolygonMasks:
    """Polygons of parts that were checked before."""
    polygons = object.__new__(PolygonMasks)
    kept = tuple(tuple(read_only(part) for part in parts) for parts in masks)
    for name, value in (("masks", kept), ("height", height), ("width", width)):
        object.__setattr__(polygons, name, value)
    return polygons


def _object(parts: Any) -> tuple[Part, ...]:
    expect(parts, (list, tuple), "PolygonMasks: an object is a list of its parts, each x y x y ...")
    return tuple(_part(part) for part in parts)


def _part(part: Any) -> Part:
    expect(part, (np.ndarray, list, tuple), "PolygonMasks: a part is a flat array x y x y ...")
    try:
        array: Any = np.asarray(part)
        if array.dtype.kind != "f":
            array = array.astype(np.float64)
    except (ValueError, TypeError) as cause:
        raise FkitValueError(f"PolygonMasks: the part {quoted(part, 60)} is no flat list x y x y ...") from cause
    if array.ndim != 1 or array.size == 0 or array.size % 2:
        raise FkitValueError(
            f"PolygonMasks: a part of shape {array.shape} is no flat array x y x y ... of an even length."
        )
    return read_only(cast(Part, array))


def _area(part: Part) -> float:
    x, y = part[0::2], part[1::2]
    return float(0.5 * np.abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def _check_border(name: str, border_value: Any) -> None:
    if border_value is not None and border_value != 0:
        raise FkitValueError(f"{name}: border_value = {border_value!r}: polygons have no border to fill; 0 or None.")
