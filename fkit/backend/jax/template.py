"""The tree of a program's state: what it holds, and in which order its arrays go through jit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from frozendict import frozendict
from jax.core import Tracer

from fkit.backend.jax.blueprint import Blueprint
from fkit.backend.jax.named import Named, Names
from fkit.backend.jax.naming import to_flax
from fkit.backend.jax.optimizer import Update
from fkit.training.inventory import Inventory
from fkit.training.state import Hyperparams
from fkit.tree.frozen import EMPTY

__all__ = ["Slot", "Template", "raised", "template"]

Reach = Callable[[Names, Mapping[str, Any]], tuple[Any, ...]]

_NO_SLOTS = Named(Names(()), ())


class Slot(NamedTuple):
    """One slot of an optimizer.

    Attributes:
        optimizer, slot: its names.
        names: of the parameters that have it.
        lazy: "", or the hyperparameter that was raised from 0 where the slot is there.
    """

    optimizer: str
    slot: str
    names: Names
    lazy: str


@dataclass(frozen=True, eq=False)
class Template:
    """The tree of a program's state. Through jit go flat tuples of its arrays, in the order that is fixed here.

    Attributes:
        inventory: of the model.
        params, buffers: names, in order.
        dtypes: {name: dtype} on the device.
        layouts: {name: layout}.
        opt: the optimizers' slots, in order.
        shapes: {(optimizer, slot, name): shape and dtype}.
        sizes: {name: shape}, in flax's layout.
        fresh: params -> {optimizer: {slot: {name: array}}}.
        optimizers: their names, each with those of its slots and their places in ``opt``.
        slots: {name: paths} of the phases' transforms, and of what follows the weights.
    """

    inventory: Inventory
    params: Names
    buffers: Names
    dtypes: Mapping[str, Any]
    layouts: Mapping[str, str]
    opt: tuple[Slot, ...]
    shapes: Mapping[tuple[str, str, str], Any]
    sizes: Mapping[str, tuple[int, ...]]
    fresh: Callable[[Mapping[str, Any]], dict[str, Any]]
    optimizers: tuple[Names, tuple[tuple[Names, int, int], ...]]
    slots: tuple[tuple[str, Names], ...]

    def flat_opt(
        self,
        opt: Mapping[str, Any],
        reach: Reach = Names.pick,
        params: Mapping[str, Any] = EMPTY,
        hyperparams: Hyperparams = EMPTY,
    ) -> tuple[Any, ...]:
        """The slots as tuples; None is a lazy one that is not there.

        Args:
            reach: `Names.pick`, or `Names.take` for a step that uses the arrays up.
            params, hyperparams: of the step to come: a lazy slot whose number they raise begins as zeros, so that its
                first step moves by the gradient alone, as torch's does.
        """
        return tuple(
            [
                reach(row.names, opt[row.optimizer][row.slot])
                if not row.lazy or row.slot in opt[row.optimizer]
                else tuple(jnp.zeros_like(params[name]) for name in row.names.order)
                if raised(hyperparams.get(row.lazy))
                else None
                for row in self.opt
            ]
        )

    def tree_opt(self, flat: Any) -> dict[str, Any]:
        """The inverse of `flat_opt`, as dicts."""
        tree: dict[str, Any] = {name: {} for name in self.optimizers[0].order}
        for row, arrays in zip(self.opt, flat, strict=True):
            if arrays is not None:
                tree[row.optimizer][row.slot] = row.names.tree(arrays)
        return tree

    def named_opt(self, flat: Any) -> Named:
        """The inverse of `flat_opt`, as a state has it."""
        names, rows = self.optimizers
        return Named(
            names,
            tuple(
                [
                    _NO_SLOTS
                    if start == stop or flat[start] is None
                    else Named(slots, tuple([Named(self.opt[i].names, flat[i]) for i in range(start, stop)]))
                    for slots, start, stop in rows
                ]
            ),
        )

    def flat_slots(self, slots: Mapping[str, Any], reach: Reach = Names.pick) -> tuple[Any, ...]:
        """The slots as tuples."""
        return tuple([reach(paths, slots[name]) for name, paths in self.slots])

    def tree_slots(self, flat: Any) -> dict[str, dict[str, Any]]:
        """The inverse of `flat_slots`, as dicts."""
        return {name: paths.tree(arrays) for (name, paths), arrays in zip(self.slots, flat, strict=True)}

    def named_slots(self, slots: Mapping[str, Any], flat: Any) -> Mapping[str, Any]:
        """A state's slots with those of the layout changed."""
        if not flat:
            return slots
        changed = {name: Named(paths, arrays) for (name, paths), arrays in zip(self.slots, flat, strict=True)}
        return frozendict({**slots, **changed})


def template(
    plan: Blueprint,
    updates: Mapping[str, tuple[Update, tuple[str, ...]]],
    slots: Mapping[str, tuple[str, ...]] = frozendict(),
) -> Template:
    """The tree of the state of a model under its optimizers. Under float64, called inside JAX's x64 context.

    Args:
        updates: {optimizer: its update, and the names of what it moves}.
        slots: {name: paths} of the phases' transforms.
    """
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

    opt: list[Slot] = []
    place_of = {site.name: i for i, site in enumerate(plan.params)}

    def noted(params: Mapping[str, Any]) -> dict[str, Any]:
        states = fresh(params)
        # noted here, for what tracing gives back is in alphabetical order
        for name, held in states.items():
            prefix = f"{name}." if len(updates) > 1 else ""
            numbers = {slot: prefix + number for slot, number in updates[name][0].lazy}
            states[name] = held = {**{slot: {key: params[key] for key in updates[name][1]} for slot in numbers}, **held}
            opt.extend(
                Slot(name, slot, Names(tuple(sorted(members, key=place_of.__getitem__))), numbers.get(slot, ""))
                for slot, members in held.items()
            )
        return states

    shapes = jax.eval_shape(noted, {site.name: flax[site.name] for site in plan.params})
    starts = [[i for i, row in enumerate(opt) if row.optimizer == name] for name in updates]
    rows = tuple(
        (Names(tuple(opt[i].slot for i in places)), places[0] if places else 0, places[-1] + 1 if places else 0)
        for places in starts
    )
    return Template(
        plan.inventory,
        Names(tuple(site.name for site in plan.params)),
        Names(tuple(site.name for site in plan.buffers)),
        frozendict(dtypes),
        frozendict(layouts),
        tuple(opt),
        frozendict(
            {(r.optimizer, r.slot, key): shapes[r.optimizer][r.slot][key] for r in opt for key in r.names.order}
        ),
        frozendict({name: one.shape for name, one in flax.items()}),
        fresh,
        (Names(tuple(updates)), rows),
        tuple((name, Names(paths)) for name, paths in slots.items()),
    )


def raised(number: Any) -> bool:
    """Whether a hyperparameter is not 0; one that is traced may be anything."""
    return number is not None and (isinstance(number, Tracer) or bool(np.any(number)))


def _on_device(dtype: str) -> Any:
    return jnp.int32 if dtype == "int64" else jnp.dtype(dtype)
