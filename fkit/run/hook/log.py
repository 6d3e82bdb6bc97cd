"""What a run writes of its numbers: LoggerHook; and its beginning and end: RecordHook."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from fkit.run.effect import DrawCurves, Effect, Fail, WriteConfig, WriteScalars, WriteStatus, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.hook.timer import Times
from fkit.run.state import Memory, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["DistSamplerSeedHook", "LoggerHook", "RecordHook", "RuntimeInfoHook"]


class _Window(NamedTuple):
    """The logs of the steps since the last line, newest first, as a chain: adding one shares the rest."""

    step: int
    logs: Mapping[str, Any]
    before: "_Window | None"


@dataclass(frozen=True)
class LoggerHook(Hook):
    """A line of metrics every ``interval`` iterations and at the end of each pass over the data.

    The losses of all steps since the last line are read then, in one wait: the row holds those of the very step, the
    text their mean, and a loss that is not finite fails the run with the step at which it was.

    Args:
        interval: iterations from line to line, counted within the pass.
        ignore_last: leave out the line at the end of the pass.

    Memory (observed): the window of lazy values since the last line.
    """

    priority: ClassVar[str | int] = "BELOW_NORMAL"
    interval: int = 10
    ignore_last: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1:
            raise FkitValueError(f"LoggerHook: interval={self.interval}: at least 1.")

    def memory(self) -> Memory:
        return Memory(observed=None)

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The window of an earlier process is gone."""
        return Memory(observed=None), ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        window = _Window(event.iteration, event.logs, memory.observed)
        last = event.inner == event.length or event.iteration == event.total
        if event.inner % self.interval and (self.ignore_last or not last):
            return Memory((), window), ()
        return Memory((), None), self._line(window, run, event)

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The steps since the last line are checked, so that what is saved is sound; they are written after the resume."""
        if memory.observed is None:
            return memory, ()
        return Memory((), None), tuple(e for e in self._line(memory.observed, run, event) if isinstance(e, Fail))

    def after_val_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """mmcv's "val" phase: losses are gathered, and written as their mean."""
        if not event.logs:
            return memory, ()
        return Memory((), _Window(event.inner, event.logs, memory.observed)), ()

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        if event.metrics:
            scalars = dict(event.metrics)
        elif memory.observed is not None:
            _, rows = _read(memory.observed, event)
            scalars = {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
        else:
            return memory, ()
        text = f"{_where(event)} val  " + "  ".join(f"{name} {value:.4f}" for name, value in scalars.items())
        return Memory((), None), (WriteScalars(event.iteration, event.epoch, "val", scalars), WriteText(text))

    def _line(self, window: _Window, run: RunState, event: Event) -> tuple[Effect, ...]:
        steps, rows = _read(window, event)
        newest = rows[-1]
        lr = float(run.hyperparams["lr"][0]) if "lr" in run.hyperparams else math.nan
        row = WriteScalars(steps[-1], event.epoch, "train", {**newest, "lr": lr})
        if not math.isfinite(sum([sum(values.values()) for values in rows])):
            for step, values in zip(steps, rows, strict=True):
                for name, value in values.items():
                    if not math.isfinite(value):
                        what = f"{name} = {value} at iteration {step} is not finite; lr was {lr:.4g}."
                        return (row, WriteText(what, "ERROR"), Fail(what))
        means = {name: math.fsum([values[name] for values in rows]) / len(rows) for name in newest}
        parts = [f"{name} {value:.4f}" for name, value in means.items()]
        text = f"{_where(event)} train  " + "  ".join([f"lr {lr:.3e}", *_times(run, event), *parts])
        return (row, WriteText(text))


def _read(window: _Window, event: Event) -> tuple[list[int], list[dict[str, float]]]:
    """The steps of a window, oldest first, and their values."""
    chain: list[_Window] = []
    link: _Window | None = window
    while link is not None:
        chain.append(link)
        link = link.before
    chain.reverse()
    floats = iter(event.read([value for link in chain for value in link.logs.values()]))
    return [link.step for link in chain], [{name: next(floats) for name in link.logs} for link in chain]


def _where(event: Event) -> str:
    if event.length and event.mode == "train":
        return f"epoch {event.epoch + (event.inner > 0)} [{event.inner:>{len(str(event.length))}}/{event.length}]"
    return f"step {event.iteration}"


def _times(run: RunState, event: Event) -> list[str]:
    for memory in run.memory.values():
        if isinstance(memory.observed, Times) and memory.observed.step is not None:
            left = memory.observed.step * max(event.total - event.iteration, 0)
            data = f"data {memory.observed.data * 1e3:.1f} ms" if memory.observed.data is not None else ""
            return [f"step {memory.observed.step * 1e3:.1f} ms", data, f"left {_clock(left)}"]
    return []


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
