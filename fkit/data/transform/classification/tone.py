"""Colours and holes for classification: mmpretrain's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import between, needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.refuse import one_of
from fkit.image.tone import adjust_brightness, adjust_color, adjust_contrast, adjust_hue, draw_lighting, light
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["ColorJitter", "Hole", "Jitter", "Lighting", "RandomErasing"]


class Jitter(NamedTuple):
    """What `ColorJitter` does to one image; None leaves a part out.

    Attributes:
        order: of the four parts.
        brightness: a factor.
        contrast: a factor.
        saturation: a factor.
        hue: parts of a full turn.
    """

    order: tuple[int, ...]
    brightness: float | None
    contrast: float | None
    saturation: float | None
    hue: float | None


@dataclass(frozen=True)
class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue by random amounts, in random order; mmpretrain's ColorJitter.

    Args:
        brightness: the largest change of the factor 1 either way, or its (least, largest); cut at 0.
        contrast: the same.
        saturation: the same.
        hue: the largest turn either way in parts of a full one, or (least, largest); cut to half a turn.
        backend: "pillow" or "cv2".

    Params: a `Jitter`.

    Example:
        >>> darker = Jitter((0, 1, 2, 3), 0.5, None, None, None)
        >>> ColorJitter(brightness=0.5).apply({"img": np.full((1, 1, 3), 100, np.uint8)}, darker)["img"].tolist()
        [[[50, 50, 50]]]
    """

    brightness: float | Sequence[float] | None = 0.0
    contrast: float | Sequence[float] | None = 0.0
    saturation: float | Sequence[float] | None = 0.0
    hue: float | Sequence[float] | None = 0.0
    backend: str = "pillow"

    def __post_init__(self) -> None:
        for word in ("brightness", "contrast", "saturation"):
            object.__setattr__(self, word, _range(word, getattr(self, word), 1.0, (0.0, math.inf)))
        object.__setattr__(self, "hue", _range("hue", self.hue, 0.0, (-0.5, 0.5)))
        one_of("ColorJitter", "backend", self.backend, ("cv2", "pillow"))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Jitter:
        source = needed(rng, self)
        ranges: Any = (self.brightness, self.contrast, self.saturation, self.hue)
        order = tuple(source.permutation(len(ranges)).tolist())
        return Jitter(order, *(None if one is None else between(source, one) for one in ranges))

    def apply(self, sample: Sample, params: Jitter) -> Sample:
        expect(params, Jitter, "`params` is a Jitter")
        img = image_of(sample)
        order, *amounts = params
        changes = (adjust_brightness, adjust_contrast, adjust_color, adjust_hue)
        for part in order:
            amount: Any = amounts[part]
            if amount is not None:
                img = changes[part](img, amount, backend=self.backend)
        return replaced(sample, img=img)


@dataclass(frozen=True)
class Lighting(Transform):
    """AlexNet's noise of light along the axes of the colours' variance; mmpretrain's Lighting.

    Args:
        eigval: K eigenvalues of the colours' covariance.
        eigvec: its eigenvectors, three rows of K, in the channel order of the answer.
        alphastd: deviation of the K draws.
        to_rgb: turn BGR to RGB first.

    Params: (K,) what each eigenvalue is multiplied by. Whole numbers wrap around at their ends, as there.

    Example:
        >>> one = Lighting([1.0, 1.0, 1.0], [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
        >>> one.apply({"img": np.uint8([[[0, 10, 255]]])}, (1.0, 2.0, 3.0))["img"].tolist()
        [[[1, 12, 2]]]
    """

    eigval: Sequence[float]
    eigvec: Sequence[Sequence[float]]
    alphastd: float = 0.1
    to_rgb: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        rows: Any = self.eigvec
        expect(rows, (list, tuple), "Lighting: eigvec is three rows of numbers")
        for row in rows:
            expect(row, (list, tuple), "Lighting: eigvec is three rows of numbers")
            for one in row:
                expect_number(one, "Lighting: eigvec")
        if len(rows) != 3 or any(len(row) != len(self.eigval) for row in rows):
            raise FkitValueError(f"Lighting: eigvec is three rows of {len(self.eigval)} numbers, one an eigenvalue.")
        if self.alphastd < 0:
            raise FkitValueError(f"Lighting: alphastd = {self.alphastd!r} is below 0.")
        object.__setattr__(self, "eigval", tuple(self.eigval))
        object.__setattr__(self, "eigvec", tuple(tuple(row) for row in rows))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[float, ...]:
        return tuple(draw_lighting(needed(rng, self), len(self.eigval), float(self.alphastd)).tolist())

    def apply(self, sample: Sample, params: tuple[float, ...]) -> Sample:
        img = image_of(sample)
        done: NDArray[Any] = light(img, np.array(self.eigval), np.array(self.eigvec), params, self.to_rgb)
        whole = done if img.dtype.kind == "f" else done.astype(np.int64)
        return replaced(sample, img=whole.astype(img.dtype))


class Hole(NamedTuple):
    """What `RandomErasing` fills.

    Attributes:
        top: first row.
        left: first column.
        pixels: (height, width, C) uint8, what it fills the rectangle with; or (1, 1, C), one colour, and
        shape: (height, width).
    """

    top: int
    left: int
    pixels: NDArray[np.uint8]
    shape: tuple[int, int]


@dataclass(frozen=True)
class RandomErasing(Transform):
    """Fill a random rectangle with a colour or with noise (Zhong et al. 2017); mmpretrain's RandomErasing.

    Args:
        erase_prob: of doing anything.
        min_area_ratio: the least part of the picture's area.
        max_area_ratio: the largest part.
        aspect_range: the least and the largest height by width; one number r is r and 1 / r.
        mode: "const" fills with ``fill_color``, "rand" with noise.
        fill_color: three numbers, in the picture's channel order, or one for all; with ``fill_std`` the noise's mean.
        fill_std: the noise's deviation, a number or three; None: it is uniform.

    Params: a `Hole`, or None.

    Example:
        >>> hole = Hole(0, 1, np.uint8([[[9, 9, 9]]]), (1, 1))
        >>> RandomErasing().apply({"img": np.zeros((1, 2, 3), np.uint8)}, hole)["img"].tolist()
        [[[0, 0, 0], [9, 9, 9]]]
    """

    erase_prob: float = 0.5
    min_area_ratio: float = 0.02
    max_area_ratio: float = 0.4
    aspect_range: float | Sequence[float] = (3 / 10, 10 / 3)
    mode: str = "const"
    fill_color: float | Sequence[float] = (128, 128, 128)
    fill_std: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        for word in ("erase_prob", "min_area_ratio", "max_area_ratio"):
            expect_number(getattr(self, word), f"RandomErasing: {word}")
            if not 0 <= getattr(self, word) <= 1:
                raise FkitValueError(f"RandomErasing: {word} = {getattr(self, word)!r} is not in [0, 1].")
        if self.min_area_ratio > self.max_area_ratio:
            raise FkitValueError("RandomErasing: min_area_ratio is above max_area_ratio.")
        ratio: Any = self.aspect_range
        if not isinstance(ratio, (list, tuple)):
            expect_number(ratio, "RandomErasing: aspect_range")
            ratio = sorted((ratio, 1 / ratio if ratio else math.inf))
        object.__setattr__(self, "aspect_range", limits("RandomErasing", "aspect_range", ratio))
        if cast("tuple[float, float]", self.aspect_range)[0] <= 0:
            raise FkitValueError(f"RandomErasing: aspect_range = {self.aspect_range!r} is not above 0.")
        one_of("RandomErasing", "mode", self.mode, ("const", "rand"))
        object.__setattr__(self, "fill_color", _three("fill_color", self.fill_color))
        if self.fill_std is not None:
            object.__setattr__(self, "fill_std", _three("fill_std", self.fill_std))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Hole | None:
        source = needed(rng, self)
        if source.random() > self.erase_prob:
            return None
        height, width = image_of(sample).shape[:2]
        least, largest = cast("tuple[float, float]", self.aspect_range)
        ratio = math.exp(between(source, (math.log(least), math.log(largest))))
        area = height * width * between(source, (self.min_area_ratio, self.max_area_ratio))
        high, wide = min(round(math.sqrt(area * ratio)), height), min(round(math.sqrt(area / ratio)), width)
        top, left = (int(source.integers(0, room)) if room else 0 for room in (height - high, width - wide))
        return Hole(top, left, self._pixels((high, wide, 3), source), (high, wide))

    def _pixels(self, shape: tuple[int, int, int], source: np.random.Generator) -> NDArray[np.uint8]:
        if self.mode == "const":
            return np.array(self.fill_color).astype(np.uint8).reshape(1, 1, 3)
        if self.fill_std is None:
            return source.integers(0, 256, shape, np.uint8)
        noise = source.normal(cast(Any, self.fill_color), cast(Any, self.fill_std), shape)
        return np.clip(noise.astype(np.int32), 0, 255).astype(np.uint8)

    def apply(self, sample: Sample, params: Hole | None) -> Sample:
        if params is None:
            return sample
        img = image_of(sample).copy()
        (high, wide), channels = params.shape, 1 if img.ndim == 2 else img.shape[2]
        if channels > params.pixels.shape[2]:
            raise FkitValueError(f"RandomErasing: three numbers a pixel for an image of shape {img.shape}.")
        pixels = params.pixels[..., :channels] if img.ndim == 3 else params.pixels[..., 0]
        img[params.top : params.top + high, params.left : params.left + wide] = pixels
        return replaced(sample, img=img)


def _range(word: str, value: Any, centre: float, bound: tuple[float, float]) -> tuple[float, float] | None:
    """(least, largest) of a part of `ColorJitter`, cut to its bound; None where it is left out."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        expect_number(value, f"ColorJitter: {word}")
        if value < 0:
            raise FkitValueError(f"ColorJitter: {word} = {value!r} is below 0.")
        value = (centre - value, centre + value)
    least, largest = (min(max(one, bound[0]), bound[1]) for one in limits("ColorJitter", word, value))
    return None if least == largest == centre else (least, largest)


def _three(word: str, value: Any) -> tuple[float, ...]:
    several = tuple(value) if isinstance(value, (list, tuple)) else (value,) * 3
    for one in several:
        expect_number(one, f"RandomErasing: {word}")
    if len(several) != 3:
        raise FkitValueError(f"RandomErasing: {word} = {value!r} is no number, or three.")
    return several
