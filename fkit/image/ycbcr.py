"""The studio-swing YCbCr of Matlab (ITU-R BT.601), in which super-resolution measures; OpenCV's YCrCb is another."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.refuse import Image, form, image, looked_up
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["bgr2ycbcr", "rgb2ycbcr", "ycbcr2bgr", "ycbcr2rgb"]

# Rows: Y, Cb, Cr. Columns: R, G, B in 0..1. (ITU-R BT.601 with 8-bit studio swing; the numbers of Matlab's rgb2ycbcr.)
_FORWARD = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)
# Rows: R, G, B. Columns: Y, Cb, Cr in 0..255; the last number is the offset.
_BACKWARD = (
    (0.00456621, 0.0, 0.00625893, -222.921),
    (0.00456621, -0.00153632, -0.00318811, 135.576),
    (0.00456621, 0.00791071, 0.0, -276.836),
)


def rgb2ycbcr(img: Image, y_only: bool = False) -> Image:
    """RGB to YCbCr, studio swing: ``Y = 16 + 65.481 R + 128.553 G + 24.966 B`` for RGB in 0..1.

    Not OpenCV's YCrCb, which is full range. Numbers as mmcv's ``rgb2ycbcr``.

    Args:
        img: (H, W, 3) uint8 in 0..255 or float32 in 0..1.
        y_only: return the luma alone.

    Returns:
        (H, W, 3), or (H, W) with ``y_only``; uint8 (rounded), or float32 in 0..1.

    Raises:
        FkitTypeError: another dtype.

    Example:
        >>> rgb2ycbcr(np.uint8([[[255, 255, 255], [0, 0, 0]]]))[0].tolist()
        [[235, 128, 128], [16, 128, 128]]
    """
    return _to_ycbcr("rgb2ycbcr", img, y_only, reverse=False)


def bgr2ycbcr(img: Image, y_only: bool = False) -> Image:
    """BGR to YCbCr, studio swing; see ``rgb2ycbcr``.

    Args:
        img: (H, W, 3) uint8 in 0..255 or float32 in 0..1.
        y_only: return the luma alone.

    Returns:
        (H, W, 3), or (H, W) with ``y_only``; uint8 (rounded), or float32 in 0..1.

    Raises:
        FkitTypeError: another dtype.

    Example:
        >>> bgr2ycbcr(np.uint8([[[0, 0, 255]]]), y_only=True).tolist()
        [[81]]
    """
    return _to_ycbcr("bgr2ycbcr", img, y_only, reverse=True)


def ycbcr2rgb(img: Image) -> Image:
    """YCbCr, studio swing, to RGB: the inverse of ``rgb2ycbcr``. Numbers as mmcv's ``ycbcr2rgb``.

    A uint8 colour outside the gamut wraps round modulo 256, as there; convert float32 and cut to keep it in range.

    Args:
        img: (H, W, 3) uint8 in 0..255 or float32 in 0..1.

    Returns:
        (H, W, 3), same dtype.

    Raises:
        FkitTypeError: another dtype.

    Example:
        >>> ycbcr2rgb(np.uint8([[[235, 128, 128]]])).tolist()
        [[[255, 255, 255]]]
    """
    return _from_ycbcr("ycbcr2rgb", img, reverse=False)


def ycbcr2bgr(img: Image) -> Image:
    """YCbCr, studio swing, to BGR; see ``ycbcr2rgb``.

    Args:
        img: (H, W, 3) uint8 in 0..255 or float32 in 0..1.

    Returns:
        (H, W, 3), same dtype.

    Raises:
        FkitTypeError: another dtype.

    Example:
        >>> ycbcr2bgr(np.uint8([[[100, 110, 180]]])).tolist()
        [[[61, 63, 181]]]
    """
    return _from_ycbcr("ycbcr2bgr", img, reverse=True)


def _to_ycbcr(name: str, img: Image, y_only: bool, reverse: bool) -> Image:
    _check_ycbcr(name, img)
    rows = np.array(_FORWARD[:1] if y_only else _FORWARD)
    offset = np.array(_OFFSET[: len(rows)])
    return _affine(name, img, rows[:, ::-1] if reverse else rows, offset, np.float32(1))


def _from_ycbcr(name: str, img: Image, reverse: bool) -> Image:
    _check_ycbcr(name, img)
    table = np.array(_BACKWARD[::-1] if reverse else _BACKWARD)
    return _affine(name, img, table[:, :3] * 255.0, table[:, 3], np.float32(255))


def _check_ycbcr(name: str, img: Image) -> None:
    if image(name, img).dtype.name not in ("uint8", "float32"):
        raise FkitTypeError(f"{name} takes uint8 in 0..255 or float32 in 0..1; got {form(img)}.")
    if img.ndim != 3 or img.shape[2] != 3:
        raise FkitValueError(f"{name} takes three channels; got {form(img)}.")


def _affine(name: str, img: Image, rows: NDArray[Any], offset: NDArray[Any], unit: np.float32) -> Image:
    """``rows @ pixel + offset`` in float64, after the pixel went through float32 as in the reference, which
    decides the ties of uint8."""
    if not img.size:
        return np.empty(img.shape if len(rows) == 3 else img.shape[:2], img.dtype)
    if img.dtype == np.uint8:
        steps = np.arange(256, dtype=np.float32) / np.float32(255) * unit
        wide = looked_up(name, img, steps.astype(np.float64))
    else:
        wide = (img * unit).astype(np.float64)
    out: NDArray[Any] = cv2.transform(wide, np.column_stack([rows, offset]))
    if img.dtype == np.uint8:
        # through int16: a cast of floats outside 0..255 straight to uint8 is undefined in C, and differs by processor
        return np.rint(out, out=out).astype(np.int16).astype(np.uint8)
    return (out / 255.0).astype(np.float32)
