"""Times: seconds that a step and a batch take, from the times that a run observes."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fkit.run.event import Step
from fkit.run.hook.hook import Hook

__all__ = ["IterTimerHook", "Times", "timed"]

_SMOOTH = 0.1  # weight of the newest step in the running mean of its seconds


class Times(NamedTuple):
    """What steps took. A step that comes after something else, validation or a checkpoint, counts in none of it.

    Attributes:
        last: the clock when the newest step was issued; None before the first of a process.
        step: seconds from step to step, a running mean.
        data: seconds that a step waited for its batch, a running mean.
        total: seconds of all steps so far, across resumes.
    """

    last: float | None = None
    step: float | None = None
    data: float | None = None
    total: float = 0.0


def timed(times: Times, steps: tuple[Step, ...]) -> Times:
    """The times after more steps.

    Example:
        >>> steps = (Step(1, {}, 2.0, 1.5), Step(2, {}, 4.0, 2.5), Step(3, {}, 90.0, 89.0, True))
        >>> timed(Times(), steps)
        Times(last=90.0, step=2.0, data=0.5, total=2.0)
    """
    last, step, data, total = times
    for _, _, issued, arrived, paused in steps:
        if issued is not None and last is not None and not paused:
            seconds, waited = issued - last, 0.0 if arrived is None else arrived - last
            step = seconds if step is None else step + _SMOOTH * (seconds - step)
            data = waited if data is None else data + _SMOOTH * (waited - data)
            total += seconds
        last = issued if issued is not None else last
    return Times(last, step, data, total)


@dataclass(frozen=True)
class IterTimerHook(Hook):
    """OpenMMLab's name for what a run does anyway: the times of its steps are in the window that hooks read, and
    LoggerHook writes them. Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "NORMAL"
