"""Which object each prior is for, by how much they overlap: with fixed shapes and masks, for any library of arrays."""

from typing import Any, NamedTuple

from fkit.array.ops import Ops

__all__ = ["Best", "best_of", "forced", "thresholded"]


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
    row = xp.argmax(overlaps, 0)
    return Best(xp.take_along(overlaps, row[None, :], 0)[0], row)


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
    return lib.amax(lib.where(overlaps == peak[:, None], mine[:, None], 0), 0)
