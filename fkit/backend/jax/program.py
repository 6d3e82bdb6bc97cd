"""A spec as pure functions of an explicit state, on JAX.

Through jit go flat tuples, in an order that is fixed when the program is made (`Template`): JAX walks tuples in C, and
mappings of the kit's own in Python.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from frozendict import frozendict

from fkit.backend.jax.blueprint import blueprint, module_of, own_values
from fkit.backend.jax.border import put_back, take_off
from fkit.backend.jax.device import device_of
from fkit.backend.jax.forward import Forward, Prepare
from fkit.backend.jax.gradient import functional
from fkit.backend.jax.mesh import Devices, compiled, devices_of
from fkit.backend.jax.named import Named
from fkit.backend.jax.optimizer import update
from fkit.backend.jax.place import collect, place
from fkit.backend.jax.spared import sparing, unspared
from fkit.backend.jax.step import stepper
from fkit.backend.jax.stretch import loops_well
from fkit.backend.jax.template import Template, template
from fkit.backend.jax.train import TrainStep
from fkit.backend.jax.watch import watch
from fkit.data.label import check_targets
from fkit.structures.batch import Batch, Samples
from fkit.training.inventory import Inventory
from fkit.training.loss import total
from fkit.training.phase import Part, first_slots, parts_of
from fkit.training.program import Pieces, Program, assemble
from fkit.training.spec import Spec, check_spec
from fkit.training.state import Arrays, TrainState, check_call, check_key
from fkit.tree.error import FkitValueError, quoted

__all__ = ["program"]

_COMPUTE: Mapping[str, Any] = frozendict(
    float32=jnp.float32, float64=jnp.float64, bfloat16=jnp.bfloat16, half=jnp.bfloat16
)


class _Jitted(NamedTuple):
    """What JAX compiles, over flat tuples."""

    loss: Callable[..., Any]
    predict: Callable[..., Any]


def program(spec: Spec) -> Program:
    """The pure functions of a spec: builds the model, and traces what it holds.

    ``memory_format`` is torch's alone: XLA lays arrays out by itself.

    Raises:
        FkitError: the model is no flax module, an optimizer has no twin, the device or the dtype is not there.
    """
    check_spec(spec)
    if spec.recomputed:
        raise FkitValueError(
            f"activation_checkpointing = {quoted([*spec.recomputed])} is torch's alone.",
            path="activation_checkpointing",
            repair="On JAX leave it out, or write flax.linen.remat into the model.",
        )
    if "float16" in (spec.dtype, spec.predict_dtype):
        raise FkitValueError(
            "dtype = 'float16' is not on backend 'jax'.",
            path="dtype",
            repair="Its half precision is bfloat16, which has float32's range and needs no loss scale: dtype='bfloat16'.",
        )
    device, devices = device_of(spec.device), devices_of(spec.devices, spec.device, spec.fleet.world)
    module = module_of(spec.model("jax"))
    plan = blueprint(module, spec.example, spec.dtype)
    forward = Forward(module, plan, _COMPUTE[spec.dtype], spec.masks)
    predicting = forward if spec.predict_dtype is None else replace(forward, compute=_COMPUTE[spec.predict_dtype])
    wide = spec.dtype == "float64"

    def width() -> AbstractContextManager[Any]:
        return jax.enable_x64(True) if wide else nullcontext()

    parts = parts_of(spec, plan.inventory)
    firsts = {part.phase.optimizer: part for part in reversed(parts)}
    updates = {name: update(part.optimizer, part.names) for name, part in firsts.items()}
    with width():
        layout = template(
            plan,
            {name: (updates[name], part.names) for name, part in firsts.items()},
            _slot_paths(parts, plan.inventory),
        )
    prepare = forward.preparing(spec.preprocess)
    step = stepper(parts, updates, functional(forward), prepare)
    values = own_values(module, spec.example, plan)

    def own(seed: int) -> Arrays:
        return {
            path: value.astype(np.float64) if wide and value.dtype == np.float32 else value
            for path, value in values(seed).items()
        }

    def placed(arrays: Arrays) -> TrainState:
        with width():
            return place(layout, arrays, device, devices)

    train_step = TrainStep(
        parts, layout, step, width, spec.donate, resize=None if spec.preprocess is None else spec.preprocess.resize,
        devices=devices, loops=loops_well(layout, devices.first if devices else device),
    )  # fmt: skip
    jitted = _jitted(layout, forward, predicting, prepare, devices)
    loss, predict = _passes(layout, jitted, width, plan.inventory.labels)
    return assemble(
        "jax",
        spec,
        Pieces(plan.inventory, parts, own, placed, lambda state: collect(layout, state), train_step, loss, predict),
    )


def _passes(
    layout: Template, jitted: _Jitted, width: Any, ranges: Any
) -> tuple[Callable[..., tuple[Mapping[str, Any], Mapping[str, Any]]], Callable[[TrainState, Batch], Any]]:
    def loss(
        state: TrainState, batch: Batch, key: Any, train: bool = False
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        check_call(state, batch)
        check_key(key)
        check_targets(ranges, batch.targets, batch.valid)
        inputs, targets, valid, _ = take_off(batch)
        words = np.array(key, np.uint32) if isinstance(key, (tuple, list)) else key
        with width():
            losses, changed = jitted.loss(
                layout.params.pick(state.params), layout.buffers.pick(state.buffers), words,
                inputs, targets, valid, train,
            )  # fmt: skip
        return frozendict(losses), Named(layout.buffers, changed)

    spare = sparing()

    def predict(state: TrainState, batch: Batch) -> Any:
        check_call(state, batch)
        inputs, targets, valid, metas = take_off(batch)
        params, buffers, *_ = state.parts
        call = partial(jitted.predict, layout.params.pick(params), layout.buffers.pick(buffers), inputs)
        with width():
            outputs = spare(call, targets, valid)
        return put_back(outputs, metas)

    return loss, predict


def _jitted(
    layout: Template, forward: Forward, predicting: Forward, prepare: Prepare | None, devices: Devices | None
) -> _Jitted:
    note_loss, note_predict = watch("loss"), watch("predict")

    def loss(params: Any, buffers: Any, key: Any, inputs: Any, targets: Any, valid: Any, train: bool) -> Any:
        note_loss(train, inputs=inputs, targets=targets, valid=valid)
        samples = Samples(targets, valid)
        if prepare is not None:
            inputs, samples = prepare(inputs, samples, (key[0], key[1]) if train else None, train)
        losses, changed = forward.losses(
            layout.params.tree(params), layout.buffers.tree(buffers), inputs, samples, (key[0], key[1]), train
        )
        return {**losses, "loss": total(losses)}, layout.buffers.pick(changed)

    def predict(params: Any, buffers: Any, inputs: Any, targets: Any, valid: Any) -> Any:
        given, samples = {"inputs": inputs, "targets": targets, "valid": valid}, Samples(targets, valid)
        if prepare is not None:
            inputs, samples = prepare(inputs, samples, None, False)
        outputs = predicting.predict(layout.params.tree(params), layout.buffers.tree(buffers), inputs, samples)
        note_predict("", **given)  # not of a model that was given too little, and is traced again
        return unspared(outputs)

    return _Jitted(compiled(loss, devices, 3, static=(6,)), compiled(predict, devices, 2))


def _slot_paths(parts: tuple[Part, ...], inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """{name: paths} of the slots of the phases' transforms."""
    paths: dict[str, tuple[str, ...]] = {}
    for path in first_slots(parts, inventory):
        _, name, tail = path.split("/", 2)
        paths[name] = (*paths.get(name, ()), tail)
    return paths
