"""jax.numpy's instance of the protocol `fkit.array.ops.Ops`; words are uint32."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fkit.array.ops import Words
from fkit.backend.jax.pick import JaxPick

__all__ = ["JaxOps"]


class JaxOps(JaxPick):
    """jax.numpy arrays, concrete or traced.

    Example:
        >>> from fkit.array.random import bits
        >>> from fkit.array.ops import Numpy
        >>> bits(JaxOps(), (1, 2), 0, (3,)).tolist() == bits(Numpy(), (1, 2), 0, (3,)).tolist()
        True
    """

    name = "jax"

    def word(self, value: int) -> Words:
        return jnp.uint32(value & 0xFFFFFFFF)

    def words(self, start: Words, shape: Sequence[int]) -> Words:
        count = int(np.prod(shape, dtype=np.int64))
        first = jnp.uint32(start & 0xFFFFFFFF) if isinstance(start, int) else start
        return (jnp.arange(count, dtype=jnp.uint32) + first).reshape(tuple(shape))

    def mul(self, a: Words, b: Words) -> Words:
        return a * b

    def add(self, a: Words, b: Words) -> Words:
        return a + b

    def xor(self, a: Words, b: Words) -> Words:
        return a ^ b

    def shr(self, a: Words, n: int) -> Words:
        return a >> jnp.uint32(n)

    def unit(self, a: Words) -> Any:
        return (a >> jnp.uint32(8)).astype(jnp.float32) * jnp.float32(2.0**-24)

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        return jnp.linalg.norm(jnp.stack([jnp.linalg.norm(array.ravel(), order) for array in arrays]), order)

    def at_most(self, a: Any, limit: float) -> Any:
        return jnp.minimum(a, limit)

    def greatest(self, a: Any, b: Any) -> Any:
        return jnp.maximum(a, b)

    def sign(self, a: Any) -> Any:
        return jnp.sign(a)

    def scaled(self, arrays: Sequence[Any], factor: Any) -> list[Any]:
        return [array * factor for array in arrays]

    def clipped(self, arrays: Sequence[Any], low: float, high: float) -> list[Any]:
        return [jnp.clip(array, low, high) for array in arrays]

    def added(self, arrays: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        return [a + b for a, b in zip(arrays, others, strict=True)]

    def mixed(self, arrays: Sequence[Any], others: Sequence[Any], weight: Any, reuse: bool = False) -> list[Any]:
        if isinstance(weight, Tracer):
            return _mix(arrays, others, weight)
        with self.width(arrays):  # a float64 program's arrays stay what they are
            return (_mixed_in if reuse else _mixed)(list(arrays), list(others), weight)

    def zeros(self, arrays: Sequence[Any]) -> list[Any]:
        return [jnp.zeros_like(array) for array in arrays]

    def select(self, condition: Any, arrays: Sequence[Any], others: Sequence[Any]) -> Sequence[Any]:
        if isinstance(condition, bool):
            return arrays if condition else others
        return [jnp.where(condition, a, b) for a, b in zip(arrays, others, strict=True)]

    def finite(self, a: Any) -> Any:
        return jnp.isfinite(a)

    def both(self, a: Any, b: Any) -> Any:
        return jnp.logical_and(a, b)

    def resized(self, images: Any, size: tuple[int, int]) -> Any:
        return jax.image.resize(images, (*images.shape[:2], *size), "linear", antialias=False)

    def flipped(self, a: Any, axes: Sequence[int]) -> Any:
        return jnp.flip(a, tuple(axes))

    def shared(self, a: Any) -> Any:
        return a  # under a jit over many devices an array is the whole one

    def softmax(self, a: Any, axis: int) -> Any:
        return jax.nn.softmax(a, axis)

    def sigmoid(self, a: Any) -> Any:
        return jax.nn.sigmoid(a)

    def argmax(self, a: Any, axis: int) -> Any:
        return jnp.argmax(a, axis)

    def width(self, arrays: Sequence[Any]) -> AbstractContextManager[Any]:
        wide = any(array.dtype == jnp.float64 for array in arrays)
        return jax.enable_x64(True) if wide else nullcontext()


def _mix(arrays: Sequence[Any], others: Sequence[Any], weight: Any) -> list[Any]:
    """Of a weight that changes without compiling anew; the selections are part of the one loop over an array."""
    leaves, takes = weight == 0, weight == 1

    def one(a: Any, b: Any) -> Any:
        return jnp.where(takes, b, jnp.where(leaves, a, a + weight.astype(a.dtype) * (b - a)))

    return [one(a, b) for a, b in zip(arrays, others, strict=True)]


# one call for all arrays, where it is not part of a larger one
_mixed = jax.jit(_mix)
_mixed_in = jax.jit(_mix, donate_argnums=(0,))
