"""A program: pure functions over an explicit train state, as one value."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import seed_of
from fkit.array.room import open as open_room
from fkit.data.memory import give_back
from fkit.structures.batch import Batch
from fkit.structures.views import Views
from fkit.training.apart import own
from fkit.training.fleet import Fleet
from fkit.training.initialise import initial
from fkit.training.inventory import Inventory
from fkit.training.merge import Merged, merged
from fkit.training.phase import Part, check_transforms, first_slots
from fkit.training.spec import Spec
from fkit.training.state import Arrays, Hyperparams, TrainState
from fkit.training.weight import fit
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Pieces", "Program", "assemble"]

_LARGE = 1 << 26  # bytes


class Program(NamedTuple):
    """Pure functions over explicit state, for one model, one set of optimizers and one backend.

    A wrapper gives another program (`fkit.training.ema.with_ema`): it replaces functions by ``_replace``, and what it
    remembers lives in the state's slots, so that collecting, restoring and converting know no difference.

    Attributes:
        backend: the room's name.
        spec: what it was made of.
        inventory: every parameter and buffer, by torch's names and layouts.
        init: ``(seed, pretrained=True) -> state`` before the first step: every weight decided by ``key(seed, "init", name)``
            and its layer's scheme, or read where ``init_cfg`` says Pretrained, unless ``pretrained`` is False (a checkpoint
            of the whole model follows). FkitTypeError where the seed is no whole number.
        train_step: ``(state, batch, hyperparams) -> (state, logs)``; consumes ``state`` when the spec donates. ``logs``
            are lazy 0-d arrays: every loss, and "loss", the sum that was differentiated; with several phases,
            ``phase/loss`` for each. Where a backend compiles it, it has ``followed_by``: see `fkit.training.follower`.
        loss: ``(state, batch, key, train=False) -> (losses, buffers)``; no update. Key: two words.
        predict: ``(state, batch) -> outputs``, mode="predict"; of a batch of views (TestTimeAug), merged: see
            `fkit.training.tta.with_tta`.
        collect: ``(state) -> {path: host array}``, whole, in torch's names and layout; a copy.
        restore: ``(arrays) -> state``, the inverse of ``collect``; without optimizer state, that begins. FkitError where an array is missing, unknown, or of
            another shape than the model's.
        load: ``(state, arrays, strict=True) -> state`` with weights taken over by name ({name: array} as in a
            ``state_dict``). FkitError where, with ``strict``, names are missing, unexpected, or of another shape;
            without, it takes what fits, and `fkit.training.weight.fit` says what did not.
        convert: ``(state, to) -> state``: the same numbers on another backend, optimizer state included. FkitError
            where an optimizer or a model has no twin there.
        gather: ``(state) -> state``, whole arrays in place of shards.
        hyperparams: ``() -> Hyperparams``, what the optimizers start with, an entry a parameter group.
        weights: which weights ``predict`` takes: "own", the parameters, or the name of a slot of averages.
        beside: ``{suffix: (state, batch) -> outputs}``: what else validation scores, under names with that suffix.
    """

    backend: str
    spec: Spec
    inventory: Inventory
    init: Callable[..., TrainState]
    train_step: Callable[[TrainState, Batch, Any], tuple[TrainState, Mapping[str, Any]]]
    loss: Callable[..., tuple[Mapping[str, Any], Mapping[str, Any]]]
    predict: Callable[[TrainState, Batch], Any]
    collect: Callable[[TrainState], dict[str, NDArray[Any]]]
    restore: Callable[[Arrays], TrainState]
    load: Callable[..., TrainState]
    convert: Callable[..., TrainState]
    gather: Callable[[TrainState], TrainState]
    hyperparams: Callable[[], Hyperparams]
    weights: str = "own"
    beside: Mapping[str, Callable[[TrainState, Batch], Any]] = EMPTY


class Pieces(NamedTuple):
    """What a room makes of a spec; `assemble` composes the rest of a program.

    Attributes:
        inventory: see `Program`.
        phases: the spec's, on the model.
        own: ``(seed) -> arrays``: the modules' own initial values, under a generator seeded by it.
        place: ``(arrays) -> state``: in the room's layout and on its device, copied. With no path under ``opt/`` the
            optimizers start fresh; with some, a slot that is missing or unknown is an FkitError.
        collect: ``(state) -> arrays`` of whole ones, on the host, in torch's layout; a copy.
        train_step, loss, predict, gather: see `Program`.
    """

    inventory: Inventory
    phases: tuple[Part, ...]
    own: Callable[[int], Arrays]
    place: Callable[[Arrays], TrainState]
    collect: Callable[[TrainState], dict[str, NDArray[Any]]]
    train_step: Callable[[TrainState, Batch, Any], tuple[TrainState, Mapping[str, Any]]]
    loss: Callable[..., tuple[Mapping[str, Any], Mapping[str, Any]]]
    predict: Callable[[TrainState, Batch], Any]
    gather: Callable[[TrainState], TrainState] = lambda state: state


def assemble(backend: str, spec: Spec, pieces: Pieces) -> Program:
    """The program of a room's pieces.

    Args:
        backend: the room's name.
    """
    inventory, phases = pieces.inventory, pieces.phases

    def init(seed: int, pretrained: bool = True) -> TrainState:
        arrays = initial(inventory, pieces.own, seed_of(seed), spec.weights, pretrained)
        arrays.update(first_slots(phases, inventory))
        return _placed(pieces, spec.fleet, arrays)

    def collect(state: TrainState) -> dict[str, NDArray[Any]]:
        expect(state, TrainState, "`state` is a TrainState")
        return pieces.collect(pieces.gather(state))

    def restore(arrays: Arrays) -> TrainState:
        expect(arrays, Mapping, "`arrays` are a mapping of paths to arrays, as program.collect gives them")
        arrays = fit(inventory, arrays, strict=True).arrays
        if not any(path.startswith("opt/") for path in arrays):  # weights alone: all else begins
            arrays = {**first_slots(phases, inventory), **arrays}
        check_transforms(phases, inventory, arrays)
        return _placed(pieces, spec.fleet, dict(arrays))

    def load(state: TrainState, arrays: Arrays, strict: bool = True) -> TrainState:
        expect(arrays, Mapping, "`arrays` are a mapping of names to arrays, as a state_dict is")
        weights = fit(inventory, arrays, strict=strict, bare=True)
        return _placed(pieces, spec.fleet, {**collect(state), **weights.arrays})

    def convert(state: TrainState, to: str) -> TrainState:
        return open_room(to).program(spec).restore(collect(state))

    def predict(state: TrainState, batch: Batch) -> Any:
        if isinstance(batch, Views):
            outputs = [predict(state, view) for view in batch.views]
            return merged(open_room(backend).ops, Merged().merge, outputs, batch.views)
        outputs = pieces.predict(state, batch)
        if outputs is None:
            raise FkitTypeError(
                'a model in mode="predict" returns its predictions, found None.',
                path="model",
                repair='Return {"pred_score": scores}, of shape (N, classes), say.',
            )
        return outputs

    def hyperparams() -> Hyperparams:
        numbers: dict[str, NDArray[np.float64]] = {}
        for part in phases:
            own = part.optimizer.hyperparams()
            numbers |= {name: own[key] for name, key in part.numbers}
        return numbers

    return Program(
        backend, spec, inventory, init, pieces.train_step if phases else _untrained, pieces.loss, predict, collect, restore, load, convert,
        pieces.gather, hyperparams,
    )  # fmt: skip


def _placed(pieces: Pieces, fleet: Fleet, arrays: dict[str, NDArray[Any]]) -> TrainState:
    """The state of arrays, which it empties: of a large one, what lay between has gone before the first step."""
    state = pieces.place(own(arrays, fleet.rank, fleet.world))
    large = sum(array.nbytes for array in arrays.values()) > _LARGE
    arrays.clear()
    if large:
        give_back()
    return state


def _untrained(state: TrainState, batch: Batch, hyperparams: Any) -> tuple[TrainState, Mapping[str, Any]]:
    """The step of a program that has no optimizer."""
    raise FkitValueError(
        "a training step needs an optimizer, and this program has none.",
        path="optim_wrapper",
        repair="Set optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), say.",
    )
