"""Transforms of grey levels: mmseg's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.image.histogram import clahe
from fkit.tree.check import check_fields, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["CLAHE", "AdjustGamma", "RGB2Gray", "Rerange"]


@dataclass(frozen=True)
class RGB2Gray(Transform):
    """Grey as a weighted sum of the channels, in each of several channels; mmseg's RGB2Gray.

    Args:
        out_channels: how many; None keeps as many as there are.
        weights: one a channel.

    ``img`` becomes float64; sets ``img_shape`` (height, width, channels), as there.

    Example:
        >>> RGB2Gray(1, (0.5, 0.25, 0.25))({"img": np.uint8([[[2, 4, 8]]])})["img"].tolist()
        [[[4.0]]]
    """

    out_channels: int | None = None
    weights: Sequence[float] = (0.299, 0.587, 0.114)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.out_channels is not None and self.out_channels < 1:
            raise FkitValueError(f"RGB2Gray: out_channels = {self.out_channels!r} is not 1 or more.")
        object.__setattr__(self, "weights", tuple(self.weights))

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        channels = len(self.weights)
        if img.ndim != 3 or img.shape[2] != channels:
            raise FkitValueError(f"RGB2Gray: {channels} weights for an image of shape {img.shape}.")
        grey = (img * np.array(self.weights)).sum(2, keepdims=True)
        done = grey.repeat(self.out_channels or channels, axis=2)
        return replaced(sample, img=done, img_shape=done.shape)


@dataclass(frozen=True)
class Rerange(Transform):
    """Stretch the values of the picture to a range; mmseg's Rerange.

    Args:
        min_value: of the darkest value.
        max_value: of the lightest.

    ``img`` becomes float64. A picture of one value has no range: an error.

    Example:
        >>> Rerange(0, 1)({"img": np.uint8([[[5]], [[7]], [[9]]])})["img"].ravel().tolist()
        [0.0, 0.5, 1.0]
    """

    min_value: float = 0
    max_value: float = 255

    def __post_init__(self) -> None:
        check_fields(self)
        if self.min_value >= self.max_value:
            raise FkitValueError(
                f"Rerange: min_value = {self.min_value!r} is not below max_value = {self.max_value!r}."
            )

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        least, largest = img.min(), img.max()
        if least == largest:
            raise FkitValueError(f"Rerange: all values of the picture are {least}; there is no range to stretch.")
        part: NDArray[Any] = (img - least) / (largest - least)
        return replaced(sample, img=part * (self.max_value - self.min_value) + self.min_value)


@dataclass(frozen=True)
class CLAHE(Transform):
    """Even the histogram of each channel out by tiles, with a limit; mmseg's CLAHE.

    Args:
        clip_limit: of the contrast.
        tile_grid_size: (rows, columns) of tiles.

    Example:
        >>> CLAHE()({"img": np.zeros((16, 16, 3), np.uint8)})["img"].shape
        (16, 16, 3)
    """

    clip_limit: float = 40.0
    tile_grid_size: Sequence[int] = (8, 8)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "tile_grid_size", tuple(self.tile_grid_size))
        if len(self.tile_grid_size) != 2 or min(self.tile_grid_size) < 1:
            raise FkitValueError(f"CLAHE: tile_grid_size = {self.tile_grid_size!r} is no (rows, columns).")

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        channels = img[..., None] if img.ndim == 2 else img
        grid = cast("tuple[int, int]", self.tile_grid_size)
        rows = [clahe(channels[..., at].astype(np.uint8), self.clip_limit, grid) for at in range(channels.shape[2])]
        return replaced(sample, img=np.stack(rows, -1).reshape(img.shape).astype(img.dtype, copy=False))


@dataclass(frozen=True)
class AdjustGamma(Transform):
    """Brighten or darken by a power of 1 / gamma; mmseg's AdjustGamma.

    Args:
        gamma: above 1 is brighter.

    ``img`` becomes uint8.

    Example:
        >>> AdjustGamma(2.0)({"img": np.uint8([[[0]], [[64]], [[255]]])})["img"].ravel().tolist()
        [0, 127, 255]
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        expect_number(self.gamma, "AdjustGamma: gamma")
        if self.gamma <= 0:
            raise FkitValueError(f"AdjustGamma: gamma = {self.gamma!r} is not above 0.")

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        table = np.array([(level / 255.0) ** (1.0 / self.gamma) * 255 for level in range(256)]).astype(np.uint8)
        return replaced(sample, img=cv2.LUT(img.astype(np.uint8, copy=False), table).reshape(img.shape))
