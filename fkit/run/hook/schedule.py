"""The hook that puts schedules in force: mmengine's ParamSchedulerHook."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook, Offer
from fkit.run.state import Memory, Position, RunState
from fkit.training.schedule.chain import Link, ahead, arrange, chain, told, watches
from fkit.training.schedule.policy import UNKNOWN, Extent, Schedule, Time, no_momentum, still
from fkit.training.schedule.recursion import Recursion
from fkit.training.schedule.updater import Updater, WarmupLR
from fkit.training.state import Hyperparams
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["ParamSchedulerHook"]

_AHEAD = 64  # iterations computed at once


@dataclass(frozen=True, eq=False)
class ParamSchedulerHook(Hook):
    """Before each iteration at which a policy's value may change, put in force what the policies give.

    Policies of the time alone are computed for a stretch of iterations, and not asked while they stay the same; mmengine's
    of which one acts on what the other is changing are stepped, and those that look at validation step after it.

    Args:
        policies: in order. The plan fills them from ``param_scheduler``.
        base: the hyperparameters without any policy.
        extent: of the run, as far as it is known.

    Attributes:
        links: the policies as they act: see `fkit.training.schedule.chain.arrange`.

    Raises:
        FkitValueError: a policy acts on what the optimizer does not have, or on a momentum that is 0.
    """

    priority: ClassVar[str | int] = "LOW"
    holds: ClassVar[bool] = True
    policies: tuple[Schedule, ...] = ()
    base: Hyperparams = EMPTY
    extent: Extent = UNKNOWN
    links: tuple[Link, ...] = field(init=False, default=())
    names: tuple[str, ...] = field(init=False, default=())
    closed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        links = arrange(self.policies, self.base, self.extent)
        names = tuple(dict.fromkeys(link.name for link in links))
        for name in names:
            if name in still(self.base):
                raise no_momentum("a schedule acts on", name)
        object.__setattr__(self, "links", links)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "closed", all(getattr(link.policy, "closed", False) for link in links))

    def bind(self, offer: Offer) -> Hook:
        """With the config's policies, where it has none of its own."""
        if self.policies:
            return self
        policies, course = offer.schedules(), offer.course
        length = offer.length() if course.by_epoch and any(map(_counts_iterations, policies)) else 0
        return ParamSchedulerHook(policies, offer.hyperparams(), Extent(course.by_epoch, course.limit, length))

    def memory(self) -> Memory:
        """The policies' states; exact."""
        return Memory(tuple(link.policy.init() for link in self.links))

    def answers(self, event: str) -> bool:
        if event == "after_val_epoch":
            return any(watches(link.policy) for link in self.links)
        return super().answers(event) and bool(self.links)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next iteration at which a policy's value may change."""
        done = position.iteration
        if not done:
            return done + 1
        at, left = Time(done - 1, position.epoch), length - (position.inner or length)
        least = NEVER
        for policy in self._single():
            if not hasattr(policy, "change"):
                return done + 1
            place = policy.change(at)
            if place is None:
                continue
            if policy.by_epoch:
                place = done + left + (place - position.epoch - 1) * length if length else NEVER - 1
            least = min(least, place + 1)
        return least

    def _single(self) -> Iterator[Any]:
        """The policies, those of a recursion one by one."""
        for _, policy in self.links:
            yield from policy.members if isinstance(policy, Recursion) else (policy,)

    def before_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Set what the policies give, where it differs from what is in force."""
        at, old = Time(event.iteration, run.position.epoch, run.metrics), run.hyperparams
        if not self.closed:
            states, values = chain(self.links, memory.exact, at, self.base)
            new = self._put(old, values)
            return memory if states == memory.exact else Memory(states), () if new is old else (SetHyperparams(new),)
        count = min(_AHEAD, max(event.length - event.inner, 1)) if event.length else _AHEAD
        rows = _rows(old, ahead(self.links, at, count, self.base))
        if rows[0] is old:
            return memory, ()
        while len(rows) > 1 and rows[-1] is rows[-2]:
            rows.pop()
        return memory, (SetHyperparams(rows[0], tuple(rows[1:])),)

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Let the policies that look at validation step; a pass that only computes losses has no metrics."""
        if not event.metrics:
            return memory, ()
        at, old = Time(event.iteration, run.position.epoch, event.metrics), run.hyperparams
        states, values = told(self.links, memory.exact, at, self.base)
        new = self._put(old, values)
        return Memory(states), () if new is old else (SetHyperparams(new),)

    def _put(self, old: Hyperparams, values: Mapping[str, Any]) -> Hyperparams:
        """What is in force with the policies' values: ``old`` itself where nothing changes."""
        new = {
            name: values[name] for name in self.names if name in values and values[name].tolist() != old[name].tolist()
        }
        return frozen({**old, **new}) if new else old


def _counts_iterations(policy: Any) -> bool:
    """Whether a policy needs to know how many iterations an epoch has."""
    return isinstance(policy, Updater | WarmupLR) or not getattr(policy, "by_epoch", True)


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
