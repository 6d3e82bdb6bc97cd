"""The hook that puts schedules in force: mmengine's ParamSchedulerHook."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook, Offer
from fkit.run.state import Memory, RunState
from fkit.training.schedule import Schedule, Time, chain, target
from fkit.training.state import Hyperparams
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["ParamSchedulerHook"]


_AHEAD = 64  # iterations computed at once


class _Ahead(NamedTuple):
    """What will be in force: ``values[0]`` before the iteration ``first`` of ``epoch``, ``values[1]`` at it, and so on."""

    epoch: int
    first: int
    values: tuple[Hyperparams, ...]


@dataclass(frozen=True, eq=False)
class ParamSchedulerHook(Hook):
    """Before each iteration, ask every policy for the values in force.

    Args:
        policies: in order; each acts on what the ones before it give. The plan fills them from ``param_scheduler``.
        base: the hyperparameters without any policy.
    """

    priority: ClassVar[str | int] = "LOW"
    policies: tuple[Schedule, ...] = ()
    base: Hyperparams = EMPTY
    names: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(dict.fromkeys(target(p.param, self.base) for p in self.policies)))

    def bind(self, offer: Offer) -> Hook:
        """With the config's policies, where it has none of its own."""
        return self if self.policies else ParamSchedulerHook(offer.schedules(), offer.hyperparams())

    def memory(self) -> Memory:
        """The policies' states; exact. Observed: what is computed ahead, for policies of the time alone."""
        return Memory(tuple(policy.init() for policy in self.policies), None)

    def answers(self, event: str) -> bool:
        return super().answers(event) and bool(self.policies)

    def before_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Set what the policies give, where it differs from what is in force."""
        old, iteration = run.hyperparams, event.iteration
        if memory.observed is not None:
            epoch, first, values = memory.observed
            i = iteration - first
            # what is in force may be another hook's by now
            if epoch == run.position.epoch and 0 <= i < len(values) - 1 and values[i] is old:
                new = values[i + 1]
                return memory, () if new is old else (SetHyperparams(new),)
        epoch = run.position.epoch
        states, new = self._next(memory.exact, Time(iteration, epoch, run.metrics), old)
        if all(getattr(policy, "closed", False) for policy in self.policies):
            values = [old, new]
            for i in range(iteration + 1, iteration + _AHEAD):
                values.append(self._next(states, Time(i, epoch), values[-1])[1])
            memory = Memory(states, _Ahead(epoch, iteration, tuple(values)))
        elif states != memory.exact:
            memory = Memory(states)
        return memory, () if new is old else (SetHyperparams(new),)

    def _next(self, states: Any, at: Time, old: Hyperparams) -> tuple[Any, Hyperparams]:
        """The policies' states, and what is in force: ``old`` itself where nothing changes."""
        states, values = chain(self.policies, states, at, self.base)
        new = {name: values[name] for name in self.names if values[name].tolist() != old[name].tolist()}
        return states, frozen({**old, **new}) if new else old
