"""Crops for classification: mmpretrain's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.crop import Crop, cut
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import between, needed
from fkit.data.transform.resize import scale_pair
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.pad import impad
from fkit.image.refuse import one_of
from fkit.image.resize import imresize, interpolation_code
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = [
    "EfficientNetCenterCrop",
    "EfficientNetRandomCrop",
    "RandomCrop",
    "RandomResizedCrop",
    "RandomResizedCropAndInterpolationWithTwoPic",
    "Twice",
    "area_crop",
]

_MODES = ("constant", "edge", "reflect", "symmetric")
_BACKENDS = ("cv2", "pillow")


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Pad, and cut out a piece at a random place; mmpretrain's RandomCrop.

    Args:
        crop_size: (height, width) in pixels; one int makes a square. A smaller picture gives a smaller piece.
        padding: pixels on each side: one number, (left and right, top and bottom), or (left, top, right, bottom).
        pad_if_needed: pad a picture that is smaller, on both sides alike.
        pad_val: one number a channel; a single number reaches the first channel alone, as there.
        padding_mode: of ``pad_if_needed``: "constant", "edge", "reflect" or "symmetric"; ``padding`` is constant, as there.

    Params: a `fkit.data.transform.crop.Crop` of the padded picture. Changes ``img``; sets ``img_shape`` (height, width).

    Example:
        >>> RandomCrop(4, padding=1).apply({"img": np.ones((4, 4), np.uint8)}, Crop(0, 0, 4, 4))["img"][:2].tolist()
        [[0, 0, 0, 0], [0, 1, 1, 1]]
    """

    crop_size: int | Sequence[int]
    padding: int | Sequence[int] | None = None
    pad_if_needed: bool = False
    pad_val: float | Sequence[float] = 0
    padding_mode: str = "constant"

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "crop_size", scale_pair(self.crop_size, "RandomCrop: crop_size"))
        for word in ("padding", "pad_val"):
            value: Any = getattr(self, word)
            several = isinstance(value, (list, tuple))
            for one in cast("Sequence[Any]", value) if several else () if value is None else (value,):
                expect_number(one, f"RandomCrop: {word}", whole=word == "padding")
            object.__setattr__(self, word, tuple(value) if several else value)
        one_of("RandomCrop", "padding_mode", self.padding_mode, _MODES)
        self._padded(np.zeros((2, 2, 3), np.uint8))  # refuses lengths that do not fit

    def _padded(self, img: NDArray[Any]) -> NDArray[Any]:
        shape = img.shape
        if self.padding is not None:
            img = impad(img, padding=cast(Any, self.padding), pad_val=cast(Any, self.pad_val))
        if self.pad_if_needed:
            high, wide = cast("tuple[int, int]", self.crop_size)
            down, right = math.ceil(max(0, high - img.shape[0]) / 2), math.ceil(max(0, wide - img.shape[1]) / 2)
            if down or right:
                way: Any = {"pad_val": self.pad_val, "padding_mode": self.padding_mode}
                img = impad(img, padding=(right, down, right, down), **way)
        return img.reshape(*img.shape[:2], *shape[2:])

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop:
        source = needed(rng, self)
        height, width = self._padded(image_of(sample)[..., :1]).shape[:2]
        high, wide = (min(asked, side) for asked, side in zip(cast(Any, self.crop_size), (height, width), strict=True))
        top, left = (int(source.integers(0, room + 1)) for room in (height - high, width - wide))
        return Crop(top, left, high, wide)

    def apply(self, sample: Sample, params: Crop) -> Sample:
        return replaced(sample, **cut({"img": self._padded(image_of(sample))}, params))


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """Cut out a piece of random size and ratio, and resize it; Inception's crop, mmpretrain's RandomResizedCrop.

    Args:
        scale: (height, width) of the answer in pixels; one int makes a square.
        crop_ratio_range: the least and the largest part of the picture's area.
        aspect_ratio_range: the least and the largest width by height.
        max_attempts: pieces that are drawn, until one fits; else the largest in the middle is taken.
        interpolation: nearest, bilinear, bicubic, area or lanczos.
        backend: "cv2" or "pillow".

    Params: a `fkit.data.transform.crop.Crop`. Changes ``img``; sets ``img_shape`` (height, width).

    Example:
        >>> RandomResizedCrop(2).apply({"img": np.zeros((8, 6, 3), np.uint8)}, Crop(1, 1, 4, 5))["img"].shape
        (2, 2, 3)
    """

    scale: int | Sequence[int]
    crop_ratio_range: Sequence[float] = (0.08, 1.0)
    aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3)
    max_attempts: int = 10
    interpolation: str = "bilinear"
    backend: str = "cv2"

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_fields(self)
        object.__setattr__(self, "scale", scale_pair(self.scale, f"{name}: scale"))
        for word in ("crop_ratio_range", "aspect_ratio_range"):
            object.__setattr__(self, word, limits(name, word, getattr(self, word)))
            if getattr(self, word)[0] <= 0:
                raise FkitValueError(f"{name}: {word} = {getattr(self, word)!r} is not above 0.")
        if self.max_attempts < 0:
            raise FkitValueError(f"{name}: max_attempts = {self.max_attempts!r} is below 0.")
        _check_way(self)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop:
        shape = image_of(sample).shape[:2]
        return area_crop(shape, self.crop_ratio_range, self.aspect_ratio_range, self.max_attempts, needed(rng, self))

    def apply(self, sample: Sample, params: Crop) -> Sample:
        return _cut_resized(sample, params, cast("tuple[int, int]", self.scale), self)


@dataclass(frozen=True)
class EfficientNetRandomCrop(RandomResizedCrop):
    """Cut out a piece of random size and ratio, and resize it, as EfficientNet was trained; mmpretrain's.

    Args:
        scale, crop_ratio_range, aspect_ratio_range, max_attempts, interpolation, backend: as of `RandomResizedCrop`; the
            scale is one int.
        min_covered: the least part of the picture's area.
        crop_padding: with which `EfficientNetCenterCrop` cuts, where no piece fits.

    Params: a `fkit.data.transform.crop.Crop`.

    Example:
        >>> EfficientNetRandomCrop(2, max_attempts=0).draw({"img": np.zeros((34, 40, 3))}, np.random.default_rng(0), None)
        Crop(top=16, left=19, height=2, width=2)
    """

    interpolation: str = "bicubic"
    min_covered: float = 0.1
    crop_padding: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        high, wide = cast("tuple[int, int]", self.scale)
        if high != wide:
            raise FkitValueError(f"EfficientNetRandomCrop: scale = {self.scale!r} is one whole number.")
        if self.min_covered < 0 or self.crop_padding < 0:
            raise FkitValueError("EfficientNetRandomCrop: min_covered and crop_padding are not below 0.")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop:
        source = needed(rng, self)
        height, width = image_of(sample).shape[:2]
        area = height * width
        least, largest = (part * area for part in self.crop_ratio_range)
        for _ in range(self.max_attempts):
            ratio = between(source, self.aspect_ratio_range)
            low, high = (round(math.sqrt(part / ratio)) for part in (least, largest))
            if high * ratio > width:  # the highest piece that is not too wide, rounded
                high = int((width + 0.5 - 1e-7) / ratio)
                high -= high * ratio > width
            high = min(high, height)
            rows = round(between(source, (min(low, high), high)))
            columns = round(rows * ratio)
            size = rows * columns
            if least <= size <= largest and columns <= width and rows <= height and size >= self.min_covered * area:
                top, left = (int(source.integers(0, room + 1)) for room in (height - rows, width - columns))
                return Crop(top, left, rows, columns)
        return _middle((height, width), cast("tuple[int, int]", self.scale)[0], self.crop_padding)


@dataclass(frozen=True)
class EfficientNetCenterCrop(Transform):
    """Cut out the middle, in proportion to the shorter side, and resize it; mmpretrain's EfficientNetCenterCrop.

    Args:
        crop_size: side of the answer, in pixels.
        crop_padding: the piece has crop_size / (crop_size + crop_padding) of the shorter side.
        interpolation: nearest, bilinear, bicubic, area or lanczos.
        backend: "cv2" or "pillow".

    Changes ``img``; sets ``img_shape`` (height, width).

    Example:
        >>> EfficientNetCenterCrop(8)({"img": np.zeros((40, 60, 3), np.uint8)})["img"].shape
        (8, 8, 3)
    """

    crop_size: int
    crop_padding: int = 32
    interpolation: str = "bicubic"
    backend: str = "cv2"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.crop_size < 1 or self.crop_padding < 0:
            raise FkitValueError(
                f"EfficientNetCenterCrop: crop_size = {self.crop_size!r} is above 0, crop_padding = {self.crop_padding!r} not below."
            )
        _check_way(self)

    def apply(self, sample: Sample, params: Any) -> Sample:
        crop = _middle(image_of(sample).shape[:2], self.crop_size, self.crop_padding)
        return _cut_resized(sample, crop, (self.crop_size, self.crop_size), self)


class Twice(NamedTuple):
    """What `RandomResizedCropAndInterpolationWithTwoPic` decided.

    Attributes:
        crop: the piece.
        interpolation: of the first picture.
    """

    crop: Crop
    interpolation: str


@dataclass(frozen=True)
class RandomResizedCropAndInterpolationWithTwoPic(Transform):
    """Cut out a piece of random size and ratio, and resize it to two sizes: BEiT's pictures, for the model and for the
    tokenizer; mmpretrain's.

    Args:
        size: (width, height) of the first in pixels; one int makes a square.
        second_size: of the second; None: there is one picture.
        scale: the least and the largest part of the picture's area.
        ratio: the least and the largest width by height.
        interpolation: of the first; "random" draws bilinear or bicubic.
        second_interpolation: of the second.

    Params: a `Twice`. ``img`` becomes the picture, or a tuple of the two.

    Example:
        >>> crop = RandomResizedCropAndInterpolationWithTwoPic(4, second_size=2)
        >>> done = crop.apply({"img": np.zeros((8, 8, 3), np.uint8)}, Twice(Crop(0, 0, 8, 8), "bilinear"))
        >>> [img.shape for img in done["img"]]
        [(4, 4, 3), (2, 2, 3)]
    """

    size: int | Sequence[int]
    second_size: int | Sequence[int] | None = None
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    second_interpolation: str = "lanczos"

    def __post_init__(self) -> None:
        name = type(self).__name__
        for word in ("size", "second_size"):
            if getattr(self, word) is not None:
                object.__setattr__(self, word, scale_pair(getattr(self, word), f"{name}: {word}"))
        for word in ("scale", "ratio"):
            object.__setattr__(self, word, limits(name, word, getattr(self, word)))
            if getattr(self, word)[0] <= 0:
                raise FkitValueError(f"{name}: {word} = {getattr(self, word)!r} is not above 0.")
        if self.interpolation != "random":
            interpolation_code(name, self.interpolation)
        interpolation_code(name, self.second_interpolation)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Twice:
        source = needed(rng, self)
        crop = area_crop(image_of(sample).shape[:2], self.scale, self.ratio, 10, source, inner=True)
        way = self.interpolation
        return Twice(crop, ("bilinear", "bicubic")[int(source.integers(2))] if way == "random" else way)

    def apply(self, sample: Sample, params: Twice) -> Sample:
        piece: NDArray[Any] = cut({"img": image_of(sample)}, params.crop)["img"]
        first = imresize(piece, cast("tuple[int, int]", self.size), interpolation=params.interpolation)
        if self.second_size is None:
            return replaced(sample, img=first)
        size = cast("tuple[int, int]", self.second_size)
        return replaced(sample, img=(first, imresize(piece, size, interpolation=self.second_interpolation)))


def area_crop(
    shape: Sequence[int],
    areas: Sequence[float],
    ratios: Sequence[float],
    attempts: int,
    rng: np.random.Generator,
    inner: bool = False,
) -> Crop:
    """A piece of random area and ratio of sides, drawn; the largest in the middle where none of the attempts fits.

    Args:
        shape: (height, width) of the picture.
        areas: the least and the largest part of its area.
        ratios: the least and the largest width by height.
        attempts: how many are drawn.
        inner: whether the piece is smaller than the picture and leaves out its last row and column.

    Example:
        >>> area_crop((8, 6), (0.5, 0.5), (1.0, 1.0), 0, np.random.default_rng(0))
        Crop(top=1, left=0, height=6, width=6)
    """
    height, width = shape
    spare = 0 if inner else 1
    for _ in range(attempts):
        area = between(rng, areas) * (height * width)
        ratio = math.exp(between(rng, (math.log(ratios[0]), math.log(ratios[1]))))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide < width + spare and 0 < high < height + spare:
            top, left = (int(rng.integers(0, room + spare)) for room in (height - high, width - wide))
            return Crop(top, left, high, wide)
    wide, high = width, height
    if width / height < min(ratios):
        high = round(width / min(ratios))
    elif width / height > max(ratios):
        wide = round(height * max(ratios))
    return Crop((height - high) // 2, (width - wide) // 2, high, wide)


def _middle(shape: Sequence[int], side: int, padding: int) -> Crop:
    size = side / (side + padding) * min(shape)
    top, left = (max(0, round((one - size) / 2)) for one in shape)
    return Crop(top, left, int(size), int(size))


def _cut_resized(sample: Sample, crop: Crop, scale: tuple[int, int], way: Any) -> Sample:
    """A piece resized to ``scale`` (height, width)."""
    piece: NDArray[Any] = cut({"img": image_of(sample)}, crop)["img"]
    done = imresize(piece, (scale[1], scale[0]), interpolation=way.interpolation, backend=way.backend)
    return replaced(sample, img=done.reshape(*scale, *piece.shape[2:]), img_shape=scale)


def _check_way(way: Any) -> None:
    name = type(way).__name__
    one_of(name, "backend", way.backend, _BACKENDS)
    expect(way.interpolation, str, f"{name}: interpolation is a word")
    if way.backend == "cv2":
        interpolation_code(name, way.interpolation)
