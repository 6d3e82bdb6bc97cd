"""The two ways through held-out data: predictions that an evaluator scores, and mmcv's "val" phase of losses."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from fkit.array.random import host_fold, key
from fkit.data.identity import metainfo_of
from fkit.data.source import Source
from fkit.run.attempt import attempt
from fkit.run.effect import DrawMatrix, WriteStatus
from fkit.run.event import Observed, Step, look
from fkit.run.held import Passing, close, length_of, one_pass, source_of
from fkit.run.plan import Plan
from fkit.run.scoring import Scoring
from fkit.run.state import Position, RunState
from fkit.run.tally import Tally
from fkit.run.tell import Fold, Item
from fkit.structures.batch import Batch
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitValueError
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["held_out", "losses_of", "test", "validate", "validation"]

Pass = Generator[Item, None, tuple[RunState, str]]
Act = Callable[[RunState, int, Batch, Batch], tuple[Mapping[str, Any], Any]]
"""``(run, number, batch, batch as the device has it) -> (logs, outputs)``."""


def validate(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]] = ()
) -> Generator[Item, None, RunState]:
    """Fold the plan's events over one validation, with no training around it: ``before_run``, ``before_val`` to
    ``after_val``, ``after_run``.

    A run that only looks at held-out data saves nothing: what hooks ask of checkpoints is not done.

    Args:
        plan: ``fkit.plan(cfg, part="val")``, or one of a training run.
        run: what is validated (`fkit.begin` or `fkit.restore`); its ``metrics`` become the result.
        data: {"val": source}.
        inbox: what the run observes, as for `fkit.train`: an item after each batch.

    Yields:
        (run, effects) after each event that asked for something, and at the end.

    Raises:
        RunError: the model, a hook, a metric or the data raised, or the data are shorter or longer than they say.
        FkitValueError: the source is endless, or the plan has no evaluator.
    """
    return held_out(plan, run, data, inbox, "val")


def test(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]] = ()
) -> Generator[Item, None, RunState]:
    """Fold the plan's events over one test: ``before_run``, ``before_test`` to ``after_test``, ``after_run``.

    Args:
        plan: ``fkit.plan(cfg, part="test")``.
        data: {"test": source}.
        run, inbox: as for `validate`; what is yielded and raised too.
    """
    return held_out(plan, run, data, inbox, "test")


def held_out(
    plan: Plan, run: RunState, data: Mapping[str, Source], inbox: Iterable[tuple[Observed, ...]], mode: str
) -> Generator[Item, None, RunState]:
    """`validate` or `test`, as ``mode`` says."""
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    expect(inbox, Iterable, "`inbox` is an iterator of tuples of Observed")
    source_of(data, mode)
    fold = Fold(plan, inbox, 0, saves=False)
    for name in ("before_run", "after_load_checkpoint"):
        if name == "before_run" or run.restored:
            run, effects = fold.tell(run, fold.event(name, run, mode, metrics=run.metrics))
            yield from fold.shown(run, effects)
    run, signal = yield from validation(fold, run, run.position, data, mode)
    if signal:
        run, effects = fold.interrupt(run, signal)
        yield run, effects
        return run
    run, effects = fold.tell(run, fold.event("after_run", run, mode, metrics=run.metrics))
    yield from fold.shown(run, effects)
    run = run._replace(status="finished")
    yield run, (WriteStatus("finished"),)
    return run


def validation(fold: Fold, run: RunState, after: Position, data: Mapping[str, Source], mode: str = "val") -> Pass:
    """Predict every batch of ``data[mode]`` and score it; the run's ``metrics`` become the result.

    Args:
        after: where the run is when it is done. What is saved before then begins the validation again.
        mode: "val", or "test".

    Yields:
        (run, effects) after each event that asked for something.

    Returns:
        the run, and the name of a signal that ended it: the run is as it was before then.
    """
    evaluator, what = fold.plan.evaluator, "validation" if mode == "val" else "a test"
    if evaluator is None:
        raise FkitValueError(f"{what} needs an evaluator.", repair=f"Set {mode}_evaluator=dict(type='Accuracy'), say.")
    begun, source = run, source_of(data, mode)
    evaluator = evaluator.informed(metainfo_of(source))
    place = f"validation after iteration {run.iteration}, batch" if fold.saves else "batch"
    scoring, program = fold.plan.scoring, fold.plan.program
    programs = {"": program, **{name: program._replace(predict=predict) for name, predict in program.beside.items()}}
    tallies = {suffix: Tally(evaluator, fold.plan.room, place, fold.plan.fleet) for suffix in programs}
    others = [(one, tallies[suffix]) for suffix, one in programs.items() if suffix]
    predict, add = scoring.predict, tallies[""].add

    def act(run: RunState, number: int, batch: Batch, sent: Batch) -> tuple[Mapping[str, Any], Any]:
        outputs = attempt("the model", place, number, predict, program, run.train, sent)
        add(number, batch, outputs)
        for one, tally in others:
            tally.add(number, batch, attempt("the model", place, number, predict, one, run.train, sent))
        return EMPTY, outputs

    def feed(batches: Iterator[Batch]) -> Iterator[Batch]:
        # a `predict` of the user's own is given host arrays
        return fold.plan.room.feed(batches, program, False) if type(scoring).predict is Scoring.predict else batches

    run = run._replace(position=after)
    length = _all_of(source, f"data[{mode!r}] (of {mode}_dataloader)", what)
    for name in (f"before_{mode}", f"before_{mode}_epoch"):
        run = yield from _say(fold, run, name, length, begun)
    run, signal = yield from _through(fold, run, one_pass(source, place, 0, feed), length, begun, act, mode)
    if signal:
        return begun, signal
    try:
        scores = {name + suffix: score for suffix, tally in tallies.items() for name, score in tally.metrics().items()}
        run = run._replace(metrics=frozen(scores))
        counted = [
            DrawMatrix(name + suffix, matrix, classes, run.iteration)
            for suffix, tally in tallies.items()
            for name, matrix, classes in tally.matrices()
        ]
    except FkitError as error:
        raise fold.said(error, part=mode) from error.__cause__
    yield from fold.shown(run, tuple(counted))
    for name in (f"after_{mode}_epoch", f"after_{mode}"):
        run = yield from _say(fold, run, name, length)
    return run, ""


def losses_of(
    fold: Fold,
    run: RunState,
    after: Position,
    data: Mapping[str, Source],
    held: Iterator[Passing] | None,
) -> Pass:
    """mmcv's "val" phase: losses on held-out data, no update: all of it, or of an iteration-based run's stream ``held``
    the next batch.

    Yields, returns: as `validation`.
    """
    begun, source = run, source_of(data, "val")
    place = f"losses after iteration {run.iteration}, validation batch"
    length = length_of(source, "val") or 0
    drawn, loss = key(fold.plan.seed, "val", run.iteration), fold.plan.program.loss

    def act(run: RunState, number: int, batch: Batch, sent: Batch) -> tuple[Mapping[str, Any], Any]:
        return attempt("the model", place, number, loss, run.train, sent, host_fold(drawn, number))[0], None

    def feed(batches: Iterator[Batch]) -> Iterator[Batch]:
        return fold.plan.room.feed(batches, fold.plan.program)

    run = run._replace(position=after)
    run = yield from _say(fold, run, "before_val_epoch", length, begun)
    batches = one_pass(source, place, 0, feed) if held is None else iter([next(held)])
    run, signal = yield from _through(fold, run, batches, length, begun, act)
    if signal:
        return begun, signal
    run = yield from _say(fold, run, "after_val_epoch", length, losses=True)
    return run, ""


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
    batches: Iterator[Passing],
    length: int,
    begun: RunState,
    act: Act,
    mode: str = "val",
) -> Pass:
    """Each batch of a pass, which is closed at its end: ``before_val_iter``, ``act``, ``after_val_iter``."""
    before, after = (fold.turns[f"{word}_{mode}_iter"] for word in ("before", "after"))
    window = fold.windows[mode]
    first, mine = True, ""
    together = length if fold.agree is None else fold.agree.least(length)  # as far as all processes have batches
    try:
        for number, batch, sent in batches:
            if first:
                first = False
                window.clear()
                for turn in (before, after):
                    turn.begin(run.position._replace(inner=number - 1), length, fold.total)
            if number >= before.least:
                event = fold.event(before.name, run, mode, inner=number - 1, length=length, batch=batch)
                run, effects = fold.tell(run, event, run.position._replace(inner=number))
                yield from fold.shown(_middle(run, begun), effects)
            try:
                logs, outputs = act(run, number, batch, sent)
            except FkitError as error:
                raise fold.said(error, part=mode) from error.__cause__
            issued, signal = look(fold.seen)
            window.add(Step(number, logs, issued))
            if number >= after.least:
                event = fold.event(
                    after.name, run, mode, inner=number, length=length, batch=batch, logs=logs, outputs=outputs
                )
                run, effects = fold.tell(run, event, run.position._replace(inner=number))
                yield from fold.shown(_middle(run, begun), effects)
            if fold.agree is not None:
                mine = mine or signal
                signal = fold.agree(mine) if number <= together else ""
            if signal:
                return run, signal
    finally:
        close(batches)
        fold.paused = True
    return run, ""


def _say(
    fold: Fold, run: RunState, name: str, length: int, begun: RunState | None = None, losses: bool = False
) -> Generator[Item, None, RunState]:
    """An event of a pass that is none of its batches; one of ``losses`` has no metrics."""
    metrics, mode = run.metrics if begun is None and not losses else {}, "test" if "test" in name else "val"
    run, effects = fold.tell(run, fold.event(name, run, mode, inner=0, length=length, metrics=metrics))
    yield from fold.shown(run if begun is None else _middle(run, begun), effects)
    return run


def _middle(run: RunState, begun: RunState) -> RunState:
    """What is saved in the middle of a pass goes on before it."""
    now, at = run.position, begun.position
    return run._replace(position=at._replace(stop=now.stop, validate=at.validate or now.validate))
