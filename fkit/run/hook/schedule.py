"""The hook that puts schedules in force: mmengine's ParamSchedulerHook."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook, Offer
from fkit.run.state import Memory, Position, RunState
from fkit.training.schedule import Schedule, Time, ahead, chain, no_momentum, still, target
from fkit.training.state import Hyperparams
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["ParamSchedulerHook"]

_AHEAD = 64  # iterations computed at once


@dataclass(frozen=True, eq=False)
class ParamSchedulerHook(Hook):
    """Before each iteration at which a policy's value may change, put in force what the policies give.

    Policies of the time alone are computed for a stretch of iterations, and not asked while they stay the same.

    Args:
        policies: in order; each acts on what the ones before it give. The plan fills them from ``param_scheduler``.
        base: the hyperparameters without any policy.

    Raises:
        FkitValueError: a policy acts on what the optimizer does not have, or on a momentum that is 0.
    """

    priority: ClassVar[str | int] = "LOW"
    holds: ClassVar[bool] = True
    policies: tuple[Schedule, ...] = ()
    base: Hyperparams = EMPTY
    names: tuple[str, ...] = field(init=False, default=())
    closed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        names = tuple(dict.fromkeys(target(policy.param, self.base) for policy in self.policies))
        for name in names:
            if name in still(self.base):
                raise no_momentum("a schedule acts on", name)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "closed", all(getattr(policy, "closed", False) for policy in self.policies))

    def bind(self, offer: Offer) -> Hook:
        """With the config's policies, where it has none of its own."""
        return self if self.policies else ParamSchedulerHook(offer.schedules(), offer.hyperparams())

    def memory(self) -> Memory:
        """The policies' states; exact."""
        return Memory(tuple(policy.init() for policy in self.policies))

    def answers(self, event: str) -> bool:
        return super().answers(event) and bool(self.policies)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next iteration at which a policy's value may change."""
        done = position.iteration
        if not done or not self.closed:
            return done + 1
        at, left = Time(done - 1, position.epoch), length - (position.inner or length)
        least = NEVER
        for policy in self.policies:
            if not hasattr(policy, "change"):
                return done + 1
            place = policy.change(at)  # pyright: ignore
            if place is None:
                continue
            if policy.by_epoch:  # pyright: ignore
                place = done + left + (place - position.epoch - 1) * length if length else NEVER - 1
            least = min(least, place + 1)
        return least

    def before_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Set what the policies give, where it differs from what is in force."""
        at, old = Time(event.iteration, run.position.epoch, run.metrics), run.hyperparams
        if not self.closed:
            states, values = chain(self.policies, memory.exact, at, self.base)
            new = self._put(old, values)
            return memory if states == memory.exact else Memory(states), () if new is old else (SetHyperparams(new),)
        count = min(_AHEAD, max(event.length - event.inner, 1)) if event.length else _AHEAD
        rows = _rows(old, ahead(self.policies, at, count, self.base))
        if rows[0] is old:
            return memory, ()
        while len(rows) > 1 and rows[-1] is rows[-2]:
            rows.pop()
        return memory, (SetHyperparams(rows[0], tuple(rows[1:])),)

    def _put(self, old: Hyperparams, values: Mapping[str, Any]) -> Hyperparams:
        """What is in force with the policies' values: ``old`` itself where nothing changes."""
        new = {name: values[name] for name in self.names if values[name].tolist() != old[name].tolist()}
        return frozen({**old, **new}) if new else old


def _rows(old: Hyperparams, table: Mapping[str, Any]) -> list[Hyperparams]:
    """What is in force at each step of a stretch, where ``old`` was before: the same mapping while nothing changes."""
    rows, now, others = list[Hyperparams](), old, dict(old)
    before = tuple([old[name].tolist() for name in table])
    columns = [(name, list(column)) for name, column in table.items()]
    for i, values in enumerate(zip(*[column.tolist() for column in table.values()], strict=True)):
        if values != before:
            row = others.copy()
            for name, column in columns:
                row[name] = column[i]
            now, before = MappingProxyType(row), values  # frozen too, and a fifth of a frozendict's time
        rows.append(now)
    return rows
