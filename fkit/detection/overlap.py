"""Calculators of overlaps, under MMDetection's names and arguments."""

from dataclasses import dataclass
from typing import Any

from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError, quoted

__all__ = ["BboxOverlaps2D", "BboxOverlaps2DGLIP"]


@dataclass(frozen=True)
class BboxOverlaps2D:
    """Overlaps of boxes; mmdet's BboxOverlaps2D.

    Args:
        scale: by which boxes are divided before they are made float16.
        dtype: "fp16": overlaps are computed of float16 boxes; None: of boxes as they are.

    Raises:
        FkitValueError: another ``dtype``.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> BboxOverlaps2D()(Numpy(), np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 5]])).tolist()
        [[0.5]]
    """

    scale: float = 1.0
    dtype: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dtype not in (None, "fp16"):
            raise FkitValueError(f"BboxOverlaps2D: dtype = {quoted(self.dtype)} is neither None nor 'fp16'.")

    def __call__(self, xp: Ops, boxes: Any, others: Any, mode: str = "iou", aligned: bool = False) -> Any:
        """(N, M) for boxes (N, 4) and others (M, 4), (N,) where aligned; modes as `fkit.array.overlap.overlaps`."""
        if self.dtype is None:
            return overlaps(xp, boxes, others, mode, aligned)
        half, half2 = (xp.cast(one / self.scale, "float16") for one in (boxes, others))
        return xp.cast(overlaps(xp, half, half2, mode, aligned), boxes)


@dataclass(frozen=True)
class BboxOverlaps2DGLIP(BboxOverlaps2D):
    """Overlaps of boxes that are x2 - x1 + 1 wide; mmdet's BboxOverlaps2D_GLIP. ``mode`` and ``aligned`` say nothing."""

    def __call__(self, xp: Ops, boxes: Any, others: Any, mode: str = "iou", aligned: bool = False) -> Any:
        """(N, M) for boxes (N, 4) and others (M, 4)."""
        a, b = boxes[:, None, :], others[None, :, :]
        side = xp.lib.minimum(a[..., 2:], b[..., 2:]) - xp.lib.maximum(a[..., :2], b[..., :2]) + 1
        side = xp.lib.where(side < 0, 0, side)
        common = side[..., 0] * side[..., 1]
        area, area2 = ((one[..., 2] - one[..., 0] + 1) * (one[..., 3] - one[..., 1] + 1) for one in (a, b))
        return common / (area + area2 - common)
