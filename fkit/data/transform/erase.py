"""Transforms that blank rectangles out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import as_boxes, image_of, kept, maps_of
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.structures.mask import BitmapMasks
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["CutOut", "RandomErasing", "blanked", "hidden"]

Patches = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class CutOut(Transform):
    """Blank rectangles of the picture out; the objects stay; mmdet's CutOut.

    Args:
        n_holes: how many, or (least, most).
        cutout_shape: (width, height) in pixels, or several, of which one is drawn for each hole. Or
        cutout_ratio: such in parts of the picture's sides.
        fill_in: the colour, one number a channel.

    Params: of each hole x1 y1 x2 y2 in pixels. A hole begins at a point of the picture, and ends at its border.

    Example:
        >>> CutOut(1, (2, 2)).apply({"img": np.ones((2, 4, 1), np.uint8)}, ((0, 0, 2, 2),))["img"].ravel().tolist()
        [0, 0, 1, 1, 0, 0, 1, 1]
    """

    n_holes: int | Sequence[int]
    cutout_shape: Sequence[Any] | None = None
    cutout_ratio: Sequence[Any] | None = None
    fill_in: Sequence[float] = (0, 0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_holes", _count(self.n_holes, "CutOut: n_holes"))
        if (self.cutout_shape is None) == (self.cutout_ratio is None):
            raise FkitValueError("CutOut takes one of cutout_shape and cutout_ratio.")
        for word in ("cutout_shape", "cutout_ratio"):
            if getattr(self, word) is not None:
                object.__setattr__(self, word, _pairs(getattr(self, word), f"CutOut: {word}"))
        expect(self.fill_in, (list, tuple), "CutOut: fill_in is a colour, one number a channel")
        for one in self.fill_in:
            expect_number(one, "CutOut: fill_in")
        object.__setattr__(self, "fill_in", tuple(self.fill_in))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Patches:
        source = needed(rng, self)
        height, width = image_of(sample).shape[:2]
        least, most = cast("tuple[int, int]", self.n_holes)
        sizes = cast("Sequence[tuple[float, float]]", self.cutout_shape or self.cutout_ratio)
        across, down = (width, height) if self.cutout_shape is None else (1, 1)
        holes: list[tuple[int, int, int, int]] = []
        for _ in range(int(source.integers(least, most + 1))):
            x, y = int(source.integers(0, width)), int(source.integers(0, height))
            size = sizes[int(source.integers(0, len(sizes)))]
            wide, high = int(size[0] * across), int(size[1] * down)
            holes.append((x, y, min(x + wide, width), min(y + high, height)))
        return tuple(holes)

    def apply(self, sample: Sample, params: Patches) -> Sample:
        img = image_of(sample)
        fill = self.fill_in if img.ndim == 3 and img.shape[2] == len(self.fill_in) else self.fill_in[:1]
        return replaced(sample, img=blanked(img, params, fill)) if params else sample


@dataclass(frozen=True)
class RandomErasing(Transform):
    """Blank rectangles of the picture out, and drop the objects that they hide; mmdet's RandomErasing.

    Args:
        n_patches: how many, or (least, most).
        ratio: of the patch's sides to the picture's, or (least, largest).
        squared: one ratio for both sides of a patch, else one for each.
        bbox_erased_thr: an object is dropped that is hidden by this part of its box.
        img_border_value: the colour: one number, or one a channel.
        mask_border_value: fills masks.
        seg_ignore_label: fills ``gt_seg_map``.

    Params: of each patch x1 y1 x2 y2 in pixels.

    Example:
        >>> sample = {"img": np.ones((4, 4, 3), np.uint8), "gt_bboxes": np.float32([[0, 0, 2, 2], [0, 0, 4, 4]])}
        >>> RandomErasing(1, 0.5).apply(sample, ((0, 0, 2, 2),))["gt_bboxes"].tolist()
        [[0.0, 0.0, 4.0, 4.0]]
    """

    n_patches: int | Sequence[int]
    ratio: float | Sequence[float]
    squared: bool = True
    bbox_erased_thr: float = 0.9
    img_border_value: float | Sequence[float] = 128
    mask_border_value: int = 0
    seg_ignore_label: int = 255

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "n_patches", _count(self.n_patches, "RandomErasing: n_patches"))
        ratio: Any = self.ratio
        pair = tuple(ratio) if isinstance(ratio, (list, tuple)) else (ratio, ratio)
        for one in pair:
            expect_number(one, "RandomErasing: ratio")
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1] <= 1:
            raise FkitValueError(f"RandomErasing: ratio = {ratio!r} is no part of a side, or (least, largest).")
        object.__setattr__(self, "ratio", pair)
        colour: Any = self.img_border_value
        for one in colour if isinstance(colour, (list, tuple)) else (colour,):
            expect_number(one, "RandomErasing: img_border_value")
        if isinstance(colour, list):
            object.__setattr__(self, "img_border_value", tuple(cast("list[Any]", colour)))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Patches:
        source = needed(rng, self)
        height, width = image_of(sample).shape[:2]
        least, most = cast("tuple[int, int]", self.n_patches)
        small, large = cast("tuple[float, float]", self.ratio)
        patches: list[tuple[int, int, int, int]] = []
        for _ in range(int(source.integers(least, most + 1))):
            down = float(source.random()) * (large - small) + small
            across = down if self.squared else float(source.random()) * (large - small) + small
            high, wide = int(height * down), int(width * across)
            x, y = (int(source.integers(0, max(room, 1))) for room in (width - wide, height - high))
            patches.append((x, y, x + wide, y + high))
        return tuple(patches)

    def apply(self, sample: Sample, params: Patches) -> Sample:
        if not params:
            return sample
        img = image_of(sample)
        changes: dict[str, Any] = {"img": blanked(img, params, self.img_border_value)}
        boxes = as_boxes(sample)
        masks = sample.get("gt_masks")
        if boxes is not None:
            rows = hidden(boxes, params) < self.bbox_erased_thr
            changes.update(kept(sample, rows))
            masks = changes.get("gt_masks")
        if masks is not None:
            if not isinstance(masks, BitmapMasks):
                raise FkitTypeError(
                    "RandomErasing blanks bitmaps out; gt_masks are polygons.",
                    repair="LoadAnnotations(poly2mask=True).",
                )
            blank = masks.masks.copy()
            for x1, y1, x2, y2 in params:
                blank[:, y1:y2, x1:x2] = self.mask_border_value
            changes["gt_masks"] = BitmapMasks(blank, masks.height, masks.width)
        for name in maps_of(sample):
            changes[name] = blanked(sample[name], params, self.seg_ignore_label)
        return replaced(sample, **changes)


def hidden(boxes: NDArray[Any], patches: Sequence[Sequence[int]]) -> NDArray[Any]:
    """(N,) how much of boxes (N, 4) patches hide, in parts of their areas; where patches overlap it counts twice.

    Example:
        >>> hidden(np.float32([[0, 0, 2, 2]]), [(0, 0, 1, 1)]).round(3).tolist()
        [0.25]
    """
    over = np.array(patches).reshape(-1, 4)
    sides = np.maximum(np.minimum(boxes[:, None, 2:], over[:, 2:]) - np.maximum(boxes[:, None, :2], over[:, :2]), 0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return (sides[..., 0] * sides[..., 1]).sum(-1) / (areas + 1e-7)


def blanked(img: NDArray[Any], patches: Patches, fill: Any) -> NDArray[Any]:
    """A copy of an image or a map with rectangles x1 y1 x2 y2 filled.

    Example:
        >>> blanked(np.ones((1, 3)), ((0, 0, 2, 1),), 0).tolist()
        [[0.0, 0.0, 1.0]]
    """
    done = img.copy()
    colours = np.size(fill)
    if colours > 1 and (img.ndim != 3 or img.shape[2] != colours):
        raise FkitValueError(f"{colours} numbers fill a patch of an image of shape {img.shape}: one a channel, or one.")
    for x1, y1, x2, y2 in patches:
        done[y1:y2, x1:x2] = fill
    return done


def _count(value: Any, what: str) -> tuple[int, int]:
    pair: Any = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    for one in pair:
        expect_number(one, what, whole=True)
    if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
        raise FkitValueError(f"{what} = {value!r} is no number, or (least, most).")
    return pair


def _pairs(value: Any, what: str) -> tuple[tuple[float, float], ...]:
    expect(value, (list, tuple), f"{what} is (width, height), or a list of such")
    rows: Any = value if value and isinstance(value[0], (list, tuple)) else (value,)
    for row in rows:
        for one in row if isinstance(row, (list, tuple)) else (row,):
            expect_number(one, what)
        if not isinstance(row, (list, tuple)) or len(row) != 2 or min(row) < 0:
            raise FkitValueError(f"{what} = {value!r} is no (width, height), or a list of such.")
    return tuple((row[0], row[1]) for row in rows)
