"""A small shift, change of size and turn about the centre."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["ShiftScaleRotate", "Turn"]


class Turn(NamedTuple):
    """What `ShiftScaleRotate` does to one image.

    Attributes:
        right: shift in parts of the width.
        down: shift in parts of the height.
        factor: of the size.
        degrees: clockwise.
    """

    right: float
    down: float
    factor: float
    degrees: float


@dataclass(frozen=True)
class ShiftScaleRotate(Transform):
    """Shift, scale and turn ``img`` about its centre by small random amounts, keeping its size.

    Named, with its arguments, after albumentations' ShiftScaleRotate; each amount is uniform within its limits.

    Args:
        shift_limit: the largest shift either way, in parts of the side.
        scale_limit: the factor is within 1 - limit and 1 + limit.
        rotate_limit: the largest turn either way, in degrees.
        border_value: what comes in from outside.
        prob: of doing anything.

    Params: a `Turn`, or None.

    Example:
        >>> img = np.arange(9, dtype=np.float32).reshape(3, 3, 1)
        >>> ShiftScaleRotate(shift_limit=0.5).apply({"img": img}, Turn(1 / 3, 0, 1, 0))["img"][0].ravel().tolist()
        [0.0, 0.0, 1.0]
    """

    shift_limit: float = 0.0625
    scale_limit: float = 0.0
    rotate_limit: float = 0.0
    border_value: float = 0.0
    prob: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.shift_limit, self.scale_limit, self.rotate_limit) < 0 or self.scale_limit >= 1:
            raise FkitValueError(
                f"{self}: limits are not negative, and scale_limit is below 1.",
                repair="A limit is the largest amount either way: shift_limit=0.1 draws from -0.1 to 0.1.",
            )
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"ShiftScaleRotate: prob = {self.prob!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Turn | None:
        # five numbers whatever is decided, so that a later transform's draws do not hang on this one's
        do, right, down, factor, turn = needed(rng, self).random(5).tolist()
        if do >= self.prob:
            return None
        return Turn(
            self.shift_limit * (2 * right - 1),
            self.shift_limit * (2 * down - 1),
            1 + self.scale_limit * (2 * factor - 1),
            self.rotate_limit * (2 * turn - 1),
        )

    def apply(self, sample: Sample, params: Turn | None) -> Sample:
        if params is None:
            return sample
        img: NDArray[Any] = sample["img"]
        height, width = img.shape[:2]
        angle = math.radians(params.degrees)
        cos, sin = params.factor * math.cos(angle), params.factor * math.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        matrix = np.array(
            (
                (cos, -sin, x - cos * x + sin * y + params.right * width),
                (sin, cos, y - sin * x - cos * y + params.down * height),
            )
        )
        border = (self.border_value,) * 4
        moved = cv2.warpAffine(img, matrix, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=border)
        return replaced(sample, img=moved.reshape(img.shape))
