"""DetTTAModel: boxes of several views of an image, flipped back and suppressed together."""

import numpy as np
import pytest

from fkit.structures.batch import Batch
from fkit.training.merge import DetTTAModel, Merged
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain

SIZE = (20, 40)
TRUTH = np.array([[[2, 3, 10, 9], [20, 5, 38, 19]], [[0, 0, 6, 6], [1, 0, 7, 6]]], np.float32)


def mirrored(boxes, direction):
    out = boxes.copy()
    if direction in ("horizontal", "diagonal"):
        out[..., [0, 2]] = SIZE[1] - boxes[..., [2, 0]]
    if direction in ("vertical", "diagonal"):
        out[..., [1, 3]] = SIZE[0] - boxes[..., [3, 1]]
    return out


def view(xp, direction, scores, valid=None):
    """What a model says of two images of which each has two objects."""
    masks = np.zeros((2, 2, 3, 3), np.float32)
    masks[:, :, 0, 2] = 1  # a mark in the upper right corner of each box
    for axis, words in ((2, ("vertical", "diagonal")), (3, ("horizontal", "diagonal"))):
        masks = np.flip(masks, axis) if direction in words else masks
    group = {
        "bboxes": xp.asarray(mirrored(TRUTH, direction), "float32"),
        "scores": xp.asarray(scores, "float32"),
        "labels": xp.asarray([[0, 1], [2, 2]], "int64"),
        "mask_scores": xp.asarray(np.ascontiguousarray(masks), "float32"),
    }
    meta = {"ori_shape": SIZE, "flip": direction is not None, "flip_direction": direction}
    more = {} if valid is None else {"valid": {"pred_instances": xp.asarray(valid, "bool")}}
    return {"pred_instances": group, **more}, Batch(np.zeros((2, 3, 8, 8)), meta=(meta, meta))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_objects_of_two_views_are_one(library, direction):
    xp = opened(library)
    plainly = view(xp, None, [[0.9, 0.5], [0.8, 0.7]])
    turned = view(xp, direction, [[0.6, 0.7], [0.5, 0.9]], [[True, True], [True, False]])
    tta = DetTTAModel(dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=3))
    merged = tta.merge(xp, *zip(plainly, turned, strict=True))
    valid, fields = plain(merged["valid"]["pred_instances"]), {k: plain(v) for k, v in merged["pred_instances"].items()}
    assert valid.tolist() == [[True, True, False], [True, False, False]]
    assert fields["scores"] == pytest.approx(np.array([[0.9, 0.7, 0], [0.8, 0, 0]]))
    assert fields["labels"][valid].tolist() == [0, 1, 2]
    np.testing.assert_allclose(fields["bboxes"][valid], np.concatenate([TRUTH[0], TRUTH[1, :1]]), atol=1e-5)
    assert fields["mask_scores"][valid][:, 0, 2].tolist() == [1, 1, 1]
    assert fields["mask_scores"].sum() == 3


def test_detections_are_merged_where_no_model_is_named():
    xp = opened("numpy")
    one, batch = view(xp, None, [[0.9, 0.5], [0.8, 0.7]])
    merged = Merged().merge(xp, [one, one], [batch, batch])
    assert merged["valid"]["pred_instances"].sum() == 3
    assert merged["pred_instances"]["bboxes"].shape == (2, 100, 4)


@pytest.mark.parametrize(
    ("prediction", "meta", "words"),
    [
        ({"pred_score": np.zeros(1)}, {}, "pred_instances"),
        ({"pred_instances": {"bboxes": np.zeros((1, 1, 4)), "scores": np.zeros((1, 1))}}, {}, "labels"),
        (
            {"pred_instances": {"bboxes": np.zeros((1, 1, 4)), "scores": np.zeros((1, 1)), "labels": np.zeros((1, 1))}},
            {"flip": True},
            "ori_shape",
        ),
    ],
)
def test_what_is_lacking_is_named(prediction, meta, words):
    with pytest.raises(FkitError, match=words):
        DetTTAModel().merge(opened("numpy"), [prediction], [Batch(np.zeros((1, 3, 4, 4)), meta=(meta,))])
