"""Losses of boxes (x1, y1, x2, y2) by how much they overlap their targets, one number a pair."""

from math import pi, sqrt
from typing import Any

from fkit.array.loss.distance import apart, smooth_l1
from fkit.array.loss.reduce import trained
from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.tree.error import FkitValueError, quoted

__all__ = ["bounded", "ciou", "diou", "eiou", "giou", "iou", "kept", "siou"]

_SCALES = ("linear", "square", "log")


def kept(xp: Ops, pred: Any, target: Any, weight: Any) -> tuple[Any, Any]:
    """Boxes whose rows of weight 0 are replaced, on both sides, by one box: they cost nothing, and have no gradient.

    Args:
        pred, target: (N, 4).
        weight: (N,) or (N, 4), or None: all are kept.

    Raises:
        FkitTypeError: the boxes differ in shape.
    """
    pred, target = trained(xp, "a loss of boxes", pred, target)
    if weight is None:
        return pred, target
    counted = (weight != 0)[:, None] if len(weight.shape) == 1 else (weight != 0).any(1)[:, None]
    box = xp.asarray((0.0, 0.0, 1.0, 1.0), pred)
    return xp.lib.where(counted, pred, box), xp.lib.where(counted, target, box)


def iou(xp: Ops, pred: Any, target: Any, mode: str = "log", eps: float = 1e-6) -> Any:
    """Of the intersection over union u, at least ``eps``: 1 - u ("linear"), 1 - u**2 ("square"), -log u ("log").

    Args:
        pred, target: (N, 4).

    Returns:
        (N,).

    Raises:
        FkitTypeError: the shapes differ, or are not of boxes.
        FkitValueError: there is no such mode.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> a, b = np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([[0.0, 0.0, 4.0, 2.0]])
        >>> iou(Numpy(), a, b, "linear").tolist()
        [0.5]
    """
    if mode not in _SCALES:
        raise FkitValueError(f"mode = {quoted(mode)} is unknown.", value=str(mode), choices=_SCALES, label="Modes")
    pred, target = trained(xp, "IoU loss", pred, target)
    ratio = overlaps(xp, pred, target, aligned=True)
    ratio = xp.lib.where(ratio >= eps, ratio, eps)
    return 1 - ratio if mode == "linear" else 1 - ratio**2 if mode == "square" else -xp.lib.log(ratio)


def giou(xp: Ops, pred: Any, target: Any, eps: float = 1e-6) -> Any:
    """1 less the generalised overlap (N,) of boxes (N, 4); see `fkit.array.overlap.overlaps`."""
    pred, target = trained(xp, "GIoU loss", pred, target)
    return 1 - overlaps(xp, pred, target, "giou", aligned=True, eps=eps)


def diou(xp: Ops, pred: Any, target: Any, eps: float = 1e-6) -> Any:
    """1 less the overlap that counts the distance of the centres, (N,) of boxes (N, 4)."""
    pred, target = trained(xp, "DIoU loss", pred, target)
    return 1 - overlaps(xp, pred, target, "diou", aligned=True, eps=eps)


def ciou(xp: Ops, pred: Any, target: Any, eps: float = 1e-6) -> Any:
    """1 less the overlap that counts the distance of the centres and unlike shapes, within [-1, 1]; (N,) of (N, 4)."""
    pred, target = trained(xp, "CIoU loss", pred, target)
    return 1 - xp.lib.clip(overlaps(xp, pred, target, "ciou", aligned=True, eps=eps), -1.0, 1.0)


def bounded(xp: Ops, pred: Any, target: Any, beta: float = 0.2, eps: float = 1e-3) -> Any:
    """Of each of the centre's two coordinates, the width and the height, a smooth L1 of the overlap that it alone would cost.

    Args:
        pred, target: (N, 4).

    Returns:
        (N, 4), in that order.
    """
    lib = xp.lib
    pred, target = trained(xp, "bounded IoU loss", pred, target)
    target = xp.detached(target)
    parts: list[Any] = []
    for low in (0, 1):
        size = target[:, low + 2] - target[:, low]
        far = apart(xp, (target[:, low] + target[:, low + 2]) * 0.5, (pred[:, low] + pred[:, low + 2]) * 0.5)
        shared = (size - 2 * far) / (size + 2 * far + eps)
        parts.append(1 - lib.maximum(shared, lib.zeros_like(shared)))
    for low in (0, 1):
        size, wanted = pred[:, low + 2] - pred[:, low], target[:, low + 2] - target[:, low]
        parts.append(1 - lib.minimum(wanted / (size + eps), size / (wanted + eps)))
    cost = lib.stack(parts, -1)
    return smooth_l1(xp, cost, lib.zeros_like(cost), beta)


def eiou(xp: Ops, pred: Any, target: Any, smooth_point: float = 0.1, eps: float = 1e-6) -> Any:
    """1 less an overlap that is signed where the boxes are apart, smooth below ``smooth_point``; (N,) of boxes (N, 4)."""
    lib = xp.lib
    pred, target = trained(xp, "EIoU loss", pred, target)
    least, greatest = lib.minimum(pred, target), lib.maximum(pred, target)
    left, top, right, bottom = greatest[:, 0], greatest[:, 1], least[:, 2], least[:, 3]  # of what they have in common
    hull_left, hull_top = least[:, 0], least[:, 1]
    common = (right - hull_left) * (bottom - hull_top)
    common = common + (lib.minimum(left, right) - hull_left) * (lib.minimum(top, bottom) - hull_top)
    common = common - (left - hull_left) * (lib.maximum(top, bottom) - hull_top)
    common = common - (lib.maximum(left, right) - hull_left) * (top - hull_top)
    cost = 1 - common / (_area(pred) + _area(target) - common + eps)
    return lib.where(cost < smooth_point, cost**2 * (0.5 / smooth_point), cost - 0.5 * smooth_point)


def siou(xp: Ops, pred: Any, target: Any, eps: float = 1e-6, neg_gamma: bool = False) -> Any:
    """1 less the overlap that counts the way between the centres, its angle, and unlike sides, within [-1, 1].

    Args:
        pred, target: (N, 4).
        neg_gamma: the sign of the exponent that the angle is in, as first published.

    Returns:
        (N,).
    """
    lib = xp.lib
    pred, target = trained(xp, "SIoU loss", pred, target)
    shared = lib.minimum(pred, target)[:, 2:] - lib.maximum(pred, target)[:, :2]
    shared = lib.where(shared >= 0, shared, 0)
    common = shared[:, 0] * shared[:, 1]
    ratio = common / (_area(pred) + _area(target) - common + eps)
    hull = lib.maximum(pred, target)[:, 2:] - lib.minimum(pred, target)[:, :2]
    hull = lib.where(hull >= eps, hull, eps)
    way = (target[:, :2] + target[:, 2:] - pred[:, :2] - pred[:, 2:]) * 0.5 + eps
    length = lib.sqrt((way**2).sum(1))
    across, down = (apart(xp, way[:, side], 0 * way[:, side]) / length for side in (0, 1))
    slope = lib.where(across > sqrt(2) / 2, down, across)
    angle = lib.cos(lib.arcsin(slope) * 2 - pi / 2)
    gamma = angle - 2 if neg_gamma else 2 - angle
    distance = 2 - lib.exp(gamma[:, None] * (way / hull) ** 2).sum(1)
    sides = [box[:, 2:] - box[:, :2] + xp.asarray((0.0, eps), pred) for box in (pred, target)]
    longer = lib.maximum(*sides)
    unlike = lib.where(longer == 0, 0, apart(xp, *sides) / lib.where(longer == 0, 1, longer))
    shape = ((1 - lib.exp(-unlike)) ** 4).sum(1)
    return 1 - lib.clip(ratio - 0.5 * (distance + shape), -1.0, 1.0)


def _area(boxes: Any) -> Any:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
