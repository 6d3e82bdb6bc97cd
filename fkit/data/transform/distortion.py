"""Several distortions of colour at once: brightness, contrast, saturation, hue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import between, needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.colour import bgr2hsv, hsv2bgr
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Distortion", "PhotoMetricDistortion", "YOLOXHSVRandomAug", "limits"]


class Distortion(NamedTuple):
    """What `PhotoMetricDistortion` does to one image; None leaves a part out.

    Attributes:
        brightness: added.
        contrast: a factor.
        contrast_last: whether contrast comes after saturation and hue.
        saturation: a factor.
        hue: degrees, added.
        channels: their new order.
    """

    brightness: float | None
    contrast: float | None
    contrast_last: bool
    saturation: float | None
    hue: float | None
    channels: tuple[int, ...] | None


@dataclass(frozen=True)
class PhotoMetricDistortion(Transform):
    """Distort the colours of a BGR image, each part with probability one half; mmdet's PhotoMetricDistortion, of SSD.

    Args:
        brightness_delta: the largest number added, either way.
        contrast_range: the least and the greatest factor.
        saturation_range: the least and the greatest factor.
        hue_delta: the largest turn, either way, in degrees.

    Params: a `Distortion`. ``img`` comes out as float32, not cut to 0 to 255, as there.

    Example:
        >>> brighter = Distortion(10.0, None, False, None, None, None)
        >>> PhotoMetricDistortion().apply({"img": np.full((1, 1, 3), 100, np.uint8)}, brighter)["img"].tolist()
        [[[110.0, 110.0, 110.0]]]
    """

    brightness_delta: float = 32
    contrast_range: Sequence[float] = (0.5, 1.5)
    saturation_range: Sequence[float] = (0.5, 1.5)
    hue_delta: float = 18

    def __post_init__(self) -> None:
        for word in ("brightness_delta", "hue_delta"):
            expect_number(getattr(self, word), f"PhotoMetricDistortion: {word}")
            if getattr(self, word) < 0:
                raise FkitValueError(f"PhotoMetricDistortion: {word} = {getattr(self, word)!r} is below 0.")
        for word in ("contrast_range", "saturation_range"):
            object.__setattr__(self, word, limits("PhotoMetricDistortion", word, getattr(self, word)))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Distortion:
        source = needed(rng, self)
        last, bright, contrast, saturated, turned, mixed = (source.integers(2, size=6) == 1).tolist()
        brightness = source.uniform(-self.brightness_delta, self.brightness_delta)
        factor, colour = between(source, self.contrast_range), between(source, self.saturation_range)
        hue, order = source.uniform(-self.hue_delta, self.hue_delta), tuple(source.permutation(3).tolist())
        return Distortion(
            brightness if bright else None,
            factor if contrast else None,
            last,
            colour if saturated else None,
            hue if turned else None,
            order if mixed else None,
        )

    def apply(self, sample: Sample, params: Distortion) -> Sample:
        expect(params, Distortion, "`params` is a Distortion")
        img: NDArray[Any] = sample["img"].astype(np.float32)
        if params.brightness is not None:
            img += params.brightness
        if params.contrast is not None and not params.contrast_last:
            img *= params.contrast
        # through HSV and back whatever was drawn, as in the reference
        hsv = bgr2hsv(img)
        if params.saturation is not None:
            hsv[..., 1] *= params.saturation
            if params.saturation > 1:
                hsv[..., 1] = hsv[..., 1].clip(0, 1)
        if params.hue is not None:
            hue = hsv[..., 0] + params.hue
            hue[hue > 360] -= 360
            hue[hue < 0] += 360
            hsv[..., 0] = hue
        img = hsv2bgr(hsv)
        if params.contrast is not None and params.contrast_last:
            img *= params.contrast
        if params.channels is not None:
            img = np.ascontiguousarray(img[..., list(params.channels)])
        return replaced(sample, img=img)


@dataclass(frozen=True)
class YOLOXHSVRandomAug(Transform):
    """Shift hue, saturation and value of a uint8 BGR image; mmdet's and mmpose's YOLOXHSVRandomAug.

    Args:
        hue_delta: the largest shift of the hue either way, in units of two degrees.
        saturation_delta: of the saturation.
        value_delta: of the value.

    Params: the three shifts, whole numbers, each 0 with probability one half.

    Example:
        >>> YOLOXHSVRandomAug().apply({"img": np.full((1, 1, 3), 100, np.uint8)}, (0, 0, 20))["img"].tolist()
        [[[120, 120, 120]]]
    """

    hue_delta: float = 5
    saturation_delta: float = 30
    value_delta: float = 30

    def __post_init__(self) -> None:
        for word in ("hue_delta", "saturation_delta", "value_delta"):
            expect_number(getattr(self, word), f"YOLOXHSVRandomAug: {word}")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[int, int, int]:
        source = needed(rng, self)
        deltas = (self.hue_delta, self.saturation_delta, self.value_delta)
        shifts: NDArray[Any] = source.uniform(-1, 1, 3) * deltas * source.integers(2, size=3)
        hue, saturation, value = shifts.astype(np.int16).tolist()
        return hue, saturation, value

    def apply(self, sample: Sample, params: tuple[int, int, int]) -> Sample:
        img: NDArray[Any] = sample["img"]
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise FkitValueError(
                f"YOLOXHSVRandomAug: the image is {img.dtype} of shape {img.shape}; uint8 of three channels, BGR, is wanted.",
                repair="Put it before steps that make floats (Normalize, PhotoMetricDistortion).",
            )
        hue, saturation, value = params
        numbers = np.arange(256, dtype=np.int16)
        # each channel by a table: a shift of 256 values in place of one of all pixels
        tables = ((numbers + hue) % 180, (numbers + saturation).clip(0, 255), (numbers + value).clip(0, 255))
        table = np.stack(tables, -1).astype(np.uint8)[None]
        shifted = cv2.LUT(cv2.cvtColor(img, cv2.COLOR_BGR2HSV), table)
        return replaced(sample, img=cv2.cvtColor(shifted, cv2.COLOR_HSV2BGR))


def limits(name: str, word: str, value: Any) -> tuple[float, float]:
    """(the least, the greatest) of an argument that is such a pair of numbers.

    Example:
        >>> limits("MixUp", "ratio_range", [0.5, 1.5])
        (0.5, 1.5)
    """
    expect(value, (list, tuple), f"{name}: {word} is (the least, the greatest)")
    for one in value:
        expect_number(one, f"{name}: {word}")
    if len(value) != 2 or value[0] > value[1]:
        raise FkitValueError(f"{name}: {word} = {value!r} is not (the least, the greatest).")
    return float(value[0]), float(value[1])
