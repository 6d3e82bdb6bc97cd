"""Colour pictures made grey."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.transform.content import image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.colour import hsv2bgr
from fkit.image.refuse import one_of
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["RandomGrayscale"]


@dataclass(frozen=True)
class RandomGrayscale(Transform):
    """Make the picture grey with a probability; mmcv 2.x's RandomGrayscale.

    Args:
        prob: of doing so.
        keep_channels: as many equal channels as there were; else (H, W).
        channel_weights: of each channel in the grey; made to sum to 1.
        color_format: "bgr", "rgb", or "hsv", which becomes BGR whether made grey or not.

    Params: whether to make it grey. The answer is uint8.

    Example:
        >>> RandomGrayscale().apply({"img": np.uint8([[[0, 3, 9]]])}, True)["img"].tolist()
        [[4]]
    """

    prob: float = 0.1
    keep_channels: bool = False
    channel_weights: Sequence[float] = (1.0, 1.0, 1.0)
    color_format: str = "bgr"

    def __post_init__(self) -> None:
        check_fields(self)
        one_of("RandomGrayscale", "color_format", self.color_format, ("bgr", "rgb", "hsv"))
        expect(self.channel_weights, (list, tuple), "RandomGrayscale: channel_weights is a list of numbers")
        for one in self.channel_weights:
            expect_number(one, "RandomGrayscale: channel_weights")
        if sum(self.channel_weights) <= 0:
            raise FkitValueError(f"RandomGrayscale: channel_weights = {self.channel_weights!r}: their sum is above 0.")
        object.__setattr__(self, "channel_weights", tuple(self.channel_weights))
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"RandomGrayscale: prob = {self.prob!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> bool:
        return bool(needed(rng, self).random() < self.prob)

    def apply(self, sample: Sample, params: bool) -> Sample:
        img: Any = image_of(sample)
        if self.color_format == "hsv":
            img = hsv2bgr(img)
        img = img[..., None] if img.ndim == 2 else img
        channels = img.shape[2]
        if not params or channels == 1:
            return replaced(sample, img=img.astype(np.uint8, copy=False))
        if channels != len(self.channel_weights):
            raise FkitValueError(
                f"RandomGrayscale: {len(self.channel_weights)} channel_weights for an image of {channels} channels."
            )
        weights = np.array(self.channel_weights) / sum(self.channel_weights)
        grey = (weights * img).sum(axis=2).astype(np.uint8)
        return replaced(sample, img=np.dstack([grey] * channels) if self.keep_channels else grey)
