"""Cross entropy and focal loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.entropy import binary_cross_entropy, cross_entropy, focal, hot
from fkit.array.loss.reduce import reduced
from fkit.array.ops import Ops
from fkit.detection.loss.base import Loss, sigmoid_only
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["CrossEntropyLoss", "FocalLoss"]

_NO_LABEL = -100


@dataclass(frozen=True)
class CrossEntropyLoss(Loss):
    """Cross entropy of a softmax, of sigmoids, or of masks.

    Args:
        use_sigmoid: a sigmoid of each class. Labels (N,) outside of [0, C) are of no class; below 0 they are ignored, too.
        use_mask: ``pred`` (N, C, H, W), or (N, 1, H, W) of any class; ``target`` (N, H, W); the fourth argument are the
            labels (N,) by which each mask is chosen. The mean is over all pixels of the rows that are valid.
        reduction: see `Loss`. A mean is over all rows, ignored ones too.
        class_weight: (C,) of labels; with ``use_sigmoid`` what the loss of a positive is multiplied with; with ``use_mask``
            what that of each pixel is, one number, or one a column.
        ignore_index: a label that costs nothing; None: -100.
        loss_weight: see `Loss`.
        avg_non_ignore: a mean is over those rows alone that are not ignored.
        bg_cls_weight: of the background class, for heads that ask.

    Called with ``pred`` (N, C) or (N, C, ...), ``target`` (N,) or (N, ...) whole numbers; ``weight`` shaped like the target.
    ``ignore_index`` overrides that of the loss; ``valid`` (N,) says which rows of masks count.

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: a label is no class, or arguments that exclude one another.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(CrossEntropyLoss(loss_weight=2.0)(Numpy(), np.zeros((2, 4)), np.array([0, 3])).round(6))
        2.772589
    """

    use_sigmoid: bool = False
    use_mask: bool = False
    reduction: str = "mean"
    class_weight: Sequence[float] | None = None
    ignore_index: int | None = None
    loss_weight: float = 1.0
    avg_non_ignore: bool = False
    bg_cls_weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_sigmoid and self.use_mask:
            raise FkitValueError(
                "CrossEntropyLoss: use_sigmoid and use_mask exclude one another.",
                repair="Leave use_sigmoid out: masks are sigmoids in any case.",
            )

    def __call__(
        self,
        xp: Ops,
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
        valid: Any = None,
    ) -> Any:
        ignore = self.ignore_index if ignore_index is None else ignore_index
        ignore = _NO_LABEL if ignore is None else ignore
        if self.use_mask:
            return self._masks(xp, pred, target, weight, avg_factor, reduction_override, valid)
        if self.use_sigmoid:
            loss, weight, counted = self._sigmoids(xp, pred, target, weight, ignore)
        else:
            loss, counted = cross_entropy(xp, pred, target, self.class_weight, ignore), target != ignore
        if self.avg_non_ignore and avg_factor is None and (reduction_override or self.reduction) == "mean":
            avg_factor = xp.cast(counted, loss).sum()
        return self._reduced(xp, loss, weight, avg_factor, reduction_override)

    def _sigmoids(self, xp: Ops, pred: Any, target: Any, weight: Any, ignore: int) -> tuple[Any, Any, Any]:
        """The loss of each element, its weight, and which elements are not ignored."""
        counted = (target >= 0) & (target != ignore)
        if len(pred.shape) == len(target.shape):
            loss = binary_cross_entropy(xp, pred, target, self.class_weight)
            return loss, xp.cast(counted, loss) if weight is None else weight * xp.cast(counted, loss), counted
        if tuple(target.shape) != tuple(pred.shape[:-1]):
            raise FkitTypeError(
                f"cross entropy: logits have the shape {tuple(pred.shape)}, but their labels {tuple(target.shape)}.",
                repair="Give one label a row of logits.",
            )
        loss = binary_cross_entropy(xp, pred, hot(xp, target, pred.shape[-1]), self.class_weight)
        rows = xp.cast(counted, loss)
        if weight is not None and tuple(weight.shape) == tuple(pred.shape):
            weight = weight * rows[:, None]
        else:
            weight = (rows if weight is None else weight.reshape(rows.shape) * rows)[:, None]
        return loss, weight, counted[:, None] & xp.full(pred.shape, 1, "bool")

    def _masks(
        self, xp: Ops, pred: Any, target: Any, labels: Any, avg_factor: Any, override: str | None, valid: Any
    ) -> Any:
        if avg_factor is not None or (override or self.reduction) != "mean" or self.ignore_index is not None:
            raise FkitValueError(
                "CrossEntropyLoss: masks take the mean of all pixels: no avg_factor, other reduction or ignore_index.",
                repair="Leave it out with use_mask=True.",
            )
        if labels is None or tuple(labels.shape) != tuple(pred.shape[:1]):
            raise FkitTypeError("CrossEntropyLoss: masks (N, C, H, W) are chosen by labels (N,), the fourth argument.")
        index = xp.lib.clip(labels, 0, pred.shape[1] - 1).reshape(-1, *(1,) * (len(pred.shape) - 1))
        if pred.shape[1] == 1:
            chosen = pred[:, 0]
        else:
            chosen = xp.take_along(pred, xp.lib.broadcast_to(index, (pred.shape[0], 1, *pred.shape[2:])), 1)[:, 0]
        loss = binary_cross_entropy(xp, chosen, target)
        if self.class_weight is not None:
            loss = reduced(xp, loss, xp.asarray(self.class_weight, loss), "none")
        if valid is None:
            return self._reduced(xp, loss, None, None, None)
        counts = xp.cast(valid, loss)
        mean = (loss.reshape(loss.shape[0], -1).mean(1) * counts).sum() / xp.lib.clip(counts.sum(), 1, None)
        return self._reduced(xp, mean, None, None, "none")


@dataclass(frozen=True)
class FocalLoss(Loss):
    """Cross entropy of sigmoids, less of what is told apart well already.

    Args:
        use_sigmoid: True.
        gamma, alpha: see `fkit.array.loss.entropy.focal`.
        reduction, loss_weight: see `Loss`.
        activated: predictions are probabilities.

    Called with ``pred`` (N, C), ``target`` (N,) whole labels of which C is the background, or (N, C) in [0, 1]; ``weight``
    (N,) or (N, C).
    """

    use_sigmoid: bool = True
    gamma: float = 2.0
    alpha: float = 0.25
    reduction: str = "mean"
    loss_weight: float = 1.0
    activated: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        sigmoid_only(self)

    def __call__(
        self,
        xp: Ops,
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
    ) -> Any:
        loss = focal(xp, pred, target, self.gamma, self.alpha, self.activated)
        if weight is not None and tuple(weight.shape) != tuple(loss.shape):
            weight = weight.reshape(loss.shape[0], -1)
        return self._reduced(xp, loss, weight, avg_factor, reduction_override)
