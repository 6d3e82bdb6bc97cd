"""Residual log-likelihood (Li et al. 2021): how likely an error is, by a flow from errors to a normal law."""

import math
from typing import Any, Final

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.pose.loss.base import expect_one_of

__all__ = ["FLOW_INIT", "FLOW_MASK", "REGRESSION_INIT", "RLE", "SMOOTH", "expect_flow", "likelihood", "normal_log"]

RLE: Final = frozendict(type="RLELoss", use_target_weight=True)
SMOOTH: Final = frozendict(type="SmoothL1Loss", use_target_weight=True)
REGRESSION_INIT: Final = (frozendict(type="Normal", layer=("Linear",), std=0.01, bias=0),)
FLOW_INIT: Final = frozendict(type="Xavier", layer="Linear", distribution="uniform", gain=0.01)
FLOW_MASK: Final = ((0.0, 1.0), (1.0, 0.0)) * 3


def expect_flow(loss: Any) -> None:
    """Refuse another ``q_distribution`` than "laplace" and "gaussian".

    Raises:
        FkitValueError: it is another one.
    """
    expect_one_of(loss, q_distribution=("laplace", "gaussian"))


def normal_log(xp: Ops, z: Any, loc: Any, cov: Any) -> Any:
    """(N,) the logarithm of the density of a normal law of two numbers at z (N, 2).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> round(float(normal_log(Numpy(), np.zeros((1, 2)), np.zeros(2), np.eye(2))[0]), 4)
        -1.8379
    """
    x, y = z[:, 0] - loc[0], z[:, 1] - loc[1]
    a, b, d = cov[0, 0], cov[1, 0], cov[1, 1]
    determinant = a * d - b * b
    square = (d * x * x - 2 * b * x * y + a * y * y) / determinant
    return -0.5 * (square + xp.lib.log(determinant)) - math.log(2 * math.pi)


def likelihood(xp: Ops, loss: Any, flow: Any, pred: Any, sigma: Any, target: Any, weight: Any) -> Any:
    """The negative logarithm of how likely errors (N, K, 2) are.

    Args:
        loss: ``residual``, ``q_distribution``, ``use_target_weight``, ``size_average``.
        flow: of errors (M, 2) the logarithm of their density, (M,).
        sigma: before a sigmoid.
        weight: (N, K, 1).
    """
    target = xp.cast(target, pred)
    sigma = xp.sigmoid(sigma)
    error = (pred - target) / (sigma + 1e-9)
    density = flow(error.reshape(-1, 2)).reshape(target.shape[0], target.shape[1], 1)
    total = xp.lib.log(sigma) - density
    if loss.residual:
        if loss.q_distribution == "laplace":
            total = total + xp.lib.log(sigma * 2) + abs(error)
        else:
            total = total + xp.lib.log(sigma * math.sqrt(2 * math.pi)) + 0.5 * error**2
    if loss.use_target_weight:
        total = total * xp.cast(weight, total)
    return total.sum() / (total.shape[0] if loss.size_average else 1)
