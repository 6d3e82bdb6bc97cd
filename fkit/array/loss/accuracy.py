"""How many labels are among the k classes of the highest scores."""

from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["accuracy"]


def accuracy(xp: Ops, pred: Any, target: Any, topk: Any = 1, thresh: float | None = None, valid: Any = None) -> Any:
    """Percent of the rows whose label is among the ``topk`` highest scores.

    Args:
        pred: scores (N, C).
        target: labels (N,); one outside of [0, C) is never right.
        topk: a whole number up to C, or several.
        thresh: the label's score must be above it.
        valid: (N,) which rows count; None: all.

    Returns:
        A 0-d array, 0 where no row counts; a list of them for several ``topk``.

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: there are not so many classes.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> scores = np.array([[0.1, 0.9], [0.2, 0.8]])
        >>> [float(one) for one in accuracy(Numpy(), scores, np.array([1, 0]), (1, 2))]
        [50.0, 100.0]
    """
    single = isinstance(topk, int)
    counts: tuple[int, ...] = (topk,) if single else tuple(topk)
    if len(pred.shape) != 2 or tuple(target.shape) != (pred.shape[0],):
        raise FkitTypeError(
            f"accuracy: scores (N, C) have labels (N,), not {tuple(pred.shape)} and {tuple(target.shape)}."
        )
    classes = pred.shape[1]
    if any(not 1 <= count <= classes for count in counts):
        raise FkitValueError(f"topk = {quoted(topk)}, but there are {classes} classes.")
    pred = xp.detached(pred)
    named = (target >= 0) & (target < classes)
    index = xp.lib.where(named, target, 0)
    score = xp.take_along(pred, index[:, None], 1)
    before = (pred > score) | ((pred == score) & (xp.arange(classes, target) < index[:, None]))
    place = before.sum(1)
    right = named if thresh is None else named & (score[:, 0] > thresh)
    if valid is not None:
        right = right & valid
    rows = target.shape[0] if valid is None else xp.cast(valid, pred).sum()
    share = 100.0 / _at_least_one(xp, rows)
    results = [xp.cast(right & (place < count), pred).sum() * share for count in counts]
    return results[0] if single else results


def _at_least_one(xp: Ops, rows: Any) -> Any:
    return max(rows, 1) if isinstance(rows, int) else xp.lib.clip(rows, 1, None)
