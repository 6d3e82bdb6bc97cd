"""MMPose's PhotometricDistortion."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.colour import bgr2hsv, hsv2bgr
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["Photo", "PhotometricDistortion"]


class Photo(NamedTuple):
    """What `PhotometricDistortion` does to one image; None: not.

    Attributes:
        brightness: added.
        contrast: multiplied by, twice.
        saturation: the saturation is multiplied by.
        hue: added to the hue, of 180.
        order: of the channels.
    """

    brightness: float | None = None
    contrast: float | None = None
    saturation: float | None = None
    hue: int | None = None
    order: tuple[int, ...] | None = None


@dataclass(frozen=True)
class PhotometricDistortion(Transform):
    """Brightness, contrast, saturation, hue and the order of the channels, each by chance; mmpose's PhotometricDistortion.

    The contrast is applied before and after the others, in half of the cases where it is drawn, and else not at all: so it is
    in the reference.

    Args:
        brightness_delta: the largest number that is added.
        contrast_range: (smallest, largest) factor.
        saturation_range: (smallest, largest) factor.
        hue_delta: the largest number that is added to the hue, of 180.

    Takes ``img`` (H, W, 3) uint8, BGR. Params: a `Photo`.

    Example:
        >>> PhotometricDistortion().apply({"img": np.full((1, 1, 3), 250, np.uint8)}, Photo(brightness=9.0))["img"].tolist()
        [[[255, 255, 255]]]
    """

    brightness_delta: int = 32
    contrast_range: tuple[float, float] = (0.5, 1.5)
    saturation_range: tuple[float, float] = (0.5, 1.5)
    hue_delta: int = 18

    def __post_init__(self) -> None:
        check_fields(self)
        for word in ("contrast_range", "saturation_range"):
            limits = tuple(getattr(self, word))
            if len(limits) != 2 or limits[0] > limits[1]:
                raise FkitValueError(f"PhotometricDistortion: {word} = {limits!r} is (smallest, largest).")
            object.__setattr__(self, word, limits)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Photo:
        source = needed(rng, self)
        twice, bright, contrast, swap = (source.integers(2, size=4) > 0).tolist()
        mode = int(source.integers(4))
        amounts = (
            float(source.uniform(-self.brightness_delta, self.brightness_delta)),
            float(source.uniform(*self.contrast_range)),
            float(source.uniform(*self.saturation_range)),
            int(source.integers(-self.hue_delta, max(self.hue_delta, 1 - self.hue_delta))),
        )
        order = tuple(source.permutation(3).tolist())
        return Photo(
            amounts[0] if bright else None,
            amounts[1] if contrast and twice else None,
            amounts[2] if mode in (1, 3) else None,
            amounts[3] if mode in (2, 3) else None,
            order if swap else None,
        )

    def apply(self, sample: Sample, params: Photo) -> Sample:
        img: NDArray[Any] = sample["img"]
        if img.ndim != 3 or img.shape[2] != 3:
            raise FkitValueError(f"PhotometricDistortion takes an image (H, W, 3), not {img.shape}.")
        if params.brightness is not None:
            img = _cut(img.astype(np.float32) + params.brightness)
        if params.contrast is not None:
            img = _cut(img.astype(np.float32) * params.contrast)
        if params.saturation is not None or params.hue is not None:
            hsv = bgr2hsv(img)
            if params.saturation is not None:
                hsv[..., 1] = _cut(hsv[..., 1].astype(np.float32) * params.saturation)
            if params.hue is not None:  # uint8 wraps round at 256: so it is in the reference
                hsv[..., 0] = (hsv[..., 0].astype(np.int64) + params.hue).astype(np.uint8)
            img = hsv2bgr(hsv)
        if params.contrast is not None:
            img = _cut(img.astype(np.float32) * params.contrast)
        if params.order is not None:
            img = img[..., list(params.order)]
        return replaced(sample, img=img)


def _cut(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.clip(values, 0, 255).astype(np.uint8)
