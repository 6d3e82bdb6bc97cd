"""A spec as jitted functions over explicit state.

What crosses the border of jit are flat tuples, in an order that is fixed when the program is made: JAX walks tuples in
C, and mappings of the kit's own in Python.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.array.random import fold
from fkit.backend.jax.blueprint import Blueprint, blueprint, own_values
from fkit.backend.jax.device import device_of
from fkit.backend.jax.forward import Forward
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.place import Template, collect, place, template
from fkit.backend.jax.step import Moving, Step, with_sum
from fkit.structures.batch import Batch, Samples
from fkit.training.phase import Part, check_numbers, first_slots
from fkit.training.program import Parts, Program, assemble
from fkit.training.spec import Spec
from fkit.training.state import Arrays, Hyperparams, TrainState
from fkit.tree.error import FkitValueError

__all__ = ["program"]

_COMPUTE: Mapping[str, Any] = frozendict(float32=jnp.float32, float64=jnp.float64, bfloat16=jnp.bfloat16)


@dataclass(frozen=True, eq=False)
class _Runner:
    """What the functions of a program share."""

    spec: Spec
    forward: Forward
    plan: Blueprint
    template: Template
    step: Step
    slots: tuple[str, ...]
    _own: Callable[[int], Arrays]
    _step: Callable[..., Any]
    _loss: Callable[..., Any]
    _predict: Callable[..., Any]

    def own(self, seed: int) -> Arrays:
        found = self._own(seed)
        return {path: value.astype(np.float64) if self._wide(value) else value for path, value in found.items()}

    def place(self, arrays: Arrays) -> TrainState:
        with self._width():
            return place(self.template, arrays, device_of(self.spec.device))

    def collect(self, state: TrainState) -> dict[str, NDArray[Any]]:
        return collect(self.template, state)

    def loss(
        self, state: TrainState, batch: Batch, key: Any, train: bool = False
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        params, buffers, *_ = state.parts
        template = self.template
        with self._width():
            losses, changed = self._loss(
                template.pick_params(params), template.pick_buffers(buffers), *_arrays(batch), _words(key), train=train
            )
        return frozendict(losses), frozendict(zip(template.buffers, changed, strict=True))

    def train_step(
        self, state: TrainState, batch: Batch, hyperparams: Hyperparams
    ) -> tuple[TrainState, Mapping[str, Any]]:
        numbers = _pack(self.step.parts, hyperparams, self.step.numbers)
        params, buffers, opt, slots, iteration, updates, key = state.consume() if self.spec.donate else state.parts
        template, names = self.template, self.slots
        with self._width():
            params, buffers, flat, changed, updates, logs = self._step(
                template.pick_params(params), template.pick_buffers(buffers), template.pick_opt(opt),
                {name: dict(slots[name]) for name in names}, updates, key, iteration, numbers, *_arrays(batch),
                *self.step.due(iteration),
            )  # fmt: skip
        if names:
            slots = frozendict({**slots, **{name: frozendict(changed[name]) for name in names}})
        return (
            TrainState(
                frozendict(zip(template.params, params, strict=True)),
                frozendict(zip(template.buffers, buffers, strict=True)),
                template.wrap_opt(flat),
                slots,
                iteration + 1,
                updates,
                key,
            ),
            logs,
        )

    def predict(self, state: TrainState, batch: Batch) -> Any:
        params, buffers, *_ = state.parts
        with self._width():
            return self._predict(
                self.template.pick_params(params), self.template.pick_buffers(buffers), *_arrays(batch)
            )

    def _width(self) -> AbstractContextManager[Any]:
        return jax.enable_x64(True) if self.spec.dtype == "float64" else nullcontext()

    def _wide(self, value: NDArray[Any]) -> bool:
        return self.spec.dtype == "float64" and value.dtype == np.float32


def program(spec: Spec) -> Program:
    """The pure functions of a spec: builds the model, and traces what it holds.

    Raises:
        FkitError: the model is no flax module, an optimizer has no twin, the device or the dtype is not there.
    """
    if spec.dtype not in _COMPUTE:
        raise FkitValueError(f"dtype = {spec.dtype!r} is unknown.", value=spec.dtype, choices=tuple(_COMPUTE))
    device_of(spec.device)
    module = spec.model("jax")
    plan = blueprint(module, spec.example, spec.dtype)
    forward = Forward(module, plan, _COMPUTE[spec.dtype], spec.masks)
    width = jax.enable_x64(True) if spec.dtype == "float64" else nullcontext()
    with width:
        step = Step.of(spec, forward)
        layout = template(plan, step.updates)
    params, buffers = tuple(site.name for site in plan.params), tuple(site.name for site in plan.buffers)

    def train(
        params_: Any, buffers_: Any, opt: Any, slots: Any, updates: Any, key: Any, iteration: Any, numbers: Any,
        inputs: Any, targets: Any, valid: Any, *due: bool | None,
    ) -> Any:  # fmt: skip
        words = fold(JaxOps(), (key[0], key[1]), jnp.asarray(iteration).astype(jnp.uint32))
        moving = Moving(
            dict(zip(params, params_, strict=True)), dict(zip(buffers, buffers_, strict=True)), layout.tree_opt(opt),
            slots, False,
        )  # fmt: skip
        new, logs = step.run(moving, iteration, numbers, inputs, Samples(targets, valid), words, due)
        return (
            tuple(new.params[name] for name in params),
            tuple(new.buffers[name] for name in buffers),
            layout.flat_opt(new.opt),
            new.slots,
            updates + jnp.asarray(new.moved).astype(updates.dtype),
            logs,
        )

    def loss(params_: Any, buffers_: Any, inputs: Any, targets: Any, valid: Any, key: Any, *, train: bool) -> Any:
        losses, changed = forward.losses(
            dict(zip(params, params_, strict=True)), dict(zip(buffers, buffers_, strict=True)),
            inputs, Samples(targets, valid), (key[0], key[1]), train,
        )  # fmt: skip
        return with_sum(losses), tuple(changed[name] for name in buffers)

    def predict(params_: Any, buffers_: Any, inputs: Any, targets: Any, valid: Any) -> Any:
        return forward.predict(
            dict(zip(params, params_, strict=True)), dict(zip(buffers, buffers_, strict=True)),
            inputs, Samples(targets, valid),
        )  # fmt: skip

    donated = (0, 1, 2, 3, 4) if spec.donate else ()
    decided = () if step.steady else tuple(range(11, 11 + len(step.parts)))
    runner = _Runner(
        spec, forward, plan, layout, step,
        tuple(dict.fromkeys(path.split("/")[1] for path in first_slots(step.parts, plan.inventory))),
        own_values(module, spec.example, plan),
        jax.jit(train, donate_argnums=donated, static_argnums=decided),
        jax.jit(loss, static_argnames=("train",)),
        jax.jit(predict),
    )  # fmt: skip
    return assemble(
        "jax", spec,
        Parts(plan.inventory, step.parts, runner.own, runner.place, runner.collect, runner.train_step, runner.loss, runner.predict),
    )  # fmt: skip


def _arrays(batch: Batch) -> tuple[Any, Any, Any]:
    return batch.inputs, dict(batch.targets), dict(batch.valid)


def _words(key: Any) -> Any:
    return np.array(key, np.uint32) if isinstance(key, (tuple, list)) else key


def _pack(parts: tuple[Part, ...], hyperparams: Hyperparams, names: tuple[str, ...]) -> Any:
    """All numbers in one array: one transfer a step in place of one a number."""
    check_numbers(parts, hyperparams)
    values = [hyperparams[name] for name in names]
    if not values:
        return np.zeros(0)
    on_host = all(isinstance(value, np.ndarray) for value in values)  # pyright: ignore[reportUnnecessaryIsInstance]
    return np.concatenate(values) if on_host else jnp.concatenate(values)
