"""Losses as arithmetic: forms that are the same loss agree, and gradients are those of differences."""

import numpy as np
import pytest

from fkit.array.loss.entropy import binary_cross_entropy, chance_entropy, cross_entropy, focal, hot
from fkit.array.loss.harmony import density_weights
from fkit.array.loss.quality import quality_focal, scored
from fkit.array.loss.reduce import reduced
from fkit.array.loss.region import ciou, diou, eiou, giou, iou, siou
from fkit.tree.error import FkitTypeError, FkitValueError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain, with_gradient

LOGITS = 3 * np.sin(np.arange(12.0)).reshape(3, 4)
LABELS = np.array([0, 3, 2])


@pytest.fixture(params=LIBRARIES)
def xp(request):
    xp = opened(request.param)
    with xp.width([np.zeros(1)]):
        yield xp


def of(xp, values, kind="float64"):
    return xp.asarray(np.array(values), kind)


def close(one, two):
    np.testing.assert_allclose(plain(one), plain(two), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3.0])
def test_labels_are_targets_that_are_hot(xp, gamma):
    logits, labels = of(xp, LOGITS), of(xp, LABELS, "int64")
    soft = xp.cast(hot(xp, labels, 4), logits)
    close(focal(xp, logits, labels, gamma, 0.3), focal(xp, logits, soft, gamma, 0.3))
    chances = xp.sigmoid(logits)
    close(focal(xp, chances, labels, gamma, 0.3, activated=True), focal(xp, logits, labels, gamma, 0.3))


def test_flags_are_targets(xp):
    logits, flags = of(xp, LOGITS), of(xp, LOGITS > 0.5, "bool")
    positive = of(xp, [0.5, 1, 2, 3])
    for weight in (None, positive):
        close(
            binary_cross_entropy(xp, logits, flags, weight),
            binary_cross_entropy(xp, logits, xp.cast(flags, logits), weight),
        )
    close(binary_cross_entropy(xp, logits, flags), chance_entropy(xp, xp.sigmoid(logits), xp.cast(flags, logits)))


def test_scores_of_classes_are_labels_where_they_are_hot(xp):
    logits, labels = of(xp, LOGITS), of(xp, LABELS, "int64")
    weights = (0.5, 1.0, 2.0, 4.0)
    soft = xp.cast(hot(xp, labels, 4), logits)
    close(cross_entropy(xp, logits, labels, weights), cross_entropy(xp, logits, soft, weights))


def test_a_pixel_is_a_row(xp):
    logits = of(xp, np.sin(np.arange(48.0)).reshape(2, 4, 3, 2))
    labels = of(xp, np.arange(12).reshape(2, 3, 2) % 4, "int64")
    rows = xp.lib.moveaxis(logits, 1, -1).reshape(-1, 4)
    weights = (0.5, 1.0, 2.0, 4.0)
    maps = cross_entropy(xp, logits, labels, weights, ignore=3)
    close(maps.reshape(-1), cross_entropy(xp, rows, labels.reshape(-1), weights, ignore=3))
    assert not plain(maps)[plain(labels) == 3].any()


def test_a_score_of_none_is_a_negative(xp):
    logits, labels = of(xp, LOGITS), of(xp, [0, 4, 2], "int64")
    target = scored(xp, labels, of(xp, [0.5, 0.7, 1.0]), logits)
    assert plain(target).tolist() == [[0.5, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert plain(quality_focal(xp, logits, target)).shape == (3,)


@pytest.mark.parametrize("loss", [iou, giou, diou, ciou, eiou, siou])
def test_gradients_are_those_of_differences(loss):
    xp = opened("torch")
    boxes = np.array([[0, 0, 4, 4.2], [1, 1, 3, 6.0], [5, 5, 9, 9.0]])
    others = of(xp, [[1, 0.3, 5, 3], [1.2, 2, 4, 6.1], [0, 0, 2, 1.0]])
    if loss is ciou:  # the weight of the shape has no gradient: one of boxes that hardly overlap, where it is 0
        boxes, others = boxes[2:], others[2:]
    _, gradient = with_gradient(xp, lambda at: loss(xp, at, others), of(xp, boxes))
    for place in np.ndindex(boxes.shape):
        ways = []
        for step in (1e-6, -1e-6):
            moved = boxes.copy()
            moved[place] += step
            ways.append(float(loss(xp, of(xp, moved), others).sum()))
        assert plain(gradient)[place] == pytest.approx((ways[0] - ways[1]) / 2e-6, abs=1e-6)


def test_a_weight_broadcasts(xp):
    loss = of(xp, np.ones((2, 3)))
    assert float(reduced(xp, loss, of(xp, [[1], [0]]), "sum")) == 3
    assert float(reduced(xp, loss, 0.5)) == 0.5
    assert float(reduced(xp, loss, of(xp, [1, 0, 0]), "mean", 0)) == pytest.approx(2 * 2**23)
    with pytest.raises(FkitTypeError, match="no weight of shape"):
        reduced(xp, loss, of(xp, [1, 0]))
    with pytest.raises(FkitValueError, match="reduction is 'sum'"):
        reduced(xp, loss, None, "sum", 2)
    with pytest.raises(FkitValueError, match="Did you mean 'mean'"):
        reduced(xp, loss, None, "means")


def test_bins_of_a_density_are_the_edges_wherever_they_lie(xp):
    hardness, valid = of(xp, [0.1, 0.35, 0.45, 0.55, 0.9]), of(xp, [1, 1, 1, 1, 0], "bool")
    edges = of(xp, [0.3, 0.5, 0.4, 0.6])  # three bins: [0.3, 0.5), none, [0.4, 0.6)
    weights, counts = density_weights(xp, hardness, valid, 4.0, edges)
    close(counts, [2, 0, 2])
    close(weights, [0, 1, 1, 1, 0])
    weights, counts = density_weights(xp, hardness, valid, 4.0, edges, of(xp, [1, 5, 4]), 0.5)
    close(counts, [1.5, 5, 3])
    close(weights, [0, 4 / 1.5 / 2, 4 / 3 / 2, 4 / 3 / 2, 0])
