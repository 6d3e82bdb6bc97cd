"""Peaks of maps and of lines, of numpy's arrays: `fkit.array.peak`, checked; and the weights of a blur."""

from typing import Any

import cv2
import numpy as np

from fkit.array import peak
from fkit.array.ops import Numpy
from fkit.data.codec.codec import Floats
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["blur_weights", "heatmap_maximum", "refined"]

_XP = Numpy()
_MOST = 1 << 15


def blur_weights(kernel: int) -> tuple[float, ...]:
    """The weights of OpenCV's Gaussian of ``kernel`` pixels.

    Raises:
        FkitError: it is no odd number.

    Example:
        >>> blur_weights(3)
        (0.25, 0.5, 0.25)
    """
    expect_number(kernel, "a kernel in pixels", whole=True)
    if kernel % 2 != 1 or not 1 <= kernel < _MOST:
        raise FkitValueError(f"a kernel of {kernel} pixels: it is odd, and 3 or more.")
    return tuple(cv2.getGaussianKernel(kernel, 0)[:, 0].tolist())


def heatmap_maximum(maps: Floats) -> tuple[Floats, Floats]:
    """The place and the value of the highest pixel of each map.

    Args:
        maps: (..., H, W); or (..., D, H, W) with ``maps.ndim`` 4 read as (K, D, H, W) by the caller's reshaping.

    Returns:
        (..., 2) float32 (x, y), -1 where no value is above 0; and the values (...).

    Example:
        >>> place, value = heatmap_maximum(np.array([[[0.0, 2.0], [1.0, 0.0]]]))
        >>> place.tolist(), value.tolist()
        ([[1.0, 0.0]], [2.0])
    """
    _check(maps, "`maps` is an array (..., H, W)", 2)
    places, values = peak.map_maximum(_XP, maps)
    return places.astype(np.float32), values


def _wide(places: Any, maps: Floats) -> Floats:
    """Maps (K, H, W) for each of the places (N, K, 2)."""
    expect(places, np.ndarray, "`places` is an array (N, K, 2)")
    _check(maps, "`maps` is an array (K, H, W)", 3)
    return np.broadcast_to(maps, (len(places), *maps.shape))


def refined(places: Floats, maps: Floats) -> Floats:
    """Places (N, K, 2) moved by a quarter of a pixel towards the higher neighbour.

    Example:
        >>> refined(np.array([[[2.0, 1.0]]]), np.array([[[0, 0, 0, 0], [0, 1, 5, 3], [0, 0, 0, 0.0]]])).tolist()
        [[[2.25, 1.0]]]
    """
    return peak.refined(_XP, places, _wide(places, maps))


def _check(array: Any, what: str, least: int) -> None:
    expect(array, np.ndarray, what)
    if array.ndim < least:
        raise FkitValueError(f"{what}, and has the shape {array.shape}.")
