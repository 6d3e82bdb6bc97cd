"""How much boxes (x1, y1, x2, y2) overlap: the ratios that assignment, suppression and losses are made of."""

from math import pi
from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["MODES", "overlaps"]

_BLOCK = 2**18  # pairs

MODES: tuple[str, ...] = ("iou", "iof", "giou", "diou", "ciou")


def overlaps(xp: Ops, boxes: Any, others: Any, mode: str = "iou", aligned: bool = False, eps: float = 1e-6) -> Any:
    """Each box's overlap with each of the others, or with its partner.

    Args:
        boxes: (..., N, 4), or (..., 4) where aligned. A box whose right side is left of its left one has no area.
        others: (..., M, 4), the leading axes as those of ``boxes``; or the shape of ``boxes`` where aligned.
        mode: "iou" (intersection over union), "iof" (over the first box's area), "giou" (less the share of the hull that
            neither covers), "diou" (less the squared distance of the centres, in squares of the hull's diagonal), "ciou"
            (less a measure of unlike aspect, too).
        aligned: the n-th of ``boxes`` against the n-th of ``others`` alone.
        eps: the least divisor; what is added to the divisors of "diou" and "ciou".

    Returns:
        (..., N, M), or (...,) where aligned.

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: there is no such mode.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> a, b = np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[0.0, 0.0, 10.0, 5.0], [20.0, 0.0, 30.0, 10.0]])
        >>> overlaps(Numpy(), a, b).tolist()
        [[0.5, 0.0]]
    """
    if mode not in MODES:
        raise FkitValueError(
            f"overlaps: mode = {quoted(mode)} is unknown.", value=str(mode), choices=MODES, label="Modes"
        )
    shape, other = tuple(getattr(boxes, "shape", ())), tuple(getattr(others, "shape", ()))
    if not shape or not other or shape[-1] != 4 or other[-1] != 4:
        raise FkitTypeError(f"overlaps: boxes are arrays (..., 4), not {quoted(boxes, 60)} and {quoted(others, 60)}.")
    if aligned and shape != other:
        raise FkitTypeError(f"overlaps: aligned boxes have equal shapes, not {shape} and {other}.")
    if not aligned and (min(len(shape), len(other)) < 2 or shape[:-2] != other[:-2]):
        raise FkitTypeError(
            f"overlaps: boxes (..., N, 4) and (..., M, 4) of equal leading axes, not {shape} and {other}."
        )
    if aligned:
        return _ratio(xp, boxes, others, mode, eps)
    if len(shape) == 2 and not xp.fixed and shape[0] * other[0] > _BLOCK:
        return _by_blocks(xp, boxes, others, mode, eps)
    return _ratio(xp, boxes[..., :, None, :], others[..., None, :, :], mode, eps)


def _by_blocks(xp: Ops, boxes: Any, others: Any, mode: str, eps: float) -> Any:
    """The same for many pairs, so many at a time that what lies between stays near the processor."""
    turned = others.shape[0] < boxes.shape[0]  # the longer of the two lies along the rows of memory
    many, few = (boxes, others) if turned else (others, boxes)
    many = xp.lib.stack([many[:, side] for side in range(4)]).T[None]
    step = max(1, _BLOCK // many.shape[1])
    blocks = (few[at : at + step, None, :] for at in range(0, few.shape[0], step))
    ratios = [_ratio(xp, *((many, block) if turned else (block, many)), mode, eps) for block in blocks]
    whole = xp.lib.concat(ratios, axis=0)
    return whole.T if turned else whole


def _ratio(xp: Ops, a: Any, b: Any, mode: str, eps: float) -> Any:
    lib = xp.lib
    left, top, right, bottom = (a[..., side] for side in range(4))
    left2, top2, right2, bottom2 = (b[..., side] for side in range(4))
    common = _positive(xp, lib.minimum(right, right2) - lib.maximum(left, left2)) * _positive(
        xp, lib.minimum(bottom, bottom2) - lib.maximum(top, top2)
    )
    first = (right - left) * (bottom - top)
    if mode == "iof":
        return common / lib.clip(first, eps, None)
    union = first + (right2 - left2) * (bottom2 - top2) - common
    if mode == "iou":
        return common / lib.clip(union, eps, None)
    width = _positive(xp, lib.maximum(right, right2) - lib.minimum(left, left2))
    height = _positive(xp, lib.maximum(bottom, bottom2) - lib.minimum(top, top2))
    if mode == "giou":
        union, hull = lib.clip(union, eps, None), lib.clip(width * height, eps, None)
        return common / union - (hull - union) / hull
    across, down = (left2 + right2) - (left + right), (top2 + bottom2) - (top + bottom)
    ratio = common / (union + eps)
    apart = (across**2 / 4 + down**2 / 4) / (width**2 + height**2 + eps)
    return ratio - (apart if mode == "diou" else apart + _unlike(xp, a, b, ratio, eps))


def _positive(xp: Ops, a: Any) -> Any:
    """At least 0; where it is 0 exactly, the gradient passes, on each library."""
    return xp.lib.where(a >= 0, a, 0)


def _unlike(xp: Ops, a: Any, b: Any, ratio: Any, eps: float) -> Any:
    """How unlike the shapes of two boxes are, weighed by how much they overlap."""
    lib = xp.lib
    first, second = (lib.arctan((box[..., 2] - box[..., 0]) / (box[..., 3] - box[..., 1] + eps)) for box in (a, b))
    shape = (4 / pi**2) * (second - first) ** 2
    divisor = 1 - ratio + shape
    weight = lib.where((ratio > 0.5) & (divisor > 0), shape / lib.where(divisor > 0, divisor, 1), 0)
    return xp.detached(weight) * shape
