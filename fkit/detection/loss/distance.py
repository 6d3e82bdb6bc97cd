"""Losses of numbers: L1 and its smooth forms, squares."""

from dataclasses import dataclass
from typing import Any

from fkit.array.loss.distance import balanced_l1, l1, smooth_l1, squared
from fkit.array.ops import Ops
from fkit.detection.loss.base import Loss

__all__ = ["BalancedL1Loss", "L1Loss", "MSELoss", "SmoothL1Loss"]


@dataclass(frozen=True)
class L1Loss(Loss):
    """The distance of each element. See `Loss`."""

    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return l1(xp, pred, target)


@dataclass(frozen=True)
class SmoothL1Loss(Loss):
    """The distance of each element, a parabola below ``beta``. See `fkit.array.loss.distance.smooth_l1`, `Loss`."""

    beta: float = 1.0
    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return smooth_l1(xp, pred, target, self.beta)


@dataclass(frozen=True)
class BalancedL1Loss(Loss):
    """Libra R-CNN's distance of each element. See `fkit.array.loss.distance.balanced_l1`, `Loss`."""

    alpha: float = 0.5
    gamma: float = 1.5
    beta: float = 1.0
    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return balanced_l1(xp, pred, target, self.beta, self.alpha, self.gamma)


@dataclass(frozen=True)
class MSELoss(Loss):
    """The squared distance of each element. See `Loss`."""

    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return squared(xp, pred, target)
