"""Losses of numbers: how far a prediction is from its target, one number an element."""

from math import e
from typing import Any

from fkit.array.loss.reduce import trained
from fkit.array.ops import Ops
from fkit.tree.error import FkitValueError

__all__ = ["apart", "balanced_l1", "l1", "smooth_l1", "squared"]


def apart(xp: Ops, a: Any, b: Any) -> Any:
    """``|a - b|``, with a gradient of 0 where they are equal: JAX's own ``abs`` has 1 there."""
    difference = a - b
    return xp.lib.maximum(difference, -difference)


def l1(xp: Ops, pred: Any, target: Any) -> Any:
    """The distance of each element.

    Raises:
        FkitTypeError: the shapes differ.
    """
    pred, target = trained(xp, "L1 loss", pred, target)
    return apart(xp, pred, target)


def squared(xp: Ops, pred: Any, target: Any) -> Any:
    """The squared distance of each element.

    Raises:
        FkitTypeError: the shapes differ.
    """
    pred, target = trained(xp, "squared loss", pred, target)
    return (pred - target) ** 2


def smooth_l1(xp: Ops, pred: Any, target: Any, beta: float = 1.0) -> Any:
    """The distance of each element, less ``beta / 2``; a parabola below ``beta``, with no kink between.

    Raises:
        FkitTypeError: the shapes differ.
        FkitValueError: ``beta`` is not above 0.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> smooth_l1(Numpy(), np.array([0.5, 3.0]), np.zeros(2)).tolist()
        [0.125, 2.5]
    """
    _above(beta)
    pred, target = trained(xp, "smooth L1 loss", pred, target)
    far = apart(xp, pred, target)
    return xp.lib.where(far < beta, far * far * (0.5 / beta), far - 0.5 * beta)


def balanced_l1(xp: Ops, pred: Any, target: Any, beta: float = 1.0, alpha: float = 0.5, gamma: float = 1.5) -> Any:
    """A smooth distance whose gradient grows faster near 0 and ends at ``gamma``, as Libra R-CNN has it.

    Raises:
        FkitTypeError: the shapes differ.
        FkitValueError: ``beta`` is not above 0.
    """
    _above(beta)
    pred, target = trained(xp, "balanced L1 loss", pred, target)
    far = apart(xp, pred, target)
    b = e ** (gamma / alpha) - 1
    near = (alpha / b) * (b * far + 1) * xp.lib.log(b * far / beta + 1) - alpha * far
    return xp.lib.where(far < beta, near, gamma * far + (gamma / b - alpha * beta))


def _above(beta: float) -> None:
    if not beta > 0:
        raise FkitValueError(f"beta = {beta!r}, but it is a distance above 0.")
