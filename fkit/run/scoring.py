"""How held-out data are predicted: the value of a ValLoop or TestLoop."""

from dataclasses import dataclass
from typing import Any

from fkit.structures.batch import Batch
from fkit.training.program import Program
from fkit.training.state import TrainState

__all__ = ["Scoring"]


@dataclass(frozen=True)
class Scoring:
    """mmengine's ValLoop and TestLoop: every batch once, predicted by the program, and scored by the evaluator.

    One of one's own is one registration. Derive a frozen dataclass, and say what is predicted of a batch::

        @dataclass(frozen=True)
        class Averaged(Scoring):
            times: int = 2

            def predict(self, program, state, batch):
                scores = [program.predict(state, shifted(batch, n))["pred_score"] for n in range(self.times)]
                return {"pred_score": sum(scores) / self.times}

        registry = fkit.registry().register("loops", Averaged)
        cfg = cfg.merge({"val_cfg": dict(type="Averaged", times=4)})

    Args:
        fp16: half precision, OpenMMLab's word for it.
    """

    fp16: bool = False

    def predict(self, program: Program, state: TrainState, batch: Batch) -> Any:
        """What the model predicts of a batch, for the evaluator."""
        return program.predict(state, batch)
