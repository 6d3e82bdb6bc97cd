"""The steps of mmpretrain's AutoAugment and RandAugment: of a strength that is fixed, or follows from a level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.histogram import auto_contrast, imequalize
from fkit.image.photometry import iminvert, posterize, solarize
from fkit.image.tone import adjust_brightness, adjust_color, adjust_contrast, adjust_sharpness
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = [
    "AutoContrast",
    "Brightness",
    "ColorTransform",
    "Contrast",
    "Equalize",
    "Invert",
    "Posterize",
    "Sharpness",
    "Solarize",
    "SolarizeAdd",
    "Step",
]


@dataclass(frozen=True, kw_only=True)
class Step(Transform):
    """What the steps have in common; by itself it leaves the image as it is.

    Args:
        prob: of doing anything.
        magnitude_range: strengths of level 0 and of ``total_level``, where the step's own argument gives no strength.
        magnitude_level: the level.
        magnitude_std: deviation of the level, which is cut to 0 and ``total_level``; "inf" draws it from 0 to the level.
        total_level: the highest level.
        random_negative_prob: that the strength changes its sign, of steps that go both ways.

    Params: the strength, or None.

    Example:
        >>> Solarize(magnitude_range=(0, 30), magnitude_level=5).strength(np.random.default_rng(0))
        15.0
    """

    prob: float = 0.5
    magnitude_range: Sequence[float] | None = None
    magnitude_level: float = 10
    magnitude_std: float | Literal["inf"] = 0.0
    total_level: float = 10
    random_negative_prob: float = 0.5

    own: ClassVar[str] = ""  # the argument that fixes the strength; "": the step has none
    signed: ClassVar[bool] = False  # whether it goes both ways

    def __post_init__(self) -> None:
        name = type(self).__name__
        for word in ("prob", "random_negative_prob"):
            expect_number(getattr(self, word), f"{name}: {word}")
            if not 0 <= getattr(self, word) <= 1:
                raise FkitValueError(f"{name}: {word} = {getattr(self, word)!r} is not in [0, 1].")
        for word in ("magnitude_level", "total_level"):
            expect_number(getattr(self, word), f"{name}: {word}")
        if self.total_level <= 0 or self.magnitude_level < 0:
            raise FkitValueError(
                f"{name}: total_level = {self.total_level!r} is above 0, and magnitude_level not below."
            )
        if self.magnitude_std != "inf":
            expect_number(self.magnitude_std, f"{name}: magnitude_std, where it is not 'inf',")
        if self.magnitude_range is not None:
            several: Any = self.magnitude_range
            expect(several, (list, tuple), f"{name}: magnitude_range is (of level 0, of total_level)")
            for one in several:
                expect_number(one, f"{name}: magnitude_range")
            if len(several) != 2:
                raise FkitValueError(f"{name}: magnitude_range = {several!r} is not (of level 0, of total_level).")
            object.__setattr__(self, "magnitude_range", tuple(several))
        if self.own:
            value: Any = getattr(self, self.own)
            if (value is None) == (self.magnitude_range is None):
                raise FkitValueError(f"{name} takes one of {self.own} and magnitude_range.")
            self.check_own(value)

    def check_own(self, value: Any) -> None:
        """Refuse a fixed strength that is none."""
        if value is not None:
            expect_number(value, f"{type(self).__name__}: {self.own}")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        source = needed(rng, self)
        return None if source.random() > self.prob else self.strength(source)

    def strength(self, rng: np.random.Generator) -> float:
        """The strength: fixed, or of the level, with a sign where the step goes both ways."""
        size = self.amount(rng)
        return -size if self.signed and rng.random() < self.random_negative_prob else size

    def amount(self, rng: np.random.Generator) -> float:
        """The strength without its sign."""
        if self.own and getattr(self, self.own) is not None:
            return getattr(self, self.own)
        if self.magnitude_range is None:
            return 0.0
        level = self.magnitude_level
        if self.magnitude_std == "inf":
            level = float(rng.uniform(0, level))
        elif self.magnitude_std > 0:
            level = min(max(float(rng.normal(level, self.magnitude_std)), 0), self.total_level)
        first, last = self.magnitude_range
        return level / self.total_level * (last - first) + first

    def apply(self, sample: Sample, params: Any) -> Sample:
        if params is None:
            return sample
        img = image_of(sample)
        return replaced(sample, img=self.changed(img, params).astype(img.dtype, copy=False))

    def changed(self, img: NDArray[Any], strength: Any) -> NDArray[Any]:
        """The image (H, W, C) under a strength."""
        return img


@dataclass(frozen=True)
class AutoContrast(Step):
    """Stretches each channel to the whole range; mmpretrain's AutoContrast. Other arguments as of `Step`."""

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return auto_contrast(img)


@dataclass(frozen=True)
class Equalize(Step):
    """Evens the histogram of each channel out; mmpretrain's Equalize. Other arguments as of `Step`."""

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return imequalize(img)


@dataclass(frozen=True)
class Invert(Step):
    """Inverts values; mmpretrain's Invert. Other arguments as of `Step`."""

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return iminvert(img)


@dataclass(frozen=True)
class Solarize(Step):
    """Values from a threshold on are inverted; mmpretrain's Solarize. Other arguments as of `Step`.

    Args:
        thr: the threshold.
    """

    thr: float | None = None

    own = "thr"

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return solarize(img, strength)


@dataclass(frozen=True)
class SolarizeAdd(Step):
    """A number is added to values below a threshold; mmpretrain's SolarizeAdd. Other arguments as of `Step`.

    Args:
        magnitude: what is added.
        thr: the threshold.
    """

    magnitude: float | None = None
    thr: float = 128

    own = "magnitude"

    def check_own(self, value: Any) -> None:
        super().check_own(value)
        expect_number(self.thr, "SolarizeAdd: thr")

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return np.where(img < self.thr, np.minimum(img + strength, 255), img)


@dataclass(frozen=True)
class Posterize(Step):
    """Keeps some bits of each value; mmpretrain's Posterize. Other arguments as of `Step`.

    Args:
        bits: how many, at most 8; a strength is rounded up.
    """

    bits: int | None = None

    own = "bits"

    def check_own(self, value: Any) -> None:
        super().check_own(value)
        if value is not None and not 0 <= value <= 8:
            raise FkitValueError(f"Posterize: bits = {value!r} is not from 0 to 8.")

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return posterize(img, math.ceil(strength))


@dataclass(frozen=True)
class _Tone(Step):
    """A blend by 1 + strength.

    Args:
        magnitude: the strength: 0 leaves the image as it is, -1 is the other end of the blend.
    """

    magnitude: float | None = None

    own = "magnitude"
    signed = True


@dataclass(frozen=True)
class ColorTransform(_Tone):
    """More or less saturation; mmpretrain's ColorTransform. Other arguments as of `Step`.

    Args:
        magnitude: the strength: -1 is grey, 0 as it is.
    """

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return adjust_color(img, 1 + strength)


@dataclass(frozen=True)
class Contrast(_Tone):
    """More or less contrast; mmpretrain's Contrast. Other arguments as of `Step`.

    Args:
        magnitude: the strength: -1 is one grey, 0 as it is.
    """

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return adjust_contrast(img, 1 + strength)


@dataclass(frozen=True)
class Brightness(_Tone):
    """Brighter or darker; mmpretrain's Brightness. Other arguments as of `Step`.

    Args:
        magnitude: the strength: -1 is black, 0 as it is.
    """

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return adjust_brightness(img, 1 + strength)


@dataclass(frozen=True)
class Sharpness(_Tone):
    """Sharper or more blurred; mmpretrain's Sharpness. Other arguments as of `Step`.

    Args:
        magnitude: the strength: -1 is blurred, 0 as it is.
    """

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return adjust_sharpness(img, 1 + strength)
