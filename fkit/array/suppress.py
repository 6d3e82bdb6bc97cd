"""Non-maximum suppression in every form: which of many boxes about the same object stand for it.

All are of fixed shapes: what is kept comes first, in descending order of scores, and ``valid`` says how much of the result that
is. Integers of keep sets are those of mmcv's compiled operators; of equal scores the first box goes first.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np

from fkit.array.greedy import on_host, overlap, settled
from fkit.array.ops import Ops
from fkit.array.soft import METHODS, Decay, rescored, rescored_on_host
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Detections", "Kept", "batched", "leaders", "multiclass", "nms", "parse_rule", "soft_nms"]

_TRACED, _EAGER = 128, 2048  # boxes at a time; eagerly each round is a wait for the device


class Kept(NamedTuple):
    """What suppression keeps of N boxes.

    Attributes:
        index: (K,) which boxes, whole numbers; 0 where there is none.
        scores: (K,) their scores, descending; 0 where there is none.
        valid: (K,) where there is one.
    """

    index: Any
    scores: Any
    valid: Any


class Detections(NamedTuple):
    """The objects of one image; rows that are not ``valid`` are 0.

    Attributes:
        bboxes: (K, 4).
        scores: (K,) descending.
        labels: (K,) whole numbers.
        valid: (K,) bool.
        index: (K,) the place in the (N * classes,) scores.
    """

    bboxes: Any
    scores: Any
    labels: Any
    valid: Any
    index: Any


def nms(
    xp: Ops,
    boxes: Any,
    scores: Any,
    threshold: float,
    *,
    valid: Any = None,
    offset: int = 0,
    count: int | None = None,
) -> Kept:
    """Keep, in descending order of scores, each box that overlaps no kept one by more than the threshold.

    Args:
        boxes: (N, 4) corners x1 y1 x2 y2.
        scores: (N,).
        threshold: of intersection over union; a box exactly on it stays.
        valid: (N,) which boxes there are; None: all.
        offset: what is added to widths and heights: 1 where coordinates are pixels' numbers, as in mmdet 1.x.
        count: how many rows the result has; None: N.

    Raises:
        FkitTypeError: boxes and scores do not fit.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> kept = nms(Numpy(), np.array([[0.0, 0, 9, 9], [20, 0, 29, 9], [1, 0, 10, 9]]), np.array([0.9, 0.5, 0.8]), 0.5)
        >>> kept.index.tolist(), kept.valid.tolist()
        ([0, 1, 0], [True, True, False])
    """
    boxes, scores, valid, most = _expected(xp, boxes, scores, valid, count, "nms")
    order, there = _ranked(xp, scores, valid)
    sides = xp.detached(xp.take(boxes, order))

    def here(sides: Any, there: Any) -> tuple[Any]:
        number = int(there.sum())
        keep = np.zeros(len(there), bool)
        keep[:number] = on_host(sides[:number], threshold, offset, count)
        return (keep,)

    hosted = xp.hosted(here, sides, there)
    block = _TRACED if xp.name == "jax" else _EAGER
    keep = hosted[0] if hosted else settled(xp, sides, there, threshold, offset, count, block)
    place, real = xp.packed(keep, most)
    index = xp.lib.where(real, xp.take(order, place), 0)
    return Kept(index, xp.lib.where(real, xp.take(scores, index), 0), real)


def soft_nms(
    xp: Ops,
    boxes: Any,
    scores: Any,
    threshold: float = 0.3,
    *,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = "linear",
    valid: Any = None,
    offset: int = 0,
    count: int | None = None,
) -> Kept:
    """Take the box with the highest score, lower the scores of those that it overlaps, and so on.

    Args:
        boxes, scores, valid, offset, count: as of `nms`.
        threshold: of intersection over union, from which on "linear" multiplies a score by 1 less the overlap, "naive" by 0.
        sigma: "gaussian" multiplies each score by ``exp(-overlap ** 2 / sigma)``.
        min_score: what falls below it is gone.
        method: "linear", "gaussian" or "naive".

    Raises:
        FkitTypeError: boxes and scores do not fit.
        FkitValueError: there is no such method.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> kept = soft_nms(Numpy(), np.array([[0.0, 0, 10, 10], [0, 0, 10, 5]]), np.array([0.9, 0.8]))
        >>> kept.scores.tolist()
        [0.9, 0.4]
    """
    if method not in METHODS:
        raise FkitValueError(
            f"soft_nms: method = {quoted(method)} is unknown.", value=str(method), choices=METHODS, label="Methods"
        )
    boxes, scores, valid, most = _expected(xp, boxes, scores, valid, count, "soft_nms")
    rule = Decay(threshold, sigma, min_score, method, offset)
    boxes, scores = xp.detached(boxes), xp.detached(scores)
    taken = xp.hosted(lambda a, b, c: rescored_on_host(a, b, c, rule, most), boxes, scores, valid)
    return Kept(*(taken or rescored(xp, boxes, scores, valid, rule, most)))


def batched(
    xp: Ops,
    boxes: Any,
    scores: Any,
    groups: Any,
    cfg: Mapping[str, Any] | None,
    *,
    valid: Any = None,
    count: int | None = None,
    class_agnostic: bool = False,
) -> Kept:
    """Suppression within each group (class, level) alone; mmcv's ``batched_nms``.

    Args:
        boxes, scores, valid, count: as of `nms`.
        groups: (N,) whole numbers from 0 on.
        cfg: ``dict(type='nms', iou_threshold=0.5)`` or of type ``soft_nms``, with arguments as mmcv's functions of these names
            take, and ``class_agnostic``, ``max_num``. ``split_thr`` is taken and has no meaning: no number of boxes is too great.
            None only sorts by score.
        class_agnostic: groups do not matter.

    Raises:
        FkitTypeError, FkitValueError: what is wrong with ``cfg``.
    """
    boxes, scores, valid, most = _expected(xp, boxes, scores, valid, count, "batched")
    if cfg is None:
        order, there = _ranked(xp, scores, valid)
        place, real = xp.packed(there, most)
        index = xp.lib.where(real, xp.take(order, place), 0)
        return Kept(index, xp.lib.where(real, xp.take(scores, index), 0), real)
    rule = parse_rule(cfg)
    if not rule.pop("class_agnostic", class_agnostic):
        boxes = _apart(xp, xp.detached(boxes), groups, valid)
    max_num = rule.pop("max_num", -1)
    count = most if max_num < 1 else min(most, max_num)
    least = rule.pop("score_threshold", 0)
    if least > 0:
        valid = valid & (scores > least)
    threshold = {"threshold": rule.pop("iou_threshold")} if "iou_threshold" in rule else {}
    if rule.pop("type", "nms") == "soft_nms":
        return soft_nms(xp, boxes, scores, valid=valid, count=count, **threshold, **rule)
    if not threshold:
        raise FkitValueError(
            "a table of suppression lacks iou_threshold.", repair="dict(type='nms', iou_threshold=0.5)"
        )
    return nms(xp, boxes, scores, valid=valid, count=count, **threshold, **rule)


_SHARED = ("type", "iou_threshold", "offset", "class_agnostic", "max_num", "split_thr")
_ARGUMENTS = (("nms", (*_SHARED, "score_threshold")), ("soft_nms", (*_SHARED, "sigma", "min_score", "method")))
_WORDS = ("type", "method", "class_agnostic")  # whose values are no numbers
_OLD = (("iou_thr", "iou_threshold"), ("nms_thr", "iou_threshold"))


def parse_rule(cfg: Any) -> dict[str, Any]:
    """The table's arguments by their names of today, as `batched` takes them.

    Raises:
        FkitTypeError: it is no table.
        FkitValueError: it names what no suppression takes.
    """
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"suppression is told by a table, dict(type='nms', iou_threshold=0.5), not {quoted(cfg)}.")
    rule: dict[str, Any] = dict(cast("Mapping[str, Any]", cfg))
    for old, new in _OLD:
        if old in rule:
            rule.setdefault(new, rule.pop(old))
    kind, kinds = rule.get("type", "nms"), dict(_ARGUMENTS)
    if kind not in kinds:
        what = f"suppression of type {quoted(kind)} is unknown."
        raise FkitValueError(what, value=str(kind), choices=tuple(kinds), label="Types")
    for name in rule:
        if name not in kinds[kind]:
            what = f"{kind} has no argument {quoted(name)}."
            raise FkitValueError(what, value=name, choices=kinds[kind], label="Arguments")
        if name not in _WORDS and not isinstance(rule[name], (int, float)):
            raise FkitTypeError(f"{kind}: {name} is a number, not {quoted(rule[name])}.")
    rule.pop("split_thr", None)
    return rule


def _apart(xp: Ops, boxes: Any, groups: Any, valid: Any) -> Any:
    """Boxes moved by their group's number times what is greater than every coordinate: of two groups none overlap."""
    reach = xp.lib.where(valid[:, None], boxes, -float("inf")).max()
    return boxes + (xp.cast(groups, boxes) * (xp.lib.where(valid.any(), reach, 0) + 1))[:, None]


def multiclass(
    xp: Ops,
    boxes: Any,
    scores: Any,
    score_thr: float,
    cfg: Mapping[str, Any] | None,
    max_num: int,
    *,
    valid: Any = None,
    factors: Any = None,
) -> Detections:
    """The detections of an image: scores above ``score_thr`` of each box and class, each class suppressed by itself.

    Args:
        boxes: (N, 4), or (N, C * 4), a box for each class.
        scores: (N, C + 1) of the classes, and of the background, which is left out.
        cfg: as of `batched`.
        max_num: how many rows the result has; less than 1: all N * C.
        valid: (N,) which boxes there are; None: all.
        factors: (N,) by which scores are multiplied after the threshold.

    Raises:
        FkitTypeError: the shapes do not fit.
    """
    number, classes = _counts(boxes, scores)
    most = number * classes if max_num < 1 else max_num
    flat = scores[:, :-1].reshape(-1)
    above = flat > score_thr
    if valid is not None:
        above = above & xp.lib.broadcast_to(valid[:, None], (number, classes)).reshape(-1)
    place = xp.real(above)  # all of them, where shapes may not depend on values
    above, flat = xp.take(above, place), xp.take(flat, place)
    rows = place // max(classes, 1)
    if factors is not None:
        flat = flat * xp.take(factors, rows)
    sides = xp.take(boxes, rows) if boxes.shape[1] == 4 else xp.take(boxes.reshape(-1, 4), place)
    labels = place - rows * classes
    if not len(sides):  # one row that does not count, so that there is something to take
        sides, flat, place, labels = (xp.full((1, *a.shape[1:]), 0, a) for a in (sides, flat, place, labels))
        above = xp.full((1,), 0, "bool")
    kept = batched(xp, sides, flat, labels, cfg, valid=above, count=most)
    kept = _filled(xp, kept, most)
    bboxes = xp.lib.where(kept.valid[:, None], xp.take(sides, kept.index), 0)
    label, index = (xp.lib.where(kept.valid, xp.take(a, kept.index), 0) for a in (labels, place))
    return Detections(bboxes, kept.scores, label, kept.valid, index)


def _filled(xp: Ops, kept: Kept, count: int) -> Kept:
    """The same in ``count`` rows: a table's own ``max_num`` may have left fewer."""
    lack = count - len(kept.index)
    if lack < 1:
        return kept
    return Kept(*(xp.lib.concat((part, xp.full((lack,), 0, part)), axis=0) for part in kept))


def leaders(xp: Ops, boxes: Any, scores: Any, threshold: float) -> tuple[Any, Any]:
    """Of each box, which kept one it is about the same object as: what mmcv's ``nms_match`` makes groups of.

    Args:
        boxes: (N, 4), N at least 1.
        scores: (N,).
        threshold: of intersection over union, from which on a box belongs to a kept one.

    Returns:
        (N,) index of the kept box, its own where it is kept; and (N,) all boxes in descending order of scores.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> boxes = np.array([[0.0, 0, 9, 9], [20, 0, 29, 9], [1, 0, 10, 9]])
        >>> [part.tolist() for part in leaders(Numpy(), boxes, np.array([0.9, 0.5, 0.95]), 0.5)]
        [[2, 1, 2], [2, 0, 1]]
    """
    boxes, scores, valid, most = _expected(xp, boxes, scores, None, None, "leaders")
    order, _ = _ranked(xp, scores, valid)
    kind = np.float64 if "64" in str(boxes.dtype) else np.float32
    below = float(np.nextafter(kind(threshold), kind(-np.inf)))  # a box exactly on the threshold belongs, too
    kept = nms(xp, boxes, scores, below)
    rank = xp.put(xp.full((most,), 0, "int64"), order, xp.arange(most))
    much = overlap(xp.lib, xp.take(boxes, kept.index), boxes) > below
    much = much & kept.valid[:, None] & (xp.take(rank, kept.index)[:, None] < rank)
    first = xp.take(kept.index, xp.argmax(xp.cast(much, "int64"), 0))
    return xp.put(first, xp.lib.where(kept.valid, kept.index, most), kept.index), order


def _ranked(xp: Ops, scores: Any, valid: Any) -> tuple[Any, Any]:
    """The boxes in descending order of scores, those that are not there last; and whether each of them is there."""
    order = xp.order(xp.lib.where(valid, xp.detached(scores), -float("inf")), descending=True)
    return order, xp.take(valid, order)


def _expected(xp: Ops, boxes: Any, scores: Any, valid: Any, count: int | None, name: str) -> tuple[Any, Any, Any, int]:
    """Boxes, scores, which are there, and how many rows are asked for; at least one row, which may be of none.

    Raises:
        FkitTypeError: boxes and scores do not fit.
    """
    shape, other = tuple(getattr(boxes, "shape", ())), tuple(getattr(scores, "shape", ()))
    if len(shape) != 2 or shape[1] != 4 or other != shape[:1]:
        raise FkitTypeError(
            f"{name}: boxes are an array (N, 4) and scores one (N,), not {quoted(boxes, 60)} and {quoted(scores, 60)}."
        )
    most = shape[0] if count is None else count
    if valid is None:
        valid = xp.full(shape[:1], 1, "bool")
    if shape[0]:
        return boxes, scores, valid, most
    return xp.full((1, 4), 0, boxes), xp.full((1,), 0, scores), xp.full((1,), 0, "bool"), most


def _counts(boxes: Any, scores: Any) -> tuple[int, int]:
    """How many boxes, and of how many classes.

    Raises:
        FkitTypeError: the shapes do not fit.
    """
    shape, other = tuple(getattr(boxes, "shape", ())), tuple(getattr(scores, "shape", ()))
    if len(shape) != 2 or len(other) != 2 or shape[0] != other[0] or shape[1] not in (4, 4 * (other[1] - 1)):
        raise FkitTypeError(
            "multiclass: boxes are an array (N, 4) or (N, C * 4) and scores one (N, C + 1), the background last, not"
            f" {quoted(boxes, 60)} and {quoted(scores, 60)}."
        )
    return shape[0], other[1] - 1
