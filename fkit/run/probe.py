"""One step of a run, looked at from inside: which batch it took, and what it logged."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

from numpy.typing import NDArray

from fkit.data.source import Source
from fkit.run.plan import Plan
from fkit.run.replay import advance
from fkit.run.start import Saved
from fkit.run.state import RunState
from fkit.structures.batch import Batch
from fkit.structures.content import is_array
from fkit.structures.element import DataElement
from fkit.training.backend import Backend
from fkit.training.fleet import Fleet
from fkit.tree.check import expect
from fkit.tree.error import RunError

__all__ = ["Taken", "batch_arrays", "batch_samples", "taken", "together"]

_NAMES = ("sample_idx", "img_id", "img_path")


class Taken(NamedTuple):
    """A step that was taken.

    Attributes:
        batch: the arrays that it took: ``batch/inputs``, ``batch/targets/gt_label``, ``batch/valid/...``.
        samples: what the batch says of its samples: which they are, where it does.
        logs: what it logged: every loss.
        saved: the run after it.
    """

    batch: Mapping[str, NDArray[Any]]
    samples: tuple[str, ...]
    logs: Mapping[str, float]
    saved: Saved


def taken(plan: Plan, run: RunState, data: Mapping[str, Source]) -> Generator[RunState, None, Taken]:
    """Take the next step of a run, and say what it took.

    Args:
        plan, data: as of `fkit.train`.
        run: where it is (`fkit.begin` or `fkit.restore`).

    Yields:
        the run, at what is told before the step.

    Raises:
        FkitError: as `fkit.train`; and where the run ends without a step.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    return _taken(plan, run, data)


def _taken(plan: Plan, run: RunState, data: Mapping[str, Source]) -> Generator[RunState, None, Taken]:
    seen: list[tuple[dict[str, NDArray[Any]], tuple[str, ...], dict[str, float]]] = []
    step = plan.program.train_step

    def noting(state: Any, batch: Batch, hyperparams: Any) -> Any:
        held = batch_arrays(batch, plan.room), batch_samples(batch)  # before the step, which may write where they lie
        state, logs = step(state, batch, hyperparams)
        seen.append((*held, dict(zip(logs, plan.room.fetch(list(logs.values())), strict=True))))
        return state, logs

    watched = replace(plan, program=plan.program._replace(train_step=noting))
    saved = yield from advance(watched, run, data, run.iteration + 1)
    if not seen:
        raise RunError(f"the run's own runner takes no step of the program after step {run.iteration}.")
    arrays, samples, logs = seen[-1]
    return Taken(arrays, samples, logs, saved)


def together(step: Taken, fleet: Fleet) -> Taken:
    """A step as all processes took it: the batches of the others are named ``batch/1/inputs``, by their ranks; every process
    calls this.

    Args:
        step: as this process took it.
    """
    expect(step, Taken, "`step` is what `taken` gives")
    expect(fleet, Fleet, "`fleet` are the processes of a run")
    rows = fleet.gather((step.batch, step.samples, step.logs))
    first, *others = (row[0] for row in rows)
    batch = {**first}
    for rank, part in enumerate(others, 1):
        batch |= {f"batch/{rank}/{name.partition('/')[2]}": array for name, array in part.items()}
    logs = dict(zip(step.logs, fleet.mean(list(step.logs.values())), strict=True))
    return step._replace(batch=batch, samples=tuple(sample for row in rows for sample in row[1]), logs=logs)


def batch_arrays(batch: Batch, room: Backend) -> dict[str, NDArray[Any]]:
    """All arrays of a batch by name, on the host."""
    expect(batch, Batch, "`batch` is a Batch")
    arrays: dict[str, NDArray[Any]] = {}
    for name in ("inputs", "targets", "valid"):
        _collect(getattr(batch, name), f"batch/{name}", room, arrays)
    return arrays


def _collect(value: Any, name: str, room: Backend, arrays: dict[str, NDArray[Any]]) -> None:
    if is_array(value):
        arrays[name] = room.numpy(value).copy()
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, Any]", value).items():
            _collect(item, f"{name}/{key}", room, arrays)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(cast("tuple[Any, ...]", value)):
            _collect(item, f"{name}/{place}", room, arrays)
    elif isinstance(value, DataElement):
        _collect(dict(value.items()), name, room, arrays)


def batch_samples(batch: Batch) -> tuple[str, ...]:
    """Which samples a batch holds, as its meta says: by place in the data, by id, or by file; () where it does not.

    Example:
        >>> import numpy as np
        >>> batch_samples(Batch(np.zeros((2, 1)), meta=[{"sample_idx": 3}, {"sample_idx": 9}]))
        ('3', '9')
    """
    expect(batch, Batch, "`batch` is a Batch")
    for name in _NAMES:
        if batch.meta and all(name in meta for meta in batch.meta):
            return tuple(str(meta[name]) for meta in batch.meta)
    return ()
