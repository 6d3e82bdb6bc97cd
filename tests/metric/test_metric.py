"""Metrics are monoids: any order, any split, any repeats, the same number to the bit."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.metric.accuracy import Accuracy, ranks
from fkit.metric.evaluator import Evaluator, sample_ids
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError

METRIC = Accuracy(topk=(1, 3))
CLASSES = 5


@st.composite
def pieces(draw: st.DrawFn) -> tuple[Any, Any, list[list[int]]]:
    """Scores (with ties), labels, and the sample numbers in pieces: shuffled, every one at least once."""
    count = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(0, 4, (count, CLASSES)).astype(np.float32)
    labels = rng.integers(0, CLASSES, count)
    order = list(rng.permutation(count)) + list(rng.integers(0, count, draw(st.integers(0, 5))))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return scores, labels, [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def seen(metric: Accuracy, scores: Any, labels: Any, numbers: Any) -> Any:
    numbers = np.array(numbers, np.int64)
    return metric.observe(metric.empty(), {"pred_score": scores[numbers]}, {"gt_label": labels[numbers]}, ids=numbers)


@settings(deadline=None)
@given(pieces())
def test_any_order_split_and_repeat_gives_the_same_number(found: Any):
    scores, labels, parts = found
    whole = METRIC.compute(seen(METRIC, scores, labels, range(len(labels))))
    states = [seen(METRIC, scores, labels, part) for part in parts]
    left = METRIC.empty()
    for state in states:
        left = METRIC.merge(left, state)
    right = METRIC.empty()
    for state in reversed(states):
        right = METRIC.merge(state, right)
    backwards = METRIC.empty()
    for state in states:
        backwards = METRIC.merge(state, backwards)
    assert METRIC.compute(left) == METRIC.compute(right) == METRIC.compute(backwards) == whole


@settings(deadline=None)
@given(pieces())
def test_the_empty_state_changes_nothing(found: Any):
    scores, labels, _ = found
    state = seen(METRIC, scores, labels, range(len(labels)))
    assert METRIC.merge(METRIC.empty(), state) == state == METRIC.merge(state, METRIC.empty())


@settings(deadline=None)
@given(pieces())
def test_accuracy_is_what_sorting_says(found: Any):
    scores, labels, _ = found
    best = np.argsort(-scores, axis=1, kind="stable")
    numbers = METRIC.compute(seen(METRIC, scores, labels, range(len(labels))))
    for k in (1, 3):
        assert numbers[f"accuracy/top{k}"] == (best[:, :k] == labels[:, None]).any(axis=1).mean()


def test_observing_changes_no_state():
    state = seen(METRIC, np.eye(CLASSES), np.arange(CLASSES), range(3))
    METRIC.observe(state, {"pred_score": np.eye(CLASSES)}, {"gt_label": np.arange(CLASSES)}, range(CLASSES))
    assert state.count == 3 and METRIC.compute(state) == {"accuracy/top1": 1.0, "accuracy/top3": 1.0}


def test_arrays_that_are_written_to_later_change_no_state():
    """A loop that fills one buffer again and again."""
    ids, scores, labels = np.array([0, 1]), np.eye(2), np.array([0, 1])
    metric = Accuracy()
    state = metric.observe(metric.empty(), {"pred_score": scores}, {"gt_label": labels}, ids)
    for array in (ids, scores, labels):
        array[:] = 0
    assert metric.compute(state) == {"accuracy/top1": 1.0} and state.table()[0].tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        state.piece[0][:] = 7


def test_masked_samples_do_not_count():
    outputs, targets = {"pred_label": np.array([1, 1, 1])}, {"gt_label": np.array([1, 0, 0])}
    metric = Accuracy()
    state = metric.observe(metric.empty(), outputs, targets, [0, 1, 2], {"gt_label": np.array([True, True, False])})
    assert metric.compute(state) == {"accuracy/top1": 0.5}
    assert metric.compute(metric.observe(metric.empty(), outputs, targets, [0, 1, 2], {})) == {"accuracy/top1": 1 / 3}


def test_what_is_masked_or_ignored_need_be_no_class():
    outputs, targets = np.eye(3), {"gt_label": np.array([0, 255, 1])}
    with pytest.raises(FkitError, match="gt_label: label 255 is none of 3 classes"):
        Accuracy().observe(Accuracy().empty(), outputs, targets, [0, 1, 2])
    for metric, valid in ((Accuracy(), {"gt_label": [True, False, True]}), (Accuracy(ignore_index=255), None)):
        state = metric.observe(metric.empty(), outputs, targets, [0, 1, 2], valid)
        assert state.count == 2 and metric.compute(state) == {"accuracy/top1": 0.5}
    none = Accuracy(ignore_index=0)
    assert none.observe(none.empty(), outputs, {"gt_label": np.zeros(3, int)}, [0, 1, 2]).count == 0


MANY = """
import pickle
import numpy as np
from fkit.metric.accuracy import Accuracy

metric, scores, label = Accuracy(), np.eye(2, dtype=np.float32)[:1], {"gt_label": np.array([0])}
count = 10_000
state = metric.empty()
for place in range(count):
    state = metric.observe(state, {"pred_score": scores}, label, [place])
other = metric.empty()
for place in range(count, 2 * count):
    other = metric.merge(metric.observe(metric.empty(), {"pred_score": scores}, label, [place]), other)
whole = metric.merge(state, other)
assert whole.count == 2 * count and metric.compute(whole) == {"accuracy/top1": 1.0}
assert pickle.loads(pickle.dumps(whole)) == whole
"""


def test_thousands_of_observations_are_joined_and_travel_no_deeper_than_one():
    """That each costs the same is counted in test_recorded.py."""
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.returncode}\n{done.stderr}"


def test_scores_that_are_not_numbers_find_nothing():
    nan = math.nan
    assert ranks(np.array([[nan, nan, nan]]), np.array([0])).tolist() == [3]
    assert ranks(np.array([[nan, 0.5, 0.1]]), np.array([1])).tolist() == [1]
    assert ranks(np.array([[0.5, 0.5, 0.1]]), np.array([1])).tolist() == [1]


@pytest.mark.parametrize(
    ("outputs", "targets", "said"),
    [
        ({"pred_score": np.zeros((2, 3))}, {"label": [0, 1]}, "needs the target 'gt_label'"),
        ({"scores": 0}, {"gt_label": [0, 1]}, "needs the output 'pred_score'"),
        (
            {"pred_score": np.zeros((3, 3))},
            {"gt_label": [0, 1]},
            r"pred_score of shape \(3, 3\) for labels of shape \(2,\)",
        ),
        ({"pred_label": np.zeros((2, 1))}, {"gt_label": [0, 1]}, r"pred_label of shape \(2, 1\) .* expected \(N,\)"),
        (np.zeros((2, 3)), {"gt_label": [[0], [1]]}, r"for labels of shape \(2, 1\)"),
        (np.array(0.5), {"gt_label": [0, 1]}, r"scores of shape \(\) for labels of shape \(2,\)"),
        (np.zeros((2, 3)), {"gt_label": [0.0, 1.0]}, "labels are whole numbers"),
        (np.zeros((1, 3)), {"gt_label": [0]}, "2 ids for 1 rows"),
        (np.zeros((2, 3)), {"gt_label": [0, 3]}, "label 3 is none of 3 classes"),
        (np.zeros((2, 3)), {"gt_label": [-1, 0]}, "label -1 is none of 3 classes"),
    ],
)
def test_what_does_not_fit_is_named(outputs: Any, targets: Any, said: str):
    with pytest.raises(FkitError, match=said):
        Accuracy().observe(Accuracy().empty(), outputs, targets, [0, 1])


def test_nothing_observed_is_an_error():
    with pytest.raises(FkitError, match="no sample was observed"):
        Accuracy().compute(Accuracy().empty())
    with pytest.raises(FkitError, match="numbers from 1 on"):
        Accuracy(topk=(0,))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"topk": "1"}, "topk is a number or a list of numbers, not the str '1'"),
        ({"topk": [1, 2.5]}, "topk = 2.5 is not a whole number"),
        ({"topk": True}, "topk = True is not a whole number"),
        ({"prefix": None}, "prefix is text, not None"),
        ({"ignore_index": "-100"}, "ignore_index = '-100' is text, not a whole number"),
    ],
)
def test_wrong_arguments_are_said(changes: dict[str, Any], said: str):
    with pytest.raises(FkitError, match=said):
        Accuracy(**changes)


def test_an_evaluator_is_its_metrics():
    reg = fkit.registry()
    cfg = [{"type": "Accuracy"}, {"type": "Accuracy", "topk": (2,), "prefix": "digits"}]
    evaluator = Evaluator.of(cfg, reg.build)
    assert evaluator == Evaluator((Accuracy(), Accuracy((2,), prefix="digits")))
    assert Evaluator.of({"type": "Evaluator", "metrics": cfg}, reg.build) == evaluator
    assert Evaluator.of(cfg[0], reg.build) == Evaluator((Accuracy(),)) == Evaluator.of(Accuracy(), reg.build)
    outputs, targets = {"pred_score": np.array([[0.1, 0.3, 0.6]])}, {"gt_label": np.array([1])}
    one = evaluator.observe(evaluator.empty(), outputs, targets, [0])
    other = evaluator.observe(evaluator.empty(), outputs, {"gt_label": np.array([2])}, [1])
    assert evaluator.compute(evaluator.merge(other, one)) == {"accuracy/top1": 0.5, "digits/top2": 1.0}


def test_two_metrics_of_one_name_are_refused():
    evaluator = Evaluator((Accuracy(), Accuracy()))
    state = evaluator.observe(evaluator.empty(), {"pred_label": [1]}, {"gt_label": [1]}, [0])
    with pytest.raises(FkitError, match=r"two metrics give 'accuracy/top1'\.\n  Set the prefix"):
        evaluator.compute(state)


@pytest.mark.parametrize("metrics", [3, [3], [Accuracy]])
def test_what_is_no_metric_is_named(metrics: Any):
    with pytest.raises(
        FkitError, match=r"metrics are a list|is no metric: it has no|is a class, and a metric is a value"
    ):
        Evaluator(metrics)


@pytest.mark.parametrize("cfg", [3, "Accuracy", {"metrics": [], "fast": True}])
def test_what_is_no_evaluator_is_named(cfg: Any):
    with pytest.raises(FkitError, match="an evaluator is"):
        Evaluator.of(cfg, fkit.registry().build)


def test_ids_come_from_meta_else_from_the_count():
    batch = Batch(np.zeros((2, 1)), meta=({"sample_idx": 5}, {"sample_idx": 3}))
    assert sample_ids(batch, 100).tolist() == [5, 3]
    assert sample_ids(Batch(np.zeros((2, 1))), 100).tolist() == [100, 101]
    assert sample_ids(Batch(np.zeros((2, 1)), meta=({"sample_idx": 5}, {})), 100).tolist() == [100, 101]
    with pytest.raises(FkitError, match="not a whole number"):
        sample_ids(Batch(np.zeros((1, 1)), meta=({"sample_idx": "a.png"},)), 0)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_top1_alone_is_top1_beside_others(seed, gaps):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (12, 4)).astype(np.float64)  # ties
    if gaps:
        scores[rng.random(scores.shape) < 0.2] = np.nan
    labels = rng.integers(0, 4, 12)
    found = []
    for topk in ((1,), (1, 2)):
        metric = Accuracy(topk=topk)
        state = metric.observe(metric.empty(), {"pred_score": scores}, {"gt_label": labels}, np.arange(12))
        found.append(metric.compute(state)["accuracy/top1"])
    assert found[0] == found[1]


class Error(fkit.Metric):
    """The common case: one number a sample."""

    def values(self, outputs: Any, targets: Any) -> Any:
        return np.abs(outputs["size"] - targets["size"])


class Pixels(fkit.Metric):
    """Sums over counts, and a mean beside them."""

    def values(self, outputs: Any, targets: Any) -> Any:
        return {"right": (outputs["size"], targets["size"]), "size": targets["size"]}


@settings(deadline=None)
@given(pieces())
def test_a_metric_of_values_is_a_monoid(found: Any):
    scores, labels, parts = found
    outputs, targets = scores[:, 0] * 0.1, labels + 1

    def part(metric: Any, numbers: Any) -> Any:
        at = np.array(numbers, np.int64)
        return metric.observe(metric.empty(), {"size": outputs[at]}, {"size": targets[at]}, at)

    for metric in (Error(), Pixels(prefix="p")):
        whole = part(metric, range(len(labels)))
        states = [part(metric, numbers) for numbers in parts]
        left, right = metric.empty(), metric.empty()
        for state in states:
            left, right = metric.merge(left, state), metric.merge(state, right)
        assert metric.compute(left) == metric.compute(right) == metric.compute(whole)
        assert metric.merge(metric.empty(), whole) == whole == metric.merge(whole, metric.empty())
        if len(states) > 2:
            one, two, three = states[:3]
            ways = metric.merge(metric.merge(one, two), three), metric.merge(one, metric.merge(two, three))
            assert ways[0] == ways[1]
    assert Error().compute(part(Error(), range(len(labels))))["error"] == pytest.approx(
        np.abs(outputs - targets).mean()
    )
    numbers = Pixels(prefix="p").compute(part(Pixels(), range(len(labels))))
    assert numbers == {"p/right": pytest.approx(outputs.sum() / targets.sum()), "p/size": pytest.approx(targets.mean())}


def test_what_a_metric_of_ones_own_lacks_is_said_with_the_contract():
    class Idle(fkit.Metric):
        pass

    class Halves(fkit.Metric):
        def observe(self, state: Any, outputs: Any, targets: Any, ids: Any, valid: Any = None) -> Any:
            return state

    for kind in (Idle, Halves):
        with pytest.raises(FkitError, match=rf"{kind.__name__} does not say what it measures.\n  Write `values"):
            Evaluator((kind(),))
    with pytest.raises(FkitError, match=r"A metric has empty\(\), observe\(state, outputs, targets, ids, valid\)"):
        Evaluator((Error,))  # type: ignore[arg-type]
    with pytest.raises(FkitError, match=r"Some is no metric: it has no empty\(\)"):
        Evaluator((type("Some", (), {"observe": len, "merge": len, "compute": len})(),))  # type: ignore[arg-type]
    given_three = {"size": np.zeros(3)}
    for wrong in (np.zeros(2), np.zeros((3, 1)), 3.0, None, "abc", np.array(["a", "b", "c"])):
        metric = type("Odd", (fkit.Metric,), {"values": lambda self, outputs, targets, wrong=wrong: wrong})()
        with pytest.raises(FkitError, match=r"Odd.values gave .* for 3 samples; expected \(N,\) numbers"):
            metric.observe(metric.empty(), given_three, given_three, [0, 1, 2])
    with pytest.raises(FkitError, match=r"Error: `values` sees no masks, and the batch has some: size"):
        Error().observe(Error().empty(), given_three, given_three, [0, 1, 2], {"size": np.ones(3, bool)})
    with pytest.raises(FkitError, match="Error: no sample was observed"):
        Error().compute(Error().empty())
    with pytest.raises(FkitError, match="all counts are 0"):
        Pixels().compute(Pixels().observe(Pixels().empty(), given_three, given_three, [0, 1, 2]))
