"""The engine: a spec as jitted functions over explicit state.

What crosses the border of jit are flat tuples, in an order that is fixed when the engine is made: JAX walks tuples in
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
from fkit.backend.jax.step import Step, with_sum
from fkit.structures.batch import Batch, Samples
from fkit.training.inventory import Inventory
from fkit.training.program import Arrays, Hyperparams, Spec, TrainState
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["JaxEngine", "engine"]

_COMPUTE: Mapping[str, Any] = frozendict(float32=jnp.float32, float64=jnp.float64, bfloat16=jnp.bfloat16)


@dataclass(frozen=True, eq=False)
class JaxEngine:
    """`fkit.training.program.Engine` for JAX; `engine` makes one."""

    spec: Spec
    forward: Forward
    plan: Blueprint
    template: Template
    step: Step
    _own: Callable[[int], Arrays]
    _step: Callable[..., Any]
    _loss: Callable[..., Any]
    _predict: Callable[..., Any]

    @property
    def inventory(self) -> Inventory:
        return self.plan.inventory

    def own(self, seed: int) -> Arrays:
        found = self._own(seed)
        return {path: value.astype(np.float64) if self._wide(value) else value for path, value in found.items()}

    def place(self, arrays: Arrays) -> TrainState:
        with self._width():
            return place(self.template, arrays, device_of(self.spec.device))

    def collect(self, state: TrainState) -> dict[str, NDArray[Any]]:
        return collect(self.template, state)

    def gather(self, state: TrainState) -> TrainState:
        return state

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
        numbers = _pack(hyperparams, self.step.numbers)
        params, buffers, opt, slots, iteration, updates, key = state.consume() if self.spec.donate else state.parts
        template = self.template
        with self._width():
            params, buffers, flat, iteration, updates, logs = self._step(
                template.pick_params(params), template.pick_buffers(buffers), template.pick_opt(opt), iteration, updates,
                key, numbers, *_arrays(batch), *self.step.due(iteration),
            )  # fmt: skip
        return (
            TrainState(
                frozendict(zip(template.params, params, strict=True)),
                frozendict(zip(template.buffers, buffers, strict=True)),
                template.wrap_opt(flat),
                slots,
                iteration,
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


def engine(spec: Spec) -> JaxEngine:
    """Build the model of a spec and trace what it holds.

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
        params_: Any, buffers_: Any, opt: Any, iteration: Any, updates: Any, key: Any, numbers: Any,
        inputs: Any, targets: Any, valid: Any, *due: bool | None,
    ) -> Any:  # fmt: skip
        words = fold(JaxOps(), (key[0], key[1]), iteration.astype(jnp.uint32))
        new, logs = step.run(
            dict(zip(params, params_, strict=True)), dict(zip(buffers, buffers_, strict=True)), layout.tree_opt(opt),
            (iteration, updates), numbers, inputs, Samples(targets, valid), words, due,
        )  # fmt: skip
        return (
            tuple(new.params[name] for name in params),
            tuple(new.buffers[name] for name in buffers),
            layout.flat_opt(new.opt),
            iteration + 1,
            new.updates,
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
    decided = () if step.steady else tuple(range(10, 10 + len(step.phases)))
    return JaxEngine(
        spec,
        forward,
        plan,
        layout,
        step,
        own_values(module, spec.example, plan),
        jax.jit(train, donate_argnums=donated, static_argnums=decided),
        jax.jit(loss, static_argnames=("train",)),
        jax.jit(predict),
    )


def _arrays(batch: Batch) -> tuple[Any, Any, Any]:
    return batch.inputs, dict(batch.targets), dict(batch.valid)


def _words(key: Any) -> Any:
    return np.array(key, np.uint32) if isinstance(key, (tuple, list)) else key


def _pack(hyperparams: Hyperparams, names: tuple[str, ...]) -> Any:
    """All numbers in one array: one transfer a step in place of one a number."""
    try:
        parts = [hyperparams[name] for name in names]
    except KeyError as cause:
        raise FkitKeyError(
            f"hyperparams lack {cause.args[0]!r}.", value=str(cause.args[0]), choices=tuple(hyperparams)
        ) from cause
    if not parts:
        return np.zeros(0)
    on_host = all(isinstance(part, np.ndarray) for part in parts)  # pyright: ignore[reportUnnecessaryIsInstance]
    return np.concatenate(parts) if on_host else jnp.concatenate(parts)
