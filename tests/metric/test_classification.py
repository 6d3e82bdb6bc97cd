"""Precision, recall, F1, confusion and average precision: figures of mmpretrain's manual (per cent there), and laws."""

import numpy as np
import pytest

from fkit.metric.accuracy import Accuracy
from fkit.metric.classification import ConfusionMatrix, SingleLabelMetric
from fkit.metric.multilabel import (
    AveragePrecision,
    MultiLabelMetric,
    RetrievalAveragePrecision,
    RetrievalRecall,
    VOCAveragePrecision,
    VOCMultiLabelMetric,
)
from fkit.structures import ClsDataSample
from fkit.tree.error import FkitError

SAID = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
REAL = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
SCORES = np.array([
    [0.4575, 0.7335, 0.3934, 0.2572], [0.1318, 0.1004, 0.8248, 0.6448], [0.8349, 0.6294, 0.7896, 0.2061],
    [0.4037, 0.7308, 0.6713, 0.8374], [0.3779, 0.4836, 0.0313, 0.0067],
])  # fmt: skip


def numbers(metric, outputs, targets, count):
    return metric.compute(metric.observe(metric.empty(), outputs, targets, range(count)))


@pytest.mark.parametrize(("change", "said", "expected"), [
    ({}, SAID, (0.4375, 0.3125, 0.333333, 8)), ({"thr": 0.1}, SCORES, (0.425, 0.75, 0.531746, 8)),
    ({"topk": 1}, SCORES, (0.625, 0.3125, 0.391667, 8)),
])  # fmt: skip
def test_several_labels(change, said, expected):
    metric = MultiLabelMetric(items=["precision", "recall", "f1-score", "support"], **change)
    got = numbers(metric, {"pred_score": said}, {"gt_score": REAL}, 5)
    suffix = "_thr-0.10" if "thr" in change else "_top1" if change else ""
    assert got == pytest.approx({f"multi-label/{name}{suffix}": value for name, value in zip(("precision", "recall", "f1-score", "support"), expected, strict=True)}, abs=1e-6)  # fmt: skip


def test_labels_in_place_of_scores_and_what_does_not_count():
    labels = [np.flatnonzero(row) for row in REAL]
    metric = MultiLabelMetric(average=None)
    assert numbers(metric, {"pred_score": SAID}, {"gt_label": labels}, 5) == numbers(metric, {"pred_score": SAID}, {"gt_score": REAL}, 5)  # fmt: skip
    partly = np.where(SAID != REAL, -1, REAL)
    assert numbers(MultiLabelMetric(average="micro"), {"pred_score": SAID}, {"gt_score": partly}, 5)["multi-label/precision_micro"] == 1  # fmt: skip


def test_difficult_objects():
    outputs, easy, difficult = {"pred_score": np.array([[0.9, 0.8, 0.1]])}, [[0]], [[0, 1]]
    targets = {"gt_label": easy, "gt_label_difficult": difficult}
    for choice, precision in ((None, 1), (True, 1), (False, 0.5)):
        metric = VOCMultiLabelMetric(difficult_as_positive=choice, average="micro", items=["precision", "support"])
        got = numbers(metric, outputs, targets, 1)
        assert got == {"multi-label/precision_micro": precision, "multi-label/support_micro": 2 if choice else 1}
    assert numbers(VOCAveragePrecision(average=None), outputs, targets, 1)["multi-label/AP_classwise/1"] == 0


def test_average_precision_by_class():
    scores = np.array([[0.9, 0.8, 0.3, 0.2], [0.1, 0.2, 0.2, 0.1], [0.7, 0.5, 0.9, 0.3], [0.8, 0.1, 0.1, 0.2]])
    real = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]])
    got = numbers(AveragePrecision(average=None), {"pred_score": scores}, {"gt_score": real}, 4)
    assert list(got.values()) == pytest.approx([1, 0.833333, 1, 0], abs=1e-6)
    got = numbers(AveragePrecision(), {"pred_score": scores}, {"gt_score": real}, 4)
    assert got == pytest.approx({"multi-label/mAP": 0.70833333}, abs=1e-8)


def test_one_label_with_thresholds():
    rng = np.random.default_rng(0)
    scores, labels = rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40)
    metric = SingleLabelMetric(thrs=(None, 0.5), items=["precision", "recall", "support"], average=None)
    got = numbers(metric.informed({"classes": ("a", "b", "c")}), {"pred_score": scores}, {"gt_label": labels}, 40)
    said = scores.argmax(1)
    for name, kept in (("_no-thr", np.ones(40, bool)), ("_thr-0.50", scores.max(1) > 0.5)):
        for at, word in enumerate("abc"):
            right = np.sum((said == at) & (labels == at) & kept)
            assert got[f"single-label/precision{name}_classwise/{word}"] == right / np.sum((said == at) & kept)
            assert got[f"single-label/recall{name}_classwise/{word}"] == right / np.sum(labels == at)
    micro = numbers(SingleLabelMetric(average="micro"), {"pred_score": scores}, {"gt_label": labels}, 40)
    assert set(micro.values()) == {np.mean(said == labels)}


def test_confusion_counts_each_sample_once_whatever_the_order():
    said, labels = np.array([0, 1, 1, 3]), np.array([0, 2, 1, 3])
    metric = ConfusionMatrix(num_classes=4)
    parts = [metric.observe(metric.empty(), {"pred_label": said[at]}, {"gt_label": labels[at]}, at) for at in ([2, 1], [3, 1], [0])]  # fmt: skip
    assert metric.matrix(metric.merge(parts[1], metric.merge(parts[2], parts[0]))).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]  # fmt: skip
    samples = [ClsDataSample().set_gt_label(int(b)).set_pred_label(int(a)) for a, b in zip(said, labels, strict=True)]
    assert numbers(metric, samples, {}, 4)["confusion_matrix/2/1"] == 1
    masked = metric.observe(metric.empty(), {"pred_label": said}, {"gt_label": labels}, range(4), {"gt_label": np.array([1, 0, 1, 1], bool)})  # fmt: skip
    assert metric.matrix(masked).trace() == metric.matrix(masked).sum() == 3


def test_accuracy_with_thresholds_and_of_samples_by_themselves():
    labels = np.array([0, 2, 1, 0, 0])
    metric = Accuracy(topk=(1, 2), thrs=(None, 0.5))
    got = numbers(metric, {"pred_score": SCORES}, {"gt_label": labels}, 5)
    mine, order = SCORES[np.arange(5), labels], np.argsort(-SCORES, axis=1)
    for k in (1, 2):
        found = (order[:, :k] == labels[:, None]).any(1)
        assert (
            got[f"accuracy/top{k}_no-thr"] == found.mean()
            and got[f"accuracy/top{k}_thr-0.50"] == (found & (mine > 0.5)).mean()
        )
    samples = [
        ClsDataSample().set_pred_score(row).set_gt_label(int(label)) for row, label in zip(SCORES, labels, strict=True)
    ]
    assert numbers(metric, samples, {}, 5) == got


def test_retrieval():
    scores = np.array([[0.9, 0.5, 0.4, 0.1], [0.2, 0.3, 0.4, 0.5]])
    assert numbers(RetrievalRecall(topk=[1, 2, 4]), {"pred_score": scores}, {"gt_label": [[0, 3], [1]]}, 2) == {
        "retrieval/Recall@1": 0.5, "retrieval/Recall@2": 0.5, "retrieval/Recall@4": 1.0,
    }  # fmt: skip
    places = {"gt_label": [[0, 3, 6, 8, 35], [1, 2, 54, 105], [2, 42, 205]]}
    order = np.linspace(1, 0, 206)[None].repeat(3, 0)
    assert numbers(RetrievalAveragePrecision(topk=10), {"pred_score": order}, places, 3)["retrieval/mAP@10"] == pytest.approx(0.29246031746031747)  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [
    (lambda: SingleLabelMetric(average="mean"), "average = 'mean'"), (lambda: SingleLabelMetric(items=["f1"]), "f1-score"),
    (lambda: SingleLabelMetric(thrs="a"), "thrs"), (lambda: RetrievalRecall(topk=0), "at least 1"), (lambda: MultiLabelMetric(thr="a"), "thr"),
    (lambda: numbers(ConfusionMatrix(num_classes=2), {"pred_label": [3]}, {"gt_label": [0]}, 1), "label 3 is none of 2"),
    (lambda: numbers(MultiLabelMetric(), {"pred_score": SCORES}, {"gt_label": [[9]] * 5}, 5), "no classes among 4"),
    (lambda: numbers(SingleLabelMetric(), {"pred_score": SCORES}, {"gt_label": [[0, 1]] * 5}, 5), "one class"),
])  # fmt: skip
def test_what_is_wrong_is_told(make, words):
    with pytest.raises(FkitError, match=words):
        make()
