"""Losses of whole masks."""

from dataclasses import dataclass
from typing import Any

from fkit.array.loss.mask import dice
from fkit.array.ops import Ops
from fkit.detection.loss.base import Loss, sigmoid_only

__all__ = ["DiceLoss"]


@dataclass(frozen=True)
class DiceLoss(Loss):
    """1 less twice the common share of a mask and its target, one number a mask (N, ...).

    Args:
        use_sigmoid: True where ``activate``.
        activate: predictions are logits, of which a sigmoid is taken; else they are probabilities.
        reduction, loss_weight: see `Loss`.
        naive_dice, eps: see `fkit.array.loss.mask.dice`.

    ``weight`` is (N,).
    """

    use_sigmoid: bool = True
    activate: bool = True
    reduction: str = "mean"
    naive_dice: bool = False
    loss_weight: float = 1.0
    eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activate:
            sigmoid_only(self)

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return dice(xp, xp.sigmoid(pred) if self.activate else pred, target, self.eps, self.naive_dice)
