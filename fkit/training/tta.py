"""Test-time augmentation, as a wrapper of a program: what is predicted of several views, merged."""

from collections.abc import Callable, Sequence
from typing import Any

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.structures.views import views_of
from fkit.training.merge import Merged, merged
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.check import expect, expect_call
from fkit.tree.contract import expect_fit

__all__ = ["with_tta"]

Predict = Callable[[TrainState, Batch], Any]


def with_tta(
    program: Program,
    views: Callable[[Batch], Sequence[Batch]] | None = None,
    merge: Callable[[Ops, Sequence[Any], Sequence[Batch]], Any] | None = None,
) -> Program:
    """A program that predicts several views of a batch's images, one after the other, and merges what it says of them.
    Training is as it was.

    Args:
        program: of the model.
        views: a batch -> its views, a batch each; None: those that the data have (TestTimeAug). A batch of one view is
            predicted as it is.
        merge: ``(xp, predictions, views) -> outputs``, pure: `fkit.training.merge.BaseTTAModel` says of what; None:
            `fkit.training.merge.Merged`'s.

    Raises:
        FkitTypeError: ``merge`` or ``views`` is no such function.

    Example::

        def both(batch):
            turned = replace(batch, inputs=batch.inputs[..., ::-1].copy())
            return [batch, turned]

        program = with_tta(fkit.program(cfg), both, AverageClsScoreTTA().merge)
    """
    expect(program, Program, "`program` is a program (fkit.program makes one)")
    views = views_of if views is None else views
    merge = Merged().merge if merge is None else merge
    for word, function, arguments in (("views", views, "batch"), ("merge", merge, "xp, predictions, views")):
        expect_call(function, f"with_tta: {word} is a function")
        expect_fit(function, word, arguments, "with_tta:", "fkit.training.merge.BaseTTAModel shows one of one's own.")
    xp: Ops = open_room(program.backend).ops

    def over(predict: Predict) -> Predict:
        def predicted(state: TrainState, batch: Batch) -> Any:
            several: Any = views(batch)
            expect(several, (list, tuple), "with_tta: views(batch) is a sequence of batches")
            if len(several) == 1:
                return predict(state, several[0])
            return merged(xp, merge, [predict(state, view) for view in several], several)

        return predicted

    beside = frozendict({suffix: over(predict) for suffix, predict in program.beside.items()})
    return program._replace(predict=over(program.predict), beside=beside)
