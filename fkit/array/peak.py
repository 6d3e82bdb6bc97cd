"""Peaks of maps and of lines: where the highest value is, and where between the pixels.

Maps are (..., H, W), lines (..., L), places (..., 2) as (x, y) or (...) along a line, all with the same axes before.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fkit.array.ops import Ops

__all__ = [
    "blurred",
    "line_maximum",
    "map_maximum",
    "refined",
    "refined_dark",
    "refined_dark_udp",
    "refined_line",
    "softened",
    "valued",
]

_EPS = float(np.finfo(np.float32).eps)


def map_maximum(xp: Ops, maps: Any) -> tuple[Any, Any]:
    """The place (..., 2) and the value (...) of the highest pixel of each map; -1 where no value is above 0.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> place, value = map_maximum(Numpy(), np.array([[[0.0, 2.0], [1.0, 0.0]]]))
        >>> place.tolist(), value.tolist()
        ([[1.0, 0.0]], [2.0])
    """
    width = maps.shape[-1]
    flat = maps.reshape(*maps.shape[:-2], maps.shape[-2] * width)
    index, values = xp.argmax(flat, -1), xp.lib.amax(flat, axis=-1)
    places = xp.lib.stack([xp.cast(index % width, maps), xp.cast(index // width, maps)], axis=-1)
    return xp.lib.where(values[..., None] <= 0, -1.0, places), values


def line_maximum(xp: Ops, x: Any, y: Any, softmax: bool = False) -> tuple[Any, Any]:
    """The place (..., 2) of the highest value along each axis, and the lower of the two values; -1 where it is not above 0.

    Args:
        x, y: (..., Wx) and (..., Wy).
        softmax: of the lines first.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> place, value = line_maximum(Numpy(), np.array([[0.0, 2.0]]), np.array([[1.0, 0.0]]))
        >>> place.tolist(), value.tolist()
        ([[1.0, 0.0]], [1.0])
    """
    if softmax:
        x, y = xp.softmax(x, -1), xp.softmax(y, -1)
    values = xp.lib.minimum(xp.lib.amax(x, axis=-1), xp.lib.amax(y, axis=-1))
    places = xp.lib.stack([xp.cast(xp.argmax(line, -1), x) for line in (x, y)], axis=-1)
    return xp.lib.where(values[..., None] <= 0, -1.0, places), values


def _smooth(xp: Ops, maps: Any, weights: Sequence[float], mirrored: bool = False) -> Any:
    """Maps under a blur along their last axis; outside is 0, or what the border mirrors.

    Pixels at one distance are added first, so that what lies alike to the left and to the right is weighed alike to the bit: the
    sign of a difference tells where a peak is moved.
    """
    length, reach = maps.shape[-1], len(weights) // 2
    places = np.arange(length)
    total = maps * float(weights[reach])
    for far in range(1, reach + 1):
        pair = sum(_shifted(xp, maps, places + step, mirrored) for step in (-far, far))
        total = total + pair * float(weights[reach + far])
    return total


def _shifted(xp: Ops, maps: Any, places: Any, mirrored: bool) -> Any:
    length = maps.shape[-1]
    if mirrored and length > 1:
        turned = np.abs(places) % (2 * length - 2)
        return maps[..., xp.asarray(np.minimum(turned, 2 * length - 2 - turned), "int64")]
    inside = (places >= 0) & (places < length)
    found = maps[..., xp.asarray(np.clip(places, 0, length - 1), "int64")]
    return found if mirrored else found * xp.asarray(inside.astype(np.float64), maps)


def _both_ways(xp: Ops, maps: Any, weights: Sequence[float], mirrored: bool = False) -> Any:
    across = _smooth(xp, maps, weights, mirrored)
    return xp.lib.swapaxes(_smooth(xp, xp.lib.swapaxes(across, -1, -2), weights, mirrored), -1, -2)


def softened(xp: Ops, maps: Any, weights: Sequence[float]) -> Any:
    """Maps under a blur of these weights along either side, mirrored at the border's pixels.

    Args:
        weights: as many to either side of the middle one, and the same.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> softened(Numpy(), np.array([[[0.0, 1.0], [0.0, 0.0]]]), (0.25, 0.5, 0.25)).tolist()
        [[[0.25, 0.25], [0.25, 0.25]]]
    """
    return _both_ways(xp, maps, weights, True)


def blurred(xp: Ops, maps: Any, weights: Sequence[float]) -> Any:
    """Maps under a blur of these weights along either side, 0 outside, each with its highest value kept.

    Args:
        weights: as many to either side of the middle one, and the same.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> blurred(Numpy(), np.array([[[0.0, 1.0, 0.0]]]), (0.25, 0.5, 0.25)).tolist()
        [[[0.5, 1.0, 0.5]]]
    """
    done = _both_ways(xp, maps, weights)
    return done * (xp.lib.amax(maps, axis=(-2, -1)) / xp.lib.amax(done, axis=(-2, -1)))[..., None, None]


def valued(xp: Ops, maps: Any, x: Any, y: Any) -> Any:
    """The value of each map at its (x, y), whole numbers (...); outside the border's.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> valued(Numpy(), np.array([[[0.0, 2.0], [1.0, 0.0]]]), np.array([5]), np.array([0])).tolist()
        [2.0]
    """
    height, width = maps.shape[-2:]
    flat = maps.reshape(*maps.shape[:-2], height * width)
    index = xp.lib.clip(y, 0, height - 1) * width + xp.lib.clip(x, 0, width - 1)
    return xp.take_along(flat, index[..., None], -1)[..., 0]


def _pixels(xp: Ops, places: Any) -> tuple[Any, Any]:
    return xp.cast(places[..., 0], "int64"), xp.cast(places[..., 1], "int64")


def refined(xp: Ops, places: Any, maps: Any) -> Any:
    """Places moved by a quarter of a pixel towards the higher neighbour.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> maps = np.array([[[0, 0, 0, 0], [0, 1, 5, 3], [0, 0, 0, 0.0]]])
        >>> refined(Numpy(), np.array([[2.0, 1.0]]), maps).tolist()
        [[2.25, 1.0]]
    """
    height, width = maps.shape[-2:]
    x, y = _pixels(xp, places)
    across = xp.sign(valued(xp, maps, x + 1, y) - valued(xp, maps, x - 1, y))
    down = xp.sign(valued(xp, maps, x, y + 1) - valued(xp, maps, x, y - 1))
    across = xp.lib.where((x > 1) & (x < width - 1) & (y > 0) & (y < height), across, 0)
    down = xp.lib.where((y > 1) & (y < height - 1) & (x > 0) & (x < width), down, 0)
    return places + xp.cast(xp.lib.stack([across, down], axis=-1), places) * 0.25


def refined_dark(xp: Ops, places: Any, maps: Any, weights: Sequence[float]) -> Any:
    """Places moved to the top of the Gaussian that the blurred map's derivatives tell (DARK).

    Args:
        weights: of the blur.
    """
    logs = xp.lib.log(xp.lib.clip(blurred(xp, maps, weights), 1e-10, None))
    height, width = maps.shape[-2:]
    x, y = _pixels(xp, places)

    def at(right: int, below: int) -> Any:
        return valued(xp, logs, x + right, y + below)

    dx, dy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
    dxx = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
    dyy = 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    dxy = 0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
    determinant = dxx * dyy - dxy**2
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) & (determinant != 0)
    moved = xp.lib.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=-1)
    moved = moved / xp.lib.where(inside, determinant, 1)[..., None]
    return places + xp.cast(xp.lib.where(inside[..., None], moved, 0), places)


def refined_dark_udp(xp: Ops, places: Any, maps: Any, weights: Sequence[float]) -> Any:
    """`refined_dark` with differences of one pixel, borders repeated; nan where a map is 0 (UDP).

    Maps are read as MMPose reads them, one row of all pixels and all maps: left of a place of -1 is the end of the map before.
    """
    logs = xp.lib.log(xp.lib.clip(blurred(xp, maps, weights), 1e-3, 50.0))
    logs = xp.lib.concat([logs[..., :1], logs, logs[..., -1:]], axis=-1)
    logs = xp.lib.concat([logs[..., :1, :], logs, logs[..., -1:, :]], axis=-2)
    *lead, joints, height, width = logs.shape
    row = logs.reshape(*lead, joints * height * width)
    x, y = _pixels(xp, places)
    start = xp.asarray(np.arange(joints) * height * width, "int64") + (y + 1) * width + x + 1

    def at(right: int, below: int) -> Any:
        return xp.take_along(row, (start + below * width + right) % row.shape[-1], -1)

    here, right, below, left, above = at(0, 0), at(1, 0), at(0, 1), at(-1, 0), at(0, -1)
    dx, dy = 0.5 * (right - left), 0.5 * (below - above)
    dxx, dyy = right - 2 * here + left + _EPS, below - 2 * here + above + _EPS
    dxy = 0.5 * (at(1, 1) - right - below + 2 * here - left - above + at(-1, -1))
    determinant = dxx * dyy - dxy**2
    moved = xp.lib.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], axis=-1) / determinant[..., None]
    return places - xp.cast(moved, places)


def refined_line(xp: Ops, places: Any, lines: Any, weights: Sequence[float]) -> Any:
    """Places (...) along lines (..., L) moved to the top of the Gaussian about them (DARK for SimCC)."""
    length, reach = lines.shape[-1], len(weights) // 2
    band = sum(np.eye(length, k=at - reach) * weight for at, weight in enumerate(weights))
    done = lines @ xp.asarray(band, lines)
    done = done * (xp.lib.amax(lines, axis=-1) / xp.lib.amax(done, axis=-1))[..., None]
    logs = xp.lib.log(xp.lib.clip(done, 1e-3, 50.0))
    middle = xp.cast(places + 2.5, "int64") - 2  # as MMPose rounds a place of -1

    def at(step: int) -> Any:
        return xp.take_along(logs, xp.lib.clip(middle + step, 0, length - 1)[..., None], -1)[..., 0]

    moved = 0.5 * (at(1) - at(-1)) / (1e-9 + 0.25 * (at(2) - 2 * at(0) + at(-2)))
    return places - xp.cast(moved, places)
