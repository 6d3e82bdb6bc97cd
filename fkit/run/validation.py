"""The two ways through held-out data: predictions that an evaluator scores, and mmcv's "val" phase of losses."""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from fkit.array.random import host_fold, key
from fkit.data.source import Source
from fkit.run.attempt import attempt
from fkit.run.event import Step, look
from fkit.run.held import close, length_of, one_pass, source_of
from fkit.run.state import Position, RunState
from fkit.run.tally import Tally
from fkit.run.tell import Fold, Item
from fkit.structures.batch import Batch
from fkit.training.backend import Backend
from fkit.training.evaluator import Evaluator
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.error import FkitError, FkitValueError

__all__ = ["evaluate", "losses_of", "validation"]

Pass = Generator[Item, None, tuple[RunState, str]]


def validation(fold: Fold, run: RunState, after: Position, data: Mapping[str, Source]) -> Pass:
    """Predict every batch of ``data["val"]`` and score it; the run's ``metrics`` become the result.

    Args:
        after: where the run is when it is done. What is saved before then begins the validation again.

    Yields:
        (run, effects) after each event that asked for something.

    Returns:
        the run, and the name of a signal that ended it: the run is as it was before then.
    """
    evaluator = fold.plan.evaluator
    if evaluator is None:
        raise FkitValueError("validation needs an evaluator.", repair="Set val_evaluator=dict(type='Accuracy'), say.")
    begun, source = run, source_of(data, "val")
    place = f"validation after iteration {run.iteration}, batch"
    tally, predict = Tally(evaluator, fold.plan.room, place), fold.plan.program.predict

    def act(run: RunState, number: int, batch: Batch) -> Mapping[str, Any]:
        tally.add(number, batch, attempt("the model", place, number, predict, run.train, batch))
        return {}

    run = run._replace(position=after)
    length = _all_of(source, "data['val']", "validation")
    for name in ("before_val", "before_val_epoch"):
        run = yield from _say(fold, run, name, length, begun)
    batches = one_pass(source, place)
    run, signal = yield from _through(fold, run, batches, length, begun, act)
    if signal:
        return begun, signal
    try:
        run = run._replace(metrics=tally.metrics())
    except FkitError as error:
        raise fold.said(error, part="val") from error.__cause__
    for name in ("after_val_epoch", "after_val"):
        run = yield from _say(fold, run, name, length)
    return run, ""


def losses_of(
    fold: Fold,
    run: RunState,
    after: Position,
    data: Mapping[str, Source],
    held: Iterator[tuple[int, Batch]] | None,
) -> Pass:
    """mmcv's "val" phase: losses on held-out data, no update: all of it, or of an iteration-based run's stream ``held``
    the next batch.

    Yields, returns: as `validation`.
    """
    begun, source = run, source_of(data, "val")
    place = f"losses after iteration {run.iteration}, validation batch"
    length = length_of(source, "val") or 0
    drawn, loss = key(fold.plan.seed, "val", run.iteration), fold.plan.program.loss

    def act(run: RunState, number: int, batch: Batch) -> Mapping[str, Any]:
        return attempt("the model", place, number, loss, run.train, batch, host_fold(drawn, number))[0]

    run = run._replace(position=after)
    run = yield from _say(fold, run, "before_val_epoch", length, begun)
    batches = one_pass(source, place) if held is None else iter([next(held)])
    run, signal = yield from _through(fold, run, batches, length, begun, act)
    if signal:
        return begun, signal
    run = yield from _say(fold, run, "after_val_epoch", length)
    return run, ""


def evaluate(
    program: Program, evaluator: Evaluator, room: Backend, state: TrainState, source: Source, name: str = "the source"
) -> Iterator[Any]:
    """Score a state on a source, with no run around it.

    Args:
        name: of the source, for messages.

    Yields:
        after each batch, how many are done; at last the metrics, {name: float}.

    Raises:
        RunError: the model, a metric or the data raised, or the data is shorter or longer than it says.
        FkitValueError: the source is endless.
    """
    _all_of(source, name, "a test")
    tally = Tally(evaluator, room, "batch")
    for number, batch in one_pass(source, "batch"):
        tally.add(number, batch, attempt("the model", "batch", number, program.predict, state, batch))
        yield number
    yield tally.metrics()


def _all_of(source: Source, name: str, what: str) -> int:
    """How many batches a source has, all of which are gone through."""
    length = length_of(source, "val")
    if length is None:
        raise FkitValueError(
            f"{name} is endless (its length is None), and {what} goes through all of it.",
            repair="Give it a length: num_batch_per_epoch in its dataloader.",
        )
    return length


def _through(
    fold: Fold,
    run: RunState,
    batches: Iterator[tuple[int, Batch]],
    length: int,
    begun: RunState,
    act: Callable[[RunState, int, Batch], Mapping[str, Any]],
) -> Pass:
    """Each batch of a pass, which is closed at its end: ``before_val_iter``, ``act``, ``after_val_iter``."""
    before, after, window = fold.turns["before_val_iter"], fold.turns["after_val_iter"], fold.windows["val"]
    first = True
    try:
        for number, batch in batches:
            if first:
                first = False
                window.clear()
                for turn in (before, after):
                    turn.begin(run.position._replace(inner=number - 1), length, fold.total)
            if number >= before.least:
                event = fold.event("before_val_iter", run, "val", inner=number - 1, length=length, batch=batch)
                run, effects = fold.tell(run, event, run.position._replace(inner=number))
                yield from fold.shown(_middle(run, begun), effects)
            try:
                logs = act(run, number, batch)
            except FkitError as error:
                raise fold.said(error, part="val") from error.__cause__
            issued, signal = look(fold.seen)
            if logs:
                window.add(Step(number, logs, issued))
            if number >= after.least:
                event = fold.event("after_val_iter", run, "val", inner=number, length=length, batch=batch, logs=logs)
                run, effects = fold.tell(run, event, run.position._replace(inner=number))
                yield from fold.shown(_middle(run, begun), effects)
            if signal:
                return run, signal
    finally:
        close(batches)
        fold.paused = True
    return run, ""


def _say(
    fold: Fold, run: RunState, name: str, length: int, begun: RunState | None = None
) -> Generator[Item, None, RunState]:
    """An event of a pass that is none of its batches."""
    metrics = run.metrics if begun is None else {}
    run, effects = fold.tell(run, fold.event(name, run, "val", inner=0, length=length, metrics=metrics))
    yield from fold.shown(run if begun is None else _middle(run, begun), effects)
    return run


def _middle(run: RunState, begun: RunState) -> RunState:
    """What is saved in the middle of a pass goes on before it."""
    now, at = run.position, begun.position
    return run._replace(position=at._replace(stop=now.stop, validate=at.validate or now.validate))
