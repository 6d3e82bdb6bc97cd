"""Positions of maps as sines and cosines (Carion et al. 2020)."""

import math
from typing import Any

import numpy as np

from fkit.array.ops import Ops

__all__ = ["sine"]


def sine(
    xp: Ops,
    mask: Any,
    like: Any,
    num_feats: int,
    temperature: float = 10000,
    normalize: bool = False,
    scale: float = 2 * math.pi,
    eps: float = 1e-6,
    offset: float = 0.0,
) -> Any:
    """Sines and cosines of how many valid places there are above and to the left, of falling frequencies.

    Args:
        mask: (N, H, W), True where a place is padding.
        like: an array whose kind the numbers have, or "float32", ...
        num_feats: numbers an axis.
        temperature: the ratio of the highest frequency to the lowest.
        normalize: counts are shares of those at the last row and column, times ``scale``.

    Returns:
        (N, H, W, 2 * num_feats): those of rows, then those of columns, a sine and a cosine in turn.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> sine(Numpy(), np.zeros((1, 2, 2), bool), "float64", 2)[0, :, :, 0].round(3).tolist()
        [[0.841, 0.841], [0.909, 0.909]]
    """
    lib = xp.lib
    real = xp.cast(xp.cast(mask, "bool") == 0, like)
    down, right = lib.cumsum(real, 1), lib.cumsum(real, 2)
    if normalize:
        down = (down + offset) / (down[:, -1:] + eps) * scale
        right = (right + offset) / (right[:, :, -1:] + eps) * scale
    step = np.arange(num_feats) // 2
    period = xp.cast(xp.asarray(float(temperature) ** (2 * step / num_feats), "float64"), like)

    def waves(places: Any) -> Any:
        angle = places[..., None] / period
        pair = lib.stack([lib.sin(angle[..., 0::2]), lib.cos(angle[..., 1::2])], -1)
        return pair.reshape(*places.shape, -1)

    return lib.concat([waves(down), waves(right)], axis=-1)
