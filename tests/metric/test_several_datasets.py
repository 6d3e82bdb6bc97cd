"""A metric for each of the data sets that are concatenated, through a run."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.metric.evaluator import Evaluator, MultiDatasetsEvaluator
from fkit.metric.segmentation import IoUMetric
from fkit.tree.error import FkitError

STEPS = [dict(type="ToUnit"), dict(type="PackInputs")]
MODEL = dict(
    type="ImageClassifier",
    backbone=dict(type="ConvNet", in_channels=1, channels=(4, 8)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=8),
)
SOME = dict(type="Subset", dataset=dict(type="Digits", split="test", pipeline=STEPS), indices=100)
OTHERS = dict(type="Subset", dataset=dict(type="Digits", split="train", pipeline=STEPS), indices=-50)
BOTH = dict(type="MultiDatasetsEvaluator", metrics=[dict(type="Accuracy"), dict(type="Accuracy", topk=(1, 5))])


def scores(dataset: Any, evaluator: Any, **loader: Any) -> dict[str, float]:
    cfg = dict(
        model=MODEL, val_dataloader=dict(batch_size=32, dataset=dataset, **loader), val_evaluator=evaluator,
        seed=2, device="cpu",
    )  # fmt: skip
    plan = fkit.plan(fkit.Config(cfg), backend="torch", part="val")
    run = fkit.begin(plan)
    for run, _ in fkit.validate(plan, run, fkit.open_data(plan)):
        pass
    return dict(run.metrics)


@pytest.mark.parametrize(("kind", "shuffle"), [("ConcatDataset", False), ("mmdet.ConcatDataset", True)])
def test_each_data_set_has_the_numbers_it_has_by_itself(kind: str, shuffle: bool):
    """Its samples are told by their place among all: a batch holds some of both, and the order is any."""
    several = scores(dict(type=kind, datasets=[SOME, OTHERS]), dict(BOTH, dataset_prefixes=["a", "b"]), shuffle=shuffle)
    one, two = scores(SOME, dict(type="Accuracy")), scores(OTHERS, dict(type="Accuracy", topk=(1, 5)))
    assert several == {f"a/{name}": n for name, n in one.items()} | {f"b/{name}": n for name, n in two.items()}
    assert len(several) == 3


def test_what_does_not_fit_together_is_said():
    both = dict(type="ConcatDataset", datasets=[SOME, OTHERS])
    with pytest.raises(FkitError, match=r"(?s)2 metrics for 0 data sets.*type='ConcatDataset'"):
        scores(SOME, dict(BOTH, dataset_prefixes=["a", "b"]))
    with pytest.raises(FkitError, match=r"2 metrics for 3 data sets"):
        scores(dict(both, datasets=[SOME, OTHERS, SOME]), dict(BOTH, dataset_prefixes=["a", "b"]))
    with pytest.raises(FkitError, match=r"(?s)two metrics give 'a/accuracy/top1'.*dataset_prefixes"):
        scores(both, dict(BOTH, dataset_prefixes=["a", "a"]))
    with pytest.raises(FkitError, match=r"(?s)val_evaluator.*3 dataset_prefixes for 2 metrics"):
        scores(both, dict(BOTH, dataset_prefixes=["a", "b", "c"]))


def test_each_metric_knows_its_own_data_set():
    evaluator = MultiDatasetsEvaluator((IoUMetric(), IoUMetric()), ("a", "b"))
    differ = {"cumulative_sizes": (1, 2), "datasets": ({"classes": ("cell",)}, {"classes": ("cell", "wall")})}
    assert [one.classes for one in evaluator.informed(differ).metrics] == [("cell",), ("cell", "wall")]
    same = evaluator.informed({"cumulative_sizes": (1, 2), "classes": ("cell",)})
    assert [one.classes for one in same.metrics] == [("cell",), ("cell",)] and same.cumulative_sizes == (1, 2)
    assert (
        isinstance(Evaluator.of(evaluator, fkit.build), MultiDatasetsEvaluator) and np.diff(same.cumulative_sizes) == 1
    )
