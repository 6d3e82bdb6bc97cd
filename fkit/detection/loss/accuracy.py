"""Accuracy under its mmdet name."""

from dataclasses import dataclass
from typing import Any

from fkit.array.loss.accuracy import accuracy
from fkit.array.ops import Ops

__all__ = ["Accuracy", "accuracy"]


@dataclass(frozen=True)
class Accuracy:
    """``Accuracy(topk, thresh)(xp, pred, target)``: see `fkit.array.loss.accuracy.accuracy`."""

    topk: int | tuple[int, ...] = (1,)
    thresh: float | None = None

    def __call__(self, xp: Ops, pred: Any, target: Any, valid: Any = None) -> Any:
        return accuracy(xp, pred, target, self.topk, self.thresh, valid)
