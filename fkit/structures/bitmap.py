"""Masks of instances as bitmaps: one picture of 0 and 1 an object. A frozen value; each method gives a new one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import finite, numbers, whole
from fkit.image.refuse import Image, one_of
from fkit.image.resize import imresize, rescale_size
from fkit.image.warp import DIRECTIONS, imflip, imrotate, imshear, imtranslate
from fkit.structures.freeze import read_only
from fkit.structures.index import parse_index
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["BitmapMasks", "boxes_of", "clipped_box", "joined", "sides"]

_CHANNELS = 64  # of one picture: OpenCV 5 has at most 128


@dataclass(frozen=True, eq=False, repr=False)
class BitmapMasks:
    """Masks as bitmaps; mmdet's BitmapMasks, whose numbers and names these are.

    Args:
        masks: (N, height, width), uint8, bool or float; or a list of N arrays (height, width). Kept as it is, without a
            copy, behind a read-only view. None at all is (0, height, width) uint8.
        height: of each, in pixels.
        width: of each, in pixels.

    Raises:
        FkitTypeError: no array of that many axes.
        FkitValueError: masks of another size.

    Example:
        >>> masks = BitmapMasks(np.eye(3, dtype=np.uint8)[None], 3, 3)
        >>> len(masks), masks.areas.tolist(), masks.get_bboxes().tolist()
        (1, [3], [[0.0, 0.0, 3.0, 3.0]])
        >>> masks.flip().masks[0].tolist()
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """

    masks: NDArray[Any]
    height: int
    width: int

    def __post_init__(self) -> None:
        height, width = (whole("BitmapMasks", word, getattr(self, word), 0) for word in ("height", "width"))
        masks: Any = self.masks
        if isinstance(masks, (list, tuple)):
            masks = _stacked(cast("Sequence[Any]", masks), height, width)
        if not isinstance(masks, np.ndarray) or masks.ndim != 3 or masks.dtype.kind not in "biuf":
            raise FkitTypeError(
                f"BitmapMasks: masks is an array (N, height, width) of numbers, not {quoted(masks, 60)}.",
                repair="One object's mask (height, width) is masks[None].",
            )
        if masks.shape[0] == 0:
            masks = np.empty((0, height, width), np.uint8)
        if masks.shape[1:] != (height, width):
            raise FkitValueError(
                f"BitmapMasks: masks of {masks.shape[1]} x {masks.shape[2]} are not of height {height} and width {width}."
            )
        for name, value in (("masks", read_only(masks)), ("height", height), ("width", width)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.masks)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter(self.masks)

    def __repr__(self) -> str:
        return f"BitmapMasks(num_masks={len(self)}, height={self.height}, width={self.width})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BitmapMasks)
            and (self.height, self.width) == (other.height, other.width)
            and np.array_equal(self.masks, other.masks)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[Any, ...]:
        return BitmapMasks, (np.ascontiguousarray(self.masks), self.height, self.width)

    def __getitem__(self, index: Any) -> "BitmapMasks":
        """Some of the masks: an int (one, the axis is kept), a slice, a list or array of ints, or a mask of bools."""
        rows = parse_index(index, len(self))
        picked = self.masks[rows if isinstance(rows, slice) else rows.positions()]
        return BitmapMasks(picked, self.height, self.width)

    @classmethod
    def cat(cls, masks: Sequence["BitmapMasks"]) -> "BitmapMasks":
        """The masks of several, one after the other; all of one size."""
        parts = joined(cls, masks)
        return BitmapMasks(np.concatenate([part.masks for part in parts]), parts[0].height, parts[0].width)

    @property
    def areas(self) -> NDArray[Any]:
        """(N,) pixels of each."""
        return self.masks.sum((1, 2))

    def get_bboxes(self, dst_type: str = "hbox") -> NDArray[np.float32]:
        """(N, 4) float32 boxes x1 y1 x2 y2 around each, with the last pixel inside; zeros for an empty mask."""
        one_of("get_bboxes", "dst_type", dst_type, ("hbox",))
        return boxes_of(self.masks)

    def to_ndarray(self) -> NDArray[Any]:
        """(N, height, width), read-only."""
        return self.masks

    to_array = to_ndarray

    def to_bitmap(self) -> Self:
        """Itself: what the polygons' method of that name gives is this."""
        return self

    def rescale(self, scale: float | tuple[float, float], interpolation: str = "nearest") -> "BitmapMasks":
        """Resized with the ratio of the sides kept: by a factor, or into two lengths, by ``rescale_size``'s rule."""
        width, height = rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = "nearest") -> "BitmapMasks":
        """Resized to ``out_shape`` (height, width)."""
        height, width = sides("resize", out_shape)
        pixels = self._pixels()
        resized = np.empty((len(self), height, width), pixels.dtype)
        for mask, out in zip(pixels, resized, strict=True):
            imresize(mask, (width, height), interpolation=interpolation, out=out)
        return self._of(resized, height, width)

    def flip(self, flip_direction: str = "horizontal") -> "BitmapMasks":
        """Mirrored: "horizontal", "vertical" or "diagonal"."""
        one_of("flip", "flip_direction", flip_direction, DIRECTIONS)
        pixels = self.masks.transpose(1, 2, 0)
        return BitmapMasks(imflip(pixels, flip_direction).transpose(2, 0, 1), self.height, self.width)

    def pad(self, out_shape: tuple[int, int], pad_val: float = 0) -> "BitmapMasks":
        """Padded below and to the right to ``out_shape`` (height, width) with ``pad_val``."""
        height, width = sides("pad", out_shape)
        return self._laid_on(height, width, 0, 0, pad_val)

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> "BitmapMasks":
        """Laid on a canvas of zeros, ``top`` and ``left`` pixels from its corner."""
        height, width = sides("expand", (expanded_h, expanded_w))
        return self._laid_on(height, width, whole("expand", "top", top, 0), whole("expand", "left", left, 0), 0)

    def crop(self, bbox: NDArray[Any] | Sequence[float]) -> "BitmapMasks":
        """Cut out of ``bbox`` (4,) x1 y1 x2 y2 in whole pixels, clipped to the masks; at least one pixel."""
        left, top, wide, high = clipped_box(bbox, self.height, self.width)
        return BitmapMasks(self.masks[:, top : top + high, left : left + wide], high, wide)

    def crop_and_resize(
        self,
        bboxes: NDArray[Any],
        out_shape: tuple[int, int],
        inds: NDArray[Any],
        device: str = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> "BitmapMasks":
        """The masks ``inds`` (M,) within ``bboxes`` (M, 4), each averaged onto ``out_shape``, as RoIAlign does.

        Args:
            bboxes: x1 y1 x2 y2 in pixels.
            out_shape: (height, width).
            inds: which mask each box cuts.
            device: "cpu"; there for OpenMMLab's calls.
            interpolation: "bilinear".
            binarize: bool answers, true from 0.5; else float32.
        """
        one_of("crop_and_resize", "device", device, ("cpu",))
        one_of("crop_and_resize", "interpolation", interpolation, ("bilinear",))
        height, width = sides("crop_and_resize", out_shape)
        boxes = np.asarray(bboxes, np.float64).reshape(-1, 4)
        picked = self[np.asarray(inds, np.int64)].masks
        out = np.empty((len(boxes), height, width), np.float32)
        for at, (box, mask) in enumerate(zip(boxes, picked, strict=True)):
            x1, y1, x2, y2 = box.tolist()
            across = _averaging(x1, x2 - x1, width, self.width)
            down = _averaging(y1, y2 - y1, height, self.height)
            out[at] = down @ mask.astype(np.float64) @ across.T
        return BitmapMasks(out >= 0.5 if binarize else out, height, width)

    def translate(
        self,
        out_shape: tuple[int, int],
        offset: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> "BitmapMasks":
        """Shifted by ``offset`` pixels on a canvas of ``out_shape`` (height, width)."""
        height, width = sides("translate", out_shape)
        here = self
        if (height, width) != (self.height, self.width):
            there = np.zeros((len(self), height, width), self.masks.dtype)
            common = self.masks[:, :height, :width]
            there[:, : common.shape[1], : common.shape[2]] = common
            here = BitmapMasks(there, height, width)
        return here._warped(lambda img: imtranslate(img, offset, direction, border_value, interpolation))

    def shear(
        self,
        out_shape: tuple[int, int],
        magnitude: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> "BitmapMasks":
        """Sheared by ``magnitude`` pixels a pixel; ``out_shape`` is the masks' own (height, width)."""
        self._check_size("shear", out_shape)
        return self._warped(lambda img: imshear(img, magnitude, direction, border_value, interpolation))

    def rotate(
        self,
        out_shape: tuple[int, int],
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> "BitmapMasks":
        """Turned clockwise by ``angle`` degrees about ``center`` (x, y), the middle where it is None."""
        self._check_size("rotate", out_shape)
        return self._warped(lambda img: imrotate(img, angle, center, scale, border_value, interpolation))

    def _pixels(self) -> NDArray[Any]:
        """The masks in a dtype that OpenCV has."""
        return self.masks.view(np.uint8) if self.masks.dtype == bool else self.masks

    def _of(self, masks: NDArray[Any], height: int, width: int) -> "BitmapMasks":
        return BitmapMasks(masks.astype(self.masks.dtype, copy=False), height, width)

    def _check_size(self, name: str, out_shape: Any) -> None:
        if sides(name, out_shape) != (self.height, self.width):
            raise FkitValueError(
                f"{name}: out_shape = {out_shape!r}; masks of {self.height} x {self.width} keep their size."
            )

    def _warped(self, warp: Callable[[Image], Image]) -> "BitmapMasks":
        """The masks as the channels of pictures, warped."""
        pixels = self._pixels()
        parts = [pixels[at : at + _CHANNELS].transpose(1, 2, 0) for at in range(0, len(self), _CHANNELS)]
        warped = [warp(part).reshape(part.shape).transpose(2, 0, 1) for part in parts]
        return self._of(np.concatenate([self.masks[:0], *warped]), self.height, self.width)

    def _laid_on(self, height: int, width: int, top: int, left: int, fill: float) -> "BitmapMasks":
        if top + self.height > height or left + self.width > width:
            raise FkitValueError(
                f"masks of {self.height} x {self.width} at ({top}, {left}) do not fit into {height} x {width}."
            )
        canvas = np.full((len(self), height, width), finite("pad", "pad_val", fill), self.masks.dtype)
        canvas[:, top : top + self.height, left : left + self.width] = self.masks
        return BitmapMasks(canvas, height, width)


def boxes_of(masks: NDArray[Any]) -> NDArray[np.float32]:
    """(N, 4) boxes x1 y1 x2 y2 around the pixels of (N, H, W) masks; zeros where there are none.

    Example:
        >>> boxes_of(np.array([[[0, 1], [0, 0]], [[0, 0], [0, 0]]])).tolist()
        [[1.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    """
    expect(masks, np.ndarray, "`masks` is an array (N, H, W)")
    if masks.ndim != 3:
        raise FkitValueError(f"`masks` is an array (N, H, W), not one of shape {masks.shape}.")
    boxes = np.zeros((len(masks), 4), np.float32)
    if masks.size:
        columns, rows = np.asarray(masks.any(1)), np.asarray(masks.any(2))
        there = np.asarray(rows.any(1))
        for at, lines in ((0, columns), (1, rows)):
            boxes[there, at] = lines.argmax(1)[there]
            boxes[there, at + 2] = lines.shape[1] - lines[:, ::-1].argmax(1)[there]
    return boxes


def clipped_box(bbox: Any, height: int, width: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of a crop of (4,) x1 y1 x2 y2, clipped to the picture; at least one pixel.

    Example:
        >>> clipped_box([-5, 2, 4, 9], 6, 8)
        (0, 2, 4, 4)
    """
    box = numbers("crop", "bbox", bbox)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise FkitValueError(f"crop: bbox is four numbers x1 y1 x2 y2, not {box.tolist()}.")
    x1, y1, x2, y2 = box.clip(0, (width, height, width, height)).astype(int).tolist()
    if x1 >= width or y1 >= height:
        raise FkitValueError(f"crop: the box {box.tolist()} is beside masks of {height} x {width}.")
    return x1, y1, max(x2 - x1, 1), max(y2 - y1, 1)


def sides(name: str, out_shape: Any) -> tuple[int, int]:
    """(height, width) of an ``out_shape``, checked.

    Example:
        >>> sides("resize", (4, 6))
        (4, 6)
    """
    expect(out_shape, (tuple, list), f"{name}: out_shape is (height, width)")
    if len(out_shape) != 2:
        raise FkitValueError(f"{name}: out_shape is (height, width), not {out_shape!r}.")
    return whole(name, "out_shape", out_shape[0], 0), whole(name, "out_shape", out_shape[1], 0)


def joined(kind: type[Any], masks: Any) -> Sequence[Any]:
    """The masks that ``cat`` joins: at least one, all of one kind and one size.

    Example:
        >>> len(joined(BitmapMasks, [BitmapMasks([], 2, 3)]))
        1
    """
    name = kind.__name__
    expect(masks, (list, tuple), f"{name}.cat takes a list of {name}")
    if not masks:
        raise FkitValueError(f"{name}.cat: the list is empty: of what size would nothing be?")
    for part in masks:
        expect(part, kind, f"{name}.cat takes a list of {name}")
    sizes = {(part.height, part.width) for part in masks}
    if len(sizes) > 1:
        raise FkitValueError(f"{name}.cat: masks are of several sizes (height, width): {sorted(sizes)}.")
    return masks


def _stacked(masks: Sequence[Any], height: int, width: int) -> Any:
    for mask in masks:
        expect(mask, np.ndarray, "BitmapMasks: masks are arrays (height, width)")
        if mask.shape != (height, width):
            raise FkitValueError(f"BitmapMasks: a mask of {mask.shape} is not of ({height}, {width}).")
    return np.stack(masks) if masks else np.empty((0, height, width), np.uint8)


def _averaging(start: float, size: float, out: int, length: int) -> NDArray[np.float64]:
    """(out, length): the weights of pixels in bins of one side of a box; RoIAlign's (aligned, sampling_ratio 0)."""
    weights = np.zeros((out, length))
    each = int(np.ceil(size / out))
    if each <= 0:
        return weights
    at = start - 0.5 + (np.arange(out)[:, None] + (np.arange(each) + 0.5) / each) * (size / out)
    rows = np.broadcast_to(np.arange(out)[:, None], at.shape)
    inside = (at >= -1) & (at <= length)
    at, rows = at[inside].clip(0, length - 1), rows[inside]
    low = at.astype(int)
    np.add.at(weights, (rows, low), (1 - (at - low)) / each)
    np.add.at(weights, (rows, np.minimum(low + 1, length - 1)), (at - low) / each)
    return weights
