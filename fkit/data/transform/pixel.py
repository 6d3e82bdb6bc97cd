"""albumentations' steps that OpenMMLab's configs name, as values: no package is needed for them.

Arguments, defaults and probabilities are those of albumentations 1.3. A limit that is one number is drawn from both sides of 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, cast

import cv2
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.data.transform.draw import between
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = [
    "PIXEL_STEPS",
    "Blur",
    "ChannelShuffle",
    "CoarseDropout",
    "GridDropout",
    "HueSaturationValue",
    "JpegCompression",
    "MedianBlur",
    "OneOf",
    "PixelStep",
    "RGBShift",
    "RandomBrightnessContrast",
    "RandomGamma",
]

Image = NDArray[Any]


@dataclass(frozen=True)
class PixelStep:
    """What the steps have in common.

    Args:
        p: of doing anything.

    Example:
        >>> Blur(p=0.0).decide(np.zeros((4, 4, 3), np.uint8), np.random.default_rng(0)) is None
        True
    """

    _: KW_ONLY
    p: float = 0.5

    def __post_init__(self) -> None:
        name = type(self).__name__
        expect_number(self.p, f"{name}: p")
        for field in fields(self):
            value: Any = getattr(self, field.name)
            for one in value if isinstance(value, (list, tuple)) else (value,):
                if not isinstance(one, (bool, PixelStep)) and not (one is None and field.default is None):
                    expect_number(one, f"{name}: {field.name}")
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(cast("list[Any]", value)))
        if not 0 <= self.p <= 1:
            raise FkitValueError(f"{name}: p = {self.p!r} is not in [0, 1].")

    def decide(self, img: Image, rng: np.random.Generator) -> Any:
        """What is done to an image, drawn; None: nothing."""
        expect(rng, np.random.Generator, "`rng` is a numpy Generator")
        return self.drawn(img, rng) if rng.random() < self.p else None

    def drawn(self, img: Image, rng: np.random.Generator) -> Any:
        """What is done to an image where something is."""
        return True

    def changed(self, img: Image, params: Any) -> Image:
        """The image (H, W, C) with that done."""
        return img


@dataclass(frozen=True)
class Blur(PixelStep):
    """The mean of a square of odd side; params: the side."""

    blur_limit: int | Sequence[int] = 7

    def drawn(self, img: Image, rng: np.random.Generator) -> int:
        low, high = (3, self.blur_limit) if isinstance(self.blur_limit, int) else self.blur_limit
        return int(rng.choice(range(low, high + 1, 2)))

    def changed(self, img: Image, params: int) -> Image:
        return _shaped(cv2.blur(img, (params, params)), img)


@dataclass(frozen=True)
class MedianBlur(Blur):
    """The median of a square of odd side; params: the side."""

    def changed(self, img: Image, params: int) -> Image:
        return _shaped(cv2.medianBlur(img, params), img)


@dataclass(frozen=True)
class CoarseDropout(PixelStep):
    """Rectangles are filled; params: (x1, y1, x2, y2) of each. Sides are pixels, or parts of the image's where floats."""

    max_holes: int = 8
    max_height: float = 8
    max_width: float = 8
    min_holes: int | None = None
    min_height: float | None = None
    min_width: float | None = None
    fill_value: float | Sequence[float] = 0
    mask_fill_value: None = None

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[tuple[int, int, int, int], ...]:
        height, width = img.shape[:2]
        count = rng.integers(_or(self.min_holes, self.max_holes), self.max_holes + 1)
        return tuple(self._hole(rng, height, width) for _ in range(int(count)))

    def _hole(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
        high = _side(rng, _or(self.min_height, self.max_height), self.max_height, height)
        wide = _side(rng, _or(self.min_width, self.max_width), self.max_width, width)
        y, x = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
        return x, y, x + wide, y + high

    def changed(self, img: Image, params: Any) -> Image:
        return _filled(img, params, self.fill_value)


@dataclass(frozen=True)
class GridDropout(PixelStep):
    """Rectangles on a grid are filled; params: (x1, y1, x2, y2) of each."""

    ratio: float = 0.5
    unit_size_min: int = 2
    unit_size_max: int = 2
    shift_x: int = 0
    shift_y: int = 0
    random_offset: bool = False
    fill_value: float | Sequence[float] = 0

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[tuple[int, int, int, int], ...]:
        height, width = img.shape[:2]
        unit = int(rng.integers(self.unit_size_min, self.unit_size_max + 1))
        hole = min(max(int(unit * self.ratio), 1), unit - 1)
        x, y = (min(max(0, shift), unit - hole) for shift in (self.shift_x, self.shift_y))
        if self.random_offset:
            x, y = (int(rng.integers(unit - hole + 1)) for _ in range(2))
        corners = ((x + unit * i, y + unit * j) for i in range(width // unit + 1) for j in range(height // unit + 1))
        return tuple((x, y, x + hole, y + hole) for x, y in corners)

    def changed(self, img: Image, params: Any) -> Image:
        return _filled(img, params, self.fill_value)


@dataclass(frozen=True)
class RandomBrightnessContrast(PixelStep):
    """Values times a factor, plus a part of the whole range; params: (factor, part)."""

    brightness_limit: float | Sequence[float] = 0.2
    contrast_limit: float | Sequence[float] = 0.2
    brightness_by_max: bool = True

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[float, float]:
        return 1 + _about(rng, self.contrast_limit), _about(rng, self.brightness_limit)

    def changed(self, img: Image, params: tuple[float, float]) -> Image:
        factor, part = params
        top = 255 if img.dtype == np.uint8 else 1
        return _by_table(img, lambda values: values * factor + part * (top if self.brightness_by_max else img.mean()))


@dataclass(frozen=True)
class RandomGamma(PixelStep):
    """Values to a power; params: the exponent, drawn in hundredths."""

    gamma_limit: float | Sequence[float] = (80, 120)

    def drawn(self, img: Image, rng: np.random.Generator) -> float:
        return _about(rng, self.gamma_limit) / 100

    def changed(self, img: Image, params: float) -> Image:
        top = 255 if img.dtype == np.uint8 else 1
        return _by_table(img, lambda values: (values / top) ** params * top)


@dataclass(frozen=True)
class HueSaturationValue(PixelStep):
    """Hue, saturation and value shifted, of an image taken as RGB whatever it is; params: the three shifts."""

    hue_shift_limit: float | Sequence[float] = 20
    sat_shift_limit: float | Sequence[float] = 30
    val_shift_limit: float | Sequence[float] = 20

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[float, float, float]:
        hue, saturation, value = (
            _about(rng, limit) for limit in (self.hue_shift_limit, self.sat_shift_limit, self.val_shift_limit)
        )
        return hue, saturation, value

    def changed(self, img: Image, params: tuple[float, float, float]) -> Image:
        hue, saturation, value = params
        if img.dtype != np.uint8:
            raise FkitValueError(f"HueSaturationValue takes images of uint8, not {img.dtype}.")
        hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
        numbers = np.arange(256.0)
        tables = (np.mod(numbers + hue, 180), (numbers + saturation).clip(0, 255), (numbers + value).clip(0, 255))
        return cv2.cvtColor(cv2.LUT(hsv, np.stack(tables, -1).astype(np.uint8)[None]), cv2.COLOR_HSV2RGB)


@dataclass(frozen=True)
class RGBShift(PixelStep):
    """A number added to each channel, the first taken for red; params: the three numbers."""

    r_shift_limit: float | Sequence[float] = 20
    g_shift_limit: float | Sequence[float] = 20
    b_shift_limit: float | Sequence[float] = 20

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[float, ...]:
        return tuple(_about(rng, limit) for limit in (self.r_shift_limit, self.g_shift_limit, self.b_shift_limit))

    def changed(self, img: Image, params: tuple[float, ...]) -> Image:
        channels = [_by_table(img[..., at], lambda values, by=by: values + by) for at, by in enumerate(params)]
        return np.stack(channels, -1)


@dataclass(frozen=True)
class ChannelShuffle(PixelStep):
    """The channels in another order; params: the order."""

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[int, ...]:
        return tuple(rng.permutation(img.shape[2]).tolist())

    def changed(self, img: Image, params: tuple[int, ...]) -> Image:
        return np.ascontiguousarray(img[..., list(params)])


@dataclass(frozen=True)
class JpegCompression(PixelStep):
    """Written as JPEG and read again; params: the quality."""

    quality_lower: int = 99
    quality_upper: int = 100

    def drawn(self, img: Image, rng: np.random.Generator) -> int:
        return int(rng.integers(self.quality_lower, self.quality_upper + 1))

    def changed(self, img: Image, params: int) -> Image:
        written = cv2.imencode(".jpg", img, (cv2.IMWRITE_JPEG_QUALITY, params))[1]
        read: Any = cv2.imdecode(written, cv2.IMREAD_UNCHANGED)
        return _shaped(read, img)


@dataclass(frozen=True)
class OneOf(PixelStep):
    """One of several steps, by the ratio of their ``p``; params: (its number, its params)."""

    transforms: Sequence[PixelStep] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(self.transforms, (list, tuple), "OneOf: transforms is a list of steps")
        for one in self.transforms:
            expect(one, PixelStep, "OneOf: transforms is a list of steps")
        if not self.transforms or not any(one.p for one in self.transforms):
            raise FkitValueError("OneOf: transforms hold no step that may be taken.")

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[int, Any]:
        chances = np.array([one.p for one in self.transforms])
        which = int(rng.choice(len(chances), p=chances / chances.sum()))
        return which, self.transforms[which].drawn(img, rng)

    def changed(self, img: Image, params: tuple[int, Any]) -> Image:
        which, inner = params
        return self.transforms[which].changed(img, inner)


PIXEL_STEPS = frozendict(
    {
        step.__name__: step
        for step in (
            Blur, ChannelShuffle, CoarseDropout, GridDropout, HueSaturationValue, JpegCompression, MedianBlur, OneOf,
            RGBShift, RandomBrightnessContrast, RandomGamma,
        )
    }
)  # fmt: skip
"""The steps, by albumentations' name."""


def _about(rng: np.random.Generator, limit: Any) -> float:
    return between(rng, limit if isinstance(limit, tuple) else (-limit, limit))


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _side(rng: np.random.Generator, low: float, high: float, length: int) -> int:
    """A side of a hole: pixels where whole numbers, else parts of the length."""
    if isinstance(low, int) and isinstance(high, int):
        return min(int(rng.integers(low, high + 1)), length)
    return min(int(length * rng.uniform(low, high)), length)


def _filled(img: Image, holes: Sequence[Sequence[int]], value: Any) -> Image:
    done = img.copy()
    for x1, y1, x2, y2 in holes:
        done[y1:y2, x1:x2] = value
    return done


def _by_table(img: Image, change: Callable[[Image], Image]) -> Image:
    """A function of single values: of uint8 by a table, cut to 0 to 255; of floats by itself, cut to 0 to 1."""
    if img.dtype != np.uint8:
        return change(img).clip(0, 1).astype(img.dtype)
    return _shaped(cv2.LUT(img, change(np.arange(256.0)).clip(0, 255).astype(np.uint8)), img)


def _shaped(done: Image, img: Image) -> Image:
    """cv2 drops a last axis of one."""
    return done.reshape(img.shape)
