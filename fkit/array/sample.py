"""Where regions of interest are sampled, one axis at a time, and what each sample takes of which pixel.

RoIAlign is separable: a bin's samples are a grid, a sample's bilinear weights a product of one of its rows and one of its
columns. So all that a backend needs is two short lists of weights a region, and what follows is a sum of rows of pixels.
"""

from typing import Any, NamedTuple

__all__ = ["Axis", "Regions", "ends", "pairs", "weights"]

# of samples at most one pixel and at least half a pixel apart, so many at most take of one pixel, and one for rounding
_NEAR = 5


class Axis(NamedTuple):
    """R regions along one axis of their maps.

    Attributes:
        start: (R,) where the first bin begins, in pixels, pixel 0 centred on 0.
        size: (R,) of one bin.
        count: (R,) samples a bin, whole numbers, as a float.
        length: (R,) pixels of the map, as a float.
    """

    start: Any
    size: Any
    count: Any
    length: Any

    def at(self, pick: Any) -> "Axis":
        """What ``pick`` makes of each part."""
        return Axis(*(pick(part) for part in self))


class Regions(NamedTuple):
    """Regions on maps whose pixels are rows of one array.

    Attributes:
        y, x: along the height and along the width.
        base: (R,) the row of the map's first pixel, whole numbers.
    """

    y: Axis
    x: Axis
    base: Any


def place(xp: Any, axis: Axis, bin: Any, sample: Any) -> Any:
    """Where a sample of a bin lies."""
    count = xp.lib.clip(axis.count, 1, None)
    return axis.start + bin * axis.size + (sample + 0.5) * axis.size / count


def inside(xp: Any, axis: Axis, spot: Any) -> Any:
    """The place brought into the map."""
    return xp.lib.minimum(xp.lib.clip(spot, 0, None), axis.length - 1)


def weights(xp: Any, axis: Axis, bin: Any, pixel: Any, ratio: int) -> Any:
    """What a bin's mean takes of pixels, all samples together.

    Args:
        axis: parts that broadcast with ``bin`` and ``pixel``, as floats.
        ratio: samples a bin; 0: as many as pixels, rounded up, so that no two samples are further apart than a pixel.
    """
    count = xp.lib.clip(axis.count, 1, None)
    if ratio:
        first, near = pixel * 0, ratio
    else:
        step = xp.lib.clip(axis.size / count, 1e-6, None)
        first = xp.lib.clip(xp.lib.ceil((pixel - 1 - axis.start - bin * axis.size) / step - 0.501), 0, None)
        near = _NEAR
    total = 0
    for more in range(near):
        sample = first + more
        spot = place(xp, axis, bin, sample)
        counts = (sample < axis.count) & (spot >= -1) & (spot <= axis.length)
        part = xp.lib.clip(1 - abs(inside(xp, axis, spot) - pixel), 0, None)
        total = total + xp.lib.where(counts, part, part * 0)
    return total / count


def ends(xp: Any, axis: Axis, first: Any, last: Any) -> tuple[Any, Any]:
    """The first and the last pixel, as whole numbers, that bins ``first`` to ``last`` touch; more than the last is none."""
    count = xp.lib.clip(axis.count, 1, None)
    low, high = (inside(xp, axis, place(xp, axis, *at)) for at in ((first, count * 0), (last, count - 1)))
    low, high = xp.lib.floor(low), xp.lib.minimum(xp.lib.floor(high) + 1, axis.length - 1)
    high = xp.lib.where(axis.count > 0, high, low - 1)
    low, high = xp.cast(low, "int64"), xp.cast(high, "int64")
    limit = xp.cast(axis.length, "int64") - 1
    low = xp.lib.minimum(xp.lib.clip(low, 0, None), limit)  # what is not a number has become any
    return low, xp.lib.minimum(xp.lib.clip(high, -1, None), limit)


def pairs(xp: Any, axis: Axis, bins: Any, samples: Any) -> tuple[Any, Any]:
    """The two pixels beside each sample, whole numbers, and what the sample takes of them: (..., 2) each.

    Args:
        bins, samples: that broadcast with the axis' parts.
    """
    spot = place(xp, axis, bins, samples)
    counts = (samples < axis.count) & (spot >= -1) & (spot <= axis.length)
    spot = inside(xp, axis, spot)
    low = xp.lib.floor(spot)
    part = spot - low
    pixel = xp.lib.stack([low, xp.lib.minimum(low + 1, axis.length + low * 0 - 1)], -1)
    weight = xp.lib.where(counts[..., None], xp.lib.stack([1 - part, part], -1), pixel * 0)
    limit = xp.cast(axis.length, "int64")[..., None] - 1
    return xp.lib.minimum(xp.lib.clip(xp.cast(pixel, "int64"), 0, None), limit), weight
