"""From losses of elements to one number."""

from math import prod
from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["REDUCTIONS", "raised", "reduced", "trained"]

REDUCTIONS: tuple[str, ...] = ("none", "mean", "sum")
_EPS = 2.0**-23  # of float32: a factor of 0 divides nothing by 0
_HALF = ("float16", "bfloat16")


def reduced(xp: Ops, loss: Any, weight: Any = None, reduction: str = "mean", avg_factor: Any = None) -> Any:
    """Losses weighed, and brought to one number.

    Args:
        loss: (...), one an element.
        weight: a number, or an array that broadcasts to the shape of ``loss``.
        reduction: "none" (as they are), "mean" (of all elements, those of weight 0 too; 0 where there are none), "sum".
        avg_factor: what a "mean" divides the sum by in place of the count: a number or a 0-d array.

    Returns:
        0-d; (...) for "none".

    Raises:
        FkitTypeError: the weight's shape does not fit.
        FkitValueError: there is no such reduction, or ``avg_factor`` with "sum".

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> round(float(reduced(Numpy(), np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0]), avg_factor=2)), 6)
        2.0
    """
    if reduction not in REDUCTIONS:
        raise FkitValueError(
            f"reduction = {quoted(reduction)} is unknown.", value=str(reduction), choices=REDUCTIONS, label="Reductions"
        )
    if weight is not None:
        loss = loss * _fitting(xp, loss, weight)
    if reduction == "none":
        return loss
    if reduction == "sum":
        if avg_factor is not None:
            raise FkitValueError(
                f"avg_factor = {quoted(avg_factor)} says what a mean is divided by, but the reduction is 'sum'.",
                repair="Leave avg_factor out, or reduce to the 'mean'.",
            )
        return loss.sum()
    if avg_factor is not None:
        return loss.sum() / (avg_factor + _EPS)
    return loss.mean() if prod(loss.shape) else loss.sum()


def _fitting(xp: Ops, loss: Any, weight: Any) -> Any:
    if not hasattr(weight, "shape"):
        return weight
    shape, wanted = tuple(weight.shape), tuple(loss.shape)
    if len(shape) > len(wanted) or any(
        a not in (1, b) for a, b in zip(reversed(shape), reversed(wanted), strict=False)
    ):
        raise FkitTypeError(
            f"a loss of shape {wanted} has no weight of shape {shape}.",
            repair=f"Give one weight an element, {wanted}, or a shape that broadcasts to it.",
        )
    return xp.cast(weight, loss)


def raised(xp: Ops, a: Any) -> Any:
    """Numbers of 16 bits as float32: what a loss is computed in; others as they are."""
    return xp.cast(a, "float32") if str(a.dtype).rpartition(".")[2] in _HALF else a


def trained(xp: Ops, name: str, pred: Any, target: Any) -> tuple[Any, Any]:
    """A prediction and a target of its shape, as numbers of the prediction's kind.

    Raises:
        FkitTypeError: they differ in shape.
    """
    if tuple(pred.shape) != tuple(target.shape):
        raise FkitTypeError(
            f"{name}: the prediction has the shape {tuple(pred.shape)}, but its target {tuple(target.shape)}."
        )
    pred = raised(xp, pred)
    return pred, xp.cast(target, pred)
