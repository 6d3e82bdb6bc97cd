"""What steps logged, read in one wait: checked, kept for windows, averaged. What hooks that write a log share."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fkit.run.effect import Effect, Fail, WriteText
from fkit.run.event import Event, Step
from fkit.run.state import RunState
from fkit.tree.check import expect
from fkit.tree.frozen import EMPTY

__all__ = ["Reading", "rates_of", "read_steps"]


class Reading(NamedTuple):
    """What steps logged.

    Attributes:
        steps: in order.
        columns: {name: the values of the steps that had it}.
        newest: of the last step.
        effects: what there is to say of values that are not finite; a Fail last where a loss is not.
        said: the names that were said so far.
    """

    steps: tuple[Step, ...] = ()
    columns: Mapping[str, list[float]] = EMPTY
    newest: Mapping[str, float] = EMPTY
    effects: tuple[Effect, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a loss is not finite."""
        return bool(self.effects) and isinstance(self.effects[-1], Fail)


def read_steps(event: Event, run: RunState, said: Iterable[str] = ()) -> Reading:
    """Read what the steps of an event's window logged, in one wait.

    Args:
        said: names of values that are no loss and were not finite, each of which is said once.
    """
    expect(event, Event, "`event` is an event")
    expect(run, RunState, "`run` is a run's state")
    steps = event.window or ((Step(event.iteration, event.logs, event.time, event.data_time),) if event.logs else ())
    values = event.read([value for step in steps for value in step.logs.values()])
    columns: dict[str, list[float]] = {}
    names = [*steps[-1].logs] if steps else []
    if all([[*step.logs] == names for step in steps]):
        columns = {name: values[i :: len(names)] for i, name in enumerate(names)}
    else:
        for _, name, value in _each(steps, values):
            columns.setdefault(name, []).append(value)
    newest = dict(zip(names, values[len(values) - len(names) :], strict=True))
    known = tuple(said)
    if math.isfinite(sum(values)):
        return Reading(steps, columns, newest, (), known)
    effects = _strange(steps, values, rates_of(run), known)
    strange = (name for _, name, value in _each(steps, values) if not math.isfinite(value))
    return Reading(steps, columns, newest, effects, tuple(dict.fromkeys((*known, *strange))))


def rates_of(run: RunState) -> dict[str, float]:
    """What is in force of learning rates: of the first group, by optimizer where there are several."""
    return {name: float(values[0]) for name, values in run.hyperparams.items() if name == "lr" or name.endswith(".lr")}


def _each(steps: tuple[Step, ...], values: list[float]) -> Iterator[tuple[int, str, float]]:
    """(iteration, name, value) of all that steps logged."""
    names = ((step.iteration, name) for step in steps for name in step.logs)
    return ((iteration, name, value) for (iteration, name), value in zip(names, values, strict=True))


def _strange(
    steps: tuple[Step, ...], values: list[float], rates: Mapping[str, float], said: tuple[str, ...]
) -> tuple[Effect, ...]:
    """What there is to say of values that are not finite: a loss fails the run, any other is said once."""
    asked: dict[str, WriteText] = {}
    for step, name, value in _each(steps, values):
        if math.isfinite(value):
            continue
        if "loss" in name:
            words = ", ".join(f"{key} was {rate:.4g}" for key, rate in rates.items())
            what = f"{name} = {value} at iteration {step} is not finite; {words}."
            return (WriteText(what, "ERROR"), Fail(what))
        if name not in said:
            text = (
                f"{name} = {value} at iteration {step} is not finite; it is no loss: null is written, the run goes on."
            )
            asked.setdefault(name, WriteText(text, "WARNING"))
    return tuple(asked.values())
