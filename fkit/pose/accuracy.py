"""How many keypoints of a batch are near their truth: what training logs beside its losses."""

from typing import Any

from fkit.array.ops import Ops

__all__ = ["near_share"]


def near_share(xp: Ops, points: Any, truth: Any, seen: Any, sizes: tuple[int, int], share: float = 0.05) -> Any:
    """The mean over keypoints of the share of persons whose keypoint is near; 0-d, 0 where nobody has one.

    Args:
        points, truth: (N, K, 2).
        seen: (N, K) bool.
        sizes: what distances across and down are measured in.
        share: how near, in parts of them.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> points = np.array([[[1.0, 1.0], [5.0, 5.0]]])
        >>> float(near_share(Numpy(), points, np.zeros((1, 2, 2)), np.ones((1, 2), bool), (40, 40)))
        0.5
    """
    unit = xp.asarray(sizes, points)
    gaps = (((points - xp.cast(truth, points)) / unit) ** 2).sum(-1) ** 0.5
    there = xp.cast(seen, points).sum(0)
    near = xp.cast(seen & (gaps < share), points).sum(0)
    known = xp.cast(there > 0, points)
    shares = near / xp.lib.where(there > 0, there, 1.0)
    return (shares * known).sum() / xp.lib.clip(known.sum(), 1.0, None)
