"""mmcv.ops' functions on boxes, by its names and arguments: of arrays of numpy, torch or JAX they give such arrays.

Their results have as many rows as are kept. Inside of what is compiled, `fkit.array.suppress` has the same of fixed shapes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from fkit.array.fusion import weighted_boxes_fusion as fused
from fkit.array.overlap import overlaps
from fkit.array.suppress import Kept, batched, leaders
from fkit.array.suppress import soft_nms as soft
from fkit.structures.content import host, operations
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["batched_nms", "bbox_overlaps", "nms", "nms_match", "soft_nms", "weighted_boxes_fusion"]


def nms(
    boxes: Any, scores: Any, iou_threshold: float, offset: int = 0, score_threshold: float = 0, max_num: int = -1
) -> tuple[Any, Any]:
    """Boxes (K, 5) with their scores last, and their indices (K,): those that overlap no better one too much.

    Args:
        boxes: (N, 4).
        scores: (N,).
        iou_threshold: above which a box is suppressed.
        offset: 1 where coordinates are pixels' numbers.
        score_threshold: above which boxes count; not more than 0: all do.
        max_num: how many are kept at most; less than 1: all.

    Raises:
        FkitTypeError: boxes and scores do not fit.

    Example:
        >>> dets, keep = nms(np.array([[0.0, 0, 9, 9], [1, 0, 10, 9]]), np.array([0.5, 0.75]), 0.5)
        >>> dets.tolist(), keep.tolist()
        ([[1.0, 0.0, 10.0, 9.0, 0.75]], [1])
    """
    cfg = {"iou_threshold": iou_threshold, "offset": offset, "score_threshold": score_threshold, "max_num": max_num}
    return batched_nms(boxes, scores, None, cfg, class_agnostic=True)


def soft_nms(
    boxes: Any,
    scores: Any,
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = "linear",
    offset: int = 0,
) -> tuple[Any, Any]:
    """As `nms`; boxes that overlap a better one have their scores lowered, see `fkit.array.suppress.soft_nms`.

    Example:
        >>> dets, keep = soft_nms(np.array([[0.0, 0, 10, 10], [0, 0, 10, 5]]), np.array([0.75, 0.5]))
        >>> dets[:, 4].tolist(), keep.tolist()
        ([0.75, 0.25], [0, 1])
    """
    _expect_boxes("soft_nms", boxes, scores)
    for name, value in (
        ("iou_threshold", iou_threshold),
        ("sigma", sigma),
        ("min_score", min_score),
        ("offset", offset),
    ):
        _number("soft_nms", value, name)
    xp = operations(boxes)
    with xp.width([boxes]):
        kept = soft(xp, boxes, scores, iou_threshold, sigma=sigma, min_score=min_score, method=method, offset=offset)
        return _rows(xp, boxes, kept)


def batched_nms(
    boxes: Any, scores: Any, idxs: Any, nms_cfg: Mapping[str, Any] | None, class_agnostic: bool = False
) -> tuple[Any, Any]:
    """As `nms`, the boxes of each group (N,) whole numbers by themselves; see `fkit.array.suppress.batched`.

    Raises:
        FkitTypeError, FkitValueError: what does not fit, or what of ``nms_cfg`` is no argument.

    Example:
        >>> boxes, scores = np.array([[0.0, 0, 9, 9], [1, 0, 10, 9]]), np.array([0.5, 0.75])
        >>> batched_nms(boxes, scores, np.array([0, 1]), dict(type="nms", iou_threshold=0.5))[1].tolist()
        [1, 0]
    """
    _expect_boxes("batched_nms", boxes, scores)
    xp = operations(boxes)
    with xp.width([boxes]):
        groups = xp.full((len(boxes),), 0, "int64") if idxs is None else idxs
        if tuple(getattr(groups, "shape", ())) != (len(boxes),):
            raise FkitTypeError(f"batched_nms: idxs is an array ({len(boxes)},), not {quoted(idxs, 60)}.")
        return _rows(xp, boxes, batched(xp, boxes, scores, groups, nms_cfg, class_agnostic=class_agnostic))


def nms_match(dets: Any, iou_threshold: float) -> list[Any]:
    """Groups of boxes about one object each: indices, the kept one first, then what it suppresses, by score.

    Args:
        dets: (N, 5) boxes with their scores last.
        iou_threshold: from which on a box belongs to a better one.

    Example:
        >>> [group.tolist() for group in nms_match(np.array([[0.0, 0, 9, 9, 0.5], [1, 0, 10, 9, 0.75]]), 0.5)]
        [[1, 0]]
    """
    shape = tuple(getattr(dets, "shape", ()))
    if len(shape) != 2 or shape[1] != 5:
        raise FkitTypeError(f"nms_match: dets is an array (N, 5), not {quoted(dets, 60)}.")
    threshold = _number("nms_match", iou_threshold)
    if not shape[0]:
        return []
    xp = operations(dets)
    with xp.width([dets]):
        leader, order = (host(part) for part in leaders(xp, dets[:, :4], dets[:, 4], threshold))
        groups = [order[leader[order] == one] for one in order if leader[one] == one]
        return [xp.asarray(np.ascontiguousarray(group), "int64") for group in groups]


def bbox_overlaps(bboxes1: Any, bboxes2: Any, mode: str = "iou", aligned: bool = False, offset: int = 0) -> Any:
    """(M, N) overlaps of boxes (M, 4) and (N, 4), or (M,) where aligned; see `fkit.array.overlap.overlaps`.

    Example:
        >>> bbox_overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 5]]), "iof").tolist()
        [[0.5]]
    """
    for boxes in (bboxes1, bboxes2):
        if tuple(getattr(boxes, "shape", ()))[-1:] != (4,):
            raise FkitTypeError(f"bbox_overlaps: boxes are arrays (N, 4), not {quoted(boxes, 60)}.")
    xp, more = operations(bboxes1), _number("bbox_overlaps", offset, "offset")
    with xp.width([bboxes1]):
        first, second = (xp.asarray((0, 0, more, more), boxes) + boxes for boxes in (bboxes1, bboxes2))
        return overlaps(xp, first, second, mode, aligned)


def weighted_boxes_fusion(
    bboxes_list: Sequence[Any],
    scores_list: Sequence[Any],
    labels_list: Sequence[Any],
    weights: Sequence[float] | None = None,
    iou_thr: float = 0.55,
    skip_box_thr: float = 0.0,
    conf_type: str = "avg",
    allows_overflow: bool = False,
) -> tuple[Any, Any, Any]:
    """Boxes (K, 4), scores and labels of several detectors, averaged; mmdet's function.

    Args:
        bboxes_list, scores_list, labels_list: (N, 4), (N,) and (N,) whole numbers of each detector.
        weights: of the detectors; None: 1 each.
        iou_thr, skip_box_thr, conf_type, allows_overflow: see `fkit.array.fusion.weighted_boxes_fusion`.

    Raises:
        FkitTypeError: the lists do not fit.

    Example:
        >>> boxes, ones = np.array([[0.0, 0, 10, 10]]), np.ones(1)
        >>> weighted_boxes_fusion([boxes, boxes], [ones, ones], [np.zeros(1, int)] * 2)[0].tolist()
        [[0.0, 0.0, 10.0, 10.0]]
    """
    lists = (bboxes_list, scores_list, labels_list)
    if any(isinstance(one, str) or not isinstance(cast("object", one), Sequence) for one in lists) or not bboxes_list:
        raise FkitTypeError(f"weighted_boxes_fusion: lists of arrays, one a detector, not {quoted(bboxes_list, 60)}.")
    factors = (
        [1.0] * len(bboxes_list)
        if weights is None
        else [_number("weighted_boxes_fusion", one, "weights") for one in weights]
    )
    if not len(bboxes_list) == len(scores_list) == len(labels_list) == len(factors):
        raise FkitTypeError("weighted_boxes_fusion: the lists are of as many detectors each.")
    for boxes, scores in zip(bboxes_list, scores_list, strict=True):
        _expect_boxes("weighted_boxes_fusion", boxes, scores)
    for name, value in (("iou_thr", iou_thr), ("skip_box_thr", skip_box_thr)):
        _number("weighted_boxes_fusion", value, name)
    xp = operations(bboxes_list[0])
    with xp.width([bboxes_list[0]]):
        boxes, scores, labels = (xp.lib.concat(list(one), axis=0) for one in lists)
        models = xp.lib.concat([xp.full((len(one),), at, "int64") for at, one in enumerate(bboxes_list)], axis=0)
        found = fused(
            xp, boxes, scores, labels, models, xp.asarray(factors, scores),
            iou_thr=iou_thr, skip_box_thr=skip_box_thr, conf_type=conf_type, allows_overflow=allows_overflow,
        )  # fmt: skip
        return found.bboxes[found.valid], found.scores[found.valid], found.labels[found.valid]


def _rows(xp: Any, boxes: Any, kept: Kept) -> tuple[Any, Any]:
    """What is kept, and no more rows."""
    index = kept.index[kept.valid]
    return xp.lib.concat([xp.take(boxes, index), kept.scores[kept.valid][:, None]], axis=1), index


def _expect_boxes(name: str, boxes: Any, scores: Any) -> None:
    shape, other = tuple(getattr(boxes, "shape", ())), tuple(getattr(scores, "shape", ()))
    if len(shape) != 2 or shape[1] != 4 or other != shape[:1]:
        raise FkitTypeError(
            f"{name}: boxes are an array (N, 4) and scores one (N,), not {quoted(boxes, 60)} and {quoted(scores, 60)}."
        )


def _number(name: str, value: Any, parameter: str = "iou_threshold") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FkitValueError(f"{name}: {parameter} is a number, not {quoted(value)}.")
    return value
