"""What mmengine's schedulers share: a range of epochs or iterations, a closed form in it, and the recursion it solves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from fkit.training.schedule.policy import INF, Extent, Time, Value
from fkit.tree.check import check_fields
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Map", "Ranged", "low_of", "one_of"]

Map = tuple[Any, Any]
"""One step of a recursion, ``value * scale + shift``: (scale, shift), numbers or (G,)."""


@dataclass(frozen=True, kw_only=True)
class Ranged:
    """A policy in force for ``begin <= t < end``, in epochs or iterations; it keeps its last value afterwards.

    mmengine computes each value from the one before it. Alone, that has a closed form (`shape`); what several of them
    give together, `fkit.training.schedule.chain.arrange` decides.

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
            for number in value if isinstance(value, (list, tuple)) else (value,):  # pyright: ignore[reportUnknownVariableType]
                if isinstance(number, float) and not math.isfinite(number):
                    raise self.wrong(field.name, "is not a finite number.")
        for name, least in self.least:
            value = getattr(self, name)
            if value is not None and any(
                one < least for one in (value if isinstance(value, (list, tuple)) else (value,))
            ):
                raise FkitValueError(f"{type(self).__name__}: {name} = {quoted(value)}: at least {least}.", path=name)

    def wrong(self, name: str, what: str, repair: str = "") -> FkitValueError:
        """The error of a field."""
        return FkitValueError(
            f"{type(self).__name__}: {name} = {quoted(getattr(self, name))} {what}", path=name, repair=repair
        )

    @property
    def last(self) -> int:
        """The last t of the range, counted from ``begin``."""
        return self.end - self.begin - 1

    @property
    def moves(self) -> tuple[int, int]:
        """The first and the last t at which it may change a value."""
        return 0, self.last

    @property
    def scales(self) -> bool:
        """Whether each of its steps multiplies, so that it commutes with others that do."""
        return True

    def bind(self, extent: Extent, value: Value) -> "Ranged":
        """The policy in a run of an extent, for a hyperparameter of ``value`` (G,).

        Raises:
            FkitValueError: it does not fit them.
        """
        return self

    def init(self) -> tuple[()]:
        return ()

    def step(self, state: tuple[()], at: Time, value: Value) -> tuple[tuple[()], Value]:
        return state, self.rows(at, 1, value[None], value)[0]

    def rows(self, at: Time, count: int, value: Value, origin: Value) -> Value:
        """The values (count, G) at ``at`` and the iterations after it, of one epoch, where those before give ``value``.

        Args:
            origin: (G,), what the hyperparameter had before any policy: mmengine's ``initial_lr``.
        """
        t = (at.epoch if self.by_epoch else at.iteration) - self.begin
        last = self.last
        if self.by_epoch or t >= last:
            return value if t < 0 else self.shape((min(t, last),), value, origin)
        before = min(max(-t, 0), count)  # steps that the policy leaves as they are
        steps = tuple([min(t + i, last) for i in range(before, count)])
        if not before:
            return self.shape(steps, value, origin)
        return np.concatenate((value[:before], self.shape(steps, value[before:], origin)) if steps else (value,))

    def change(self, at: Time) -> int | None:
        """The next epoch or iteration after ``at`` whose value may differ; None where none will."""
        t = (at.epoch if self.by_epoch else at.iteration) - self.begin
        if t < 0:
            return self.begin
        return None if t >= self.last else self.begin + self.turn(t)

    def turn(self, t: int) -> int:
        """The next t after ``t`` at which the value may differ."""
        return t + 1

    def weight(self, t: int) -> float:
        """What the value is multiplied by ``t`` steps after ``begin``."""
        raise FkitTypeError(f"{type(self).__name__} has no formula.")

    def shape(self, steps: Sequence[int], value: Value, origin: Value) -> Value:
        """The values at steps t (one, or as many as ``value`` has rows), where those before give ``value`` (N, G)."""
        return value * np.array([self.weight(t) for t in steps])[:, None]

    def map(self, t: int, origin: Value) -> Map:
        """What step ``t`` makes of the value in force."""
        now, before = self.weight(t), self.weight(t - 1) if t else 1.0
        return (now / before if before else 0.0), 0.0

    def in_iterations(self, epoch_length: int) -> "Ranged":
        """The same policy counted in iterations (mmengine's ``convert_to_iter_based``).

        Raises:
            FkitValueError: it counts iterations already.
        """
        if not self.by_epoch:
            raise FkitValueError(f"{type(self).__name__}: convert_to_iter_based is for a policy with by_epoch=True.")
        end = self.end if self.end == INF else self.end * epoch_length
        return replace(self, begin=self.begin * epoch_length, end=end, by_epoch=False)


def low_of(least: float | None, ratio: float | None, origin: Value) -> Any:
    """The lowest value of a policy: ``eta_min``, or ``eta_min_ratio`` of what the hyperparameter began with."""
    return origin * ratio if ratio is not None else least or 0.0


def one_of(policy: Ranged, one: str, other: str, needed: bool = False) -> None:
    """Refuse two fields that say the same, or that one of them is needed and neither is there.

    Raises:
        FkitValueError: they are not as they must be.
    """
    both = [getattr(policy, name) is not None for name in (one, other)]
    if all(both) or (needed and not any(both)):
        raise FkitValueError(f"{type(policy).__name__}: give {one} or {other}, {'not both' if all(both) else 'one'}.")
