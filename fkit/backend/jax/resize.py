"""torch's ``interpolate`` and adaptive pooling on (N, H, W, C). Sizes are known while tracing, so are all indices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkit.tree.error import FkitValueError

__all__ = ["adaptive_avg_pool", "adaptive_max_pool", "interpolate"]

Array = jax.Array
_MODES = ("nearest", "bilinear")


def interpolate(
    x: Array,
    size: tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Array:
    """Maps (N, H, W, C) of another size, as ``torch.nn.functional.interpolate``: by a size, or by a factor.

    Raises:
        FkitValueError: an unknown mode.

    Example:
        >>> interpolate(jnp.arange(4.0).reshape(1, 2, 2, 1), (2, 4))[0, 0, :, 0].tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    if mode not in _MODES:
        raise FkitValueError(f"interpolate: mode={mode!r}.", value=mode, choices=_MODES, label="Modes")
    if (size is None) == (scale_factor is None):
        raise FkitValueError("interpolate takes one of size and scale_factor.")
    factors = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor, scale_factor)
    for axis, factor in zip((1, 2), factors, strict=True):
        length = x.shape[axis]
        out = int(length * factor) if factor is not None else (size or x.shape[1:3])[axis - 1]
        scale = length / out if factor is None else 1.0 / factor
        if mode == "nearest":
            x = _nearest(x, axis, out, scale)
        else:
            x = _linear(x, axis, out, scale, bool(align_corners))
    return x


def _nearest(x: Array, axis: int, out: int, scale: float) -> Array:
    length = x.shape[axis]
    if out == length and scale == 1.0:
        return x
    if out % length == 0 and scale == length / out:
        return jnp.repeat(x, out // length, axis)
    places = np.floor(np.arange(out, dtype=np.float32) * np.float32(scale)).astype(np.int64)
    return jnp.take(x, np.minimum(places, length - 1), axis)


def _linear(x: Array, axis: int, out: int, scale: float, align_corners: bool) -> Array:
    length = x.shape[axis]
    if align_corners:
        places = np.arange(out) * ((length - 1) / (out - 1) if out > 1 else 0.0)
    else:
        places = np.maximum((np.arange(out) + 0.5) * scale - 0.5, 0.0)
    low = np.minimum(np.floor(places).astype(np.int64), length - 1)
    high = np.minimum(low + 1, length - 1)
    shape = [1] * x.ndim
    shape[axis] = out
    share = jnp.asarray((places - low).reshape(shape), x.dtype)
    return jnp.take(x, low, axis) * (1 - share) + jnp.take(x, high, axis) * share


def adaptive_max_pool(x: Array, size: tuple[int, ...]) -> Array:
    """torch's ``adaptive_max_pool2d``; the gradient goes to the first of equal values, as torch's."""
    for axis in (2, 1):
        if x.shape[axis] != size[axis - 1]:
            places, _ = _windows(x.shape[axis], size[axis - 1])
            parts = _gathered(x, axis, places)
            best = jnp.argmax(parts, axis + 1, keepdims=True)
            x = jnp.take_along_axis(parts, best, axis + 1).squeeze(axis + 1)
    return x


def adaptive_avg_pool(x: Array, size: tuple[int, ...]) -> Array:
    """torch's ``adaptive_avg_pool2d``."""
    for axis in (2, 1):
        if x.shape[axis] != size[axis - 1]:
            places, shares = _windows(x.shape[axis], size[axis - 1])
            weight = shares.reshape((*shares.shape, *(1,) * (x.ndim - 1 - axis)))
            x = (_gathered(x, axis, places) * jnp.asarray(weight, x.dtype)).sum(axis + 1)
    return x


def _windows(length: int, out: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The places (out, K) of every window, its last one repeated up to the widest, and what each weighs in a mean."""
    first = np.arange(out) * length // out
    last = -(-(np.arange(1, out + 1) * length) // out)
    places = first[:, None] + np.arange((last - first).max())
    inside = places < last[:, None]
    return np.minimum(places, last[:, None] - 1), inside / (last - first)[:, None]


def _gathered(x: Array, axis: int, places: NDArray[Any]) -> Array:
    return jnp.take(x, places.reshape(-1), axis).reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))
