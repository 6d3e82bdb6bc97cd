"""Mixtures of two Gaussians in one dimension, fitted by expectation and maximisation: many at once, with fixed shapes."""

import math
from typing import Any, NamedTuple

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError

__all__ = ["Mixture", "mixture"]

_STEPS = 100
_TOLERANCE = 1e-3  # of the mean logarithm of the likelihood, from one step to the next
_FLOOR = 1e-6  # what is added to each variance
_FAR = -1e30


class Mixture(NamedTuple):
    """Fitted mixtures of B rows of S values.

    Attributes:
        weights, means, variances: (B, 2) of the two parts.
        part: (B, S) 0 or 1: of which part a value rather is; the first where both are as likely.
        likelihood: (B, S) the logarithm of each value's density; meaningless where a value does not count.
    """

    weights: Any
    means: Any
    variances: Any
    part: Any
    likelihood: Any


def mixture(xp: Ops, values: Any, valid: Any, tied: bool = False) -> Mixture:
    """Two Gaussians to each row: they begin at its least and its greatest value, with variance 1 and half of the weight each.

    It ends where the mean logarithm of the likelihood changes by less than 0.001, after 100 steps at most: as scikit-learn's
    ``GaussianMixture`` does with these starts, row by row.

    Args:
        values: (B, S).
        valid: (B, S) bool, which values count; a row that has none fits nothing.
        tied: both parts have one variance.

    Raises:
        FkitTypeError: the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> row = np.array([[0.1, 0.2, 0.3, 5.0, 5.2, 0.0]])
        >>> fit = mixture(Numpy(), row, np.array([[True, True, True, True, True, False]]))
        >>> fit.means.round(3).tolist(), fit.part[0, :5].tolist()
        ([[0.2, 5.1]], [0, 0, 0, 1, 1])
    """
    if len(values.shape) != 2 or tuple(values.shape) != tuple(valid.shape):
        raise FkitTypeError(
            f"mixture: values (B, S) have as many flags, not {tuple(values.shape)} and {tuple(valid.shape)}."
        )
    lib, values = xp.lib, xp.detached(values)
    real = xp.cast(valid, values)
    count = lib.clip(real.sum(1), 1, None)
    values = lib.where(valid, values, 0)
    ends = (-lib.amax(lib.where(valid, -values, _FAR), 1), lib.amax(lib.where(valid, values, _FAR), 1))
    means = lib.where(valid.any(1)[:, None], lib.stack(list(ends), -1), 0)
    tiny = 10 * 2.0 ** (-52 if values.dtype.itemsize == 8 else -23)

    def go_on(state: Any) -> Any:
        return (state[0] < _STEPS) & ~state[1].all()

    def step(state: Any) -> Any:
        at, done, bound, *old = state
        mixed, whole = _densities(xp, values, *old)
        new = _fitted(xp, values, lib.exp(mixed - whole[..., None]) * real[..., None], tiny, tied)
        after = (whole * real).sum(1) / count
        kept = [lib.where(done[:, None], a, b) for a, b in zip(old, new, strict=True)]
        return at + 1, done | (lib.abs(after - bound) < _TOLERANCE), lib.where(done, bound, after), *kept

    ones = lib.ones_like(means)
    bound = lib.where(valid.any(1), _FAR, 0 * count)
    state = (xp.full((), 0, "int64"), ~valid.any(1), bound, ones / 2, means, ones)
    weights, means, variances = xp.loop(go_on, step, state)[3:]
    mixed, whole = _densities(xp, values, weights, means, variances)
    return Mixture(weights, means, variances, xp.argmax(mixed, 2), whole)


def _densities(xp: Ops, values: Any, weights: Any, means: Any, variances: Any) -> tuple[Any, Any]:
    """The logarithms of each part's weighted density (B, S, 2), and of their sum (B, S)."""
    lib = xp.lib
    away = (values[..., None] - means[:, None, :]) ** 2 / variances[:, None, :]
    mixed = lib.log(weights / lib.sqrt(variances))[:, None, :] - (math.log(2 * math.pi) + away) / 2
    most = lib.amax(mixed, 2)
    return mixed, most + lib.log(lib.exp(mixed - most[..., None]).sum(2))


def _fitted(xp: Ops, values: Any, shares: Any, tiny: float, tied: bool) -> tuple[Any, Any, Any]:
    """Weights, means and variances (B, 2) of values (B, S), of which each part has a share (B, S, 2)."""
    mass = shares.sum(1) + tiny
    means = (shares * values[..., None]).sum(1) / mass
    squares = (shares * (values[..., None] - means[:, None, :]) ** 2).sum(1)
    if tied:
        squares, heavy = xp.lib.broadcast_to(squares.sum(1)[:, None], mass.shape), mass.sum(1)[:, None]
    else:
        heavy = mass
    return mass / mass.sum(1)[:, None], means, squares / heavy + _FLOOR
