"""Suppression: against the definition, on every library, under jit; and what is empty, invalid or without area."""

import numpy as np
import pytest

from fkit.array.greedy import on_host, settled
from fkit.array.matrix import fast_nms, matrix_nms
from fkit.array.ops import Numpy
from fkit.array.suppress import batched, leaders, multiclass, nms, soft_nms
from fkit.tree.error import FkitTypeError, FkitValueError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain


@pytest.fixture(params=LIBRARIES)
def xp(request):
    return opened(request.param)


def scene(count, objects, seed=0, side=200.0):
    """Boxes in clusters, and scores that differ."""
    random = np.random.default_rng(seed)
    centre, size = random.uniform(0, side, (objects, 2)), np.exp(random.uniform(2, 4, (objects, 2)))
    of = random.integers(0, objects, count)
    at = centre[of] + random.normal(0, 0.2, (count, 2)) * size[of]
    half = size[of] * np.exp(random.normal(0, 0.2, (count, 2))) / 2
    boxes = np.concatenate([at - half, at + half], 1).astype(np.float32)
    return boxes, random.permutation(count).astype(np.float32) / count + 0.001


def iou(a, b, offset=0):
    width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]) + offset)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def greedy(boxes, scores, threshold, offset=0):
    """The definition, box by box."""
    kept = []
    for at in np.argsort(-scores, kind="stable"):
        if not any(iou(boxes[one], boxes[at], offset) > np.float32(threshold) for one in kept):
            kept.append(int(at))
    return kept


def ours(kept):
    return plain(kept.index)[plain(kept.valid)].tolist()


def compiled(xp, function, *arrays):
    if xp.name != "jax":
        return function(*arrays)
    import jax

    return jax.jit(function)(*arrays)


@pytest.mark.parametrize(
    ("count", "objects", "threshold", "offset"), [(150, 6, 0.5, 0), (150, 60, 0.3, 1), (7, 1, 0.7, 0)]
)
def test_what_is_kept_is_what_the_definition_keeps(xp, count, objects, threshold, offset):
    boxes, scores = scene(count, objects)
    arrays = [xp.asarray(a, "float32") for a in (boxes, scores)]
    kept = compiled(xp, lambda b, s: nms(xp, b, s, threshold, offset=offset), *arrays)
    want = greedy(boxes, scores, threshold, offset)
    assert ours(kept) == want
    assert plain(kept.scores)[: len(want)].tolist() == scores[want].tolist()
    few = compiled(xp, lambda b, s: nms(xp, b, s, threshold, offset=offset, count=5), *arrays)
    assert plain(few.index).shape == (5,)
    assert ours(few) == want[:5]


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("count", [None, 3, 40, 1000])
def test_both_ways_through_numpy_and_the_fixed_shapes_agree(sparse, count):
    boxes, _ = scene(300, 150 if sparse else 3, seed=4, side=3000.0 if sparse else 100.0)
    keep = on_host(boxes, 0.4, 0, count)
    for block in (32, 128, 512):
        fixed = settled(Numpy(), boxes, np.ones(len(boxes), bool), 0.4, 0, count, block)
        np.testing.assert_array_equal(fixed, keep)
    want = greedy(boxes, -np.arange(len(boxes), dtype=np.float32), 0.4)
    assert np.flatnonzero(keep).tolist() == (want if count is None else want[:count])


def test_boxes_that_are_not_there_keep_none_and_suppress_none(xp):
    boxes, scores = scene(60, 4, seed=1)
    valid = np.arange(60) % 3 != 0
    arrays = [xp.asarray(boxes, "float32"), xp.asarray(scores, "float32"), xp.asarray(valid, "bool")]
    there = np.flatnonzero(valid)
    want = [int(there[one]) for one in greedy(boxes[there], scores[there], 0.5)]
    assert ours(nms(xp, arrays[0], arrays[1], 0.5, valid=arrays[2])) == want
    none = nms(xp, arrays[0], arrays[1], 0.5, valid=arrays[2] & (arrays[1] < 0), count=4)
    assert ours(none) == [] and plain(none.scores).tolist() == [0, 0, 0, 0]


def test_no_boxes_at_all(xp):
    boxes, scores = xp.full((0, 4), 0), xp.full((0,), 0)
    assert plain(nms(xp, boxes, scores, 0.5).index).shape == (0,)
    assert plain(soft_nms(xp, boxes, scores, count=3).valid).tolist() == [False] * 3
    found = multiclass(xp, boxes, xp.full((0, 3), 0), 0.5, {"iou_threshold": 0.5}, 2)
    assert plain(found.bboxes).tolist() == [[0.0] * 4] * 2 and not plain(found.valid).any()
    assert plain(matrix_nms(xp, xp.full((0, 2, 2), 0), xp.full((0,), 0, "int64"), scores).index).shape == (0,)


def test_boxes_without_area_stay(xp):
    boxes = xp.asarray([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 9, 9], [9, 9, 0, 0]], "float32")
    assert ours(nms(xp, boxes, xp.asarray([4, 3, 2, 1], "float32"), 0.1)) == [0, 1, 2, 3]


@pytest.mark.parametrize("method", ["linear", "gaussian", "naive"])
def test_soft_suppression_is_its_definition(xp, method):
    boxes, scores = scene(40, 5, seed=2)
    left, now, want = list(range(40)), scores.astype(np.float64), []
    while left:
        best = max(left, key=lambda one: now[one])
        want.append((best, now[best]))
        left.remove(best)
        for one in left:
            much = iou(boxes[best], boxes[one])
            weight = {"linear": 1 - much, "naive": 0.0}.get(method, 1.0) if much >= 0.3 else 1.0
            now[one] *= np.exp(-much * much / 0.5) if method == "gaussian" else weight
        left = [one for one in left if now[one] >= 0.05]
    arrays = [xp.asarray(a, "float32") for a in (boxes, scores)]
    kept = compiled(xp, lambda b, s: soft_nms(xp, b, s, method=method, min_score=0.05), *arrays)
    assert ours(kept) == [one for one, _ in want]
    assert plain(kept.scores)[: len(want)] == pytest.approx([score for _, score in want], rel=1e-5)
    few = soft_nms(xp, *arrays, method=method, min_score=0.05, count=6)
    assert ours(few) == [one for one, _ in want][:6]


@pytest.mark.parametrize("own", [False, True])
def test_classes_are_suppressed_each_by_itself(xp, own):
    boxes, _ = scene(50, 6, seed=3)
    scores = np.random.default_rng(5).permutation(50 * 4).reshape(50, 4).astype(np.float32) / 200
    several = np.stack([boxes, boxes + 2, boxes + 5], 1).reshape(50, 12) if own else boxes
    rule = {"type": "nms", "iou_threshold": 0.5}
    arrays = [xp.asarray(a, "float32") for a in (several, scores)]
    found = compiled(xp, lambda b, s: multiclass(xp, b, s, 0.4, rule, 30), *arrays)
    want = []
    for label in range(3):
        mine = several.reshape(50, -1, 4)[:, label if own else 0]
        there = np.flatnonzero(scores[:, label] > 0.4)
        want += [
            (scores[there[one], label], label, there[one]) for one in greedy(mine[there], scores[there, label], 0.5)
        ]
    want = sorted(want, reverse=True)[:30]
    number = int(plain(found.valid).sum())
    assert number == len(want)
    assert plain(found.scores)[:number].tolist() == [score for score, _, _ in want]
    assert plain(found.labels)[:number].tolist() == [label for _, label, _ in want]
    assert plain(found.index)[:number].tolist() == [row * 3 + label for _, label, row in want]


def test_many_classes_are_no_limit_under_jit():
    jax = pytest.importorskip("jax")
    xp = opened("jax")
    boxes, _ = scene(300, 5, seed=6, side=800.0)
    scores = np.random.default_rng(7).permutation(300 * 81).reshape(300, 81).astype(np.float32) / (300 * 81)
    rule = {"type": "nms", "iou_threshold": 0.5}
    fixed = jax.jit(lambda b, s: multiclass(xp, b, s, 0.05, rule, 100))(boxes, scores)
    free = multiclass(Numpy(), boxes, scores, 0.05, rule, 100)
    for mine, other in zip(fixed, free, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), other)


def test_each_box_has_a_leader(xp):
    boxes, scores = scene(30, 3, seed=8)
    leader, order = (plain(a) for a in leaders(xp, xp.asarray(boxes, "float32"), xp.asarray(scores, "float32"), 0.5))
    assert order.tolist() == np.argsort(-scores, kind="stable").tolist()
    assert sorted(set(leader.tolist())) == sorted(greedy(boxes, scores, 0.5))
    for at, one in enumerate(leader):
        assert at == one or iou(boxes[one], boxes[at]) >= 0.5


def test_fast_suppression_leaves_no_class_more_than_it_looks_at(xp):
    boxes, _ = scene(20, 20, seed=9, side=4000.0)
    scores = xp.asarray(np.random.default_rng(1).random((20, 3)), "float32")
    found, _ = fast_nms(xp, xp.asarray(boxes, "float32"), scores, 0.0, 0.5, 4)
    assert np.bincount(plain(found.labels)[plain(found.valid)]).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ({"type": "nns"}, "'nns'"),
        ({"type": "nms", "iou_thresh": 0.5}, "'iou_thresh'"),
        ({"type": "nms"}, "iou_threshold"),
        ({"type": "soft_nms", "method": "cubic"}, "'cubic'"),
    ],
)
def test_a_table_that_says_nothing(cfg, words):
    with pytest.raises(FkitValueError, match=words):
        batched(Numpy(), np.zeros((1, 4)), np.zeros(1), np.zeros(1, int), cfg)


def test_shapes_that_do_not_fit():
    with pytest.raises(FkitTypeError, match="boxes are an array"):
        nms(Numpy(), np.zeros((2, 4)), np.zeros(3), 0.5)
    with pytest.raises(FkitTypeError, match="background"):
        multiclass(Numpy(), np.zeros((2, 8)), np.zeros((2, 2)), 0.5, None, 1)
