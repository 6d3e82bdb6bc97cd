"""A spec as pure functions of an explicit state, on torch."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from frozendict import frozendict
from torch import Tensor
from torch.func import functional_call

from fkit.array.random import host_fold
from fkit.backend.torch.interop import Feed, device_of, to_numpy
from fkit.backend.torch.loss import number
from fkit.backend.torch.ops import Torch
from fkit.backend.torch.optimizer import Numbers, Update, update
from fkit.backend.torch.place import collect, place
from fkit.backend.torch.template import Template, blank, build, inventory_of, own_values
from fkit.structures.batch import Batch, Samples
from fkit.training.inventory import Inventory
from fkit.training.loss import numbers_of, total
from fkit.training.phase import Part, check_numbers, parts_of
from fkit.training.program import Parts, Program, assemble
from fkit.training.spec import Spec
from fkit.training.state import Arrays, Hyperparams, TrainState
from fkit.training.transform import Context, apply
from fkit.tree.error import FkitValueError

__all__ = ["program"]

_DTYPES = frozendict(float32=torch.float32, float64=torch.float64, bfloat16=torch.float32)

Losses = Callable[[str, Mapping[str, Tensor], Tensor | None, Any, Samples], Mapping[str, Tensor]]


def program(spec: Spec) -> Program:
    """The pure functions of a spec.

    Args:
        spec: what to run. ``threads`` sets torch's number of threads, for the whole process; nothing else global is
            touched.

    Raises:
        FkitError: the model is no torch module, a phase or optimizer does not fit it, the device is not there.
    """
    runner = _Runner(spec)
    return assemble(
        "torch", spec,
        Parts(runner.inventory, runner.parts, runner.own, runner.place, collect, runner.train_step, runner.loss, runner.predict),
    )  # fmt: skip


class _Runner:
    """What the functions of a program share.

    The modules are templates without tensors: a step puts the state's tensors in, runs the model, differentiates with
    respect to fresh leaves that share the parameters' memory, and takes them out. What phase p of step i draws is
    decided by ``fold(fold(state.key, i), p)``: the masks of the kit's dropout directly, those of other layers by seeding
    torch's generator.
    """

    def __init__(self, spec: Spec) -> None:
        if spec.dtype not in _DTYPES:
            raise FkitValueError(f"dtype={spec.dtype!r}.", value=spec.dtype, choices=_DTYPES, label="Types")
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        self.spec = spec
        self.device = device_of(spec.device)
        self.xp = Torch(self.device)
        self.dtype = _DTYPES[spec.dtype]
        self.half = spec.dtype == "bfloat16"
        self.feed = Feed(self.device, self.dtype, torch.bfloat16 if self.half else None)
        module = build(spec.model)
        self.inventory: Inventory = inventory_of(module, str(self.dtype).removeprefix("torch."))
        hollow = blank(module, self.device, self.dtype)
        self.training = Template(hollow, True, self.inventory, spec.masks)
        self.evaluating = Template(hollow, False, self.inventory, spec.masks)
        self.parts = parts_of(spec, self.inventory)
        self.updates: Mapping[str, Update] = frozendict(
            {part.phase.optimizer: update(part.optimizer, part.names) for part in self.parts}
        )
        self._compiled: Losses | None = _compiled(self.training) if spec.compile else None

    def own(self, seed: int) -> Arrays:
        return own_values(self.spec.model, self.inventory, seed)

    def place(self, arrays: Arrays) -> TrainState:
        return place(self.inventory, self.updates, arrays, self.device)

    def loss(
        self, state: TrainState, batch: Batch, key: Any, train: bool = False
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """The model's losses and the buffers after them. Gradients with respect to parameters that require them can be
        had; nothing is updated."""
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
                losses = numbers_of(module(inputs, samples, mode="loss"), number)
        finally:
            template.release()
        return {**losses, "loss": total(losses)}, buffers

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
        numbers = _numbers(self.parts, hyperparams)  # before the state is consumed
        inputs, samples = self.feed(batch)
        params, buffers, opt, slots, iteration, updates, key = state.consume() if self.spec.donate else _copied(state)
        done, logs, moved = int(iteration), {}, False
        for part, values in zip(self.parts, numbers, strict=True):
            if done % part.phase.every:
                continue
            keys = self._keys(key, done, part.index)
            grads, losses = self._gradient(part, params, buffers, keys, inputs, samples)
            context = Context(done // part.phase.every, params)
            grads, changed, moves = apply(part.transforms, self.xp, grads, slots, context)
            slots = slots if not changed else frozendict({**slots, **changed})
            if moves:
                name = part.phase.optimizer
                with torch.no_grad():
                    after = self.updates[name].step(params, grads, opt[name], values)
                opt = opt if after is opt[name] else frozendict({**opt, name: after})
                moved = True
            logs.update(losses)
        return TrainState(params, buffers, opt, slots, iteration + 1, updates + moved, key), logs

    def _gradient(
        self, part: Part, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], keys: Tensor | None,
        inputs: Any, samples: Samples,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:  # fmt: skip
        leaves = tuple([params[name].detach().requires_grad_() for name in part.names])
        values = dict(zip(part.names, leaves, strict=True))
        for name in part.others:
            values[name] = params[name]
        try:
            with self._cast():
                if self._compiled is None:
                    module = self.training.bind(values, buffers, keys)
                    losses = numbers_of(module(inputs, samples, mode=part.phase.mode), number)
                else:
                    losses = self._compiled(part.phase.mode, {**values, **buffers}, keys, inputs, samples)
            objective = total(losses, part.phase.loss)
            # a parameter that the loss does not reach has a gradient of zeros, as on JAX
            grads = torch.autograd.grad(objective, leaves, allow_unused=True, materialize_grads=True)
        finally:
            self.training.release()
        logs = {part.prefix + name: value.detach() for name, value in losses.items()}
        logs[part.prefix + "loss"] = objective.detach()
        return dict(zip(part.names, grads, strict=True)), logs

    def _keys(self, key: Any, done: int, phase: int) -> Tensor | None:
        """What a phase of a step draws: a key a dropout layer; other layers draw from torch's generator, seeded here."""
        template = self.training
        if not (template.drops or template.random):
            return None
        words = host_fold(host_fold(_words(key), done & 0xFFFFFFFF), phase)
        if template.random:
            self._seed(words)
        return template.keys(words, self.device)

    def _cast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    def _seed(self, words: tuple[int, int]) -> None:
        # torch.manual_seed would take 50 times as long: it visits every kind of device
        seed = words[0] | words[1] << 32
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index].manual_seed(seed)


def _numbers(parts: tuple[Part, ...], hyperparams: Hyperparams) -> tuple[Numbers, ...]:
    try:
        return tuple(
            [
                tuple(
                    [
                        {key: float(hyperparams[name][i]) for name, key in part.numbers}
                        for i in range(part.optimizer.count)
                    ]
                )
                for part in parts
            ]
        )
    except (KeyError, IndexError, TypeError):
        check_numbers(parts, hyperparams)
        raise


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
        return int(first) & 0xFFFFFFFF, int(second) & 0xFFFFFFFF
    first, second = key.tolist() if isinstance(key, Tensor) else np.asarray(to_numpy(key)).tolist()
    return first & 0xFFFFFFFF, second & 0xFFFFFFFF


def _compiled(template: Template) -> Losses:
    """The losses as one compiled function; the gradient is taken between it and the update."""
    module = template.module
    names = {id(part._buffers): path for path, part in module.named_modules()}  # pyright: ignore[reportPrivateUsage]
    drops = tuple(f"{names[id(buffers)]}.key".lstrip(".") for buffers in template.drops)

    def losses(
        mode: str, values: dict[str, Tensor], keys: Tensor | None, inputs: Any, samples: Samples
    ) -> dict[str, Tensor]:
        rows = {} if keys is None else dict(zip(drops, keys.unbind(), strict=True))
        outputs = functional_call(module, {**values, **rows}, (inputs, samples), {"mode": mode}, strict=False)
        return numbers_of(outputs, number)

    compiled = torch.compile(losses)
    # the compiler reads no frozendict
    return lambda mode, values, keys, inputs, samples: compiled(
        mode, dict(values), keys, inputs, Samples(dict(samples.targets), dict(samples.valid))
    )
