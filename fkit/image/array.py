"""Arrays to levels and back, batches to pictures: mmcv's arraymisc and misc."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fkit.image.argument import array, dtype_of, finite, numbers, whole
from fkit.image.photometry import imdenormalize
from fkit.image.refuse import Image, form
from fkit.tree.error import FkitValueError

__all__ = ["dequantize", "quantize", "tensor2imgs"]


def quantize(
    arr: NDArray[Any], min_val: float, max_val: float, levels: int, dtype: DTypeLike = np.int64
) -> NDArray[Any]:
    """Cut ``arr`` to [min_val, max_val] and number ``levels`` equal bins of that range from 0.

    ``min(floor(levels (x - min_val) / (max_val - min_val)), levels - 1)``.

    Args:
        arr: any shape, real.
        min_val: lower end of the range.
        max_val: upper end, above ``min_val``.
        levels: number of bins, 2 or more.
        dtype: of the result; it must hold ``levels - 1``.

    Returns:
        Same shape, ``dtype``, values in [0, levels - 1].

    Raises:
        FkitValueError: an empty range, or ``levels`` not an integer above 1.

    Example:
        >>> quantize(np.array([-1.0, 0.0, 0.3, 1.0]), 0, 1, 4)
        array([0, 0, 1, 3])
    """
    _check_range("quantize", min_val, max_val, levels)
    inside = np.clip(array("quantize", "arr", arr), min_val, max_val)
    bins: NDArray[Any] = np.floor(levels * (inside - min_val) / (max_val - min_val)).astype(dtype_of("quantize", dtype))
    return np.minimum(bins, levels - 1, out=bins)


def dequantize(
    arr: NDArray[Any], min_val: float, max_val: float, levels: int, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """The middle of the bin that each number names: ``(x + 0.5) (max_val - min_val) / levels + min_val``.

    Args:
        arr: any shape, bin numbers in [0, levels - 1].
        min_val: lower end of the range.
        max_val: upper end, above ``min_val``.
        levels: number of bins, 2 or more.
        dtype: of the result.

    Returns:
        Same shape, ``dtype``.

    Raises:
        FkitValueError: an empty range, or ``levels`` not an integer above 1.

    Example:
        >>> dequantize(np.array([0, 1, 2, 3]), 0, 1, 4)
        array([0.125, 0.375, 0.625, 0.875])
    """
    _check_range("dequantize", min_val, max_val, levels)
    middles = array("dequantize", "arr", arr) + 0.5
    out: NDArray[Any] = middles.astype(dtype_of("dequantize", dtype), copy=False)
    if out.dtype.kind != "f":
        return out * (max_val - min_val) / levels + min_val
    out *= max_val - min_val
    out /= levels
    out += min_val
    return out


def tensor2imgs(
    tensor: Any, mean: Sequence[float] | None = None, std: Sequence[float] | None = None, to_rgb: bool = True
) -> list[Image]:
    """A normalised batch back to pictures: undo ``imnormalize`` and cut to uint8.

    Args:
        tensor: (N, C, H, W), C 1 or 3: a numpy array, or an array of torch or JAX.
        mean: C numbers, in the channel order of ``tensor``; zeros when None.
        std: C numbers; ones when None.
        to_rgb: whether ``tensor`` is RGB and the pictures are to be BGR; C must be 3 then.

    Returns:
        N arrays, (H, W, 3) or (H, W), uint8.

    Raises:
        FkitValueError: another shape, or means that do not fit C.

    Example:
        >>> batch = np.full((1, 3, 2, 2), 0.5, np.float32)
        >>> tensor2imgs(batch, mean=(10, 20, 30), std=(2, 2, 2))[0][0, 0]
        array([31, 21, 11], dtype=uint8)
    """
    batch: NDArray[Any] = np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)
    if batch.ndim != 4 or batch.shape[1] not in (1, 3):
        raise FkitValueError(f"tensor2imgs takes (N, 1, H, W) or (N, 3, H, W); got {form(batch)}.")
    channels = batch.shape[1]
    mean = (0.0,) * channels if mean is None else tuple(numbers("tensor2imgs", "mean", mean))
    std = (1.0,) * channels if std is None else tuple(numbers("tensor2imgs", "std", std))
    if len(mean) != channels or len(std) != channels:
        raise FkitValueError(f"tensor2imgs: {len(mean)} means and {len(std)} stds for {channels} channels.")
    if to_rgb and channels != 3:
        raise FkitValueError("tensor2imgs: to_rgb=True needs 3 channels; this batch has 1.", repair="pass to_rgb=False")
    return [_picture(planes, mean, std, to_rgb) for planes in batch]


def _picture(planes: NDArray[Any], mean: Sequence[float], std: Sequence[float], swap: bool) -> Image:
    """(C, H, W) normalised floats to (H, W[, C]) uint8; plane by plane, so that only bytes are interleaved."""
    levels = [imdenormalize(plane, [m], [s], to_bgr=False) for plane, m, s in zip(planes, mean, std, strict=True)]
    if len(levels) == 1:
        return levels[0].astype(np.uint8)
    out = np.empty((*planes.shape[1:], len(levels)), np.uint8)
    for channel, level in enumerate(reversed(levels) if swap else levels):
        out[..., channel] = level
    return out


def _check_range(name: str, min_val: float, max_val: float, levels: Any) -> None:
    whole(name, "levels", levels, 2)
    if not finite(name, "min_val", min_val) < finite(name, "max_val", max_val):
        raise FkitValueError(f"{name}: min_val must be below max_val; got {min_val} and {max_val}.")
