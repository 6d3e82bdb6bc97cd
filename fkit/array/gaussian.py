"""Heat maps of key points of boxes: their radius, their blobs, their peaks."""

import math
from typing import Any

from fkit.tree.error import FkitValueError

__all__ = ["blob", "local_maximum", "peaks", "radius"]


def radius(xp: Any, height: Any, width: Any, min_overlap: float) -> Any:
    """How far both corners of a box may be off so that its overlap with what they span is still ``min_overlap``.

    The least of three quadratics' roots: one corner inside and one outside, both inside, both outside. Of each the root is
    the one with which CornerNet's code counts.

    Args:
        height, width: of boxes, arrays of one shape.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> round(float(radius(Numpy(), np.array(10.0), np.array(14.0), 0.3)), 4)
        2.6088
    """
    around, area = height + width, height * width
    both = 2 * min_overlap * around
    one = (around - xp.lib.sqrt(around**2 - 4 * area * (1 - min_overlap) / (1 + min_overlap))) / 2
    inside = (2 * around - xp.lib.sqrt(4 * around**2 - 16 * (1 - min_overlap) * area)) / 8
    outside = (xp.lib.sqrt(both**2 - 16 * min_overlap * (min_overlap - 1) * area) - both) / (8 * min_overlap)
    return xp.lib.minimum(xp.lib.minimum(one, inside), outside)


def blob(xp: Any, heat: Any, centre: Any, radius: Any, factor: float = 1) -> Any:
    """The greater of a map and a Gaussian of deviation ``(2 radius + 1) / 6`` that ends at ``radius`` along each axis.

    Args:
        heat: (H, W).
        centre: (x, y), whole numbers.
        radius: a whole number.

    Returns:
        (H, W).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> blob(Numpy(), np.zeros((3, 3)), (1, 1), 1).round(2).tolist()
        [[0.02, 0.14, 0.02], [0.14, 1.0, 0.14], [0.02, 0.14, 0.02]]
    """
    x = (xp.arange(heat.shape[1], heat) - centre[0])[None, :]
    y = (xp.arange(heat.shape[0], heat) - centre[1])[:, None]
    deviation = (2 * radius + 1) / 6
    value = xp.lib.exp(-(x * x + y * y) / (2 * deviation * deviation))
    ends = (abs(x) <= radius) & (abs(y) <= radius) & (value >= float(xp.lib.finfo(heat.dtype).eps))
    return xp.lib.maximum(heat, xp.lib.where(ends, value, value * 0) * factor)


def local_maximum(xp: Any, heat: Any, kernel: int = 3) -> Any:
    """Maps (..., H, W) that are 0 wherever one of the ``kernel`` x ``kernel`` pixels round about is greater.

    Raises:
        FkitValueError: the kernel is even.
    """
    if kernel % 2 == 0:
        raise FkitValueError(f"kernel={kernel} has no middle.", repair=f"kernel={kernel + 1}")
    side = kernel // 2
    greatest = heat
    for axis in (-1, -2):
        length = heat.shape[axis]
        shape = list(heat.shape)
        shape[axis] = side
        edge = xp.full(shape, -math.inf, heat)
        wide = xp.lib.moveaxis(xp.lib.concat([edge, greatest, edge], axis=axis), axis, -1)
        shifted = [wide[..., at : at + length] for at in range(kernel)]
        greatest = xp.lib.moveaxis(xp.lib.amax(xp.lib.stack(shifted, -1), -1), -1, axis)
    return xp.lib.where(greatest == heat, heat, heat * 0)


def peaks(xp: Any, scores: Any, count: int) -> tuple[Any, Any, Any, Any, Any]:
    """The greatest of each image's maps (N, C, H, W): (N, count) scores, places in a map, classes, rows and columns.

    Rows are whole numbers and columns of the scores' kind, as mmdet's ``get_topk_from_heatmap`` has them.
    """
    height, width = scores.shape[2:]
    value, at = xp.topk(scores.reshape(len(scores), -1), count)
    place = at % (height * width)
    return value, place, at // (height * width), place // width, xp.cast(place % width, scores)
