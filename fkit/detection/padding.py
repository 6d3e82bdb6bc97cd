"""Which places of feature maps are nothing but padding."""

from typing import Any

import numpy as np

from fkit.array.ops import Ops
from fkit.detection.image import Shapes

__all__ = ["padding"]


def padding(xp: Ops, shapes: Shapes, whole: tuple[int, int], size: tuple[int, int]) -> Any:
    """(N, h, w) bool, True at places of a map whose nearest pixel is none of the image; None where it is known that all
    images fill their batch.

    Args:
        whole: (height, width) of the batch's pixels.
        size: (h, w) of the map.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> shapes = Shapes(np.array([[4.0, 2.0]]), np.array([[4.0, 4.0]]), np.ones((1, 2)))
        >>> padding(Numpy(), shapes, (4, 4), (2, 2)).tolist()
        [[[False, True], [False, True]]]
    """
    if xp.known((shapes.img == xp.asarray(whole, shapes.img)).all()):
        return None
    rows, columns = (xp.asarray(_nearest(*pair), shapes.img) for pair in zip(whole, size, strict=True))
    below = rows[None, :] >= shapes.img[:, :1]
    beside = columns[None, :] >= shapes.img[:, 1:2]
    return below[:, :, None] | beside[:, None, :]


def _nearest(length: int, count: int) -> Any:
    """The pixels of a line that its places take, as torch's ``interpolate`` counts them: in float32."""
    scale = np.float32(length) / np.float32(count)
    return np.minimum(np.floor(np.arange(count, dtype=np.float32) * scale), length - 1)
