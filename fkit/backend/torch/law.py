"""Optimizers whose update is written once for both backends, on a state's own tensors, those of a group in one call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor

from fkit.backend.torch.many import Many, ManyOps
from fkit.training.law import Law
from fkit.training.lawful import Lawful
from fkit.training.optimizer import Optimizer

__all__ = ["lawful"]

Tensors = Mapping[str, Tensor]
Slots = Mapping[str, Tensors]

# one kernel for many tensors; torch's stubs do not list these
_all: Any = torch
_ROW = 1 << 14  # elements


def lawful(
    law: Law, optimizer: Optimizer, groups: tuple[tuple[str, ...], ...], xp: ManyOps
) -> tuple[Callable[[Tensors], Slots], Callable[..., Slots]]:
    """An optimizer's (init, step), as `fkit.backend.torch.optimizer.Update` has them.

    Args:
        groups: the parameters of each setting.
        xp: the operations.
    """
    rows = _rows if xp.in_rows else _all_at_once
    rule = Lawful.of(law, optimizer, groups)

    def init(params: Tensors) -> Slots:
        return frozendict({slot: frozendict(row) for slot, row in rule.fresh(params, _full, _number).items()})

    def step(params: Tensors, grads: Tensors, slots: Slots, numbers: Any, found: Tensor | None = None) -> Slots:
        for names, moved, after in rule.moves(xp, rows, Many, _wide, params, grads, slots, numbers):
            _all._foreach_copy_([params[name] for name in names], moved.tensors)
            for slot, value in after.items():
                _all._foreach_copy_([slots[slot][name] for name in names], value.tensors)
        return slots

    return init, step


def _rows(names: Sequence[str], params: Tensors) -> Iterator[Sequence[str]]:
    """On a CPU small parameters together: those of a row fit its cache, all operations of the law over. Else all of them."""
    row, size = list[str](), 0
    for name in names:
        param = params[name]
        if row and size + param.numel() > _ROW and not param.is_cuda:
            yield row
            row, size = [], 0
        row.append(name)
        size += param.numel()
    if row:
        yield row


def _all_at_once(names: Sequence[str], params: Tensors) -> Iterator[Sequence[str]]:
    if names:
        yield names


def _full(param: Tensor, value: float) -> Tensor:
    return torch.full_like(param, value, memory_format=torch.preserve_format)


def _number(param: Tensor, value: float) -> Tensor:
    return torch.full((), value, dtype=torch.float32, device=param.device)


def _wide(steps: Many) -> Many:
    return steps.at_once(Tensor.double)
