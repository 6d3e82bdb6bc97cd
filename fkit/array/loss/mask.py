"""Losses of whole masks: one number a mask."""

from typing import Any

from fkit.array.loss.reduce import trained
from fkit.array.ops import Ops

__all__ = ["dice"]


def dice(xp: Ops, pred: Any, target: Any, eps: float = 1e-3, naive: bool = False) -> Any:
    """1 less twice the common share of a mask and its target.

    Args:
        pred: probabilities (N, ...).
        target: (N, ...), in [0, 1].
        eps: added to divisors, and to the dividend where naive.
        naive: the sizes are sums; else sums of squares.

    Returns:
        (N,).

    Raises:
        FkitTypeError: the shapes differ.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> dice(Numpy(), np.ones((1, 4)), np.array([[1.0, 1.0, 0.0, 0.0]]), eps=0.0).round(4).tolist()
        [0.3333]
    """
    pred, target = trained(xp, "dice loss", pred, target)
    pred, target = pred.reshape(pred.shape[0], -1), target.reshape(target.shape[0], -1)
    common = 2 * (pred * target).sum(1)
    if naive:
        return 1 - (common + eps) / (pred.sum(1) + target.sum(1) + eps)
    return 1 - common / ((pred * pred).sum(1) + (target * target).sum(1) + 2 * eps)
