"""Losses of lines across and down (N, K, W), and of distributions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.reduce import raised
from fkit.array.ops import Ops
from fkit.pose.loss.base import expect_one_of, widened
from fkit.tree.error import FkitTypeError

__all__ = ["JSDiscretLoss", "KLDiscretLoss", "MLECCLoss"]

_TINY = 1e-24


def _divergence(xp: Ops, log_pred: Any, target: Any) -> Any:
    """``target * (log target - log pred)`` of each element, 0 where the target is 0."""
    some = target > 0
    return xp.lib.where(some, target * (xp.lib.log(xp.lib.where(some, target, 1.0)) - log_pred), 0.0)


@dataclass(frozen=True)
class KLDiscretLoss:
    """The divergence of lines from their targets, of both axes; mmpose's KLDiscretLoss.

    Args:
        beta: lines are multiplied with it before their softmax.
        label_softmax: a softmax of targets, multiplied with ``label_beta`` before.
        use_target_weight: weights count.
        mask: places of keypoints that count ``mask_weight`` times.

    ``loss(xp, (x, y), (x, y), target_weight)``: lines (N, K, W), weights (N, K).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> line = np.array([[[0.5, 0.5]]])
        >>> float(KLDiscretLoss()(Numpy(), (line, line), (line, line), np.ones((1, 1))))
        0.0
    """

    beta: float = 1.0
    label_softmax: bool = False
    label_beta: float = 10.0
    use_target_weight: bool = True
    mask: Sequence[int] | None = None
    mask_weight: float = 1.0

    takes_ops = True

    def __call__(self, xp: Ops, pred: Any, target: Any, target_weight: Any = None) -> Any:
        total: Any = 0.0
        count = pred[0].shape[1]
        for line, truth in zip(pred, target, strict=True):
            line = raised(xp, line)
            truth = xp.cast(truth, line)
            if self.label_softmax:
                truth = xp.softmax(truth * self.label_beta, -1)
            losses = _divergence(xp, xp.log_softmax(line * self.beta, -1), truth).mean(-1)
            if self.use_target_weight:
                losses = losses * xp.cast(target_weight, losses).reshape(*losses.shape)
            if self.mask is not None:
                factor = [self.mask_weight if at in self.mask else 1.0 for at in range(count)]
                losses = losses * xp.asarray(factor, losses)
            total = total + losses.sum()
        return total / count


@dataclass(frozen=True)
class JSDiscretLoss:
    """The Jensen-Shannon divergence of distributions from their targets; mmpose's JSDiscretLoss.

    Args:
        use_target_weight: both are multiplied with weights.
        size_average: by samples.

    ``loss(xp, pred, target, target_weight=None)``: (N, K, ...), weights (N, K). What has a weight of 0 has a gradient of 0,
    where mmpose's is none.
    """

    use_target_weight: bool = True
    size_average: bool = True

    takes_ops = True

    def __call__(self, xp: Ops, pred: Any, target: Any, target_weight: Any = None) -> Any:
        pred = raised(xp, pred)
        target = xp.cast(target, pred)
        if self.use_target_weight:
            weight = widened(xp.cast(target_weight, pred), pred)
            pred, target = pred * weight, target * weight
        middle = xp.lib.log(0.5 * (pred + target) + _TINY)
        losses = 0.5 * (_divergence(xp, middle, pred) + _divergence(xp, middle, target))
        return losses.sum() / (pred.shape[0] if self.size_average else 1)


@dataclass(frozen=True)
class MLECCLoss:
    """How likely lines make their targets; mmpose's MLECCLoss.

    Args:
        reduction: "mean" or "sum" over keypoints, one number a sample; or "none".
        mode: "log", "linear" or "square".
        use_target_weight: weights count.
        loss_weight: what the loss is multiplied with.

    ``loss(xp, (x, y), (x, y), target_weight=None)``: lines of probabilities (N, K, W), weights (N, K).
    """

    reduction: str = "mean"
    mode: str = "log"
    use_target_weight: bool = False
    loss_weight: float = 1.0

    takes_ops = True

    def __post_init__(self) -> None:
        expect_one_of(self, reduction=("mean", "sum", "none"), mode=("linear", "square", "log"))

    def __call__(self, xp: Ops, pred: Any, target: Any, target_weight: Any = None) -> Any:
        if len(pred) != len(target):
            raise FkitTypeError(f"MLECCLoss: {len(pred)} lines have {len(target)} targets.")
        likely = math.prod(
            (line * xp.cast(truth, line)).sum(-1) for line, truth in zip(pred, target, strict=True)
        )  # fmt: skip
        if self.mode == "log":
            loss = -xp.lib.log(likely + 1e-4)
        else:
            loss = 1.0 - (likely if self.mode == "linear" else likely**2)
        loss = xp.lib.where(xp.lib.isnan(loss), 0.0, loss)
        if self.use_target_weight:
            loss = loss * widened(xp.cast(target_weight, loss), loss)
        if self.reduction != "none":
            flat = loss.reshape(loss.shape[0], -1)
            loss = flat.sum(-1) if self.reduction == "sum" else flat.mean(-1)
        return loss * self.loss_weight
