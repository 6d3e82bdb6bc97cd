"""Transforms of values: to the unit range, and to zero mean and unit deviation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Normalize", "ToUnit"]

_CHANNELS = 4  # more go by numpy


@dataclass(frozen=True)
class ToUnit(Transform):
    """``img`` as float32 in [0, 1]: divided by ``img_max``, the value of full ink that the sample states.

    A dataset states its own (the shipped digits: 16); LoadImageFromFile that of the file's dtype (255, 65535). So one
    pipeline serves both. Without ``img_max``, that of the image's dtype counts; floats are taken to be in [0, 1].

    Example:
        >>> ToUnit()({"img": np.full((1, 1, 1), 8, np.uint8), "img_max": 16})["img"].item()
        0.5
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        img: NDArray[Any] = sample["img"]
        largest = sample.get("img_max")
        if largest is None:
            largest = 1 if img.dtype.kind == "f" else int(np.iinfo(str(img.dtype)).max)
        return replaced(sample, img=img.astype(np.float32) * np.float32(1 / largest), img_max=1)


@dataclass(frozen=True)
class Normalize(Transform):
    """``img`` as float32, ``(img - mean) / std`` a channel; mmcv 2.x's Normalize.

    All is one product of each pixel with a matrix: the turn of the channels, the factors, the shift.

    Args:
        mean: one number a channel, in the units and channel order of the answer.
        std: one number a channel.
        to_rgb: turn three channels round (BGR to RGB) first; others stay.

    Sets ``img`` and ``img_norm_cfg``.

    Example:
        >>> Normalize(mean=[1.0], std=[2.0])({"img": np.full((1, 1, 1), 5, np.uint8)})["img"].item()
        2.0
    """

    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    to_rgb: bool = True
    matrix: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    note: Sample = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mean, std = (_numbers(getattr(self, word), word) for word in ("mean", "std"))
        expect(self.to_rgb, bool, "Normalize: to_rgb is True or False")
        if len(mean) != len(std) or not mean:
            raise FkitValueError(f"Normalize: mean has {len(mean)} numbers and std {len(std)}; both one a channel.")
        if min(std) <= 0:
            raise FkitValueError(f"Normalize: std = {list(std)}: each is above 0.")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)
        factors = np.eye(len(mean)) / np.array(std)[:, None]
        turned = factors[:, ::-1] if self.to_rgb and len(mean) == 3 else factors
        shift = -(factors @ np.array(mean))[:, None]
        object.__setattr__(self, "matrix", np.hstack((turned, shift)).astype(np.float32))
        rows = {"mean": np.array(mean, np.float32), "std": np.array(std, np.float32), "to_rgb": self.to_rgb}
        object.__setattr__(self, "note", frozen(rows))

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        channels = img.shape[2] if img.ndim == 3 else 1
        if channels != len(self.mean):
            raise FkitValueError(
                f"the image has {channels} channels and mean {len(self.mean)} numbers.",
                repair="Give one number a channel, or load with the color_type that has as many channels.",
            )
        wide = img.astype(np.float32)
        if img.size and channels <= _CHANNELS:
            done = cv2.transform(wide, self.matrix).reshape(img.shape)
        else:
            done = wide * np.diagonal(self.matrix) + self.matrix[:, -1]
        return replaced(sample, img=done, img_norm_cfg=self.note)


def _numbers(value: Any, word: str) -> tuple[float, ...]:
    expect(value, (list, tuple), f"Normalize: {word} is a list of numbers, one a channel")
    for one in value:
        expect_number(one, f"Normalize: {word}")
    return tuple(float(one) for one in value)
