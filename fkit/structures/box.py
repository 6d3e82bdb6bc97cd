"""Boxes as a class of their own: mmdet's HorizontalBoxes, as a frozen value over an array of any library."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any, cast

import numpy as np

from fkit.array import box
from fkit.array.code import within
from fkit.array.overlap import overlaps
from fkit.image.argument import finite, numbers
from fkit.image.refuse import one_of
from fkit.structures.bitmap import BitmapMasks, boxes_of
from fkit.structures.content import family, host, operations
from fkit.structures.mask import Masks
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["HorizontalBoxes"]

_MODES = ("xyxy", "cxcywh")


@dataclass(frozen=True, eq=False)
class HorizontalBoxes:
    """Boxes (..., 4) with sides along the axes. Each method gives new ones: where mmdet's ``flip_`` changes its object,
    ``boxes = boxes.flip(...)`` does here.

    Args:
        tensor: (..., 4) numbers x1 y1 x2 y2; an array of numpy, torch or JAX, or lists, which become float32.
        in_mode: "cxcywh" where they are centres and sizes.

    Raises:
        FkitTypeError: no array whose last axis has 4.
        FkitValueError: no such mode.

    Example:
        >>> boxes = HorizontalBoxes([[1, 2, 3, 5]])
        >>> boxes.flip((10, 20)).tensor.tolist(), boxes.areas.tolist()
        ([[17.0, 2.0, 19.0, 5.0]], [6.0])
    """

    tensor: Any
    in_mode: str | None = None

    def __post_init__(self) -> None:
        tensor = self.tensor.tensor if isinstance(self.tensor, HorizontalBoxes) else self.tensor
        if family(tensor) is None:
            tensor = _numbers(tensor)
        if not len(tensor.shape) or tensor.shape[-1] != 4:
            raise FkitTypeError(f"HorizontalBoxes: an array (..., 4), not {quoted(self.tensor, 60)}.")
        if self.in_mode is not None:
            one_of("HorizontalBoxes", "in_mode", self.in_mode, _MODES)
        if self.in_mode == "cxcywh":
            tensor = box.from_centres(operations(tensor), tensor)
        object.__setattr__(self, "tensor", tensor)
        object.__setattr__(self, "in_mode", None)

    def __len__(self) -> int:
        return len(self.tensor)

    def __iter__(self) -> Iterator["HorizontalBoxes"]:
        return (HorizontalBoxes(one) for one in self.tensor)

    def __getitem__(self, index: Any) -> "HorizontalBoxes":
        """Some of the boxes, by whatever the array takes."""
        return HorizontalBoxes(self.tensor[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HorizontalBoxes) and np.array_equal(host(self.tensor), host(other.tensor))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return self.tensor.dtype

    @property
    def xyxy(self) -> Any:
        """(..., 4) corners."""
        return self.tensor

    @property
    def cxcywh(self) -> Any:
        """(..., 4) centres and sizes."""
        return box.to_centres(operations(self.tensor), self.tensor)

    @property
    def centers(self) -> Any:
        """(..., 2)."""
        return (self.tensor[..., 2:] + self.tensor[..., :2]) / 2

    @property
    def areas(self) -> Any:
        """(...,)."""
        return box.area(self.tensor)

    @property
    def widths(self) -> Any:
        """(...,)."""
        return self.tensor[..., 2] - self.tensor[..., 0]

    @property
    def heights(self) -> Any:
        """(...,)."""
        return self.tensor[..., 3] - self.tensor[..., 1]

    def numpy(self) -> Any:
        """The array as numpy has it."""
        return host(self.tensor)

    def convert_to(self, dst_type: str) -> "HorizontalBoxes":
        """Itself: "hbox" is the one type there is."""
        one_of("convert_to", "dst_type", dst_type, ("hbox",))
        return self

    def flip(self, img_shape: Any, direction: str = "horizontal") -> "HorizontalBoxes":
        """In the mirrored image of (height, width); "horizontal", "vertical" or "diagonal"."""
        return self._by(box.flipped, _pair("flip", "img_shape", img_shape), direction)

    def translate(self, distances: Any) -> "HorizontalBoxes":
        """Moved by (x, y)."""
        x, y = _pair("translate", "distances", distances)
        return HorizontalBoxes(self.tensor + operations(self.tensor).asarray((x, y, x, y), self.tensor))

    def clip(self, img_shape: Any) -> "HorizontalBoxes":
        """Cut at the border of an image of (height, width)."""
        return self._by(within, _pair("clip", "img_shape", img_shape))

    def rotate(self, center: Any, angle: float) -> "HorizontalBoxes":
        """The boxes around the corners turned about ``center`` (x, y) by so many degrees, clockwise."""
        x, y = _pair("rotate", "center", center)
        turn = radians(finite("rotate", "angle", angle))
        a, b = cos(turn), -sin(turn)
        return self.project(((a, b, (1 - a) * x - b * y), (-b, a, b * x + (1 - a) * y), (0, 0, 1)))

    def project(self, homography_matrix: Any) -> "HorizontalBoxes":
        """The boxes around the corners after a projective map (3, 3)."""
        matrix = homography_matrix if family(homography_matrix) else np.asarray(homography_matrix, np.float64)
        if tuple(matrix.shape) != (3, 3):
            raise FkitTypeError(f"project: homography_matrix is an array (3, 3), not {quoted(homography_matrix, 60)}.")
        return self._by(box.projected, operations(self.tensor).asarray(host(matrix), self.tensor))

    def rescale(self, scale_factor: Any) -> "HorizontalBoxes":
        """In an image of which width and height are multiplied by two numbers."""
        return self._by(box.scaled, _pair("rescale", "scale_factor", scale_factor))

    def resize(self, scale_factor: Any) -> "HorizontalBoxes":
        """With widths and heights multiplied by two numbers, about their centres."""
        return self._by(box.resized, _pair("resize", "scale_factor", scale_factor))

    def is_inside(self, img_shape: Any, all_inside: bool = False, allowed_border: float = 0) -> Any:
        """(...,) bool: which lie in an image of (height, width); see `fkit.array.box.inside`."""
        border = finite("is_inside", "allowed_border", allowed_border)
        return box.inside(self.tensor, _pair("is_inside", "img_shape", img_shape), border, all_inside)

    def find_inside_points(self, points: Any, is_aligned: bool = False) -> Any:
        """(M, N) bool: whether each of the points (M, 2) lies in each box; (N,) where aligned.

        Raises:
            FkitTypeError: no points, or as many as there are boxes where aligned.
        """
        shape = tuple(getattr(points, "shape", ()))
        if len(self.shape) != 2 or len(shape) != 2 or shape[1] != 2 or (is_aligned and shape[0] != len(self)):
            raise FkitTypeError(
                f"find_inside_points: an array (M, 2) for boxes {self.shape}, not {quoted(points, 60)}."
            )
        return box.holds(self.tensor, points, is_aligned)

    def overlaps(self, other: "HorizontalBoxes", mode: str = "iou", is_aligned: bool = False, eps: float = 1e-6) -> Any:
        """How much these boxes overlap others; see `fkit.array.overlap.overlaps`."""
        expect(other, HorizontalBoxes, "`other` are HorizontalBoxes")
        return overlaps(operations(self.tensor), self.tensor, other.tensor, mode, is_aligned, eps)

    def create_masks(self, img_shape: Any) -> BitmapMasks:
        """Masks of an image of (height, width) that are 1 in each box; a side below 0 counts from the image's end, as a slice of
        mmdet's does."""
        height, width = (int(side) for side in _pair("create_masks", "img_shape", img_shape))
        left, top, right, bottom = host(self.tensor).astype(np.int64).reshape(-1, 4).T[:, :, None]
        top, bottom, left, right = (
            np.where(one < 0, one + side, one)
            for one, side in ((top, height), (bottom, height), (left, width), (right, width))
        )
        rows, columns = np.arange(height), np.arange(width)
        down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
        return BitmapMasks((down[:, :, None] & across[:, None, :]).astype(np.uint8), height, width)

    @staticmethod
    def from_instance_masks(masks: Masks) -> "HorizontalBoxes":
        """The boxes around masks.

        Raises:
            FkitTypeError: these are no masks.
        """
        if not isinstance(cast("object", masks), Masks):
            raise FkitTypeError(f"from_instance_masks: BitmapMasks or PolygonMasks, not {quoted(masks, 60)}.")
        return HorizontalBoxes(boxes_of(masks.masks) if isinstance(masks, BitmapMasks) else masks.get_bboxes())

    @classmethod
    def cat(cls, boxes: Sequence["HorizontalBoxes"]) -> "HorizontalBoxes":
        """The boxes of several, one after the other.

        Raises:
            FkitTypeError: these are no boxes.
        """
        parts = list(boxes) if isinstance(cast("object", boxes), Sequence) else []
        if not parts or any(not isinstance(cast("object", part), HorizontalBoxes) for part in parts):
            raise FkitTypeError(f"cat: a list of HorizontalBoxes, not {quoted(boxes, 60)}.")
        return cls(operations(parts[0].tensor).lib.concat([part.tensor for part in parts], axis=0))

    def _by(self, function: Callable[..., Any], *args: Any) -> "HorizontalBoxes":
        return HorizontalBoxes(function(operations(self.tensor), self.tensor, *args))


def _numbers(values: Any) -> Any:
    try:
        return np.asarray(values, np.float32)
    except (TypeError, ValueError) as cause:
        raise FkitTypeError(f"HorizontalBoxes: an array (..., 4), not {quoted(values, 60)}.") from cause


def _pair(name: str, parameter: str, value: Any) -> tuple[float, float]:
    vector = numbers(name, parameter, value)
    if len(vector) != 2:
        raise FkitTypeError(f"{name}: {parameter} are two numbers, not {quoted(value, 60)}.")
    return float(vector[0]), float(vector[1])
