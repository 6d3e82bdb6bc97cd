"""What follows the weights after every step, as a value that a room may take into what it compiles."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Follower"]


class Follower(NamedTuple):
    """A pair of functions that keeps a slot of the state along the weights. A program's step that has ``followed_by`` gives,
    of a follower, the step that does both in one; after any other, `fkit.training.ema.with_ema` calls the two itself.

    Attributes:
        slot: its name.
        paths: of the slot's arrays, each the name of a parameter or of a buffer.
        weight: ``(iterations done before the step) -> number`` on the host.
        update: ``(xp, slot, params, buffers, weight, reuse) -> slot`` after the step: pure over the array operations
            `fkit.array.ops.Ops`; with ``reuse`` it may write into the slot's arrays, and what it gives is that slot itself
            then. ``weight`` is a 0-d array where the step is compiled.
    """

    slot: str
    paths: tuple[str, ...]
    weight: Callable[[int], float]
    update: Callable[[Any, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], Any, bool], Mapping[str, Any]]
