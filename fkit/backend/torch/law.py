"""Optimizers whose update is written once for both backends, on a state's own tensors."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor

from fkit.backend.torch.ops import Torch
from fkit.training.law import Law, Move
from fkit.training.optimizer import Optimizer

__all__ = ["lawful"]

Tensors = Mapping[str, Tensor]
Slots = Mapping[str, Tensors]


def lawful(
    law: Law, optimizer: Optimizer, groups: tuple[tuple[str, ...], ...]
) -> tuple[Callable[[Tensors], Slots], Callable[..., Slots]]:
    """An optimizer's (init, step), as `fkit.backend.torch.optimizer.Update` has them.

    Args:
        groups: the parameters of each setting.
    """
    order, xp = optimizer.slots(), Torch()
    settings = tuple(optimizer.settings(i) for i in range(len(groups)))
    rows = tuple((i, name) for i, group in enumerate(groups) for name in group)

    def fresh(slot: str, param: Tensor, options: Mapping[str, Any]) -> Tensor:
        value = law.start(slot, options)
        if slot == "step":
            return torch.full((), value, dtype=torch.float32, device=param.device)
        return torch.full_like(param, value, memory_format=torch.preserve_format)

    def init(params: Tensors) -> Slots:
        return frozendict(
            {slot: frozendict({name: fresh(slot, params[name], settings[i]) for i, name in rows}) for slot in order}
        )

    def step(params: Tensors, grads: Tensors, slots: Slots, numbers: Any, found: Tensor | None = None) -> Slots:
        norm = xp.norm(list(grads.values()), 2.0) if law.whole else None
        for i, name in rows:
            if name not in grads:
                continue
            tensors = {slot: slots[slot][name] for slot in order}
            # in double: 1 - 0.999 ** step has few digits in single
            wide = {slot: one.double() if slot == "step" else one for slot, one in tensors.items()}
            param, after = law.move(xp, Move(params[name], grads[name], wide, numbers[i], settings[i], norm))
            params[name].copy_(param)
            for slot, value in after.items():
                tensors[slot].copy_(value)
        return slots

    return init, step
