"""Schedules of learning rates and momenta as values: ``init() -> state``, ``step(state, at, value) -> (state, value)``.

The policies here have a closed form in the time since they began, so their state is empty and a resume costs nothing.
They compose in order: each acts on the value that the ones before it give. Numbers match mmengine's parameter
schedulers, whose ranges are ``begin <= t < end`` and which reach their last value at ``t = end - begin - 1``.
"""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fkit.tree.check import check_fields
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "LinearLR",
    "MultiStepLR",
    "Schedule",
    "StepLR",
    "Time",
    "chain",
    "target",
]

Value = NDArray[np.float64]


class Time(NamedTuple):
    """Where a run is, as far as a schedule may ask.

    Attributes:
        iteration: training iterations done.
        epoch: training epochs done (0 throughout an iteration-based run).
        metrics: the newest validation result.
    """

    iteration: int
    epoch: int
    metrics: Mapping[str, float] = EMPTY


class Schedule(Protocol):
    """One policy for one hyperparameter."""

    @property
    def param(self) -> str: ...

    def init(self) -> Any:
        """The state before the first step: data that JSON can hold."""
        ...

    def step(self, state: Any, at: Time, value: Value) -> tuple[Any, Value]:
        """The state and the value in force at ``at``; ``value`` (G,) is what the policies before this one give."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Ranged:
    """A policy in force for ``begin <= t < end``, in epochs or iterations; it keeps its last value afterwards.

    Attributes:
        closed: a function of the time alone, with no state and no eye on the metrics: it may be asked ahead of time.
    """

    closed: ClassVar[bool] = True
    least: ClassVar[tuple[tuple[str, int], ...]] = ()  # fields with a lower bound

    begin: int = 0
    end: int
    by_epoch: bool = True
    param: str = "lr"

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.begin < self.end:
            raise FkitValueError(f"{type(self).__name__}: begin={self.begin} and end={self.end} make no range.")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise FkitValueError(
                    f"{type(self).__name__}: {field.name} = {value} is not a finite number.", path=field.name
                )
        for name, least in self.least:
            value = getattr(self, name)
            if value is not None and any(
                one < least for one in (value if isinstance(value, (list, tuple)) else (value,))
            ):
                raise FkitValueError(f"{type(self).__name__}: {name} = {quoted(value)}: at least {least}.", path=name)

    def init(self) -> tuple[()]:
        return ()

    def step(self, state: tuple[()], at: Time, value: Value) -> tuple[tuple[()], Value]:
        t = (at.epoch if self.by_epoch else at.iteration) - self.begin
        return state, value if t < 0 else self.apply(min(t, self.end - self.begin - 1), value)

    def apply(self, t: int, value: Value) -> Value:
        """The value at ``t`` steps since ``begin``."""
        raise FkitTypeError(f"{type(self).__name__} has no formula.")

    def in_iterations(self, epoch_length: int) -> "_Ranged":
        """The same policy counted in iterations (mmengine's ``convert_to_iter_based``).

        Raises:
            FkitValueError: it counts iterations already.
        """
        if not self.by_epoch:
            raise FkitValueError(f"{type(self).__name__}: convert_to_iter_based is for a policy with by_epoch=True.")
        return replace(self, begin=self.begin * epoch_length, end=self.end * epoch_length, by_epoch=False)


@dataclass(frozen=True, kw_only=True)
class ConstantLR(_Ranged):
    """The value times ``factor`` until the last step of the range, which restores it.

    Example:
        >>> policy = ConstantLR(factor=0.5, end=3)
        >>> [policy.step((), Time(0, epoch), np.array([1.0]))[1].tolist()[0] for epoch in range(4)]
        [0.5, 0.5, 1.0, 1.0]
    """

    factor: float = 1 / 3

    def apply(self, t: int, value: Value) -> Value:
        return value * self.factor if t < self.end - self.begin - 1 else value


@dataclass(frozen=True, kw_only=True)
class LinearLR(_Ranged):
    """The value times a factor that goes in equal steps from ``start_factor`` to ``end_factor``: linear warm-up.

    Example:
        >>> policy = LinearLR(start_factor=0.5, end=3, by_epoch=False)
        >>> [policy.step((), Time(i, 0), np.array([1.0]))[1].tolist()[0] for i in range(4)]
        [0.5, 0.75, 1.0, 1.0]
    """

    start_factor: float = 1 / 3
    end_factor: float = 1.0

    def apply(self, t: int, value: Value) -> Value:
        steps = self.end - self.begin - 1
        part = t / steps if steps > 0 else 0.0
        return value * (self.start_factor + (self.end_factor - self.start_factor) * part)


@dataclass(frozen=True, kw_only=True)
class StepLR(_Ranged):
    """The value times ``gamma`` once every ``step_size``."""

    least: ClassVar[tuple[tuple[str, int], ...]] = (("step_size", 1),)
    step_size: int
    gamma: float = 0.1

    def apply(self, t: int, value: Value) -> Value:
        return value * self.gamma ** (t // self.step_size)


@dataclass(frozen=True, kw_only=True)
class MultiStepLR(_Ranged):
    """The value times ``gamma`` once at each milestone, counted from ``begin``; a repeated milestone acts twice.

    Example:
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

    def apply(self, t: int, value: Value) -> Value:
        return value * self.gamma ** bisect.bisect_right(self.milestones, t)

    def in_iterations(self, epoch_length: int) -> "_Ranged":
        return replace(super().in_iterations(epoch_length), milestones=tuple(m * epoch_length for m in self.milestones))


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingLR(_Ranged):
    """Half a cosine from the value to ``eta_min`` over ``T_max`` steps (Loshchilov and Hutter, SGDR, equation 5).

    Args:
        T_max: steps of the half wave; None is the whole range.
        eta_min: the value at its end; ``eta_min_ratio`` gives it as a part of the value.
    """

    least: ClassVar[tuple[tuple[str, int], ...]] = (("T_max", 1),)
    T_max: int | None = None
    eta_min: float | None = None
    eta_min_ratio: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eta_min is not None and self.eta_min_ratio is not None:
            raise FkitValueError("CosineAnnealingLR: give eta_min or eta_min_ratio, not both.")

    def apply(self, t: int, value: Value) -> Value:
        steps = self.T_max if self.T_max is not None else self.end - self.begin
        low = value * self.eta_min_ratio if self.eta_min_ratio is not None else self.eta_min or 0.0
        return low + (value - low) * (1 + math.cos(math.pi * t / steps)) / 2

    def in_iterations(self, epoch_length: int) -> "_Ranged":
        longer = super().in_iterations(epoch_length)
        return longer if self.T_max is None else replace(longer, T_max=self.T_max * epoch_length)


def chain(
    policies: tuple[Schedule, ...], states: tuple[Any, ...], at: Time, base: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """All policies in order: their states, and every hyperparameter in force at ``at``.

    Args:
        base: the hyperparameters without any policy; a momentum policy acts on ``momentum``, or on Adam's ``beta1``.

    Example:
        >>> warm = LinearLR(start_factor=0.5, end=2, by_epoch=False)
        >>> chain((warm,), ((),), Time(0, 0), {"lr": np.array([0.1])})[1]["lr"].tolist()
        [0.05]
    """
    values = dict(base)
    after: list[Any] = []
    for policy, state in zip(policies, states, strict=True):
        name = policy.param if policy.param in values else target(policy.param, values)
        state, values[name] = policy.step(state, at, values[name])
        after.append(state)
    return tuple(after), values


def target(param: str, values: Mapping[str, Any]) -> str:
    """The hyperparameter that a policy for ``param`` acts on.

    Raises:
        FkitValueError: the optimizer has none.

    Example:
        >>> target("momentum", {"lr": 0.1, "beta1": 0.9})
        'beta1'
    """
    if param in values:
        return param
    if param == "momentum" and "beta1" in values:
        return "beta1"
    raise FkitValueError(
        f"a schedule acts on {param!r}, which the optimizer does not have.",
        value=param,
        choices=tuple(values),
        label="Hyperparameters",
    )
