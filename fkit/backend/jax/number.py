"""Hyperparameters through jit: all numbers of a step in one array, one transfer in place of one a number."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from frozendict import frozendict

from fkit.training.phase import Part, check_numbers
from fkit.training.state import Hyperparams
from fkit.tree.absent import ABSENT

__all__ = ["Packed", "packer", "unpacked"]

_MAPPINGS = (dict, frozendict, MappingProxyType)  # the last: a schedule's, a new one at each step


class Packed(NamedTuple):
    """The hyperparameters of a step.

    Attributes:
        numbers: all of them, a row of G numbers for each, one after the other.
        resting: whether a momentum may be 0; what is traced may be anything.
    """

    numbers: Any
    resting: bool


def packer(parts: tuple[Part, ...], put: Callable[[Any], Any] = jnp.asarray) -> Callable[[Hyperparams], Packed]:
    """``(hyperparams) -> Packed``, which checks them.

    What cannot change is checked, packed and sent to the device once: a frozendict of read-only arrays.

    Args:
        put: sends an array.
    """
    counts = {name: part.optimizer.count for part in parts for name, _ in part.numbers}
    keys = dict(pair for part in parts for pair in part.numbers)
    columns = [name for name, count in counts.items() for _ in range(count)]
    momenta = tuple(i for i, name in enumerate(columns) if keys[name] == "momentum")
    last: tuple[Any, Packed] = (ABSENT, Packed(np.zeros(0), False))

    def pack(hyperparams: Hyperparams) -> Packed:
        nonlocal last
        known, packed = last
        if hyperparams is known:
            return packed
        rows: list[Any] = [hyperparams.get(name) for name in counts] if type(hyperparams) in _MAPPINGS else []
        plain = all([type(row) is np.ndarray and row.ndim == 1 for row in rows])
        numbers = np.concatenate(rows) if plain and rows else np.zeros(0)
        if numbers.shape != (len(columns),):  # something is wrong, or the device's
            check_numbers(parts, hyperparams)
            return Packed(jnp.concatenate([hyperparams[name] for name in counts]), True)
        values = numbers.tolist()
        packed = Packed(numbers, any([values[i] == 0.0 for i in momenta]))
        if type(hyperparams) is frozendict and not any(row.flags.writeable for row in rows):
            packed = packed._replace(numbers=put(numbers))
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
