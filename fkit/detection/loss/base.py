"""What all losses share, and how a loss of anybody's is called."""

from typing import Any

from fkit.array.loss.reduce import REDUCTIONS, reduced
from fkit.array.ops import Ops
from fkit.tree.error import FkitValueError, quoted

__all__ = ["Loss", "called", "sigmoid_only"]


class Loss:
    """A frozen dataclass that is called as ``loss(xp, pred, target, weight=None, avg_factor=None, reduction_override=None)``.

    Attributes:
        reduction: "none", "mean" or "sum"; a call may override it.
        loss_weight: what the result is multiplied with.
    """

    reduction: str
    loss_weight: float

    takes_ops = True

    def __post_init__(self) -> None:
        name, reduction, factor = type(self).__name__, self.reduction, self.loss_weight
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
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
    ) -> Any:
        """The loss of a prediction: 0-d, or one number an element where the reduction is "none".

        Args:
            weight: of each element or row; broadcasts.
            avg_factor: what a mean divides by in place of the count.
            reduction_override: a reduction for this call.
        """
        return self._reduced(xp, self.elements(xp, pred, target), weight, avg_factor, reduction_override)

    def elements(self, xp: Ops, pred: Any, target: Any) -> Any:
        """The loss of each element or row, without weights."""
        raise NotImplementedError

    def _reduced(self, xp: Ops, loss: Any, weight: Any, avg_factor: Any, override: str | None) -> Any:
        total = reduced(xp, loss, weight, override or self.reduction, avg_factor)
        return total if self.loss_weight == 1 else total * self.loss_weight


def called(loss: Any, xp: Ops, pred: Any, target: Any, *args: Any, **more: Any) -> Any:
    """A loss's value, be it the kit's or anybody's.

    Args:
        loss: a `Loss`, or whatever says ``takes_ops``, called with ``xp``; or another callable in MMDetection's form, a function or an ``nn.Module``
            ``(pred, target, weight=None, avg_factor=None, ...)``, called without.
        args, more: its other arguments.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(called(lambda pred, target, weight=None: abs(pred - target).sum(), Numpy(), np.ones(3), np.zeros(3)))
        3.0
    """
    return (
        loss(xp, pred, target, *args, **more)
        if getattr(loss, "takes_ops", False)
        else loss(pred, target, *args, **more)
    )


def sigmoid_only(loss: Any) -> None:
    """Refuses ``use_sigmoid=False``.

    Raises:
        FkitValueError: that is what ``loss.use_sigmoid`` says.
    """
    if loss.use_sigmoid is not True:
        raise FkitValueError(
            f"{type(loss).__name__}: use_sigmoid = {quoted(loss.use_sigmoid)}, but it is a loss of sigmoids.",
            repair="Set use_sigmoid=True.",
        )
