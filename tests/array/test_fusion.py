"""Weighted boxes fusion: against the definition, box by box, on every library."""

import numpy as np
import pytest

from fkit.array.fusion import CONFIDENCES, weighted_boxes_fusion
from fkit.array.ops import Numpy
from fkit.tree.error import FkitError
from tests.array.test_suppress import iou, scene
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain

WEIGHTS = np.array([1.0, 0.5, 2.0])


def fused(boxes, scores, labels, models, conf_type, overflow):
    """Rows (score, label, box): the definition."""
    objects = []
    for at in np.argsort(-(scores * WEIGHTS[models]), kind="stable"):
        if scores[at] < 0.1 or boxes[at][2] == boxes[at][0]:
            continue
        matches = [
            (iou(one["box"], boxes[at]), -place) for place, one in enumerate(objects) if one["label"] == labels[at]
        ]
        score = scores[at] * WEIGHTS[models[at]]
        best = max(matches, default=(0, 0))
        if best[0] > 0.5:
            one = objects[-best[1]]
            one["parts"].append((score, boxes[at], models[at]))
            total = sum(part[0] for part in one["parts"])
            one["box"] = sum(part[0] * part[1] for part in one["parts"]) / total
        else:
            objects.append({"box": boxes[at], "label": labels[at], "parts": [(score, boxes[at], models[at])]})
    rows = []
    for one in objects:
        parts = one["parts"]
        total, number = sum(part[0] for part in parts), len(parts)
        seen = sorted({part[2] for part in parts})
        weight = sum(WEIGHTS[part[2]] for part in parts)
        score = {
            "avg": total / number * (number if overflow else min(number, 3)) / WEIGHTS.sum(),
            "max": max(part[0] for part in parts) / WEIGHTS.max(),
            "box_and_model_avg": total / weight * WEIGHTS[seen].sum() / WEIGHTS.sum(),
            "absent_model_aware_avg": total / (weight + WEIGHTS[[m for m in range(3) if m not in seen]].sum()),
        }[conf_type]
        rows.append((score, one["label"], one["box"]))
    return sorted(rows, key=lambda row: -row[0])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("conf_type", CONFIDENCES)
def test_boxes_about_an_object_are_averaged(library, conf_type):
    xp = opened(library)
    boxes, scores = scene(24, 4, seed=3)
    boxes[5, 2] = boxes[5, 0]
    random = np.random.default_rng(0)
    labels, models = random.integers(0, 2, 24), random.integers(0, 3, 24)
    arrays = [xp.asarray(boxes, "float32"), xp.asarray(scores, "float32")]
    more = [xp.asarray(a, "int64") for a in (labels, models)] + [xp.asarray(WEIGHTS, "float32")]
    for overflow in (False, True):
        options = dict(iou_thr=0.5, skip_box_thr=0.1, conf_type=conf_type, allows_overflow=overflow)
        found = weighted_boxes_fusion(xp, *arrays, *more, **options)
        want = fused(boxes.astype(np.float64), scores, labels, models, conf_type, overflow)
        number = int(plain(found.valid).sum())
        assert number == len(want) < 24
        assert plain(found.scores)[:number] == pytest.approx([row[0] for row in want], rel=1e-5)
        assert plain(found.labels)[:number].tolist() == [row[1] for row in want]
        np.testing.assert_allclose(
            plain(found.bboxes)[:number], np.stack([row[2] for row in want]), rtol=1e-4, atol=1e-3
        )


def test_nothing_and_no_such_thing():
    nothing = np.zeros(0, int)
    found = weighted_boxes_fusion(Numpy(), np.zeros((0, 4)), np.zeros(0), nothing, nothing, WEIGHTS)
    assert found.valid.shape == (0,)
    with pytest.raises(FkitError, match="'mean'"):
        weighted_boxes_fusion(Numpy(), np.zeros((1, 4)), *[np.zeros(1, int)] * 3, WEIGHTS, conf_type="mean")
    with pytest.raises(FkitError, match="weighted_boxes_fusion"):
        weighted_boxes_fusion(Numpy(), np.zeros((2, 4)), *[np.zeros(1, int)] * 3, WEIGHTS)
