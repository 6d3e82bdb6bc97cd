"""Losses that remember: their state as a module's buffers."""

import copy
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fkit.array.ops import Ops
from fkit.detection.loss.memory import RememberingLoss

__all__ = ["Memory", "remembering"]

T = TypeVar("T")


class Memory(nn.Module):
    """A loss and its state, which a call in training brings forward. What else the loss has, is asked of it.

    Args:
        loss: of which kind.
    """

    takes_ops = True

    def __init__(self, loss: RememberingLoss) -> None:
        super().__init__()
        object.__setattr__(self, "kept", loss)
        self.names = tuple(loss.initial())
        for name, value in loss.initial().items():
            self.register_buffer(name, torch.tensor(value))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["kept"], name)

    def forward(
        self,
        xp: Ops,
        pred: Tensor,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
    ) -> Any:
        state = {name: getattr(self, name) for name in self.names}
        value, after = self.kept.step(xp, state, pred, target, weight, avg_factor, reduction_override)
        if self.training:
            with torch.no_grad():
                for name in self.names:
                    if after[name] is not state[name]:
                        state[name].copy_(after[name])
        return value


def remembering(module: nn.Module, logic: T) -> T:
    """A head's logic whose losses that remember are modules of the head, by the names of its fields; else as it is."""
    losses = {
        one.name: Memory(getattr(logic, one.name))
        for one in fields(logic)  # pyright: ignore[reportArgumentType]
        if isinstance(getattr(logic, one.name), RememberingLoss)
    }
    if not losses:
        return logic
    minded = copy.copy(logic)
    for name, loss in losses.items():
        module.add_module(name, loss)
        object.__setattr__(minded, name, loss)
    return minded
