"""A call of a function taken apart: its arrays, which change, and all the rest, which a compiled function is made for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

# opened: the kit's structures are pytrees of JAX from here on
import fkit.backend.jax  # noqa: F401  # pyright: ignore[reportUnusedImport]
from fkit.interop.memory import framework_of
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["Batched", "Form", "Plain", "Pulled", "is_float", "taken_apart"]


class _Array:
    """The place of an array in a call."""

    def __repr__(self) -> str:
        return "an array"


_PLACE = _Array()


@dataclass(frozen=True)
class Plain:
    """A function called as its user does.

    Attributes:
        tree: of (args, kwargs).
        constants: its leaves with their classes, for 1, 1.0 and True are equal; `_PLACE` for each array.
    """

    tree: Any
    constants: tuple[tuple[type[Any], Any], ...]

    def run(self, function: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        """Call it on these arrays."""
        rest = iter(arrays)
        leaves = [next(rest) if value is _PLACE else value for _, value in self.constants]
        args, kwargs = jax.tree.unflatten(self.tree, leaves)
        return function(*args, **kwargs)


@dataclass(frozen=True)
class Batched:
    """A call over a new axis, as ``jax.vmap`` does it.

    Attributes:
        inner: the call of one.
        axes: of each array, where the new axis stands; None has none.
    """

    inner: "Form"
    axes: tuple[int | None, ...]

    def run(self, function: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        """Call it on these arrays."""
        return jax.vmap(lambda *one: self.inner.run(function, one), in_axes=self.axes)(*arrays)


@dataclass(frozen=True)
class Pulled:
    """The gradient of a call: its arrays, then a cotangent for each of its outputs that is no integer.

    Attributes:
        inner: the call.
        moving: of each of its arrays, whether there is to be a gradient of it.
    """

    inner: "Form"
    moving: tuple[bool, ...]

    def run(self, function: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        """The gradients, by torch's convention for complex numbers."""
        count = len(self.moving)
        _, pull = self.forward(function, arrays[:count])
        return self.backward(pull, arrays[count:])

    def forward(self, function: Callable[..., Any], arrays: Sequence[Any]) -> tuple[Any, Any]:
        """(outputs, what `backward` needs)."""

        def moved(*some: Any) -> tuple[tuple[Any, ...], Any]:
            rest = iter(some)
            whole = [next(rest) if moves else array for moves, array in zip(self.moving, arrays, strict=True)]
            answer = self.inner.run(function, whole)
            return tuple(leaf for leaf in jax.tree.leaves(answer) if is_float(leaf)), answer

        some = [array for moves, array in zip(self.moving, arrays, strict=True) if moves]
        _, pull, answer = jax.vjp(moved, *some, has_aux=True)
        return answer, pull

    @staticmethod
    def backward(pull: Any, cotangents: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients; torch's of a complex number is the conjugate of JAX's."""
        return tuple(jnp.conj(grad) for grad in pull(tuple(jnp.conj(one) for one in cotangents)))


Form = Plain | Batched | Pulled
"""What of a call is constant: hashable, so that a function is compiled once for each."""


def is_float(array: Any) -> bool:
    """Whether a gradient passes through an array of JAX or numpy."""
    return bool(jnp.issubdtype(jnp.result_type(array), jnp.inexact))


def taken_apart(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Plain, list[Any]]:
    """A call's constant part, and its arrays (of torch, JAX or numpy) in order.

    Raises:
        FkitTypeError: what is no array cannot be hashed.
    """
    leaves, tree = jax.tree.flatten((args, dict(kwargs)))
    constants: list[tuple[type[Any], Any]] = []
    arrays: list[Any] = []
    for leaf in leaves:
        if framework_of(leaf):
            arrays.append(leaf)
            constants.append((_Array, _PLACE))
            continue
        try:
            hash(leaf)
        except TypeError as cause:
            raise FkitTypeError(
                f"the argument {quoted(leaf, 60)} is neither an array nor a constant: it has no hash.",
                repair="Give a tensor, or a value that does not change.",
            ) from cause
        constants.append((type(leaf), leaf))
    return Plain(tree, tuple(constants)), arrays
