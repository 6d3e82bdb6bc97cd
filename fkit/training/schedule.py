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
    "INF",
    "ConstantLR",
    "CosineAnnealingLR",
    "LinearLR",
    "MultiStepLR",
    "Schedule",
    "StepLR",
    "Time",
    "ahead",
    "chain",
    "no_momentum",
    "still",
    "target",
]

Value = NDArray[np.float64]

INF = 10**9
"""The ``end`` of a policy that has none: mmengine's."""


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
    """One policy for one hyperparameter.

    One of the time alone, with no state, may say so by an attribute ``closed = True``: it is asked ahead of time then,
    and once only where its method ``change(at)`` names the next epoch or iteration at which its value may differ.
    """

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
    end: int = INF
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
        return state, self.rows(at, 1, value[None])[0]

    def rows(self, at: Time, count: int, value: Value) -> Value:
        """The values (count, G) at ``at`` and the iterations after it, of one epoch, where those before give ``value``."""
        t = (at.epoch if self.by_epoch else at.iteration) - self.begin
        last = self.end - self.begin - 1
        if self.by_epoch or t >= last:
            return value if t < 0 else self.act(self.weight(min(t, last)), value)
        before = min(max(-t, 0), count)  # steps that the policy leaves as they are
        weights = np.array([self.weight(min(t + i, last)) for i in range(before, count)])[:, None]
        if not before:
            return self.act(weights, value)
        return np.concatenate((value[:before], self.act(weights, value[before:])))

    def change(self, at: Time) -> int | None:
        """The next epoch or iteration after ``at`` whose value may differ; None where none will."""
        t = (at.epoch if self.by_epoch else at.iteration) - self.begin
        if t < 0:
            return self.begin
        return None if t >= self.end - self.begin - 1 else self.begin + self.turn(t)

    def turn(self, t: int) -> int:
        """The next t after ``t`` at which the weight may differ."""
        return t + 1

    def weight(self, t: int) -> float:
        """What decides the value ``t`` steps after ``begin``."""
        raise FkitTypeError(f"{type(self).__name__} has no formula.")

    def act(self, weight: Any, value: Value) -> Value:
        """The value under a weight, or (count, 1) of them."""
        return value * weight

    def in_iterations(self, epoch_length: int) -> "_Ranged":
        """The same policy counted in iterations (mmengine's ``convert_to_iter_based``).

        Raises:
            FkitValueError: it counts iterations already.
        """
        if not self.by_epoch:
            raise FkitValueError(f"{type(self).__name__}: convert_to_iter_based is for a policy with by_epoch=True.")
        end = self.end if self.end == INF else self.end * epoch_length
        return replace(self, begin=self.begin * epoch_length, end=end, by_epoch=False)


@dataclass(frozen=True, kw_only=True)
class ConstantLR(_Ranged):
    """The value times ``factor`` until the last step of the range, which restores it.

    Example:
        >>> policy = ConstantLR(factor=0.5, end=3)
        >>> [policy.step((), Time(0, epoch), np.array([1.0]))[1].tolist()[0] for epoch in range(4)]
        [0.5, 0.5, 1.0, 1.0]
    """

    factor: float = 1 / 3

    def weight(self, t: int) -> float:
        return self.factor if t < self.end - self.begin - 1 else 1.0

    def turn(self, t: int) -> int:
        return self.end - self.begin - 1


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

    def weight(self, t: int) -> float:
        steps = self.end - self.begin - 1
        part = t / steps if steps > 0 else 0.0
        return self.start_factor + (self.end_factor - self.start_factor) * part


@dataclass(frozen=True, kw_only=True)
class StepLR(_Ranged):
    """The value times ``gamma`` once every ``step_size``."""

    least: ClassVar[tuple[tuple[str, int], ...]] = (("step_size", 1),)
    step_size: int
    gamma: float = 0.1

    def weight(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)

    def turn(self, t: int) -> int:
        return (t // self.step_size + 1) * self.step_size


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

    def weight(self, t: int) -> float:
        return self.gamma ** bisect.bisect_right(self.milestones, t)

    def turn(self, t: int) -> int:
        place = bisect.bisect_right(self.milestones, t)
        return self.milestones[place] if place < len(self.milestones) else self.end - self.begin - 1

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

    def weight(self, t: int) -> float:
        steps = self.T_max if self.T_max is not None else self.end - self.begin
        return 1 + math.cos(math.pi * t / steps)

    def act(self, weight: Any, value: Value) -> Value:
        low = value * self.eta_min_ratio if self.eta_min_ratio is not None else self.eta_min or 0.0
        return low + (value - low) * weight / 2

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


def ahead(policies: tuple[Schedule, ...], at: Time, count: int, base: Mapping[str, Any]) -> dict[str, Value]:
    """What closed policies give at ``at`` and the iterations after it, of one epoch: {name: (count, G)} of the
    hyperparameters that they act on; each row is what `chain` gives, to the bit.

    Example:
        >>> warm = LinearLR(start_factor=0.5, end=3, by_epoch=False)
        >>> ahead((warm,), Time(1, 0), 2, {"lr": np.array([0.1]), "momentum": np.array([0.9])})["lr"].tolist()
        [[0.07500000000000001], [0.1]]
    """
    rows: dict[str, Value] = {}
    for policy in policies:
        name = target(policy.param, base)
        value = rows.get(name)
        if value is None:
            value = np.broadcast_to(np.asarray(base[name], np.float64), (count, len(base[name])))
        if isinstance(policy, _Ranged):
            rows[name] = policy.rows(at, count, value)
        else:
            moments = [at._replace(iteration=at.iteration + i) for i in range(count)]
            rows[name] = np.stack([policy.step(policy.init(), one, value[i])[1] for i, one in enumerate(moments)])
    return rows


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


def still(values: Mapping[str, Any]) -> frozenset[str]:
    """The momenta that are 0 in every group: an optimizer made without momentum keeps no velocity to raise one in.

    Example:
        >>> sorted(still({"lr": np.array([0.0]), "momentum": np.array([0.0, 0.0]), "b.momentum": np.array([0.0, 0.9])}))
        ['momentum']
    """
    return frozenset(
        name for name, value in values.items() if name.rpartition(".")[2] == "momentum" and not np.any(value)
    )


def no_momentum(who: str, name: str) -> FkitValueError:
    """The error for who would raise a momentum that is `still`.

    Example:
        >>> print(no_momentum("a schedule acts on", "momentum").what)
        a schedule acts on 'momentum', which is 0: an optimizer without momentum keeps no velocity to raise it in.
    """
    return FkitValueError(
        f"{who} {name!r}, which is 0: an optimizer without momentum keeps no velocity to raise it in.",
        repair="Give the optimizer the momentum that is to be changed.",
    )
