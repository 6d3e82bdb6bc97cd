"""Optimizers whose update is written once for both backends, as jit traces them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from fkit.backend.jax.ops import JaxOps
from fkit.training.law import Law
from fkit.training.lawful import Lawful
from fkit.training.optimizer import Optimizer

__all__ = ["lawful"]

Params = Mapping[str, Any]
Slots = dict[str, dict[str, Any]]


def lawful(
    law: Law, optimizer: Optimizer, groups: tuple[tuple[str, ...], ...]
) -> tuple[Callable[[Params], Slots], Callable[..., Any]]:
    """An optimizer's (init, step), as `fkit.backend.jax.optimizer.Update` has them.

    Args:
        groups: the parameters of each setting.
    """
    xp, rule = JaxOps(), Lawful.of(law, optimizer, groups)

    def init(params: Params) -> Slots:
        return rule.fresh(params, jnp.full_like, lambda _, value: jnp.full((), value, jnp.float32))

    def step(
        grads: Params, slots: Mapping[str, Params], params: Params, numbers: Any, resting: bool = True
    ) -> tuple[dict[str, Any], Slots]:
        del resting
        moved, slots_out = dict(params), {slot: dict(slots[slot]) for slot in rule.order}
        for [name], param, after in rule.moves(xp, _alone, _one, _wide, params, grads, slots, numbers):
            moved[name] = param.astype(params[name].dtype)
            for slot, value in after.items():
                slots_out[slot][name] = value.astype(slots[slot][name].dtype)
        return moved, slots_out

    return init, step


def _alone(names: Sequence[str], params: Params) -> Iterator[Sequence[str]]:
    """A call each: what is compiled has no calls."""
    return ([name] for name in names)


def _one(arrays: Sequence[Any]) -> Any:
    return arrays[0]


def _wide(step: Any) -> Any:
    return step.astype(jnp.result_type(float))
