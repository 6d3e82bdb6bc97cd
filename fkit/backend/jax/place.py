"""States from host arrays in torch's layout and back, exactly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.backend.jax.blueprint import Blueprint
from fkit.backend.jax.naming import to_flax, to_torch
from fkit.backend.jax.optimizer import Update
from fkit.training.inventory import Inventory
from fkit.training.phase import check_slots
from fkit.training.state import Arrays, TrainState

__all__ = ["Template", "collect", "place", "template"]


@dataclass(frozen=True, eq=False)
class Template:
    """The tree of a program's state, and how to walk it quickly.

    Attributes:
        inventory: of the model.
        params, buffers: names, in order.
        dtypes: {name: dtype} on the device.
        layouts: {name: layout}.
        opt: ((optimizer, slot, names), ...), in order.
        shapes: {(optimizer, slot, name): shape and dtype}.
        sizes: {name: shape}, in flax's layout.
        fresh: params -> {optimizer: {slot: {name: array}}}.
    """

    inventory: Inventory
    params: tuple[str, ...]
    buffers: tuple[str, ...]
    dtypes: Mapping[str, Any]
    layouts: Mapping[str, str]
    opt: tuple[tuple[str, str, tuple[str, ...]], ...]
    shapes: Mapping[tuple[str, str, str], Any]
    sizes: Mapping[str, tuple[int, ...]]
    fresh: Callable[[Mapping[str, Any]], dict[str, Any]]
    pick_params: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    pick_buffers: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    pickers: tuple[Callable[[Mapping[str, Any]], tuple[Any, ...]], ...]
    optimizers: tuple[str, ...]

    def pick_opt(self, opt: Mapping[str, Any]) -> tuple[Any, ...]:
        """The slots as tuples, for jit."""
        return tuple(pick(opt[name][slot]) for (name, slot, _), pick in zip(self.opt, self.pickers, strict=True))

    def tree_opt(self, flat: Any) -> dict[str, Any]:
        """The inverse of `pick_opt`, as dicts."""
        tree: dict[str, Any] = {name: {} for name in self.optimizers}
        for (name, slot, names), values in zip(self.opt, flat, strict=True):
            tree[name][slot] = dict(zip(names, values, strict=True))
        return tree

    def flat_opt(self, opt: Mapping[str, Any]) -> tuple[Any, ...]:
        """`pick_opt`, while tracing."""
        return tuple(tuple(opt[name][slot][key] for key in names) for name, slot, names in self.opt)

    def wrap_opt(self, flat: Any) -> Mapping[str, Any]:
        """The inverse of `pick_opt`, frozen."""
        tree: dict[str, dict[str, Any]] = {name: {} for name in self.optimizers}
        for (name, slot, names), values in zip(self.opt, flat, strict=True):
            tree[name][slot] = frozendict(zip(names, values, strict=True))
        return frozendict({name: frozendict(slots) for name, slots in tree.items()})


def template(plan: Blueprint, updates: Mapping[str, tuple[Update, tuple[str, ...]]]) -> Template:
    """The tree of the state of a model under its optimizers. Under float64, called inside JAX's x64 context."""
    sites = (*plan.params, *plan.buffers)
    dtypes = {entry.name: _on_device(entry.dtype) for entry in plan.inventory.entries}
    layouts = {site.name: site.layout for site in sites}
    flax = {
        entry.name: jax.ShapeDtypeStruct(
            to_flax(np.broadcast_to(np.False_, entry.shape), layouts[entry.name]).shape, dtypes[entry.name]
        )
        for entry in plan.inventory.entries
    }

    def fresh(params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: rule.init({key: params[key] for key in names}) for name, (rule, names) in updates.items()}

    opt: list[tuple[str, str, tuple[str, ...]]] = []
    place_of = {site.name: i for i, site in enumerate(plan.params)}

    def noted(params: Mapping[str, Any]) -> dict[str, Any]:
        states = fresh(params)
        # noted here, for what tracing gives back is in alphabetical order
        for name, slots in states.items():
            opt.extend(
                (name, slot, tuple(sorted(members, key=place_of.__getitem__))) for slot, members in slots.items()
            )
        return states

    shapes = jax.eval_shape(noted, {site.name: flax[site.name] for site in plan.params})
    params, buffers = tuple(site.name for site in plan.params), tuple(site.name for site in plan.buffers)
    return Template(
        plan.inventory,
        params,
        buffers,
        frozendict(dtypes),
        frozendict(layouts),
        tuple(opt),
        frozendict({(name, slot, key): shapes[name][slot][key] for name, slot, names in opt for key in names}),
        frozendict({name: one.shape for name, one in flax.items()}),
        fresh,
        _picker(params),
        _picker(buffers),
        tuple(_picker(names) for _, _, names in opt),
        tuple(updates),
    )


def place(template: Template, arrays: Arrays, device: Any) -> TrainState:
    """A state of host arrays; see `fkit.training.program.Parts`. Copies: what JAX donates is never the caller's."""
    parts: dict[str, dict[str, Any]] = {"params": {}, "buffers": {}, "opt": {}, "slots": {}}
    for path, array in arrays.items():
        kind, _, tail = path.partition("/")
        if tail:
            parts[kind][tail] = array

    def put(array: Any, dtype: Any, layout: str) -> Any:
        value = jnp.array(np.asarray(to_flax(np.asarray(array), layout), order="C"), dtype=dtype, copy=True)
        return value if device is None else jax.device_put(value, device)

    def named(kind: str, names: tuple[str, ...]) -> Any:
        return frozendict(
            {name: put(parts[kind][name], template.dtypes[name], template.layouts[name]) for name in names}
        )

    params, buffers = named("params", template.params), named("buffers", template.buffers)
    if parts["opt"]:
        opt = template.wrap_opt(_restored_slots(template, parts["opt"], put))
    else:
        fresh = template.fresh(params)
        opt = template.wrap_opt(
            tuple(tuple(fresh[name][slot][key] for key in names) for name, slot, names in template.opt)
        )
        opt = opt if device is None else jax.device_put(opt, device)
    slots: dict[str, dict[str, Any]] = {}
    for tail, array in parts["slots"].items():
        name, _, path = tail.partition("/")
        slots.setdefault(name, {})[path] = put(array, None, _slot_layout(template, path, array))
    return TrainState(
        params,
        buffers,
        opt,
        frozendict({name: frozendict(tree) for name, tree in slots.items()}),
        np.int64(arrays["iteration"]),
        put(np.asarray(arrays["updates"]), jnp.int32, "same"),
        put(np.asarray(arrays["key"]), jnp.uint32, "same"),
    )


def collect(template: Template, state: TrainState) -> dict[str, NDArray[Any]]:
    """The arrays of a state on the host, in torch's layout; see `fkit.training.program.Parts`."""
    entries: dict[str, tuple[Any, str]] = {}
    for name in template.params:
        entries[f"params/{name}"] = (state.params[name], template.layouts[name])
    for name in template.buffers:
        entries[f"buffers/{name}"] = (state.buffers[name], template.layouts[name])
    for optimizer, slot, names in template.opt:
        for name in names:
            layout = (
                template.layouts[name]
                if template.shapes[optimizer, slot, name].shape == template.sizes[name]
                else "same"
            )
            entries[f"opt/{optimizer}/{slot}/{name}"] = (state.opt[optimizer][slot][name], layout)
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


def _restored_slots(
    template: Template, arrays: Mapping[str, Any], put: Callable[..., Any]
) -> tuple[tuple[Any, ...], ...]:
    whole = {entry.name: tuple(entry.shape) for entry in template.inventory.entries}

    def shape_of(name: str, slot: str, key: str) -> tuple[int, ...]:
        shape = template.shapes[name, slot, key].shape
        return whole[key] if shape == template.sizes[key] else shape

    want = {f"{name}/{slot}/{key}": shape_of(name, slot, key) for name, slot, names in template.opt for key in names}
    check_slots(want, arrays)

    def one(name: str, slot: str, key: str) -> Any:
        shape = template.shapes[name, slot, key]
        array = arrays[f"{name}/{slot}/{key}"]
        layout = template.layouts[key] if shape.shape == template.sizes[key] else "same"
        return put(array, shape.dtype, layout)

    return tuple(tuple(one(name, slot, key) for key in names) for name, slot, names in template.opt)


def _slot_layout(template: Template, path: str, array: Any) -> str:
    name = path.rpartition("/")[2]
    return template.layouts.get(name, "same") if np.ndim(array) > 1 else "same"


def _on_device(dtype: str) -> Any:
    return jnp.int32 if dtype == "int64" else jnp.dtype(dtype)


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if not names:
        return lambda tree: ()
    if len(names) == 1:
        return lambda tree: (tree[names[0]],)
    return itemgetter(*names)
