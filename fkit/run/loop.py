"""A run as a fold of events over a plan: pure but for the device."""

import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from fkit.data.source import Source
from fkit.run.course import upcoming
from fkit.run.effect import DeleteCheckpoint, Effect, Fail, SaveCheckpoint, SetHyperparams, Stop, Validate, WriteStatus
from fkit.run.event import Event, Observed, look
from fkit.run.hook.hook import fire
from fkit.run.plan import Plan
from fkit.run.state import Position, RunState
from fkit.run.validation import losses_of, validation
from fkit.structures.batch import Batch
from fkit.training.state import TrainState
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitKeyError, RunError

__all__ = ["train"]

Item = tuple[RunState, tuple[Effect, ...]]


def train(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]] = ()
) -> Generator[Item, None, RunState]:
    """Fold the plan's events over a run.

    Args:
        plan: what to do (`fkit.plan`).
        run: where to start (`fkit.begin` or `fkit.restore`).
        data: {"train": source, "val": source}.
        inbox: what the run observes: one item when a batch has arrived, one when its step was issued. An exhausted inbox
            observes nothing.

    Yields:
        (run, effects) after each iteration, and after each other event that asked for something. The run's train state
        lives until the next item is asked for.

    Raises:
        RunError: a loss was not finite, a hook or the data raised.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    expect(data, Mapping, "`data` is a mapping of sources (fkit.open_data gives one)")
    if "train" not in data:
        raise FkitKeyError("`data` has no source 'train'.", value="train", choices=[str(name) for name in data])
    source = data["train"]
    length = source.length or 0
    if not length and plan.course.by_epoch:
        raise FkitError(
            "an epoch-based run needs data of a known length.",
            repair="Use train_cfg=dict(by_epoch=False, max_iters=...).",
        )
    seen = iter(inbox)
    context = _Context(plan, data, seen, length, plan.course.total(length))
    for name in ("before_run", "after_load_checkpoint", "before_train"):
        if name != "after_load_checkpoint" or run.restored:
            run, effects = context.tell(run, name)
            yield from _shown(run, effects)
    batches: Iterator[Batch] | None = None
    try:
        while True:
            word, after = upcoming(plan.course, run.position, length)
            if word == "iterate":
                if batches is None:
                    batches = _batches(plan, source, run, length)
                run, effects, signal = context.iterate(run, after, batches)
                yield run, effects
                if effects:
                    _stop_if_failed(effects)
                if signal:
                    run, effects = context.interrupt(run, signal)
                    yield from _shown(run, effects)
                    return run
                continue
            if word == "done":
                run = run._replace(status="finished")
                yield run, (WriteStatus("finished"),)
                return run
            if word in ("validate", "val_losses"):
                part = validation if word == "validate" else losses_of
                before = run
                signal = ""
                for run, effects, signal in part(plan, run._replace(position=after), data, seen, context.total):
                    if signal:
                        break
                    yield from _shown(*context.answer(run, effects))
                if signal:  # what was begun of it is forgotten, and begins again on resume
                    run, effects = context.interrupt(before, signal)
                    yield from _shown(run, effects)
                    return run
                continue
            run, effects = context.tell(run._replace(position=after), word)
            yield from _shown(run, effects)
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


def _shown(run: RunState, effects: tuple[Effect, ...]) -> Iterator[Item]:
    if effects:
        yield run, effects
        _stop_if_failed(effects)


def _stop_if_failed(effects: tuple[Effect, ...]) -> None:
    if effects and isinstance(effects[-1], Fail):
        raise RunError(effects[-1].what)


def _batches(plan: Plan, source: Source, run: RunState, length: int) -> Iterator[Batch]:
    """The batches from the run's position on, without end: loader workers live on from epoch to epoch."""
    at = run.position
    if plan.course.by_epoch:
        return source.stream(at.epoch, at.inner)
    return source.stream(at.iteration // length, at.iteration % length) if length else source.stream(0, at.iteration)


class _Context:
    """What stays the same through one fold, so that a step looks nothing up."""

    __slots__ = ("after_iter", "before_iter", "fetch", "handlers", "length", "plan", "seen", "step", "total")

    def __init__(
        self, plan: Plan, data: Mapping[str, Source], seen: Iterator[tuple[Observed, ...]], length: int, total: int
    ) -> None:
        self.plan = plan
        self.seen = seen
        self.length = length
        self.total = total
        self.handlers = plan.handlers
        self.before_iter = plan.handlers["before_train_iter"]
        self.after_iter = plan.handlers["after_train_iter"]
        self.step = plan.program.train_step
        self.fetch = plan.room.fetch

    def tell(self, run: RunState, name: str, **more: Any) -> Item:
        """Fire an event that is no iteration, and answer what concerns the loop."""
        at = run.position
        epoch = at.epoch if self.plan.course.by_epoch or not self.length else at.iteration // self.length
        event = Event(
            name,
            "train",
            at.iteration,
            epoch,
            at.inner,
            self.length,
            self.total,
            metrics=run.metrics,
            read=self.fetch,
            **more,
        )
        memory, effects = fire(self.handlers[name], run.memory, run, event)
        return self.answer(run._replace(memory=memory), effects)

    def interrupt(self, run: RunState, signal: str) -> Item:
        """What is done before a process that got a signal ends."""
        return self.tell(run._replace(status="interrupted", signal=signal), "on_interrupt", reason=signal)

    def iterate(
        self, run: RunState, after: Position, batches: Iterator[Batch]
    ) -> tuple[RunState, tuple[Effect, ...], str]:
        """One training iteration: a batch, ``before_train_iter``, the step, ``after_train_iter``.

        Returns:
            the run, what it asks of the edge, and the name of a signal that was observed ("" for none).
        """
        batch = self._batch(run, batches)
        arrived, signal = look(self.seen)
        inner = after.inner or self.length
        epoch = after.epoch if self.plan.course.by_epoch or not self.length else (after.iteration - 1) // self.length
        effects: tuple[Effect, ...] = ()
        if self.before_iter:
            run, effects = self._before(run, epoch, inner, batch)
            if effects and isinstance(effects[-1], Fail):
                return run, effects, signal
            if run.position.stop or run.position.validate:
                after = after._replace(stop=run.position.stop, validate=run.position.validate)
        state, logs = self._step(run, batch, after.iteration)
        issued, later = look(self.seen)
        _, _, hyperparams, memory, metrics, status, restored, _ = run
        run = RunState(after, state, hyperparams, memory, metrics, status, restored)
        event = Event(
            "after_train_iter", "train", after.iteration, epoch, inner, self.length, self.total, batch, logs, metrics,
            issued, arrived, "", self.fetch,
        )  # fmt: skip
        memory, answers = fire(self.after_iter, memory, run, event)
        run = RunState(after, state, hyperparams, memory, metrics, status, restored)
        if answers:
            run, answers = self.answer(run, answers)
        return run, effects + answers, signal or later

    def _batch(self, run: RunState, batches: Iterator[Batch]) -> Batch:
        try:
            return next(batches)
        except StopIteration:
            at = run.position
            raise RunError(
                f"the training data ended after {at.inner} of {self.length} batches of epoch {at.epoch}."
            ) from None

    def _before(self, run: RunState, epoch: int, inner: int, batch: Batch) -> Item:
        """The run after ``before_train_iter``: mostly, with the hyperparameters of a schedule in force."""
        at = run.position.iteration
        event = Event("before_train_iter", "train", at, epoch, inner - 1, self.length, self.total, batch)
        position, state, hyperparams, memory, metrics, status, restored, _ = run
        memory, effects = fire(self.before_iter, memory, run, event)
        if len(effects) == 1 and type(effects[0]) is SetHyperparams:  # a schedule's, at nearly every step
            hyperparams, effects = effects[0].values, ()
        run = RunState(position, state, hyperparams, memory, metrics, status, restored)
        return self.answer(run, effects)

    def _step(self, run: RunState, batch: Batch, iteration: int) -> tuple[TrainState, Mapping[str, Any]]:
        try:
            return self.step(run.train, batch, run.hyperparams)
        except FkitError:
            raise
        except Exception as cause:
            raise RunError(f"iteration {iteration}: the model raised {_line_of(cause)}") from cause

    def answer(self, run: RunState, effects: tuple[Effect, ...]) -> Item:
        """Answer what concerns the loop; the rest is for the edge. A Fail comes last, and nothing is saved beside it."""
        if not effects:
            return run, effects
        remaining: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Validate):
                run = run._replace(position=run.position._replace(validate=True))
            elif isinstance(effect, Stop):
                run = run._replace(position=run.position._replace(stop=True))
            elif isinstance(effect, SetHyperparams):
                run = run._replace(hyperparams=effect.values)
            else:
                remaining.append(effect)
        failed = [effect for effect in remaining if isinstance(effect, Fail)]
        if failed:
            remaining = [
                *(e for e in remaining if not isinstance(e, SaveCheckpoint | DeleteCheckpoint | Fail)),
                failed[0],
            ]
        return run, tuple(remaining)


def _line_of(cause: Exception) -> str:
    """An error of a model in a line: what, and the innermost place of it."""
    where = traceback.extract_tb(cause.__traceback__)[-1]
    return f"{type(cause).__name__}: {cause} ({where.filename}:{where.lineno}; --debug shows all of it)"
