"""What losses of pixels share, and how a loss of anybody's is called."""

from typing import Any

import numpy as np

from fkit.array.loss.reduce import REDUCTIONS, reduced
from fkit.array.ops import Ops
from fkit.fileio.io import load
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["IGNORE", "PixelLoss", "called", "expect_pixels", "hot_pixels", "weights_of"]

IGNORE = 255


class PixelLoss:
    """A frozen dataclass that is called as ``loss(xp, logits, labels, weight=None, ignore_index=255, reduction_override=None)``.

    ``logits`` are (N, C, H, W), ``labels`` whole numbers (N, H, W), ``weight`` one number a pixel (N, H, W).

    Attributes:
        loss_weight: what the result is multiplied with.
        loss_name: under which a head gives it: with "loss" in it, it is trained.
    """

    loss_weight: float
    loss_name: str

    takes_ops = True

    def __post_init__(self) -> None:
        name, factor, reduction = type(self).__name__, self.loss_weight, getattr(self, "reduction", "mean")
        if reduction not in REDUCTIONS:
            raise FkitValueError(
                f"{name}: reduction = {quoted(reduction)} is unknown.",
                value=str(reduction),
                choices=REDUCTIONS,
                label="Reductions",
            )
        if isinstance(factor, bool) or not isinstance(factor, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitValueError(f"{name}: loss_weight = {quoted(factor)}, but it is a number.")

    def __call__(
        self,
        xp: Ops,
        logits: Any,
        labels: Any,
        weight: Any = None,
        ignore_index: int | None = IGNORE,
        reduction_override: str | None = None,
    ) -> Any:
        """The loss: 0-d, or one number a pixel where the reduction is "none"."""
        raise NotImplementedError

    def scaled(self, xp: Ops, loss: Any, weight: Any, reduction: str, count: Any = None) -> Any:
        """Losses of elements weighed, reduced and multiplied with the loss's weight."""
        total = reduced(xp, loss, weight, reduction, count if reduction == "mean" else None)
        return total if self.loss_weight == 1 else total * self.loss_weight


def called(loss: Any, xp: Ops, logits: Any, labels: Any, **more: Any) -> Any:
    """A loss's value, be it the kit's or anybody's: a callable in MMSegmentation's form, ``(pred, target, weight=None,
    ignore_index=255)``, is called without ``xp``.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> float(called(lambda pred, target, **more: abs(pred - target).sum(), Numpy(), np.ones(3), np.zeros(3)))
        3.0
    """
    return loss(xp, logits, labels, **more) if getattr(loss, "takes_ops", False) else loss(logits, labels, **more)


def expect_pixels(name: str, logits: Any, labels: Any) -> None:
    """Refuses labels that are not one a pixel of the logits.

    Raises:
        FkitTypeError: the shapes do not fit.
    """
    if tuple(labels.shape) != (logits.shape[0], *logits.shape[2:]):
        raise FkitTypeError(
            f"{name}: logits have the shape {tuple(logits.shape)}, but their labels {tuple(labels.shape)}.",
            repair="Give one label a pixel: logits (N, C, H, W), labels (N, H, W).",
        )


def hot_pixels(xp: Ops, labels: Any, count: int) -> Any:
    """(N, count, H, W): where each label (N, H, W) is; one outside of [0, count) is nowhere.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> hot_pixels(Numpy(), np.array([[[1, 255]]]), 2).astype(int).tolist()
        [[[[0, 0]], [[1, 0]]]]
    """
    return labels[:, None] == xp.arange(count, labels).reshape(1, -1, 1, 1)


def weights_of(name: str, class_weight: Any) -> tuple[float, ...] | None:
    """A weight a class: numbers, or the file that holds them.

    Raises:
        FkitError: it is neither, or the file cannot be read.

    Example:
        >>> weights_of("CrossEntropyLoss", [1, 0.5])
        (1.0, 0.5)
    """
    if isinstance(class_weight, str):
        class_weight = np.load(class_weight) if class_weight.endswith(".npy") else load(class_weight)
    if class_weight is None:
        return None
    try:
        weights = tuple(float(one) for one in class_weight)
    except (TypeError, ValueError) as cause:
        raise FkitTypeError(
            f"{name}: class_weight = {quoted(class_weight)}: one number a class, or the path of a file of them."
        ) from cause
    if not all(0 <= one < np.inf for one in weights):
        raise FkitValueError(f"{name}: class_weight = {quoted(class_weight)}: weights are finite, and none is below 0.")
    return weights
