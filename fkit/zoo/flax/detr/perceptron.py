"""A small network between queries and their places."""

import jax
from flax import linen as nn

from fkit.backend.jax.layers import Linear

__all__ = ["Perceptron"]

Array = jax.Array


class Perceptron(nn.Module):
    """Linear layers, ``layers``, with ReLUs between.

    Attributes:
        widths: of what each layer gives.

    Example:
        >>> Perceptron((8, 2)).init_with_output(jax.random.key(0), jax.numpy.ones((1, 3, 4)))[0].shape
        (1, 3, 2)
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for at, width in enumerate(self.widths):
            x = Linear(width, name=f"layers_{at}")(nn.relu(x) if at else x)
        return x
