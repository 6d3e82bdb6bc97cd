"""An average of the weights along the run, as a wrapper of a program."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.training.average import Share, averaged, exponential
from fkit.training.follower import Follower
from fkit.training.program import Program
from fkit.training.state import Arrays, TrainState
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["NAME", "WEIGHTS", "averages", "choose", "use_ema", "with_ema"]

Named = Mapping[str, Any]

NAME = "ema"
"""Of the slot, unless one says another."""

WEIGHTS = ("own", "ema")
"""Which weights of a checkpoint are taken: its own, or their average."""


def with_ema(
    program: Program, momentum: float | Share = 0.0002, name: str = NAME, *, update_buffers: bool = False,
    strict: bool = True, predict: str = "average",
) -> Program:  # fmt: skip
    """A program whose steps keep an average of the parameters in the slot ``name``:
    ``average + share * (weight - average)`` after each step. The first step copies, as mmengine's averages do; weights
    that are loaded are where it begins.

    Args:
        momentum: the share of the newest parameters, above 0 and below 1; or a function that gives it of the iterations
            done before the step (`fkit.training.average`).
        name: of the slot; `use_ema` puts its values in place of the parameters.
        update_buffers: average the buffers too (those that are not whole numbers); else they are the newest.
        strict: refuse a saved state that lacks the average; else it begins with that state's weights.
        predict: what ``program.predict`` predicts with: "average", "own" (the parameters), or "both", where the
            program's ``beside`` has the parameters' predictions under "_origin".

    Raises:
        FkitValueError: a momentum out of range, or a slot of that name is there already.
    """
    expect(program, Program, "`program` is a program (fkit.program makes one)")
    if predict not in ("average", "own", "both"):
        raise FkitValueError(f"with_ema: predict={predict!r}.", value=predict, choices=("average", "own", "both"))
    share = momentum if callable(momentum) else averaged(exponential(momentum))
    kinds = _averaged(program, update_buffers)

    def begin(arrays: Arrays) -> TrainState:
        copies = {f"slots/{name}/{key}": arrays[f"{kind}/{key}"] for key, kind in kinds.items()}
        return program.restore({**arrays, **copies})

    def begun(state: TrainState) -> TrainState:
        if name in state.slots:
            raise FkitValueError(f"with_ema: the program has a slot {name!r} already.", repair="Give another name.")
        return begin(program.collect(state))

    def restore(arrays: Arrays) -> TrainState:
        missing = [key for key in kinds if f"slots/{name}/{key}" not in arrays]
        if not missing:
            return program.restore(arrays)
        if strict and any(path.startswith("opt/") for path in arrays):
            raise FkitValueError(
                f"the saved state holds no moving average {name!r} of {missing[0]!r} ({len(missing)} in all).",
                repair="Resume with the hooks that the run had, or take its weights alone with load_from.",
            )
        return begin(arrays)

    def load(state: TrainState, arrays: Arrays, strict: bool = True) -> TrainState:
        others = frozendict({key: tree for key, tree in state.slots.items() if key != name})
        return begun(program.load(state.replace(slots=others), arrays, strict))

    def predicted(state: TrainState, batch: Batch) -> Any:
        return program.predict(use_ema(state, name), batch)

    return program._replace(
        init=lambda seed, pretrained=True: begun(program.init(seed, pretrained)),
        train_step=_stepping(program, _follower(name, share, kinds)),
        restore=restore,
        load=load,
        predict=program.predict if predict == "own" else predicted,
        weights="own" if predict == "own" else name,
        beside=frozendict({**program.beside, "_origin": program.predict}) if predict == "both" else program.beside,
    )


def use_ema(state: TrainState, name: str = NAME) -> TrainState:
    """The state with the moving average in place of its parameters (and of the buffers that are averaged), for prediction.

    Raises:
        FkitValueError: there is no such slot.
    """
    expect(state, TrainState, "`state` is a TrainState")
    if name not in state.slots:
        raise FkitValueError(f"the state holds no moving average {name!r}.", value=name, choices=tuple(state.slots))
    average, buffers = state.slots[name], state.buffers
    held = {key: average[key] for key in average if key in buffers}
    mine = {key: average[key] for key in average if key not in buffers}
    state = state.replace(params=frozendict({**state.params, **mine}))
    return state.replace(buffers=frozendict({**buffers, **held})) if held else state


def choose(program: Program, state: TrainState, word: str | None = None) -> tuple[TrainState, str]:
    """The state as ``program.predict`` is to see it, where a run's own choice of weights is not the one that is wanted.

    Args:
        word: "own" or "ema"; None leaves it to the program, as validation did.

    Returns:
        (state, what a person should know of the weights that are taken; "" where there is no choice).

    Raises:
        FkitValueError: the average is wanted, and the state holds none.
    """
    expect(program, Program, "`program` is a program (fkit.program makes one)")
    expect(state, TrainState, "`state` is a TrainState")
    if word not in (None, *WEIGHTS):
        raise FkitValueError(f"weights = {word!r}.", value=str(word), choices=WEIGHTS)
    name = NAME if program.weights == "own" else program.weights
    if name not in state.slots:
        if word == "ema":
            raise FkitValueError(
                "the checkpoint holds no moving average of its weights.", repair="Leave out the word ema."
            )
        return state, ""
    average = program.weights != "own" if word is None else word == "ema"
    said = (
        "the moving average of the weights is taken" if average else "the weights are taken, not their moving average"
    )
    if average == (program.weights != "own"):
        return state, said
    if average:
        return use_ema(state, name), said
    held = {**state.params, **state.buffers}
    own = frozendict({key: held[key] for key in state.slots[name]})
    return state.replace(slots=frozendict({**state.slots, name: own})), said


def averages(arrays: Arrays, name: str = NAME) -> dict[str, Any]:
    """The averages among saved arrays, by the names of the weights; {} where there are none.

    Example:
        >>> averages({"params/fc.bias": 1.0, "slots/ema/fc.bias": 0.5})
        {'fc.bias': 0.5}
    """
    expect(arrays, Mapping, "`arrays` are a mapping of paths to arrays, as program.collect gives them")
    lead = f"slots/{name}/"
    return {path.removeprefix(lead): array for path, array in arrays.items() if path.startswith(lead)}


def _averaged(program: Program, buffers: bool) -> dict[str, str]:
    """{name: "params" or "buffers"} of what is averaged."""
    entries = program.inventory.entries
    held = [entry.name for entry in entries if buffers and entry.buffer and "float" in entry.dtype]
    return {**{entry.name: "params" for entry in entries if not entry.buffer}, **dict.fromkeys(held, "buffers")}


def _follower(name: str, share: Share, kinds: Mapping[str, str]) -> Follower:
    """The average, as what follows the weights."""
    order = tuple(kinds)
    mine = _reaching(order)
    params = _reaching(tuple(key for key in order if kinds[key] == "params"))
    buffers = _reaching(tuple(key for key in order if kinds[key] == "buffers"))

    def update(xp: Ops, slot: Named, weights: Named, held: Named, weight: Any, reuse: bool) -> Named:
        old = mine(slot)
        mixed = xp.mixed(old, params(weights) + buffers(held), weight, reuse)  # the parameters come first
        return slot if mixed is old else frozendict(zip(order, mixed, strict=True))

    return Follower(name, order, share, update)


def _stepping(program: Program, follower: Follower) -> Callable[..., Any]:
    """The program's step and what follows it, in one where the step can have that."""
    within: Callable[[Follower], Callable[..., Any]] | None = getattr(program.train_step, "followed_by", None)
    if within is not None:
        return within(follower)
    xp, donated = open_room(program.backend).ops, program.spec.donate
    name, paths, share, update = follower
    first = paths[0]

    def train_step(state: TrainState, batch: Batch, hyperparams: Any) -> tuple[TrainState, Any]:
        slot, weight = state.slots[name], share(int(state.iteration))
        if (
            state.params[first] is slot[first]
        ):  # `use_ema` has put them there, and the step may write into its parameters
            held = [slot[key] for key in paths]
            slot = frozendict(zip(paths, xp.mixed(held, held, 0.0), strict=True))
            state = state.replace(slots=frozendict({**state.slots, name: slot}))
        state, logs = program.train_step(state, batch, hyperparams)
        if weight == 0:
            return state, logs
        after = update(xp, slot, state.params, state.buffers, weight, donated)
        return state if after is slot else state.replace(slots=frozendict({**state.slots, name: after})), logs

    return train_step


def _reaching(names: tuple[str, ...]) -> Callable[[Named], tuple[Any, ...]]:
    """What a mapping has under these names."""
    return itemgetter(*names) if len(names) > 1 else lambda tree: tuple([tree[name] for name in names])
