"""Priors: the anchors of SSD and YOLO, under MMDetection's names and arguments."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from fkit.detection.prior import Anchors, Floats, base_anchors, pairs, settle
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["LegacySSDAnchorGenerator", "SSDAnchorGenerator", "YOLOAnchorGenerator"]

# (input_size, the least ratio) -> shares of the input, in percent, that the first level's sizes have
_SSD = ((300, 0.15, 7, 15), (300, 0.2, 10, 20), (512, 0.1, 4, 10), (512, 0.15, 7, 15))


@dataclass(frozen=True)
class SSDAnchorGenerator(Anchors):
    """Anchors of SSD: of each ratio, and one more square between this level's size and the next.

    Args:
        strides: of each level, a number or a pair (w, h), in pixels of the input.
        ratios: of each level, a list of numbers above 1; their inverses and 1 are added.
        min_sizes: of each level, in pixels; give ``max_sizes`` with it. None: by ``basesize_ratio_range``.
        max_sizes: of each level, in pixels.
        basesize_ratio_range: the least and the greatest size in shares of the input.
        input_size: 300 or 512, where sizes follow from the range.
        scale_major: as for `AnchorGenerator`.
        use_box_type: accepted; boxes are arrays here.

    Raises:
        FkitValueError: the arguments contradict each other.
    """

    strides: Sequence[Any]  # type: ignore[assignment]
    ratios: Sequence[Any]
    min_sizes: Sequence[float] | None = None
    max_sizes: Sequence[float] | None = None
    basesize_ratio_range: Sequence[float] = (0.15, 0.9)
    input_size: int = 300
    scale_major: bool = True
    use_box_type: bool = False
    bases: tuple[Floats, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        strides = pairs(self.strides, f"{name}: strides")
        if (self.min_sizes is None) != (self.max_sizes is None):
            raise FkitValueError(f"{name}: min_sizes and max_sizes go together; one is None.")
        if self.min_sizes is not None and self.max_sizes is not None:
            least, most = list(self.min_sizes), list(self.max_sizes)
        else:
            least, most = _ssd_sizes(name, self.input_size, self.basesize_ratio_range, len(strides))
        if not len(least) == len(most) == len(strides) == len(self.ratios):
            raise FkitValueError(
                f"{name}: {len(self.ratios)} ratios, {len(least)} min_sizes and {len(most)} max_sizes for"
                f" {len(strides)} strides; give one a level."
            )
        levels = zip(least, most, self.ratios, strides, strict=True)
        settle(self, strides=strides, bases=tuple(self._level(*level) for level in levels))

    def _level(self, least: float, most: float, ratios: Sequence[float], stride: tuple[float, float]) -> Floats:
        sides = np.array([1, *(side for ratio in ratios for side in (1 / ratio, ratio))], np.float32)
        scales = np.array([1, sqrt(most / least)], np.float32)
        anchors = self._base(least, scales, sides, stride)
        return anchors[[0, len(sides), *range(1, len(sides))]]

    def _base(self, size: float, scales: Floats, sides: Floats, stride: tuple[float, float]) -> Floats:
        return base_anchors(size, scales, sides, (stride[0] / 2, stride[1] / 2), self.scale_major)


@dataclass(frozen=True)
class LegacySSDAnchorGenerator(SSDAnchorGenerator):
    """Anchors of SSD as MMDetection 1.x had them. Arguments as those of `SSDAnchorGenerator`."""

    def _base(self, size: float, scales: Floats, sides: Floats, stride: tuple[float, float]) -> Floats:
        center = ((stride[0] - 1) / 2, (stride[1] - 1) / 2)
        return np.round(base_anchors(size, scales, sides, center, self.scale_major, less=1))


@dataclass(frozen=True)
class YOLOAnchorGenerator(Anchors):
    """Anchors of given widths and heights, in the middle of each cell.

    Args:
        strides: of each level, a number or a pair (w, h), in pixels of the input.
        base_sizes: of each level, a list of (width, height), equally many.
        use_box_type: accepted; boxes are arrays here.

    Raises:
        FkitValueError: levels of unlike counts.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> YOLOAnchorGenerator([32], [[(10, 20)]]).priors(Numpy(), [(1, 1)])[0].tolist()
        [[11.0, 6.0, 21.0, 26.0]]
    """

    strides: Sequence[Any]  # type: ignore[assignment]
    base_sizes: Sequence[Any]
    use_box_type: bool = False
    bases: tuple[Floats, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        strides = pairs(self.strides, "YOLOAnchorGenerator: strides")
        sizes = [pairs(level, "YOLOAnchorGenerator: base_sizes") for level in self.base_sizes]
        if len(sizes) != len(strides) or len({len(level) for level in sizes}) > 1:
            raise FkitValueError(
                f"YOLOAnchorGenerator: {len(strides)} strides and base_sizes of {[len(level) for level in sizes]} anchors;"
                " give equally many anchors for each stride."
            )
        bases = [
            np.array([[x / 2 - w / 2, y / 2 - h / 2, x / 2 + w / 2, y / 2 + h / 2] for w, h in level], np.float32)
            for level, (x, y) in zip(sizes, strides, strict=True)
        ]
        settle(self, strides=strides, bases=tuple(bases))


def _ssd_sizes(name: str, size: int, ratios: Sequence[float], count: int) -> tuple[list[float], list[float]]:
    if len(ratios) != 2 or count < 3:
        raise FkitValueError(f"{name}: basesize_ratio_range is (least, greatest), for three strides or more.")
    first = [shares for wide, ratio, *shares in _SSD if (wide, ratio) == (size, ratios[0])]
    if not first:
        raise FkitValueError(
            f"{name}: no sizes are known for input_size = {size} with basesize_ratio_range from {ratios[0]}.",
            repair="Give min_sizes and max_sizes. Known: "
            + ", ".join(f"{wide} from {ratio}" for wide, ratio, *_ in _SSD) + ".",
        )  # fmt: skip
    low, high = (int(ratio * 100) for ratio in ratios)
    step = (high - low) // (count - 2)
    shares = [(first[0][0], first[0][1]), *((share, share + step) for share in range(low, high + 1, step))]
    return [int(size * least / 100) for least, _ in shares], [int(size * most / 100) for _, most in shares]
