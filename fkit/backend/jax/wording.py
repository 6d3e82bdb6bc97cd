"""Convolutions in other words for the CPU, where XLA has a slow loop for some: those of groups, and transposed ones.

XLA's CPU computes plain convolutions by a library, and what has groups or a spread input, the gradient of a kernel above all,
by a loop of its own: of 32 groups of 4 channels, that gradient took 400 times as long as it does here. The numbers are the
same but for the order in which they are added. Elsewhere XLA has the operation itself.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["grouped", "transposed"]

Array = jax.Array

_WIDE = 32  # input channels that are convolved together at least
_PARTS = 8  # convolutions in the place of one at most


def grouped(lhs: Array, rhs: Array, window_strides: Sequence[int], padding: Any, **options: Any) -> Array:
    """`lax.conv_general_dilated`, channels last, on the CPU as convolutions of few groups, each of them dense.

    Args:
        lhs, rhs: (N, ..., C) and (..., C / groups, O).
        options: as there; ``feature_group_count`` is the number of groups.

    Example:
        >>> x, kernel = jnp.ones((1, 4, 4, 6)), jnp.ones((3, 3, 2, 6))
        >>> numbers = ("NHWC", "HWIO", "NHWC")
        >>> grouped(x, kernel, (1, 1), "VALID", dimension_numbers=numbers, feature_group_count=3)[0, 0, 0].tolist()
        [18.0, 18.0, 18.0, 18.0, 18.0, 18.0]
    """
    groups = options.get("feature_group_count", 1)

    def native(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(x, kernel, window_strides, padding, **options)

    def dense(x: Array, kernel: Array) -> Array:
        count = _parts(groups, kernel.shape[-2])
        together: dict[str, Any] = {**options, "feature_group_count": 1}
        several = [
            lax.conv_general_dilated(one, _diagonal(mine, groups // count), window_strides, padding, **together)
            for one, mine in zip(jnp.split(x, count, -1), jnp.split(kernel, count, -1), strict=True)
        ]
        return jnp.concatenate(several, -1)

    return native(lhs, rhs) if groups == 1 else lax.platform_dependent(lhs, rhs, cpu=dense, default=native)


def _parts(groups: int, channels: int) -> int:
    """How many convolutions of whole groups: as many as leave each of them wide, up to a few."""
    most = min(_PARTS, max(1, groups * channels // _WIDE))
    return max(count for count in range(1, most + 1) if groups % count == 0)


def _diagonal(kernel: Array, groups: int) -> Array:
    """A kernel (..., I, groups * O) of groups as one (..., groups * I, groups * O) without: zeros between groups."""
    *size, channels, features = kernel.shape
    apart = kernel.reshape(*size, 1, channels, groups, features // groups)
    own = jnp.eye(groups, dtype=kernel.dtype)[:, None, :, None]
    return (own * apart).reshape(*size, groups * channels, features)


def transposed(
    x: Array, kernel: Array, strides: Sequence[int], padding: Sequence[tuple[int, int]], dilation: Sequence[int]
) -> Array:
    """`lax.conv_transpose`, channels last, on the CPU as a convolution that gives each pixel's block of outputs as channels.

    Args:
        x, kernel: (N, ..., C) and (..., C, O).
        padding: of the spread input, before and after, along each axis.
        dilation: of the kernel.

    Example:
        >>> x, kernel = jnp.ones((1, 2, 2, 3)), jnp.ones((2, 2, 3, 1))
        >>> transposed(x, kernel, (2, 2), [(1, 1), (1, 1)], (1, 1))[0, ..., 0].tolist()[0]
        [3.0, 3.0, 3.0, 3.0]
    """

    def native(x: Array, kernel: Array) -> Array:
        return lax.conv_transpose(x, kernel, tuple(strides), tuple(padding), rhs_dilation=tuple(dilation))

    def blocks(x: Array, kernel: Array) -> Array:
        spread = [(0, 0, step - 1) for step in dilation]
        wide = lax.pad(kernel, jnp.zeros((), kernel.dtype), [*spread, (0, 0, 0), (0, 0, 0)])
        return _blocks(x, wide, strides, padding)

    return lax.platform_dependent(x, kernel, cpu=blocks, default=native)


def _blocks(x: Array, kernel: Array, strides: Sequence[int], padding: Sequence[tuple[int, int]]) -> Array:
    """Output ``stride * i + r`` takes of pixel ``i - t`` what the turned kernel has at ``stride * t + r``."""
    several, (channels, features), zero = len(strides), kernel.shape[-2:], jnp.zeros((), x.dtype)
    size, axes = kernel.shape[:several], tuple(range(several))
    turns = [-(-side // stride) for side, stride in zip(size, strides, strict=True)]
    more = [(0, turn * stride - side, 0) for turn, stride, side in zip(turns, strides, size, strict=True)]
    turned = lax.pad(jnp.flip(kernel, axes), zero, [*more, (0, 0, 0), (0, 0, 0)])
    pairs = [side for pair in zip(turns, strides, strict=True) for side in pair]
    ts, rs = [2 * axis for axis in axes], [2 * axis + 1 for axis in axes]
    taps = turned.reshape(*pairs, channels, features).transpose(*ts, 2 * several, *rs, 2 * several + 1)
    taps = jnp.flip(taps, axes).reshape(
        *turns, channels, math.prod(strides) * features
    )  # a convolution reads t backwards
    letters = "DHW"[-several:]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    whole = [(turn - 1, turn - 1) for turn in turns]
    cells = lax.conv_general_dilated(x, taps, (1,) * several, whole, dimension_numbers=numbers)
    count, *sides = cells.shape[:-1]
    cells = cells.reshape(count, *sides, *strides, features)
    cells = cells.transpose(0, *[at for axis in axes for at in (axis + 1, axis + 1 + several)], 2 * several + 1)
    lengths = [side * stride for side, stride in zip(sides, strides, strict=True)]
    edges: list[
        tuple[int, int, int]
    ] = []  # what padding leaves: the whole of the outputs begins a kernel less one before
    for length, stride, side, turn, (low, high) in zip(lengths, strides, size, turns, padding, strict=True):
        start, kept = side - 1 - low, length - turn * stride + low + high - side + 2
        edges.append((-start, start + kept - length, 0))
    return lax.pad(cells.reshape(count, *lengths, features), zero, [(0, 0, 0), *edges, (0, 0, 0)])
