"""Holes in the picture and its maps: mmseg's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fkit.data.transform.content import maps_of
from fkit.data.transform.draw import needed
from fkit.data.transform.erase import CutOut, Patches, blanked
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["RandomCutOut"]


@dataclass(frozen=True)
class RandomCutOut(Transform):
    """Blank rectangles of the picture out, by chance, and of its maps where asked; mmseg's RandomCutOut.

    Args:
        prob: of doing anything.
        n_holes: how many, or (least, most).
        cutout_shape: (width, height) in pixels, or several, of which one is drawn for each hole. Or
        cutout_ratio: such in parts of the picture's sides.
        fill_in: the colour, one number a channel.
        seg_fill_in: the label that fills the maps; None leaves them as they are.

    Params: of each hole x1 y1 x2 y2 in pixels; None where nothing is done.

    Example:
        >>> holes = RandomCutOut(1.0, 1, cutout_shape=(1, 1), seg_fill_in=9)
        >>> sample = {"img": np.ones((1, 2, 3), np.uint8), "gt_seg_map": np.ones((1, 2), np.uint8)}
        >>> holes.apply(sample, ((1, 0, 2, 1),))["gt_seg_map"].tolist()
        [[1, 9]]
    """

    prob: float
    n_holes: int | Sequence[int]
    cutout_shape: Sequence[Any] | None = None
    cutout_ratio: Sequence[Any] | None = None
    fill_in: Sequence[float] = (0, 0, 0)
    seg_fill_in: int | None = None
    holes: CutOut = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect_number(self.prob, "RandomCutOut: prob")
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"RandomCutOut: prob = {self.prob!r} is not in [0, 1].")
        if self.seg_fill_in is not None:
            expect_number(self.seg_fill_in, "RandomCutOut: seg_fill_in", whole=True)
            if not 0 <= self.seg_fill_in <= 255:
                raise FkitValueError(f"RandomCutOut: seg_fill_in = {self.seg_fill_in!r} is not from 0 to 255.")
        object.__setattr__(self, "holes", CutOut(self.n_holes, self.cutout_shape, self.cutout_ratio, self.fill_in))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Patches | None:
        source = needed(rng, self)
        return self.holes.draw(sample, source, fetch) if source.random() < self.prob else None

    def apply(self, sample: Sample, params: Patches | None) -> Sample:
        if not params:
            return sample
        done = self.holes.apply(sample, params)
        if self.seg_fill_in is None:
            return done
        return replaced(done, **{name: blanked(sample[name], params, self.seg_fill_in) for name in maps_of(sample)})
