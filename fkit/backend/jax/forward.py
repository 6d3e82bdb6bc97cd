"""A flax module as pure functions of flat tuples of arrays: losses, predictions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from fkit.array.random import fold, tag
from fkit.backend.jax.blueprint import Blueprint, Graph, Site, cast_inputs
from fkit.backend.jax.ops import JaxOps
from fkit.training.loss import numbers_of
from fkit.training.preprocess import Preprocess
from fkit.tree.error import FkitValueError

__all__ = ["Forward", "Prepare", "number"]

Words = tuple[Any, Any]
Prepare = Callable[[Any, Any, Words | None, bool], tuple[Any, Any]]


@dataclass(frozen=True)
class Forward:
    """The model's passes, traced by a program's jitted functions.

    Attributes:
        module: the flax module.
        plan: what it holds.
        compute: the type that it computes in.
        masks: "counter" or "backend", see `fkit.training.spec.Spec`.
    """

    module: nn.Module | Graph
    plan: Blueprint
    compute: Any
    masks: str

    def losses(
        self,
        params: Mapping[str, Any],
        buffers: Mapping[str, Any],
        inputs: Any,
        samples: Any,
        words: Words,
        train: bool,
        mode: str = "loss",
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The model's losses, each one number, and the new buffers (the same ones when not training)."""
        variables = self._variables(params, buffers, words if train else None)
        inputs, samples = cast_inputs(inputs, self.compute), self._targets(samples)
        if not train:
            losses = self.module.apply(variables, inputs, samples, mode=mode, train=False)
            return numbers_of(losses, number), dict(buffers)
        changing = sorted({site.collection for site in self.plan.buffers if site.collection})
        losses, changed = self.module.apply(
            variables, inputs, samples, mode=mode, train=True, mutable=changing, rngs={"params": _generator(words)}
        )
        return numbers_of(losses, number), self._buffers(buffers, changed)

    def predict(self, params: Mapping[str, Any], buffers: Mapping[str, Any], inputs: Any, samples: Any) -> Any:
        """Outputs of mode="predict"."""
        variables = self._variables(params, buffers, None)
        inputs, samples = cast_inputs(inputs, self.compute), self._targets(samples)
        return self.module.apply(variables, inputs, samples, mode="predict", train=False)

    def preparing(self, preprocess: Preprocess | None) -> Prepare | None:
        """``(inputs, samples, words, train)`` -> what the model takes; None where a batch passes nothing first."""
        if preprocess is None:
            return None
        wide = jnp.promote_types(self.compute, jnp.float32)  # normalised in full precision

        def prepare(inputs: Any, samples: Any, words: Words | None, train: bool) -> tuple[Any, Any]:
            xp = JaxOps()
            mine = None if words is None else fold(xp, words, xp.word(tag("preprocess")))
            return preprocess(xp, cast_inputs(inputs, wide), self._targets(samples), mine, train)

        return prepare

    def _targets(self, samples: Any) -> Any:
        """Targets of any float type in the type of the parameters."""
        dtype = jnp.promote_types(self.compute, jnp.float32)

        def cast(array: Any) -> Any:
            array = jnp.asarray(array)
            return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array

        return jax.tree.map(cast, samples)

    def _variables(self, params: Mapping[str, Any], buffers: Mapping[str, Any], words: Words | None) -> dict[str, Any]:
        flat: dict[tuple[str, ...], Any] = {}
        for site in self.plan.params:
            value = params[site.name]
            flat[(site.collection, *site.path)] = value.astype(self.compute) if site.computes else value
        for site in self.plan.buffers:
            if site.collection:
                flat[(site.collection, *site.path)] = buffers[site.name]
        if words is not None and self.masks == "counter":
            for path, name in self.plan.masks:
                flat[("random", *path)] = jnp.stack(fold(JaxOps(), words, JaxOps().word(name)))
        return traverse_util.unflatten_dict(flat)

    def _buffers(self, buffers: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
        flat: Any = traverse_util.flatten_dict({name: dict(tree) for name, tree in changed.items()})

        def value(site: Site) -> Any:
            value = buffers[site.name]
            if not site.collection:  # torch's counter, of a layer of flax that has none
                return value + 1
            after = flat.get((site.collection, *site.path), value)
            if after.shape != value.shape:
                raise FkitValueError(
                    f"the model's buffer {site.name!r} has shape {value.shape}; the model assigns one of shape {after.shape}.",
                    repair="A buffer keeps its shape, so that it can be saved and resumed.",
                )
            return after.astype(value.dtype)

        return {site.name: value(site) for site in self.plan.buffers}


def _generator(words: Words) -> Any:
    """flax's own generator for a step: of layers that the kit does not know, and of masks="backend"."""
    return jax.random.wrap_key_data(jnp.stack(words), impl="threefry2x32")


def number(value: Any) -> Any:
    """An array, or a Python number, as a 0-d array of the parameters' type or wider: the mean; None of anything else."""
    if not isinstance(value, (jax.Array, np.ndarray, np.generic, int, float)):
        return None
    value = jnp.asarray(value)
    return value.astype(jnp.promote_types(value.dtype, jnp.float32)).mean()
