"""Sampling a line of numbers at another number of places, as a matrix: what a size decides, computed on the host."""

import numpy as np
from numpy.typing import NDArray

from fkit.tree.check import expect_number

__all__ = ["cubic"]

_SLOPE = -0.75  # of the kernel at distance 1


def cubic(count: int, places: int) -> NDArray[np.float64]:
    """Bicubic resampling (Keys 1981, a = -0.75) between the centres of pixels, as torch's ``interpolate`` with
    ``mode="bicubic"`` and ``align_corners=False``: beyond the ends the last value goes on.

    Args:
        count: of values.
        places: to sample at, spread over the same length.

    Returns:
        (places, count): times the values it gives the samples.

    Example:
        >>> bool(abs(cubic(4, 4) - np.eye(4)).max() < 1e-12)
        True
    """
    expect_number(count, "`count`", whole=True)
    expect_number(places, "`places`", whole=True)
    at = (np.arange(places) + 0.5) * count / places - 0.5
    first = np.floor(at).astype(np.int64)
    matrix = np.zeros((places, count))
    for step in range(-1, 3):
        away = np.abs(at - (first + step))
        near = ((_SLOPE + 2) * away - (_SLOPE + 3)) * away**2 + 1
        far = ((away - 5) * away + 8) * away * _SLOPE - 4 * _SLOPE
        np.add.at(matrix, (np.arange(places), np.clip(first + step, 0, count - 1)), np.where(away <= 1, near, far))
    return matrix
