"""Losses of boxes by how much they overlap their targets."""

from dataclasses import dataclass
from typing import Any

from fkit.array.loss.region import bounded, ciou, diou, eiou, giou, iou, kept, siou
from fkit.array.ops import Ops
from fkit.detection.loss.base import Loss
from fkit.tree.error import FkitTypeError

__all__ = ["BoundedIoULoss", "CIoULoss", "DIoULoss", "EIoULoss", "GIoULoss", "IoULoss", "RegionLoss", "SIoULoss"]


class RegionLoss(Loss):
    """A loss of boxes (N, 4) against boxes (N, 4). A ``weight`` (N, 4) counts by its mean; rows of weight 0 cost nothing,
    whatever is in them, and have no gradient."""

    def __call__(
        self,
        xp: Ops,
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
    ) -> Any:
        if weight is not None and tuple(weight.shape) not in (tuple(pred.shape), tuple(pred.shape[:1])):
            raise FkitTypeError(
                f"{type(self).__name__}: boxes of the shape {tuple(pred.shape)} have no weight of the shape"
                f" {tuple(weight.shape)}.",
                repair="Give one weight a box (N,), or four (N, 4).",
            )
        loss = self.elements(xp, *kept(xp, pred, target, weight))
        if weight is not None and len(weight.shape) > len(loss.shape):
            weight = xp.cast(weight, loss).mean(-1)
        elif weight is not None and len(weight.shape) < len(loss.shape):
            weight = weight[:, None]
        return self._reduced(xp, loss, weight, avg_factor, reduction_override)


@dataclass(frozen=True)
class IoULoss(RegionLoss):
    """By the intersection over union. See `fkit.array.loss.region.iou`, `RegionLoss`.

    Args:
        linear: what ``mode="linear"`` says today.
        eps: the least overlap.
        mode: "log", "linear" or "square".
    """

    linear: bool = False
    eps: float = 1e-6
    reduction: str = "mean"
    loss_weight: float = 1.0
    mode: str = "log"

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return iou(xp, pred, target, "linear" if self.linear else self.mode, self.eps)


@dataclass(frozen=True)
class GIoULoss(RegionLoss):
    """By the generalised overlap. See `fkit.array.loss.region.giou`, `RegionLoss`."""

    eps: float = 1e-6
    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return giou(xp, pred, target, self.eps)


@dataclass(frozen=True)
class DIoULoss(RegionLoss):
    """By the overlap and the distance of the centres. See `fkit.array.loss.region.diou`, `RegionLoss`."""

    eps: float = 1e-6
    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return diou(xp, pred, target, self.eps)


@dataclass(frozen=True)
class CIoULoss(RegionLoss):
    """By the overlap, the distance of the centres and the shapes. See `fkit.array.loss.region.ciou`, `RegionLoss`."""

    eps: float = 1e-6
    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return ciou(xp, pred, target, self.eps)


@dataclass(frozen=True)
class BoundedIoULoss(RegionLoss):
    """By what each coordinate alone would cost of the overlap. See `fkit.array.loss.region.bounded`, `RegionLoss`;
    four numbers a box, each with a weight of its own."""

    beta: float = 0.2
    eps: float = 1e-3
    reduction: str = "mean"
    loss_weight: float = 1.0

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return bounded(xp, pred, target, self.beta, self.eps)


@dataclass(frozen=True)
class EIoULoss(RegionLoss):
    """By a signed overlap, smooth where it is nearly whole. See `fkit.array.loss.region.eiou`, `RegionLoss`."""

    eps: float = 1e-6
    reduction: str = "mean"
    loss_weight: float = 1.0
    smooth_point: float = 0.1

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return eiou(xp, pred, target, self.smooth_point, self.eps)


@dataclass(frozen=True)
class SIoULoss(RegionLoss):
    """By the overlap, the way between the centres, its angle and the sides. See `fkit.array.loss.region.siou`, `RegionLoss`."""

    eps: float = 1e-6
    reduction: str = "mean"
    loss_weight: float = 1.0
    neg_gamma: bool = False

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        return siou(xp, pred, target, self.eps, self.neg_gamma)
