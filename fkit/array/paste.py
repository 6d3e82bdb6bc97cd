"""Masks of objects in the frames of their boxes, and back: pasting into a picture, and targets cut out of one.

Both are sums of pixels with bilinear weights, a factor of the row times one of the column, so that each is two products of
matrices an object.
"""

from typing import Any

from fkit.array.roi import roi_align

__all__ = ["mask_targets", "paste"]

_FEW = 16  # boxes


def paste(xp: Any, masks: Any, boxes: Any, size: tuple[int, int], start: tuple[int, int] = (0, 0)) -> Any:
    """Masks of S x S pixels stretched over their boxes, in a picture; nothing beside them.

    Args:
        masks: (K, S, S) numbers, usually probabilities.
        boxes: (K, 4) in the picture's coordinates. Of one without extent every pixel of the picture takes the mask's middle.
        size: (height, width) of the picture, or of a window of it,
        start: which begins at this (row, column).

    Returns:
        (K, height, width), of the masks' kind.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> paste(Numpy(), np.array([[[1.0]]]), np.array([[1.0, 0.0, 3.0, 2.0]]), (2, 4))[0].tolist()
        [[0.1875, 0.5625, 0.5625, 0.1875], [0.1875, 0.5625, 0.5625, 0.1875]]
    """
    kind = xp.cast(boxes, masks)
    down = _shares(xp, kind[:, 1], kind[:, 3], masks.shape[1], size[0], start[0])
    along = _shares(xp, kind[:, 0], kind[:, 2], masks.shape[2], size[1], start[1])
    return down @ masks @ xp.lib.swapaxes(along, 1, 2)


def mask_targets(xp: Any, masks: Any, boxes: Any, gt: Any, size: tuple[int, int], soft: bool = False) -> Any:
    """What a mask head should say of each box: its object's mask cut out and brought to ``size``.

    Args:
        masks: (G, H, W) bitmaps, any kind of numbers.
        boxes: (R, 4); what is outside of the picture is cut off.
        gt: (R,) which object a box belongs to, in range.
        size: (h, w).
        soft: how much of each bin the object covers, in place of whether it is half of it or more.

    Returns:
        (R, h, w), of the boxes' kind.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> half = np.zeros((1, 4, 4)); half[:, :, 2:] = 1
        >>> mask_targets(Numpy(), half, np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([0]), (2, 2))[0].tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    limits = xp.lib.stack([xp.lib.clip(boxes[:, at], 0, masks.shape[2 - at % 2]) for at in range(4)], 1)
    maps = [xp.cast(masks, boxes)[..., None]]

    def cut(start: int, stop: int) -> Any:
        part = roi_align(xp, maps, limits[start:stop], gt[start:stop], None, [1.0], size)[..., 0]
        return part if soft else xp.cast(part >= 0.5, boxes)

    count = len(boxes)
    # a box may have hundreds of pixels a bin: on the host a few boxes at a time, elsewhere all, so that nothing waits
    if count <= _FEW or xp.known((gt[:1] >= 0).all()) is None:
        return cut(0, count)
    return xp.lib.concat([cut(start, start + _FEW) for start in range(0, count, _FEW)])


def _shares(xp: Any, low: Any, high: Any, count: int, size: int, start: int) -> Any:
    """(K, size, S): what each of the picture's lines takes of each of the mask's, by the arithmetic of ``grid_sample``."""
    line = xp.arange(size, low)[None, :] + (start + 0.5)
    span = (high - low)[:, None]
    some = span != 0
    unit = xp.lib.where(some, (line - low[:, None]) / xp.lib.where(some, span, span + 1) * 2 - 1, span * 0)
    spot = ((unit + 1) * count - 1) / 2
    return xp.lib.clip(1 - abs(spot[..., None] - xp.arange(count, low)), 0, None)
