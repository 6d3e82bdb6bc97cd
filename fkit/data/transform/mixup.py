"""Two samples in one: mix-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import clip_boxes, flip_boxes, image_of, inside, kept, move_boxes, scale_boxes
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import another, between, needed
from fkit.data.transform.mosaic import check_cache, fitted, joined, no_maps, size_of
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.resize import imresize
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["CachedMixUp", "MixUp", "Mixture", "colour", "offset_of", "overlaid"]


class Mixture(NamedTuple):
    """What `MixUp` decided.

    Attributes:
        other: the other sample.
        factor: of its size, once it is fitted into ``img_scale``.
        flip: whether it is mirrored.
        offset: (x, y) in pixels, where this image is cut out of the other's.
    """

    other: Sample
    factor: float
    flip: bool
    offset: tuple[int, int]


@dataclass(frozen=True)
class MixUp(Transform):
    """The mean of this image and another, with the objects of both; mmdet's MixUp, of YOLOX.

    Args:
        img_scale: (width, height) that the other image is fitted into, its ratio kept.
        ratio_range: the least and the greatest factor of its size after that.
        flip_ratio: the other image stays as it is with this probability; else it is mirrored.
        pad_val: what fills the rest: a number, or one a channel.
        max_iters: samples that are tried until one has boxes.
        bbox_clip_border: clip boxes to the image.

    Params: a `Mixture`, or None. Sets ``img`` as uint8, as there, ``img_shape``, and the objects of ``gt_bboxes``,
    ``gt_bboxes_labels``, ``gt_ignore_flags`` and ``gt_masks``, without those whose box is outside.

    The other is drawn from the whole dataset, as the steps before this one give it: in mmdet's MultiImageMixDataset as the
    inner dataset gives it.

    Example:
        >>> black, white = ({"img": np.full((2, 2, 3), grey, np.uint8), "gt_bboxes": np.ones((1, 4))} for grey in (0, 255))
        >>> done = MixUp(img_scale=(2, 2)).apply(black, Mixture(white, 1.0, False, (0, 0)))
        >>> done["img"][0, 0].tolist(), len(done["gt_bboxes"])
        ([127, 127, 127], 2)
    """

    img_scale: Sequence[int] = (640, 640)
    ratio_range: Sequence[float] = (0.5, 1.5)
    flip_ratio: float = 0.5
    pad_val: float | Sequence[float] = 114.0
    max_iters: int = 15
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "img_scale", size_of(name, self.img_scale))
        object.__setattr__(self, "ratio_range", limits(name, "ratio_range", self.ratio_range))
        fills: Any = self.pad_val
        for one in fills if isinstance(fills, (list, tuple)) else (fills,):
            expect_number(one, f"{name}: pad_val")
        object.__setattr__(self, "pad_val", tuple(fills) if isinstance(fills, list) else fills)
        expect_number(self.flip_ratio, f"{name}: flip_ratio")
        expect_number(self.max_iters, f"{name}: max_iters", whole=True)
        expect(self.bbox_clip_border, bool, f"{name}: bbox_clip_border is True or False")
        if self.ratio_range[0] <= 0:
            raise FkitValueError(f"{name}: ratio_range = {self.ratio_range!r}: factors are above 0.")
        if self.max_iters < 1:
            raise FkitValueError(f"{name}: max_iters = {self.max_iters!r}: at least 1.")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Mixture | None:
        source = needed(rng, self)
        other = another(source, fetch, self)
        for _ in range(self.max_iters - 1):
            if len(other.get("gt_bboxes", ())):
                break
            other = another(source, fetch, self)
        factor, flip = between(source, self.ratio_range), bool(source.random() > self.flip_ratio)
        if not len(other.get("gt_bboxes", ())):
            return None
        size = (int(self.img_scale[0] * factor), int(self.img_scale[1] * factor))
        return Mixture(other, factor, flip, offset_of(source, size, image_of(sample)))

    def apply(self, sample: Sample, params: Mixture | None) -> Sample:
        if params is None:
            return sample
        no_maps(self, sample)
        img = image_of(sample)
        picture, scale = self.sheet(params)
        mixed = overlaid(img, picture, params.offset, self.pad_val)
        done = replaced(sample, img=mixed, img_shape=mixed.shape[:2])
        if sample.get("gt_bboxes") is None:
            return done
        done = joined(done, (sample, self.moved(params, scale, picture.shape[:2], img.shape[:2])))
        return replaced(done, **kept(done, inside(done["gt_bboxes"], img.shape)))

    def sheet(self, params: Mixture) -> tuple[NDArray[Any], float]:
        """The other image on its sheet, as it is laid over this one, and the factor of its objects."""
        expect(params, Mixture, "`params` is a Mixture")
        other = image_of(params.other)
        width, height = self.img_scale
        small, scale = fitted(other, (width, height))
        # of the dtype of a product with pad_val, which in the reference is not the picture's
        sheet = np.ones((height, width, *other.shape[2:]), other.dtype) * colour(self.pad_val)
        sheet[: small.shape[0], : small.shape[1]] = small
        size = (int(width * params.factor), int(height * params.factor))
        sheet = imresize(sheet, size).reshape(size[1], size[0], *other.shape[2:])
        return (sheet[:, ::-1] if params.flip else sheet), scale * params.factor

    def moved(self, params: Mixture, scale: float, size: tuple[int, ...], shape: tuple[int, ...]) -> Sample:
        """The other's objects where the mixture, of ``shape``, shows them; ``size`` is the sheet's."""
        boxes = scale_boxes(params.other["gt_bboxes"], (scale, scale))
        if self.bbox_clip_border:
            boxes = clip_boxes(boxes, size)
        if params.flip:
            boxes = flip_boxes(boxes, size, "horizontal")
        right, down = (-one for one in params.offset)
        boxes = move_boxes(boxes, right, down)
        if self.bbox_clip_border:
            boxes = clip_boxes(boxes, shape)
        moved = replaced(params.other, gt_bboxes=boxes)
        if params.other.get("gt_masks") is None:
            return moved
        masks = params.other["gt_masks"].rescale(scale).translate(size, 0)
        masks = masks.flip() if params.flip else masks
        whole = (max(size[0], shape[0]), max(size[1], shape[1]))
        x, y = params.offset
        masks = masks.translate(whole, 0).crop((x, y, x + shape[1], y + shape[0]))
        return replaced(moved, gt_masks=masks)


@dataclass(frozen=True)
class CachedMixUp(MixUp):
    """mmdet's CachedMixUp, of RTMDet: the other sample comes from the whole dataset, in place of a cache of the last ones.

    A batch is then a function of its key alone, for any number of workers and after any resume; it costs the making of
    another sample, by the steps before this one, which the reference takes from memory.

    Args:
        img_scale, ratio_range, flip_ratio, pad_val, max_iters, bbox_clip_border: as of `MixUp`.
        max_cached_images: the reference's cache; of no effect here.
        random_pop: how the reference's cache forgets; of no effect here.
        prob: of doing anything.

    Params: a `Mixture`, or None.
    """

    max_cached_images: int = 20
    random_pop: bool = True
    prob: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cache(self, least=2)
        expect_number(self.prob, "CachedMixUp: prob")
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"CachedMixUp: prob = {self.prob!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Mixture | None:
        source = needed(rng, self)
        return None if source.random() > self.prob else super().draw(sample, source, fetch)


def offset_of(rng: np.random.Generator, size: tuple[int, int], img: NDArray[Any]) -> tuple[int, int]:
    """(x, y) where an image is cut out of a sheet of ``size`` (width, height), drawn; 0 where the sheet is no larger.

    Example:
        >>> offset_of(np.random.default_rng(0), (4, 2), np.zeros((2, 4)))
        (0, 0)
    """
    expect(img, np.ndarray, "`img` is an array")
    height, width = img.shape[:2]
    down = int(rng.integers(size[1] - height)) if size[1] > height else 0
    right = int(rng.integers(size[0] - width)) if size[0] > width else 0
    return right, down


def colour(value: Any) -> Any:
    """A number as it is, one a channel as an array.

    Example:
        >>> colour(114.0), colour((1, 2)).tolist()
        (114.0, [1.0, 2.0])
    """
    return np.array(value, np.float64) if isinstance(value, (tuple, list)) else value


def overlaid(img: NDArray[Any], sheet: NDArray[Any], offset: tuple[int, int], fill: Any) -> NDArray[np.uint8]:
    """The mean of an image and of the part of a sheet that lies under it; uint8.

    Example:
        >>> overlaid(np.zeros((1, 2), np.uint8), np.full((1, 1), 100.0), (0, 0), 10).tolist()
        [[50, 5]]
    """
    expect(img, np.ndarray, "`img` is an array")
    expect(sheet, np.ndarray, "`sheet` is an array")
    height, width = img.shape[:2]
    high, wide = max(height, sheet.shape[0]), max(width, sheet.shape[1])
    under = (np.ones((high, wide, *img.shape[2:])) * colour(fill)).astype(np.uint8)
    under[: sheet.shape[0], : sheet.shape[1]] = sheet
    right, down = offset
    part = under[down : down + height, right : right + width]
    half = np.float32(0.5)
    return (half * img.astype(np.float32) + half * part.astype(np.float32)).astype(np.uint8)
