"""Pooling regions of interest: RoIAlign and RoIPool over the levels of a pyramid at once, as mmcv's operators count.

Maps are channels last, (N, H, W, C), one a level; a region is a box (x1, y1, x2, y2) in the coordinates of the picture, an
image of the batch and a level. Numbers of regions stay what they are; a region that only pads is pooled like any other.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from fkit.array.sample import Axis, Regions, pairs
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["levels", "rescaled", "roi_align", "roi_pool"]

_NOTHING = -10000.0  # what mmcv's maximum of no sample is
_MODES = ("avg", "max")


def roi_align(
    xp: Any,
    maps: Sequence[Any],
    rois: Any,
    image: Any,
    level: Any,
    scales: Sequence[float],
    size: tuple[int, int],
    sampling_ratio: int = 0,
    aligned: bool = True,
    mode: str = "avg",
) -> Any:
    """Each region's map in ``size`` bins, each the mean (or the greatest) of samples between pixels.

    Args:
        maps: (N, H, W, C), one a level.
        rois: (R, 4); gradients flow into the maps alone. One whose x2 < x1 or y2 < y1 gives zeros where ``aligned``, else it
            counts as one pixel.
        image: (R,) which of N.
        level: (R,) which of the maps; None: the first.
        scales: what coordinates are multiplied by, one a level: 1 / stride.
        size: (h, w) bins.
        sampling_ratio: samples a bin along each axis; 0: as many as its pixels, rounded up, each region by itself.
        aligned: pixel centres are at half coordinates, as they should be.
        mode: "avg" or "max".

    Returns:
        (R, h, w, C), of the maps' kind.

    Raises:
        FkitTypeError, FkitValueError: other shapes, another mode, a negative ratio.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> one = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> roi_align(Numpy(), [one], np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([0]), None, [1.0], (2, 2))[0, :, :, 0].tolist()
        [[2.5, 4.5], [10.5, 12.5]]
    """
    _check(maps, rois, scales, size, sampling_ratio, mode)
    rows, regions = _regions(xp, maps, rois, image, level, scales, size, sampling_ratio, aligned)
    if mode == "avg":
        return xp.region_mean(rows, regions, size, sampling_ratio)
    return _greatest(xp, rows, regions, size)


def roi_pool(
    xp: Any, maps: Sequence[Any], rois: Any, image: Any, level: Any, scales: Sequence[float], size: tuple[int, int]
) -> Any:
    """The greatest pixel of each of a region's bins, both rounded to whole pixels; arguments and result as `roi_align`'s.

    Bins without a pixel are zero, and so are regions without extent.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> one = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> roi_pool(Numpy(), [one], np.array([[0.0, 0.0, 3.0, 3.0]]), np.array([0]), None, [1.0], (2, 2))[0, :, :, 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    _check(maps, rois, scales, size, 0, "max")
    rows, base, lengths, scale, boxes = _laid(xp, maps, rois, image, level, scales)
    starts, ends = boxes[:, :2] * scale[:, None], (boxes[:, 2:] + 1) * scale[:, None]
    real = ((ends - starts) > 0).all(-1)
    low, count = zip(
        *(_pixels(xp, starts[:, 1 - a], ends[:, 1 - a], size[a], lengths[a], real) for a in (0, 1)), strict=True
    )
    width = xp.cast(lengths[1], base)[:, None, None]

    def row(y: Any, x: Any) -> Any:
        return base[:, None, None] + (low[0][:, :, None] + y) * width + low[1][:, None, :] + x

    def value(y: Any, x: Any) -> Any:
        counts = (y < count[0])[:, :, None] & (x < count[1])[:, None, :]
        pixels = xp.take(rows, xp.lib.where(counts, row(y, x), 0))
        return xp.lib.where(counts[..., None], pixels, xp.lib.full_like(pixels, -math.inf))

    best, y, x = _first_greatest(xp, value, (len(rois), *size, rows.shape[1]), count, rows, -math.inf)
    at = base[:, None, None, None] + (low[0][:, :, None, None] + y) * width[..., None] + low[1][:, None, :, None] + x
    some = best > -math.inf
    return xp.lib.where(some, _elements(xp, rows, xp.lib.where(some, at, 0)), xp.full(best.shape, 0, rows))


def levels(xp: Any, rois: Any, count: int, finest_scale: float = 56) -> Any:
    """Which level of ``count`` each region (R, 4) belongs to, (R,): the next one with each doubling of its side from
    2 * ``finest_scale``.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> levels(Numpy(), np.array([[0.0, 0, 100, 100], [0, 0, 112, 112], [0, 0, 9, 9e5]]), 4).tolist()
        [0, 1, 3]
    """
    side = xp.lib.sqrt((rois[:, 2] - rois[:, 0]) * (rois[:, 3] - rois[:, 1])) / finest_scale + 1e-6
    found = xp.cast(side * 0 != 0, "int64") * 0
    for level in range(1, count):
        found = found + xp.cast(side >= 2**level, "int64")
    return found


def rescaled(xp: Any, rois: Any, factor: float) -> Any:
    """Boxes (R, 4) made larger or smaller round their centres."""
    centre, half = (rois[:, :2] + rois[:, 2:]) * 0.5, (rois[:, 2:] - rois[:, :2]) * factor * 0.5
    return xp.lib.concat([centre - half, centre + half], axis=1)


def _greatest(xp: Any, rows: Any, regions: Regions, size: tuple[int, int]) -> Any:
    """The greatest sample: which one is decided without a gradient, the gradient is then that of its four pixels."""
    axes = regions.y.at(lambda part: part[:, None]), regions.x.at(lambda part: part[:, None])
    bins = tuple(xp.arange(count, regions.y.start) for count in size)
    width = xp.cast(regions.x.length, regions.base)

    def value(y: Any, x: Any) -> Any:
        down, along = (pairs(xp, axis, bin[None], at) for axis, bin, at in zip(axes, bins, (y, x), strict=True))
        row = regions.base[:, None, None] + down[0] * width[:, None, None]
        index = row[:, :, None, :, None] + along[0][:, None, :, None, :]
        weight = down[1][:, :, None, :, None] * along[1][:, None, :, None, :]
        shape = (len(width), *size)
        mean = xp.bags(xp.detached(rows), index.reshape(-1, 4), weight.reshape(-1, 4)).reshape(*shape, rows.shape[1])
        counts = (y < axes[0].count)[:, :, None, None] & (x < axes[1].count)[:, None, :, None]
        return xp.lib.where(counts, mean, xp.lib.full_like(mean, _NOTHING))

    counts = (regions.y.count, regions.x.count)
    best, y, x = _first_greatest(xp, value, (len(width), *size, rows.shape[1]), counts, rows, _NOTHING)
    down, along = (
        pairs(xp, axis.at(lambda part: part[:, None, None]), bin, xp.cast(at, axis.start))
        for axis, bin, at in zip(axes, (bins[0][:, None, None], bins[1][:, None]), (y, x), strict=True)
    )
    row = regions.base[:, None, None, None, None] + down[0] * width[:, None, None, None, None]
    total = 0
    for one in (0, 1):
        for other in (0, 1):
            pixel = _elements(xp, rows, row[..., one] + along[0][..., other])
            total = total + pixel * xp.cast(down[1][..., one] * along[1][..., other], rows)
    return xp.lib.where(best > _NOTHING, total, best)


def _first_greatest(
    xp: Any, value: Callable[[Any, Any], Any], shape: tuple[int, ...], counts: Sequence[Any], rows: Any, lowest: float
) -> tuple[Any, Any, Any]:
    """The greatest of ``value(y, x)`` over all y, x below the greatest of ``counts``; and at which it is, the first of equal."""
    best, nowhere = xp.full(shape, lowest, rows), xp.full(shape, 0, "int64")
    if not shape[0]:
        return best, nowhere, nowhere
    high, wide = (xp.cast(xp.lib.amax(count), "int64") for count in counts)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        turn, best, at = state
        found = value(turn // xp.lib.clip(wide, 1, None), turn % xp.lib.clip(wide, 1, None))
        return turn + 1, xp.lib.where(found > best, found, best), xp.lib.where(found > best, turn, at)

    _, best, at = xp.loop(lambda state: state[0] < high * wide, step, (high * 0, best, nowhere))
    return best, at // xp.lib.clip(wide, 1, None), at % xp.lib.clip(wide, 1, None)


def _elements(xp: Any, rows: Any, index: Any) -> Any:
    """One element of each row, that of its own channel: rows (P, C), index (..., C)."""
    channels = rows.shape[1]
    return xp.take(rows.reshape(-1), index * channels + xp.arange(channels))


def _pixels(xp: Any, start: Any, end: Any, bins: int, length: Any, real: Any) -> tuple[Any, Any]:
    """(R, bins): the first pixel of each bin, and how many there are."""
    edge = xp.arange(bins + 1, start)[None] * ((end - start) / bins)[:, None] + start[:, None]
    low, high = xp.lib.floor(edge[:, :-1]), xp.lib.ceil(edge[:, 1:])
    low, high = (xp.lib.minimum(xp.lib.clip(part, 0, None), length[:, None]) for part in (low, high))
    count = xp.lib.where(real[:, None], high - low, low * 0)
    return xp.cast(low, "int64"), xp.cast(xp.lib.clip(count, 0, None), "int64")


def _regions(
    xp: Any, maps: Sequence[Any], rois: Any, image: Any, level: Any, scales: Sequence[float], size: tuple[int, int],
    ratio: int, aligned: bool,
) -> tuple[Any, Regions]:  # fmt: skip
    rows, base, lengths, scale, boxes = _laid(xp, maps, rois, image, level, scales)
    shift = 0.5 if aligned else 0.0
    axes: list[Axis] = []
    for axis, (bins, length) in enumerate(zip(size, lengths, strict=True)):
        start, end = (boxes[:, corner] * scale - shift for corner in (1 - axis, 3 - axis))
        extent = end - start if aligned else xp.lib.clip(end - start, 1, None)
        one = extent / bins
        count = one * 0 + ratio if ratio else xp.lib.ceil(one)
        axes.append(Axis(start, one, xp.lib.where(extent >= 0, count, count * 0), length))
    return rows, Regions(axes[0], axes[1], base)


def _laid(
    xp: Any, maps: Sequence[Any], rois: Any, image: Any, level: Any, scales: Sequence[float]
) -> tuple[Any, Any, tuple[Any, Any], Any, Any]:
    """The maps' pixels as rows of one array; and of each region the first row of its map, its map's (height, width), its
    scale, and the box, in numbers of at least 32 bits."""
    parts = maps if len(maps) == 1 else [one for each in maps for one in each]
    several = [part.reshape(-1, part.shape[-1]) for part in parts]
    rows = several[0] if len(several) == 1 else xp.lib.concat(several)
    kind = maps[0] if maps[0].dtype.itemsize >= 4 else "float32"
    boxes = xp.cast(xp.detached(rois), kind)
    sizes = [one.shape[1] * one.shape[2] for one in maps]
    starts = [sum(one.shape[0] * area for one, area in zip(maps[:at], sizes, strict=False)) for at in range(len(maps))]
    level = xp.cast(image * 0 if level is None else level, "int64")
    first, area = (xp.take(xp.asarray(values, "int64"), level) for values in (starts, sizes))
    heights, widths, scale = (
        xp.take(xp.asarray(list(values), kind), level)
        for values in ((one.shape[1] for one in maps), (one.shape[2] for one in maps), scales)
    )
    return rows, first + xp.cast(image, "int64") * area, (heights, widths), scale, boxes


def _check(
    maps: Sequence[Any], rois: Any, scales: Sequence[float], size: tuple[int, int], ratio: int, mode: str
) -> None:
    shapes: list[tuple[int, ...]] = [tuple(getattr(one, "shape", ())) for one in maps]
    if not shapes or any(len(shape) != 4 for shape in shapes) or len({(shape[0], shape[3]) for shape in shapes}) > 1:
        raise FkitTypeError(f"maps are arrays (N, H, W, C) of one N and one C, not of shapes {quoted(shapes, 80)}.")
    if len(scales) != len(shapes):
        raise FkitValueError(f"there are {len(shapes)} maps and {len(scales)} scales.")
    shape = tuple(getattr(rois, "shape", ()))
    if len(shape) != 2 or shape[1] != 4:
        raise FkitTypeError(f"rois are an array (R, 4), not {quoted(rois, 60)}.")
    if len(size) != 2 or min(size) < 1 or ratio < 0:
        raise FkitValueError(f"size={size!r} are two numbers above 0, and sampling_ratio={ratio!r} is none below it.")
    if mode not in _MODES:
        raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
