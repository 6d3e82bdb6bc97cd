"""mmcv 1.x's policies of ``lr_config`` and ``momentum_config``, under mmcv's names, and its warm-ups.

A policy sets the value from what the hyperparameter was before any policy (mmcv's ``initial_lr``), whatever policies
before it gave; a warm-up multiplies what the policy gives, or divides it where it is of a momentum.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from fkit.training.schedule.factor import bounded
from fkit.training.schedule.policy import INF, Extent, Value
from fkit.training.schedule.ranged import Map, Ranged, low_of, one_of
from fkit.tree.error import FkitValueError

__all__ = [
    "CosineAnnealingCooldownLrUpdater",
    "CosineAnnealingLrUpdater",
    "CosineRestartLrUpdater",
    "ExpLrUpdater",
    "FlatCosineAnnealingLrUpdater",
    "InvLrUpdater",
    "LinearAnnealingLrUpdater",
    "PolyLrUpdater",
    "StepLrUpdater",
    "Updater",
    "WarmupLR",
]


@dataclass(frozen=True, kw_only=True)
class Updater(Ranged):
    """A policy of mmcv's: the value of each epoch or iteration from what the hyperparameter was before any policy.

    Args:
        run_steps: epochs or iterations of the whole run; by default the run's.
    """

    run_steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.begin:
            raise self.wrong("begin", "has no meaning: it begins with the run.")
        object.__setattr__(self, "end", INF)  # and ends with it

    @property
    def scales(self) -> bool:
        return False

    def bind(self, extent: Extent, value: Value) -> Ranged:
        steps = extent.steps(self.by_epoch)
        return replace(self, run_steps=steps) if self.run_steps is None and steps else self

    @property
    def whole(self) -> int:
        """Epochs or iterations of the whole run.

        Raises:
            FkitValueError: nobody has said.
        """
        if self.run_steps is None:
            raise FkitValueError(
                f"{type(self).__name__} needs the length of the run.", repair="Give it run_steps, epochs or iterations."
            )
        return self.run_steps

    def regular(self, t: int, origin: Value) -> Value:
        """The value of epoch or iteration ``t``, (G,)."""
        return origin * self.weight(t)

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        return 0.0 * value + np.stack([self.regular(t, origin) for t in steps])

    def map(self, t: int, origin: Value) -> Map:
        return 0.0, self.regular(t, origin)


@dataclass(frozen=True, kw_only=True)
class WarmupLR(Ranged):
    """mmcv's warm-up: the value times a factor that reaches 1 after ``warmup_iters`` iterations.

    Args:
        warmup: "constant", "linear" or "exp": how the factor goes from ``warmup_ratio`` to 1.
        warmup_iters: iterations; or epochs, with ``warmup_by_epoch``.
        warmup_ratio: the first factor, above 0.

    Example:
        >>> [round(WarmupLR(warmup="exp", warmup_iters=2, warmup_ratio=0.01).weight(t), 9) for t in range(3)]
        [0.01, 0.1, 1.0]
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("warmup_iters", 1),)
    by_epoch: bool = False
    warmup: str = "linear"
    warmup_iters: int
    warmup_ratio: float = 0.1
    warmup_by_epoch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        bounded(self, "warmup_ratio")
        if not self.warmup_ratio:
            raise self.wrong("warmup_ratio", "is not above 0.")
        if self.warmup not in ("constant", "linear", "exp"):
            kinds = ("constant", "linear", "exp")
            raise FkitValueError(
                f"{type(self).__name__}: warmup = {self.warmup!r}.", path="warmup", value=self.warmup, choices=kinds
            )
        if self.by_epoch or self.begin:
            raise FkitValueError(f"{type(self).__name__} begins with the run, and counts iterations.")
        object.__setattr__(self, "end", INF if self.warmup_by_epoch else self.warmup_iters + 1)

    def bind(self, extent: Extent, value: Value) -> Ranged:
        if not self.warmup_by_epoch:
            return self
        if not extent.by_epoch or not extent.length:
            raise self.wrong("warmup_by_epoch", "needs a run of epochs.", "Give warmup_iters in iterations.")
        return replace(self, warmup_iters=self.warmup_iters * extent.length, warmup_by_epoch=False)

    def factor(self, t: int) -> float:
        """The factor of iteration ``t``."""
        if t >= self.warmup_iters:
            return 1.0
        part = 0.0 if self.warmup == "constant" else t / self.warmup_iters
        return self.warmup_ratio ** (1 - part) if self.warmup == "exp" else 1 - (1 - part) * (1 - self.warmup_ratio)

    def weight(self, t: int) -> float:
        return self.factor(t)

    def turn(self, t: int) -> int:
        return self.warmup_iters if self.warmup == "constant" else t + 1


@dataclass(frozen=True, kw_only=True)
class _Low(Updater):
    """A policy with a lowest value: ``min_lr``, or ``min_lr_ratio`` of what the hyperparameter was."""

    min_lr: float | None = None
    min_lr_ratio: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "min_lr", "min_lr_ratio", needed=True)

    def low(self, origin: Value) -> Any:
        """The lowest value, for all groups or each."""
        return low_of(self.min_lr, self.min_lr_ratio, origin)

    def cosine(self, part: float, origin: Value) -> Value:
        """The value a part of the way down half a cosine."""
        low = self.low(origin)
        return low + 0.5 * (origin - low) * (1 + math.cos(math.pi * part))


@dataclass(frozen=True, kw_only=True)
class StepLrUpdater(Updater):
    """Times ``gamma`` every ``step_size`` or at each of ``milestones`` (mmcv's ``step``), and never below ``min_lr``.

    Of milestones that are not sorted the first that is not reached counts, as in mmcv.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("step_size", 1), ("milestones", 1))
    step_size: int | None = None
    milestones: tuple[int, ...] | None = None
    gamma: float = 0.1
    min_lr: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "step_size", "milestones", needed=True)

    def weight(self, t: int) -> float:
        if self.step_size is not None:
            return self.gamma ** (t // self.step_size)
        return self.gamma ** bisect_right(tuple(accumulate(self.milestones or (), max)), t)

    def regular(self, t: int, origin: Value) -> Value:
        value = origin * self.weight(t)
        return value if self.min_lr is None else np.maximum(value, self.min_lr)


@dataclass(frozen=True, kw_only=True)
class ExpLrUpdater(Updater):
    """``gamma ** t``."""

    gamma: float

    def weight(self, t: int) -> float:
        return self.gamma**t


@dataclass(frozen=True, kw_only=True)
class InvLrUpdater(Updater):
    """``(1 + gamma * t) ** -power``."""

    gamma: float
    power: float = 1.0

    def weight(self, t: int) -> float:
        return (1 + self.gamma * t) ** -self.power


@dataclass(frozen=True, kw_only=True)
class PolyLrUpdater(Updater):
    """``(1 - t / n) ** power`` of the way from ``min_lr`` up, in a run of n steps; its end is never reached."""

    power: float = 1.0
    min_lr: float = 0.0

    def regular(self, t: int, origin: Value) -> Value:
        return (origin - self.min_lr) * (1 - t / self.whole) ** self.power + self.min_lr


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingLrUpdater(_Low):
    """Half a cosine over the run; its end is never reached."""

    def regular(self, t: int, origin: Value) -> Value:
        return self.cosine(t / self.whole, origin)


@dataclass(frozen=True, kw_only=True)
class LinearAnnealingLrUpdater(_Low):
    """A line over the run; its end is never reached."""

    def regular(self, t: int, origin: Value) -> Value:
        return origin + (self.low(origin) - origin) * (t / self.whole)


@dataclass(frozen=True, kw_only=True)
class FlatCosineAnnealingLrUpdater(_Low):
    """Flat for ``start_percent`` of the run, then half a cosine over what is left of it."""

    start_percent: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.start_percent, int) or not 0 <= self.start_percent <= 1:
            raise self.wrong("start_percent", "is not a fraction from 0.0 to 1.0.")

    def regular(self, t: int, origin: Value) -> Value:
        flat = round(self.whole * self.start_percent)
        return origin + 0.0 if t < flat else self.cosine((t - flat) / (self.whole - flat), origin)


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingCooldownLrUpdater(_Low):
    """Half a cosine, and for the last ``cool_down_time`` steps ``cool_down_ratio`` of its end (mmcls's)."""

    cool_down_ratio: float = 0.1
    cool_down_time: int = 10

    def regular(self, t: int, origin: Value) -> Value:
        long = self.whole - self.cool_down_time
        if t > long:
            return origin * 0.0 + self.low(origin) * self.cool_down_ratio
        return self.cosine(t / long, origin)


@dataclass(frozen=True, kw_only=True)
class CosineRestartLrUpdater(_Low):
    """Half a cosine a period, each to the lowest value.

    Args:
        periods: steps of each; the run may not be longer than all.
        restart_weights: how far above the lowest value each begins, as a part of what the hyperparameter was.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("periods", 1),)
    periods: tuple[int, ...]
    restart_weights: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.periods) != len(self.restart_weights) or not self.periods:
            raise self.wrong("restart_weights", f"has not one entry for each of the {len(self.periods)} periods.")

    def bind(self, extent: Extent, value: Value) -> Ranged:
        steps = extent.steps(self.by_epoch)
        if steps > sum(self.periods):
            raise self.wrong("periods", f"are shorter than the run, which has {steps} steps.")
        return super().bind(extent, value)

    def regular(self, t: int, origin: Value) -> Value:
        ends = tuple(accumulate(self.periods))
        period = min(bisect_right(ends, t), len(ends) - 1)
        part = (t - (ends[period - 1] if period else 0)) / self.periods[period]
        low = self.low(origin)
        return low + 0.5 * self.restart_weights[period] * (origin - low) * (1 + math.cos(math.pi * part))
