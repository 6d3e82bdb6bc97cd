"""Deformable convolution, both versions, as sums of pixels with weights and a product of matrices."""

from typing import Any

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["deform_conv"]

Pair = tuple[int, int]


def deform_conv(
    xp: Any,
    x: Any,
    offset: Any,
    mask: Any,
    weight: Any,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    deform_groups: int = 1,
) -> Any:
    """A convolution whose kernel looks where ``offset`` says, between pixels; outside of the map all is zero.

    Args:
        x: (N, H, W, C).
        offset: (N, h, w, deform_groups * K * 2), K positions of the kernel, y before x, in pixels.
        mask: (N, h, w, deform_groups * K), what a position counts for (version 2); None: 1.
        weight: (kernel height, kernel width, C / groups, O).
        stride, padding, dilation: (along y, along x).
        groups: as a convolution's.
        deform_groups: parts of the channels that have offsets of their own.

    Returns:
        (N, h, w, O). Gradients flow into all four arrays.

    Raises:
        FkitTypeError, FkitValueError: the shapes do not fit each other.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> row = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
        >>> half = np.broadcast_to(np.array([0.0, 0.5]), (1, 1, 3, 2))
        >>> deform_conv(Numpy(), row, half, None, np.ones((1, 1, 1, 1))).ravel().tolist()
        [1.5, 3.0, 2.0]
    """
    _check(x, offset, mask, weight, groups, deform_groups)
    count, height, width, channels = x.shape
    rows, columns, inner, outer = weight.shape
    out = tuple(offset.shape[1:3])
    kind = offset if offset.dtype.itemsize >= 4 else "float32"
    moved = xp.cast(offset, kind).reshape(count, *out, deform_groups, rows * columns, 2)
    y, x_at = (
        moved[..., axis] + _still(xp, moved, axis, out[axis], (rows, columns), stride, padding, dilation)
        for axis in (0, 1)
    )
    index, share = _corners(xp, y, x_at, (height, width))
    image = xp.arange(count, index)[:, None, None, None, None, None] * (height * width)
    part = xp.arange(deform_groups, index)[None, None, None, :, None, None]
    index = (index + image) * deform_groups + part
    if mask is not None:
        share = share * xp.cast(mask, kind).reshape(*share.shape[:-1], 1)
    pixels = x.reshape(count * height * width * deform_groups, channels // deform_groups)
    seen = xp.bags(pixels, index.reshape(-1, 4), share.reshape(-1, 4))
    spots = count * out[0] * out[1]
    seen = seen.reshape(spots, deform_groups, rows * columns, channels // deform_groups)
    seen = xp.lib.swapaxes(seen, 1, 2).reshape(spots, rows * columns, groups, inner)
    seen = xp.lib.moveaxis(seen, 2, 0).reshape(groups, spots, rows * columns * inner)
    kernel = xp.lib.moveaxis(weight.reshape(rows * columns * inner, groups, outer // groups), 1, 0)
    return xp.lib.moveaxis(xp.lib.matmul(seen, kernel), 0, 1).reshape(count, *out, outer)


def _still(xp: Any, like: Any, axis: int, size: int, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """Where a kernel that is not deformed looks along an axis, to be broadcast with (N, h, w, G, K)."""
    spot = xp.arange(size, like) * stride[axis] - padding[axis]
    place = xp.arange(kernel[0] * kernel[1])
    place = place // kernel[1] if axis == 0 else place % kernel[1]
    spot = spot[None, :, None, None, None] if axis == 0 else spot[None, None, :, None, None]
    return spot + xp.cast(place, like) * dilation[axis]


def _corners(xp: Any, y: Any, x: Any, size: Pair) -> tuple[Any, Any]:
    """The four pixels round places (...): which of the map's they are, and what each counts for, (..., 4) both."""
    inside = (y > -1) & (y < size[0]) & (x > -1) & (x < size[1])
    sides: list[list[tuple[Any, Any]]] = []
    for place, length in ((y, size[0]), (x, size[1])):
        low = xp.lib.floor(xp.detached(place))
        part = place - low
        both: list[tuple[Any, Any]] = []
        for pixel, share in ((low, 1 - part), (low + 1, part)):
            counts = inside & (pixel >= 0) & (pixel < length)
            both.append((xp.cast(xp.lib.clip(pixel, 0, length - 1), "int64"), xp.lib.where(counts, share, share * 0)))
        sides.append(both)
    pairs = [(above, beside) for above in sides[0] for beside in sides[1]]
    index = xp.lib.stack([above[0] * size[1] + beside[0] for above, beside in pairs], -1)
    return index, xp.lib.stack([above[1] * beside[1] for above, beside in pairs], -1)


def _check(x: Any, offset: Any, mask: Any, weight: Any, groups: int, deform_groups: int) -> None:
    shapes = [tuple(getattr(one, "shape", ())) for one in (x, offset, weight)]
    if any(len(shape) != 4 for shape in shapes):
        raise FkitTypeError(f"x, offset and weight have four axes each, not the shapes {shapes}.")
    spots = weight.shape[0] * weight.shape[1] * deform_groups
    if x.shape[3] % deform_groups or weight.shape[3] % groups or x.shape[3] != weight.shape[2] * groups:
        raise FkitValueError(
            f"weight {shapes[2]} of {groups} groups, {deform_groups} deformed ones, does not fit x {shapes[0]}."
        )
    if offset.shape[3] != 2 * spots or (mask is not None and mask.shape[3] != spots):
        raise FkitValueError(f"offset has {offset.shape[3]} channels where there are {spots} places: {2 * spots}.")
