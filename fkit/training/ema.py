"""An exponential moving average of the weights, as a wrapper of a program."""

from typing import Any

from frozendict import frozendict

from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.training.program import Program
from fkit.training.state import Arrays, TrainState
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["use_ema", "with_ema"]


def with_ema(program: Program, momentum: float = 0.0002, name: str = "ema") -> Program:
    """A program whose steps keep the moving average of the parameters in the slot ``name``:
    ``average + momentum * (weight - average)`` after each step, as mmengine's ExponentialMovingAverage. Weights that are
    loaded are where it begins.

    Args:
        momentum: the weight of the newest parameters, above 0 and below 1.
        name: of the slot; `use_ema` puts its values in place of the parameters.

    Raises:
        FkitValueError: a momentum out of range, or a slot of that name is there already.
    """
    expect(program, Program, "`program` is a program (fkit.program makes one)")
    expect_number(momentum, "with_ema: momentum")
    if not 0 < momentum < 1:
        raise FkitValueError(f"with_ema: momentum={momentum}: above 0 and below 1.")
    xp = open_room(program.backend).ops

    def begin(state: TrainState) -> TrainState:
        if name in state.slots:
            raise FkitValueError(f"with_ema: the program has a slot {name!r} already.", repair="Give another name.")
        arrays = program.collect(state)
        copies = {f"slots/{name}/{key}": arrays[f"params/{key}"] for key in state.params}
        return program.restore({**arrays, **copies})

    def train_step(state: TrainState, batch: Batch, hyperparams: Any) -> tuple[TrainState, Any]:
        average = state.slots[name]
        names = list(average)
        old = [average[key] for key in names]
        if state.params[names[0]] is old[0]:  # `use_ema` has put them there, and the step may write into its parameters
            old = xp.mixed(old, old, 0.0)
        state, logs = program.train_step(state, batch, hyperparams)
        mixed = xp.mixed(old, [state.params[key] for key in names], momentum)
        slots = frozendict({**state.slots, name: frozendict(zip(names, mixed, strict=True))})
        return state.replace(slots=slots), logs

    def restore(arrays: Arrays) -> TrainState:
        missing = [
            entry.name
            for entry in program.inventory.entries
            if not entry.buffer and f"slots/{name}/{entry.name}" not in arrays
        ]
        if missing:
            raise FkitValueError(
                f"the saved state holds no moving average {name!r} of {missing[0]!r} ({len(missing)} in all).",
                repair="Resume with the hooks that the run had, or take its weights alone with load_from.",
            )
        return program.restore(arrays)

    def load(state: TrainState, arrays: Arrays, strict: bool = True) -> TrainState:
        others = frozendict({key: tree for key, tree in state.slots.items() if key != name})
        return begin(program.load(state.replace(slots=others), arrays, strict))

    return program._replace(
        init=lambda seed: begin(program.init(seed)), train_step=train_step, restore=restore, load=load
    )


def use_ema(state: TrainState, name: str = "ema") -> TrainState:
    """The state with the moving average in place of its parameters, for prediction.

    Raises:
        FkitValueError: there is no such slot.
    """
    expect(state, TrainState, "`state` is a TrainState")
    if name not in state.slots:
        raise FkitValueError(f"the state holds no moving average {name!r}.", value=name, choices=tuple(state.slots))
    return state.replace(params=frozendict({**state.params, **state.slots[name]}))
