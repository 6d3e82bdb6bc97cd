"""Suppression in which every decision falls at once: YOLACT's fast NMS, and SOLO's matrix NMS of masks."""

from typing import Any, NamedTuple

from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.array.suppress import Detections, Kept
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["KERNELS", "Ranked", "fast_nms", "matrix_nms"]

KERNELS = ("gaussian", "linear")


class Ranked(NamedTuple):
    """Detections of `fast_nms`, and of each its box's place among the N."""

    detections: Detections
    box: Any


def fast_nms(
    xp: Ops, boxes: Any, scores: Any, score_thr: float, iou_thr: float, top_k: int, max_num: int = -1
) -> Ranked:
    """Of each class the ``top_k`` best boxes, less those that overlap any better one of it, be that kept or not.

    Args:
        boxes: (N, 4).
        scores: (N, C + 1) of the classes, and of the background, which is left out.
        score_thr: above which a score counts.
        iou_thr: up to which a box may overlap a better one.
        top_k: how many boxes of a class are looked at.
        max_num: how many rows the result has; less than 1: all C * top_k.

    Raises:
        FkitTypeError: the shapes do not fit.
    """
    shape, other = tuple(getattr(boxes, "shape", ())), tuple(getattr(scores, "shape", ()))
    if len(shape) != 2 or shape[1] != 4 or len(other) != 2 or other[0] != shape[0]:
        raise FkitTypeError(
            f"fast_nms: boxes (N, 4) and scores (N, C + 1), not {quoted(boxes, 60)} and {quoted(scores, 60)}."
        )
    best, index = xp.topk(scores[:, :-1].T, min(top_k, shape[0]))
    classes, most = best.shape
    sides = xp.take(boxes, index)
    earlier = xp.arange(most)[:, None] < xp.arange(most)[None]
    much = (overlaps(xp, sides, sides) > iou_thr) & earlier
    keep = ((best > score_thr) & ~much.any(1)).reshape(-1)
    flat, rows = best.reshape(-1), index.reshape(-1)
    kept = _first(xp, flat, keep, classes * most if max_num < 1 else max_num)
    box = xp.lib.where(kept.valid, xp.take(rows, kept.index), 0)
    bboxes = xp.lib.where(kept.valid[:, None], xp.take(boxes, box), 0)
    return Ranked(Detections(bboxes, kept.scores, kept.index // max(most, 1), kept.valid, box), box)


def matrix_nms(
    xp: Ops,
    masks: Any,
    labels: Any,
    scores: Any,
    *,
    filter_thr: float = -1,
    nms_pre: int = -1,
    max_num: int = -1,
    kernel: str = "gaussian",
    sigma: float = 2.0,
    mask_area: Any = None,
    valid: Any = None,
) -> Kept:
    """Lower each mask's score by how much better masks of its class cover it, all at once; mmdet's ``mask_matrix_nms``.

    Args:
        masks: (N, H, W) of 0 and 1.
        labels: (N,) whole numbers.
        scores: (N,).
        filter_thr: of the scores afterwards, below which a mask is gone; not more than 0: none is.
        nms_pre, max_num: how many of the best are looked at; how many rows the result has. Less than 1: all.
        kernel: "gaussian", ``exp(-sigma * iou ** 2)``, or "linear", ``1 - iou``.
        mask_area: (N,); None: of ``masks``.
        valid: (N,) which masks there are; None: all.

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: there is no such kernel.
    """
    shape = tuple(getattr(masks, "shape", ()))
    if len(shape) != 3 or tuple(scores.shape) != shape[:1] or tuple(labels.shape) != shape[:1]:
        raise FkitTypeError(f"matrix_nms: masks (N, H, W), labels (N,) and scores (N,), not {quoted(masks, 60)}.")
    if kernel not in KERNELS:
        what = f"matrix_nms: kernel = {quoted(kernel)} is unknown."
        raise FkitValueError(what, value=str(kernel), choices=KERNELS, label="Kernels")
    if not shape[0]:
        return _none(xp, scores, max_num)
    lib = xp.lib
    there = xp.full(shape[:1], 1, "bool") if valid is None else valid
    count = min(nms_pre, shape[0]) if nms_pre > 0 else shape[0]
    order = xp.order(lib.where(there, scores, -float("inf")), descending=True)[:count]
    there, labels, scores = (xp.take(a, order) for a in (there, labels, scores))
    flat = xp.cast(xp.take(masks, order).reshape(count, -1), scores)
    area = flat.sum(-1) if mask_area is None else xp.take(mask_area, order)
    common = flat @ flat.T
    mine = (labels[:, None] == labels[None]) & (xp.arange(count)[:, None] < xp.arange(count)[None]) & there[:, None]
    union = area[:, None] + area[None] - common
    iou = lib.where(mine & (union > 0), common / lib.where(union > 0, union, 1), 0)
    most = lib.amax(iou, 0)[:, None]  # how much the better mask itself is covered
    if kernel == "gaussian":
        decay = lib.exp(-sigma * iou**2) / lib.exp(-sigma * most**2)
    else:
        decay = (1 - iou) / (1 - most)
    scores = scores * lib.amin(decay, 0)
    if filter_thr > 0:
        there = there & (scores >= filter_thr)
    kept = _first(xp, scores, there, max_num if max_num > 0 else count)
    return Kept(lib.where(kept.valid, xp.take(order, kept.index), 0), kept.scores, kept.valid)


def _first(xp: Ops, scores: Any, keep: Any, count: int) -> Kept:
    """The ``count`` best of what is kept."""
    order = xp.order(xp.lib.where(keep, scores, -float("inf")), descending=True)
    place, real = xp.packed(xp.take(keep, order), count)
    index = xp.lib.where(real, xp.take(order, place), 0)
    return Kept(index, xp.lib.where(real, xp.take(scores, index), 0), real)


def _none(xp: Ops, scores: Any, count: int) -> Kept:
    count = max(count, 0)
    return Kept(xp.full((count,), 0, "int64"), xp.full((count,), 0, scores), xp.full((count,), 0, "bool"))
