"""Times: seconds that a step and a batch take, from the times that a run observes."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fkit.run.event import Step
from fkit.run.hook.hook import Hook

__all__ = ["IterTimerHook", "Times", "timed"]


class Times(NamedTuple):
    """What steps took. A step that comes after something else, validation or a checkpoint, counts in none of it.

    Attributes:
        last: the clock when the newest step was issued; None before the first of a process.
        total: seconds of all steps so far, across resumes.
        steps: how many these were.
    """

    last: float | None = None
    total: float = 0.0
    steps: int = 0

    def left(self, steps: int) -> float | None:
        """Seconds that so many steps take more; None where none was timed."""
        return self.total / self.steps * max(steps, 0) if self.steps else None


def timed(times: Times, steps: tuple[Step, ...]) -> tuple[Times, list[float], list[float]]:
    """The times after more steps; and of each that nothing came before, its seconds, and those it waited for its batch.

    Example:
        >>> steps = (Step(1, {}, 2.0, 1.5), Step(2, {}, 4.0, 2.5), Step(3, {}, 90.0, 89.0, True))
        >>> timed(Times(), steps)
        (Times(last=90.0, total=2.0, steps=1), [2.0], [0.5])
    """
    last, total, count = times
    took: list[float] = []
    waited: list[float] = []
    for _, _, issued, arrived, paused in steps:
        if issued is not None and last is not None and not paused:
            took.append(issued - last)
            if arrived is not None:
                waited.append(arrived - last)
        last = issued if issued is not None else last
    return Times(last, total + sum(took), count + len(took)), took, waited


@dataclass(frozen=True)
class IterTimerHook(Hook):
    """Lines of the log say what a step takes (``time``), how long it waits for its batch (``data_time``), and how long the
    run will (``eta``): the loop notes the times, and whoever writes a line reads them. A run without this hook
    (``timer=None``) says none of the three."""

    priority: ClassVar[str | int] = "NORMAL"
