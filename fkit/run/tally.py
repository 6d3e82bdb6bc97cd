"""A pass's predictions, scored as they come to the host."""

import numbers
from collections.abc import Mapping
from typing import Any, cast

from fkit.run.attempt import attempt
from fkit.structures.batch import Batch
from fkit.training.backend import Backend
from fkit.training.evaluator import Evaluator, sample_ids
from fkit.tree.error import FkitTypeError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Tally"]


class Tally:
    """The evaluator's state over a pass. A batch is read and scored when the one after it was issued, so that the device
    is busy meanwhile.

    Args:
        evaluator: what scores.
        room: of the predictions.
        place: where the run is, for messages.
    """

    __slots__ = ("_count", "_evaluator", "_number", "_pending", "_place", "_room", "_scores")

    def __init__(self, evaluator: Evaluator, room: Backend, place: str) -> None:
        self._evaluator = evaluator
        self._room = room
        self._place = place
        self._scores: Any = attempt("the evaluator", place, 0, evaluator.empty)
        self._pending: tuple[int, Batch, Any] | None = None
        self._number = self._count = 0  # batches, samples

    def add(self, number: int, batch: Batch, outputs: Any) -> None:
        """Take a batch's predictions, which may still be computed; score the ones before.

        Raises:
            RunError: the metric raised.
        """
        self._score()
        self._pending = (number, batch, outputs)

    def metrics(self) -> Mapping[str, float]:
        """The scores of all.

        Raises:
            RunError: the metric raised.
            FkitTypeError: a score is no number.
        """
        self._score()
        scores = attempt("the metric", self._place, self._number, self._evaluator.compute, self._scores)
        for name, score in scores.items():
            if not isinstance(cast(Any, score), numbers.Real) and not hasattr(score, "__float__"):
                raise FkitTypeError(f"a metric gives {name} = {quoted(score)}, which is no number.")
        return frozen({name: float(score) for name, score in scores.items()})

    def _score(self) -> None:
        if self._pending is None:
            return
        self._number, batch, outputs = self._pending
        self._pending = None
        self._scores = attempt("the metric", self._place, self._number, self._observe, batch, outputs)
        self._count += len(batch)

    def _observe(self, batch: Batch, outputs: Any) -> Any:
        ids = sample_ids(batch, self._count)
        return self._evaluator.observe(self._scores, self._room.host(outputs), batch.targets, ids, batch.valid)
