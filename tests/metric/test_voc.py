"""VOC's and Open Images' numbers: figures that mmdet 3.3.0's own functions gave on the same made-up boxes."""

import numpy as np
import pytest

from fkit.metric.voc import OpenImagesMetric, VOCMetric
from fkit.tree.error import FkitError


def images(seed=0, count=8, classes=3):
    """Boxes with doubles, ignored ones, groups; an image without objects, one without results."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        m = int(rng.integers(0, 7)) if number != 3 else 0
        low = rng.uniform(0, 80, (m, 2))
        boxes = np.concatenate((low, low + rng.uniform(5, 40, (m, 2))), 1).round(1).astype(np.float32)
        labels, ignored, groups = rng.integers(0, classes, m), rng.random(m) < 0.2, rng.random(m) < 0.3
        said = np.repeat(boxes, 2, 0) + rng.normal(0, 2, (2 * m, 4))
        extra = rng.uniform(0, 60, (4, 2))
        said = np.concatenate((said, np.concatenate((extra, extra + 30), 1))).astype(np.float32)
        names = np.concatenate((np.repeat(labels, 2), rng.integers(0, classes, 4)))
        scores = (rng.permutation(1000)[: len(names)] / 1000 + number / 10000).astype(np.float32)
        if number == 5:
            said, names, scores = said[:0], names[:0], scores[:0]
        looked = rng.choice(classes, 2, replace=False)
        yield {
            "pred_instances": {"bboxes": said, "labels": names, "scores": scores}, "image_level_labels": looked,
            "gt_instances": {"bboxes": boxes[~ignored], "labels": labels[~ignored]},
            "ignored_instances": {"bboxes": boxes[ignored], "labels": labels[ignored]},
        }, tuple({"bbox": b.tolist(), "bbox_label": int(k), "is_group_of": bool(g)} for b, k, g in zip(boxes, labels, groups, strict=True))  # fmt: skip


def observed(metric, order=range(8), instances=False):
    rows = [{**row, "instances": listed} if instances else row for row, listed in images()]
    state = metric.empty()
    for at in order:
        state = metric.observe(state, [rows[at]], {}, [at])
    return state


@pytest.mark.parametrize(("mode", "ranges", "expected"), [
    ("11points", None, (0.5897347331047058, 0.3625199496746063)), ("11points", [(0, 25)], (0.7343893, 0.30547905)),
    ("area", None, (0.5851405262947083, 0.3640982210636139)), ("area", [(0, 25)], (0.7349687, 0.30002406)),
])  # fmt: skip
def test_average_precision(mode, ranges, expected):
    metric = VOCMetric(iou_thrs=[0.5, 0.7], eval_mode=mode, scale_ranges=ranges)
    numbers = metric.compute(observed(metric))
    assert list(numbers) == ["pascal_voc/mAP", "pascal_voc/AP50", "pascal_voc/AP70"]
    assert [numbers["pascal_voc/AP50"], numbers["pascal_voc/AP70"]] == pytest.approx(expected, abs=1e-6)
    parts = [observed(metric, order) for order in ([6, 1, 0], [7, 2], [5, 4, 3, 1])]
    assert metric.compute(metric.merge(parts[1], metric.merge(parts[2], parts[0]))) == numbers


def test_recall():
    metric = VOCMetric(metric="recall", iou_thrs=[0.5, 0.7], proposal_nums=(2, 5))
    assert list(metric.compute(observed(metric)).values()) == pytest.approx(
        [0.2692307692307692, 0.15384615384615385, 0.5769230769230769, 0.38461538461538464, 0.21153846153846154, 0.4807692307692307]
    )  # fmt: skip


def test_open_images():
    """Class 2 is above class 0; groups; classes that were looked for."""
    relation = [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    metric = OpenImagesMetric(metainfo={"classes": ("a", "b", "c"), "RELATION_MATRIX": relation})
    assert metric.compute(observed(metric, instances=True))["openimages/AP50"] == pytest.approx(0.5464816689491272, abs=1e-6)  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [
    (lambda: VOCMetric(metric="AP"), "metric = 'AP'"), (lambda: VOCMetric(eval_mode="10"), "eval_mode"), (lambda: VOCMetric(iou_thrs="a"), "iou_thrs"),
    (lambda: OpenImagesMetric(ioa_thrs=None), "ioa_thrs"), (lambda: VOCMetric(scale_ranges=[(1, 2, 3)]), "pairs"),
])  # fmt: skip
def test_arguments_are_checked(make, words):
    with pytest.raises(FkitError, match=words):
        make()
