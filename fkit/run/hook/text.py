"""mmcv 1.x's lines of the log: TextLoggerHook."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fkit.run.effect import Effect, WriteScalars, WriteTags, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer
from fkit.run.hook.lines import Lines, due_line
from fkit.run.hook.measure import Reading, rates_of, read_steps
from fkit.run.hook.timer import Times, timed
from fkit.run.state import Memory, Position, RunState
from fkit.training.history import weighted

__all__ = ["Buffered", "TextLoggerHook"]


class Buffered(NamedTuple):
    """What the logger remembers.

    Attributes:
        times: of the steps so far.
        said: names of values that are no loss and were not finite, each said once.
        rows: (name, values, counts) each: of the newest steps of this epoch, as many as a line averages.
        size: samples of a whole batch.
        held: as ``rows``, of all batches of a pass over held-out data.
        held_size: samples of its first batch.
    """

    times: Times = Times()
    said: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    size: int = 1
    held: tuple[tuple[Any, ...], ...] = ()
    held_size: int = 1


@dataclass(frozen=True)
class TextLoggerHook(Lines):
    """mmcv 1.x's lines: ``Epoch [1][50/60]  lr: 1.000e-02, eta: 0:00:10, time: 0.025, data_time: 0.005, loss: 0.3100``.

    A line says the mean of the newest ``interval`` steps of the epoch, each weighed by its samples. The row of metrics.jsonl
    holds the values of the very step, and what is not finite is treated as `LoggerHook` does.

    Args:
        by_epoch: whether lines count epochs.
        reset_flag: mmcv's loggers share one buffer, which the last of them empties; here each has its own.

    The others are those of `Lines`; the ``experiment_name`` is said at the end of each epoch too.

    Memory (observed): `Buffered`.
    """

    priority: ClassVar[str | int] = "VERY_LOW"
    by_epoch: bool = True
    reset_flag: bool = False

    def memory(self) -> Memory:
        return Memory(observed=Buffered())

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next line; and the first and last batch of a pass over held-out data, whose samples are counted."""
        if event == "after_val_iter":
            return 1 if not position.inner else length if position.inner < length else NEVER
        last = not self.ignore_last
        return due_line(position, length, total, self.interval, last, self.style.by_epoch)

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A new process has a new clock."""
        times, *rest = memory.observed
        return Memory(observed=Buffered(Times(None, *times[1:]), *rest)), ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        by_epoch = self.style.by_epoch
        done, end = (event.inner, event.length) if by_epoch else (event.iteration, event.total)
        if done % self.interval and (self.ignore_last or done != end):
            return memory, ()
        told, reading = self._absorbed(memory.observed, event, run)
        row = WriteScalars(event.iteration, event.epoch, "train", {**reading.newest, **rates_of(run)})
        if reading.failed:
            return Memory(observed=told), (row, *reading.effects)
        rates, means = rates_of(run), _averages(told.rows, self.interval)
        words = [_rates(rates)]
        if "time" in means and "data_time" in means:
            words += [f"eta: {timedelta(seconds=int(told.times.left(event.total - event.iteration) or 0))}"]
            words += [f"{name}: {means.pop(name):.3f}" for name in ("time", "data_time")]
        memory_mb = event.memory()
        words += [] if memory_mb is None else [f"memory: {memory_mb}"]
        words += [f"{name}: {value:.4f}" for name, value in means.items() if name not in _TIMES]
        epoch = event.epoch + (event.inner < event.length or not event.length)
        where = (
            f"Epoch [{epoch}][{event.inner}/{event.length}]"
            if self.by_epoch
            else f"Iter [{event.iteration}/{event.total}]"
        )
        effects = self._line(event, "train", where, words, row, rates, means)
        return Memory(observed=told), (*effects, *reading.effects)

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The steps since the last line are checked; averages begin anew."""
        told: Buffered = memory.observed
        effects: tuple[Effect, ...] = ()
        if event.window:
            told, reading = self._absorbed(told, event, run)
            effects = reading.effects
        return Memory(observed=told._replace(rows=())), effects

    def after_val_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Count the samples; what was logged waits for the end."""
        told, count = Buffered(*memory.observed), 1 if event.batch is None else len(event.batch)
        reading = read_steps(event, run, told.said)
        if event.inner == 1:
            told = told._replace(held=(), held_size=count)
        counts = [told.held_size] * (len(reading.steps) - 1) + [count]
        held = tuple((name, *both) for name, both in _kept(told.held, reading, counts, 0))
        return Memory(observed=told._replace(held=held)), ()

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The scores, or of the "val" phase the mean of each loss."""
        told = Buffered(*memory.observed)
        means = dict(event.metrics) or _averages(told.held, 0)
        memory = Memory(observed=told._replace(held=()))
        if not means:
            return memory, ()
        row = WriteScalars(event.iteration, event.epoch, event.mode, means)
        if not event.metrics and not self.style.by_epoch:  # mmcv has no line of an iteration-based run's val steps
            return memory, (row,)
        counted = event.epoch if self.by_epoch else event.iteration
        where = (
            f"Epoch({event.mode}) [{counted}][{event.length}]"
            if self.by_epoch
            else f"Iter({event.mode}) [{event.length}]"
        )
        words = [f"{name}: {value:.4f}" for name, value in means.items()]
        return memory, self._line(event._replace(inner=event.length), event.mode, where, words, row, {}, means)

    after_test_epoch = after_val_epoch

    def _line(
        self,
        event: Event,
        mode: str,
        where: str,
        words: list[str],
        row: WriteScalars,
        rates: Mapping[str, float],
        means: Mapping[str, float],
    ) -> tuple[Effect, ...]:
        text = WriteText(f"{where}\t" + ", ".join(words))
        ended = self.by_epoch and event.inner == event.length
        name: tuple[Effect, ...] = ()
        if self.style.name and (ended or event.iteration % self.interval_exp_name == 0):
            name = (WriteText(f"Exp name: {self.style.name}"),)
        if not self.style.writers:
            return (*name, row, text)
        tags = {f"{mode}/{key}": value for key, value in means.items() if key not in _TIMES}
        tags |= {
            "learning_rate" if key == "lr" else f"learning_rate/{key.removesuffix('.lr')}": rate
            for key, rate in rates.items()
        }
        return (*name, row, WriteTags(event.iteration, mode, tags), text)

    def _absorbed(self, told: Buffered, event: Event, run: RunState) -> tuple[Buffered, Reading]:
        told = Buffered(*told)
        reading = read_steps(event, run, told.said)
        times, took, waited = timed(told.times, reading.steps)
        count = told.size if event.batch is None else len(event.batch)
        size = max(told.size, count)
        counts = [size] * (len(reading.steps) - 1) + [count]
        more = (
            Reading(reading.steps, {"time": took, "data_time": waited, **reading.columns})
            if self.style.timed
            else reading
        )
        rows = tuple((name, *both) for name, both in _kept(told.rows, more, counts, self.interval))
        return told._replace(times=times, said=reading.said, rows=rows, size=size), reading


_TIMES = ("time", "data_time")


def _kept(
    rows: tuple[tuple[Any, ...], ...], reading: Reading, counts: Sequence[int], longest: int
) -> Iterator[tuple[str, tuple[tuple[float, ...], tuple[int, ...]]]]:
    """(name, (values, counts)) of the newest ``longest`` values of each name; 0 keeps all."""
    old = {name: (values, number) for name, values, number in rows}
    for name in dict.fromkeys((*reading.columns, *old)):
        values, number = old.get(name, ((), ()))
        column = reading.columns.get(name, ())
        late = counts[len(counts) - len(column) :] if len(column) <= len(counts) else counts
        yield name, ((*values, *column)[-longest:], (*number, *late)[-longest:])


def _averages(rows: tuple[tuple[Any, ...], ...], size: int) -> dict[str, float]:
    """The weighted mean of the newest values of each name; a size of 0 takes all."""
    return {name: weighted(np.array(values[-size:]), np.array(counts[-size:])) for name, values, counts in rows}


def _rates(rates: Mapping[str, float]) -> str:
    if [*rates] == ["lr"]:
        return f"lr: {rates['lr']:.3e}"
    return " ".join(f"lr_{name.removesuffix('.lr')}: {rate:.3e}" for name, rate in rates.items())
