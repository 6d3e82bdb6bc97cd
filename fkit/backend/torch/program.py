"""The engine: a spec as functions of an explicit state, on torch."""

import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from frozendict import frozendict
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from fkit.array.random import host_fold
from fkit.backend.torch.interop import Feed, device_of, to_numpy
from fkit.backend.torch.loss import numbers_of, total
from fkit.backend.torch.optimizer import Numbers, Update, update
from fkit.backend.torch.place import collect, place
from fkit.backend.torch.template import Template, blank, build, inventory_of, own_values
from fkit.structures.batch import Batch, Samples
from fkit.training.inventory import Inventory
from fkit.training.program import Arrays, Hyperparams, Phase, Spec, TrainState
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["TorchEngine"]

_DTYPES = frozendict(float32=torch.float32, float64=torch.float64, bfloat16=torch.float32)

Losses = Callable[[Mapping[str, Tensor], Tensor | None, Any, Samples], Mapping[str, Tensor]]


class _Part(NamedTuple):
    """A phase, ready to run."""

    phase: Phase
    names: tuple[str, ...]
    rest: tuple[str, ...]  # parameters that this phase leaves alone
    update: Update
    numbers: tuple[tuple[str, str], ...]  # (hyperparameter of the step, of the optimizer)
    groups: int


class TorchEngine:
    """`fkit.training.program.Engine` for torch.

    The modules are templates without tensors: a step puts the state's tensors in, runs the model, differentiates with
    respect to fresh leaves that share the parameters' memory, and takes them out. What a step draws is decided by
    ``fold(state.key, iteration)``: the masks of the kit's dropout directly, those of other layers by seeding torch's
    generator.

    Args:
        spec: what to run. ``threads`` sets torch's number of threads, for the whole process; nothing else global is
            touched.
        reduce: what gradients pass through before the update: the identity, or an all-reduce.

    Raises:
        FkitError: the model is no torch module, a phase or optimizer does not fit it, the device is not there.
    """

    def __init__(
        self, spec: Spec, reduce: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = lambda grads: grads
    ) -> None:
        if spec.dtype not in _DTYPES:
            raise FkitValueError(f"dtype={spec.dtype!r}.", value=spec.dtype, choices=_DTYPES, label="Types")
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        self.spec = spec
        self.reduce = reduce
        self.device = device_of(spec.device)
        self.dtype = _DTYPES[spec.dtype]
        self.half = spec.dtype == "bfloat16"
        self.feed = Feed(self.device, self.dtype, torch.bfloat16 if self.half else None)
        module = build(spec.model)
        self.inventory: Inventory = inventory_of(module, str(self.dtype).removeprefix("torch."))
        hollow = blank(module, self.device, self.dtype)
        self.training = Template(hollow, True, self.inventory, spec.masks)
        self.evaluating = Template(hollow, False, self.inventory, spec.masks)
        self.parts = _parts(spec, self.inventory)
        self.updates: Mapping[str, Update] = frozendict({part.phase.optimizer: part.update for part in self.parts})
        self._compiled: Losses | None = _compiled(self.training) if spec.compile else None

    def own(self, seed: int) -> Arrays:
        """The modules' own initial values; see `fkit.training.program.Engine.own`."""
        return own_values(self.spec.model, self.inventory, seed)

    def place(self, arrays: Arrays) -> TrainState:
        """A state of the arrays, which it copies; see `fkit.training.program.Engine.place`."""
        return place(self.inventory, self.updates, arrays, self.device)

    def collect(self, state: TrainState) -> dict[str, NDArray[Any]]:
        """The state's arrays on the host, a copy."""
        return collect(state)

    def gather(self, state: TrainState) -> TrainState:
        """The state itself: in one process nothing is sharded."""
        return state

    def loss(
        self, state: TrainState, batch: Batch, key: Any, train: bool = False
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """The model's losses and the buffers after them.

        Args:
            key: two words, what dropout draws from (with ``train``).
            train: training mode: dropout, batch statistics.

        Gradients with respect to parameters that require them can be had; nothing is updated.
        """
        params, buffers, *_ = state.parts
        inputs, samples = self.feed(batch)
        if train:
            buffers = frozendict({name: tensor.clone() for name, tensor in buffers.items()})
        template = self.training if train else self.evaluating
        words = _words(key)
        keys = template.keys(words, self.device) if train else None
        if template.random:
            self._seed(words)
        try:
            module = template.bind(params, buffers, keys)
            with self._cast():
                losses = numbers_of(module(inputs, samples, mode="loss"))
        finally:
            template.release()
        return {**losses, "loss": total(losses, None)}, buffers

    def predict(self, state: TrainState, batch: Batch) -> Any:
        """The model's outputs in mode="predict"."""
        params, buffers, *_ = state.parts
        inputs, samples = self.feed(batch)
        template = self.evaluating
        try:
            module = template.bind(params, buffers, None)
            with torch.no_grad(), self._cast():
                return module(inputs, samples, mode="predict")
        finally:
            template.release()

    def train_step(
        self, state: TrainState, batch: Batch, hyperparams: Hyperparams
    ) -> tuple[TrainState, Mapping[str, Tensor]]:
        """One step; with ``donate`` it writes into the arrays of ``state``, which is consumed."""
        numbers = tuple(_numbers(part, hyperparams) for part in self.parts)  # before the state is consumed
        parts = state.parts
        inputs, samples = self.feed(batch)
        if self.spec.donate:
            state.consume()
        else:
            parts = (_copy(parts[0]), _copy(parts[1]), _copy(parts[2]), *parts[3:])
        params, buffers, opt, slots, iteration, updates, key = parts
        done = int(iteration)
        keys = None
        template = self.training
        if template.drops or template.random:
            words = host_fold(_words(key), done & 0xFFFFFFFF)
            keys = template.keys(words, self.device)
            if template.random:
                self._seed(words)
        logs: dict[str, Tensor] = {}
        for part, values in zip(self.parts, numbers, strict=True):
            if done % part.phase.every:
                continue
            grads, losses = self._gradient(part, params, buffers, keys, inputs, samples)
            logs.update(losses)
            name = part.phase.optimizer
            with torch.no_grad():
                moved = part.update.step(params, grads, opt[name], values)
            if moved is not opt[name]:
                opt = frozendict({**opt, name: moved})
        return TrainState(params, buffers, opt, slots, iteration + 1, updates + 1, key), logs

    def _gradient(
        self,
        part: _Part,
        params: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        keys: Tensor | None,
        inputs: Any,
        samples: Samples,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        leaves = tuple([params[name].detach().requires_grad_() for name in part.names])
        values = dict(zip(part.names, leaves, strict=True))
        for name in part.rest:
            values[name] = params[name]
        try:
            with self._cast():
                if self._compiled is None:
                    module = self.training.bind(values, buffers, keys)
                    losses = numbers_of(module(inputs, samples, mode="loss"))
                else:
                    losses = self._compiled({**values, **buffers}, keys, inputs, samples)
            objective = total(losses, part.phase.loss)
            # a parameter that the loss does not reach has a gradient of zeros, as on JAX
            grads = torch.autograd.grad(objective, leaves, allow_unused=True, materialize_grads=True)
        finally:
            self.training.release()
        logs = {name: value.detach() for name, value in losses.items()}
        logs["loss"] = objective.detach()
        return dict(zip(part.names, self.reduce(grads), strict=True)), logs

    def _cast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    def _seed(self, words: tuple[int, int]) -> None:
        # torch.manual_seed would take 50 times as long: it visits every kind of device
        seed = words[0] | words[1] << 32
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index].manual_seed(seed)


def _parts(spec: Spec, inventory: Inventory) -> tuple[_Part, ...]:
    trainable = [entry.name for entry in inventory.entries if entry.trainable]
    params = [entry.name for entry in inventory.entries if not entry.buffer]
    updates: dict[str, Update] = {}
    parts: list[_Part] = []
    for phase in spec.phases:
        if phase.optimizer not in spec.optimizers:
            raise FkitKeyError(
                f"a phase asks for optimizer {phase.optimizer!r}.",
                value=phase.optimizer,
                choices=spec.optimizers,
                label="Optimizers",
            )
        names = tuple(name for name in trainable if re.search(phase.params, name))
        if not names:
            raise FkitValueError(
                f"a phase with params={phase.params!r} has no trainable parameter.",
                choices=trainable,
                label="Trainable",
            )
        optimizer = spec.optimizers[phase.optimizer]
        if updates.setdefault(phase.optimizer, update(optimizer, names)).names != names:
            raise FkitValueError(
                f"optimizer {phase.optimizer!r} is to train different parameters in two phases.",
                repair="Give each phase an optimizer of its own.",
            )
        prefix = "" if len(spec.optimizers) == 1 else f"{phase.optimizer}."
        numbers = tuple((prefix + key, key) for key in optimizer.hyperparams())
        chosen = frozenset(names)
        rest = tuple(name for name in params if name not in chosen)
        parts.append(_Part(phase, names, rest, updates[phase.optimizer], numbers, len(optimizer.groups)))
    return tuple(parts)


def _numbers(part: _Part, hyperparams: Hyperparams) -> Numbers:
    try:
        return tuple([{key: float(hyperparams[name][i]) for name, key in part.numbers} for i in range(part.groups)])
    except KeyError as cause:
        missing = next(name for name, _ in part.numbers if name not in hyperparams)
        raise FkitKeyError(
            f"hyperparams lack {missing!r}.", choices=[name for name, _ in part.numbers], label="Wanted"
        ) from cause
    except IndexError as cause:
        raise FkitValueError(f"hyperparams need {part.groups} numbers each, one a parameter group.") from cause


def _copy(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.clone()
    return frozendict({name: _copy(value) for name, value in tree.items()})


def _words(key: Any) -> tuple[int, int]:
    if isinstance(key, tuple):
        first, second = key
        return int(first) & 0xFFFFFFFF, int(second) & 0xFFFFFFFF
    first, second = key.tolist() if isinstance(key, Tensor) else np.asarray(to_numpy(key)).tolist()
    return first & 0xFFFFFFFF, second & 0xFFFFFFFF


def _compiled(template: Template) -> Losses:
    """The losses as one compiled function; the gradient is taken between it and the update."""
    module = template.module
    names = {id(part._buffers): path for path, part in module.named_modules()}  # pyright: ignore[reportPrivateUsage]
    drops = tuple(f"{names[id(buffers)]}.key".lstrip(".") for buffers in template.drops)

    def losses(values: dict[str, Tensor], keys: Tensor | None, inputs: Any, samples: Samples) -> dict[str, Tensor]:
        rows = {} if keys is None else dict(zip(drops, keys.unbind(), strict=True))
        outputs = functional_call(module, {**values, **rows}, (inputs, samples), {"mode": "loss"}, strict=False)
        return numbers_of(outputs)

    compiled = torch.compile(losses)
    # the compiler reads no frozendict
    return lambda values, keys, inputs, samples: compiled(
        dict(values), keys, inputs, Samples(dict(samples.targets), dict(samples.valid))
    )
