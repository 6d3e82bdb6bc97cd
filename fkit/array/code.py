"""What boxes are coded as: differences to a box, distances to a point; and back. Boxes are (x1, y1, x2, y2)."""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from fkit.array.ops import Ops

__all__ = ["bounded", "decoded", "decoded_distances", "encoded", "encoded_distances", "within"]


def bounded(xp: Ops, a: Any, low: float | None, high: float | None) -> Any:
    """Each element brought into [low, high]; at a bound itself the gradient passes, on each library."""
    a = a if low is None else xp.lib.where(a < low, low, a)
    return a if high is None else xp.lib.where(a > high, high, a)


def within(xp: Ops, boxes: Any, shape: Any, less: float = 0) -> Any:
    """Boxes cut at an image's border.

    Args:
        boxes: (..., 4); of several images (B, ..., 4).
        shape: (height, width), numbers or a (2,) array; of several images one each, (B, 2).
        less: the last coordinate that counts as inside is this much less than the size.
    """
    size = xp.cast(shape, boxes) if hasattr(shape, "dtype") else _row(xp, shape, boxes)
    size = size[..., :2] - less
    limit = xp.lib.stack([size[..., 1], size[..., 0]] * 2, -1)
    if len(limit.shape) > 1:
        limit = limit.reshape((limit.shape[0], *(1 for _ in boxes.shape[2:]), 4))
    boxes = xp.lib.where(boxes < 0, 0, boxes)
    return xp.lib.where(boxes > limit, limit, boxes)


def encoded(xp: Ops, boxes: Any, others: Any, means: Sequence[float], stds: Sequence[float], less: float = 0) -> Any:
    """What moves boxes onto others: differences of the centres in shares of the box, logarithms of the ratios of the sides.

    Args:
        boxes: (N, 4).
        others: (N, 4).
        means: 4 numbers, taken off.
        stds: 4 numbers, divided by.
        less: by how much x2 - x1 is less than a box's width.

    Returns:
        (N, 4), float32 whatever the boxes are: mmdet's targets are.
    """
    lib = xp.lib
    boxes, others = xp.cast(boxes, "float32"), xp.cast(others, "float32")
    side, side2 = boxes[..., 2:] - boxes[..., :2] + less, others[..., 2:] - others[..., :2] + less
    moved = (others[..., :2] + others[..., 2:]) * 0.5 - (boxes[..., :2] + boxes[..., 2:]) * 0.5
    deltas = lib.concat([moved / side, lib.log(side2 / side)], axis=-1)
    return (deltas - _row(xp, means, deltas)) / _row(xp, stds, deltas)


def decoded(
    xp: Ops,
    boxes: Any,
    deltas: Any,
    means: Sequence[float],
    stds: Sequence[float],
    ratio: float = 16 / 1000,
    clamp: float | None = None,
    less: float = 0,
) -> Any:
    """The inverse of `encoded`.

    Args:
        boxes: (..., 4).
        deltas: (..., K * 4).
        means: 4 numbers.
        stds: 4 numbers.
        ratio: a side grows, and shrinks, by no more than this factor.
        clamp: a centre moves by no more than so many pixels; sides may shrink by any factor then.
        less: as for `encoded`.

    Returns:
        (..., K, 4).
    """
    deltas = deltas.reshape((*deltas.shape[:-1], deltas.shape[-1] // 4, 4))
    deltas = deltas * _row(xp, stds, deltas) + _row(xp, means, deltas)
    boxes, limit = boxes[..., None, :], abs(log(ratio))
    side, center = boxes[..., 2:] - boxes[..., :2] + less, (boxes[..., :2] + boxes[..., 2:]) * 0.5
    moved = side * deltas[..., :2]
    if clamp is not None:
        moved = bounded(xp, moved, -clamp, clamp)
    grown = bounded(xp, deltas[..., 2:], -limit if clamp is None else None, limit)
    center, half = center + moved, side * xp.lib.exp(grown) * 0.5
    return xp.lib.concat([center - half, center + half], axis=-1)


def encoded_distances(xp: Ops, points: Any, boxes: Any, most: float | None = None, eps: float = 0.1) -> Any:
    """(..., 4): how far left, up, right and down of a point (..., 2) the sides of its box (..., 4) are.

    Args:
        most: distances are brought into [0, most - eps].
        eps: see ``most``.
    """
    apart = xp.lib.concat([points - boxes[..., :2], boxes[..., 2:] - points], axis=-1)
    return apart if most is None else bounded(xp, apart, 0, most - eps)


def decoded_distances(xp: Ops, points: Any, distances: Any) -> Any:
    """(..., 4): the inverse of `encoded_distances`."""
    return xp.lib.concat([points - distances[..., :2], points + distances[..., 2:]], axis=-1)


def _row(xp: Ops, numbers: Any, like: Any) -> Any:
    return xp.asarray(np.array(numbers, np.float64), like)
