"""The hook that puts schedules in force: mmengine's ParamSchedulerHook."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState
from fkit.train.schedule import Schedule, Time, chain
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["ParamSchedulerHook"]


@dataclass(frozen=True, eq=False)
class ParamSchedulerHook(Hook):
    """Before each iteration, ask every policy for the values in force.

    Args:
        policies: in order; each acts on what the ones before it give. The plan fills them from ``param_scheduler``.
        base: the hyperparameters without any policy.
    """

    priority: ClassVar[str | int] = "LOW"
    policies: tuple[Schedule, ...] = ()
    base: Mapping[str, NDArray[np.float64]] = EMPTY

    def memory(self) -> Memory:
        """The policies' states; exact."""
        return Memory(exact=tuple(policy.init() for policy in self.policies))

    def before_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Set what the policies give, where it differs from what is in force."""
        if not self.policies:
            return memory, ()
        at = Time(event.iteration, run.position.epoch, run.metrics)
        states, values = chain(self.policies, memory.exact, at, self.base)
        if states != memory.exact:
            memory = Memory(states, memory.observed)
        if _same(values, run.hyperparams):
            return memory, ()
        return memory, (SetHyperparams(frozen(values)),)


def _same(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    return all(value is old[name] or value.tolist() == old[name].tolist() for name, value in new.items())
