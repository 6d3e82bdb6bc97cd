"""Cross entropy and focal loss of pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.entropy import binary_cross_entropy, cross_entropy, known_labels, powered
from fkit.array.loss.reduce import raised
from fkit.array.ops import Ops
from fkit.segmentation.loss.base import IGNORE, PixelLoss, expect_pixels, hot_pixels, weights_of
from fkit.tree.error import FkitValueError

__all__ = ["CrossEntropyLoss", "FocalLoss", "OhemCrossEntropy"]


@dataclass(frozen=True)
class CrossEntropyLoss(PixelLoss):
    """Cross entropy of a softmax or of sigmoids; mmseg's CrossEntropyLoss.

    Args:
        use_sigmoid: a sigmoid a class; one class alone is (N, 1, H, W) with labels 0 and 1.
        use_mask: refused: it is a loss of objects' masks.
        reduction: "mean" (over all pixels, ignored ones too), "sum" or "none".
        class_weight: (C,), or the path of a file; a mean is then over the labels' weights. With ``use_sigmoid`` what the loss of
            a positive is multiplied with.
        loss_weight, loss_name: see `PixelLoss`.
        avg_non_ignore: a mean is over those pixels alone that are not ignored.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> labels = np.array([[[0, 255]]])
        >>> [float(CrossEntropyLoss(avg_non_ignore=on)(Numpy(), np.zeros((1, 4, 1, 2)), labels).round(4)) for on in (False, True)]
        [0.6931, 1.3863]
    """

    use_sigmoid: bool = False
    use_mask: bool = False
    reduction: str = "mean"
    class_weight: Sequence[float] | str | None = None
    loss_weight: float = 1.0
    loss_name: str = "loss_ce"
    avg_non_ignore: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_mask:
            raise FkitValueError(
                "CrossEntropyLoss: use_mask=True is for masks of objects.", repair="Leave use_mask out."
            )
        object.__setattr__(self, "class_weight", weights_of("CrossEntropyLoss", self.class_weight))

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = IGNORE,
        reduction_override: str | None = None,
    ) -> Any:
        reduction = reduction_override or self.reduction
        if self.use_sigmoid:
            return self._sigmoids(xp, logits, labels, weight, ignore_index, reduction)
        expect_pixels("CrossEntropyLoss", logits, labels)
        loss = cross_entropy(xp, logits, labels, self.class_weight, ignore_index)
        return self.scaled(xp, loss, weight, reduction, self._count(xp, loss, labels, ignore_index))

    def _count(self, xp: Ops, loss: Any, labels: Any, ignore: int | None) -> Any:
        """What a mean divides by; None is the number of all pixels."""
        counted = xp.full(labels.shape, 1, "bool") if ignore is None else labels != ignore
        if self.class_weight is not None:
            heavy = xp.asarray(self.class_weight, loss)
            label = xp.lib.where(counted, labels, 0)
            return (xp.take(heavy, label) * xp.cast(counted, loss)).sum()
        return xp.cast(counted, loss).sum() if self.avg_non_ignore else None

    def _sigmoids(self, xp: Ops, logits: Any, labels: Any, weight: Any, ignore: int | None, reduction: str) -> Any:
        if tuple(labels.shape) == tuple(logits.shape):  # a flag a class
            heavy = None if self.class_weight is None else xp.asarray(self.class_weight, raised(xp, logits))
            rows = xp.cast(labels >= 0, raised(xp, logits))
            loss = binary_cross_entropy(xp, logits, labels > 0, heavy)
            count = rows.sum() if self.avg_non_ignore else None
            return self.scaled(xp, loss, rows if weight is None else rows * weight, reduction, count)
        expect_pixels("CrossEntropyLoss", logits, labels)
        counted = labels >= 0 if ignore is None else (labels >= 0) & (labels != ignore)
        if logits.shape[1] == 1:
            known_labels(xp, "binary cross entropy", labels, 2, ignore)
            target = (labels == 1)[:, None]
        else:
            target = hot_pixels(xp, labels, logits.shape[1])
        heavy = (
            None if self.class_weight is None else xp.asarray(self.class_weight, raised(xp, logits)).reshape(-1, 1, 1)
        )
        loss = binary_cross_entropy(xp, logits, target & counted[:, None], heavy)
        rows = xp.cast(counted, loss)
        count = rows.sum() * logits.shape[1] if self.avg_non_ignore else None
        rows = rows if weight is None else rows * weight
        return self.scaled(xp, loss, rows[:, None], reduction, count)


@dataclass(frozen=True)
class FocalLoss(PixelLoss):
    """Cross entropy of sigmoids, less of what is told apart well already (Lin et al. 2017); mmseg's FocalLoss.

    Args:
        use_sigmoid: True.
        gamma: the power of the modulating factor.
        alpha: the weight of a positive, of all classes or of each; a negative's is 1 - alpha.
        reduction: "mean" (over all pixels and classes, ignored ones too), "sum" or "none".
        class_weight: (C,).
        loss_weight, loss_name: see `PixelLoss`.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(FocalLoss()(Numpy(), np.zeros((1, 2, 1, 1)), np.array([[[1]]])).round(4))
        0.0866
    """

    use_sigmoid: bool = True
    gamma: float = 2.0
    alpha: float | Sequence[float] = 0.5
    reduction: str = "mean"
    class_weight: Sequence[float] | None = None
    loss_weight: float = 1.0
    loss_name: str = "loss_focal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_sigmoid is not True:
            raise FkitValueError("FocalLoss is a loss of sigmoids.", repair="Set use_sigmoid=True.")
        object.__setattr__(self, "class_weight", weights_of("FocalLoss", self.class_weight))
        if not isinstance(self.alpha, (int, float)):
            object.__setattr__(self, "alpha", weights_of("FocalLoss", self.alpha))

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = IGNORE,
        reduction_override: str | None = None,
    ) -> Any:
        expect_pixels("FocalLoss", logits, labels)
        logits = raised(xp, logits)
        count = logits.shape[1]
        counted = xp.full(labels.shape, 1, "bool") if ignore_index is None else labels != ignore_index
        label = xp.lib.where(counted, labels, 0)
        known_labels(xp, "focal loss", label, max(count, 2))
        target = xp.cast((label == 1)[:, None] if count == 1 else hot_pixels(xp, label, count), logits)
        alpha = self.alpha if isinstance(self.alpha, (int, float)) else xp.asarray(self.alpha, logits).reshape(-1, 1, 1)
        chance = xp.sigmoid(logits)
        wrong = (1 - chance) * target + chance * (1 - target)
        share = (alpha * target + (1 - alpha) * (1 - target)) * powered(wrong, self.gamma)
        rows = xp.cast(counted, logits) if weight is None else xp.cast(counted, logits) * weight
        rows = rows[:, None]
        if self.class_weight is not None:
            rows = rows * xp.asarray(self.class_weight, logits).reshape(-1, 1, 1)
        loss = binary_cross_entropy(xp, logits, target) * share
        return self.scaled(xp, loss, rows, reduction_override or self.reduction)


@dataclass(frozen=True)
class OhemCrossEntropy(PixelLoss):
    """Cross entropy of the pixels that are told worst alone; mmseg's OhemCrossEntropy.

    Args:
        ignore_label: a label that costs nothing.
        thres: pixels whose label is less likely than this count.
        min_kept: but at least so many of the batch.
        loss_weight, loss_name: see `PixelLoss`.
        class_weight: (C,), or the path of a file.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> logits = np.array([[[[9.0, 0.0]], [[0.0, 0.0]]]])
        >>> float(OhemCrossEntropy(min_kept=1)(Numpy(), logits, np.array([[[0, 1]]])).round(4))
        0.6931
    """

    ignore_label: int = IGNORE
    thres: float = 0.7
    min_kept: int = 100000
    loss_weight: float = 1.0
    class_weight: Sequence[float] | str | None = None
    loss_name: str = "loss_ohem"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "class_weight", weights_of("OhemCrossEntropy", self.class_weight))

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction_override: str | None = None,
    ) -> Any:
        del ignore_index
        expect_pixels("OhemCrossEntropy", logits, labels)
        loss = cross_entropy(xp, logits, labels, self.class_weight, self.ignore_label)
        chosen = hard_pixels(xp, logits, labels, self.ignore_label, self.thres, max(1, self.min_kept))
        counts = xp.cast(chosen, loss) if weight is None else xp.cast(chosen, loss) * weight
        if reduction_override == "none":
            return self.scaled(xp, loss, counts, "none")
        return self.scaled(xp, (loss * counts).sum() / xp.lib.clip(counts.sum(), 1, None), None, "none")


def hard_pixels(xp: Ops, logits: Any, labels: Any, ignore: int | None, threshold: float, kept: int) -> Any:
    """(N, H, W): which pixels' labels are less likely than a threshold, or than the one at place ``kept`` of all if that is
    greater; none that are ignored."""
    counted = xp.full(labels.shape, 1, "bool") if ignore is None else labels != ignore
    label = xp.lib.where(counted, labels, 0)
    chance = xp.detached(xp.take_along(xp.softmax(logits, 1), label[:, None], 1)[:, 0])
    flat = xp.lib.where(counted, chance, xp.full((), 2, chance)).reshape(-1)
    place = xp.lib.clip(xp.cast(counted, "int64").sum() - 1, 0, kept)
    least = xp.take(xp.take(flat, xp.order(flat)), place.reshape(1))[0]
    return counted & (chance < xp.lib.clip(least, threshold, None))
