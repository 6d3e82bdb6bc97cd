"""Losses of boxes (x1, y1, x2, y2) by how much they overlap their targets, one number a pair."""

from typing import Any

from fkit.array.loss.distance import apart, smooth_l1
from fkit.array.loss.reduce import trained
from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.tree.error import FkitValueError, quoted

__all__ = ["bounded", "ciou", "diou", "giou", "iou", "kept"]

_SCALES = ("linear", "square", "log")


def kept(xp: Ops, pred: Any, target: Any, weight: Any) -> tuple[Any, Any]:
    """Boxes whose rows of weight 0 are replaced, on both sides, by one box: they cost nothing, and have no gradient.

    Args:
        pred, target: (N, 4).
        weight: (N,) or (N, 4), or None: all are kept.
    """
    if weight is None:
        return pred, target
    counted = (weight != 0)[:, None] if len(weight.shape) == 1 else (weight != 0).any(1)[:, None]
    box = xp.asarray((0.0, 0.0, 1.0, 1.0), pred)
    return xp.lib.where(counted, pred, box), xp.lib.where(counted, xp.cast(target, pred), box)


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
