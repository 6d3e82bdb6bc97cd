"""Where a run starts: at the beginning, or at what a checkpoint holds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fkit.run.hook.hook import first_memory
from fkit.run.memory import read_memory, write_memory
from fkit.run.plan import Plan
from fkit.run.state import Memory, Position, RunState
from fkit.training.state import Arrays, TrainState
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Saved", "begin", "exact", "opened", "restore", "save"]


class Saved(NamedTuple):
    """What a checkpoint holds of a run.

    Attributes:
        arrays: the train state, by path, in torch's names and layout.
        record: the rest, as JSON can hold it: "position", "hyperparams", "metrics", "exact" and "observed" memory.
    """

    arrays: Arrays
    record: Mapping[str, Any]


def begin(plan: Plan, seed: int | None = None) -> RunState:
    """The run before its first event.

    Args:
        seed: of the weights and of dropout; by default the plan's, which also orders the data.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    state = plan.program.init(plan.seed if seed is None else seed)
    memory = frozen({name: first_memory(name, hook) for name, hook in plan.hooks})
    return RunState(Position(), state, frozen(plan.program.hyperparams()), memory)


def save(plan: Plan, run: RunState) -> Saved:
    """A run as data: arrays, and a record that JSON can hold.

    Raises:
        FkitTypeError: a hook's exact memory holds what a checkpoint cannot keep.
    """
    record = {
        "position": run.position._asdict(),
        "hyperparams": {name: value.tolist() for name, value in run.hyperparams.items()},
        "metrics": dict(run.metrics),
        "exact": {name: write_memory(m.exact, f"the exact memory of hook {name!r}") for name, m in run.memory.items()},
        "observed": {name: row for name, memory in run.memory.items() for row in _observed(memory.observed)},
    }
    return Saved(plan.program.collect(run.train), record)


def exact(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a record decides later states: all but observed memory."""
    return {name: value for name, value in record.items() if name != "observed"}


def restore(plan: Plan, saved: Saved) -> RunState:
    """The run that `save` wrote, on the plan's backend.

    Raises:
        FkitValueError: the record is of another layout.
        FkitError: the arrays are another model's.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(saved, Saved, "`saved` is what a checkpoint holds (fkit.edge.checkpoint.read_checkpoint(folder).saved)")
    record = saved.record
    try:
        position = Position(**record["position"])
        hyperparams = {name: np.array(value, np.float64) for name, value in record["hyperparams"].items()}
        known, observed = record["exact"], record["observed"]
        memory: dict[str, Memory] = {}
        for name, hook in plan.hooks:
            fresh = first_memory(name, hook)
            memory[name] = Memory(
                read_memory(known[name]) if name in known else fresh.exact,
                read_memory(observed[name]) if name in observed else fresh.observed,
            )
        metrics = frozen(record["metrics"])
    except (KeyError, TypeError) as cause:
        raise FkitValueError(f"the checkpoint's record is of another layout: {cause!r}.") from cause
    state = plan.program.restore(saved.arrays)
    return RunState(position, state, frozen(hyperparams), frozen(memory), metrics, "running", True)


def opened(plan: Plan, state: TrainState) -> RunState:
    """The run before its first event, of a state with the weights of a checkpoint: what is validated or tested."""
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    memory = frozen({name: first_memory(name, hook) for name, hook in plan.hooks})
    return RunState(Position(), state, frozen(plan.program.hyperparams()), memory, restored=True)


def _observed(memory: Any) -> tuple[Any, ...]:
    """Observed memory as JSON holds it, in a tuple of one; () where it does not."""
    try:
        return (write_memory(_untyped(memory), "observed memory"),)
    except FkitTypeError:
        return ()


def _untyped(value: Any) -> Any:
    """Named tuples as tuples: whoever observed them makes them anew."""
    return tuple(_untyped(item) for item in value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType]
