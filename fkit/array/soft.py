"""The work of soft suppression: in numpy, and of fixed shapes for what is traced or on an accelerator."""

from typing import Any, NamedTuple

import numpy as np

from fkit.array.greedy import overlap
from fkit.array.ops import Ops

__all__ = ["METHODS", "Decay", "rescored", "rescored_on_host"]

METHODS = ("linear", "gaussian", "naive")


class Decay(NamedTuple):
    """How scores fall: the arguments of `fkit.array.suppress.soft_nms`."""

    threshold: float
    sigma: float
    min_score: float
    method: str
    offset: int

    def weight(self, lib: Any, much: Any) -> Any:
        """By what the scores of boxes are multiplied that overlap the one taken by so much."""
        if self.method == "gaussian":
            return lib.exp(-(much * much) / self.sigma)
        return lib.where(much >= self.threshold, 1 - much if self.method == "linear" else 0, 1)


def rescored_on_host(boxes: Any, scores: Any, valid: Any, decay: Decay, count: int) -> tuple[Any, Any, Any]:
    """(count,) of the boxes taken one after the other: which, their scores then, and whether there is one."""
    left = np.flatnonzero(valid)
    sides, now = boxes[left], scores[left].copy()
    index, out = np.zeros(count, np.int64), np.zeros(count, scores.dtype)
    number = 0
    while number < count and len(left):
        best = int(now.argmax())
        index[number], out[number] = left[best], now[best]
        number += 1
        much = overlap(np, sides[best : best + 1], sides, decay.offset)[0]
        now *= decay.weight(np, much).astype(now.dtype)
        stay = ~(now < decay.min_score)
        stay[best] = False
        left, sides, now = left[stay], sides[stay], now[stay]
    return index, out, np.arange(count) < number


def rescored(xp: Ops, boxes: Any, scores: Any, valid: Any, decay: Decay, count: int) -> tuple[Any, Any, Any]:
    """`rescored_on_host` of fixed shapes."""
    lib = xp.lib
    place = xp.arange(len(boxes))

    def body(state: Any) -> Any:
        number, alive, now, index, out = state
        best = xp.argmax(lib.where(alive, now, -float("inf")), 0)
        index, out = (xp.put(a, number.reshape(1), b.reshape(1)) for a, b in ((index, best), (out, now[best])))
        much = overlap(lib, xp.take(boxes, best.reshape(1)), boxes, decay.offset)[0]
        now = now * xp.cast(decay.weight(lib, much), now)
        return number + 1, alive & ~(now < decay.min_score) & (place != best), now, index, out

    def more(state: Any) -> Any:
        number, alive, _, _, _ = state
        return (number < count) & alive.any()

    start = (xp.asarray(0, "int64"), valid, scores, xp.full((count,), 0, "int64"), xp.full((count,), 0, scores))
    number, _, _, index, out = xp.loop(more, body, start)
    return index, out, xp.arange(count) < number
