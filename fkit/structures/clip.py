"""A polygon cut by a rectangle: what is inside, in as many pieces as there are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["clip_polygon"]

_NOTHING = 1e-9  # square pixels: what rounding leaves of a polygon that is a line


def clip_polygon(points: NDArray[Any], box: Sequence[float]) -> list[NDArray[np.float64]]:
    """The pieces of a polygon inside a box.

    Args:
        points: (n, 2) corners x y of a polygon that does not cross itself.
        box: x1 y1 x2 y2.

    Returns:
        the pieces, (m, 2) each, without those of no area.

    Example:
        >>> u = np.array([[0, 0], [9, 0], [9, 9], [6, 9], [6, 3], [3, 3], [3, 9], [0, 9]])
        >>> [piece.tolist() for piece in clip_polygon(u, (0, 6, 9, 9))]
        [[[9.0, 6.0], [9.0, 9.0], [6.0, 9.0], [6.0, 6.0]], [[3.0, 6.0], [3.0, 9.0], [0.0, 9.0], [0.0, 6.0]]]
    """
    expect(points, np.ndarray, "`points` is an array (n, 2)")
    expect(box, (tuple, list, np.ndarray), "`box` is four numbers x1 y1 x2 y2")
    if points.ndim != 2 or points.shape[1] != 2 or len(box) != 4:
        raise FkitValueError("clip_polygon takes (n, 2) corners and a box x1 y1 x2 y2.")
    low, high = np.array(box[:2], np.float64), np.array(box[2:], np.float64)
    corners = points.astype(np.float64)
    if (corners >= low).all() and (corners <= high).all():
        pieces = [corners]
    else:
        pieces = [corners]
        for axis in (0, 1):
            for bound, sign in ((low[axis], 1.0), (high[axis], -1.0)):
                pieces = [part for piece in pieces for part in _above(piece, axis, float(bound), sign)]
    return [piece for piece in pieces if len(piece) > 2 and _area(piece) > _NOTHING]


class _Chain(NamedTuple):
    """Corners on one side of a line, from where the polygon comes over it to where it goes back."""

    points: NDArray[np.float64]
    start: float
    end: float


def _above(points: NDArray[np.float64], axis: int, bound: float, sign: float) -> list[NDArray[np.float64]]:
    """The pieces where ``sign * (coordinate - bound) >= 0``: cut by one line."""
    depth = sign * (points[:, axis] - bound)
    inside = depth >= 0  # corners on the line are: a polygon that touches it from within is not cut there
    if inside.all() or not inside.any():
        return [points] if inside.all() else []
    first = int(np.flatnonzero(inside & ~np.roll(inside, 1))[0])  # begin where the polygon comes in
    points, depth, inside = np.roll(points, -first, 0), np.roll(depth, -first), np.roll(inside, -first)
    chains: list[_Chain] = []
    starts = np.flatnonzero(inside & ~np.roll(inside, 1)).tolist()
    ends = np.flatnonzero(inside & ~np.roll(inside, -1)).tolist()
    for start, end in zip(starts, ends, strict=True):
        before, after = (start - 1) % len(points), (end + 1) % len(points)
        enter = _crossing(points, depth, before, start, axis, bound)
        leave = _crossing(points, depth, end, after, axis, bound)
        chain = np.concatenate((enter[None], points[start : end + 1], leave[None]))
        chains.append(_Chain(chain, float(enter[1 - axis]), float(leave[1 - axis])))
    return _closed(chains)


def _crossing(
    points: NDArray[np.float64], depth: NDArray[np.float64], a: int, b: int, axis: int, bound: float
) -> NDArray[np.float64]:
    """Where the edge from corner a to corner b meets the line."""
    part = depth[a] / (depth[a] - depth[b])
    point = points[a] + part * (points[b] - points[a])
    point[axis] = bound
    return point


def _closed(chains: list[_Chain]) -> list[NDArray[np.float64]]:
    """Chains joined along the line: between its first and second crossing is inside, between the third and fourth, ..."""
    crossings = sorted((at, number, last) for number, chain in enumerate(chains) for last, at in enumerate(chain[1:]))
    partner = {}
    for a, b in zip(crossings[::2], crossings[1::2], strict=True):
        partner[a[1:]], partner[b[1:]] = b[1:], a[1:]
    pieces: list[NDArray[np.float64]] = []
    left = set(range(len(chains)))
    while left:
        here = first = (min(left), 0)  # a chain, and the end of it that is come to
        piece: list[NDArray[np.float64]] = []
        while True:
            number, end = here
            left.discard(number)
            points = chains[number].points
            piece.append(points if end == 0 else points[::-1])
            here = partner[number, 1 - end]
            if here == first:
                break
        pieces.append(_distinct(np.concatenate(piece)))
    return pieces


def _distinct(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without corners that repeat the one before."""
    return points[(points != np.roll(points, 1, axis=0)).any(1)]


def _area(points: NDArray[np.float64]) -> float:
    x, y = points[:, 0], points[:, 1]
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
