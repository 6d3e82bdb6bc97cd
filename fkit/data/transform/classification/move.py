"""The steps of mmpretrain's AutoAugment and RandAugment that look at more than one pixel: shifts and turns, holes, blur."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.classification.step import Step
from fkit.data.transform.content import image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample
from fkit.image.crop import cutout_at, draw_cutout
from fkit.image.refuse import one_of, optional
from fkit.image.resize import interpolation_code
from fkit.image.warp import imrotate, imshear, imtranslate
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Cutout", "GaussianBlur", "Rotate", "Shear", "Translate"]


@dataclass(frozen=True, kw_only=True)
class _Moved(Step):
    """What the steps that move have in common."""

    pad_val: Any = 128
    interpolation: str = "nearest"

    signed = True

    def check_own(self, value: Any) -> None:
        super().check_own(value)
        name = type(self).__name__
        object.__setattr__(self, "pad_val", _colour(name, self.pad_val))
        interpolation_code(name, self.interpolation)


@dataclass(frozen=True)
class Shear(_Moved):
    """A shear; mmpretrain's Shear. Other arguments as of `Step`.

    Args:
        magnitude: pixels per pixel.
        pad_val: what comes in from outside: a number, or one a channel.
        direction: "horizontal" or "vertical".
        interpolation: bicubic, bilinear, nearest, area or lanczos.
    """

    magnitude: float | None = None
    direction: str = "horizontal"
    interpolation: str = field(default="bicubic", kw_only=True)

    own = "magnitude"

    def check_own(self, value: Any) -> None:
        super().check_own(value)
        _direction(self)

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        return imshear(img, strength, self.direction, self.pad_val, self.interpolation)


@dataclass(frozen=True)
class Translate(_Moved):
    """A shift; mmpretrain's Translate. Other arguments as of `Step`.

    Args:
        magnitude: in parts of the side.
        pad_val: what comes in from outside: a number, or one a channel.
        direction: "horizontal" or "vertical".
        interpolation: nearest, bilinear, bicubic, area or lanczos.
    """

    magnitude: float | None = None
    direction: str = "horizontal"

    own = "magnitude"

    def check_own(self, value: Any) -> None:
        super().check_own(value)
        _direction(self)

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        side = img.shape[1] if self.direction == "horizontal" else img.shape[0]
        return imtranslate(img, strength * side, self.direction, self.pad_val, self.interpolation)


@dataclass(frozen=True)
class Rotate(_Moved):
    """A turn clockwise; mmpretrain's Rotate. Other arguments as of `Step`.

    Args:
        angle: in degrees.
        center: (x, y) in pixels; None is the middle.
        scale: magnification.
        pad_val: what comes in from outside: one number a channel; a single number reaches the first channel alone, as there.
        interpolation: nearest, bilinear, bicubic, area or lanczos.
    """

    angle: float | None = None
    center: Sequence[float] | None = None
    scale: float = 1.0

    own = "angle"

    def check_own(self, value: Any) -> None:
        super().check_own(value)
        expect_number(self.scale, "Rotate: scale")
        if self.center is not None:
            expect(self.center, (list, tuple), "Rotate: center is (x, y)")
            for one in self.center:
                expect_number(one, "Rotate: center")
            object.__setattr__(self, "center", tuple(self.center))

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        centre = cast("tuple[float, float] | None", self.center)
        return imrotate(img, strength, centre, self.scale, self.pad_val, self.interpolation)


@dataclass(frozen=True)
class Cutout(Step):
    """Fills a rectangle about a random point; mmpretrain's Cutout. Other arguments as of `Step`.

    Args:
        shape: (height, width) in pixels, or one number for both.
        pad_val: what fills it: a number, or one a channel.

    Params: (the shape, the point (y, x)), or None.
    """

    shape: int | Sequence[int] | None = None
    pad_val: Any = 128

    own = "shape"

    def check_own(self, value: Any) -> None:
        for one in value if isinstance(value, (list, tuple)) else () if value is None else (value,):
            expect_number(one, "Cutout: shape", whole=True)
        if isinstance(value, (list, tuple)):
            object.__setattr__(self, "shape", tuple(cast("Sequence[int]", value)))
        object.__setattr__(self, "pad_val", _colour("Cutout", self.pad_val))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        size: Any = super().draw(sample, rng, fetch)
        if size is None:
            return None
        return size if isinstance(size, tuple) else int(size), draw_cutout(needed(rng, self), image_of(sample).shape)

    def changed(self, img: NDArray[Any], strength: Any) -> NDArray[Any]:
        shape, point = strength
        return cutout_at(img, shape, point, self.pad_val)


@dataclass(frozen=True)
class GaussianBlur(Step):
    """Blurs, by Pillow; mmpretrain's GaussianBlur. Other arguments as of `Step`.

    Args:
        radius: in pixels.
    """

    radius: float | None = None

    own = "radius"

    def changed(self, img: NDArray[Any], strength: float) -> NDArray[Any]:
        if img.dtype != np.uint8:
            raise FkitValueError(f"GaussianBlur: the image is {img.dtype}; Pillow blurs uint8.")
        picture = optional("PIL.Image", "GaussianBlur").fromarray(img)
        blur = optional("PIL.ImageFilter", "GaussianBlur").GaussianBlur(radius=strength)
        return np.array(picture.filter(blur), img.dtype)


def _colour(name: str, value: Any) -> Any:
    several = isinstance(value, (list, tuple))
    for one in cast("Sequence[Any]", value) if several else (value,):
        expect_number(one, f"{name}: pad_val")
    return tuple(value) if several else value


def _direction(step: Any) -> None:
    one_of(type(step).__name__, "direction", step.direction, ("horizontal", "vertical"))
