"""Pictures of Pillow's: mmpretrain's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.crop import Crop
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import between, needed
from fkit.data.transform.resize import scale_pair
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.colour import bgr2rgb
from fkit.image.refuse import one_of, optional
from fkit.tree.check import expect
from fkit.tree.error import FkitNotImplementedError, FkitTypeError, FkitValueError, quoted

__all__ = ["MAERandomResizedCrop", "NumpyToPIL", "PILToNumpy", "TorchVision"]

_WAYS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # in the order of Pillow's numbers


@dataclass(frozen=True)
class NumpyToPIL(Transform):
    """``img`` as a picture of Pillow's; mmpretrain's NumpyToPIL and ToPIL.

    Args:
        to_rgb: turn BGR to RGB first.

    Example:
        >>> NumpyToPIL(to_rgb=True)({"img": np.uint8([[[0, 0, 255]]])})["img"].getpixel((0, 0))
        (255, 0, 0)
    """

    to_rgb: bool = False

    def __post_init__(self) -> None:
        expect(self.to_rgb, bool, "NumpyToPIL: to_rgb is True or False")

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        picture = optional("PIL.Image", "NumpyToPIL").fromarray(bgr2rgb(img) if self.to_rgb else img)
        return replaced(sample, img=picture)


@dataclass(frozen=True)
class PILToNumpy(Transform):
    """A picture of Pillow's as an array; mmpretrain's PILToNumpy and ToNumpy.

    Args:
        to_bgr: turn RGB to BGR.
        dtype: of the answer; None keeps the picture's.

    Example:
        >>> PILToNumpy()(NumpyToPIL()({"img": np.zeros((2, 3, 3), np.uint8)}))["img"].shape
        (2, 3, 3)
    """

    to_bgr: bool = False
    dtype: Any = None

    def __post_init__(self) -> None:
        expect(self.to_bgr, bool, "PILToNumpy: to_bgr is True or False")
        try:
            np.dtype(self.dtype)
        except TypeError as cause:
            raise FkitTypeError(f"PILToNumpy: dtype = {quoted(self.dtype)} is no dtype of numpy's.") from cause

    def apply(self, sample: Sample, params: Any) -> Sample:
        img: NDArray[Any] = np.array(_picture(self, sample), dtype=self.dtype)
        return replaced(sample, img=bgr2rgb(img) if self.to_bgr else img)


@dataclass(frozen=True)
class MAERandomResizedCrop(Transform):
    """Cut a piece of random size and ratio out of a picture of Pillow's, and resize it; mmpretrain's MAERandomResizedCrop.

    Unlike `fkit.data.transform.classification.crop.RandomResizedCrop` it draws once: what is too large is cut.

    Args:
        size: (height, width) of the answer in pixels; one int makes a square.
        scale: the least and the largest part of the picture's area.
        ratio: the least and the largest width by height.
        interpolation: nearest, bilinear, bicubic, box, hamming or lanczos, of Pillow's; or its number there.

    Params: a `fkit.data.transform.crop.Crop`.

    Example:
        >>> picture = NumpyToPIL()({"img": np.zeros((8, 6, 3), np.uint8)})
        >>> MAERandomResizedCrop(4).apply(picture, Crop(0, 0, 8, 6))["img"].size
        (4, 4)
    """

    size: int | Sequence[int]
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: str | int = "bilinear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", scale_pair(self.size, "MAERandomResizedCrop: size"))
        for word in ("scale", "ratio"):
            object.__setattr__(self, word, limits("MAERandomResizedCrop", word, getattr(self, word)))
            if getattr(self, word)[0] <= 0:
                raise FkitValueError(f"MAERandomResizedCrop: {word} = {getattr(self, word)!r} is not above 0.")
        way: Any = self.interpolation
        if isinstance(way, int) and 0 <= way < len(_WAYS):
            way = _WAYS[way]
        one_of("MAERandomResizedCrop", "interpolation", way, _WAYS)
        object.__setattr__(self, "interpolation", way)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Crop:
        source = needed(rng, self)
        width, height = _picture(self, sample).size
        area = height * width * between(source, self.scale)
        ratio = math.exp(between(source, tuple(math.log(one) for one in self.ratio)))
        wide, high = min(round(math.sqrt(area * ratio)), width), min(round(math.sqrt(area / ratio)), height)
        return Crop(int(source.integers(height - high + 1)), int(source.integers(width - wide + 1)), high, wide)

    def apply(self, sample: Sample, params: Crop) -> Sample:
        top, left, high, wide = params
        piece = _picture(self, sample).crop((left, top, left + wide, top + high))
        way = optional("PIL.Image", "MAERandomResizedCrop").Resampling[str(self.interpolation).upper()]
        return replaced(sample, img=piece.resize(cast("tuple[int, int]", self.size)[::-1], way))


@dataclass(frozen=True, init=False)
class TorchVision(Transform):
    """mmpretrain's ``torchvision/NAME``, which passes the picture to torchvision: refused, with the reason.

    Raises:
        FkitNotImplementedError: always.
    """

    def __init__(self, *positional: Any, **arguments: Any) -> None:
        raise FkitNotImplementedError(
            "transforms of torchvision are not built by name: they draw from torch's global generator, on pictures of Pillow's.",
            repair="Take the kit's own (RandomFlip, ResizeEdge, RandomCrop, RandomResizedCrop, ColorJitter, RandAugment); or, in"
            " Python, pass a function of a sample that calls torchvision.",
        )


def _picture(of: Transform, sample: Sample) -> Any:
    name = type(of).__name__
    picture: Any = sample.get("img")
    if not isinstance(picture, optional("PIL.Image", name).Image):
        raise FkitTypeError(
            f"{name}: the sample's img is {quoted(picture, 60)}, no picture of Pillow's.",
            repair="Put NumpyToPIL(to_rgb=True) before it.",
        )
    return picture
