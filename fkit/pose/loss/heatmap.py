"""Losses of heatmaps (N, K, H, W)."""

import math
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.reduce import trained
from fkit.array.ops import Ops
from fkit.pose.loss.base import widened
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "AdaptiveWingLoss",
    "CombinedTargetMSELoss",
    "FocalHeatmapLoss",
    "KeypointMSELoss",
    "KeypointOHKMMSELoss",
]


@dataclass(frozen=True)
class KeypointMSELoss:
    """The mean squared difference of maps; mmpose's KeypointMSELoss.

    Args:
        use_target_weight: changes nothing, as in mmpose: weights that are given count.
        skip_empty_channel: maps whose target is 0 everywhere count nothing.
        loss_weight: what the loss is multiplied with.

    ``loss(xp, output, target, target_weights=None, mask=None)``: maps (N, K, H, W), weights (N, K) or of each pixel, a mask
    (N, K or 1, H, W).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> maps = np.ones((1, 2, 4, 4))
        >>> float(KeypointMSELoss()(Numpy(), maps, maps * 3, np.array([[1.0, 0.0]])))
        2.0
    """

    use_target_weight: bool = False
    skip_empty_channel: bool = False
    loss_weight: float = 1.0

    takes_ops = True

    def __call__(self, xp: Ops, output: Any, target: Any, target_weights: Any = None, mask: Any = None) -> Any:
        output, target = trained(xp, type(self).__name__, output, target)
        losses = (output - target) ** 2
        mask = self.mask(xp, target, target_weights, mask)
        return (losses if mask is None else losses * mask).mean() * self.loss_weight

    def mask(self, xp: Ops, target: Any, weights: Any, mask: Any) -> Any:
        """What each pixel counts, or None: all alike."""
        factors: list[Any] = [] if mask is None else [xp.cast(mask, target)]
        if weights is not None:
            if weights.ndim not in (2, 4) or tuple(weights.shape) != tuple(target.shape[: weights.ndim]):
                raise FkitTypeError(
                    f"{type(self).__name__}: maps {tuple(target.shape)} have no weights {tuple(weights.shape)}."
                )
            factors.append(widened(xp.cast(weights, target), target))
        if self.skip_empty_channel:
            factors.append(widened(xp.cast((target != 0).any(-1).any(-1), target), target))
        return math.prod(factors[1:], start=factors[0]) if factors else None


@dataclass(frozen=True)
class CombinedTargetMSELoss:
    """Half the squared differences of discs and, inside of them, of offsets, summed over keypoints; mmpose's
    CombinedTargetMSELoss.

    Args:
        use_target_weight: weights count.
        loss_weight: what the loss is multiplied with.

    ``loss(xp, output, target, target_weights)``: maps (N, K * 3, H, W), weights (N, K).
    """

    use_target_weight: bool = False
    loss_weight: float = 1.0

    takes_ops = True

    def __call__(self, xp: Ops, output: Any, target: Any, target_weights: Any = None) -> Any:
        output, target = trained(xp, "CombinedTargetMSELoss", output, target)
        count, channels, height, width = output.shape
        shape = (count, channels // 3, 3, height, width)
        mine, theirs = output.reshape(shape), target.reshape(shape)
        disc, truth = mine[:, :, 0], theirs[:, :, 0]
        if self.use_target_weight:
            weight = widened(xp.cast(target_weights, output), disc)
            disc, truth = disc * weight, truth * weight
        losses = (disc - truth) ** 2
        for axis in (1, 2):
            losses = losses + (truth * (mine[:, :, axis] - theirs[:, :, axis])) ** 2
        return losses.mean() * 0.5 * self.loss_weight


@dataclass(frozen=True)
class KeypointOHKMMSELoss:
    """The mean squared difference of the ``topk`` keypoints of each person that are worst; mmpose's KeypointOHKMMSELoss.

    Args:
        use_target_weight: weights count.
        topk: how many.
        loss_weight: what the loss is multiplied with.

    ``loss(xp, output, target, target_weights=None)``: maps (N, K, H, W), weights (N, K).
    """

    use_target_weight: bool = False
    topk: int = 8
    loss_weight: float = 1.0

    takes_ops = True

    def __post_init__(self) -> None:
        if self.topk < 1:
            raise FkitValueError(f"KeypointOHKMMSELoss: topk = {self.topk}, but it counts keypoints, from 1.")

    def __call__(self, xp: Ops, output: Any, target: Any, target_weights: Any = None) -> Any:
        output, target = trained(xp, "KeypointOHKMMSELoss", output, target)
        if self.use_target_weight:
            weight = widened(xp.cast(target_weights, output), output)
            output, target = output * weight, target * weight
        losses = ((output - target) ** 2).mean(-1).mean(-1)
        if self.topk > losses.shape[1]:
            raise FkitValueError(f"KeypointOHKMMSELoss: topk = {self.topk} of {losses.shape[1]} keypoints.")
        worst, _ = xp.topk(losses, self.topk)
        return worst.sum() / self.topk / losses.shape[0] * self.loss_weight


@dataclass(frozen=True)
class AdaptiveWingLoss:
    """Wang et al. 2019's loss of maps: a logarithm near the target, a line further off; mmpose's AdaptiveWingLoss.

    Args:
        alpha, omega, epsilon, theta: the paper's.
        use_target_weight: weights count.
        loss_weight: what the loss is multiplied with.

    ``loss(xp, output, target, target_weights=None)``: maps (N, K, H, W), weights (N, K) or of each pixel.
    """

    alpha: float = 2.1
    omega: float = 14.0
    epsilon: float = 1.0
    theta: float = 0.5
    use_target_weight: bool = False
    loss_weight: float = 1.0

    takes_ops = True

    def __call__(self, xp: Ops, output: Any, target: Any, target_weights: Any = None) -> Any:
        output, target = trained(xp, "AdaptiveWingLoss", output, target)
        if self.use_target_weight:
            weight = widened(xp.cast(target_weights, output), output)
            output, target = output * weight, target * weight
        gap = abs(target - output)
        power, ratio = self.alpha - target, self.theta / self.epsilon
        raised = ratio**power
        slope = self.omega / (1 + raised) * power * ratio ** (power - 1) / self.epsilon
        base = self.theta * slope - self.omega * xp.lib.log(1 + raised)
        near = gap < self.theta
        curve = self.omega * xp.lib.log(1 + (gap / self.epsilon) ** power)
        return xp.lib.where(near, curve, slope * gap - base).mean() * self.loss_weight


@dataclass(frozen=True)
class FocalHeatmapLoss(KeypointMSELoss):
    """CornerNet's focal loss of maps of probabilities (Law and Deng 2018); mmpose's FocalHeatmapLoss.

    Args:
        alpha, beta: powers of what is predicted, and of the distance to a target of 1.
        use_target_weight, skip_empty_channel, loss_weight: see `KeypointMSELoss`.
    """

    alpha: float = 2
    beta: float = 4

    def __call__(self, xp: Ops, output: Any, target: Any, target_weights: Any = None, mask: Any = None) -> Any:
        output, target = trained(xp, "FocalHeatmapLoss", output, target)
        mask = self.mask(xp, target, target_weights, mask)
        hit, miss = xp.cast(target == 1, output), xp.cast(target < 1, output)
        if mask is not None:
            hit, miss = hit * mask, miss * mask
        gain = (xp.lib.log(output) * (1 - output) ** self.alpha * hit).sum()
        cost = (xp.lib.log(1 - output) * output**self.alpha * (1 - target) ** self.beta * miss).sum()
        count = hit.sum()
        total = xp.lib.where(count == 0, -cost, -(gain + cost) / xp.lib.where(count == 0, 1.0, count))
        return total * self.loss_weight
