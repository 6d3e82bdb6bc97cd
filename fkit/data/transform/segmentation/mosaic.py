"""Four pictures and their maps in one: mmseg's mosaic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.transform.content import image_of, maps_of, resize_map
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import another, between, needed
from fkit.data.transform.mosaic import Tiles, canvas_of, fitted, lay, place_of, size_of
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import expect_number
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["RandomMosaic"]


@dataclass(frozen=True)
class RandomMosaic(Transform):
    """Four samples about a point: this one and three others; mmseg's RandomMosaic.

    Args:
        prob: of doing anything.
        img_scale: (height, width) that each is fitted into, its ratio kept; the mosaic is twice as high and as wide.
        center_ratio_range: where the four meet, in parts of ``img_scale``: from and to.
        pad_val: what fills the rest.
        seg_pad_val: what fills the rest of the maps.

    Params: a `fkit.data.transform.mosaic.Tiles`, or None. Changes ``img``, ``gt_seg_map`` and the maps of ``seg_fields``;
    sets ``img_shape`` and ``ori_shape`` (height, width, channels), as there.

    Example:
        >>> tile = {"img": np.full((2, 2, 3), 7, np.uint8), "gt_seg_map": np.full((2, 2), 1, np.uint8)}
        >>> done = RandomMosaic(1.0, img_scale=(2, 2)).apply(tile, Tiles((tile,) * 3, (2, 2)))
        >>> done["img"].shape, done["gt_seg_map"].tolist()[0]
        ((4, 4, 3), [1, 1, 1, 1])
    """

    prob: float
    img_scale: Sequence[int] = (640, 640)
    center_ratio_range: Sequence[float] = (0.5, 1.5)
    pad_val: float = 0
    seg_pad_val: float = 255

    def __post_init__(self) -> None:
        for word in ("prob", "pad_val", "seg_pad_val"):
            expect_number(getattr(self, word), f"RandomMosaic: {word}")
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"RandomMosaic: prob = {self.prob!r} is not in [0, 1].")
        object.__setattr__(self, "img_scale", size_of("RandomMosaic", self.img_scale))
        object.__setattr__(
            self, "center_ratio_range", limits("RandomMosaic", "center_ratio_range", self.center_ratio_range)
        )

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Tiles | None:
        source = needed(rng, self)
        if source.random() >= self.prob:
            return None
        others = tuple(another(source, fetch, self) for _ in range(3))
        high, wide = self.img_scale
        x, y = (int(between(source, self.center_ratio_range) * side) for side in (wide, high))
        return Tiles(others, (x, y))

    def apply(self, sample: Sample, params: Tiles | None) -> Sample:
        if params is None:
            return sample
        high, wide = self.img_scale
        shape = (2 * high, 2 * wide)
        names = tuple(maps_of(sample))
        canvas = canvas_of(image_of(sample), shape, self.pad_val)
        maps = {name: canvas_of(sample[name], shape, self.seg_pad_val) for name in names}
        for place, part in enumerate((sample, *params.others)):
            picture, _ = fitted(image_of(part), (wide, high))
            right, down = place_of(picture, canvas, params.centre, place)
            lay(picture, canvas, right, down, place, params.centre)
            for name in names:
                if part.get(name) is None:
                    raise FkitKeyError(f"samples that are mixed do not all have {name!r}.", value=name)
                seg = resize_map(part[name], picture.shape[1::-1])
                lay(seg, maps[name], right, down, place, params.centre)
        changes: dict[str, Any] = {"img": canvas, "img_shape": canvas.shape, "ori_shape": canvas.shape, **maps}
        return replaced(sample, **changes)
