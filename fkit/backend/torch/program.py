"""A spec as pure functions of an explicit state, on torch."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from frozendict import frozendict
from torch import Tensor

from fkit.array.random import host_fold, tag
from fkit.backend.torch.apart import joined, sums_of
from fkit.backend.torch.ddp import replicated
from fkit.backend.torch.fsdp import Sharded, cut, whole
from fkit.backend.torch.gradient import Gradient, gradient_of
from fkit.backend.torch.interop import to_numpy
from fkit.backend.torch.loss import number
from fkit.backend.torch.many import ManyOps
from fkit.backend.torch.model import Model, evaluated, model_of, trained
from fkit.backend.torch.ops import Torch
from fkit.backend.torch.optimizer import Numbers, Slots, Update, update
from fkit.backend.torch.part import ManyPartOps, PartOps
from fkit.backend.torch.place import collect, place
from fkit.backend.torch.template import own_values
from fkit.backend.torch.together import together
from fkit.backend.torch.watch import marks_of, refuse_writes
from fkit.data.label import check_targets
from fkit.data.memory import keep_memory
from fkit.structures.batch import Batch, Samples
from fkit.training.loss import numbers_of, total
from fkit.training.phase import Part, check_numbers, parts_of
from fkit.training.program import Pieces, Program, assemble
from fkit.training.resize import resized
from fkit.training.spec import Spec
from fkit.training.state import Arrays, Hyperparams, TrainState, check_call, check_key
from fkit.training.together import Together
from fkit.training.transform import Context, apply
from fkit.tree.error import FkitValueError

__all__ = ["program"]

_WORD = 0xFFFFFFFF


def program(spec: Spec) -> Program:
    """The pure functions of a spec.

    Args:
        spec: what to run. Nothing global is touched, but for the generator of torch's own random layers, which a step
            seeds, and what the C library keeps of freed memory once a CPU has predicted. Threads may share the program; where
            such layers draw, two programs of one process train one after the other.

    Raises:
        FkitError: the model is no torch module, a phase or optimizer does not fit it, the device is not there.
    """
    model = model_of(spec)
    parts = parts_of(spec, model.inventory)
    several = spec.fleet.several
    cuts = several and spec.parallel.kind == "fsdp"
    many = ManyPartOps(model.device) if cuts else ManyOps()
    updates = {part.phase.optimizer: update(part.optimizer, part.names, many) for part in parts}
    shards = Sharded(model, parts) if cuts else None
    gradient = shards.gradient if shards is not None else replicated(model) if several else gradient_of(model)
    xp = Torch(model.device) if shards is None else PartOps(model.device)

    kept = cache(keep_memory)  # to clear the pages of a picture's maps anew takes a quarter of a prediction

    def own(seed: int) -> Arrays:
        return own_values(spec.model, model.inventory, seed)

    def settle(arrays: Arrays) -> TrainState:
        if shards is not None:
            arrays = cut(model.inventory, arrays, spec.fleet.rank, spec.fleet.world)
        return place(model.inventory, updates, arrays, model.device, model.channels_last)

    def loss(state: TrainState, batch: Batch, key: Any, train: bool = False) -> tuple[Mapping[str, Any], Any]:
        return _loss(model, shards, state, batch, key, train)

    def predict(state: TrainState, batch: Batch) -> Any:
        check_call(state, batch)
        params, buffers, *_ = state.parts
        if model.device.type == "cpu":
            kept()
        inputs, samples = model.predict_feed(batch)
        if spec.preprocess is not None:
            inputs, samples = spec.preprocess(Torch(model.device), inputs, samples)
        if shards is not None:
            return shards.evaluated(params, buffers, inputs, samples, "predict")
        with torch.no_grad():
            return evaluated(model, params, buffers, inputs, samples, "predict")

    def gather(state: TrainState) -> TrainState:
        return joined(spec, parts, state) if shards is None else whole(model.inventory, state)

    step = _Stepping(model, parts, updates, gradient, xp)
    made = Pieces(model.inventory, parts, own, settle, collect, step, loss, predict, gather)
    return assemble("torch", spec, made)


class _Stepping(NamedTuple):
    """A program's training step."""

    model: Model
    parts: tuple[Part, ...]
    updates: Mapping[str, Update]
    gradient: Gradient
    xp: Torch

    def __call__(
        self, state: TrainState, batch: Batch, hyperparams: Hyperparams
    ) -> tuple[TrainState, Mapping[str, Any]]:
        return _step(*self, state, batch, hyperparams)

    def together(self) -> tuple[Together | None, str]:
        """This step for several runs at once; None, and why, where separate steps are the better form."""
        if self.model.spec.fleet.several:
            return None, "several processes share a step"
        return together(self.model, self.parts, self.updates, _numbers, _moved, _words)


def _step(
    model: Model, parts: tuple[Part, ...], updates: Mapping[str, Update], gradient: Gradient, xp: Torch, state: TrainState,
    batch: Batch, hyperparams: Hyperparams,
) -> tuple[TrainState, Mapping[str, Tensor]]:  # fmt: skip
    """One step; with ``donate`` it writes into the arrays of ``state``, which is consumed."""
    check_call(state, batch)
    numbers = _numbers(parts, hyperparams)  # what can be wrong is refused before the state is consumed
    check_targets(model.inventory.labels, batch.targets, batch.valid)
    inputs, samples = model.feed(batch)
    marks = marks_of(inputs, samples)
    params, buffers, opt, slots, iteration, moves, key = state.consume() if model.spec.donate else _copied(state)
    done, logs, moved = int(iteration), {}, False
    words = host_fold(_words(key), done & _WORD) if model.draws else None
    if model.spec.preprocess is not None:
        inputs, samples = _prepared(model, inputs, samples, words)
        resize = model.spec.preprocess.resize
        if resize is not None:
            size = resize.size(_words(key), done, tuple(inputs.shape[-2:]))
            inputs, samples = resized(Torch(model.device), inputs, samples, size)
    for part, values in zip(parts, numbers, strict=True):
        if done % part.phase.every:
            continue
        mine = None if words is None else host_fold(words, part.place)
        scale = None if part.scale is None else part.scale(slots)
        turn = done // part.phase.every
        sums = sums_of(model.spec, part, slots, turn)
        grads, losses, buffers = gradient(part, params, buffers, mine, inputs, samples, scale, sums)
        logs.update(losses)
        slots = sums.emptied(slots) if sums is not None and sums.due else slots
        context = Context(turn, params, part.total)
        grads, changed, wanted, said = apply(part.transforms, xp, grads, slots, context)
        if said:
            logs.update({part.prefix + name: value for name, value in said.items()})
        if changed:
            slots = frozendict({**slots, **{name: frozendict({**slots[name], **changed[name]}) for name in changed}})
        if grads and wanted is not False:
            opt = _moved(part, updates, params, grads, opt, values, wanted)
            moved = wanted | moved
    refuse_writes(marks)
    # a number of the host's, until whether something moved is known on the device alone
    moves = int(moves) + moved if isinstance(moved, Tensor) and not isinstance(moves, Tensor) else moves + moved
    return TrainState(params, buffers, opt, slots, iteration + 1, moves, key), logs


def _prepared(
    model: Model, inputs: Any, samples: Samples, words: tuple[int, int] | None, train: bool = True
) -> tuple[Any, Samples]:
    """The batch as the model takes it, through the spec's preprocessor."""
    preprocess = model.spec.preprocess
    if preprocess is None:
        return inputs, samples
    mine = None if words is None else host_fold(words, tag("preprocess"))
    return preprocess(Torch(model.device), inputs, samples, mine, train)


def _moved(
    part: Part, updates: Mapping[str, Update], params: Mapping[str, Tensor], grads: Mapping[str, Tensor],
    opt: Mapping[str, Slots], numbers: Numbers, wanted: Any,
) -> Mapping[str, Slots]:  # fmt: skip
    """The optimizer's slots after its update, which writes into ``params``.

    Args:
        wanted: True, or a 0-d tensor that says whether to move: for the twins the host does not wait to know it; a class
            of torch.optim, whose counters are the host's, is waited for, as torch's own GradScaler does.
    """
    name = part.phase.optimizer
    step = updates[name].step
    with torch.no_grad():
        if updates[name].skips and wanted is not True:
            slots = step(params, grads, opt[name], numbers, torch.logical_not(wanted).to(torch.float32))
        elif wanted is True or updates[name].named:
            slots = step(params, grads, opt[name], numbers) if wanted else opt[name]
        else:
            before, slots = {key: params[key].clone() for key in grads}, _copy(opt[name])
            after = step(params, grads, slots, numbers)
            for key, tensor in before.items():
                params[key].copy_(torch.where(wanted, params[key], tensor))
            slots = _chosen(wanted, after, opt[name])
    return opt if slots is opt[name] else frozendict({**opt, name: slots})


def _chosen(wanted: Tensor, after: Slots, before: Slots) -> Slots:
    """``after`` where it is wanted, else ``before``; a new slot, of momentum, is zeros then."""

    def one(slot: str, name: str, tensor: Tensor) -> Tensor:
        old = before.get(slot, {}).get(name)
        return torch.where(wanted, tensor, torch.zeros_like(tensor) if old is None else old)

    return frozendict(
        {
            slot: frozendict({name: one(slot, name, tensor) for name, tensor in tensors.items()})
            for slot, tensors in after.items()
        }
    )


def _loss(
    model: Model, shards: Sharded | None, state: TrainState, batch: Batch, key: Any, train: bool
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """The model's losses and the buffers after them; gradients with respect to parameters that require them can be had."""
    check_call(state, batch)
    check_key(key)
    params, buffers, *_ = state.parts
    check_targets(model.inventory.labels, batch.targets, batch.valid)
    inputs, samples = model.feed(batch)
    if model.spec.preprocess is not None:
        inputs, samples = _prepared(model, inputs, samples, _words(key) if train else None, train)
    if shards is not None:
        if train:
            raise FkitValueError("parallel = 'fsdp': losses in training mode are a step's alone.", path="parallel")
        outputs = shards.evaluated(params, buffers, inputs, samples, "loss")
    elif not train:
        outputs = evaluated(model, params, buffers, inputs, samples, "loss")
    else:
        marks, words = marks_of(inputs, samples), _words(key)
        template = model.training.take()
        try:
            outputs, buffers = trained(model, template, params, _copy(buffers), words, inputs, samples, "loss")
        finally:
            model.training.give(template)
        refuse_writes(marks)
    losses = numbers_of(outputs, number)
    return {**losses, "loss": total(losses)}, buffers


def _numbers(parts: tuple[Part, ...], hyperparams: Hyperparams) -> tuple[Numbers, ...]:
    """The hyperparameters of each phase's groups."""
    check_numbers(parts, hyperparams)
    return tuple(
        [
            tuple(
                [{key: float(hyperparams[name][i]) for name, key in part.numbers} for i in range(part.optimizer.count)]
            )
            for part in parts
        ]
    )


def _copied(state: TrainState) -> tuple[Any, ...]:
    """The parts of a state that stays as it is: copies of what a step writes into."""
    params, buffers, opt, *others = state.parts
    return (_copy(params), _copy(buffers), _copy(opt), *others)


def _copy(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.clone()
    return frozendict({name: _copy(value) for name, value in tree.items()})


def _words(key: Any) -> tuple[int, int]:
    if isinstance(key, tuple):
        first, second = key
        return int(first) & _WORD, int(second) & _WORD
    first, second = key.tolist() if isinstance(key, Tensor) else np.asarray(to_numpy(key)).tolist()
    return first & _WORD, second & _WORD
