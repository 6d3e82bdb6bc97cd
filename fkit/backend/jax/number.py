"""Hyperparameters through jit: all numbers of a step in one array, one transfer in place of one a number."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from frozendict import frozendict

from fkit.training.phase import Part, check_numbers
from fkit.training.state import Hyperparams
from fkit.tree.absent import ABSENT

__all__ = ["Packed", "packer", "unpacked"]


class Packed(NamedTuple):
    """The hyperparameters of a step.

    Attributes:
        numbers: all of them, a row of G numbers for each, one after the other.
        resting: whether a momentum may be 0; what is traced may be anything.
    """

    numbers: Any
    resting: bool


def packer(parts: tuple[Part, ...]) -> Callable[[Hyperparams], Packed]:
    """``(hyperparams) -> Packed``, which checks them.

    What cannot change is checked, packed and sent to the device once: a frozendict of read-only arrays.
    """
    names = tuple(dict.fromkeys(name for part in parts for name, _ in part.numbers))
    momenta = tuple(dict.fromkeys(name for part in parts for name, key in part.numbers if key == "momentum"))
    last: tuple[Any, Packed] = (ABSENT, Packed(np.zeros(0), False))

    def pack(hyperparams: Hyperparams) -> Packed:
        nonlocal last
        known, packed = last
        if hyperparams is known:
            return packed
        check_numbers(parts, hyperparams)
        rows: list[Any] = [hyperparams[name] for name in names]
        if any(isinstance(row, jax.Array) for row in rows):
            return Packed(jnp.concatenate(rows), True)
        numbers = np.concatenate(rows) if rows else np.zeros(0)
        resting = any(not hyperparams[name].all() for name in momenta)
        if not (isinstance(hyperparams, frozendict) and all(not row.flags.writeable for row in rows)):
            return Packed(numbers, resting)
        packed = Packed(jnp.asarray(numbers), resting)
        last = (hyperparams, packed)
        return packed

    return pack


def unpacked(parts: tuple[Part, ...], numbers: Any) -> list[tuple[dict[str, Any], ...]]:
    """The packed numbers, by phase and setting: the inverse, while tracing."""
    starts: dict[str, int] = {}
    end = 0
    for part in parts:
        for name, _ in part.numbers:
            if name not in starts:
                starts[name], end = end, end + part.optimizer.count
    return [
        tuple(
            {key: numbers[starts[name] + index] for name, key in part.numbers} for index in range(part.optimizer.count)
        )
        for part in parts
    ]
