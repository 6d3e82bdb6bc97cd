"""Losses of overlaps: Dice, Tversky, Lovász; and of boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.entropy import binary_cross_entropy
from fkit.array.loss.reduce import raised, reduced
from fkit.array.ops import Ops
from fkit.segmentation.loss.base import IGNORE, PixelLoss, expect_pixels, hot_pixels, weights_of
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["BoundaryLoss", "DiceLoss", "LovaszLoss", "TverskyLoss"]


@dataclass(frozen=True)
class DiceLoss(PixelLoss):
    """1 - Dice's coefficient of all classes of an image together (Milletari et al. 2016); mmseg's DiceLoss.

    Args:
        use_sigmoid: a sigmoid a class, else a softmax.
        activate: whether logits pass either.
        reduction: over images: "mean", "sum" or "none".
        naive_dice: sums in the denominator, in place of sums of squares.
        loss_weight, loss_name: see `PixelLoss`.
        ignore_index: a class that is left out.
        eps: what keeps from dividing by 0.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(DiceLoss()(Numpy(), np.zeros((1, 2, 1, 1)), np.array([[[1]]])).round(4))
        0.3342
    """

    use_sigmoid: bool = True
    activate: bool = True
    reduction: str = "mean"
    naive_dice: bool = False
    loss_weight: float = 1.0
    ignore_index: int | None = IGNORE
    eps: float = 1e-3
    loss_name: str = "loss_dice"

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = IGNORE,
        reduction_override: str | None = None,
    ) -> Any:
        del ignore_index
        logits = raised(xp, logits)
        if tuple(labels.shape) == tuple(logits.shape):
            target = xp.cast(labels, logits)
        else:
            expect_pixels("DiceLoss", logits, labels)
            target = xp.cast(hot_pixels(xp, xp.lib.clip(labels, 0, None), logits.shape[1]), logits)
        chance = logits
        if self.activate and self.use_sigmoid:
            chance = xp.sigmoid(logits)
        elif self.activate and logits.shape[1] != 1:
            chance = xp.softmax(logits, 1)
        kept = [at for at in range(logits.shape[1]) if at != self.ignore_index]
        if not kept:
            raise FkitValueError("DiceLoss: ignore_index is the only class.")
        if len(kept) < logits.shape[1]:
            chance, target = (xp.lib.stack([one[:, at] for at in kept], 1) for one in (chance, target))
        chance, target = (one.reshape(one.shape[0], -1) for one in (chance, target))
        common = (chance * target).sum(1)
        if self.naive_dice:
            share = (2 * common + self.eps) / (chance.sum(1) + target.sum(1) + self.eps)
        else:
            share = 2 * common / ((chance * chance).sum(1) + (target * target).sum(1) + 2 * self.eps)
        if weight is not None and tuple(weight.shape) != tuple(share.shape):
            raise FkitTypeError("DiceLoss weighs images (N,), not pixels.", repair="Give the head no sampler.")
        return self.scaled(xp, 1 - share, weight, reduction_override or self.reduction)


@dataclass(frozen=True)
class TverskyLoss(PixelLoss):
    """1 - Tversky's index, the mean over classes (Salehi et al. 2017); mmseg's TverskyLoss.

    Args:
        smooth: what is added to both sides of the fraction.
        class_weight: (C,), or the path of a file.
        loss_weight, loss_name: see `PixelLoss`.
        ignore_index: a label that does not count, and a class that has no part in the sum.
        alpha, beta: weights of false positives and false negatives; their sum is 1.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(TverskyLoss()(Numpy(), np.zeros((1, 2, 1, 1)), np.array([[[1]]])).round(4))
        0.1598
    """

    smooth: float = 1
    class_weight: Sequence[float] | str | None = None
    loss_weight: float = 1.0
    ignore_index: int | None = IGNORE
    alpha: float = 0.3
    beta: float = 0.7
    loss_name: str = "loss_tversky"

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.alpha + self.beta - 1.0) > 1e-9:
            raise FkitValueError(f"TverskyLoss: alpha + beta = {self.alpha + self.beta}, but it is 1.")
        object.__setattr__(self, "class_weight", weights_of("TverskyLoss", self.class_weight))

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = IGNORE,
        reduction_override: str | None = None,
    ) -> Any:
        del weight, ignore_index, reduction_override
        expect_pixels("TverskyLoss", logits, labels)
        chance = xp.softmax(raised(xp, logits), 1)
        count = chance.shape[1]
        target = xp.cast(hot_pixels(xp, xp.lib.clip(labels, 0, count - 1), count), chance)
        counted = 1.0 if self.ignore_index is None else xp.cast(labels != self.ignore_index, chance)[:, None]
        right, found, missed = (
            (one * counted).sum((2, 3)) for one in (chance * target, chance * (1 - target), (1 - chance) * target)
        )
        share = 1 - (right + self.smooth) / (right + self.alpha * found + self.beta * missed + self.smooth)
        losses = share.mean(0)
        if self.class_weight is not None:
            losses = losses * xp.asarray(self.class_weight, losses)
        if self.ignore_index is not None and 0 <= self.ignore_index < count:
            losses = losses * xp.cast(xp.arange(count) != self.ignore_index, losses)
        return self.scaled(xp, losses.sum() / count, None, "none")


@dataclass(frozen=True)
class LovaszLoss(PixelLoss):
    """The Lovász extension of the Jaccard index (Berman et al. 2018); mmseg's LovaszLoss.

    Args:
        loss_type: "multi_class", of a softmax; or "binary", a hinge of logits (N, 1, H, W) or (N, H, W).
        classes: "present" (in the labels), "all", or which.
        per_image: each image by itself, and then ``reduction``.
        reduction: "none", "mean" or "sum"; without ``per_image`` it is "none".
        class_weight: (C,), or the path of a file.
        loss_weight, loss_name: see `PixelLoss`.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(LovaszLoss(reduction="none")(Numpy(), np.zeros((1, 2, 1, 1)), np.array([[[1]]])).round(4))
        0.5
    """

    loss_type: str = "multi_class"
    classes: str | Sequence[int] = "present"
    per_image: bool = False
    reduction: str = "mean"
    class_weight: Sequence[float] | str | None = None
    loss_weight: float = 1.0
    loss_name: str = "loss_lovasz"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss_type not in ("binary", "multi_class"):
            raise FkitValueError(
                f"LovaszLoss: loss_type={quoted(self.loss_type)}.",
                value=str(self.loss_type),
                choices=("binary", "multi_class"),
            )
        if isinstance(self.classes, str) and self.classes not in ("all", "present"):
            raise FkitValueError(
                f"LovaszLoss: classes={self.classes!r}.", value=self.classes, choices=("all", "present")
            )
        if not self.per_image and self.reduction != "none":
            raise FkitValueError(
                f"LovaszLoss: reduction={self.reduction!r} is over images, and per_image is False.",
                repair="Set reduction='none', or per_image=True.",
            )
        object.__setattr__(self, "class_weight", weights_of("LovaszLoss", self.class_weight))
        if not isinstance(self.classes, str):
            object.__setattr__(self, "classes", tuple(self.classes))

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = IGNORE,
        reduction_override: str | None = None,
    ) -> Any:
        del weight
        logits = raised(xp, logits)
        of = self._hinge if self.loss_type == "binary" else self._softmax
        if not self.per_image:
            return self.scaled(xp, of(xp, logits, labels, ignore_index), None, "none")
        losses = [of(xp, logits[at : at + 1], labels[at : at + 1], ignore_index) for at in range(logits.shape[0])]
        return self.scaled(xp, xp.lib.stack(losses), None, reduction_override or self.reduction)

    def _hinge(self, xp: Ops, logits: Any, labels: Any, ignore: int | None) -> Any:
        logits, labels = logits.reshape(-1), labels.reshape(-1)
        signs = 2 * xp.cast(labels == 1, logits) - 1
        errors = 1 - logits * signs
        return _extension(xp, errors, xp.cast(labels == 1, logits), _counted(xp, labels, ignore), hinge=True)

    def _softmax(self, xp: Ops, logits: Any, labels: Any, ignore: int | None) -> Any:
        expect_pixels("LovaszLoss", logits, labels)
        chance = xp.softmax(logits, 1)
        flat = labels.reshape(-1)
        counted = _counted(xp, flat, ignore)
        which = range(chance.shape[1]) if isinstance(self.classes, str) else self.classes
        losses: list[Any] = []
        there: list[Any] = []
        for at in which:
            inside = xp.cast((flat == at) & counted, chance)
            loss = _extension(xp, abs(inside - chance[:, at].reshape(-1)), inside, counted)
            losses.append(loss if self.class_weight is None else loss * self.class_weight[at])  # pyright: ignore[reportOperatorIssue]
            some = xp.cast(inside.sum() > 0, chance)
            there.append(some if self.classes == "present" else some * 0 + 1)
        flags = xp.lib.stack(there)
        return (xp.lib.stack(losses) * flags).sum() / xp.lib.clip(flags.sum(), 1, None)


def _counted(xp: Ops, labels: Any, ignore: int | None) -> Any:
    return xp.full(labels.shape, 1, "bool") if ignore is None else labels != ignore


def _extension(xp: Ops, errors: Any, inside: Any, counted: Any, hinge: bool = False) -> Any:
    """The sum of errors (P,) in descending order, each times what it adds to the Jaccard loss; those that are not counted come
    last and add nothing."""
    lib = xp.lib
    order = xp.order(lib.where(counted, xp.detached(errors), xp.full((), float("-inf"), errors)), descending=True)
    kept = xp.take(lib.where(counted, errors, errors * 0), order)
    kept = lib.clip(kept, 0, None) if hinge else kept
    inside = xp.take(inside * xp.cast(counted, inside), order)
    total = inside.sum()
    common = total - lib.cumsum(inside, axis=0)
    union = total + lib.cumsum(1 - inside, axis=0)
    jaccard = 1 - common / union
    steps = lib.concat([jaccard[:1], jaccard[1:] - jaccard[:-1]], axis=0)
    return (kept * steps).sum()


@dataclass(frozen=True)
class BoundaryLoss(PixelLoss):
    """Cross entropy of a sigmoid, boundary and other pixels weighing the same together; mmseg's BoundaryLoss.

    Called with ``logits`` (N, 1, H, W) and ``labels`` (N, H, W) of 0 and 1.

    Args:
        loss_weight, loss_name: see `PixelLoss`.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(BoundaryLoss()(Numpy(), np.zeros((1, 1, 1, 2)), np.array([[[0, 1]]])).round(4))
        0.3466
    """

    loss_weight: float = 1.0
    loss_name: str = "loss_boundary"

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction_override: str | None = None,
    ) -> Any:
        del weight, ignore_index
        logits, labels = raised(xp, logits).reshape(-1), labels.reshape(-1)
        positive, negative = (xp.cast(labels == value, logits) for value in (1, 0))
        there, absent = positive.sum(), negative.sum()
        share = (positive * absent + negative * there) / xp.lib.clip(there + absent, 1, None)
        loss = reduced(xp, binary_cross_entropy(xp, logits, positive), share, reduction_override or "mean")
        return self.scaled(xp, loss, None, "none")
