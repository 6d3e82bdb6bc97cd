"""Greedy suppression, which goes through boxes in order of preference and keeps each that no kept one overlaps too much.

Two ways to the same answer: `on_host`, in numpy, and `settled`, of fixed shapes, for what is traced or on an accelerator. The
overlaps are computed by the operations of mmcv's compiled ``nms`` in their order, so that not the last bit decides otherwise.
"""

from typing import Any

import numpy as np

from fkit.array.ops import Ops

__all__ = ["on_host", "overlap", "settled"]

_HEAD = 64  # boxes that are settled one by one before the others are held against them
_SPARSE = 0.1  # share of the pairs to look at that meet along one axis, up to which these are listed


def overlap(lib: Any, boxes: Any, others: Any, offset: int = 0) -> Any:
    """(N, M): intersection over union of boxes (N, 4) and (M, 4); two without area have none.

    Args:
        lib: ``numpy``, ``torch`` or ``jax.numpy``.
        offset: what is added to widths and heights: 1 where coordinates are pixels' numbers.
    """
    a, b = boxes[:, None, :], others[None, :, :]
    width = lib.minimum(a[..., 2], b[..., 2]) - lib.maximum(a[..., 0], b[..., 0]) + offset
    height = lib.minimum(a[..., 3], b[..., 3]) - lib.maximum(a[..., 1], b[..., 1]) + offset
    common = lib.where(width > 0, width, 0) * lib.where(height > 0, height, 0)
    union = _area(a, offset) + _area(b, offset) - common
    return common / lib.where(union == 0, 1, union)


def _area(boxes: Any, offset: int) -> Any:
    return (boxes[..., 2] - boxes[..., 0] + offset) * (boxes[..., 3] - boxes[..., 1] + offset)


def on_host(boxes: Any, threshold: float, offset: int = 0, count: int | None = None) -> Any:
    """Which of numpy's boxes (N, 4), the preferred first, are kept: (N,) bool, at most ``count`` of them True.

    Example:
        >>> import numpy as np
        >>> on_host(np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]), 0.5).tolist()
        [True, False, True]
    """
    pairs = _meeting(boxes, offset, count) if threshold >= 0 else None
    keep = _by_heads(boxes, threshold, offset, count) if pairs is None else _by_pairs(boxes, pairs, threshold, offset)
    return keep if count is None else keep & (np.cumsum(keep) <= count)


def _meeting(boxes: Any, offset: int, count: int | None) -> tuple[Any, Any] | None:
    """The pairs of boxes that meet along the axis on which fewer do; None where these are many."""
    half = len(boxes) // 2
    limit = _SPARSE * len(boxes) * (half if count is None else min(half, count))
    index, best = np.arange(len(boxes)), None
    for axis in (0, 1):
        order = np.argsort(boxes[:, axis], kind="stable")
        far = boxes[order, axis + 2] + offset
        last = np.searchsorted(boxes[order, axis], far + np.abs(far) * 1e-6, "right")
        partners = np.maximum(last - index - 1, 0)
        total = int(partners.sum())
        if best is None or total < best[0]:
            best = total, order, partners
    assert best is not None
    total, order, partners = best
    if total > limit:
        return None
    first = np.repeat(index, partners)
    second = np.arange(total) - np.repeat(np.cumsum(partners) - partners - index - 1, partners)
    return order[first], order[second]


def _by_pairs(boxes: Any, pairs: tuple[Any, Any], threshold: float, offset: int) -> Any:
    """What is kept, from the pairs that may overlap: a box is lost to a preferred one that is kept, until nothing changes."""
    sides = np.ascontiguousarray(boxes.T)
    for low, high in ((0, 2), (1, 3)):
        first, second = pairs
        length = np.minimum(sides[high][first], sides[high][second]) - np.maximum(sides[low][first], sides[low][second])
        meet = np.flatnonzero(length + boxes.dtype.type(offset) > 0)
        pairs = first[meet], second[meet]
    better, worse = np.minimum(*pairs), np.maximum(*pairs)
    a, b = sides[:, better], sides[:, worse]
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + boxes.dtype.type(offset)
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + boxes.dtype.type(offset)
    common = width * height
    area = _area(boxes, offset)
    with np.errstate(all="ignore"):
        much = common / (area[better] + area[worse] - common) > boxes.dtype.type(threshold)
    better, worse = better[much], worse[much]
    keep, before = np.ones(len(boxes), bool), None
    while before is None or not np.array_equal(keep, before):
        before, keep = keep, np.ones(len(boxes), bool)
        keep[worse[before[better]]] = False
    return keep


def _by_heads(boxes: Any, threshold: float, offset: int, count: int | None) -> Any:
    """What is kept, some boxes after the others: those are settled among themselves, then what they overlap goes."""
    left, kept, number = np.arange(len(boxes)), list[Any](), 0
    while len(left) and (count is None or number < count):
        head, rest = left[:_HEAD], left[_HEAD:]
        much = _over(boxes[head], boxes[head], threshold, offset)
        alive = np.ones(len(head), bool)
        for at in range(len(head)):
            if alive[at]:
                alive[at + 1 :] &= ~much[at, at + 1 :]
        kept.append(head[alive])
        number += len(kept[-1])
        left = rest[~_over(boxes[kept[-1]], boxes[rest], threshold, offset).any(0)]
    keep = np.zeros(len(boxes), bool)
    if kept:
        keep[np.concatenate(kept)] = True
    return keep


def _over(boxes: Any, others: Any, threshold: float, offset: int) -> Any:
    """`overlap` above the threshold, in little memory."""
    a, b = boxes.T[:, :, None], others.T[:, None, :]
    one = boxes.dtype.type(offset)
    common, work = np.minimum(a[2], b[2]), np.maximum(a[0], b[0])
    common -= work
    common += one
    np.maximum(common, 0, out=common)
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1], out=work)
    height += one
    common *= np.maximum(height, 0, out=height)
    np.add(_area(boxes, offset)[:, None], _area(others, offset)[None], out=work)
    work -= common
    with np.errstate(all="ignore"):
        common /= work
    return common > boxes.dtype.type(threshold)


def settled(xp: Ops, boxes: Any, valid: Any, threshold: float, offset: int, count: int | None, block: int) -> Any:
    """As `on_host`, of fixed shapes: block after block, each until no box of it changes, and none once ``count`` are kept.

    Args:
        boxes: (N, 4), the preferred first.
        valid: (N,) which are there at all; the others come last.
        block: how many at a time: the square of it is held in memory, and ``count`` times it.
    """
    most = len(boxes) if count is None else min(count, len(boxes))
    block = min(block, len(boxes))
    steps = -(-len(boxes) // block)
    padded = steps * block - len(boxes)
    if padded:
        boxes = xp.lib.concat((boxes, xp.full((padded, 4), 0, boxes)), axis=0)
        valid = xp.lib.concat((valid, xp.full((padded,), 0, "bool")), axis=0)
    within, row = xp.arange(block), xp.arange(most)
    earlier = within[:, None] < within[None, :]

    def body(state: Any) -> Any:
        step, number, keep, table = state
        place = step * block + within
        mine = xp.take(boxes, place)
        alive = xp.take(valid, place)
        if steps > 1:
            much = (overlap(xp.lib, table, mine, offset) > threshold) & (row < number)[:, None]
            alive = alive & ~much.any(0)
        much = (overlap(xp.lib, mine, mine, offset) > threshold) & earlier
        now = _fixed(xp, much, alive)
        rank = number + xp.lib.cumsum(xp.cast(now, number), 0) - 1
        now = now & (rank < most)
        table = xp.put(table, xp.lib.where(now, rank, most), mine)
        return step + 1, number + xp.cast(now, number).sum(), xp.put(keep, place, now), table

    def more(state: Any) -> Any:
        step, number, _, _ = state
        first = xp.take(valid, xp.lib.where(step < steps, step * block, 0).reshape(1))[0]
        return (step < steps) & (number < most) & first

    zero = xp.asarray(0, "int64")
    start = (zero, zero, xp.full((steps * block,), 0, "bool"), xp.full((most, 4), 0, boxes))
    return xp.loop(more, body, start)[2][: steps * block - padded]


def _fixed(xp: Ops, much: Any, alive: Any) -> Any:
    """Which of ``alive`` (B,) are kept where ``much`` (B, B) says what is lost to whom: each round settles at least one more."""

    def body(state: Any) -> Any:
        keep, _ = state
        return alive & ~(much & keep[:, None]).any(0), keep

    def more(state: Any) -> Any:
        keep, before = state
        return (keep != before).any()

    return xp.loop(more, body, body((alive, alive)))[0]
