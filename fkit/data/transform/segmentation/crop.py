"""A crop that no class fills: mmseg's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.crop import Crop, cut
from fkit.data.transform.draw import needed
from fkit.data.transform.resize import scale_pair
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import check_fields
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["RandomCrop", "largest_share"]

_TRIES = 10  # crops that a class fills too much are drawn again as often


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Cut out a piece at a random place, one that no class fills; mmseg's RandomCrop.

    Args:
        crop_size: (height, width) in pixels; one int makes a square. A smaller picture gives a smaller piece.
        cat_max_ratio: below 1, a piece is drawn again, at most ten times, in which a class of ``gt_seg_map`` has as large a
            part of what is labelled, or which holds one class alone.
        ignore_index: the label that counts for nothing.

    Params: a `fkit.data.transform.crop.Crop`. Changes ``img``, ``gt_seg_map`` and the maps of ``seg_fields``; sets
    ``img_shape`` (height, width).

    Example:
        >>> RandomCrop((2, 4)).apply({"img": np.zeros((8, 6, 3), np.uint8)}, Crop(6, 1, 2, 4))["img"].shape
        (2, 4, 3)
    """

    crop_size: int | Sequence[int]
    cat_max_ratio: float = 1.0
    ignore_index: int = 255

    def __post_init__(self) -> None:
        check_fields(self)
        try:
            object.__setattr__(self, "crop_size", scale_pair(self.crop_size, "RandomCrop: crop_size"))
        except FkitValueError as cause:
            raise FkitValueError(
                f"RandomCrop: crop_size = {self.crop_size!r} is no (height, width) in pixels."
            ) from cause
        if not 0 < self.cat_max_ratio <= 1:
            raise FkitValueError(f"RandomCrop: cat_max_ratio = {self.cat_max_ratio!r} is not in (0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop:
        source = needed(rng, self)
        shape = image_of(sample).shape[:2]
        crop = self._place(shape, source)
        if self.cat_max_ratio == 1:
            return crop
        if sample.get("gt_seg_map") is None:
            raise FkitKeyError(
                "RandomCrop: cat_max_ratio looks at gt_seg_map, which the sample does not have.",
                value="gt_seg_map",
                choices=sample,
                label="It has",
                repair="Load it before (LoadAnnotations), or leave cat_max_ratio out.",
            )
        for _ in range(_TRIES):
            if largest_share(cut(sample, crop)["gt_seg_map"], self.ignore_index) < self.cat_max_ratio:
                break
            crop = self._place(shape, source)
        return crop

    def _place(self, shape: tuple[int, ...], source: np.random.Generator) -> Crop:
        high, wide = cast("tuple[int, int]", self.crop_size)
        top, left = (int(source.integers(0, max(room, 0) + 1)) for room in (shape[0] - high, shape[1] - wide))
        return Crop(top, left, high, wide)

    def apply(self, sample: Sample, params: Crop) -> Sample:
        return replaced(sample, **cut(sample, params))


def largest_share(seg: NDArray[Any], ignore_index: int = 255) -> float:
    """What part of the labelled pixels of a map (H, W) the largest class has; 1.0 where there is one class or none.

    Example:
        >>> largest_share(np.array([[0, 0, 0, 1, 255]]))
        0.75
    """
    if seg.dtype == np.uint8:
        counts = np.bincount(seg.ravel(), minlength=256)
        if 0 <= ignore_index < 256:
            counts[ignore_index] = 0
        counts = counts[counts > 0]
    else:
        labels, counts = np.unique(seg, return_counts=True)
        counts = counts[labels != ignore_index]
    return float(counts.max() / counts.sum()) if len(counts) > 1 else 1.0
