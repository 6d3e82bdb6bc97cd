"""The statistics of batch norm, computed anew on training data."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import host_fold, key
from fkit.data.source import Source, epoch_of
from fkit.run.attempt import attempt
from fkit.run.held import close, length_of
from fkit.run.plan import Plan
from fkit.run.state import RunState
from fkit.training.state import TrainState
from fkit.tree.frozen import frozen

__all__ = ["renewed"]

_STATISTICS = (".running_mean", ".running_var")

Arrays = dict[str, NDArray[np.float64]]


def renewed(plan: Plan, run: RunState, source: Source, samples: int) -> TrainState:
    """The train state with other statistics of batch norm: for each the mean over whole batches of what it is in a batch, under
    the weights that the state has.

    A step of training moves a statistic s of a batch's b by s' = (1 - m) s + m b. Which momentum m a layer has is seen from
    the step after it, under the same batch: s'' - s' = (1 - m) (s' - s). A layer whose statistics no batch moves keeps them.

    Args:
        source: of training data; those of the run's next epoch are looked at, in order.
        samples: how many at most; at least a batch.
    """
    program, state, room = plan.program, run.train, plan.room
    names = [name for name in state.buffers if name.endswith(_STATISTICS)]
    if not names:
        return state
    drawn, old = key(plan.seed, "statistics", run.iteration), _read(room, state.buffers, names)
    totals, rates, count, seen = {name: np.zeros_like(old[name]) for name in names}, dict[str, float](), 0, 0
    most = length_of(source, "train")
    batches = epoch_of(source, run.position.epoch)
    try:
        for batch in itertools.islice(batches, most):
            size = len(batch)
            if count and seen + size > samples:
                break
            once = _moved(program, state, batch, host_fold(drawn, count), run)
            if not rates:
                again = _moved(program, state.replace(buffers=frozen({**state.buffers, **once})), batch, drawn, run)
                rates = _rates(old, _read(room, once, names), _read(room, again, names))
            new = _read(room, once, names)
            for name in names:
                totals[name] += old[name] if rates[name] <= 0 else old[name] + (new[name] - old[name]) / rates[name]
            count, seen = count + 1, seen + size
    finally:
        close(batches)
    if plan.fleet.several:  # each went through its share
        rows = plan.fleet.gather((totals, count))
        totals = {name: np.sum([one[name] for one, _ in rows], axis=0) for name in names}
        count = sum(number for _, number in rows)
    kept = program.collect(state)
    new = {f"buffers/{name}": (total / count).astype(kept[f"buffers/{name}"].dtype) for name, total in totals.items()}
    return program.restore({**kept, **new})


def _moved(program: Any, state: TrainState, batch: Any, drawn: Any, run: RunState) -> Any:
    """The buffers after a step of training that moves nothing else."""
    return attempt(
        "the model", "statistics after iteration", run.iteration, program.loss, state, batch, drawn, train=True
    )[1]


def _read(room: Any, buffers: Any, names: list[str]) -> Arrays:
    return {name: np.asarray(room.numpy(buffers[name]), np.float64) for name in names}


def _rates(old: Arrays, once: Arrays, again: Arrays) -> dict[str, float]:
    """The momentum of each statistic; 0 where a batch moves none.

    Example:
        >>> _rates({"a": np.zeros(2)}, {"a": np.ones(2)}, {"a": np.full(2, 1.9)})
        {'a': 0.1}
    """
    rates: dict[str, float] = {}
    for name in old:
        first, second = (
            float(np.abs(to - start).sum()) for start, to in ((old[name], once[name]), (once[name], again[name]))
        )
        rates[name] = round(1 - second / first, 12) if first else 0.0
    return rates
