"""Transforms that cut a piece out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import (
    as_boxes,
    clip_boxes,
    homography,
    image_of,
    inside,
    kept,
    maps_of,
    move_boxes,
    overlaps,
)
from fkit.data.transform.draw import needed
from fkit.data.transform.pad import Pad
from fkit.data.transform.resize import scale_pair
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.refuse import one_of
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["CenterCrop", "Crop", "MinIoURandomCrop", "RandomCrop", "centres_inside", "cut"]

_TYPES = ("absolute", "absolute_range", "relative", "relative_range")
_PAD: Mapping[str, Any] = frozen({"type": "Pad"})


class Crop(NamedTuple):
    """A piece of a picture, in pixels.

    Attributes:
        top: first row.
        left: first column.
        height: rows; those that the picture does not have are not there.
        width: columns.
    """

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Cut out the middle; mmcv 2.x's CenterCrop.

    Args:
        crop_size: (width, height) in pixels; one int makes a square.
        auto_pad: pad a picture that is smaller; else the piece is as large as the picture.
        pad_cfg: arguments of that `Pad`, but its size.
        clip_object_border: cut boxes at the border.

    Changes ``img``, ``gt_seg_map``, ``gt_bboxes`` and ``gt_masks`` (all objects stay), ``gt_keypoints`` (clipped; those
    outside become invisible). Sets ``img_shape`` and ``pad_shape`` (height, width).

    Example:
        >>> CenterCrop(4)({"img": np.zeros((8, 6, 3), np.uint8)})["img"].shape
        (4, 4, 3)
    """

    crop_size: int | Sequence[int]
    auto_pad: bool = False
    pad_cfg: Mapping[str, Any] = _PAD
    clip_object_border: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "crop_size", scale_pair(self.crop_size, "CenterCrop: crop_size"))
        expect(self.pad_cfg, Mapping, "CenterCrop: pad_cfg is a mapping of Pad's arguments")
        name = str(self.pad_cfg.get("type", "Pad"))
        if name.rpartition(".")[2] != "Pad":
            raise FkitValueError(f"CenterCrop: pad_cfg is of {name!r}; it pads by 'Pad'.")
        object.__setattr__(self, "pad_cfg", frozen(self.pad_cfg))
        self._pad((1, 1))  # refuses arguments that Pad does not have

    def _pad(self, size: tuple[int, int]) -> Pad:
        arguments: dict[str, Any] = {key: value for key, value in self.pad_cfg.items() if key not in ("type", "size")}
        try:
            return Pad(size, **arguments)
        except TypeError as cause:
            raise FkitTypeError(f"CenterCrop: pad_cfg: {cause}") from cause

    def apply(self, sample: Sample, params: Any) -> Sample:
        wide, high = cast("tuple[int, int]", self.crop_size)
        height, width = image_of(sample).shape[:2]
        if self.auto_pad and (high > height or wide > width):
            height, width = max(height, high), max(width, wide)
            sample = self._pad((width, height)).apply(sample, None)
        high, wide = min(high, height), min(wide, width)
        crop = Crop(round((height - high) / 2), round((width - wide) / 2), high, wide)
        changes = cut(sample, crop)
        boxes = as_boxes(sample)
        if boxes is not None:
            moved = move_boxes(boxes, -crop.left, -crop.top)
            changes["gt_bboxes"] = clip_boxes(moved, (high, wide)) if self.clip_object_border else moved
        if sample.get("gt_masks") is not None:
            box = (crop.left, crop.top, crop.left + wide, crop.top + high)
            changes["gt_masks"] = sample["gt_masks"].crop(box)
        if sample.get("gt_keypoints") is not None:
            changes["gt_keypoints"] = _cut_points(sample["gt_keypoints"], crop)
        return replaced(sample, pad_shape=(high, wide), **changes)


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Cut out a piece at a random place, of a random size where asked; mmdet's RandomCrop.

    Args:
        crop_size: (width, height) in pixels with "absolute"; the least and the largest side with "absolute_range"; in
            parts of the picture's (width, height) with "relative"; the least such parts (of height, of width) with
            "relative_range", the largest being 1.
        crop_type: "absolute", "absolute_range", "relative" or "relative_range".
        allow_negative_crop: whether a piece without any object may be; else such a sample is dropped (None).
        recompute_bbox: take the boxes from the masks that are left.
        bbox_clip_border: cut boxes at the border.

    Params: a `Crop`. Changes ``img``, ``gt_bboxes`` with what else there is of each object that is at least in part inside,
    ``gt_seg_map`` and the maps of ``seg_fields``; sets ``img_shape``, ``homography_matrix``.

    Example:
        >>> sample = {"img": np.zeros((8, 6, 3), np.uint8), "gt_bboxes": np.float32([[1, 1, 5, 5], [0, 0, 1, 1]])}
        >>> RandomCrop((4, 3)).apply(sample, Crop(2, 2, 3, 4))["gt_bboxes"].tolist()
        [[0.0, 0.0, 3.0, 3.0]]
    """

    crop_size: Sequence[float]
    crop_type: str = "absolute"
    allow_negative_crop: bool = False
    recompute_bbox: bool = False
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        one_of("RandomCrop", "crop_type", self.crop_type, _TYPES)
        absolute = self.crop_type.startswith("absolute")
        expect(self.crop_size, (list, tuple), "RandomCrop: crop_size is two numbers")
        for side in self.crop_size:
            expect_number(side, "RandomCrop: crop_size", whole=absolute)
        size = tuple(self.crop_size)
        if len(size) != 2 or min(size) <= 0 or (not absolute and max(size) > 1):
            word = "whole numbers above 0" if absolute else "parts above 0, at most 1"
            raise FkitValueError(
                f"RandomCrop: crop_size = {self.crop_size!r}; with {self.crop_type!r} it is two {word}."
            )
        if self.crop_type == "absolute_range" and size[0] > size[1]:
            raise FkitValueError(
                f"RandomCrop: crop_size = {self.crop_size!r} is no range: its least is above its largest."
            )
        object.__setattr__(self, "crop_size", size)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop:
        source = needed(rng, self)
        height, width = image_of(sample).shape[:2]
        high, wide = self._size(height, width, source)
        top, left = (int(source.integers(0, max(room, 0) + 1)) for room in (height - high, width - wide))
        return Crop(top, left, high, wide)

    def _size(self, height: int, width: int, source: np.random.Generator) -> tuple[int, int]:
        first, second = self.crop_size
        if self.crop_type == "absolute":
            return min(int(second), height), min(int(first), width)
        if self.crop_type == "absolute_range":
            least, largest = int(first), int(second)
            high, wide = (int(source.integers(min(side, least), min(side, largest) + 1)) for side in (height, width))
            return high, wide
        if self.crop_type == "relative":
            return int(height * second + 0.5), int(width * first + 0.5)
        down, across = (float(least + source.random() * (1 - least)) for least in (first, second))
        return int(height * down + 0.5), int(width * across + 0.5)

    def apply(self, sample: Sample, params: Crop) -> Any:
        changes = cut(sample, params)
        boxes = as_boxes(sample)
        if boxes is not None:
            shape = changes["img_shape"]
            moved = move_boxes(boxes, -params.left, -params.top)
            if self.bbox_clip_border:
                moved = clip_boxes(moved, shape)
            rows = inside(moved, shape)
            if not rows.any() and not self.allow_negative_crop:
                return None
            changes.update(kept(sample, rows), gt_bboxes=moved[rows])
            if "gt_masks" in changes:
                box = (params.left, params.top, params.left + params.width, params.top + params.height)
                changes["gt_masks"] = changes["gt_masks"].crop(box)
                if self.recompute_bbox:
                    changes["gt_bboxes"] = changes["gt_masks"].get_bboxes()
        matrix = homography(sample, ((1, 0, -params.left), (0, 1, -params.top), (0, 0, 1)))
        return replaced(sample, homography_matrix=matrix, **changes)


@dataclass(frozen=True)
class MinIoURandomCrop(Transform):
    """Cut out a piece that each object overlaps enough; SSD's crop, mmdet's MinIoURandomCrop.

    Args:
        min_ious: of these, of "the whole picture" and of "no matter", one is drawn.
        min_crop_size: the least side, in parts of the picture's.
        bbox_clip_border: cut boxes at the border.

    Params: a `Crop`, or None for the whole picture. Objects stay whose centre is inside. Changes ``img``, the objects,
    ``gt_seg_map``; sets ``img_shape``.

    Example:
        >>> sample = {"img": np.zeros((8, 8, 3), np.uint8), "gt_bboxes": np.float32([[0, 0, 4, 4], [4, 4, 8, 8]])}
        >>> MinIoURandomCrop().apply(sample, Crop(0, 0, 5, 5))["gt_bboxes"].tolist()
        [[0.0, 0.0, 4.0, 4.0]]
    """

    min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9)
    min_crop_size: float = 0.3
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.min_ious, (list, tuple), "MinIoURandomCrop: min_ious is a list of numbers")
        for one in self.min_ious:
            expect_number(one, "MinIoURandomCrop: min_ious")
        object.__setattr__(self, "min_ious", tuple(self.min_ious))
        if not 0 < self.min_crop_size <= 1:
            raise FkitValueError(f"MinIoURandomCrop: min_crop_size = {self.min_crop_size!r} is not in (0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop | None:
        source = needed(rng, self)
        height, width = image_of(sample).shape[:2]
        modes = (1.0, *self.min_ious, 0.0)
        while True:
            least = modes[int(source.integers(len(modes)))]
            if least == 1:
                return None
            for _ in range(50):
                wide, high = (float(source.uniform(self.min_crop_size * side, side)) for side in (width, height))
                if not 0.5 <= high / wide <= 2:
                    continue
                # the reference draws a place between the rightmost one and the first pixel
                left, top = (source.uniform(*_order(1.0, room)) for room in (width - wide, height - high))
                x1, y1, x2, y2 = int(left), int(top), int(left + wide), int(top + high)
                crop = Crop(y1, x1, y2 - y1, x2 - x1)
                if crop.height and crop.width and self.fits(sample, crop, least):
                    return crop

    def fits(self, sample: Sample, crop: Crop, least: float) -> bool:
        """Whether each object of a sample overlaps a piece by ``least`` (IoU), and any has its centre inside."""
        boxes = as_boxes(sample)
        if boxes is None or not len(boxes):
            return True
        box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
        return bool(overlaps(boxes, box).min() >= least) and bool(centres_inside(boxes, box).any())

    def apply(self, sample: Sample, params: Crop | None) -> Sample:
        if params is None:
            return sample
        changes = cut(sample, params)
        boxes = as_boxes(sample)
        if boxes is not None and len(boxes):
            box = (params.left, params.top, params.left + params.width, params.top + params.height)
            rows = centres_inside(boxes, box)
            moved = move_boxes(boxes[rows], -params.left, -params.top)
            changes.update(kept(sample, rows))
            changes["gt_bboxes"] = clip_boxes(moved, changes["img_shape"]) if self.bbox_clip_border else moved
            if "gt_masks" in changes:
                changes["gt_masks"] = changes["gt_masks"].crop(box)
        return replaced(sample, **changes)


def cut(sample: Sample, crop: Crop) -> dict[str, Any]:
    """What changes in picture and maps when a piece is cut out: views, nothing is copied.

    Example:
        >>> cut({"img": np.zeros((8, 6, 3))}, Crop(6, 1, 4, 3))["img_shape"]
        (2, 3)
    """
    piece = slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)
    img = image_of(sample)[piece]
    return {"img": img, "img_shape": img.shape[:2], **{name: sample[name][piece] for name in maps_of(sample)}}


def centres_inside(boxes: NDArray[Any], box: Sequence[float]) -> NDArray[np.bool_]:
    """(N,) whether the centres of boxes (N, 4) are within a box x1 y1 x2 y2, its edge not counted.

    Example:
        >>> centres_inside(np.float32([[0, 0, 2, 2], [0, 0, 8, 8]]), (0, 0, 4, 4)).tolist()
        [True, False]
    """
    x1, y1, x2, y2 = box
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return (x > x1) & (y > y1) & (x < x2) & (y < y2)


def _order(a: float, b: float) -> tuple[float, float]:
    return (a, b) if a < b else (b, a)


def _cut_points(points: NDArray[Any], crop: Crop) -> NDArray[Any]:
    done = points.astype(np.float32) if points.dtype.kind != "f" else points.copy()
    done[..., :2] -= np.array((crop.left, crop.top), done.dtype)
    size = (crop.width, crop.height)
    seen = ((done[..., :2] >= 0) & (done[..., :2] < size)).all(-1)
    done[..., 2] = np.where(seen, done[..., 2], 0)
    done[..., :2] = done[..., :2].clip(0, size)
    return done
