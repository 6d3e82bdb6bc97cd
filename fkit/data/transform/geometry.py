"""Transforms that move pixels: resize, flip, shift and turn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.resize import imresize, interpolation_code, rescale_size
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["RandomFlip", "Resize", "ShiftScaleRotate", "Turn"]

_DIRECTIONS = ("horizontal", "vertical", "diagonal")


@dataclass(frozen=True)
class Resize(Transform):
    """Resize ``img``; mmcv 2.x's Resize for images.

    Args:
        scale: (width, height) in pixels; one int makes a square.
        scale_factor: in place of ``scale``: a factor, or (width factor, height factor).
        keep_ratio: fit into ``scale`` with the ratio of the sides kept.
        interpolation: nearest, bilinear, bicubic, area or lanczos; pillow's names with that backend.
        backend: "cv2" or "pillow".

    Sets ``img``, ``img_shape`` (height, width), ``scale``, ``scale_factor`` (width, height), ``keep_ratio``.

    Example:
        >>> Resize(scale=(4, 2))({"img": np.zeros((8, 8, 3), np.uint8)})["img"].shape
        (2, 4, 3)
    """

    scale: int | Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    keep_ratio: bool = False
    interpolation: str = "bilinear"
    backend: str = "cv2"

    def __post_init__(self) -> None:
        if (self.scale is None) == (self.scale_factor is None):
            raise FkitValueError("Resize takes one of scale and scale_factor.")
        scale, factor = self.scale, self.scale_factor
        if scale is not None:
            _check_numbers(scale, "Resize: scale", whole=True)
            scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
            if len(scale) != 2 or min(scale) < 1:
                raise FkitValueError(f"Resize: scale = {self.scale!r} is no (width, height) in pixels.")
        if factor is not None:
            _check_numbers(factor, "Resize: scale_factor")
            factor = (float(factor),) * 2 if isinstance(factor, int | float) else tuple(factor)
            if len(factor) != 2 or min(factor) <= 0:
                raise FkitValueError(f"Resize: scale_factor = {self.scale_factor!r} is no positive factor, or two.")
        if self.backend == "cv2":
            interpolation_code("Resize", self.interpolation)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "scale_factor", factor)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(width, height) of the answer for an image of ``height`` x ``width``."""
        if isinstance(self.scale, tuple):
            size = (self.scale[0], self.scale[1])
            return rescale_size((width, height), size) if self.keep_ratio else size
        factors = cast("tuple[float, float]", self.scale_factor)  # one of the two is given: checked when made
        return int(width * factors[0] + 0.5), int(height * factors[1] + 0.5)

    def apply(self, sample: Sample, params: Any) -> Sample:
        img: NDArray[Any] = sample["img"]
        height, width = img.shape[:2]
        new_width, new_height = self.size(height, width)
        if (new_height, new_width) != (height, width):
            resized = imresize(img, (new_width, new_height), interpolation=self.interpolation, backend=self.backend)
            img = resized.reshape(new_height, new_width, *img.shape[2:])  # cv2 drops a last axis of one
        return replaced(
            sample,
            img=img,
            img_shape=(new_height, new_width),
            scale=(new_width, new_height),
            scale_factor=(new_width / width, new_height / height),
            keep_ratio=self.keep_ratio,
        )


@dataclass(frozen=True)
class RandomFlip(Transform):
    """Flip ``img`` with a probability; mmcv 2.x's RandomFlip for images.

    Args:
        prob: of a flip at all, shared evenly by the directions; or one a direction, their sum at most 1.
        direction: horizontal, vertical or diagonal; or several, of which one is drawn.

    Params: the direction, or None. Sets ``img``, ``flip``, ``flip_direction``.

    Example:
        >>> RandomFlip(prob=1.0)({"img": np.arange(2).reshape(1, 2, 1)}, np.random.default_rng(0))["flip_direction"]
        'horizontal'
    """

    prob: float | Sequence[float] = 0.5
    direction: str | Sequence[str] = "horizontal"

    def __post_init__(self) -> None:
        expect(self.direction, (str, list, tuple), "RandomFlip: direction is a word or a list of words")
        directions = (self.direction,) if isinstance(self.direction, str) else tuple(self.direction)
        if not directions:
            raise FkitValueError("RandomFlip: direction is an empty list.", choices=_DIRECTIONS)
        _check_numbers(self.prob, "RandomFlip: prob")
        for word in directions:
            if word not in _DIRECTIONS:
                raise FkitValueError(f"RandomFlip: direction = {word!r} is unknown.", value=word, choices=_DIRECTIONS)
        if isinstance(self.prob, int | float):
            probs = (float(self.prob) / len(directions),) * len(directions)
        else:
            probs = tuple(float(one) for one in self.prob)
        if len(probs) != len(directions):
            raise FkitValueError(f"RandomFlip: {len(probs)} probabilities for {len(directions)} directions.")
        if not all(0 <= one <= 1 for one in probs) or sum(probs) > 1 + 1e-9:
            raise FkitValueError(f"RandomFlip: prob = {self.prob!r}: each is in [0, 1], and their sum at most 1.")
        object.__setattr__(self, "direction", directions)
        object.__setattr__(self, "prob", probs)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> str | None:
        left = float(needed(rng, self).random())
        assert isinstance(self.prob, tuple) and isinstance(self.direction, tuple)
        for prob, direction in zip(self.prob, self.direction, strict=True):
            left -= prob
            if left < 0:
                return direction
        return None

    def apply(self, sample: Sample, params: str | None) -> Sample:
        if params is None:
            return replaced(sample, flip=False, flip_direction=None)
        img: NDArray[Any] = sample["img"]
        rows = slice(None) if params == "horizontal" else slice(None, None, -1)
        columns = slice(None) if params == "vertical" else slice(None, None, -1)
        return replaced(sample, img=np.ascontiguousarray(img[rows, columns]), flip=True, flip_direction=params)


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


def _check_numbers(value: Any, what: str, whole: bool = False) -> None:
    """Refuse what is neither a number nor a list of them."""
    for one in value if isinstance(value, (list, tuple)) else (value,):
        expect_number(one, what, whole=whole)
