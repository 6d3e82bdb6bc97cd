"""Which object each prior is for, by how much they overlap: with fixed shapes and masks, for any library of arrays."""

from typing import Any, NamedTuple

from fkit.array.ops import Ops

__all__ = ["Best", "best_of", "dynamic", "forced", "inner", "marked", "nearest", "spread", "strongest", "thresholded"]


class Best(NamedTuple):
    """What overlaps a prior most.

    Attributes:
        overlap: (P,), with the object that overlaps it most.
        row: (P,) that object's row; the first of equal ones.
    """

    overlap: Any
    row: Any


def best_of(xp: Ops, overlaps: Any) -> Best:
    """Of each column of overlaps (G, P) the greatest; G is at least 1."""
    return Best(*xp.best(overlaps))


def thresholded(xp: Ops, best: Best, number: Any, positive: float, negative: tuple[float, float]) -> Any:
    """(P,) the number of the object from ``positive`` on, 0 in [*negative), -1 elsewhere.

    Args:
        number: (G,) each row's, above 0.
    """
    low, high = negative
    nothing = xp.lib.where((best.overlap >= low) & (best.overlap < high), 0, -1)
    return xp.lib.where(best.overlap >= positive, xp.take(number, best.row), xp.cast(nothing, number))


def forced(xp: Ops, overlaps: Any, number: Any, eligible: Any, least: float, all_best: bool) -> Any:
    """(P,) the number of an object that overlaps no prior more than this one, 0 where there is none; of several objects the
    last.

    Args:
        overlaps: (G, P).
        number: (G,) each row's, above 0, ascending.
        eligible: (G,) bool, the objects that may force.
        least: an object whose greatest overlap is less forces none.
        all_best: of priors that an object overlaps equally it takes all, else the first.
    """
    lib = xp.lib
    if not all_best:
        at = xp.argmax(overlaps, 1)
        peak = xp.take_along(overlaps, at[:, None], 1)[:, 0]
        mine = lib.where(eligible & (peak >= least), number, 0)
        return xp.segment_max(mine, at, overlaps.shape[1], 0)
    peak = lib.amax(overlaps, 1)
    mine = lib.where(eligible & (peak >= least), number, 0)
    hit = overlaps == peak[:, None]
    if xp.fixed:
        return lib.amax(lib.where(hit, mine[:, None], 0), 0)
    columns = xp.real(hit.any(0))  # few, but where an object overlaps nothing
    taken = lib.amax(lib.where(xp.take(hit.T, columns), mine, 0), 1)
    return xp.put(xp.full((hit.shape[1],), 0, taken), columns, taken)


def strongest(xp: Ops, overlaps: Any, chosen: Any, nothing: float) -> Best:
    """Of each column of overlaps (G, P) the greatest of those that are ``chosen`` (G, P); ``nothing`` where there is none."""
    return best_of(xp, xp.lib.where(chosen, overlaps, nothing))


def marked(xp: Ops, index: Any, chosen: Any, width: int) -> Any:
    """(G, P) bool: which columns each row chose; ``index`` (G, K) and whether it counts, ``chosen`` (G, K)."""
    count = index.shape[0]
    flat = xp.lib.where(chosen, index + xp.arange(count)[:, None] * width, count * width).reshape(-1)
    mask = xp.full((count * width,), False, "bool")
    return xp.put(mask, flat, xp.full(flat.shape, True, "bool")).reshape(count, width)


def nearest(xp: Ops, distances: Any, counts: tuple[int, ...], most: int, valid: Any = None) -> tuple[Any, Any]:
    """Each row's nearest columns of each level: (G, K) indices, and their distances; of equal ones those that torch takes.

    Args:
        distances: (G, P).
        counts: columns of each level, P in all.
        most: how many of a level at most.
        valid: (P,) bool, the columns that there are; the distances of the others are infinite.
    """
    first, indices, lengths = 0, list[Any](), list[Any]()
    for count in counts:
        level = distances[:, first : first + count]
        there = None if valid is None else valid[first : first + count]
        index = xp.topmost(-level, min(most, count), there)
        indices.append(index + first)
        lengths.append(xp.take_along(level, index, 1))
        first += count
    return xp.lib.concat(indices, axis=1), xp.lib.concat(lengths, axis=1)


def spread(xp: Ops, values: Any, chosen: Any) -> Any:
    """(G,) the mean of the chosen values (G, K) and their standard deviation (of a sample), added; not a number where fewer
    than two are chosen."""
    lib = xp.lib
    count = lib.sum(xp.cast(chosen, values), 1)
    mean = lib.sum(lib.where(chosen, values, 0), 1) / lib.where(count > 0, count, 1)
    squares = lib.sum(lib.where(chosen, (values - mean[:, None]) ** 2, 0), 1)
    return lib.where(count > 1, mean + lib.sqrt(squares / lib.where(count > 1, count - 1, 1)), float("nan"))


def inner(xp: Ops, points: Any, boxes: Any) -> Any:
    """(G, P): how far inside of boxes (G, 4) points (P, 2) are: to the nearest side, below 0 outside."""
    lib = xp.lib
    x, y = points[None, :, 0], points[None, :, 1]
    left, top, right, bottom = (boxes[:, side, None] for side in range(4))
    return lib.minimum(lib.minimum(x - left, right - x), lib.minimum(y - top, bottom - y))


def dynamic(xp: Ops, cost: Any, overlaps: Any, able: Any, most: int) -> Any:
    """(G, P) bool: each row takes the columns that cost least, as many as its greatest overlaps add up to; a column that
    several take goes to the row that it costs least.

    Args:
        cost: (G, P).
        overlaps: (G, P).
        able: (G, P) bool, the pairs that may be.
        most: how many overlaps are added up.
    """
    lib = xp.lib
    most = min(most, cost.shape[1])
    sums = lib.sum(xp.topk(lib.where(able, overlaps, 0), most)[0], 1)
    quota = lib.clip(xp.cast(sums, "int64"), 1, None)
    cost = lib.where(able, cost, float("inf"))
    value, index = xp.topk(-cost, most)
    taken = (xp.arange(most) < quota[:, None]) & (value > -float("inf"))
    mask = marked(xp, index, taken, cost.shape[1])
    several = lib.sum(xp.cast(mask, "int64"), 0) > 1
    cheapest = xp.arange(cost.shape[0])[:, None] == xp.argmax(-cost, 0)
    return lib.where(several, cheapest & able, mask)
