"""mmseg's distortion of colours, of whole grey levels."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform import distortion
from fkit.data.transform.content import image_of
from fkit.data.transform.distortion import Distortion
from fkit.data.transform.draw import between, needed
from fkit.data.transform.transform import Fetch, Sample, replaced
from fkit.image.colour import bgr2hsv, hsv2bgr
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["PhotoMetricDistortion"]

_HUES = 180  # of OpenCV's uint8 HSV, each of two degrees


@dataclass(frozen=True)
class PhotoMetricDistortion(distortion.PhotoMetricDistortion):
    """Distort the colours of a uint8 BGR image, each part with probability one half; mmseg's PhotoMetricDistortion.

    Args:
        brightness_delta: the largest number added, either way.
        contrast_range: the least and the greatest factor.
        saturation_range: the least and the greatest factor.
        hue_delta: the largest turn, either way, in units of two degrees; a whole number.

    Params: a `fkit.data.transform.distortion.Distortion`, whose ``channels`` is None. ``img`` stays uint8: after each part
    values are cut to 0 to 255.

    Example:
        >>> brighter = Distortion(10.5, None, False, None, None, None)
        >>> PhotoMetricDistortion().apply({"img": np.full((1, 1, 3), 100, np.uint8)}, brighter)["img"].tolist()
        [[[110, 110, 110]]]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_number(self.hue_delta, "PhotoMetricDistortion: hue_delta", whole=True)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Distortion:
        source = needed(rng, self)
        last, bright, contrast, saturated, turned = (source.integers(2, size=5) == 1).tolist()
        brightness = source.uniform(-self.brightness_delta, self.brightness_delta)
        factor, colour = between(source, self.contrast_range), between(source, self.saturation_range)
        most = int(self.hue_delta)
        hue = int(source.integers(-most, most)) if most else 0
        return Distortion(
            brightness if bright else None,
            factor if contrast else None,
            last,
            colour if saturated else None,
            hue if turned else None,
            None,
        )

    def apply(self, sample: Sample, params: Distortion) -> Sample:
        expect(params, Distortion, "`params` is a Distortion")
        img = image_of(sample)
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise FkitValueError(
                f"PhotoMetricDistortion: the image is {img.dtype} of shape {img.shape}; uint8 of three channels, BGR, is wanted.",
                repair="Put it before steps that make floats (Normalize, Rerange).",
            )
        # brightness, and contrast where it comes right after, are one table; each is cut to whole levels
        table = None if params.brightness is None else _levels(beta=params.brightness)
        if params.contrast is not None and not params.contrast_last:
            table = _levels(alpha=params.contrast)[slice(None) if table is None else table]
        if table is not None:
            img = cv2.LUT(img, table)
        if params.saturation is not None:
            img = _in_hsv(img, 1, _levels(alpha=params.saturation))
        if params.hue is not None:
            img = _in_hsv(img, 0, ((np.arange(256) + int(params.hue)) % _HUES).astype(np.uint8))
        if params.contrast is not None and params.contrast_last:
            img = cv2.LUT(img, _levels(alpha=params.contrast))
        return replaced(sample, img=img)


def _levels(alpha: float = 1.0, beta: float = 0.0) -> NDArray[np.uint8]:
    """(256,) where each level goes: times alpha, plus beta, in float32, cut to what there is."""
    return (np.arange(256, dtype=np.float32) * np.float32(alpha) + np.float32(beta)).clip(0, 255).astype(np.uint8)


def _in_hsv(img: NDArray[Any], channel: int, table: NDArray[np.uint8]) -> NDArray[Any]:
    hsv = bgr2hsv(img)
    hsv[..., channel] = cv2.LUT(np.ascontiguousarray(hsv[..., channel]), table)
    return hsv2bgr(hsv)
