"""A pass's predictions, scored as they come to the host."""

from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.metric.evaluator import Evaluator, sample_ids, truth
from fkit.run.attempt import attempt
from fkit.structures.batch import Batch
from fkit.training.backend import Backend
from fkit.training.fleet import ALONE, Fleet
from fkit.tree.frozen import frozen

__all__ = ["Tally"]


_BATCHES, _BYTES = 32, 1 << 22  # what waits to be scored, at most
_PLACES = 40  # bits of a sample's number in a process


class _Batch(NamedTuple):
    """A batch's predictions, which may still be computed, and what they are scored by; its inputs are let go."""

    number: int
    outputs: Any
    targets: Mapping[str, Any]
    ids: NDArray[np.int64]
    valid: Mapping[str, Any]


class Tally:
    """The evaluator's state over a pass. Batches are read and scored when the one after them was issued, so that the
    device is busy meanwhile; small ones several at a time, for a metric takes a fifth of the time when it is called again
    and again as between two predictions.

    Args:
        evaluator: what scores.
        room: of the predictions.
        place: where the run is, for messages.
        fleet: the processes that have parts of the data; the scores are of all.
    """

    __slots__ = ("_bytes", "_count", "_evaluator", "_fleet", "_place", "_room", "_scores", "_seen", "_waiting")

    def __init__(self, evaluator: Evaluator, room: Backend, place: str, fleet: Fleet = ALONE) -> None:
        self._evaluator = evaluator
        self._room = room
        self._place = place
        self._scores: Any = attempt("the evaluator", place, 0, evaluator.empty)
        self._waiting: list[_Batch] = []
        self._fleet = fleet
        self._bytes = self._seen = 0  # of what waits; the last batch that was scored
        self._count = fleet.rank << _PLACES  # samples, where nothing else numbers them

    def add(self, number: int, batch: Batch, outputs: Any) -> None:
        """Take a batch's predictions; score those before, where enough of them wait.

        Raises:
            RunError: the metric raised.
        """
        if self._bytes > _BYTES or len(self._waiting) >= _BATCHES:
            self._score()
        self._waiting.append(_Batch(number, outputs, truth(batch), sample_ids(batch, self._count), batch.valid))
        self._count += len(batch)
        self._bytes += _size(outputs) + _size(batch.targets)

    def metrics(self) -> Mapping[str, float]:
        """The scores of all.

        Raises:
            RunError: the metric raised.
            FkitTypeError: a score is no number, or its name no text.
        """
        self._score()
        if self._fleet.several:
            self._scores = attempt(
                "the metric", self._place, self._seen, reduce, self._evaluator.merge, self._fleet.gather(self._scores)
            )
        return self._fleet.first(self._computed)

    def _computed(self) -> Mapping[str, float]:
        scores = attempt("the metric", self._place, self._seen, self._evaluator.compute, self._scores)
        return frozen({name: float(score) for name, score in scores.items()})

    def matrices(self) -> Any:
        """What the metrics that have a matrix counted: see `fkit.metric.evaluator.Evaluator.matrices`."""
        return attempt("the metric", self._place, self._seen, self._evaluator.matrices, self._scores)

    def _score(self) -> None:
        """Score what waits."""
        for one in self._waiting:
            self._seen = one.number
            self._scores = attempt("the metric", self._place, one.number, self._observe, one)
        self._waiting.clear()
        self._bytes = 0

    def _observe(self, one: _Batch) -> Any:
        outputs = self._room.host(one.outputs)
        return self._evaluator.observe(self._scores, outputs, one.targets, one.ids, one.valid)


def _size(tree: Any) -> int:
    """Bytes of a mapping of arrays, or of one; of anything else, as many as make it scored with the next."""
    values = tree.values() if isinstance(tree, Mapping) else (tree,)
    return sum([getattr(value, "nbytes", _BYTES + 1) for value in values])
