"""A run as a fold of events over a plan: pure but for the device."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fkit.data.source import Source
from fkit.run.attempt import attempt, failure, following
from fkit.run.effect import Effect, WriteStatus
from fkit.run.event import Observed, Step, look
from fkit.run.held import Passing, close, length_of, onward, source_of
from fkit.run.plan import Plan
from fkit.run.state import Position, RunState
from fkit.run.stretch import Pulled, positions, pulled, steps_of
from fkit.run.tell import Fold, Item
from fkit.run.validation import losses_of, validation
from fkit.structures.batch import Batch
from fkit.training.state import Hyperparams
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitValueError, RunError, quoted

__all__ = ["standard", "train"]


def train(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]] = ()
) -> Generator[Item, None, RunState]:
    """Fold the plan's events over a run, by the plan's runner: `standard`, unless ``runner_type`` names one of one's own.

    A runner is a generator function of these four arguments; one of one's own is one registration::

        def every_other(plan, run, data, inbox):
            for run, effects in fkit.run.loop.standard(plan, run, data, inbox):
                yield run, effects if run.iteration % 2 else ()

        registry = fkit.registry().register("runners", every_other, name="EveryOther")
        plan = fkit.plan(cfg.merge({"runner_type": "EveryOther"}), registry)

    Args, yields, raises: as `standard`.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    ours = plan.runner is None or getattr(plan.runner, "func", None) is standard
    return (standard if ours else _own)(plan, run, data, inbox)


def standard(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]] = ()
) -> Generator[Item, None, RunState]:
    """Fold the plan's events over a run, by the kit's own loop.

    Args:
        plan: what to do (`fkit.plan`).
        run: where to start (`fkit.begin` or `fkit.restore`).
        data: {"train": source, "val": source}.
        inbox: what the run observes: one item when a batch has arrived, one when its step was issued, one after each
            batch of validation. An exhausted inbox observes nothing.

    Yields:
        (run, effects) after each iteration, and after each other event that asked for something. What is asked before a
        step comes before it. The run's train state lives until the next item is asked for.

    Raises:
        RunError: a loss was not finite; a hook, the model, a metric or the data raised, or the data ended too early.
    """
    fold = _opened(plan, run, data, inbox)
    run = yield from _start(fold, run)
    batches: Iterator[Batch] | None = None
    held: Iterator[Passing] | None = None
    let_go = close  # a run that is left in the middle ends with the interpreter, whose modules are empty by then
    try:
        while True:
            word, after = fold.next(run.position, fold.length)
            signal = ""
            if word == "iterate":
                if batches is None or fold.switched:
                    let_go(batches)
                    batches = _batches(fold, data, run.position)
                batch = _next(fold, batches, run.position)
                arrived, signal = look(fold.seen)
                hyperparams = next(fold.ahead, run.hyperparams)
                if after.iteration >= fold.before.least:
                    run, effects = _before(fold, run._replace(hyperparams=hyperparams), after, batch)
                    yield from fold.shown(run, effects)
                    hyperparams, at = run.hyperparams, run.position
                    if at.stop or at.validate:
                        after = after._replace(stop=after.stop or at.stop, validate=after.validate or at.validate)
                wanted = positions(fold, after) if fold.stretch > 1 and (fold.agree or not signal) else ()
                if len(wanted) > 1:
                    pull = partial(_next, fold, batches)
                    stretch = pulled(fold, wanted, batch, hyperparams, arrived, pull)
                    run, effects, later = _several(fold, run, stretch)
                else:
                    run, effects, later = _step(fold, run, after, batch, hyperparams, arrived)
                signal = signal or later
                if fold.agree is not None:
                    signal = fold.agree(signal)
                if effects:
                    yield from fold.shown(run, effects)
                else:
                    yield run, effects
            elif word == "done":
                run = run._replace(status="finished")
                yield run, (WriteStatus("finished"),)
                return run
            elif word == "validate":
                run, signal = yield from validation(fold, run, after, data)
            elif word == "val_losses":
                if held is None and not fold.course.by_epoch:
                    held = onward(source_of(data, "val"), run.position)
                run, signal = yield from losses_of(fold, run, after, data, held)
            else:
                run = run._replace(position=after)
                run, effects = fold.tell(run, fold.event(word, run, metrics=run.metrics))
                yield from fold.shown(run, effects)
            if signal:
                run, effects = fold.interrupt(run, signal)
                yield from fold.shown(run, effects)
                return run
    finally:
        for opened in (batches, held):
            let_go(opened)


def _own(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]]
) -> Generator[Item, None, RunState]:
    """What a runner of the user's own yields, looked at.

    Raises:
        RunError: it raised, or yields something else.
    """
    assert plan.runner is not None
    items: Any = iter(attempt("the runner", "iteration", run.iteration, plan.runner, plan, run, data, inbox))
    while True:
        item = attempt("the runner", "iteration", run.iteration, following, items)
        if item is None:
            return run
        if type(item) is not tuple or len(item) != 2 or not isinstance(item[0], RunState):
            raise RunError(
                f"iteration {run.iteration}: the runner yields {quoted(item)}: (run, effects) is needed.",
                repair="yield run, () asks for nothing.",
            )
        run = item[0]
        yield run, tuple(item[1])


def _opened(plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]]) -> Fold:
    """What the arguments of `train` make, checked."""
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    expect(inbox, Iterable, "`inbox` is an iterator of tuples of Observed")
    source = source_of(data, "train")
    for part, _ in plan.course.workflow:  # now, and not after an epoch
        source_of(data, part)
    length = length_of(source, "train") or 0
    if not length and plan.course.by_epoch:
        raise FkitError(
            "an epoch-based run needs data of a known length.",
            repair="Use train_cfg=dict(by_epoch=False, max_iters=...).",
        )
    fold = Fold(plan, inbox, length)
    fold.sources = data
    return fold


def _start(fold: Fold, run: RunState) -> Generator[Item, None, RunState]:
    """What is told at each start of a process."""
    for name in ("before_run", "after_load_checkpoint", "before_train"):
        if name != "after_load_checkpoint" or run.restored:
            run, effects = fold.tell(run, fold.event(name, run, metrics=run.metrics))
            yield from fold.shown(run, effects)
    for turn in (fold.before, fold.after):
        turn.begin(run.position, fold.length, fold.total)
    return run


def _batches(fold: Fold, data: Mapping[str, Source], at: Position) -> Iterator[Batch]:
    """The batches from the run's position on, without end: loader workers live on from epoch to epoch.

    Raises:
        FkitError: a hook switched to data that are not there, or have another number of batches.
    """
    fold.switched, name = False, fold.data
    source = source_of(data, name)
    length = length_of(source, name) or 0
    if length != fold.length:
        raise FkitValueError(
            f"data[{name!r}] has {length or 'endless'} batches a pass, and data['train'] {fold.length or 'endless'}: a run that "
            "switches counts the same.",
            repair="Let the other dataset have as many samples, or set num_batch_per_epoch.",
        )
    if fold.course.by_epoch:
        start = (at.epoch, at.inner)
    else:
        start = divmod(at.iteration, fold.length) if fold.length else (0, at.iteration)
    stream = attempt("the training data", "iteration", at.iteration + 1, source.stream, *start)
    if fold.plan.program.inventory.epoch:
        stream = _numbered(stream, *start, fold.length)
    return fold.plan.room.feed(stream, fold.plan.program)


def _numbered(stream: Iterator[Batch], epoch: int, inner: int, length: int) -> Iterator[Batch]:
    """Batches that say which epoch they are of, for a model that asks; an endless pass is one epoch."""
    try:
        for batch in stream:
            number = epoch + (inner // length if length else 0)
            said = np.full((len(batch),), number, np.int64)
            yield replace(batch, targets={**batch.targets, "epoch": said})
            inner += 1
    finally:
        close(stream)


def _next(fold: Fold, batches: Iterator[Batch], at: Position) -> Batch:
    """The next batch of a stream that has no end.

    Raises:
        RunError: it has one, or it raised.
    """
    try:
        return next(batches)
    except StopIteration:
        pass
    except FkitError as error:
        raise fold.said(error, f"iteration {at.iteration + 1}") from error.__cause__
    except Exception as cause:
        raise failure("the training data", "iteration", at.iteration + 1, cause) from cause
    if not fold.length:
        raise RunError(f"the training data ended after {at.iteration} batches, and its length says that it is endless.")
    raise RunError(
        f"the training data ended after {at.inner} of {fold.length} batches of epoch {fold.epoch(at)}.",
        repair="A source gives as many batches an epoch as its length says.",
    )


def _before(fold: Fold, run: RunState, after: Position, batch: Batch) -> Item:
    """The run after ``before_train_iter``: mostly, with the hyperparameters of a schedule in force."""
    event = fold.event("before_train_iter", run, inner=(after.inner or fold.length) - 1, batch=batch)
    return fold.tell(run, event, after)


def _step(
    fold: Fold, run: RunState, after: Position, batch: Batch, hyperparams: Hyperparams, arrived: float | None
) -> tuple[RunState, tuple[Effect, ...], str]:
    """The step, and ``after_train_iter``.

    Returns:
        the run, what it asks of the edge, and the name of a signal that was observed ("" for none).
    """
    try:
        state, logs = fold.step(run.train, batch, hyperparams)
    except FkitError as error:
        raise fold.said(error, f"iteration {after.iteration}") from error.__cause__
    except Exception as cause:
        raise fold.said(failure("the model", "iteration", after.iteration, cause)) from cause
    issued, signal = look(fold.seen)
    fold.add(Step(after.iteration, logs, issued, arrived, fold.paused))
    fold.paused, fold.issued = False, issued
    run = RunState(after, state, hyperparams, *run[3:7])
    if after.iteration < fold.after.least:
        return run, (), signal
    return *_after(fold, run, batch, logs, issued, arrived), signal


def _several(fold: Fold, run: RunState, stretch: Pulled) -> tuple[RunState, tuple[Effect, ...], str]:
    """The steps of a stretch in one call, and ``after_train_iter`` of the last; as `_step`."""
    assert fold.several is not None
    try:
        state, logs = fold.several(run.train, stretch.batches, stretch.rows, fold.stretch)
    except Exception:
        if run.train.consumed:
            raise
        return _one_by_one(fold, run, stretch)  # which says of which step it is
    issued, signal = look(fold.seen)
    for step in steps_of(stretch, logs, issued, fold.paused):
        fold.add(step)
    fold.paused, fold.issued = False, issued
    after = stretch.positions[-1]
    run = RunState(after, state, stretch.rows[-1], *run[3:7])
    if after.iteration < fold.after.least:
        return run, (), stretch.signal or signal
    return *_after(fold, run, stretch.batches[-1], logs[-1], issued, stretch.arrived), stretch.signal or signal


def _one_by_one(fold: Fold, run: RunState, stretch: Pulled) -> tuple[RunState, tuple[Effect, ...], str]:
    """The steps of a stretch, each by itself."""
    effects: tuple[Effect, ...] = ()
    signal = stretch.signal
    for after, batch, row in zip(stretch.positions, stretch.batches, stretch.rows, strict=True):
        run, effects, later = _step(fold, run, after, batch, row, stretch.arrived)
        signal = signal or later
    return run, effects, signal


def _after(
    fold: Fold, run: RunState, batch: Batch, logs: Mapping[str, Any], issued: float | None, arrived: float | None
) -> Item:
    """The run after ``after_train_iter``."""
    after = run.position
    event = fold.event(
        "after_train_iter", run, inner=after.inner or fold.length, batch=batch, logs=logs, metrics=run.metrics,
        time=issued, data_time=arrived,
    )  # fmt: skip
    return fold.tell(run, event, after)
