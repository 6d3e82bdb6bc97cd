"""mmengine's schedulers that set values of their own: one cycle, and cosines with restarts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import ClassVar

import numpy as np

from fkit.training.schedule.policy import Extent, Value
from fkit.training.schedule.ranged import Map, Ranged, low_of, one_of
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["CosineRestartLR", "OneCycleLR", "between", "phases"]


def between(start: float, end: float, part: float, strategy: str) -> float:
    """The value a part of the way from ``start`` to ``end``, along a cosine or a line.

    Example:
        >>> between(1.0, 0.0, 0.25, "linear"), round(between(1.0, 0.0, 0.25, "cos"), 6)
        (0.75, 0.853553)
    """
    if strategy == "linear":
        return start + (end - start) * part
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def phases(total: int, share: float, three: bool) -> tuple[float, ...]:
    """The steps at which the phases of a cycle end: up, down (up and down again to where it began, and down).

    Example:
        >>> phases(100, 0.3, False), phases(100, 0.3, True)
        ((29.0, 99.0), (29.0, 58.0, 99.0))
    """
    up = share * total - 1
    return (up, 2 * share * total - 2, total - 1.0) if three else (up, total - 1.0)


@dataclass(frozen=True, kw_only=True)
class OneCycleLR(Ranged):
    """Up to ``eta_max`` and down to almost nothing (Smith and Topin, Super-Convergence): it ignores the optimizer's rate.

    Args:
        eta_max: the top; a list gives one for each group.
        total_steps: steps of the cycle; None is the whole range.
        pct_start: the share of the cycle that rises.
        anneal_strategy: "cos" or "linear".
        div_factor: it begins at ``eta_max / div_factor``.
        final_div_factor: it ends at the begin divided by this.
        three_phase: go down to the begin as fast as up, and then to the end.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("total_steps", 1),)
    eta_max: float | tuple[float, ...] = 0.0
    total_steps: int | None = None
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.eta_max, (list, tuple)):
            object.__setattr__(self, "eta_max", tuple(self.eta_max))
        for one in self.eta_max if isinstance(self.eta_max, tuple) else (self.eta_max,):
            expect_number(one, f"{type(self).__name__}: eta_max")
        if not 0 <= self.pct_start <= 1 or isinstance(self.pct_start, int):
            raise self.wrong("pct_start", "is not a fraction from 0.0 to 1.0.")
        if self.anneal_strategy not in ("cos", "linear"):
            raise FkitValueError(
                f"{type(self).__name__}: anneal_strategy = {self.anneal_strategy!r} is none of its values.",
                path="anneal_strategy", value=self.anneal_strategy, choices=("cos", "linear"),
            )  # fmt: skip
        for name in ("div_factor", "final_div_factor"):
            if not getattr(self, name):
                raise self.wrong(name, "divides by nothing.")
        ends = phases(self.total, self.pct_start, self.three_phase)
        if any(start == end for start, end in zip((0.0, *ends), ends, strict=False)):
            raise self.wrong("pct_start", f"leaves a phase of the {self.total} steps without a step.")

    @property
    def total(self) -> int:
        """Steps of the cycle."""
        return self.total_steps if self.total_steps is not None else self.end - self.begin

    @property
    def scales(self) -> bool:
        return False

    def bind(self, extent: Extent, value: Value) -> Ranged:
        steps = min(self.end, extent.steps(self.by_epoch)) - self.begin
        if steps > self.total + 1:
            raise self.wrong("total_steps", f"is too few: the run has {steps} steps of it.")
        if not isinstance(self.eta_max, tuple):
            return self
        count = len(value)
        if len(self.eta_max) == count + 1 > 2:  # mmengine's wrapper has a group of its own beside several
            return replace(self, eta_max=self.eta_max[:count])
        if len(self.eta_max) != count:
            raise self.wrong("eta_max", f"has {len(self.eta_max)} entries for {count} groups of parameters.")
        return self

    def weight(self, t: int) -> float:
        first, final = 1 / self.div_factor, 1 / self.div_factor / self.final_div_factor
        marks = (first, 1.0, first, final) if self.three_phase else (first, 1.0, final)
        ends = phases(self.total, self.pct_start, self.three_phase)
        place = next((i for i, end in enumerate(ends) if t <= end), len(ends) - 1)
        start = ends[place - 1] if place else 0.0
        part = (t - start) / (ends[place] - start)
        return between(marks[place], marks[place + 1], part, self.anneal_strategy)

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        return 0.0 * value + np.asarray(self.eta_max) * np.array([self.weight(t) for t in steps])[:, None]

    def map(self, t: int, origin: Value) -> Map:
        return 0.0, np.asarray(self.eta_max) * self.weight(t)

    def in_iterations(self, epoch_length: int) -> Ranged:
        longer = super().in_iterations(epoch_length)
        return longer if self.total_steps is None else replace(longer, total_steps=self.total_steps * epoch_length)


@dataclass(frozen=True, kw_only=True)
class CosineRestartLR(Ranged):
    """Half a cosine a period, each from its weight times what the hyperparameter was before any policy.

    After the last period the value stays.

    Args:
        periods: steps of each.
        restart_weights: where each begins, as a part of what the hyperparameter was.
        eta_min: the value that each goes to; or ``eta_min_ratio``, a part of what the hyperparameter was.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("periods", 1),)
    periods: tuple[int, ...]
    restart_weights: tuple[float, ...] = (1.0,)
    eta_min: float | None = None
    eta_min_ratio: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("periods", "restart_weights"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        one_of(self, "eta_min", "eta_min_ratio", needed=True)
        if len(self.periods) != len(self.restart_weights) or not self.periods:
            raise self.wrong("restart_weights", f"has not one entry for each of the {len(self.periods)} periods.")

    @property
    def moves(self) -> tuple[int, int]:
        return 0, min(sum(self.periods) - 1, self.last)

    @property
    def scales(self) -> bool:
        return False

    def turn(self, t: int) -> int:
        return t + 1 if t < self.moves[1] else self.last

    def place(self, t: int) -> tuple[int, int]:
        """The period of step ``t``, and the step in it; after the last period, its last step."""
        ends = tuple(accumulate(self.periods))
        t = min(t, ends[-1] - 1)
        period = next(i for i, end in enumerate(ends) if t < end)
        return period, t - (ends[period - 1] if period else 0)

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        low = low_of(self.eta_min, self.eta_min_ratio, origin)
        places = [self.place(t) for t in steps]
        weights = np.array([1 + math.cos(math.pi * step / self.periods[period]) for period, step in places])[:, None]
        tops = np.array([self.restart_weights[period] for period, _ in places])[:, None] * origin
        return 0.0 * value + low + (tops - low) * weights / 2

    def map(self, t: int, origin: Value) -> Map:
        if t > self.moves[1]:
            return 1.0, 0.0
        period, step = self.place(t)
        if step == 0:
            return 0.0, origin * self.restart_weights[period]
        low, wave = low_of(self.eta_min, self.eta_min_ratio, origin), self.periods[period]
        ratio = (1 + math.cos(math.pi * step / wave)) / (1 + math.cos(math.pi * (step - 1) / wave))
        return ratio, low * (1 - ratio)

    def in_iterations(self, epoch_length: int) -> Ranged:
        return replace(super().in_iterations(epoch_length), periods=tuple(p * epoch_length for p in self.periods))
