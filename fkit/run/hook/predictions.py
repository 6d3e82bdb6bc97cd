"""A hook that gives away what a test predicts, for a file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.metric.evaluator import sample_ids
from fkit.metric.sample import META, samples
from fkit.run.effect import WritePredictions
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState
from fkit.tree.check import expect_call, expect_number

__all__ = ["PredictionsHook"]

_META = ("img_id", "img_path", "ori_shape")


@dataclass(frozen=True)
class PredictionsHook(Hook):
    """Each batch of a test or a validation as rows of a file of predictions: see `fkit.metric.kept`.

    Args:
        host: a model's outputs -> the same on the host.
        first: what samples without a number are counted from.
    """

    priority: ClassVar[str | int] = "VERY_LOW"

    host: Callable[[Any], Any] = dict
    first: int = 0

    def __post_init__(self) -> None:
        expect_call(self.host, "PredictionsHook: host is a function")
        expect_number(self.first, "PredictionsHook: first", whole=True)

    def _give(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Memory (observed): samples of this pass so far."""
        batch = event.batch
        if batch is None or event.outputs is None:
            return memory, ()
        seen = 0 if event.inner <= 1 or not isinstance(memory.observed, int) else memory.observed
        ids = sample_ids(batch, self.first + seen)
        metas = tuple({name: one[name] for name in _META if name in one} for one in batch.meta)
        rows = samples(self.host(event.outputs), {META: metas} if metas else {}, ids)
        return Memory(observed=seen + len(ids)), (WritePredictions(tuple(rows)),)

    after_val_iter = after_test_iter = _give
