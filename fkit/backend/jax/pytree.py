"""The kit's structures as JAX pytrees; done once, when the room is opened."""

import importlib
from typing import Any

import jax
from frozendict import frozendict

from fkit.structures.batch import Batch
from fkit.train.program import TrainState

__all__ = ["register"]


def register() -> None:
    """Register frozendict, TrainState, Batch and the structures that `fkit.structures` names in ``PYTREES``."""
    jax.tree_util.register_pytree_with_keys(frozendict, _items, _frozen, _values)
    jax.tree_util.register_pytree_node(TrainState, lambda state: (state.parts, None), lambda _, parts: _state(parts))
    jax.tree_util.register_pytree_node(
        Batch, lambda batch: ((batch.inputs, batch.targets, batch.valid), None), lambda _, parts: Batch(*parts)
    )
    for cls in getattr(importlib.import_module("fkit.structures"), "PYTREES", ()):
        jax.tree_util.register_pytree_node(cls, cls.tree_flatten, cls.tree_unflatten)


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
