"""jax.numpy's instance of the protocol `fkit.array.ops.Ops`; words are uint32."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fkit.array.ops import Words

__all__ = ["JaxOps"]


class JaxOps:
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
