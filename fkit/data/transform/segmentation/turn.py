"""Turns of a picture and its maps: mmseg's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of, maps_of
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import between, needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.warp import imrotate
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["RandomRotFlip", "RandomRotate", "Spin"]

_AS_IS = frozenset(("uint8", "uint16", "int16", "float32", "float64"))  # what OpenCV warps


@dataclass(frozen=True)
class RandomRotate(Transform):
    """Turn picture and maps about a point by a random angle; mmseg's RandomRotate.

    Args:
        prob: of turning at all.
        degree: the largest angle either way, or (least, largest); clockwise.
        pad_val: what comes in from outside: one number a channel; a single number reaches the first channel alone, as there.
        seg_pad_val: the same for maps.
        center: (x, y) in pixels; None is the middle.
        auto_bound: widen the canvas so that the whole picture stays in view.

    Params: the angle, or None. Maps take the nearest pixel. ``img_shape`` stays what it was, as there.

    Example:
        >>> turn = RandomRotate(1.0, 90, pad_val=(0, 0, 0))
        >>> turn.apply({"img": np.zeros((2, 2, 3)), "gt_seg_map": np.uint8([[1, 2], [3, 4]])}, 90.0)["gt_seg_map"].tolist()
        [[3, 1], [4, 2]]
    """

    prob: float
    degree: float | Sequence[float]
    pad_val: float | Sequence[float] = 0
    seg_pad_val: float = 255
    center: Sequence[float] | None = None
    auto_bound: bool = False

    def __post_init__(self) -> None:
        _chance("RandomRotate", "prob", self.prob)
        object.__setattr__(self, "degree", _degrees("RandomRotate", self.degree))
        fill: Any = self.pad_val
        for one in fill if isinstance(fill, (list, tuple)) else (fill,):
            expect_number(one, "RandomRotate: pad_val")
        object.__setattr__(self, "pad_val", tuple(fill) if isinstance(fill, (list, tuple)) else fill)
        expect_number(self.seg_pad_val, "RandomRotate: seg_pad_val")
        expect(self.auto_bound, bool, "RandomRotate: auto_bound is True or False")
        if self.center is not None:
            expect(self.center, (list, tuple), "RandomRotate: center is (x, y)")
            for one in self.center:
                expect_number(one, "RandomRotate: center")
            if len(self.center) != 2 or self.auto_bound:
                raise FkitValueError(
                    f"RandomRotate: center = {self.center!r} is (x, y), and not with auto_bound, which turns about the middle."
                )
            object.__setattr__(self, "center", tuple(self.center))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> float | None:
        source = needed(rng, self)
        does, degrees = source.random() < self.prob, between(source, cast("Sequence[float]", self.degree))
        return degrees if does else None

    def apply(self, sample: Sample, params: float | None) -> Sample:
        if params is None:
            return sample
        way: dict[str, Any] = {"center": self.center, "auto_bound": self.auto_bound}
        changes = {"img": imrotate(image_of(sample), params, border_value=cast(Any, self.pad_val), **way)}
        for name in maps_of(sample):
            changes[name] = _turned(sample[name], params, border_value=self.seg_pad_val, interpolation="nearest", **way)
        return replaced(sample, **changes)


class Spin(NamedTuple):
    """What `RandomRotFlip` does: one of the two.

    Attributes:
        degrees: a turn clockwise; or None, and
        quarters: as many quarter turns anticlockwise, and then
        axis: a flip: 0 upside down, 1 left to right.
    """

    degrees: float | None
    quarters: int = 0
    axis: int = 0


@dataclass(frozen=True)
class RandomRotFlip(Transform):
    """Turn picture and maps by a small angle, or by quarters with a flip; mmseg's RandomRotFlip.

    Args:
        rotate_prob: of the turn.
        flip_prob: of quarters and a flip, where there is no turn.
        degree: the largest angle either way, or (least, largest).

    Params: a `Spin`, or None. The turn takes maps as it takes the picture, as there: between pixels, so that labels mix
    along edges, with 0 from outside. ``img_shape`` stays what it was.

    Example:
        >>> done = RandomRotFlip().apply({"img": np.arange(2).reshape(1, 2, 1)}, Spin(None, 1, 0))
        >>> done["img"].ravel().tolist(), done["img"].shape
        ([0, 1], (2, 1, 1))
    """

    rotate_prob: float = 0.5
    flip_prob: float = 0.5
    degree: float | Sequence[float] = (-20, 20)

    def __post_init__(self) -> None:
        _chance("RandomRotFlip", "rotate_prob", self.rotate_prob)
        _chance("RandomRotFlip", "flip_prob", self.flip_prob)
        object.__setattr__(self, "degree", _degrees("RandomRotFlip", self.degree))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Spin | None:
        source = needed(rng, self)
        turns, flips = source.random() < self.rotate_prob, source.random() < self.flip_prob
        degrees = between(source, cast("Sequence[float]", self.degree))
        quarters, axis = int(source.integers(4)), int(source.integers(2))
        return Spin(degrees) if turns else Spin(None, quarters, axis) if flips else None

    def apply(self, sample: Sample, params: Spin | None) -> Sample:
        if params is None:
            return sample
        names = ("img", *maps_of(sample))
        if params.degrees is not None:
            return replaced(sample, **{name: _turned(sample[name], params.degrees) for name in names})
        return replaced(sample, **{name: _flipped(sample[name], params) for name in names})


def _flipped(img: NDArray[Any], spin: Spin) -> NDArray[Any]:
    return np.ascontiguousarray(np.flip(np.rot90(img, spin.quarters), spin.axis))


def _turned(img: NDArray[Any], degrees: float, **way: Any) -> NDArray[Any]:
    """Turned; labels of a kind that OpenCV does not have go by float64, which holds them."""
    plain = img if img.dtype.name in _AS_IS else img.astype(np.float64)
    return imrotate(plain, degrees, **way).astype(img.dtype, copy=False)


def _degrees(name: str, value: Any) -> tuple[float, float]:
    if isinstance(value, (list, tuple)):
        for one in value:
            expect_number(one, f"{name}: degree")
        return limits(name, "degree", sorted(value))
    expect_number(value, f"{name}: degree")
    if value <= 0:
        raise FkitValueError(f"{name}: degree = {value!r} is not above 0.")
    return -float(value), float(value)


def _chance(name: str, word: str, value: Any) -> None:
    expect_number(value, f"{name}: {word}")
    if not 0 <= value <= 1:
        raise FkitValueError(f"{name}: {word} = {value!r} is not in [0, 1].")
