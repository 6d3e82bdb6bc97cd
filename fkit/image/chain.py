"""Resize, flip, normalise and pad as one step, for loaders: the same bits as the chain, in fewer passes."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import number, pair, whole
from fkit.image.pad import impad
from fkit.image.photometry import Numbers, imnormalize, normal_table
from fkit.image.refuse import Image, image, one_of, refusing
from fkit.image.resize import Scale, imresize, rescale_size
from fkit.image.warp import DIRECTIONS, flip_code, imflip
from fkit.tree.error import FkitValueError

__all__ = ["preprocess"]


def preprocess(
    img: Image,
    *,
    mean: Numbers,
    std: Numbers,
    size: tuple[int, int] | None = None,
    scale: Scale | None = None,
    flip: str | None = None,
    to_rgb: bool = True,
    size_divisor: int | None = None,
    pad_shape: tuple[int, int] | None = None,
    pad_val: float = 0,
    interpolation: str = "bilinear",
) -> NDArray[np.float32]:
    """``imresize`` (or ``imrescale``), ``imflip``, ``imnormalize`` and ``impad``, one after the other, bit for bit.

    For uint8 the flip and the swap of channels move bytes, not floats (one pass does both when the flip is
    horizontal), and a table of 256 rows normalises straight into the padded buffer.

    Args:
        img: (H, W, 3) or (H, W), uint8 for speed, or what ``imresize`` takes.
        mean: C numbers, in the order of the result.
        std: C numbers, likewise.
        size: (width, height) to resize to; or
        scale: as ``imrescale``; or neither, to leave the size.
        flip: None, "horizontal", "vertical" or "diagonal".
        to_rgb: swap BGR to RGB.
        size_divisor: pad below and to the right to multiples of it; or
        pad_shape: (height, width) to pad to; or neither.
        pad_val: what the padding holds, after normalising: as ``impad`` one number reaches the first channel alone.
        interpolation: as ``imresize``.

    Returns:
        (H', W'[, C]) float32.

    Raises:
        FkitValueError: both of ``size`` and ``scale``, or of ``size_divisor`` and ``pad_shape``; what the four
            functions refuse.

    Example:
        >>> img = np.full((30, 40, 3), 100, np.uint8)
        >>> out = preprocess(img, size=(20, 15), flip="horizontal", mean=[100] * 3, std=[2] * 3, size_divisor=16)
        >>> out.shape, out.dtype, float(out.max())
        ((16, 32, 3), dtype('float32'), 0.0)
    """
    img = _resized(image("preprocess", img), size, scale, interpolation)
    if flip is not None:
        one_of("preprocess", "flip", flip, DIRECTIONS)
    number("preprocess", "pad_val", pad_val, nan=True)
    target = _target((img.shape[0], img.shape[1]), size_divisor, pad_shape)
    if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
        out = imnormalize(img if flip is None else np.ascontiguousarray(imflip(img, flip)), mean, std, to_rgb)
        return out if target == img.shape[:2] else impad(out, shape=target, pad_val=pad_val)
    with refusing("preprocess", img):
        return _tabled(_turned(img, flip, to_rgb), normal_table(mean, std, 3), target, pad_val)


def _resized(img: Image, size: tuple[int, int] | None, scale: Scale | None, interpolation: str) -> Image:
    if size is not None and scale is not None:
        raise FkitValueError("preprocess takes at most one of size and scale.")
    if scale is not None:
        size = rescale_size((img.shape[1], img.shape[0]), scale)
    return img if size is None else imresize(img, size, interpolation=interpolation)


def _target(size: tuple[int, int], divisor: int | None, shape: tuple[int, int] | None) -> tuple[int, int]:
    if divisor is not None and shape is not None:
        raise FkitValueError("preprocess takes at most one of size_divisor and pad_shape.")
    if divisor is not None:
        whole("preprocess", "size_divisor", divisor, 1)
        return math.ceil(size[0] / divisor) * divisor, math.ceil(size[1] / divisor) * divisor
    if shape is None:
        return size
    high, wide = pair("preprocess", "pad_shape", shape)
    return max(size[0], int(high)), max(size[1], int(wide))


def _turned(img: Image, flip: str | None, to_rgb: bool) -> Image:
    """Flip and swap channels, on bytes."""
    if to_rgb and flip in ("horizontal", "diagonal"):
        # reversing all bytes of a row mirrors it and swaps its channels at once
        rows = np.ascontiguousarray(img).reshape(img.shape[0], -1)
        turned: NDArray[Any] = cv2.flip(rows, flip_code(flip))
        return turned.reshape(img.shape)
    if flip is not None:
        img = cv2.flip(img, flip_code(flip))
    return cv2.cvtColor(img, cv2.COLOR_BGR2RGB) if to_rgb else img


def _tabled(img: Image, table: NDArray[Any], target: tuple[int, int], pad_val: float) -> NDArray[np.float32]:
    high, wide = img.shape[:2]
    if target == (high, wide):
        return cv2.LUT(img, table)  # pyright: ignore[reportReturnType]
    try:
        out = np.empty((*target, 3), np.float32)
    except (MemoryError, ValueError) as cause:
        raise FkitValueError(f"preprocess cannot pad to {target}: {cause}.") from cause
    cv2.LUT(img, table, out[:high, :wide])
    for margin in (out[high:], out[:high, wide:]):
        margin[...] = (pad_val, 0, 0)
    return out
