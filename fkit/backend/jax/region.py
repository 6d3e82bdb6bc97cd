"""Means over regions under jit: shapes do not depend on values, the number of turns of one loop does.

A region is covered by windows of pixels; a window's share of all of its region's bins is two products of matrices, since a
bin's weights are those of its rows times those of its columns. The windows of all regions stand in one line, and a loop
takes so many at a time. It ends with the last one, so that small regions cost little however large one may be; what it does
is linear in the maps, and its transpose, a loop of the same windows, is written out because reverse mode knows no such loop.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fkit.array.sample import Axis, Regions, ends, weights

__all__ = ["region_mean"]

_WINDOW = 16  # pixels along each side
_TOGETHER = 32  # windows a turn
_einsum = partial(jnp.einsum, precision="highest")


@partial(jax.custom_vjp, nondiff_argnums=(0, 3, 4))
def region_mean(xp: Any, rows: Any, regions: Regions, size: tuple[int, int], ratio: int) -> Any:
    """(R, h, w, C): see `fkit.array.pick.PickOps.region_mean`."""
    kind = regions.y.start.dtype
    out = jnp.zeros((len(regions.base), *size, rows.shape[1]), kind)

    def add(out: Any, window: "_Windows") -> Any:
        pixels = jnp.take(rows, window.index, axis=0, mode="clip").astype(kind)
        lines = _einsum("kjx,kyxc->kyjc", window.along, pixels)
        return out.at[window.region].add(_einsum("kiy,kyjc->kijc", window.down, lines))

    return _over(xp, regions, size, ratio, add, out).astype(rows.dtype)


def _forward(xp: Any, rows: Any, regions: Regions, size: tuple[int, int], ratio: int) -> Any:
    return region_mean(xp, rows, regions, size, ratio), (rows, regions)


def _backward(xp: Any, size: tuple[int, int], ratio: int, kept: tuple[Any, Regions], gradient: Any) -> tuple[Any, Any]:
    rows, regions = kept
    kind = regions.y.start.dtype

    def add(out: Any, window: "_Windows") -> Any:
        part = jnp.take(gradient, window.region, axis=0).astype(kind)
        lines = _einsum("kiy,kijc->kyjc", window.down, part)
        return out.at[window.index].add(_einsum("kjx,kyjc->kyxc", window.along, lines))

    out = _over(xp, regions, size, ratio, add, jnp.zeros(rows.shape, kind))
    return out.astype(rows.dtype), jax.tree.map(_no_gradient, regions)


region_mean.defvjp(_forward, _backward)


def _no_gradient(a: Any) -> Any:
    floating = jnp.issubdtype(a.dtype, jnp.floating)
    return jnp.zeros_like(a) if floating else jnp.zeros(a.shape, jax.dtypes.float0)


class _Windows:
    """Some windows at once: their regions (K,), the rows of their pixels (K, S, S), and what bins take of lines
    (K, h, S) and of columns (K, w, S)."""

    def __init__(self, region: Any, index: Any, down: Any, along: Any) -> None:
        self.region, self.index, self.down, self.along = region, index, down, along


def _over(
    xp: Any, regions: Regions, size: tuple[int, int], ratio: int, add: Callable[[Any, _Windows], Any], out: Any
) -> Any:
    """``out = add(out, windows)`` over all windows of all regions."""
    if not len(regions.base):
        return out
    (top, rows), (left, columns) = (_cover(xp, axis, bins) for axis, bins in zip(regions[:2], size, strict=True))
    last = jnp.cumsum(rows * columns)
    width = regions.x.length.astype(top.dtype)

    def turn(state: tuple[Any, Any]) -> tuple[Any, Any]:
        at, out = state
        place = at * _TOGETHER + jnp.arange(_TOGETHER)
        region = jnp.minimum(jnp.searchsorted(last, place, side="right"), len(last) - 1)
        within = place - (last - rows * columns)[region]
        wide = jnp.maximum(columns[region], 1)
        y, down = _side(xp, regions.y, region, top[region] + within // wide * _WINDOW, size[0], ratio)
        x, along = _side(xp, regions.x, region, left[region] + within % wide * _WINDOW, size[1], ratio)
        index = (regions.base[region][:, None] + y * width[region][:, None])[:, :, None] + x[:, None, :]
        down = jnp.where((place < last[-1])[:, None, None], down, 0)
        return at + 1, add(out, _Windows(region, index, down, along))

    return jax.lax.while_loop(lambda state: state[0] * _TOGETHER < last[-1], turn, (last[-1] * 0, out))[1]


def _cover(xp: Any, axis: Axis, bins: int) -> tuple[Any, Any]:
    """(R,): the first pixel of each region, and how many windows cover it."""
    low, high = ends(xp, axis, axis.start * 0, axis.start * 0 + (bins - 1))
    return low, jnp.maximum(high - low + _WINDOW, 0) // _WINDOW


def _side(xp: Any, axis: Axis, region: Any, first: Any, bins: int, ratio: int) -> tuple[Any, Any]:
    """A side of windows: the pixels (K, S), and (K, bins, S) what the bins take of them."""
    kind = axis.start.dtype
    pixel = first[:, None] + jnp.arange(_WINDOW)
    bin = jnp.arange(bins, dtype=kind)[None, :, None]
    parts = axis.at(lambda part: part[region][:, None, None])
    weight = weights(xp, parts, bin, pixel.astype(kind)[:, None, :], ratio)
    return jnp.minimum(pixel, axis.length.astype(pixel.dtype)[region][:, None] - 1), weight
