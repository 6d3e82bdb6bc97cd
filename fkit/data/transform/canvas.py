"""Transforms that lay the picture elsewhere: shifted, on a larger canvas, about a random centre."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import as_boxes, clip_boxes, image_of, inside, kept, maps_of, move_boxes
from fkit.data.transform.crop import centres_inside
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Expand", "Expansion", "Piece", "RandomCenterCropPad", "RandomShift"]


class Expansion(NamedTuple):
    """A larger canvas, and where the picture lies on it.

    Attributes:
        ratio: of the canvas's sides to the picture's.
        left: pixels.
        top: pixels.
    """

    ratio: float
    left: int
    top: int


@dataclass(frozen=True)
class Expand(Transform):
    """Lay the picture on a larger canvas of one colour; SSD's zoom out, mmdet's Expand.

    Args:
        mean: the colour, in the order of the model's input.
        to_rgb: whether the model takes RGB of BGR pictures: then ``mean`` is turned round.
        ratio_range: least and largest ratio of canvas and picture.
        seg_ignore_label: fills ``gt_seg_map``; needed where there is one.
        prob: of doing anything.

    Params: an `Expansion`, or None. Changes ``img``, ``gt_bboxes``, ``gt_masks``, ``gt_seg_map``; sets ``img_shape``.

    Example:
        >>> Expand().apply({"img": np.ones((2, 3, 3), np.uint8)}, Expansion(2.0, 1, 2))["img"].shape
        (4, 6, 3)
    """

    mean: Sequence[float] = (0, 0, 0)
    to_rgb: bool = True
    ratio_range: Sequence[float] = (1, 4)
    seg_ignore_label: int | None = None
    prob: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "mean", _colour(self.mean, "Expand: mean"))
        low, high = _range(self.ratio_range, "Expand: ratio_range")
        if low < 1:
            raise FkitValueError(
                f"Expand: ratio_range = {self.ratio_range!r}: a canvas is as large as the picture, at least."
            )
        object.__setattr__(self, "ratio_range", (low, high))
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"Expand: prob = {self.prob!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Expansion | None:
        source = needed(rng, self)
        if source.uniform(0, 1) > self.prob:
            return None
        height, width = image_of(sample).shape[:2]
        least, largest = self.ratio_range
        ratio = float(source.uniform(least, largest))
        left, top = (int(source.uniform(0, side * ratio - side)) for side in (width, height))
        return Expansion(ratio, left, top)

    def apply(self, sample: Sample, params: Expansion | None) -> Sample:
        if params is None:
            return sample
        img = image_of(sample)
        height, width = img.shape[:2]
        size = int(height * params.ratio), int(width * params.ratio)
        mean = self.mean[::-1] if self.to_rgb else self.mean
        where = slice(params.top, params.top + height), slice(params.left, params.left + width)
        changes: dict[str, Any] = {"img": _laid(img, size, where, _fill(mean, img)), "img_shape": size}
        boxes = as_boxes(sample)
        if boxes is not None:
            changes["gt_bboxes"] = move_boxes(boxes, params.left, params.top)
        if sample.get("gt_masks") is not None:
            changes["gt_masks"] = sample["gt_masks"].expand(*size, params.top, params.left)
        for name in maps_of(sample):
            if self.seg_ignore_label is None:
                raise FkitTypeError(f"Expand: {name} grows too, and seg_ignore_label is not given.")
            changes[name] = _laid(sample[name], size, where, self.seg_ignore_label)
        return replaced(sample, **changes)


@dataclass(frozen=True)
class RandomShift(Transform):
    """Shift the picture by some pixels, black coming in; YOLOF's shift, mmdet's RandomShift.

    Args:
        prob: of doing anything.
        max_shift_px: the largest shift either way.
        filter_thr_px: objects stay that are wider and higher than this after the shift; where none would, nothing is done.

    Params: (right, down) in pixels, or None. Changes ``img`` and the objects; there is no rule for what would come into maps.

    Example:
        >>> sample = {"img": np.ones((4, 4, 3), np.uint8), "gt_bboxes": np.float32([[0, 0, 3, 3]])}
        >>> RandomShift().apply(sample, (1, 2))["gt_bboxes"].tolist()
        [[1.0, 2.0, 4.0, 4.0]]
    """

    prob: float = 0.5
    max_shift_px: int = 32
    filter_thr_px: float = 1

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "filter_thr_px", int(self.filter_thr_px))
        if not 0 <= self.prob <= 1 or self.max_shift_px < 0:
            raise FkitValueError(f"{self}: prob is in [0, 1], and max_shift_px not negative.")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[int, int] | None:
        source = needed(rng, self)
        if source.uniform(0, 1) >= self.prob:
            return None
        most = self.max_shift_px
        # mmdet draws from numpy's randint, whose upper end is not drawn
        right, down = (int(source.integers(-most, most)) if most else 0 for _ in "xy")
        return right, down

    def apply(self, sample: Sample, params: tuple[int, int] | None) -> Sample:
        if params is None:
            return sample
        right, down = params
        img = image_of(sample)
        height, width = img.shape[:2]
        changes: dict[str, Any] = {}
        boxes = as_boxes(sample)
        if boxes is not None:
            moved = clip_boxes(move_boxes(boxes, right, down), (height, width))
            rows = np.asarray(((moved[:, 2:] - moved[:, :2]) > self.filter_thr_px).all(1))
            if not rows.any():
                return sample
            changes.update(kept(sample, rows), gt_bboxes=moved[rows])
        if any(maps_of(sample)):
            raise FkitTypeError("RandomShift moves boxes, masks and keypoints; it has no rule for gt_seg_map.")
        masks, points = (changes.get(name, sample.get(name)) for name in ("gt_masks", "gt_keypoints"))
        if masks is not None:
            across = masks.translate((height, width), right, "horizontal")
            changes["gt_masks"] = across.translate((height, width), down, "vertical")
        if points is not None:
            changes["gt_keypoints"] = points + np.array((right, down, *(0,) * (points.shape[-1] - 2)), points.dtype)
        done = np.zeros_like(img)
        new = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        old = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
        done[new] = img[old]
        return replaced(sample, img=done, **changes)


class Piece(NamedTuple):
    """A piece about a point, which the picture may not fill.

    Attributes:
        y: the point's row in the picture.
        x: its column.
        height: of the piece.
        width: of the piece.
    """

    y: int
    x: int
    height: int
    width: int


@dataclass(frozen=True)
class RandomCenterCropPad(Transform):
    """Cut a piece about a random point, filled up where it leaves the picture; CornerNet's crop, mmdet's
    RandomCenterCropPad. In tests: the picture in the middle of a larger canvas.

    Args:
        crop_size: (width, height) of the piece in training; None in tests.
        ratios: of these one is drawn for the size.
        border: how far the point stays away from the picture's border, less in small ones.
        mean: the colour that fills up, in the order of the model's input.
        std: kept beside mean, as the reference has it.
        to_rgb: whether the model takes RGB of BGR pictures: then ``mean`` is turned round.
        test_mode: make no draws, pad.
        test_pad_mode: ("logical_or", number): sides are or-ed with it; ("size_divisor", number): multiples of it. None in
            training.
        test_pad_add_pix: pixels more.
        bbox_clip_border: cut boxes at the border.

    Params: a `Piece`. The image is float32. Changes ``img`` and the objects (those stay whose centre is in the piece);
    sets ``img_shape``, in tests ``border`` (4,) float32: where the picture lies: top, bottom, left, right.

    Example:
        >>> pad = RandomCenterCropPad(None, None, None, (0, 0, 0), (1, 1, 1), True, True, ("logical_or", 7))
        >>> pad({"img": np.zeros((9, 12, 3), np.float32)})["img"].shape
        (15, 15, 3)
    """

    crop_size: Sequence[int] | None = None
    ratios: Sequence[float] | None = (0.9, 1.0, 1.1)
    border: int | None = 128
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    to_rgb: bool | None = None
    test_mode: bool = False
    test_pad_mode: Sequence[Any] | None = ("logical_or", 127)
    test_pad_add_pix: int = 0
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.mean is None or self.std is None or self.to_rgb is None:
            raise FkitValueError("RandomCenterCropPad takes mean, std and to_rgb.")
        expect(self.to_rgb, bool, "RandomCenterCropPad: to_rgb is True or False")
        for word in ("mean", "std"):
            object.__setattr__(self, word, _colour(getattr(self, word), f"RandomCenterCropPad: {word}"))
        if self.test_mode:
            if any(part is not None for part in (self.crop_size, self.ratios, self.border)):
                raise FkitValueError("RandomCenterCropPad: with test_mode, crop_size, ratios and border are None.")
            expect(self.test_pad_mode, (list, tuple), "RandomCenterCropPad: test_pad_mode is a word and a number")
            mode = tuple(cast("Sequence[Any]", self.test_pad_mode))
            if len(mode) != 2 or mode[0] not in ("logical_or", "size_divisor"):
                raise FkitValueError(
                    f"RandomCenterCropPad: test_pad_mode = {mode!r} is no ('logical_or' or 'size_divisor', number)."
                )
            expect_number(mode[1], "RandomCenterCropPad: test_pad_mode", whole=True)
            object.__setattr__(self, "test_pad_mode", mode)
            return
        if self.test_pad_mode is not None:
            raise FkitValueError(
                "RandomCenterCropPad: test_pad_mode is for tests.", repair="In training: test_pad_mode=None."
            )
        for word in ("crop_size", "ratios"):
            value: Any = getattr(self, word)
            expect(value, (list, tuple), f"RandomCenterCropPad: {word} is a list of numbers")
            for one in value:
                expect_number(one, f"RandomCenterCropPad: {word}", whole=word == "crop_size")
            if not value or min(value) <= 0:
                raise FkitValueError(f"RandomCenterCropPad: {word} = {value!r}: each is above 0.")
            object.__setattr__(self, word, tuple(value))
        expect_number(self.border, "RandomCenterCropPad: border", whole=True)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Piece:
        height, width = self._image(sample).shape[:2]
        if self.test_mode:
            word, number = cast("tuple[str, int]", self.test_pad_mode)
            high, wide = (
                (side | number) + self.test_pad_add_pix if word == "logical_or" else -(-side // number) * number
                for side in (height, width)
            )
            return Piece(height // 2, width // 2, high, wide)
        source = needed(rng, self)
        boxes = as_boxes(sample)
        ratios, size = cast("tuple[float, ...]", self.ratios), cast("tuple[int, int]", self.crop_size)
        margin_x, margin_y = self._margin(width), self._margin(height)
        while True:
            ratio = ratios[int(source.integers(len(ratios)))]
            high, wide = int(size[1] * ratio), int(size[0] * ratio)
            for _ in range(50):
                x = int(source.integers(margin_x, width - margin_x))
                y = int(source.integers(margin_y, height - margin_y))
                piece = Piece(y, x, high, wide)
                if boxes is None or not len(boxes) or centres_inside(boxes, _patch(piece, height, width)).any():
                    return piece

    def _image(self, sample: Sample) -> NDArray[Any]:
        img = image_of(sample)
        if img.dtype != np.float32 or img.ndim != 3 or img.shape[2] != len(cast("Sequence[float]", self.mean)):
            raise FkitTypeError(
                f"RandomCenterCropPad takes a float32 image of {len(cast('Sequence[float]', self.mean))} channels;"
                f" got {img.shape} {img.dtype}.",
                repair="LoadImageFromFile(to_float32=True).",
            )
        return img

    def _margin(self, side: int) -> int:
        """How far the point stays away from the border of a side: ``border``, halved until it is less than the half."""
        border = cast(int, self.border)
        part = 2 * border / side
        if part <= 0:
            return 0
        return int(border // 2 ** (math.ceil(math.log2(math.ceil(part))) + (part == int(part))))

    def apply(self, sample: Sample, params: Piece) -> Sample:
        img = self._image(sample)
        height, width = img.shape[:2]
        x1, y1, x2, y2 = _patch(params, height, width)
        left, top = params.width // 2 - (params.x - x1), params.height // 2 - (params.y - y1)
        where = slice(top, top + y2 - y1), slice(left, left + x2 - x1)
        mean = cast("tuple[float, ...]", self.mean)
        size = params.height, params.width
        done = _laid(img[y1:y2, x1:x2], size, where, _fill(mean[::-1] if self.to_rgb else mean, img))
        changes: dict[str, Any] = {"img": done, "img_shape": size}
        if self.test_mode:
            border = np.array((top, top + y2 - y1, left, left + x2 - x1), np.float32)
            return replaced(sample, border=border, **changes)
        boxes = as_boxes(sample)
        if boxes is not None and len(boxes):
            if sample.get("gt_masks") is not None or sample.get("gt_seg_map") is not None:
                raise FkitTypeError("RandomCenterCropPad moves boxes; it has no rule for gt_masks and gt_seg_map.")
            moved = move_boxes(boxes, left - x1, top - y1)
            moved = clip_boxes(moved, size) if self.bbox_clip_border else moved
            rows = centres_inside(boxes, (x1, y1, x2, y2)) & inside(moved, size)
            changes.update(kept(sample, rows), gt_bboxes=moved[rows])
        return replaced(sample, **changes)


def _patch(piece: Piece, height: int, width: int) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 of the part of a piece that the picture has."""
    right, down = piece.width // 2, piece.height // 2
    return (
        max(0, piece.x - right),
        max(0, piece.y - down),
        min(piece.x + right, width),
        min(piece.y + down, height),
    )


def _laid(img: NDArray[Any], size: tuple[int, int], where: tuple[slice, slice], fill: Any) -> NDArray[Any]:
    """``img`` on a canvas of ``size`` (height, width) filled with ``fill``."""
    canvas = np.empty((*size, *img.shape[2:]), img.dtype)
    canvas[...] = fill
    canvas[where] = img
    return canvas


def _fill(mean: Sequence[float], img: NDArray[Any]) -> NDArray[Any]:
    """A colour in the picture's dtype, a number a channel; parts of a grey level are cut off."""
    channels = img.shape[2] if img.ndim == 3 else 1
    if len(mean) != channels and len(set(mean)) > 1:
        raise FkitValueError(f"a colour of {len(mean)} numbers for an image of {channels} channels.")
    colour = np.array(mean[:channels] if len(mean) >= channels else mean[:1], np.float64).astype(img.dtype)
    return colour if img.ndim == 3 else colour[0]


def _colour(value: Any, what: str) -> tuple[float, ...]:
    expect(value, (list, tuple), f"{what} is a list of numbers, one a channel")
    for one in value:
        expect_number(one, what)
    if not value:
        raise FkitValueError(f"{what} is empty; it has one number a channel.")
    return tuple(value)


def _range(value: Any, what: str) -> tuple[float, float]:
    expect(value, (list, tuple), f"{what} is (least, largest)")
    for one in value:
        expect_number(one, what)
    if len(value) != 2 or value[0] > value[1]:
        raise FkitValueError(f"{what} = {value!r} is no (least, largest).")
    return value[0], value[1]
