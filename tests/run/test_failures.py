"""What others wrote and a run calls: whatever raises is one error that says where; data keeps its word about its length."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import fkit
from fkit.run.event import Observed, Step
from fkit.run.validation import test as scoring
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, RunError
from tests.run.counting import BATCH, Counting, Same, drive, epochs, hooks, iterations, plan_of


class Failing(Counting):
    """A program of which one function raises, where its state is so."""

    def __init__(self, name, where=0):
        super().__init__()
        self.name, self.where = name, where

    def _raise(self, name, state):
        if name == self.name and state >= self.where:
            raise KeyError("gt_bboxes")

    def train_step(self, state, batch, hyperparams):
        self._raise("train_step", state)
        return super().train_step(state, batch, hyperparams)

    def predict(self, state, batch):
        self._raise("predict", state)
        return super().predict(state, batch)

    def loss(self, state, batch, key, train=False):
        self._raise("loss", state)
        return super().loss(state, batch, key, train)


def whole(error, text):
    """Whether an error says it, in one line, chained to its cause."""
    assert text in str(error), str(error)
    assert isinstance(error, RunError) and isinstance(error.__cause__, KeyError)


WORKFLOW = {"workflow": [("train", 1), ("val", 1)]}


@pytest.mark.parametrize(
    ("name", "config", "text"),
    [
        ("train_step", {}, "iteration 4: the model raised KeyError: 'gt_bboxes' ("),
        ("predict", {}, "validation after iteration 5, batch 1: the model raised KeyError: 'gt_bboxes' ("),
        ("loss", WORKFLOW, "losses after iteration 5, validation batch 1: the model raised KeyError: 'gt_bboxes' ("),
    ],
)
def test_a_model_that_raises_is_named_with_its_place(name, config, text):
    with pytest.raises(RunError) as caught:
        drive(plan_of(epochs(3) | hooks(10) | config, program=Failing(name, 3)))
    whole(caught.value, text)
    assert "test_failures.py:" in str(caught.value)


@dataclass(frozen=True)
class Metric:
    """A metric of which one function raises, or whose score is what it is told."""

    broken: str = ""
    score: object = 0.5

    def empty(self):
        return self._raise("empty") or 0

    def observe(self, state, outputs, targets, ids, valid=None):
        return self._raise("observe", state) or state + 1

    def merge(self, a, b):
        return a + b

    def compute(self, state):
        self._raise("compute")
        return {"score": self.score}

    def _raise(self, name, state=1):
        if name == self.broken and state == 1:
            raise KeyError("gt_label")


def scored(metric, **more):
    plan = plan_of(epochs(1) | hooks(10), **more)
    return replace(plan, evaluator=replace(plan.evaluator, metrics=(metric,)))


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("observe", "validation after iteration 5, batch 2: the metric raised KeyError: 'gt_label' ("),
        ("compute", "validation after iteration 5, batch 3: the metric raised KeyError: 'gt_label' ("),
        ("empty", "validation after iteration 5, batch 0: the evaluator raised KeyError: 'gt_label' ("),
    ],
)
def test_a_metric_that_raises_is_named_with_its_place(broken, text):
    with pytest.raises(RunError) as caught:
        drive(scored(Metric(broken)))
    whole(caught.value, text)


@pytest.mark.parametrize(("score", "want"), [(np.float32(0.5), 0.5), (np.array(2), 2.0), (True, 1.0)])
def test_scores_are_floats(score, want):
    run, _ = drive(scored(Metric(score=score)))
    assert run.metrics == {"score": want} and type(run.metrics["score"]) is float


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(
        FkitTypeError,
        match=r"val_evaluator: validation after iteration 5, batch 3: Metric.compute gives score = 'good', which is no number",
    ):
        drive(scored(Metric(score="good")))


def test_what_fkit_test_runs_says_the_same():
    plan = scored(Metric("observe"))
    with pytest.raises(RunError, match=r"^test_evaluator: batch 2: the metric raised KeyError"):
        list(scoring(plan, fkit.begin(plan), {"test": Same(3)}))
    *_, (run, _) = scoring(scored(Metric()), fkit.begin(plan), {"test": Same(3)})
    assert run.metrics == {"score": 0.5} and run.status == "finished"


@dataclass(frozen=True)
class Odd(fkit.Source):
    """Says one length, gives another; raises at a batch."""

    says: object = 5
    gives: int = 5
    broken: int = -1

    @property
    def length(self):
        if self.broken == -2:
            raise KeyError("annotations")
        return self.says

    def batches(self, epoch, start=0):
        for number in range(start, self.gives):
            if number == self.broken:
                raise KeyError("annotations")
            yield BATCH


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"train": Odd(broken=3), "val": Same(3)}, "iteration 4: the training data raised KeyError: 'annotations' ("),
        ({"train": Odd(broken=-2), "val": Same(3)}, "the length of data['train'] raised KeyError: 'annotations' ("),
        ({"train": Same(5), "val": Odd(broken=3)}, "validation after iteration 5, batch 4: the data raised KeyError"),
        ({"train": Same(5), "val": Odd(broken=-2)}, "the length of data['val'] raised KeyError: 'annotations' ("),
    ],
)
def test_a_source_that_raises_is_named_with_its_place(data, text):
    with pytest.raises(RunError) as caught:
        drive(plan_of(epochs(3) | hooks(10)), data)
    whole(caught.value, text)


RUNS = {"epochs": epochs(3), "iterations": iterations(15, val_interval=5)}
VAL_WORKFLOW = {"workflow": [("train", 5), ("val", 1)]}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(
    ("gives", "text"),
    [(4, "Odd: epoch 0 ended after 4 of 5 batches"), (6, "Odd: epoch 0 gave more than the 5 batches")],
)
def test_data_that_is_shorter_or_longer_than_it_says_is_an_error(run, part, gives, text):
    data = {"train": Same(5), "val": Same(5), part: Odd(gives=gives)}
    with pytest.raises(FkitError, match=text):
        drive(plan_of(RUNS[run] | hooks(10)), data)


@pytest.mark.parametrize("gives", [1, 4, 6])
def test_held_out_data_of_a_workflow_keeps_its_word(gives):
    changes = iterations(60) | hooks(10) | {"workflow": [("train", 2), ("val", 1)], "val_evaluator": None}
    with pytest.raises(FkitError, match="Odd: epoch 0 "):
        drive(plan_of(changes), {"train": Same(5), "val": Odd(gives=gives)})


def test_data_without_end_that_ends_is_an_error():
    with pytest.raises(FkitError, match="its length is None, which is endless, but it ended after 7 batches"):
        drive(plan_of(iterations(20, val_begin=99) | hooks(10)), {"train": Odd(None, 7), "val": Same(3)})

    class Own(Odd):
        def stream(self, epoch, start=0):
            return self.batches(epoch, start)

    with pytest.raises(
        RunError, match="the training data ended after 7 batches, and its length says that it is endless"
    ):
        drive(plan_of(iterations(20, val_begin=99) | hooks(10)), {"train": Own(None, 7), "val": Same(3)})
    with pytest.raises(RunError, match="the training data ended after 2 of 5 batches of epoch 1"):
        drive(plan_of(iterations(20, val_begin=99) | hooks(10)), {"train": Own(5, 7), "val": Same(3)})


def test_validation_on_data_without_end_is_an_error():
    with pytest.raises(FkitValueError, match=r"data\['val'\] \(of val_dataloader\) is endless"):
        drive(plan_of(epochs(1) | hooks(10)), {"train": Same(5), "val": Same(None)})


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        ([BATCH], FkitTypeError, "`data` is a mapping of sources"),
        ({"val": Same(3)}, FkitKeyError, "`data` has no source 'train'"),
        ({"train": [BATCH]}, FkitTypeError, r"data\['train'\] is a Source"),
        ({"train": Odd("5")}, FkitTypeError, r"data\['train'\].length = '5': a whole number"),
        ({"train": Odd(0)}, FkitValueError, r"data\['train'\].length = 0: at least 1"),
        ({"train": Odd(True)}, FkitTypeError, r"data\['train'\].length = True"),
        ({"train": Same(5)}, FkitKeyError, "`data` has no source 'val'"),
        ({"train": Same(5), "val": [BATCH]}, FkitTypeError, r"data\['val'\] is a Source"),
        ({"train": Same(5), "val": Odd(2.5)}, FkitTypeError, r"data\['val'\].length = 2.5"),
    ],
)
def test_data_that_is_none_is_refused(data, kind, text):
    with pytest.raises(kind, match=text):
        drive(plan_of(epochs(2) | hooks(10)), data)


def test_step_times_leave_out_validation_saving_and_whoever_takes_long_with_an_effect():
    """A clock that jumps by 1 at a look, and by 1000 where a run is validated, saved, or waits for its user."""
    now = [0.0]

    def inbox():
        while True:
            now[0] += 1
            yield (Observed("time", now[0]),)

    plan = plan_of(iterations(40, val_interval=10) | hooks(5, by_epoch=False, interval=7))
    run, waits = fkit.begin(plan), 0
    for run, effects in fkit.train(plan, run, {"train": Same(100), "val": Same(3)}, inbox()):
        if {"SaveCheckpoint", "DeleteCheckpoint"} & {type(effect).__name__ for effect in effects}:
            now[0] += 1000
            waits += 1
    assert waits >= 5
    times = run.memory["logger"].observed.times
    assert (
        times.steps == 40 - 1 - 5 - 3 and times.total == 2.0 * times.steps
    )  # the first step, those after saves, those after other validations


def test_a_step_after_something_else_is_marked_in_the_window():
    seen = []

    @dataclass(frozen=True)
    class Look(fkit.Hook):
        reads = True

        def after_train_epoch(self, memory, run, event):
            seen.extend(event.window)
            return memory, ()

    drive(
        plan_of(epochs(2) | hooks(10), ("look", Look())), inbox=iter([(Observed("time", float(i)),) for i in range(99)])
    )
    assert [step.iteration for step in seen] == list(range(1, 11))
    assert [step.iteration for step in seen if step.paused] == [1, 6]
    assert seen[1] == Step(2, {"loss": 0.5, "accuracy": 0.0005}, 3.0, 2.0, False)


@pytest.mark.parametrize("large", [False, True])
def test_validation_issues_a_batch_before_it_reads_the_one_before(large):
    """What is large is let go at once; small batches are scored several at a time."""
    order = []

    class Noting(Counting):
        def predict(self, state, batch):
            order.append("predict")
            outputs = super().predict(state, batch)
            return {**outputs, "map": np.zeros(1 << 20)} if large else outputs

    class Noted(Metric):
        def observe(self, state, outputs, targets, ids, valid=None):
            order.append(f"observe {ids.tolist()}")
            return state + 1

    drive(scored(Noted(), program=Noting()))
    if large:
        assert order == ["predict", "predict", "observe [0, 1]", "predict", "observe [2, 3]", "observe [4, 5]"]
    else:
        assert order == ["predict"] * 3 + ["observe [0, 1]", "observe [2, 3]", "observe [4, 5]"]
