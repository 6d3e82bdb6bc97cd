"""Weighted boxes fusion: boxes of several detectors about the same object are averaged by their scores."""

from typing import Any, NamedTuple

from fkit.array.greedy import overlap
from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["CONFIDENCES", "Fused", "weighted_boxes_fusion"]

CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")


class Fused(NamedTuple):
    """Objects in descending order of scores; rows that are not ``valid`` are 0.

    Attributes:
        bboxes: (N, 4).
        scores: (N,).
        labels: (N,) whole numbers.
        valid: (N,) bool.
    """

    bboxes: Any
    scores: Any
    labels: Any
    valid: Any


class _Clusters(NamedTuple):
    """What is gathered so far, a row an object: sums over its boxes, and which models saw it."""

    total: Any  # (N, 4) of boxes times scores
    score: Any  # (N,) sum
    most: Any  # (N,) greatest score
    boxes: Any  # (N,) how many
    weight: Any  # (N,) sum of their models' weights
    seen: Any  # (N, models) bool
    label: Any  # (N,)
    sides: Any  # (N, 4) the box that others are held against


def weighted_boxes_fusion(
    xp: Ops,
    boxes: Any,
    scores: Any,
    labels: Any,
    models: Any,
    weights: Any,
    *,
    iou_thr: float = 0.55,
    skip_box_thr: float = 0.0,
    conf_type: str = "avg",
    allows_overflow: bool = False,
    valid: Any = None,
) -> Fused:
    """Gather, in descending order of scores, each box to the object that it overlaps most, and average each object's boxes.

    Args:
        boxes: (N, 4) of all models.
        scores: (N,).
        labels: (N,) whole numbers; boxes of unlike labels are of unlike objects.
        models: (N,) whose box it is, whole numbers from 0 on.
        weights: (M,) of the models.
        iou_thr: above which a box is about an object that is there already.
        skip_box_thr: boxes with lower scores do not count; nor do those without area.
        conf_type: an object's score: "avg" of its boxes', less where models are missing; "max"; "box_and_model_avg" and
            "absent_model_aware_avg", averages by the models' weights.
        allows_overflow: of "avg": more boxes than models make a score greater.
        valid: (N,) which boxes there are; None: all.

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: no such ``conf_type``.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> boxes, scores = np.array([[0.0, 0, 10, 10], [0, 0, 10, 8]]), np.array([0.75, 0.25])
        >>> fused = weighted_boxes_fusion(Numpy(), boxes, scores, np.zeros(2, int), np.array([0, 1]), np.ones(2))
        >>> fused.bboxes[0].tolist(), fused.scores.tolist()
        ([0.0, 0.0, 10.0, 9.5], [0.5, 0.0])
    """
    shape = tuple(getattr(boxes, "shape", ()))
    if len(shape) != 2 or shape[1] != 4 or any(tuple(a.shape) != shape[:1] for a in (scores, labels, models)):
        raise FkitTypeError(
            f"weighted_boxes_fusion: boxes are an array (N, 4), and scores, labels and models ones (N,), not {quoted(boxes, 60)}."
        )
    if conf_type not in CONFIDENCES:
        what = f"weighted_boxes_fusion: conf_type = {quoted(conf_type)} is unknown."
        raise FkitValueError(what, value=str(conf_type), choices=CONFIDENCES, label="Types")
    if not shape[0]:
        return Fused(boxes, scores, labels, xp.full((0,), 0, "bool"))
    there = (scores >= skip_box_thr) & (boxes[:, 2] != boxes[:, 0]) & (boxes[:, 3] != boxes[:, 1])
    there = there if valid is None else there & valid
    lib = xp.lib
    sides = lib.concat([lib.minimum(boxes[:, :2], boxes[:, 2:]), lib.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    share = xp.take(weights, models)
    order = xp.order(lib.where(there, scores * share, -float("inf")), descending=True)
    box, score, label, model, weight = (xp.take(a, order) for a in (sides, scores * share, labels, models, share))
    count, several = xp.cast(there, "int64").sum(), len(weights)
    number, clusters = _gathered(xp, box, score, label, model, weight, count, several, iou_thr)
    real = xp.arange(shape[0]) < number
    score = lib.where(real, _confidence(xp, clusters, weights, conf_type, allows_overflow), -float("inf"))
    last = xp.order(score, descending=True)
    real = xp.take(real, last)
    bboxes, score, label = (xp.take(a, last) for a in (clusters.sides, score, clusters.label))
    return Fused(lib.where(real[:, None], bboxes, 0), lib.where(real, score, 0), lib.where(real, label, 0), real)


def _gathered(
    xp: Ops, boxes: Any, scores: Any, labels: Any, models: Any, share: Any, count: Any, several: int, iou_thr: float
) -> tuple[Any, _Clusters]:
    """How many objects the first ``count`` boxes, the best first, are about, and these."""
    lib, size = xp.lib, len(boxes)
    place, of = xp.arange(size), xp.arange(several)
    none = xp.full((size,), 0, scores)
    start = _Clusters(
        0 * boxes, none, none, none, none, xp.full((size, several), 0, "bool"), xp.full((size,), 0, labels), 0 * boxes
    )

    def body(state: Any) -> Any:
        at, number, now = state
        one = at.reshape(1)
        box, score, label, model, weight = (xp.take(a, one) for a in (boxes, scores, labels, models, share))
        much = lib.where((place < number) & (now.label == label), overlap(lib, box, now.sides)[0], -1)
        best = xp.argmax(much, 0)
        known = much[best] > iou_thr
        mine = place == lib.where(known, best, number)
        add = xp.cast(mine, scores)
        total, summed = now.total + add[:, None] * score * box, now.score + add * score
        mean = total / lib.where(summed == 0, 1, summed)[:, None]
        after = _Clusters(
            total,
            summed,
            lib.where(mine, lib.maximum(now.most, score), now.most),
            now.boxes + add,
            now.weight + add * weight,
            now.seen | (mine[:, None] & (of == model)[None]),
            lib.where(mine, label, now.label),
            lib.where(mine[:, None], lib.where(known, mean, box), now.sides),
        )
        return at + 1, lib.where(known, number, number + 1), after

    zero = xp.asarray(0, "int64")
    _, number, clusters = xp.loop(lambda state: state[0] < count, body, (zero, zero, start))
    return number, _Clusters(*clusters)


def _confidence(xp: Ops, clusters: _Clusters, weights: Any, conf_type: str, allows_overflow: bool) -> Any:
    """(N,) scores of objects."""
    lib = xp.lib
    boxes = lib.where(clusters.boxes == 0, 1, clusters.boxes)
    weight = lib.where(clusters.weight == 0, 1, clusters.weight)
    seen = xp.cast(clusters.seen, weights) @ weights
    if conf_type == "max":
        return clusters.most / weights.max()
    if conf_type == "box_and_model_avg":
        return clusters.score / weight * seen / weights.sum()
    if conf_type == "absent_model_aware_avg":
        return clusters.score / (clusters.weight + (weights.sum() - seen) + xp.cast(clusters.boxes == 0, weights))
    if allows_overflow:
        return clusters.score / weights.sum()
    return clusters.score / boxes * xp.at_most(clusters.boxes, len(weights)) / weights.sum()
