"""How a moving average of the weights follows them: the weight of the newest, as a function of the iteration."""

import math
from collections.abc import Callable

from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["AVERAGES", "Share", "annealing", "averaged", "exponential", "linear", "share_of", "stochastic", "warm"]

Share = Callable[[int], float]
"""``(iterations done) -> weight`` of the newest weights, when the step after them is taken in: 0 leaves the average as it
is, 1 copies."""

AVERAGES = ("ExponentialMovingAverage", "MomentumAnnealingEMA", "ExpMomentumEMA", "StochasticWeightAverage")
"""Names of mmengine's averages, and of mmdet's."""


def averaged(share: Share, begin: int = 0, interval: int = 1) -> Share:
    """mmengine's order of things round ``share``: up to and with iteration ``begin`` the weights are copied, and from there
    on every ``interval``-th step counts.

    Args:
        share: of the number of steps since ``begin``.

    Example:
        >>> half = averaged(lambda steps: 0.5, begin=1, interval=2)
        >>> [half(done) for done in range(6)]
        [1.0, 1.0, 0.0, 0.5, 0.0, 0.5]
    """

    def of(done: int) -> float:
        steps = done - begin
        if steps <= 0:
            return 1.0
        return share(steps) if steps % interval == 0 else 0.0

    return of


def exponential(momentum: float) -> Share:
    """mmengine's ExponentialMovingAverage: always ``momentum``.

    Example:
        >>> exponential(0.01)(7)
        0.01
    """
    momentum = _momentum(momentum)
    return lambda steps: momentum


def annealing(momentum: float, gamma: float) -> Share:
    """mmengine's MomentumAnnealingEMA: ``max(momentum, gamma / (gamma + steps))``.

    Example:
        >>> annealing(0.01, 100)(300)
        0.25
    """
    momentum, gamma = _momentum(momentum), _gamma(gamma)
    return lambda steps: max(momentum, gamma / (gamma + steps))


def warm(momentum: float, gamma: float) -> Share:
    """mmdet's ExpMomentumEMA: ``(1 - momentum) * exp(-(1 + steps) / gamma) + momentum``.

    Example:
        >>> round(warm(0.0002, 2000)(1999), 9)
        0.368005865
    """
    momentum, gamma = _momentum(momentum), _gamma(gamma)
    return lambda steps: (1 - momentum) * math.exp(-(1 + steps) / gamma) + momentum


def stochastic(interval: int = 1) -> Share:
    """mmengine's StochasticWeightAverage: the mean of all that were taken in, ``1 / (steps // interval + 1)``.

    Example:
        >>> stochastic()(3)
        0.25
    """
    return lambda steps: 1 / (steps // interval + 1)


def linear(momentum: float, warm_up: int) -> Share:
    """mmcv 1.x's: ``min(momentum, (1 + steps) / (warm_up + steps))``.

    Example:
        >>> linear(0.5, 100)(0), linear(0.5, 100)(1000)
        (0.01, 0.5)
    """
    momentum = _momentum(momentum)
    if warm_up < 1:
        raise FkitValueError(f"warm_up = {warm_up}: at least 1.")
    return lambda steps: min(momentum, (1 + steps) / (warm_up + steps))


def share_of(
    name: str, momentum: float | None = None, gamma: float | None = None, begin: int = 0, interval: int = 1
) -> Share:
    """An average by mmengine's name, with its defaults: momentum 0.0002, gamma 100, of ExpMomentumEMA 2000.

    Raises:
        FkitValueError: there is none of that name, or it takes no momentum or gamma.

    Example:
        >>> share = share_of("StochasticWeightAverage")
        >>> [share(done) for done in range(3)]
        [1.0, 0.5, 0.3333333333333333]
    """
    if name not in AVERAGES:
        raise FkitValueError(
            f"ema_type = {name!r} is no average of weights.", value=name, choices=AVERAGES,
            repair="One of your own is a hook whose wrap(program) gives fkit.training.ema.with_ema(program, share).",
        )  # fmt: skip
    for key, value, takers in (("momentum", momentum, AVERAGES[:3]), ("gamma", gamma, AVERAGES[1:3])):
        if value is not None and name not in takers:
            raise FkitValueError(f"{key} = {value}: {name} takes none.", repair=f"{', '.join(takers)} do.")
    share = 0.0002 if momentum is None else momentum
    if name == "ExponentialMovingAverage":
        rule = exponential(share)
    elif name == "MomentumAnnealingEMA":
        rule = annealing(share, 100 if gamma is None else gamma)
    elif name == "ExpMomentumEMA":
        rule = warm(share, 2000 if gamma is None else gamma)
    else:
        rule = stochastic(interval)
    return averaged(rule, begin, interval)


def _momentum(value: float) -> float:
    expect_number(value, "momentum")
    if not 0 < value < 1:
        raise FkitValueError(
            f"momentum = {value}: above 0 and below 1; it is the weight of the newest, 0.0002 where others say 0.9998."
        )
    return float(value)


def _gamma(value: float) -> float:
    expect_number(value, "gamma")
    if not value > 0:
        raise FkitValueError(f"gamma = {value}: above 0.")
    return float(value)
