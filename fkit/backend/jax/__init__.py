"""The JAX room: flax.linen models, optax updates, one jitted step over explicit state."""

from fkit.backend.jax.pytree import register
from fkit.backend.jax.room import Jax

__all__ = ["backend"]

register()
backend = Jax()
