"""mmcv 1.x's policies that go up and down: cyclic and one-cycle, of the learning rate and of the momentum."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from fkit.training.schedule.cycle import between, phases
from fkit.training.schedule.policy import Extent, Value
from fkit.training.schedule.ranged import Ranged
from fkit.training.schedule.updater import Updater
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError, quoted

__all__ = ["CyclicLrUpdater", "CyclicMomentumUpdater", "OneCycleLrUpdater", "OneCycleMomentumUpdater"]


@dataclass(frozen=True, kw_only=True)
class _Turning(Updater):
    """A policy that counts iterations, and goes along cosines or lines."""

    by_epoch: bool = False
    anneal_strategy: str = "cos"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by_epoch:
            raise FkitValueError(f"{type(self).__name__}: by_epoch = True: it counts iterations.", path="by_epoch")
        if self.anneal_strategy not in ("cos", "linear"):
            raise FkitValueError(
                f"{type(self).__name__}: anneal_strategy = {self.anneal_strategy!r}.",
                path="anneal_strategy", value=self.anneal_strategy, choices=("cos", "linear"),
            )  # fmt: skip

    def fraction(self, name: str) -> None:
        """Refuse a field that is no fraction."""
        if isinstance(getattr(self, name), int) or not 0 <= getattr(self, name) <= 1:
            raise self.wrong(name, "is not a fraction from 0.0 to 1.0.")


@dataclass(frozen=True, kw_only=True)
class CyclicLrUpdater(_Turning):
    """Up to a multiple of the rate and down to another, some times in the run (Smith, Cyclical Learning Rates).

    Where the iterations do not divide, a further cycle begins at the end; each begins at the rate itself.

    Args:
        target_ratio: the multiples, highest and lowest; a number alone is the first, and a 1e5th of it the second.
        cyclic_times: cycles in the run.
        step_ratio_up: the share of a cycle that rises.
        gamma: each cycle swings by so much of the one before.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("cyclic_times", 1),)
    target_ratio: float | tuple[float, ...] = (10.0, 1e-4)
    cyclic_times: int = 1
    step_ratio_up: float = 0.4
    gamma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        ratio: Any = self.target_ratio
        if not isinstance(ratio, (int, float, tuple)) or isinstance(ratio, bool):
            raise self.wrong("target_ratio", "is no number, and no tuple of two.")
        both: tuple[Any, ...] = cast("tuple[Any, ...]", ratio) if isinstance(ratio, tuple) else (ratio,)
        if len(both) == 1:
            expect_number(both[0], f"{type(self).__name__}: target_ratio")
            both = (both[0], both[0] / 1e5)
        if len(both) != 2:
            raise self.wrong("target_ratio", "is no number, and no tuple of two.")
        for one in both:
            expect_number(one, f"{type(self).__name__}: target_ratio")
        object.__setattr__(self, "target_ratio", both)
        if not 0 <= self.step_ratio_up < 1:
            raise self.wrong("step_ratio_up", "is not a fraction of at least 0, below 1.")
        if not 0 < self.gamma <= 1:
            raise self.wrong("gamma", "is not above 0, and at most 1.")

    def bind(self, extent: Extent, value: Value) -> Ranged:
        bound = cast("CyclicLrUpdater", super().bind(extent, value))
        if bound.run_steps is not None and bound.run_steps < self.cyclic_times:
            raise self.wrong("cyclic_times", f"is more than the run has iterations, {bound.run_steps}.")
        return bound

    def weight(self, t: int) -> float:
        high, low = cast("tuple[float, float]", self.target_ratio)
        long = self.whole // self.cyclic_times
        up = int(self.step_ratio_up * long)
        step, scale = t % long, self.gamma ** (t // long)
        if step < up:
            return between(1.0, 1 - scale + high * scale, step / up, self.anneal_strategy)
        if up == 0:  # mmcv's first phase is the fall then
            return between(high, 1 - scale + low * scale, step / long, self.anneal_strategy)
        return between(1 - scale + high * scale, low, (step - up) / (long - up), self.anneal_strategy)


@dataclass(frozen=True, kw_only=True)
class CyclicMomentumUpdater(CyclicLrUpdater):
    """`CyclicLrUpdater` of the momentum, which falls where the rate rises."""

    param: str = "momentum"
    target_ratio: float | tuple[float, ...] = (0.85 / 0.95, 1.0)


def _each(policy: Updater, name: str, value: Value) -> tuple[float, ...]:
    """A field that is a number, or a list of one for each group.

    Raises:
        FkitError: it is neither.
    """
    field: Any = getattr(policy, name)
    if isinstance(field, Mapping):  # of several optimizers
        table = cast("Mapping[str, Any]", field)
        prefix = policy.param.rpartition(".")[0]
        if prefix not in table:
            raise policy.wrong(name, f"says nothing of the optimizer {prefix!r}.")
        field = table[prefix]
    items: tuple[Any, ...] = tuple(cast("list[Any]", field)) if isinstance(field, (list, tuple)) else (field,)
    for one in items:
        expect_number(one, f"{type(policy).__name__}: {name}")
    if len(items) == 1:
        items *= len(value)
    if len(items) != len(value):
        raise FkitValueError(
            f"{type(policy).__name__}: {name} = {quoted(field)} has {len(items)} entries for {len(value)} groups of "
            "parameters.",
            path=name,
        )
    return items


@dataclass(frozen=True, kw_only=True)
class OneCycleLrUpdater(_Turning):
    """Up to ``max_lr`` and down to almost nothing: it ignores the optimizer's rate. See `OneCycleLR`.

    Args:
        max_lr: the top; a list gives one for each group.
        total_steps: iterations of the cycle, at least the run's; None is the run's.
        pct_start: the share of the cycle that rises.
        div_factor: it begins at ``max_lr / div_factor``.
        final_div_factor: it ends at the begin divided by this.
        three_phase: go down to the begin as fast as up, and then to the end.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("total_steps", 1),)
    max_lr: float | tuple[float, ...] | Mapping[str, Any]
    total_steps: int | None = None
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fraction("pct_start")
        for name in ("div_factor", "final_div_factor"):
            if not getattr(self, name):
                raise self.wrong(name, "divides by nothing.")

    def bind(self, extent: Extent, value: Value) -> Ranged:
        steps = extent.steps(False)
        if self.total_steps is not None and self.total_steps < steps:
            raise self.wrong("total_steps", f"is fewer than the {steps} iterations of the run.")
        bound = cast("OneCycleLrUpdater", super().bind(extent, value))
        return replace(bound, max_lr=_each(self, "max_lr", value))

    def weight(self, t: int) -> float:
        marks = (1.0, self.div_factor, 1.0) if self.three_phase else (1.0, self.div_factor)
        return _along(self, t, (*marks, 1 / self.final_div_factor)) / self.div_factor

    def regular(self, t: int, origin: Value) -> Value:
        return np.asarray(self.max_lr) * self.weight(t) + 0.0 * origin


@dataclass(frozen=True, kw_only=True)
class OneCycleMomentumUpdater(_Turning):
    """Down from ``max_momentum`` to ``base_momentum`` where the rate of `OneCycleLrUpdater` rises, and up again."""

    param: str = "momentum"
    base_momentum: float | tuple[float, ...] | Mapping[str, Any] = 0.85
    max_momentum: float | tuple[float, ...] | Mapping[str, Any] = 0.95
    total_steps: int | None = None
    pct_start: float = 0.3
    three_phase: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fraction("pct_start")

    def bind(self, extent: Extent, value: Value) -> Ranged:
        bound = cast("OneCycleMomentumUpdater", super().bind(extent, value))
        base, high = (_each(self, name, value) for name in ("base_momentum", "max_momentum"))
        return replace(bound, base_momentum=base, max_momentum=high)

    def weight(self, t: int) -> float:
        """How far from ``max_momentum`` to ``base_momentum``."""
        return _along(self, t, (0.0, 1.0, 0.0, 0.0) if self.three_phase else (0.0, 1.0, 0.0))

    def regular(self, t: int, origin: Value) -> Value:
        high = np.asarray(self.max_momentum)
        return high + (np.asarray(self.base_momentum) - high) * self.weight(t) + 0.0 * origin


def _along(policy: OneCycleLrUpdater | OneCycleMomentumUpdater, t: int, marks: tuple[float, ...]) -> float:
    """Where iteration ``t`` is between the marks at which the phases of a cycle begin and end."""
    total = policy.total_steps if policy.total_steps is not None else policy.whole
    ends = phases(total, policy.pct_start, policy.three_phase)
    place = next((i for i, end in enumerate(ends) if t <= end), len(ends) - 1)
    start = ends[place - 1] if place else 0.0
    long = ends[place] - start
    return between(marks[place], marks[place + 1], (t - start) / long if long else 1.0, policy.anneal_strategy)
