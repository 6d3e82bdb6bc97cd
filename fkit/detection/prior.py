"""Priors: the anchors and points of feature maps, under MMDetection's names and arguments."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.array.ops import Ops
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "AnchorGenerator",
    "Anchors",
    "LegacyAnchorGenerator",
    "MlvlPointGenerator",
    "PriorGenerator",
    "base_anchors",
    "inside",
    "pairs",
    "settle",
]

Floats = NDArray[np.float32]
Sizes = Sequence[tuple[int, int]]


def inside(xp: Ops, boxes: Any, valid: Any, img_shape: Any, allowed_border: float = 0) -> Any:
    """Which anchors lie in the image; mmdet's ``anchor_inside_flags``.

    Args:
        boxes: (P, 4).
        valid: (P,) bool, the anchors that count.
        img_shape: (height, width), numbers or a (2,) array.
        allowed_border: by how many pixels an anchor may stick out; a negative number lets all anchors pass.

    Returns:
        (P,) bool.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> boxes = np.array([[0.0, 0, 9, 9], [-1, 0, 9, 9], [0, 0, 10, 9]])
        >>> inside(Numpy(), boxes, np.ones(3, bool), (10, 10)).tolist()
        [True, False, False]
    """
    expect_number(allowed_border, "inside: allowed_border")
    if len(getattr(boxes, "shape", ())) != 2 or not hasattr(xp, "lib"):
        raise FkitTypeError(f"inside: boxes are an array (P, 4) of the library `xp`, not {quoted(boxes, 60)}.")
    if allowed_border < 0:
        return valid
    least = (boxes[:, 0] >= -allowed_border) & (boxes[:, 1] >= -allowed_border)
    most = (boxes[:, 2] < img_shape[1] + allowed_border) & (boxes[:, 3] < img_shape[0] + allowed_border)
    return valid & least & most


class PriorGenerator:
    """What generators of priors share: a regular grid a level.

    Attributes:
        strides: a pair (w, h) a level, in pixels of the input.
        counts: priors at a place of the grid, a number a level.
    """

    strides: tuple[tuple[float, float], ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Priors at a place of the grid, a number a level."""
        return (1,) * len(self.strides)

    @property
    def num_levels(self) -> int:
        """The number of feature maps."""
        return len(self.strides)

    def valid(self, xp: Ops, sizes: Sizes, pad_shape: Any) -> list[Any]:
        """Which priors lie on an image that was padded at its right and below; mmdet's ``valid_flags``.

        Args:
            sizes: (height, width) of each level's map.
            pad_shape: (height, width) of the image, numbers or a (2,) array.

        Returns:
            (h * w * priors at a place,) bool a level.
        """
        masks: list[Any] = []
        for (height, width), (across, down), count in zip(self._checked(sizes), self.strides, self.counts, strict=True):
            rows = xp.arange(height) * down < pad_shape[0]
            columns = xp.arange(width) * across < pad_shape[1]
            mask = (rows[:, None] & columns[None, :])[:, :, None]
            masks.append(xp.lib.broadcast_to(mask, (height, width, count)).reshape(-1))
        return masks

    def _checked(self, sizes: Sizes) -> Sizes:
        expect(sizes, (list, tuple), f"{type(self).__name__}: sizes are (height, width) of each feature map")
        if len(sizes) != self.num_levels:
            raise FkitValueError(
                f"{type(self).__name__} has strides of {self.num_levels} feature maps, and got {len(sizes)}.",
                repair="Give as many strides as the neck has outputs.",
            )
        return sizes


class Anchors(PriorGenerator):
    """A grid of boxes."""

    bases: tuple[Floats, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Anchors at a place of the grid, a number a level."""
        return tuple(len(base) for base in self.bases)

    def priors(self, xp: Ops, sizes: Sizes, kind: Any = "float32") -> list[Any]:
        """The anchors of each level, row by row of its map.

        Args:
            sizes: (height, width) of each level's map.
            kind: the type in which a place and the anchor's sides are added (a name, or an array that has it). mmdet's heads
                add in float32 for targets and in the type of the scores for predictions.

        Returns:
            (h * w * anchors at a place, 4) a level.
        """
        levels: list[Any] = []
        for (height, width), (across, down), base in zip(self._checked(sizes), self.strides, self.bases, strict=True):
            x, y = xp.arange(width, kind) * across, xp.arange(height, kind) * down
            places = _mesh(xp, x, y)
            corners = xp.lib.concat([places, places], axis=-1)[:, :, None, :] + xp.asarray(base, kind)
            levels.append(corners.reshape(-1, 4))
        return levels

    def sparse(self, xp: Ops, index: Any, size: tuple[int, int], level: int, kind: Any = "float32") -> Any:
        """Anchors of one level by their place in `priors`; mmdet's ``sparse_priors``.

        Args:
            index: (K,) whole numbers.
            size: (height, width) of the map.
            level: which.

        Returns:
            (K, 4).
        """
        count, (across, down) = self.counts[level], self.strides[level]
        x = (index // count) % size[1] * across
        y = (index // size[1] // count) % size[0] * down
        corners = xp.cast(xp.lib.stack([x, y, x, y], -1), kind)
        return corners + xp.take(xp.asarray(self.bases[level], kind), index % count)


@dataclass(frozen=True)
class AnchorGenerator(Anchors):
    """Anchors of a few scales and ratios at each place; mmdet's AnchorGenerator.

    Args:
        strides: of each level, a number or a pair (w, h), in pixels of the input.
        ratios: height to width.
        scales: of the base size; or give both ``octave_base_scale`` and ``scales_per_octave``.
        base_sizes: a number a level; None: the lesser stride of each.
        scale_major: anchors of one ratio are neighbours; else those of one scale.
        octave_base_scale: the least scale of an octave.
        scales_per_octave: how many scales an octave is cut into.
        centers: (x, y) of the anchors of the grid's first place, a pair a level; None: by ``center_offset``.
        center_offset: in shares of the base size, 0 to 1.
        use_box_type: accepted; boxes are arrays here.

    Raises:
        FkitValueError: the arguments contradict each other.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> AnchorGenerator([16], [1.0], [1.0], [9]).priors(Numpy(), [(1, 2)])[0].tolist()
        [[-4.5, -4.5, 4.5, 4.5], [11.5, -4.5, 20.5, 4.5]]
    """

    strides: Sequence[Any]  # type: ignore[assignment]
    ratios: Sequence[float]
    scales: Sequence[float] | None = None
    base_sizes: Sequence[float] | None = None
    scale_major: bool = True
    octave_base_scale: float | None = None
    scales_per_octave: int | None = None
    centers: Sequence[Any] | None = None
    center_offset: float = 0.0
    use_box_type: bool = False
    bases: tuple[Floats, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        strides = pairs(self.strides, f"{name}: strides")
        sizes = self.base_sizes or [min(pair) for pair in strides]
        centers = [None] * len(strides) if self.centers is None else pairs(self.centers, f"{name}: centers")
        if not 0 <= self.center_offset <= 1:
            raise FkitValueError(f"{name}: center_offset = {self.center_offset} is not in [0, 1].")
        if self.center_offset and self.centers is not None:
            raise FkitValueError(f"{name}: center_offset and centers are two ways to say one thing; give one.")
        for word, values in (("base_sizes", sizes), ("centers", centers)):
            if len(values) != len(strides):
                raise FkitValueError(f"{name}: {len(values)} {word} for {len(strides)} strides; give one a level.")
        scales = np.array(self._scales(), np.float32)
        ratios = np.array(self.ratios, np.float32)
        bases = [self._base(size, scales, ratios, center) for size, center in zip(sizes, centers, strict=True)]
        settle(self, strides=strides, bases=tuple(bases))

    def _scales(self) -> Sequence[float]:
        octave = self.octave_base_scale is not None and self.scales_per_octave is not None
        if octave == (self.scales is not None):
            raise FkitValueError(
                f"{type(self).__name__} takes scales, or octave_base_scale with scales_per_octave, and got"
                f" {'both' if octave else 'neither'}."
            )
        if self.scales is not None:
            return self.scales
        base, steps = cast(float, self.octave_base_scale), cast(int, self.scales_per_octave)
        return [2 ** (step / steps) * base for step in range(steps)]

    def _base(self, size: float, scales: Floats, ratios: Floats, center: Any) -> Floats:
        return base_anchors(size, scales, ratios, center or (self.center_offset * size,) * 2, self.scale_major)


@dataclass(frozen=True)
class LegacyAnchorGenerator(AnchorGenerator):
    """Anchors as MMDetection 1.x had them: a box of n pixels is n - 1 wide, sides are whole numbers. Arguments as those
    of `AnchorGenerator`."""

    def _base(self, size: float, scales: Floats, ratios: Floats, center: Any) -> Floats:
        center = center or (self.center_offset * (size - 1),) * 2
        return np.round(base_anchors(size, scales, ratios, center, self.scale_major, less=1))


@dataclass(frozen=True)
class MlvlPointGenerator(PriorGenerator):
    """A point a cell; mmdet's MlvlPointGenerator.

    Args:
        strides: of each level, a number or a pair (w, h), in pixels of the input.
        offset: where in its cell a point is, in shares of the stride.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> MlvlPointGenerator([8]).priors(Numpy(), [(1, 2)])[0].tolist()
        [[4.0, 4.0], [12.0, 4.0]]
    """

    strides: Sequence[Any]  # type: ignore[assignment]
    offset: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        settle(self, strides=pairs(self.strides, "MlvlPointGenerator: strides"))

    def priors(self, xp: Ops, sizes: Sizes, kind: Any = "float32", with_stride: bool = False) -> list[Any]:
        """The points of each level, row by row of its map, computed in float32.

        Args:
            sizes: (height, width) of each level's map.
            kind: the type of the answer: a name, or an array that has it.
            with_stride: the strides (w, h) stand beside each point.

        Returns:
            (h * w, 2) a level, or (h * w, 4).
        """
        levels: list[Any] = []
        for (height, width), stride in zip(self._checked(sizes), self.strides, strict=True):
            x, y = (
                (xp.arange(n, "float32") + self.offset) * step for n, step in zip((width, height), stride, strict=True)
            )
            points = _mesh(xp, x, y).reshape(-1, 2)
            if with_stride:
                beside = xp.asarray(np.array([stride], np.float32), "float32")
                points = xp.lib.concat([points, xp.lib.broadcast_to(beside, points.shape)], axis=-1)
            levels.append(xp.cast(points, kind))
        return levels


def _mesh(xp: Ops, x: Any, y: Any) -> Any:
    """(h, w, 2): the places of a grid."""
    size = (len(y), len(x))
    return xp.lib.stack([xp.lib.broadcast_to(x[None, :], size), xp.lib.broadcast_to(y[:, None], size)], -1)


def base_anchors(
    size: float, scales: Floats, ratios: Floats, center: Any, scale_major: bool, less: float = 0
) -> Floats:
    """(A, 4) float32: the anchors of the grid's first place, each side ``less`` pixels shorter."""
    high = np.sqrt(ratios)
    wide = 1 / high
    widths, heights = (
        (size * side[:, None] * scales if scale_major else size * scales[:, None] * side).reshape(-1) - less
        for side in (wide, high)
    )
    x, y = center
    return np.stack([x - 0.5 * widths, y - 0.5 * heights, x + 0.5 * widths, y + 0.5 * heights], -1)


def pairs(values: Any, what: str) -> tuple[tuple[float, float], ...]:
    expect(values, (list, tuple), f"{what} are a list, a number or a pair a level")
    pairs: list[tuple[float, float]] = []
    for value in values:
        pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
        for number in pair:
            expect_number(number, what)
        if len(pair) != 2:
            raise FkitValueError(f"{what}: {quoted(value)} is neither a number nor a pair.")
        pairs.append(pair)
    return tuple(pairs)


def settle(value: Any, **fields: Any) -> None:
    for name, one in fields.items():
        object.__setattr__(value, name, one)
