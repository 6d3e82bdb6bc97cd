"""mmengine's schedulers that do not commute, step by step as mmengine runs them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.policy import Time, Value
from fkit.training.schedule.ranged import Map, Ranged

__all__ = ["Member", "Recursion"]

Member: TypeAlias = Ranged | ReduceOnPlateauLR
Plateau: TypeAlias = tuple[float, int, int]


class _State(NamedTuple):
    """Where a recursion is: every step so far as one map of each group, ``value * scale + shift``."""

    iteration: int
    epoch: int
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    plateaus: tuple[Plateau, ...]


@dataclass(frozen=True, eq=False)
class Recursion:
    """Schedulers of one hyperparameter, each of whose steps acts on what is in force: mmengine's rule.

    After an iteration those that count iterations step in order, after an epoch those that count epochs, after a
    validation those that look at it. `init` gives plain tuples, so that a checkpoint holds them to the bit.

    Attributes:
        members: in order.
        origin: (G,), what the hyperparameter had before any policy.
        param: its name.
    """

    members: tuple[Member, ...]
    origin: Value
    param: str

    def init(self) -> tuple[object, ...]:
        count = len(self.origin)
        plateaus = tuple(one.init() for one in self.members if isinstance(one, ReduceOnPlateauLR))
        return (-1, -1, (1.0,) * count, (0.0,) * count, plateaus)

    def step(self, state: tuple[object, ...], at: Time, value: Value) -> tuple[tuple[object, ...], Value]:
        """The state and the value at ``at``, where the policies before give ``value``."""
        now = self._advance(_State(*state), at)  # pyright: ignore[reportArgumentType]
        return tuple(now), value * np.array(now.scale) + np.array(now.shift)

    def told(
        self, state: tuple[object, ...], at: Time, metrics: Mapping[str, float], value: Value
    ) -> tuple[tuple[object, ...], Value]:
        """As `step`, after a validation that gave ``metrics``.

        Raises:
            FkitKeyError: a scheduler looks at a metric that is not there.
        """
        now = self._advance(_State(*state), at)  # pyright: ignore[reportArgumentType]
        scale, shift = np.array(now.scale), np.array(now.shift)
        plateaus = list(now.plateaus)
        watchers = [member for member in self.members if isinstance(member, ReduceOnPlateauLR)]
        for place, member in enumerate(watchers):
            before = value * scale + shift
            plateaus[place], after = member.told(plateaus[place], at.epoch, metrics, before)
            lower = before * member.factor
            scaled, clipped = after == lower, (after != lower) & (after != before)
            scale, shift = (
                np.where(scaled, scale * member.factor, scale),
                np.where(scaled, shift * member.factor, shift),
            )
            scale, shift = np.where(clipped, 0.0, scale), np.where(clipped, after, shift)
        new = now._replace(scale=tuple(scale.tolist()), shift=tuple(shift.tolist()), plateaus=tuple(plateaus))
        return tuple(new), value * scale + shift

    def _advance(self, state: _State, at: Time) -> _State:
        scale, shift = np.array(state.scale), np.array(state.shift)
        for map_scale, map_shift in self._maps(state, at):
            scale, shift = scale * map_scale, shift * map_scale + map_shift
        plateaus = tuple((best, bad, cool) for best, bad, cool in state.plateaus)
        return _State(at.iteration, at.epoch, tuple(scale.tolist()), tuple(shift.tolist()), plateaus)

    def _maps(self, state: _State, at: Time) -> Iterator[Map]:
        """What is done to the value from the state on."""
        members = [member for member in self.members if isinstance(member, Ranged)]
        if state.iteration < 0:  # where each is made, in order
            for member in members:
                if member.begin == 0:
                    yield member.map(0, self.origin)
        for by_epoch, done, now in ((False, state.iteration, at.iteration), (True, state.epoch, at.epoch)):
            mine = [member for member in members if member.by_epoch is by_epoch]
            first = min((member.begin + member.moves[0] for member in mine), default=now + 1)
            last = max((member.begin + member.moves[1] for member in mine), default=-1)
            for step in range(max(done, 0, first - 1) + 1, min(now, last) + 1):
                for member in mine:
                    if member.begin <= step < member.end:
                        yield member.map(step - member.begin, self.origin)
