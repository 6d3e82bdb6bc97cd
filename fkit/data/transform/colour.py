"""Transforms of one magnitude that change colours alone: the steps of mmdet's AutoAugment and RandAugment."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.histogram import auto_contrast, imequalize
from fkit.image.photometry import iminvert, posterize, solarize
from fkit.image.tone import adjust_brightness, adjust_color, adjust_contrast, adjust_sharpness
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = [
    "AutoContrast",
    "Brightness",
    "Color",
    "ColorTransform",
    "Contrast",
    "Equalize",
    "Invert",
    "Posterize",
    "Sharpness",
    "Solarize",
    "SolarizeAdd",
    "check_magnitude",
    "magnitude",
]

LEVELS = 10  # of a level: 0 is min_mag, this is max_mag


@dataclass(frozen=True)
class ColorTransform(Transform):
    """What the colour transforms of mmdet 3.x have in common; by itself it leaves the image as it is, as there.

    Args:
        prob: of doing anything.
        level: 0 to 10, from ``min_mag`` to ``max_mag``; None draws a magnitude between them.
        min_mag: the least magnitude.
        max_mag: the greatest.

    Params: the magnitude, or None. Magnitudes are rounded to one digit.

    Example:
        >>> Brightness(level=10).draw({}, np.random.default_rng(0), None)
        1.9
        >>> Brightness().apply({"img": np.full((1, 1, 3), 100, np.uint8)}, 0.5)["img"].tolist()
        [[[50, 50, 50]]]
    """

    prob: float = 1.0
    level: int | None = None
    min_mag: float = 0.1
    max_mag: float = 1.9

    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        check_magnitude(self, self.bounds)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> float | None:
        source = needed(rng, self)
        return None if source.random() > self.prob else magnitude(self, source)

    def apply(self, sample: Sample, params: float | None) -> Sample:
        if params is None:
            return sample
        img: NDArray[Any] = sample["img"]
        return replaced(sample, img=self.changed(img, params).astype(img.dtype, copy=False))

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        """The image (H, W, C) under a magnitude."""
        return img


@dataclass(frozen=True)
class Color(ColorTransform):
    """Saturation: 0 is grey, 1 as it is; mmdet 3.x's Color. Arguments and params as of `ColorTransform`."""

    bounds = (0.0, 2.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return adjust_color(img, magnitude)


@dataclass(frozen=True)
class Brightness(ColorTransform):
    """Brightness: 0 is black, 1 as it is; mmdet 3.x's Brightness. Arguments and params as of `ColorTransform`."""

    bounds = (0.0, 2.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return adjust_brightness(img, magnitude)


@dataclass(frozen=True)
class Contrast(ColorTransform):
    """Contrast: 0 is one grey, 1 as it is; mmdet 3.x's Contrast. Arguments and params as of `ColorTransform`."""

    bounds = (0.0, 2.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return adjust_contrast(img, magnitude)


@dataclass(frozen=True)
class Sharpness(ColorTransform):
    """Sharpness: 0 is blurred, 1 as it is; mmdet 3.x's Sharpness. Arguments and params as of `ColorTransform`."""

    bounds = (0.0, 2.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return adjust_sharpness(img, magnitude)


@dataclass(frozen=True)
class Solarize(ColorTransform):
    """Values from the magnitude on are inverted; mmdet 3.x's Solarize. Arguments and params as of `ColorTransform`."""

    min_mag: float = 0.0
    max_mag: float = 256.0

    bounds = (0.0, 256.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return solarize(img, magnitude)


@dataclass(frozen=True)
class SolarizeAdd(ColorTransform):
    """The magnitude is added to values below 128; mmdet 3.x's SolarizeAdd. Arguments and params as of `ColorTransform`."""

    min_mag: float = 0.0
    max_mag: float = 110.0

    bounds = (0.0, 110.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return np.where(img < 128, np.minimum(img + magnitude, 255), img)


@dataclass(frozen=True)
class Posterize(ColorTransform):
    """Keeps as many bits as the magnitude, rounded up; mmdet 3.x's Posterize. Arguments and params as of `ColorTransform`."""

    min_mag: float = 0.0
    max_mag: float = 4.0

    bounds = (0.0, 8.0)

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return posterize(img, math.ceil(magnitude))


@dataclass(frozen=True)
class Equalize(ColorTransform):
    """Evens the histogram of each channel out; mmdet 3.x's Equalize. Arguments and params as of `ColorTransform`; of any
    magnitude it does the same."""

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return imequalize(img)


@dataclass(frozen=True)
class AutoContrast(ColorTransform):
    """Stretches each channel to the whole range; mmdet 3.x's AutoContrast. Arguments and params as of `ColorTransform`; of
    any magnitude it does the same."""

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return auto_contrast(img)


@dataclass(frozen=True)
class Invert(ColorTransform):
    """Inverts values; mmdet 3.x's Invert. Arguments and params as of `ColorTransform`; of any magnitude it does the same."""

    def changed(self, img: NDArray[Any], magnitude: float) -> NDArray[Any]:
        return iminvert(img)


def check_magnitude(of: Any, bounds: tuple[float, float]) -> None:
    """Refuse a transform whose prob, level, min_mag or max_mag is no good.

    Raises:
        FkitError: a field is no number, or out of its range.

    Example:
        >>> Color(max_mag=3.0)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: Color: min_mag = 0.1 and max_mag = 3.0: magnitudes are from 0 to 2, the least first.
    """
    check_fields(of)
    name = type(of).__name__
    if not 0 <= of.prob <= 1:
        raise FkitValueError(f"{name}: prob = {of.prob!r} is not in [0, 1].")
    if of.level is not None and not 0 <= of.level <= LEVELS:
        raise FkitValueError(f"{name}: level = {of.level!r} is not from 0 to {LEVELS}.")
    low, high = bounds
    if not low <= of.min_mag <= of.max_mag <= high:
        raise FkitValueError(
            f"{name}: min_mag = {of.min_mag!r} and max_mag = {of.max_mag!r}: magnitudes are from {low:g} to {high:g}, the least first."
        )


def magnitude(of: Any, rng: np.random.Generator) -> float:
    """The magnitude of a transform's level, or one drawn between its ``min_mag`` and ``max_mag``; rounded to one digit.

    Example:
        >>> magnitude(Solarize(level=3), np.random.default_rng(0))
        76.8
    """
    part = rng.random() if of.level is None else of.level / LEVELS
    return round(part * (of.max_mag - of.min_mag) + of.min_mag, 1)
