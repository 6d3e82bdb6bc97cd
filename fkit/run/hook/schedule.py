"""The hook that puts schedules in force: mmengine's ParamSchedulerHook."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState
from fkit.train.schedule import Schedule, Time, chain, target
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
    names: tuple[str, ...] = field(init=False, default=())
    # with one group a hyperparameter, policies that can do so work on floats: a tenth of the time of numpy's arrays
    floats: Mapping[str, float] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(dict.fromkeys(target(p.param, self.base) for p in self.policies)))
        if all(len(v) == 1 for v in self.base.values()) and all(getattr(p, "scalar", False) for p in self.policies):
            object.__setattr__(self, "floats", frozen({name: float(v[0]) for name, v in self.base.items()}))

    def memory(self) -> Memory:
        """The policies' states; exact."""
        return Memory(exact=tuple(policy.init() for policy in self.policies))

    def answers(self, event: str) -> bool:
        return super().answers(event) and bool(self.policies)

    def before_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Set what the policies give, where it differs from what is in force."""
        at = Time(event.iteration, run.position.epoch, run.metrics)
        old, floats = run.hyperparams, self.floats
        states, values = chain(self.policies, memory.exact, at, self.base if floats is None else floats)
        if states != memory.exact:
            memory = Memory(states, memory.observed)
        if floats is None:
            new = {name: values[name] for name in self.names if values[name].tolist() != old[name].tolist()}
        else:
            new = {name: np.array([values[name]]) for name in self.names if values[name] != old[name].item()}
        return memory, (SetHyperparams(frozen({**old, **new})),) if new else ()
