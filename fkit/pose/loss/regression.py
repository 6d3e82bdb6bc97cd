"""Losses of coordinates (N, K, D)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.distance import l1, smooth_l1, squared
from fkit.array.loss.reduce import reduced, trained
from fkit.array.ops import Ops
from fkit.pose.loss.base import expect_one_of, widened
from fkit.tree.error import FkitTypeError

__all__ = [
    "BCELoss",
    "BoneLoss",
    "L1Loss",
    "MPJPELoss",
    "MSELoss",
    "SmoothL1Loss",
    "SoftWeightSmoothL1Loss",
    "SoftWingLoss",
    "WingLoss",
]


def _length(xp: Ops, a: Any) -> Any:
    """The length of vectors along the last axis; of one that is 0, with a gradient of 0."""
    total = (a * a).sum(-1)
    some = total > 0
    return xp.lib.where(some, xp.lib.sqrt(xp.lib.where(some, total, 1.0)), 0.0)


@dataclass(frozen=True)
class _Weighted:
    """A loss of predictions and targets that are both multiplied with weights before.

    ``loss(xp, output, target, target_weight=None)``: (N, K, D), weights (N, K), or of each number.
    """

    use_target_weight: bool = False
    loss_weight: float = 1.0

    takes_ops = True

    def __call__(self, xp: Ops, output: Any, target: Any, target_weight: Any = None) -> Any:
        name = type(self).__name__
        output, target = trained(xp, name, output, target)
        if self.use_target_weight:
            if target_weight is None:
                raise FkitTypeError(f"{name}: use_target_weight=True, but there are no weights.")
            weight = widened(xp.cast(target_weight, output), output)
            return self.value(xp, output * weight, target * weight) * self.loss_weight
        return self.value(xp, output, target) * self.loss_weight

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        """The loss, 0-d."""
        raise NotImplementedError


@dataclass(frozen=True)
class SmoothL1Loss(_Weighted):
    """The mean distance, a parabola below 1; mmpose's SmoothL1Loss.

    Args:
        use_target_weight: both are multiplied with weights.
        loss_weight: what the loss is multiplied with.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(SmoothL1Loss()(Numpy(), np.full((1, 1, 2), 3.0), np.zeros((1, 1, 2))))
        2.5
    """

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        return smooth_l1(xp, output, target, 1.0).mean()


@dataclass(frozen=True)
class MSELoss(_Weighted):
    """The mean squared distance; mmpose's MSELoss. See `SmoothL1Loss`."""

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        return squared(xp, output, target).mean()


@dataclass(frozen=True)
class MPJPELoss(_Weighted):
    """The mean length of errors; mmpose's MPJPELoss. See `SmoothL1Loss`."""

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        return _length(xp, output - target).mean()


@dataclass(frozen=True)
class L1Loss(_Weighted):
    """The distance; mmpose's L1Loss.

    Args:
        use_target_weight, loss_weight: see `SmoothL1Loss`.
        reduction: "mean", "sum" or "none".
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        expect_one_of(self, reduction=("mean", "sum", "none"))

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        return reduced(xp, l1(xp, output, target), None, self.reduction)


@dataclass(frozen=True)
class WingLoss(_Weighted):
    """A logarithm near the target, the distance further off (Feng et al. 2018), summed over keypoints; mmpose's WingLoss.

    Args:
        use_target_weight, loss_weight: see `SmoothL1Loss`.
        omega, epsilon: the paper's.
    """

    omega: float = 10.0
    epsilon: float = 2.0

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        gap = abs(target - output)
        base = self.omega * (1.0 - math.log(1.0 + self.omega / self.epsilon))
        curve = self.omega * xp.lib.log(1.0 + gap / self.epsilon)
        return xp.lib.where(gap < self.omega, curve, gap - base).sum(-1).sum(-1).mean()


@dataclass(frozen=True)
class SoftWingLoss(_Weighted):
    """The distance near the target, a logarithm further off (Lin et al. 2021), summed over keypoints; mmpose's SoftWingLoss.

    Args:
        use_target_weight, loss_weight: see `SmoothL1Loss`.
        omega1, omega2, epsilon: the paper's.
    """

    omega1: float = 2.0
    omega2: float = 20.0
    epsilon: float = 0.5

    def value(self, xp: Ops, output: Any, target: Any) -> Any:
        gap = abs(target - output)
        base = self.omega1 - self.omega2 * math.log(1.0 + self.omega1 / self.epsilon)
        curve = self.omega2 * xp.lib.log(1.0 + gap / self.epsilon) + base
        return xp.lib.where(gap < self.omega1, gap, curve).sum(-1).sum(-1).mean()


@dataclass(frozen=True)
class SoftWeightSmoothL1Loss:
    """The distance, a parabola below ``beta``, times weights; mmpose's SoftWeightSmoothL1Loss.

    Args:
        use_target_weight: weights count.
        supervise_empty: the mean is over all numbers, those of weight 0 too.
        beta: see above.
        loss_weight: what the loss is multiplied with.

    ``loss(xp, output, target, target_weight=None)``.
    """

    use_target_weight: bool = False
    supervise_empty: bool = True
    beta: float = 1.0
    loss_weight: float = 1.0

    takes_ops = True

    def __call__(self, xp: Ops, output: Any, target: Any, target_weight: Any = None) -> Any:
        output, target = trained(xp, "SoftWeightSmoothL1Loss", output, target)
        losses = smooth_l1(xp, output, target, self.beta)
        if not self.use_target_weight:
            return losses.mean() * self.loss_weight
        weight = widened(xp.cast(target_weight, output), output)
        losses = losses * weight
        if self.supervise_empty:
            return losses.mean() * self.loss_weight
        count = xp.cast(weight > 0, output).sum()
        return losses.sum() / xp.lib.clip(count, 1.0, None) * self.loss_weight


@dataclass(frozen=True)
class BoneLoss:
    """How far the mean lengths of bones are from the truth's; mmpose's BoneLoss.

    Args:
        joint_parents: of each keypoint the one that its bone goes to; the root's is itself.
        use_target_weight: lengths are multiplied with weights (N, K).
        loss_weight: what the loss is multiplied with.
        loss_name: under which it is logged.

    ``loss(xp, output, target, target_weight=None)``: (N, K, D).
    """

    joint_parents: Sequence[int]
    use_target_weight: bool = False
    loss_weight: float = 1.0
    loss_name: str = "loss_bone"

    takes_ops = True

    def __call__(self, xp: Ops, output: Any, target: Any, target_weight: Any = None) -> Any:
        output, target = trained(xp, "BoneLoss", output, target)
        parents = list(self.joint_parents)
        places = [at for at, parent in enumerate(parents) if at != parent]
        mine, theirs = (_length(xp, one - one[:, parents])[:, places] for one in (output, target))
        if self.use_target_weight:
            weight = xp.cast(target_weight, output)[:, places]
            mine, theirs = mine * weight, theirs * weight
        return abs(mine.mean(0) - theirs.mean(0)).mean() * self.loss_weight


@dataclass(frozen=True)
class BCELoss:
    """Binary cross entropy; mmpose's BCELoss.

    Args:
        use_target_weight: weights count.
        loss_weight: what the loss is multiplied with.
        reduction: "mean", "sum" or "none".
        use_sigmoid: what is predicted are probabilities already (so it is in mmpose), and no logits.

    ``loss(xp, output, target, target_weight=None)``: (N, K), weights (N,) or (N, K).
    """

    use_target_weight: bool = False
    loss_weight: float = 1.0
    reduction: str = "mean"
    use_sigmoid: bool = False

    takes_ops = True

    def __post_init__(self) -> None:
        expect_one_of(self, reduction=("mean", "sum", "none"))

    def __call__(self, xp: Ops, output: Any, target: Any, target_weight: Any = None) -> Any:
        output, target = trained(xp, "BCELoss", output, target)
        if self.use_sigmoid:  # torch's: a logarithm is -100 at least
            logs = [xp.lib.clip(xp.lib.log(one), -100.0, None) for one in (output, 1 - output)]
            losses = -(target * logs[0] + (1 - target) * logs[1])
        else:
            losses = xp.softplus(output) - output * target
        if self.use_target_weight:
            weight = xp.cast(target_weight, output)
            losses = losses * (weight[:, None] if weight.ndim == 1 else weight)
        return reduced(xp, losses, None, self.reduction) * self.loss_weight
