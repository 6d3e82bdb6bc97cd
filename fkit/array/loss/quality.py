"""Losses of scores that stand for how good a box is, of heatmaps, and of distances that are told as distributions."""

from typing import Any

from fkit.array.loss.distance import apart
from fkit.array.loss.entropy import binary_cross_entropy, chance_entropy, hot, powered
from fkit.array.loss.reduce import raised, trained
from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError

__all__ = ["distilled", "distribution_focal", "gaussian_focal", "quality_focal", "scored", "varifocal"]


def scored(xp: Ops, labels: Any, scores: Any, like: Any) -> Any:
    """Labels (N,) with a score (N,) each as targets (N, C): the score where the label is, 0 elsewhere.

    Args:
        like: (N, C); a label outside of [0, C) is nowhere.

    Raises:
        FkitTypeError: the shapes do not fit.
    """
    if tuple(labels.shape) != tuple(like.shape[:1]) or tuple(scores.shape) != tuple(like.shape[:1]):
        raise FkitTypeError(
            f"labels and scores are one a row of {tuple(like.shape)}, not {tuple(labels.shape)} and {tuple(scores.shape)}."
        )
    return xp.lib.where(hot(xp, labels, like.shape[1]), xp.cast(scores, like)[:, None], 0)


def quality_focal(xp: Ops, pred: Any, target: Any, beta: float = 2.0, activated: bool = False) -> Any:
    """Cross entropy of sigmoids with scores, less of what is near its score already.

    Args:
        pred: logits (N, C), or probabilities where ``activated``.
        target: (N, C) in [0, 1]; see `scored`.
        beta: the power of the distance between a probability and its score.

    Returns:
        (N,), summed over the classes.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> quality_focal(Numpy(), np.zeros((1, 2)), np.array([[0.5, 0.0]])).round(4).tolist()
        [0.1733]
    """
    pred, target = trained(xp, "quality focal loss", pred, target)
    entropy = (chance_entropy if activated else binary_cross_entropy)(xp, pred, target)
    return (entropy * powered(apart(xp, pred if activated else xp.sigmoid(pred), target), beta)).sum(1)


def varifocal(
    xp: Ops, pred: Any, target: Any, alpha: float = 0.75, gamma: float = 2.0, iou_weighted: bool = True
) -> Any:
    """Cross entropy of sigmoids with scores: negatives count by their error, positives by their score.

    Args:
        pred: logits (N, C).
        target: (N, C) in [0, 1], 0 where negative.
        alpha: the weight of negatives.
        gamma: the power of their error.
        iou_weighted: positives count by their score; else by 1.

    Returns:
        (N, C).
    """
    pred, target = trained(xp, "varifocal loss", pred, target)
    negative = alpha * powered(apart(xp, xp.sigmoid(pred), target), gamma)
    positive = target if iou_weighted else xp.full((), 1, target)
    return binary_cross_entropy(xp, pred, target) * xp.lib.where(target > 0, positive, negative)


_TINY = 1e-12


def gaussian_focal(
    xp: Ops,
    pred: Any,
    target: Any,
    alpha: float = 2.0,
    gamma: float = 4.0,
    pos_weight: float = 1.0,
    neg_weight: float = 1.0,
) -> Any:
    """A focal loss of heatmaps: an element is positive where its target is 1; near a peak the others count less.

    Args:
        pred: probabilities, any shape.
        target: that shape, in [0, 1].
        alpha: the power of the error.
        gamma: the power of the distance from 1, of negatives.

    Returns:
        That shape.
    """
    pred, target = trained(xp, "gaussian focal loss", pred, target)
    positive = -xp.lib.log(pred + _TINY) * powered(1 - pred, alpha)
    negative = -xp.lib.log(1 - pred + _TINY) * powered(pred, alpha) * powered(1 - target, gamma)
    return xp.lib.where(target == 1, pos_weight * positive, 0) + neg_weight * negative


def distribution_focal(xp: Ops, pred: Any, target: Any) -> Any:
    """Cross entropy of a softmax over 0, 1, ..., n with the two whole numbers beside each target, by how near each is.

    Args:
        pred: logits (N, n + 1).
        target: (N,), brought into [0, n].

    Returns:
        (N,).

    Raises:
        FkitTypeError: the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> distribution_focal(Numpy(), np.zeros((1, 4)), np.array([1.25])).round(6).tolist()
        [1.386294]
    """
    if len(pred.shape) != 2 or tuple(target.shape) != tuple(pred.shape[:1]):
        raise FkitTypeError(
            f"distribution focal loss: logits (N, n + 1) have targets (N,), not {tuple(pred.shape)} and"
            f" {tuple(target.shape)}."
        )
    pred, last = raised(xp, pred), pred.shape[1] - 1
    target = xp.lib.clip(xp.cast(target, pred), 0, last)
    low = xp.lib.clip(xp.lib.floor(target), 0, last - 1)
    index = xp.cast(low, "int64")[:, None]
    chances, high = xp.log_softmax(pred, 1), target - low
    return -(xp.take_along(chances, index, 1)[:, 0] * (1 - high) + xp.take_along(chances, index + 1, 1)[:, 0] * high)


def distilled(xp: Ops, pred: Any, target: Any, temperature: float = 10) -> Any:
    """How far a softmax is from a teacher's, at a temperature: the divergence of Kullback and Leibler, its mean over classes.

    Args:
        pred, target: logits (N, C), the student's and the teacher's; the teacher has no gradient.

    Returns:
        (N,).
    """
    pred, target = trained(xp, "distillation", pred, target)
    teacher = xp.detached(xp.log_softmax(target / temperature, 1))
    apart_by = xp.lib.exp(teacher) * (teacher - xp.log_softmax(pred / temperature, 1))
    return apart_by.mean(1) * temperature**2
