"""mmcv.ops' functions on boxes by their names, on arrays of each library; their numbers are in the book ``boxes``."""

import numpy as np
import pytest

from fkit import compat
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain

BOXES = [[0, 0, 9, 9], [1, 0, 10, 9], [20, 0, 29, 9], [20, 1, 29, 10]]
SCORES = [0.5, 0.75, 0.25, 0.125]


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_kept_comes_in_rows_of_the_library(library):
    xp = opened(library)
    boxes, scores = xp.asarray(BOXES, "float32"), xp.asarray(SCORES, "float32")
    for (dets, keep), want in (
        (compat.nms(boxes, scores, 0.5), [1, 2]),
        (compat.nms(boxes, scores, 0.5, max_num=1), [1]),
        (compat.nms(boxes, scores, 0.5, score_threshold=0.3), [1]),
        (
            compat.batched_nms(boxes, scores, xp.asarray([0, 1, 0, 0], "int64"), dict(type="nms", iou_threshold=0.5)),
            [1, 0, 2],
        ),
        (compat.batched_nms(boxes, scores, xp.asarray([0, 1, 0, 0], "int64"), None), [1, 0, 2, 3]),
        (compat.soft_nms(boxes, scores, 0.5, min_score=0.05), [1, 2, 0]),
    ):
        assert type(dets) is type(boxes) and type(keep) is type(boxes)
        assert plain(keep).tolist() == want
        assert plain(dets).shape == (len(want), 5)
        np.testing.assert_array_equal(plain(dets)[:, :4], np.array(BOXES, np.float32)[want])
    dets = xp.lib.concat([boxes, scores[:, None]], axis=1)
    assert [plain(group).tolist() for group in compat.nms_match(dets, 0.5)] == [[1, 0], [2, 3]]
    fused = compat.weighted_boxes_fusion(
        [boxes, boxes], [scores, scores], [xp.asarray([0, 0, 1, 1], "int64")] * 2, [1, 3]
    )
    assert [plain(part).shape for part in fused] == [(2, 4), (2,), (2,)]
    assert plain(compat.bbox_overlaps(boxes[:1], boxes, offset=1))[0] == pytest.approx([1, 9 / 11, 0, 0])


def test_gradients_reach_the_scores_and_boxes():
    torch = pytest.importorskip("torch")
    boxes, scores = torch.tensor(BOXES, dtype=torch.float32), torch.tensor(SCORES, requires_grad=True)
    compat.nms(boxes, scores, 0.5)[0].sum().backward()
    assert scores.grad.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda boxes, scores: compat.nms(boxes, scores[:1], 0.5),
        lambda boxes, scores: compat.nms(boxes, scores, "x"),
        lambda boxes, scores: compat.soft_nms(boxes, scores, sigma="x"),
        lambda boxes, scores: compat.batched_nms(boxes, scores, [0], dict(iou_threshold=0.5)),
        lambda boxes, scores: compat.batched_nms(boxes, scores, np.zeros(4, int), dict(type="nms", iou=0.5)),
        lambda boxes, scores: compat.nms_match(boxes, 0.5),
        compat.bbox_overlaps,
        lambda boxes, scores: compat.weighted_boxes_fusion([boxes], [scores], []),
        lambda boxes, scores: compat.weighted_boxes_fusion([boxes], [scores], [scores], [1, 2]),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(FkitError):
        call(np.array(BOXES, np.float32), np.array(SCORES, np.float32))
