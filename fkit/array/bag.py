"""Means over regions as sums of rows with weights, where shapes may depend on values: what numpy and torch pool by.

A bin is a bag of the pixels that its samples touch, each once, whatever number of samples touches it: about (g + 1)^2
pixels for g^2 samples, where a list of samples would have 4 g^2.
"""

from typing import Any

from fkit.array.sample import Axis, Regions, ends, pairs, weights

__all__ = ["region_mean"]


def region_mean(xp: Any, rows: Any, regions: Regions, size: tuple[int, int], ratio: int) -> Any:
    """(R, h, w, C): see `fkit.array.pick.PickOps.region_mean`."""
    count = len(regions.base)
    bags = _even(xp, regions, size, ratio) if ratio else _uneven(xp, regions, size)
    return xp.bags(rows, *bags).reshape(count, *size, rows.shape[1])


def _even(xp: Any, regions: Regions, size: tuple[int, int], ratio: int) -> tuple[Any, ...]:
    """Of a fixed number of samples: (bags, 4 ratio^2) rows and weights. Nothing waits for a value."""
    (row, down), (column, along) = (
        _sampled(xp, axis, bins, ratio) for axis, bins in zip(regions[:2], size, strict=True)
    )
    line = regions.base[:, None, None] + row * xp.cast(regions.x.length, row)[:, None, None]
    index = line[:, :, None, :, None] + column[:, None, :, None, :]
    weight = down[:, :, None, :, None] * along[:, None, :, None, :]
    wide = (len(regions.base) * size[0] * size[1], 4 * ratio * ratio)
    return index.reshape(wide), weight.reshape(wide)


def _sampled(xp: Any, axis: Axis, bins: int, ratio: int) -> tuple[Any, Any]:
    """(R, bins, 2 ratio) pixels, and what a bin's mean takes of each."""
    kind = axis.start
    at = xp.arange(bins, kind)[None, :, None], xp.arange(ratio, kind)[None, None, :]
    pixel, weight = pairs(xp, axis.at(lambda part: part[:, None, None]), *at)
    shape = (len(kind), bins, 2 * ratio)
    return pixel.reshape(shape), weight.reshape(shape) / ratio


def _uneven(xp: Any, regions: Regions, size: tuple[int, int]) -> tuple[Any, ...]:
    """Of as many samples as pixels: rows and weights of all bags, one after another, and where each begins."""
    regions_count = len(regions.base)
    (top, tall), (left, wide) = (_spans(xp, axis, bins) for axis, bins in zip(regions[:2], size, strict=True))
    totals = (tall.sum(), wide.sum(), (tall.sum(1) * size[1]).sum(), (tall.sum(1) * wide.sum(1)).sum())
    down_count, along_count, line_count, count = xp.lib.stack(totals).tolist()  # the one wait of a device
    down, down_from, pixel = _listed(xp, regions.y, top, tall, down_count)
    along, along_from, _ = _listed(xp, regions.x, left, wide, along_count)
    shape = (regions_count, *size)
    # a line is one row of pixels of one bag
    per_bag = _flat(xp, tall[:, :, None], shape)
    owner = xp.spread(per_bag, line_count)
    step = _flat(xp, down_from[:, :, None], shape) - _starts(per_bag)
    line = xp.take(step, owner) + xp.arange(line_count)
    in_line = xp.take(_flat(xp, wide[:, None, :], shape), owner)
    begin = _starts(in_line)
    width = _flat(xp, xp.cast(regions.x.length, top)[:, None, None], shape)
    first = _flat(xp, regions.base[:, None, None] + left[:, None, :], shape)
    index_step = xp.take(first, owner) + xp.take(pixel, line) * xp.take(width, owner) - begin
    weight_step = xp.take(_flat(xp, along_from[:, None, :], shape), owner) - begin
    entry, place = xp.spread(in_line, count), xp.arange(count)
    index = xp.take(index_step, entry) + place
    weight = xp.take(xp.take(down, line), entry) * xp.take(along, xp.take(weight_step, entry) + place)
    bag = (tall[:, :, None] * wide[:, None, :]).reshape(-1).cumsum(0)
    return index, weight, xp.lib.concat([xp.full((1,), 0, bag), bag])


def _spans(xp: Any, axis: Axis, bins: int) -> tuple[Any, Any]:
    """(R, bins): the first pixel of each bin, and how many there are."""
    at = xp.arange(bins, axis.start)[None]
    low, high = ends(xp, axis.at(lambda part: part[:, None]), at, at)
    return low, xp.lib.clip(high - low + 1, 0, None)


def _listed(xp: Any, axis: Axis, low: Any, long: Any, count: int) -> tuple[Any, Any, Any]:
    """The weights of all bins' pixels, one after another; where a bin's begin, (R, bins); and the pixels."""
    bins = low.shape[1]
    begin = _starts(long.reshape(-1))
    owner = xp.spread(long.reshape(-1), count)
    pixel = xp.take(low.reshape(-1) - begin, owner) + xp.arange(count)
    region = owner // bins
    bin = xp.cast(owner - region * bins, axis.start)
    weight = weights(xp, axis.at(lambda part: xp.take(part, region)), bin, xp.cast(pixel, bin), 0)
    return weight, begin.reshape(low.shape), pixel


def _starts(counts: Any) -> Any:
    """Where each of some lists begins that stand one after another."""
    return counts.cumsum(0) - counts


def _flat(xp: Any, a: Any, shape: tuple[int, ...]) -> Any:
    return xp.lib.broadcast_to(a, shape).reshape(-1)
