"""The array operations of `fkit.array.ops`, on torch tensors."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from fkit.array.ops import Words
from fkit.backend.torch.fleet import mean_of
from fkit.backend.torch.pick import TorchPick

__all__ = ["Torch"]

_MASK = 0xFFFFFFFF
# one kernel for many tensors; torch's stubs do not list these
_all: Any = torch


@dataclass(frozen=True, slots=True)
class Torch(TorchPick):
    """torch multiplies no uint32: words are int32 of the same bits, whose arithmetic wraps alike.

    Attributes:
        device: where new arrays are made.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> from fkit.array.random import bits, key
        >>> ours = bits(Torch(), key(0, "x"), 5, (3,)).numpy().view("uint32")
        >>> bool((ours == bits(Numpy(), key(0, "x"), 5, (3,))).all())
        True
    """

    device: Any = "cpu"

    @property
    def name(self) -> str:
        return "torch"

    def word(self, value: int) -> Words:
        value &= _MASK
        return value - (1 << 32) if value >> 31 else value

    def words(self, start: Words, shape: Sequence[int]) -> Words:
        count = prod(shape)
        if count < 1 << 31:
            counters = torch.arange(count, dtype=torch.int32, device=self.device)
        else:
            counters = torch.arange(count, device=self.device).to(torch.int32)
        first = self.word(start) if isinstance(start, int) else start
        return (counters if isinstance(first, int) and first == 0 else counters.add_(first)).view(tuple(shape))

    def mul(self, a: Words, b: Words) -> Words:
        return a * b

    def add(self, a: Words, b: Words) -> Words:
        return a + b

    def xor(self, a: Words, b: Words) -> Words:
        return a ^ b

    def shr(self, a: Words, n: int) -> Words:
        return (a >> n) & (_MASK >> n)

    def unit(self, a: Words) -> Any:
        return self.shr(a, 8).to(torch.float32) * 2.0**-24

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        norms = torch.stack(_all._foreach_norm(list(arrays), order))
        return torch.linalg.vector_norm(norms, order)

    def at_most(self, a: Any, limit: float) -> Any:
        return torch.clamp(a, max=limit)

    def greatest(self, a: Any, b: Any) -> Any:
        return torch.maximum(a, b)

    def sign(self, a: Any) -> Any:
        return torch.sign(a)

    def scaled(self, arrays: Sequence[Any], factor: Any) -> list[Any]:
        return list(_all._foreach_mul(list(arrays), factor))

    def clipped(self, arrays: Sequence[Any], low: float, high: float) -> list[Any]:
        return list(_all._foreach_clamp_max(_all._foreach_clamp_min(list(arrays), low), high))

    def added(self, arrays: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        return list(_all._foreach_add(list(arrays), list(others)))

    def mixed(self, arrays: Sequence[Any], others: Sequence[Any], weight: Any, reuse: bool = False) -> Sequence[Any]:
        if weight == 1 or weight == 0:
            return [b.clone() for b in (others if weight else arrays)]
        if reuse:
            _all._foreach_lerp_(arrays, others, weight)
            return arrays
        return list(_all._foreach_lerp(arrays, others, weight))

    def zeros(self, arrays: Sequence[Any]) -> list[Any]:
        return [torch.zeros_like(array) for array in arrays]

    def select(self, condition: Any, arrays: Sequence[Any], others: Sequence[Any]) -> Sequence[Any]:
        if isinstance(condition, torch.Tensor):
            return [torch.where(condition, a, b) for a, b in zip(arrays, others, strict=True)]
        return arrays if condition else others

    def finite(self, a: Any) -> Any:
        return torch.isfinite(a)

    def both(self, a: Any, b: Any) -> Any:
        return a & b if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor) else bool(a and b)

    def resized(self, images: Any, size: tuple[int, int]) -> Any:
        return torch.nn.functional.interpolate(images, size=size, mode="bilinear", align_corners=False)

    def flipped(self, a: Any, axes: Sequence[int]) -> Any:
        return torch.flip(a, tuple(axes))

    def shared(self, a: Any) -> Any:
        return mean_of(a)

    def softmax(self, a: Any, axis: int) -> Any:
        return torch.softmax(a, axis)

    def sigmoid(self, a: Any) -> Any:
        return torch.sigmoid(a)

    def argmax(self, a: Any, axis: int) -> Any:
        return torch.argmax(a, axis)

    def width(self, arrays: Sequence[Any]) -> AbstractContextManager[Any]:
        return nullcontext()
