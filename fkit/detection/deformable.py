"""Attention at a few places of several maps (Zhu et al. 2021): where they are, and what is read there."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "BOX_ORDER",
    "box_waves",
    "grid",
    "inverse_sigmoid",
    "offsets",
    "proposals",
    "ratios_of",
    "sampled",
    "sizes_of",
    "spots",
]

BOX_ORDER = (1, 0, 2, 3)  # of the numbers of a box in its waves: y, x, width, height

Sizes = tuple[tuple[int, int], ...]

_EDGE = (0.01, 0.99)  # a place whose box goes beyond proposes nothing
_SIDE = 0.05  # of a box that the first level proposes, as a share of the image


def sizes_of(shapes: Any) -> Sizes:
    """(height, width) of each level, of pairs of numbers or an array of them.

    Raises:
        FkitTypeError: they are none.

    Example:
        >>> sizes_of(np.array([[4, 6], [2, 3]]))
        ((4, 6), (2, 3))
    """
    try:
        return tuple((int(high), int(wide)) for high, wide in shapes)
    except (TypeError, ValueError) as error:
        raise FkitTypeError(f"spatial_shapes: (height, width) of each level, not {type(shapes).__name__}.") from error


def offsets(heads: int, levels: int, points: int) -> tuple[float, ...]:
    """Where the points of each head are at the start: on rays around the place, a step further each.

    Example:
        >>> [round(number, 3) + 0 for number in offsets(4, 1, 1)]
        [1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0]
    """
    angle = np.arange(heads, dtype=np.float32) * np.float32(2 * math.pi / heads)
    ray = np.stack([np.cos(angle), np.sin(angle)], -1)
    ray = ray / np.abs(ray).max(-1, keepdims=True)
    steps = np.arange(1, points + 1, dtype=np.float32)
    whole = np.broadcast_to(ray[:, None, None] * steps[:, None], (heads, levels, points, 2))
    return tuple(float(number) for number in whole.reshape(-1))


def spots(xp: Ops, reference: Any, moves: Any, sizes: Sizes) -> Any:
    """Where is read: (N, Q, heads, levels, points, 2) in shares of a map.

    Args:
        reference: (N, Q, levels, 2) places, or (N, Q, levels, 4) boxes (centres and sides), in whose halves moves are.
        moves: as what comes out; of places in pixels of each level.

    Raises:
        FkitError: there is no reference, or one of another width.
    """
    if reference is None:
        raise FkitTypeError("attention at a few places: reference_points say where, but they are None.")
    if reference.shape[-1] not in (2, 4):
        raise FkitValueError(
            f"reference_points: (samples, queries, levels, 2 or 4), not {tuple(reference.shape)}.",
            repair="Give places (x, y) or boxes (x, y, width, height).",
        )
    centre = reference[:, :, None, :, None, :2]
    if reference.shape[-1] == 2:
        unit = xp.asarray(np.array(sizes, np.float64)[:, ::-1].copy(), moves)
        return centre + moves / unit[:, None, :]
    return centre + moves / moves.shape[4] * reference[:, :, None, :, None, 2:] * 0.5


def sampled(xp: Ops, values: Any, sizes: Sizes, places: Any, weights: Any) -> Any:
    """Sums of what maps hold at places, bilinear between the centres of pixels, 0 beyond their edges: (N, Q, heads * C).

    Args:
        values: (N, L, heads, C), the levels' pixels one behind the other.
        sizes: of each level.
        places: (N, Q, heads, levels, points, 2), x and y in shares of a map.
        weights: (N, Q, heads, levels, points).

    Raises:
        FkitValueError: the sizes are not those of the values.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> values, places = np.arange(4.0).reshape(1, 4, 1, 1), np.full((1, 1, 1, 1, 1, 2), 0.5)
        >>> sampled(Numpy(), values, ((2, 2),), places, np.ones((1, 1, 1, 1, 1))).tolist()
        [[[1.5]]]
    """
    count, pixels, heads, width = values.shape
    if sum(high * wide for high, wide in sizes) != pixels:
        raise FkitValueError(f"spatial_shapes={sizes} are not of {pixels} values.")
    lib, queries = xp.lib, places.shape[1]
    first = xp.arange(count)[:, None, None, None] * pixels
    head = xp.arange(heads)[:, None]
    index: list[Any] = []
    shares: list[Any] = []
    start = 0
    for level, (high, wide) in enumerate(sizes):
        x, y = places[..., level, :, 0] * wide - 0.5, places[..., level, :, 1] * high - 0.5
        left, above = lib.floor(xp.detached(x)), lib.floor(xp.detached(y))
        right, below = x - left, y - above
        for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
            column, row = left + across, above + down
            inside = (column >= 0) & (column < wide) & (row >= 0) & (row < high)
            share = (right if across else 1 - right) * (below if down else 1 - below) * weights[..., level, :]
            shares.append(lib.where(inside, share, 0))
            column, row = xp.cast(lib.clip(column, 0, wide - 1), "int64"), xp.cast(lib.clip(row, 0, high - 1), "int64")
            index.append((first + start + row * wide + column) * heads + head)
        start += high * wide
    rows = values.reshape((-1, width))
    every = [lib.concat(parts, axis=-1).reshape((count * queries * heads, -1)) for parts in (index, shares)]
    return xp.bags(rows, *every).reshape((count, queries, heads * width))


def ratios_of(xp: Ops, masks: Sequence[Any], count: int, like: Any) -> Any:
    """(N, levels, 2): the share of width and height of each level that is no padding.

    Args:
        masks: (N, h, w) of each level, True for padding, or None where there is none.
    """
    if masks[0] is None:
        return xp.full((count, len(masks), 2), 1, like)
    whole: list[Any] = []
    for mask in masks:
        real = xp.cast(mask == 0, like)
        whole.append(xp.lib.stack([real[:, 0, :].sum(1) / mask.shape[2], real[:, :, 0].sum(1) / mask.shape[1]], -1))
    return xp.lib.stack(whole, 1)


def grid(xp: Ops, sizes: Sizes, ratios: Any) -> Any:
    """(N, L, levels, 2): where each place is, as a share of each level with its padding.

    Args:
        ratios: (N, levels, 2).
    """
    parts: list[Any] = []
    for level, (high, wide) in enumerate(sizes):
        y, x = np.meshgrid(np.arange(high) + 0.5, np.arange(wide) + 0.5, indexing="ij")
        place = xp.asarray(np.stack([x, y], -1).reshape(-1, 2), ratios)
        parts.append(place / (ratios[:, level] * xp.asarray(np.array([wide, high]), ratios))[:, None])
    return xp.lib.concat(parts, axis=1)[:, :, None] * ratios[:, None]


def proposals(xp: Ops, masks: Sequence[Any], sizes: Sizes, like: Any) -> tuple[Any, Any]:
    """What each place of the maps proposes before it is moved: boxes (N or 1, L, 4) before the sigmoid, and (N or 1, L)
    whether it proposes anything; boxes of those that do not are infinite.

    Args:
        masks: (N, h, w) of each level, or None where there is no padding.
    """
    boxes: list[Any] = []
    real: list[Any] = []
    for level, (mask, (high, wide)) in enumerate(zip(masks, sizes, strict=True)):
        y, x = np.meshgrid(np.arange(high) + 0.5, np.arange(wide) + 0.5, indexing="ij")
        place = xp.asarray(np.stack([x, y], -1).reshape(1, -1, 2), like)
        if mask is None:
            size = xp.asarray(np.array([[wide, high]]), like)
            real.append(xp.full((1, high * wide), 1, "bool"))
        else:
            there = xp.cast(mask == 0, like)
            size = xp.lib.stack([there[:, 0, :].sum(1), there[:, :, 0].sum(1)], -1)
            real.append((mask == 0).reshape((mask.shape[0], -1)))
        centre = place / size[:, None]
        boxes.append(xp.lib.concat([centre, centre * 0 + _SIDE * 2.0**level], axis=-1))
    box, there = xp.lib.concat(boxes, axis=1), xp.lib.concat(real, axis=1)
    there = there & ((box > _EDGE[0]) & (box < _EDGE[1])).all(-1)
    safe = xp.lib.where(there[..., None], box, 0.5)
    return xp.lib.where(there[..., None], xp.lib.log(safe / (1 - safe)), float("inf")), there


def inverse_sigmoid(xp: Ops, x: Any, eps: float = 1e-5) -> Any:
    """The logarithm of x against 1 - x, each at least ``eps``.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> inverse_sigmoid(Numpy(), np.array([0.5, 2.0])).round(3).tolist()
        [0.0, 11.513]
    """
    x = xp.lib.clip(x, 0, 1)
    return xp.lib.log(xp.lib.clip(x, eps, None) / xp.lib.clip(1 - x, eps, None))


def box_waves(xp: Ops, boxes: Any, num_feats: int, order: Sequence[int], temperature: float = 10000) -> Any:
    """Sines and cosines of the numbers of places or boxes (..., 2 or 4) in shares of the image: (..., K * num_feats).

    Args:
        num_feats: numbers of each.
        order: which numbers of a box, in which order.
    """
    step = np.arange(num_feats) // 2
    period = xp.cast(xp.asarray(float(temperature) ** (2 * step / num_feats), "float64"), boxes)
    parts: list[Any] = []
    for at in order:
        angle = boxes[..., at, None] * (2 * math.pi) / period
        pair = xp.lib.stack([xp.lib.sin(angle[..., 0::2]), xp.lib.cos(angle[..., 1::2])], -1)
        parts.append(pair.reshape((*boxes.shape[:-1], num_feats)))
    return xp.lib.concat(parts, axis=-1)
