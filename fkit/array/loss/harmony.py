"""Weights by how many others are as hard: gradient harmonising, and the seesaw between rare classes and frequent ones."""

from typing import Any

from fkit.array.ops import Ops

__all__ = ["density_weights", "seesaw_shift"]


def density_weights(
    xp: Ops, hardness: Any, valid: Any, total: Any, edges: Any, counts: Any = None, momentum: float = 0.0
) -> tuple[Any, Any]:
    """Weights against the density of hardness: elements in a crowded bin weigh less.

    Args:
        hardness: any shape, from 0.
        valid: flags of that shape: which elements are counted; others weigh 0.
        total: what the weights of a bin of one element are, before the mean over bins.
        edges: (B + 1,) of the bins, from each to before the next; of several bins that an element is in, the last weighs it.
        counts: (B,) the running counts of each bin; None: there are none.
        momentum: how much of a running count stays.

    Returns:
        Weights shaped like ``hardness``, and the counts after this call.
    """
    lib, bins = xp.lib, edges.shape[0] - 1
    member = (hardness[..., None] >= edges[:-1]) & (hardness[..., None] < edges[1:]) & valid[..., None]
    here = xp.cast(member.reshape((-1, bins)), edges).sum(0)
    place = lib.amax(lib.where(member, xp.arange(bins), -1), -1)
    inside = place >= 0
    if counts is None:
        counts = here
    else:
        counts = lib.where(here > 0, momentum * counts + (1 - momentum) * here, counts)
    filled = lib.clip(xp.cast(here > 0, edges).sum(), 1, None)
    share = lib.where(here > 0, total / lib.where(counts > 0, counts, 1), 0) / filled
    return lib.where(inside, xp.take(share, lib.clip(place, 0, None)), 0), counts


def seesaw_shift(xp: Ops, logits: Any, labels: Any, seen: Any, p: float, q: float, eps: float) -> Any:
    """What the seesaw loss adds to logits: others are held down less where they are rarer than the label (``p``), and more
    where they are taken for it (``q``).

    Args:
        logits: (N, C).
        labels: (N,) in [0, C).
        seen: (C,) how many samples of each class there have been.
        p, q: powers; 0: without.
        eps: the least chance of the label.

    Returns:
        (N, C), 0 at the label; no gradient.
    """
    lib = xp.lib
    logits = xp.detached(logits)
    shift = lib.zeros_like(logits)
    if p > 0:
        often = xp.cast(lib.clip(seen, 1, None), logits)
        ratio = often[None, :] / xp.take(often, labels)[:, None]
        shift = shift + p * lib.log(lib.where(ratio < 1, ratio, 1))
    if q > 0:
        chances = xp.softmax(logits, 1)
        mine = lib.clip(xp.take_along(chances, labels[:, None], 1), eps, None)
        ratio = chances / mine
        shift = shift + q * lib.log(lib.where(ratio > 1, ratio, 1))
    return lib.where(labels[:, None] == xp.arange(logits.shape[1], labels), 0, shift)
