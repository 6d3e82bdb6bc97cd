"""What a run writes of its numbers: LoggerHook; and its beginning and end: RecordHook."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from fkit.run.effect import DrawCurves, Effect, Fail, WriteConfig, WriteScalars, WriteStatus, WriteText
from fkit.run.event import Event, Step
from fkit.run.hook.hook import NEVER, Answer, Hook
from fkit.run.hook.timer import Times, timed
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["DistSamplerSeedHook", "LoggerHook", "RecordHook", "RuntimeInfoHook", "Told"]


class Told(NamedTuple):
    """What the logger remembers.

    Attributes:
        times: of the steps so far.
        said: names of values that are no loss and were not finite, each said once.
    """

    times: Times = Times()
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoggerHook(Hook):
    """A line of metrics every ``interval`` iterations and at the end of each pass over the data.

    The losses of all steps since the last line are read then, in one wait: the row holds those of the very step, the
    text the mean of each over the steps that had it, and a loss that is not finite fails the run with the step at which
    it was. Any other value that is not finite is said once, and written as null.

    Args:
        interval: iterations from line to line, counted within the pass.
        ignore_last: leave out the line at the end of the pass.

    Memory (observed): `Told`.
    """

    priority: ClassVar[str | int] = "BELOW_NORMAL"
    reads: ClassVar[bool] = True
    interval: int = 10
    ignore_last: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1:
            raise FkitValueError(f"LoggerHook: interval={self.interval}: at least 1.")

    def memory(self) -> Memory:
        return Memory(observed=Told())

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next line: a multiple of the interval within the pass, its end, or the end of the run."""
        inner = position.inner % length if length else position.inner
        steps = self.interval - inner % self.interval
        if not length:
            return position.iteration + steps if self.ignore_last else min(position.iteration + steps, max(total, 1))
        left = length - inner
        if not self.ignore_last:
            return position.iteration + min(steps, left, max(total - position.iteration, 1))
        if steps <= left:
            return position.iteration + steps
        return position.iteration + left + self.interval if self.interval <= length else NEVER

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A new process has a new clock."""
        times, said = memory.observed
        return Memory(observed=Told(Times(*times)._replace(last=None), said)), ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        last = event.inner == event.length or event.iteration == event.total
        if event.inner % self.interval and (self.ignore_last or not last):
            return memory, ()
        return self._line(memory, run, event)

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The steps since the last line are checked, so that what is saved is sound."""
        values = _read(event, event.window)
        return memory, tuple(e for e in _strange(event.window, values, _rates(run), ()) if isinstance(e, Fail))

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The scores; of mmcv's "val" phase the mean of each loss."""
        scalars = dict(event.metrics) or _means(event.window, _read(event, event.window))
        if not scalars:
            return memory, ()
        text = f"{_where(event)} val  " + "  ".join([f"{name} {value:.4f}" for name, value in scalars.items()])
        return memory, (WriteScalars(event.iteration, event.epoch, "val", scalars), WriteText(text))

    def _line(self, memory: Memory, run: RunState, event: Event) -> Answer:
        steps = event.window or (Step(event.iteration, event.logs, event.time, event.data_time),)
        values, rates = _read(event, steps), _rates(run)
        times, said = timed(memory.observed[0], steps), memory.observed[1]
        names = steps[-1].logs
        newest = dict(zip(names, values[len(values) - len(names) :], strict=True))
        row = WriteScalars(event.iteration, event.epoch, "train", {**newest, **rates})
        more: tuple[Effect, ...] = ()
        if not math.isfinite(sum(values)):
            more = _strange(steps, values, rates, said)
            if more and isinstance(more[-1], Fail):
                return Memory(observed=Told(times, said)), (row, *more)
            said = tuple(
                dict.fromkeys((*said, *(name for _, name, value in _each(steps, values) if value - value != 0)))
            )
        words = [f"{name} {rate:.3e}" for name, rate in rates.items()]
        words += _words(times, event)
        words += [f"{name} {value:.4f}" for name, value in _means(steps, values).items()]
        return Memory((), Told(times, said)), (row, WriteText(f"{_where(event)} train  " + "  ".join(words)), *more)


def _read(event: Event, steps: tuple[Step, ...]) -> list[float]:
    """All that steps logged, one after the other, in one wait."""
    return event.read([value for step in steps for value in step.logs.values()])


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


def _means(steps: tuple[Step, ...], values: list[float]) -> dict[str, float]:
    """The mean of each value over the steps that had it."""
    if not steps:
        return {}
    names = [*steps[-1].logs]
    if all([[*step.logs] == names for step in steps]):
        return {name: _mean(values[i :: len(names)]) for i, name in enumerate(names)}
    columns: dict[str, list[float]] = {}
    for _, name, value in _each(steps, values):
        columns.setdefault(name, []).append(value)
    return {name: _mean(column) for name, column in columns.items()}


def _mean(values: list[float]) -> float:
    try:
        return math.fsum(values) / len(values)
    except (ValueError, OverflowError):  # inf beside -inf
        return math.nan


def _rates(run: RunState) -> dict[str, float]:
    """What is in force of learning rates: of the first group, by optimizer where there are several."""
    return {name: float(values[0]) for name, values in run.hyperparams.items() if name == "lr" or name.endswith(".lr")}


def _where(event: Event) -> str:
    if event.length and event.mode == "train":
        number = (event.iteration - event.inner) // event.length + 1
        return f"epoch {number} [{event.inner:>{len(str(event.length))}}/{event.length}]"
    return f"step {event.iteration}"


def _words(times: Times, event: Event) -> list[str]:
    if times.step is None or times.data is None:
        return []
    left = times.step * max(event.total - event.iteration, 0)
    return [f"step {times.step * 1e3:.1f} ms", f"data {times.data * 1e3:.1f} ms", f"left {_clock(left)}"]


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


@dataclass(frozen=True)
class RecordHook(Hook):
    """A run's beginning and end on record: its config, its status, its curves, and how to go on."""

    priority: ClassVar[str | int] = "LOWEST"

    def before_run(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (WriteConfig(), WriteStatus("running"))

    def after_run(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (DrawCurves(),)

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        text = f"{event.reason}: stopped after iteration {event.iteration}; go on with --resume."
        return memory, (DrawCurves(), WriteStatus("interrupted"), WriteText(text, "WARNING"))


@dataclass(frozen=True)
class RuntimeInfoHook(Hook):
    """OpenMMLab's name for what a run here is anyway: iteration, epoch, lr and losses are fields of the run and of its
    events. Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "VERY_HIGH"


@dataclass(frozen=True)
class DistSamplerSeedHook(Hook):
    """OpenMMLab's name for what a source does anyway: the order of epoch e is a function of (seed, e). Accepted, and has
    no handlers."""

    priority: ClassVar[str | int] = "NORMAL"
