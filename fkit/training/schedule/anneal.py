"""mmengine's schedulers between two values: cosine and polynomial annealing; mmdet's quadratic warm-up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fkit.training.schedule.policy import INF, Value
from fkit.training.schedule.ranged import Map, Ranged, low_of, one_of

__all__ = ["CosineAnnealingLR", "CosineAnnealingWeightDecay", "PolyLR", "PolyLRRatio", "QuadraticWarmupLR"]


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingLR(Ranged):
    """Half a cosine from the value to ``eta_min`` over ``T_max`` steps (Loshchilov and Hutter, SGDR, equation 5).

    Beyond ``T_max`` it rises again, to what the hyperparameter was before any policy.

    Args:
        T_max: steps of the half wave; None is the whole range. Where it is not whole, no step is at the turn, and what
            the policy began with counts beyond it too.
        eta_min: the value at its end; ``eta_min_ratio`` gives it as a part of what the hyperparameter was before any
            policy.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("T_max", 1),)
    T_max: float | None = None
    eta_min: float | None = None
    eta_min_ratio: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "eta_min", "eta_min_ratio")

    @cached_property
    def half(self) -> float:
        """Steps of half a wave."""
        return self.T_max if self.T_max is not None else self.end - self.begin

    @property
    def moves(self) -> tuple[int, int]:
        return 1, self.last

    @property
    def scales(self) -> bool:
        return not self.eta_min and not self.eta_min_ratio and not self.turns

    @property
    def turns(self) -> bool:
        """Whether a step of the range is at the turn of the wave, from where it rises to what was before any policy."""
        return self.last > self.half == int(self.half)

    def low(self, origin: Value) -> Any:
        """The lowest value, for all groups or each."""
        return low_of(self.eta_min, self.eta_min_ratio, origin)

    def weight(self, t: int) -> float:
        return 1 + math.cos(math.pi * t / self.half)

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        low, half = self.low(origin), self.half
        weights = np.array([self.weight(t) for t in steps])[:, None]
        if steps[-1] <= half or not self.turns:
            return low + (value - low) * weights / 2
        high = np.where(np.array(steps)[:, None] <= half, value, origin)
        return low + (high - low) * weights / 2

    def map(self, t: int, origin: Value) -> Map:
        if t == 0:
            return 1.0, 0.0
        low, half = self.low(origin), self.half
        if (t - 1 - half) % (2 * half) == 0:
            return 1.0, (origin - low) * (1 - math.cos(math.pi / half)) / 2
        ratio = self.weight(t) / self.weight(t - 1)
        return ratio, low * (1 - ratio)

    def in_iterations(self, epoch_length: int) -> Ranged:
        longer = super().in_iterations(epoch_length)
        return longer if self.T_max is None else replace(longer, T_max=self.T_max * epoch_length)


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingWeightDecay(CosineAnnealingLR):
    """`CosineAnnealingLR` of the weight decay; a group that began with none keeps none (mmpretrain's)."""

    param: str = "weight_decay"

    def low(self, origin: Value) -> Any:
        return np.where(origin == 0, 0.0, super().low(origin))


@dataclass(frozen=True, kw_only=True)
class PolyLR(Ranged):
    """From the value to ``eta_min`` as ``(1 - t / T) ** power``, which it reaches at the last step of the range."""

    eta_min: float = 0.0
    power: float = 1.0

    @property
    def moves(self) -> tuple[int, int]:
        return 1, self.last

    @property
    def scales(self) -> bool:
        return not np.any(self.low(np.ones(1)))

    def low(self, origin: Value) -> Any:
        """The lowest value, for all groups or each."""
        return self.eta_min

    def weight(self, t: int) -> float:
        return (1 - t / self.last) ** self.power if self.last else 1.0

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        low = self.low(origin)
        return low + (value - low) * np.array([self.weight(t) for t in steps])[:, None]

    def map(self, t: int, origin: Value) -> Map:
        ratio = (1 - 1 / (self.last - t + 1)) ** self.power if t else 1.0
        return ratio, self.low(origin) * (1 - ratio)


@dataclass(frozen=True, kw_only=True)
class PolyLRRatio(PolyLR):
    """`PolyLR` whose lowest value may be a part of what the hyperparameter was before any policy (mmsegmentation's)."""

    eta_min_ratio: float | None = None

    def low(self, origin: Value) -> Any:
        return low_of(self.eta_min, self.eta_min_ratio, origin)


@dataclass(frozen=True, kw_only=True)
class QuadraticWarmupLR(Ranged):
    """What the hyperparameter was before any policy, times ``((t + 1) / T) ** 2`` over a range of T steps (mmdet's)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end >= INF:
            raise self.wrong("end", "is no end of a warm-up.", "Say where the warm-up ends.")

    @property
    def scales(self) -> bool:
        return False

    def weight(self, t: int) -> float:
        return ((t + 1) / (self.end - self.begin)) ** 2

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        return 0.0 * value + origin * np.array([self.weight(t) for t in steps])[:, None]

    def map(self, t: int, origin: Value) -> Map:
        return (1.0 if t else 0.0), origin * (2 * t + 1) / (self.end - self.begin) ** 2
