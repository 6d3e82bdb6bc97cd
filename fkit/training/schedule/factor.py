"""mmengine's schedulers that multiply: constant, linear, in steps, at milestones, exponential."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fkit.training.schedule.policy import INF
from fkit.training.schedule.ranged import Ranged

__all__ = ["ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "PoseConstantLR", "StepLR", "bounded"]


def bounded(policy: Ranged, *names: str) -> None:
    """Refuse factors that are not from 0 to 1.

    Raises:
        FkitValueError: one is not.
    """
    for name in names:
        if not 0 <= getattr(policy, name) <= 1:
            raise policy.wrong(name, "is not from 0 to 1.")


@dataclass(frozen=True, kw_only=True)
class ConstantLR(Ranged):
    """The value times ``factor`` until the last step of the range, which restores it.

    Example:
        >>> import numpy as np
        >>> from fkit.training.schedule.policy import Time
        >>> policy = ConstantLR(factor=0.5, end=3)
        >>> [policy.step((), Time(0, epoch), np.array([1.0]))[1].tolist()[0] for epoch in range(4)]
        [0.5, 0.5, 1.0, 1.0]
    """

    most: ClassVar[float] = 1.0  # that a factor may be
    factor: float = 1 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.factor <= self.most:
            raise self.wrong("factor", "is not from 0 to 1." if self.most == 1 else "is not at least 0.")
        if not self.factor and self.last and self.end != INF:
            raise self.wrong("factor", "cannot be undone at the end of the range.", "Take a small factor.")

    def weight(self, t: int) -> float:
        return self.factor if t < self.last or not self.last else 1.0

    def turn(self, t: int) -> int:
        return self.last


@dataclass(frozen=True, kw_only=True)
class PoseConstantLR(ConstantLR):
    """mmpose's `ConstantLR`, whose factor may be above 1."""

    most: ClassVar[float] = math.inf


@dataclass(frozen=True, kw_only=True)
class LinearLR(Ranged):
    """The value times a factor that goes in equal steps from ``start_factor`` to ``end_factor``: linear warm-up.

    Example:
        >>> import numpy as np
        >>> from fkit.training.schedule.policy import Time
        >>> policy = LinearLR(start_factor=0.5, end=3, by_epoch=False)
        >>> [policy.step((), Time(i, 0), np.array([1.0]))[1].tolist()[0] for i in range(4)]
        [0.5, 0.75, 1.0, 1.0]
    """

    start_factor: float = 1 / 3
    end_factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        bounded(self, "start_factor", "end_factor")
        if not self.start_factor and self.last:
            raise self.wrong("start_factor", "leaves nothing to multiply by more.", "Take a small factor, 1e-6 say.")

    def weight(self, t: int) -> float:
        part = t / self.last if self.last > 0 else 0.0
        return self.start_factor + (self.end_factor - self.start_factor) * part


@dataclass(frozen=True, kw_only=True)
class StepLR(Ranged):
    """The value times ``gamma`` once every ``step_size``."""

    least: ClassVar[tuple[tuple[str, int], ...]] = (("step_size", 1),)
    step_size: int
    gamma: float = 0.1

    @property
    def moves(self) -> tuple[int, int]:
        return self.step_size, self.last

    def weight(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)

    def turn(self, t: int) -> int:
        return (t // self.step_size + 1) * self.step_size

    def in_iterations(self, epoch_length: int) -> Ranged:
        return replace(super().in_iterations(epoch_length), step_size=self.step_size * epoch_length)


@dataclass(frozen=True, kw_only=True)
class MultiStepLR(Ranged):
    """The value times ``gamma`` once at each milestone, counted from ``begin``; a repeated milestone acts twice.

    Example:
        >>> import numpy as np
        >>> from fkit.training.schedule.policy import Time
        >>> policy = MultiStepLR(milestones=(1, 2), gamma=0.5, end=9)
        >>> [policy.step((), Time(0, epoch), np.array([1.0]))[1].tolist()[0] for epoch in range(4)]
        [1.0, 0.5, 0.25, 0.25]
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("milestones", 0),)
    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "milestones", tuple(sorted(self.milestones)))

    @property
    def moves(self) -> tuple[int, int]:
        first, last = (self.milestones[0], self.milestones[-1]) if self.milestones else (1, 0)
        return first, min(last, self.last)

    def weight(self, t: int) -> float:
        return self.gamma ** bisect.bisect_right(self.milestones, t)

    def turn(self, t: int) -> int:
        place = bisect.bisect_right(self.milestones, t)
        return self.milestones[place] if place < len(self.milestones) else self.last

    def in_iterations(self, epoch_length: int) -> Ranged:
        milestones: Sequence[int] = tuple(m * epoch_length for m in self.milestones)
        return replace(super().in_iterations(epoch_length), milestones=milestones)


@dataclass(frozen=True, kw_only=True)
class ExponentialLR(Ranged):
    """The value times ``gamma`` at each step after the first."""

    gamma: float

    @property
    def moves(self) -> tuple[int, int]:
        return 1, self.last

    def weight(self, t: int) -> float:
        return self.gamma**t
