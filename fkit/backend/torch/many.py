"""Many tensors in the place of one: the arithmetic of an update, in one call for all of a group's parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fkit.backend.torch.ops import Torch

__all__ = ["Many", "ManyOps"]

# one kernel for many tensors; torch's stubs do not list these
_all: Any = torch


class Many:
    """A list of tensors, in arithmetic as one is: with a number, with one 0-d tensor, or with as many others, pair by pair.

    Example:
        >>> weights, rates = Many([torch.ones(2), torch.ones(3)]), Many([torch.tensor(2.0), torch.tensor(4.0)])
        >>> [one.tolist() for one in (rates * weights - 1).tensors]
        [[1.0, 1.0], [3.0, 3.0, 3.0]]
    """

    __slots__ = ("tensors",)

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = tensors

    def __add__(self, other: Any) -> "Many":
        return Many(_all._foreach_add(self.tensors, _plain(other)))

    def __sub__(self, other: Any) -> "Many":
        return Many(_all._foreach_sub(self.tensors, _plain(other)))

    def __mul__(self, other: Any) -> "Many":
        return Many(_all._foreach_mul(self.tensors, _plain(other)))

    def __truediv__(self, other: Any) -> "Many":
        return Many(_all._foreach_div(self.tensors, _plain(other)))

    def __pow__(self, other: float) -> "Many":
        return Many(_all._foreach_sqrt(self.tensors) if other == 0.5 else _all._foreach_pow(self.tensors, other))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> "Many":
        return Many(_all._foreach_add(_all._foreach_neg(self.tensors), other))

    def __rtruediv__(self, other: float) -> "Many":
        return self.at_once(lambda one: other / one)

    def __rpow__(self, other: float) -> "Many":
        return Many(_all._foreach_pow(other, self.tensors))

    def __abs__(self) -> "Many":
        return Many(_all._foreach_abs(self.tensors))

    def __gt__(self, other: float) -> "Many":
        return self.at_once(lambda one: one > other)

    def __lt__(self, other: float) -> "Many":
        return self.at_once(lambda one: one < other)

    def __and__(self, other: "Many") -> "Many":
        return self.at_once(torch.logical_and, other)

    def at_once(self, act: Callable[..., Tensor], *others: "Many") -> "Many":
        """What acts element by element, on 0-d tensors all at once."""
        columns = [self.tensors, *(other.tensors for other in others)]
        if all(one.ndim == 0 for column in columns for one in column):
            return Many(act(*(torch.stack(list(column)) for column in columns)).unbind())
        return Many([act(*row) for row in zip(*columns, strict=True)])


@dataclass(frozen=True, slots=True)
class ManyOps(Torch):
    """The operations of a law, on `Many` tensors or on one."""

    @property
    def in_rows(self) -> bool:
        """Whether a group's parameters may be taken a few at once."""
        return True

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        """Of one `Many` the norm of each of its tensors."""
        first = arrays[0]
        return (
            Many(_all._foreach_norm(first.tensors, order))
            if isinstance(first, Many)
            else Torch.norm(self, arrays, order)
        )

    def at_most(self, a: Any, limit: float) -> Any:
        return Many(_all._foreach_clamp_max(a.tensors, limit))

    def greatest(self, a: Any, b: Any) -> Any:
        if isinstance(a, Many):
            return Many(_all._foreach_maximum(a.tensors, b.tensors))
        return Torch.greatest(self, a, b)

    def sign(self, a: Any) -> Any:
        return Many(_all._foreach_sign(a.tensors))

    def select(self, condition: Any, arrays: Sequence[Any], others: Sequence[Any]) -> Sequence[Any]:
        if not isinstance(condition, Many):
            return arrays if condition else others
        return [condition.at_once(torch.where, a, b) for a, b in zip(arrays, others, strict=True)]


def _plain(other: Any) -> Any:
    return other.tensors if isinstance(other, Many) else other
