"""The two ways through held-out data: predictions that an evaluator scores, and mmcv's "val" phase of losses."""

from collections.abc import Iterator, Mapping
from typing import Any

from fkit.array.random import host_fold, key
from fkit.data.source import Source
from fkit.run.effect import Effect
from fkit.run.event import Event, Observed, look
from fkit.run.hook.hook import fire
from fkit.run.plan import Plan
from fkit.run.state import RunState
from fkit.structures.batch import Batch
from fkit.training.backend import Backend
from fkit.training.evaluator import Evaluator, sample_ids
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.error import FkitValueError

__all__ = ["evaluate", "host", "losses_of", "observe", "validation"]

Item = tuple[RunState, tuple[Effect, ...], str]


def validation(
    plan: Plan, run: RunState, data: Mapping[str, Source], seen: Iterator[tuple[Observed, ...]], total: int
) -> Iterator[Item]:
    """Predict every batch of ``data["val"]`` and score it; the run's ``metrics`` become the result.

    Yields:
        (run, effects, signal); a signal ends it.
    """
    source = _source(data)
    evaluator = plan.evaluator
    if evaluator is None:
        raise FkitValueError("validation needs an evaluator.", repair="Set val_evaluator=dict(type='Accuracy'), say.")
    for name in ("before_val", "before_val_epoch"):
        run, effects = _tell(plan, run, name, source, total)
        yield run, effects, ""
    scores, count = evaluator.empty(), 0
    for inner, batch in enumerate(source.batches(0, 0), 1):
        run, effects = _tell(plan, run, "before_val_iter", source, total, inner=inner - 1, batch=batch)
        outputs = plan.program.predict(run.train, batch)
        scores, count = observe(evaluator, plan.room, scores, batch, outputs, count)
        run, more = _tell(plan, run, "after_val_iter", source, total, inner=inner, batch=batch)
        signal = look(seen)[1]
        if effects or more or signal:
            yield run, effects + more, signal
    metrics = evaluator.compute(scores)
    run = run._replace(metrics=metrics)
    for name in ("after_val_epoch", "after_val"):
        run, effects = _tell(plan, run, name, source, total, metrics=metrics)
        yield run, effects, ""


def evaluate(program: Program, evaluator: Evaluator, room: Backend, state: TrainState, source: Source) -> Iterator[Any]:
    """Score a state on a source, with no run around it.

    Yields:
        after each batch, how many are done; at last the metrics, {name: float}.
    """
    scores, count = evaluator.empty(), 0
    for done, batch in enumerate(source.batches(0, 0), 1):
        scores, count = observe(evaluator, room, scores, batch, program.predict(state, batch), count)
        yield done
    yield evaluator.compute(scores)


def observe(
    evaluator: Evaluator, room: Backend, scores: Any, batch: Batch, outputs: Any, count: int
) -> tuple[Any, int]:
    """A batch's predictions, brought to the host, added to the evaluator's state; and the samples seen so far."""
    ids = sample_ids(batch, count)
    return evaluator.observe(scores, host(room, outputs), batch.targets, ids, batch.valid), count + len(batch)


def losses_of(
    plan: Plan, run: RunState, data: Mapping[str, Source], seen: Iterator[tuple[Observed, ...]], total: int
) -> Iterator[Item]:
    """mmcv's "val" phase: losses on held-out data, no update: all of it, or in an iteration-based run the next batch.

    Yields:
        (run, effects, signal); a signal ends it.
    """
    source = _source(data)
    at = run.position
    length = source.length or 0
    drawn = key(plan.seed, "val", at.iteration)
    run, effects = _tell(plan, run, "before_val_epoch", source, total)
    yield run, effects, ""
    if plan.course.by_epoch:
        batches = source.batches(0, 0)
        first = 0
    else:
        first = (at.val_done - 1) % length if length else at.val_done - 1
        batches = iter([next(iter(source.batches(0, first)))])
    for inner, batch in enumerate(batches, first + 1):
        run, effects = _tell(plan, run, "before_val_iter", source, total, inner=inner - 1, batch=batch)
        logs, _ = plan.program.loss(run.train, batch, host_fold(drawn, inner))
        run, more = _tell(plan, run, "after_val_iter", source, total, inner=inner, batch=batch, logs=logs)
        yield run, effects + more, look(seen)[1]
    run, effects = _tell(plan, run, "after_val_epoch", source, total)
    yield run, effects, ""


def _tell(
    plan: Plan, run: RunState, name: str, source: Source, total: int, **more: Any
) -> tuple[RunState, tuple[Effect, ...]]:
    answering = plan.handlers[name]
    if not answering:
        return run, ()
    at = run.position
    event = Event(
        name, "val", at.iteration, at.epoch, length=source.length or 0, total=total, read=plan.room.fetch, **more
    )
    memory, effects = fire(answering, run.memory, run, event)
    return run if memory is run.memory else run._replace(memory=memory), effects


def _source(data: Mapping[str, Source]) -> Source:
    if "val" not in data:
        raise FkitValueError(
            "validation needs data['val'].",
            value="val",
            choices=tuple(data),
            label="Data",
            repair="Set val_dataloader.",
        )
    return data["val"]


def host(room: Backend, outputs: Any) -> Any:
    """Predictions with host arrays in place of the device's; mappings and sequences keep their shape."""
    if isinstance(outputs, Mapping):
        return {name: host(room, value) for name, value in outputs.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(outputs, tuple | list):
        return tuple(host(room, value) for value in outputs)  # pyright: ignore[reportUnknownVariableType]
    return room.numpy(outputs)
