"""Times: seconds that a step and a batch take."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState

__all__ = ["IterTimerHook", "Times"]

_SMOOTH = 0.1  # weight of the newest step in the running mean of its seconds


class Times(NamedTuple):
    """What the timer has observed.

    Attributes:
        last: the clock when the newest step was issued; None before the first.
        step: seconds from step to step, a running mean.
        data: seconds that a step waited for its batch, a running mean.
        total: seconds of all steps so far, across resumes.
    """

    last: float | None = None
    step: float | None = None
    data: float | None = None
    total: float = 0.0


@dataclass(frozen=True)
class IterTimerHook(Hook):
    """Remember how long iterations take, from the times that the run observes (observed memory)."""

    priority: ClassVar[str | int] = "NORMAL"

    def memory(self) -> Memory:
        return Memory(observed=Times())

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A new process has a new clock."""
        return Memory(observed=Times(*memory.observed)._replace(last=None)), ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        now = event.time
        if now is None:
            return memory, ()
        last, step, data, total = memory.observed
        if last is None:
            return Memory((), Times(now, step, data, total)), ()
        seconds = now - last
        waited = event.data_time - last if event.data_time is not None else 0.0
        if step is None:
            return Memory((), Times(now, seconds, waited, total + seconds)), ()
        return Memory(
            (),
            Times(now, step + _SMOOTH * (seconds - step), data + _SMOOTH * (waited - data), total + seconds),
        ), ()
