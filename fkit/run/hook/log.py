"""What a run writes of its numbers: LoggerHook; and its beginning and end: RecordHook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from fkit.run.effect import (
    DrawCurves,
    Effect,
    WriteConfig,
    WriteScalars,
    WriteStatus,
    WriteTags,
    WriteText,
)
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook
from fkit.run.hook.lines import Lines, due_line
from fkit.run.hook.measure import Reading, rates_of, read_steps
from fkit.run.hook.processor import At, Track
from fkit.run.hook.timer import Times, timed
from fkit.run.state import Memory, Position, RunState
from fkit.training.history import Totals

__all__ = ["DistSamplerSeedHook", "LoggerHook", "RecordHook", "RuntimeInfoHook", "Told"]


class Told(NamedTuple):
    """What the logger remembers, of a few numbers for each name however long a run is.

    Attributes:
        times: of the steps so far.
        said: names of values that are no loss and were not finite, each said once.
        tracks: (name, newest values, totals of the epoch, of the run) each: what lines average.
        held: likewise, of a pass over held-out data.
        val: times of that pass.
    """

    times: Times = Times()
    said: tuple[str, ...] = ()
    tracks: tuple[tuple[Any, ...], ...] = ()
    held: tuple[tuple[Any, ...], ...] = ()
    val: Times = Times()


@dataclass(frozen=True)
class LoggerHook(Lines):
    """A line of the log every ``interval`` iterations, with mmengine's name, arguments and words.

    The losses of all steps since the last line are read then, in one wait: the row of metrics.jsonl holds those of the very
    step, the text what ``log_processor`` makes of them, and a loss that is not finite fails the run with the step at which
    it was. Any other value that is not finite is said once, and written as null.

    Args:
        log_metric_by_epoch: whether writers get the scores of an epoch-based run by epoch, or by iteration.
        backend_args: of the storage of ``out_dir``.

    The others are those of `Lines`; those of held-out data come at every ``interval`` of a pass.

    Memory (observed): `Told`.
    """

    priority: ClassVar[str | int] = "BELOW_NORMAL"
    out_suffix: tuple[str, ...] = (".jsonl", ".json", ".txt", ".log", ".py", "yaml")
    log_metric_by_epoch: bool = True
    backend_args: Mapping[str, Any] | None = None

    def memory(self) -> Memory:
        return Memory(observed=Told())

    def recall(self, scalars: Mapping[str, Sequence[float]], inner: int) -> Memory:
        """The memory of a logger that saw these values, the newest last, of which ``inner`` are of this epoch."""
        processor, rows = self.style.processor, list[tuple[Any, ...]]()
        for name, values in scalars.items():
            track = processor.fresh(name).add(values, processor.longest(name))
            epoch = track.epoch and Totals().add(values[len(values) - min(inner, len(values)) :])
            rows.append((name, *track._replace(epoch=epoch)))
        took = scalars.get("time", ())
        return Memory(observed=Told(Times(None, float(sum(took)), len(took)), tracks=tuple(rows)))

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next line."""
        if event in ("after_val_iter", "after_test_iter"):
            return position.inner + self.interval - position.inner % self.interval
        if event != "after_train_iter":
            return NEVER
        return due_line(position, length, total, self.interval, self._last(length, total), self.style.by_epoch)

    def _last(self, length: int, total: int) -> bool:
        """Whether there is a line at the end of the epoch, or of an iteration-based run."""
        return not self.ignore_last or (length if self.style.by_epoch else total) <= self.interval

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A new process has a new clock."""
        return Memory(observed=_restored(memory.observed)), ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        done = event.inner if self.style.by_epoch else event.iteration
        at_end = done == event.length if self.style.by_epoch else event.iteration == event.total
        if done % self.interval and not (at_end and self._last(event.length, event.total)):
            return memory, ()
        told: Told = memory.observed
        reading, rates = read_steps(event, run, told.said), rates_of(run)
        told = self._absorbed(told, reading, rates)
        row = WriteScalars(event.iteration, event.epoch, "train", {**reading.newest, **rates})
        if reading.failed:
            return Memory(observed=told), (row, *reading.effects)
        epoch = event.epoch + (event.inner < event.length or not event.length)
        at = At(event.inner, event.length, event.iteration, event.total, epoch, self.style.epochs)
        eta = told.times.left(event.total - event.iteration) if self.style.timed else None
        tracks = {f"train/{name}": Track(*rest) for name, *rest in told.tracks}
        tag, text = self.style.processor.after_iter("train", tracks, at, eta, event.memory())
        effects: tuple[Effect, ...] = (row, WriteText(text))
        if self.style.writers:
            effects = (row, WriteTags(event.iteration, "train", tag), WriteText(text))
        name = self._named(reading, event.iteration)
        return Memory(observed=told), (*name, *effects, *reading.effects)

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The steps since the last line are checked, and count in the averages; those of the epoch begin anew."""
        told: Told = memory.observed
        effects: tuple[Effect, ...] = ()
        if event.window:
            reading = read_steps(event, run, told.said)
            told, effects = self._absorbed(told, reading, {}), reading.effects
        rows = ((name, newest, epoch and Totals(), whole) for name, newest, epoch, whole in told.tracks)
        return Memory(observed=told._replace(tracks=tuple(rows))), effects

    def before_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A pass over held-out data has averages and times of its own."""
        told = Told(*memory.observed)
        return Memory(observed=told._replace(held=(), val=Times())), ()

    def after_val_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        if event.inner % self.interval:
            return memory, ()
        told = self._held(Told(*memory.observed), event, run)
        at = self._at(event)
        eta = told.val.left(event.length - event.inner) if self.style.timed else None
        tracks = {f"{event.mode}/{name}": Track(*rest) for name, *rest in told.held}
        return Memory(observed=told), (WriteText(self.style.processor.after_iter(event.mode, tracks, at, eta)[1]),)

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The scores; of mmcv's "val" phase the mean of each loss."""
        told = self._held(Told(*memory.observed), event, run)
        held = {name: Track(*rest) for name, *rest in told.held}
        means = {name: track.statistic("mean", "epoch") for name, track in held.items() if name not in _TIMES}
        scalars = dict(event.metrics) or means
        memory = Memory(observed=told._replace(held=(), val=Times()))
        if not scalars:
            return memory, ()
        mode = event.mode
        row = WriteScalars(event.iteration, event.epoch, mode, scalars)
        tracks = {f"{mode}/{name}": Track((value,)) for name, value in scalars.items()}
        times = {f"{mode}/{name}": held[name] for name in _TIMES if name in held}
        at, after = self._at(event)._replace(inner=event.length), self.style.processor.after_epoch
        text = after(mode, {**dict(islice(tracks.items(), _SAID)), **times}, at)[1]
        if len(tracks) > _SAID:
            text += f"  ({len(tracks) - _SAID} more in metrics.jsonl)"
        if not self.style.writers:
            return memory, (row, WriteText(text))
        step = event.epoch if self.log_metric_by_epoch and self.style.by_epoch else event.iteration
        return memory, (row, WriteTags(step, mode, after(mode, {**tracks, **times}, at)[0]), WriteText(text))

    before_test_epoch = before_val_epoch
    after_test_iter = after_val_iter
    after_test_epoch = after_val_epoch

    def _at(self, event: Event) -> At:
        """Where a run is, of a line of held-out data."""
        return At(event.inner, event.length, event.iteration, event.total, event.epoch, self.style.epochs)

    def _named(self, reading: Reading, iteration: int) -> tuple[WriteText, ...]:
        """The experiment's name, where it was not said for so many iterations."""
        every, before = self.interval_exp_name, iteration - len(reading.steps)
        if not self.style.name or iteration // every == before // every:
            return ()
        return (WriteText(f"Exp name: {self.style.name}"),)

    def _absorbed(self, told: Told, reading: Reading, rates: Mapping[str, float]) -> Told:
        """What is remembered after more steps of training."""
        times, took, waited = timed(told.times, reading.steps)
        columns: dict[str, Sequence[float]] = {name: (rate,) for name, rate in rates.items()}
        if self.style.timed:
            columns = {**columns, "data_time": waited, **reading.columns, "time": took}
        else:
            columns = {**columns, **reading.columns}
        return told._replace(times=times, said=reading.said, tracks=self._added(told.tracks, columns))

    def _held(self, told: Told, event: Event, run: RunState) -> Told:
        """What is remembered after more batches of held-out data; all of a pass count."""
        if not event.window:
            return told
        reading = read_steps(event, run, told.said)
        times, took, waited = timed(told.val, reading.steps)
        columns: dict[str, Sequence[float]] = dict(reading.columns)
        if self.style.timed:
            columns = {**columns, "data_time": waited, "time": took}
        fresh = tuple((name, (), Totals(), None) for name in columns if all(name != row[0] for row in told.held))
        return told._replace(val=times, held=self._added((*told.held, *fresh), columns))

    def _added(self, rows: tuple[tuple[Any, ...], ...], columns: Mapping[str, Sequence[float]]) -> Any:
        tracks, processor = {name: Track(*rest) for name, *rest in rows}, self.style.processor
        for name in (*columns, *(name for name in tracks if name not in columns)):
            track = tracks.pop(name, None) or processor.fresh(name)
            values = columns.get(name, ())
            tracks[name] = track.add(values, processor.longest(name)) if values else track
        return tuple((name, *track) for name, track in tracks.items() if track.newest)


_TIMES = ("data_time", "time")
_SAID = 100  # scores that a line says; a confusion matrix has more


def _restored(observed: Any) -> Told:
    """What a checkpoint gave back of `Told`, on a new clock; of an older layout the names alone."""
    times, said, *rest = observed
    if len(rest) != len(Told._fields) - 2 or len(times) != len(Times._fields):
        return Told(said=tuple(said))
    totals = ((name, newest, *(one and Totals(*one) for one in both)) for name, newest, *both in rest[0])
    return Told(Times(None, *times[1:]), tuple(said), tuple(totals))


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
