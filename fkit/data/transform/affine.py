"""A turn, a scale, a shear and a shift at once: YOLOX's affine transform of the mosaic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import clip_boxes, image_of, inside, kept
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import between, needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.data.transform.warp import projected
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["RandomAffine"]


@dataclass(frozen=True)
class RandomAffine(Transform):
    """Turn, scale, shear and shift image and boxes; mmdet's RandomAffine, of YOLOX.

    Args:
        max_rotate_degree: the largest turn either way.
        max_translate_ratio: the largest shift either way, in parts of the side.
        scaling_ratio_range: the least and the greatest factor.
        max_shear_degree: the largest shear either way.
        border: (width, height) added on each side; below 0 it is cut off: half of a mosaic's is ``(-w // 2, -h // 2)``.
        border_val: what comes in from outside, a number a channel.
        bbox_clip_border: clip boxes to the image.

    Params: the matrix, (3, 3) float32. Sets ``img``, ``img_shape``; objects whose box is outside are left out of
    ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``. Masks it does not take, as there.

    Example:
        >>> moved = RandomAffine().apply({"img": np.zeros((4, 4, 3), np.uint8)}, np.eye(3, dtype=np.float32))
        >>> moved["img_shape"]
        (4, 4)
    """

    max_rotate_degree: float = 10.0
    max_translate_ratio: float = 0.1
    scaling_ratio_range: Sequence[float] = (0.5, 1.5)
    max_shear_degree: float = 2.0
    border: Sequence[int] = (0, 0)
    border_val: Sequence[float] = (114, 114, 114)
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        for word in ("max_rotate_degree", "max_translate_ratio", "max_shear_degree"):
            expect_number(getattr(self, word), f"RandomAffine: {word}")
        expect(self.bbox_clip_border, bool, "RandomAffine: bbox_clip_border is True or False")
        if not 0 <= self.max_translate_ratio <= 1:
            raise FkitValueError(f"RandomAffine: max_translate_ratio = {self.max_translate_ratio!r} is not in [0, 1].")
        factors = limits("RandomAffine", "scaling_ratio_range", self.scaling_ratio_range)
        if factors[0] <= 0:
            raise FkitValueError(
                f"RandomAffine: scaling_ratio_range = {self.scaling_ratio_range!r}: factors are above 0."
            )
        object.__setattr__(self, "scaling_ratio_range", factors)
        for word, whole in (("border", True), ("border_val", False)):
            values: Any = getattr(self, word)
            expect(values, (list, tuple), f"RandomAffine: {word} is a list of numbers")
            for one in values:
                expect_number(one, f"RandomAffine: {word}", whole=whole)
            object.__setattr__(self, word, tuple(values))
        if len(self.border) != 2:
            raise FkitValueError(f"RandomAffine: border = {self.border!r} is no (width, height).")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> NDArray[np.float32]:
        source = needed(rng, self)
        height, width = self.size(sample)
        turn = math.radians(source.uniform(-self.max_rotate_degree, self.max_rotate_degree))
        factor = between(source, self.scaling_ratio_range)
        across, down = (
            math.tan(math.radians(source.uniform(-self.max_shear_degree, self.max_shear_degree))) for _ in range(2)
        )
        right = source.uniform(-self.max_translate_ratio, self.max_translate_ratio) * width
        below = source.uniform(-self.max_translate_ratio, self.max_translate_ratio) * height
        cos, sin = math.cos(turn), math.sin(turn)
        matrices = (
            ((1, 0, right), (0, 1, below), (0, 0, 1)),
            ((1, across, 0), (down, 1, 0), (0, 0, 1)),
            ((cos, -sin, 0), (sin, cos, 0), (0, 0, 1)),
            ((factor, 0, 0), (0, factor, 0), (0, 0, 1)),
        )
        shift, shear, rotation, scale = (np.array(rows, np.float32) for rows in matrices)
        return (shift @ shear @ rotation @ scale).astype(np.float32)

    def apply(self, sample: Sample, params: NDArray[np.float32]) -> Sample:
        height, width = self.size(sample)
        img = image_of(sample)
        shape = (height, width, *img.shape[2:])
        border: Any = self.border_val
        moved = cv2.warpPerspective(img, params, (width, height), borderValue=border).reshape(shape)
        done = replaced(sample, img=moved, img_shape=(height, width))
        boxes: NDArray[Any] | None = sample.get("gt_bboxes")
        if boxes is None or not len(boxes):
            return done
        if sample.get("gt_masks") is not None:
            raise FkitValueError(
                "RandomAffine moves boxes, and no masks.", repair="Load the annotations with with_mask=False."
            )
        boxes = projected(boxes, params)
        if self.bbox_clip_border:
            boxes = clip_boxes(boxes, (height, width))
        done = replaced(done, gt_bboxes=boxes)
        return replaced(done, **kept(done, inside(boxes, (height, width))))

    def size(self, sample: Sample) -> tuple[int, int]:
        """(height, width) of what comes out."""
        height, width = image_of(sample).shape[:2]
        across, down = self.border
        if width + 2 * across < 1 or height + 2 * down < 1:
            raise FkitValueError(
                f"RandomAffine: border = {self.border!r} leaves nothing of an image of {height} x {width}."
            )
        return height + 2 * down, width + 2 * across
