"""Quality, varifocal, distribution and Gaussian focal losses; distillation."""

from dataclasses import dataclass
from typing import Any

from fkit.array.loss.quality import (
    distilled,
    distribution_focal,
    gaussian_focal,
    quality_focal,
    scored,
    varifocal,
)
from fkit.array.ops import Ops
from fkit.detection.loss.base import Loss, sigmoid_only
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "DistributionFocalLoss",
    "GaussianFocalLoss",
    "KnowledgeDistillationKLDivLoss",
    "QualityFocalLoss",
    "VarifocalLoss",
]


@dataclass(frozen=True)
class QualityFocalLoss(Loss):
    """Cross entropy of sigmoids (N, C) with scores; one number a row.

    Args:
        use_sigmoid: True.
        beta: see `fkit.array.loss.quality.quality_focal`.
        reduction, loss_weight: see `Loss`.
        activated: predictions are probabilities.

    ``target`` is (N, C), or a pair: labels (N,), where one outside of [0, C) is the background, and their scores (N,).
    """

    use_sigmoid: bool = True
    beta: float = 2.0
    reduction: str = "mean"
    loss_weight: float = 1.0
    activated: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        sigmoid_only(self)

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        if isinstance(target, (tuple, list)):
            if len(target) != 2:  # pyright: ignore[reportUnknownArgumentType]
                raise FkitTypeError(
                    "QualityFocalLoss: the target is a pair, labels and their scores, or an array (N, C)."
                )
            target = scored(xp, target[0], target[1], pred)
        return quality_focal(xp, pred, target, self.beta, self.activated)


@dataclass(frozen=True)
class VarifocalLoss(Loss):
    """Cross entropy of sigmoids (N, C) with scores (N, C). See `fkit.array.loss.quality.varifocal`, `Loss`."""

    use_sigmoid: bool = True
    alpha: float = 0.75
    gamma: float = 2.0
    iou_weighted: bool = True
    reduction: str = "mean"
    loss_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        sigmoid_only(self)
        if self.alpha < 0:
            raise FkitValueError(f"VarifocalLoss: alpha = {quoted(self.alpha)}, but it is a weight from 0.")

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return varifocal(xp, pred, target, self.alpha, self.gamma, self.iou_weighted)


@dataclass(frozen=True)
class DistributionFocalLoss(Loss):
    """Of logits (N, n + 1) and distances (N,). See `fkit.array.loss.quality.distribution_focal`, `Loss`."""

    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return distribution_focal(xp, pred, target)


@dataclass(frozen=True)
class GaussianFocalLoss(Loss):
    """Of heatmaps. See `fkit.array.loss.quality.gaussian_focal`, `Loss`.

    Called with ``pos_inds`` and ``pos_labels`` (M,), ``pred`` (N, C) is positive in those rows and columns alone, however
    often one is named, and each target is of a negative; ``valid`` (M,) says which of them count.
    """

    alpha: float = 2.0
    gamma: float = 4.0
    reduction: str = "mean"
    loss_weight: float = 1.0
    pos_weight: float = 1.0
    neg_weight: float = 1.0

    def __call__(
        self,
        xp: Ops,
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
        pos_inds: Any = None,
        pos_labels: Any = None,
        valid: Any = None,
    ) -> Any:
        if pos_inds is None:
            loss = gaussian_focal(xp, pred, target, self.alpha, self.gamma, self.pos_weight, self.neg_weight)
            return self._reduced(xp, loss, weight, avg_factor, reduction_override)
        if pos_labels is None:
            raise FkitTypeError(
                "GaussianFocalLoss: pos_inds say which rows are positive; pos_labels lack, of which class."
            )
        chosen = xp.take_along(xp.take(pred, pos_inds), pos_labels[:, None], 1)
        ones, zeros = xp.lib.ones_like(chosen), xp.full((), 0, pred)
        positive = gaussian_focal(xp, chosen, ones, self.alpha, self.gamma, self.pos_weight, 0.0)
        negative = gaussian_focal(xp, pred, target, self.alpha, self.gamma, 0.0, self.neg_weight)
        if valid is not None:
            positive = xp.lib.where(valid[:, None], positive, zeros)
        return self._reduced(xp, positive, None, avg_factor, reduction_override) + self._reduced(
            xp, negative, None, avg_factor, reduction_override
        )


@dataclass(frozen=True)
class KnowledgeDistillationKLDivLoss(Loss):
    """Of a student's logits (N, C) and a teacher's, at the temperature ``T`` from 1.
    See `fkit.array.loss.quality.distilled`, `Loss`."""

    reduction: str = "mean"
    loss_weight: float = 1.0
    T: float = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.T < 1:
            raise FkitValueError(f"KnowledgeDistillationKLDivLoss: T = {quoted(self.T)}, but a temperature is from 1.")

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return distilled(xp, pred, target, self.T)
