"""Losses that remember: their state as a module's variables."""

import copy
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import jax.numpy as jnp
from flax import linen as nn

from fkit.array.ops import Ops
from fkit.detection.loss.memory import RememberingLoss

__all__ = ["Memory", "memories", "minded", "remembered"]

T = TypeVar("T")


class Memory(nn.Module):
    """A loss and its state, which a call in training brings forward. What else the loss has, is asked of it.

    Attributes:
        kept: the loss.
    """

    kept: RememberingLoss
    takes_ops = True

    def setup(self) -> None:
        self.state = {
            name: self.variable("batch_stats", name, jnp.asarray, value) for name, value in self.kept.initial().items()
        }

    def begin(self) -> None:
        """Makes the state, where a model is initialised without a loss."""

    def __call__(
        self,
        xp: Ops,
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
    ) -> Any:
        state = {name: one.value for name, one in self.state.items()}
        value, after = self.kept.step(xp, state, pred, target, weight, avg_factor, reduction_override)
        if self.is_mutable_collection("batch_stats"):
            for name, one in self.state.items():
                one.value = after[name]
        return value

    def get_cls_channels(self, num_classes: int) -> int:
        """See the loss."""
        return self._asked("get_cls_channels")(num_classes)

    def get_activation(self, xp: Ops, scores: Any) -> Any:
        """See the loss."""
        return self._asked("get_activation")(xp, scores)

    def get_accuracy(self, xp: Ops, scores: Any, labels: Any, valid: Any = None) -> Any:
        """See the loss."""
        return self._asked("get_accuracy")(xp, scores, labels, valid)

    @property
    def custom_cls_channels(self) -> bool:
        """See the loss."""
        return getattr(self.kept, "custom_cls_channels", False)

    @property
    def custom_activation(self) -> bool:
        """See the loss."""
        return getattr(self.kept, "custom_activation", False)

    def _asked(self, name: str) -> Any:
        return getattr(self.kept, name)


def remembered(logic: Any) -> tuple[str, ...]:
    """The fields of a head's logic that are losses which remember."""
    return tuple(one.name for one in fields(logic) if isinstance(getattr(logic, one.name), RememberingLoss))


def memories(logic: Any) -> Mapping[str, Memory]:
    """A module for each loss of a head's logic that remembers, by the name of its field."""
    return {name: Memory(getattr(logic, name)) for name in remembered(logic)}


def minded(logic: T, head: Any) -> T:
    """A head's logic with the head's modules in place of its losses that remember."""
    names = remembered(logic)
    if not names:
        return logic
    new = copy.copy(logic)
    for name in names:
        object.__setattr__(new, name, getattr(head, name))
    return new
