"""Optimizers whose update is written once for both backends, as jit traces them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from fkit.backend.jax.ops import JaxOps
from fkit.training.law import Law, Move
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
    order, xp = optimizer.slots(), JaxOps()
    settings = tuple(optimizer.settings(i) for i in range(len(groups)))
    rows = tuple((i, name) for i, group in enumerate(groups) for name in group)

    def fresh(slot: str, param: Any, options: Mapping[str, Any]) -> Any:
        value = law.start(slot, options)
        return jnp.full((), value, jnp.float32) if slot == "step" else jnp.full_like(param, value)

    def init(params: Params) -> Slots:
        return {slot: {name: fresh(slot, params[name], settings[i]) for i, name in rows} for slot in order}

    def step(
        grads: Params, slots: Mapping[str, Params], params: Params, numbers: Any, resting: bool = True
    ) -> tuple[dict[str, Any], Slots]:
        del resting
        norm = xp.norm(list(grads.values()), 2.0) if law.whole else None
        moved, slots_out = dict(params), {slot: dict(slots[slot]) for slot in order}
        widest = jnp.result_type(float)
        for i, name in rows:
            if name not in grads:
                continue
            wide = {slot: slots[slot][name].astype(widest) if slot == "step" else slots[slot][name] for slot in order}
            param, after = law.move(xp, Move(params[name], grads[name], wide, numbers[i], settings[i], norm))
            moved[name] = param.astype(params[name].dtype)
            for slot, value in after.items():
                slots_out[slot][name] = value.astype(slots[slot][name].dtype)
        return moved, slots_out

    return init, step
