"""States from host arrays in torch's layout and back, exactly."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.backend.jax.mesh import Devices
from fkit.backend.jax.named import Named, Names
from fkit.backend.jax.naming import to_flax, to_torch
from fkit.backend.jax.template import Slot, Template
from fkit.training.phase import check_slots
from fkit.training.state import Arrays, TrainState

__all__ = ["collect", "place"]


def place(template: Template, arrays: Arrays, device: Any, devices: Devices | None = None) -> TrainState:
    """A state of host arrays; see `fkit.training.program.Pieces`. Copies: what JAX donates is never the caller's.

    Args:
        device: where it goes; None is JAX's default.
        devices: in its place, all of which have the state whole.
    """
    home = device if devices is None else devices.first
    parts: dict[str, dict[str, Any]] = {"params": {}, "buffers": {}, "opt": {}, "slots": {}}
    for path, array in arrays.items():
        kind, _, tail = path.partition("/")
        if tail:
            parts[kind][tail] = array

    def sent(value: Any) -> Any:
        if devices is not None:
            return devices.put(value)
        return value if device is None else jax.device_put(value, device)

    def put(array: Any, dtype: Any, layout: str) -> Any:
        value = jnp.array(np.asarray(to_flax(np.asarray(array), layout), order="C"), dtype=dtype, copy=True)
        return sent(value)

    def named(kind: str, names: Names) -> Named:
        held = parts[kind]
        return Named(
            names, tuple(put(held[name], template.dtypes[name], template.layouts[name]) for name in names.order)
        )

    with nullcontext() if home is None else jax.default_device(home):
        params, buffers = named("params", template.params), named("buffers", template.buffers)
        if parts["opt"]:
            opt = _restored(template, parts["opt"], put)
        else:
            fresh = template.flat_opt(template.fresh(params))
            opt = jax.tree.map(sent, fresh)
        slots: dict[str, dict[str, Any]] = {}
        for tail, array in parts["slots"].items():
            name, _, path = tail.partition("/")
            slots.setdefault(name, {})[path] = put(array, None, _slot_layout(template, path, array))
        transforms = {name: Named(paths, paths.pick(slots[name])) for name, paths in template.slots if name in slots}
        return TrainState(
            params,
            buffers,
            template.named_opt(opt),
            frozendict({**{name: frozendict(tree) for name, tree in slots.items()}, **transforms}),
            np.int64(arrays["iteration"]),
            put(np.asarray(arrays["updates"]), jnp.int32, "same"),
            put(np.asarray(arrays["key"]), jnp.uint32, "same"),
        )


def collect(template: Template, state: TrainState) -> dict[str, NDArray[Any]]:
    """The arrays of a state on the host, in torch's layout; see `fkit.training.program.Pieces`."""
    entries: dict[str, tuple[Any, str]] = {}
    for name in template.params.order:
        entries[f"params/{name}"] = (state.params[name], template.layouts[name])
    for name in template.buffers.order:
        entries[f"buffers/{name}"] = (state.buffers[name], template.layouts[name])
    for row, held in zip(template.opt, template.flat_opt(state.opt), strict=True):
        for name, array in zip(row.names.order, held or (), strict=held is not None):
            entries[f"opt/{row.optimizer}/{row.slot}/{name}"] = (array, _opt_layout(template, row, name))
    for slot, tree in state.slots.items():
        for path, array in tree.items():
            entries[f"slots/{slot}/{path}"] = (array, _slot_layout(template, path, array))
    host = jax.device_get([array for array, _ in entries.values()])
    # a copy: what device_get gives may be the device's own memory, which the next step takes over
    answer = {
        path: np.array(to_torch(array, layout), order="C", copy=True)
        for (path, (_, layout)), array in zip(entries.items(), host, strict=True)
    }
    counters = [path for path in answer if path.startswith("buffers/") and answer[path].dtype == np.int32]
    answer.update({path: answer[path].astype(np.int64) for path in counters})
    answer["iteration"] = np.array(state.iteration, np.int64)
    answer["updates"] = np.array(state.updates, np.int64)
    answer["key"] = np.array(state.key, np.uint32)
    return answer


def _restored(template: Template, saved: Mapping[str, Any], put: Callable[..., Any]) -> tuple[Any, ...]:
    """The optimizers' slots of saved ones, as tuples; None is a lazy one that was not there yet."""
    whole = {entry.name: tuple(entry.shape) for entry in template.inventory.entries}
    want: dict[str, tuple[int, ...]] = {}
    lazy: set[str] = set()
    for row in template.opt:
        for name in row.names.order:
            path, shape = f"{row.optimizer}/{row.slot}/{name}", template.shapes[row.optimizer, row.slot, name].shape
            if row.lazy and path not in saved:
                lazy.add(path)
            else:
                want[path] = whole[name] if _opt_layout(template, row, name) != "same" else shape
    check_slots(want, saved, frozenset(lazy))

    def one(row: Slot) -> Any:
        paths = {name: f"{row.optimizer}/{row.slot}/{name}" for name in row.names.order}
        if not lazy.isdisjoint(paths.values()):
            return None
        kinds = {name: template.shapes[row.optimizer, row.slot, name].dtype for name in paths}
        return tuple(put(saved[path], kinds[name], _opt_layout(template, row, name)) for name, path in paths.items())

    return tuple(one(row) for row in template.opt)


def _opt_layout(template: Template, row: Slot, name: str) -> str:
    """A slot shaped as its parameter is laid out as it is."""
    shape = template.shapes[row.optimizer, row.slot, name].shape
    return template.layouts[name] if shape == template.sizes[name] else "same"


def _slot_layout(template: Template, path: str, array: Any) -> str:
    name = path.rpartition("/")[2]
    return template.layouts.get(name, "same") if np.ndim(array) > 1 else "same"
