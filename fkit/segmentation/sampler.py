"""Which pixels a head learns from: those it tells worst."""

from dataclasses import dataclass
from typing import Any

from fkit.array.ops import Ops
from fkit.segmentation.loss.base import called
from fkit.segmentation.loss.entropy import hard_pixels
from fkit.tree.error import FkitValueError

__all__ = ["OHEMPixelSampler"]


@dataclass(frozen=True)
class OHEMPixelSampler:
    """Weights of pixels, 1 of those that are told worst and 0 of others (Shrivastava et al. 2016); mmseg's OHEMPixelSampler.

    Args:
        thresh: pixels whose label is less likely than this; None: those of the greatest loss.
        min_kept: but at least so many an image; without ``thresh``, so many.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> logits = np.array([[[[9.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]]])
        >>> OHEMPixelSampler(0.7, 2).weights(Numpy(), logits, np.array([[[0, 1, 255]]]), (), 255).tolist()
        [[[0.0, 1.0, 0.0]]]
    """

    thresh: float | None = None
    min_kept: int = 100000

    def __post_init__(self) -> None:
        if self.min_kept <= 1:
            raise FkitValueError(f"OHEMPixelSampler: min_kept={self.min_kept}, but it is more than 1.")

    def weights(self, xp: Ops, logits: Any, labels: Any, losses: tuple[Any, ...], ignore: int | None) -> Any:
        """(N, H, W) of logits (N, C, H, W) and labels (N, H, W)."""
        kept = self.min_kept * labels.shape[0]
        logits = xp.detached(logits)
        if self.thresh is not None:
            return xp.cast(hard_pixels(xp, logits, labels, ignore, self.thresh, kept), logits)
        total: Any = 0.0
        for loss in losses:
            said = called(loss, xp, logits, labels, ignore_index=ignore, reduction_override="none")
            total = total + (said if len(said.shape) == 3 else said.sum(1))
        counted = xp.full(labels.shape, 1, "bool") if ignore is None else labels != ignore
        flat = xp.lib.where(counted, total, xp.full((), float("-inf"), total)).reshape(-1)
        order = xp.order(flat, descending=True)[:kept]
        chosen = xp.put(xp.full(flat.shape, 0, logits), order, xp.full(order.shape, 1, logits))
        return chosen.reshape(labels.shape) * xp.cast(counted, logits)
