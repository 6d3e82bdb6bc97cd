"""The kit's structures as JAX pytrees; done once, when the room is opened."""

from typing import Any

import jax
from frozendict import frozendict

from fkit.backend.jax.border import Held
from fkit.backend.jax.named import Named, Names
from fkit.structures import PYTREES, Batch, DataElement, from_parts, tree_parts
from fkit.structures.batch import batch_of
from fkit.training.state import TrainState

__all__ = ["register"]


def register() -> None:
    """Register frozendict, `Named`, TrainState, Batch and the structures that `fkit.structures` names in ``PYTREES``."""
    jax.tree_util.register_pytree_with_keys(frozendict, _items, _frozen, _values)
    jax.tree_util.register_pytree_node(TrainState, lambda state: (state.parts, None), lambda _, parts: _state(parts))
    jax.tree_util.register_pytree_node(
        Batch, lambda batch: ((batch.inputs, batch.targets, batch.valid), None), lambda _, parts: batch_of(parts)
    )
    jax.tree_util.register_pytree_with_keys(
        Named, _named, lambda names, arrays: Named(names, tuple(arrays)), lambda tree: (tree.arrays, tree.names)
    )
    # no leaf: what it stands for is not on the device
    jax.tree_util.register_pytree_node(Held, lambda held: ((), held), lambda held, _: held)
    for cls in PYTREES:
        jax.tree_util.register_pytree_with_keys(cls, _keyed, from_parts, tree_parts)


def _keyed(element: DataElement) -> tuple[Any, Any]:
    leaves, aux = tree_parts(element)
    return tuple((jax.tree_util.GetAttrKey(name), leaf) for name, leaf in zip(aux.names, leaves, strict=True)), aux


def _named(tree: Named) -> tuple[Any, Names]:
    return tuple(
        (jax.tree_util.DictKey(name), array) for name, array in zip(tree.names.order, tree.arrays, strict=True)
    ), tree.names


def _state(parts: Any) -> TrainState:
    return TrainState(*parts)


def _values(tree: "frozendict[Any, Any]") -> tuple[Any, Any]:
    keys = tuple(sorted(tree))
    return tuple(tree[key] for key in keys), keys


def _items(tree: "frozendict[Any, Any]") -> tuple[Any, Any]:
    keys = tuple(sorted(tree))
    return tuple((jax.tree_util.DictKey(key), tree[key]) for key in keys), keys


def _frozen(keys: Any, values: Any) -> "frozendict[Any, Any]":
    return frozendict(zip(keys, values, strict=True))
