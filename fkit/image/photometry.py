"""Normalising and its reverse, tables, and the maps of single grey levels."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import array, number, numbers
from fkit.image.refuse import Image, form, image, is_a, looked_up, refusing
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "imdenormalize",
    "iminvert",
    "imnormalize",
    "imnormalize_",
    "lut_transform",
    "posterize",
    "solarize",
]

Numbers = Sequence[float] | NDArray[Any]


def imnormalize(img: Image, mean: Numbers, std: Numbers, to_rgb: bool = True) -> Image:
    """``(x - mean) / std`` per channel, after swapping BGR to RGB where asked.

    uint8 goes through a table of 256 rows, with the same bits as the arithmetic.

    Args:
        img: (H, W, C) or (H, W), any real dtype.
        mean: C numbers, in the order of the result.
        std: C numbers, likewise.
        to_rgb: swap the first and third of three channels first; as in mmcv grey and four channels stay as they are.

    Returns:
        float32, shape of ``img``; ``img`` is left as it is.

    Raises:
        FkitValueError: ``to_rgb`` with two channels or more than four, means that do not fit the channels, or an
            array that OpenCV refuses.

    Example:
        >>> imnormalize(np.uint8([[[10, 20, 30]]]), [30, 20, 0], [1, 1, 2]).tolist()
        [[[0.0, 0.0, 5.0]]]
    """
    image("imnormalize", img)
    if img.dtype != np.uint8:
        return imnormalize_(img.astype(np.float32), mean, std, to_rgb)
    with refusing("imnormalize", img):
        table = normal_table(mean, std, 1 if img.ndim == 2 else img.shape[2])
        swapped = cv2.cvtColor(img, cv2.COLOR_BGR2RGB) if to_rgb and _has_order("imnormalize", img) else img
    return looked_up("imnormalize", swapped, table).reshape(img.shape)


def normal_table(mean: Numbers, std: Numbers, channels: int) -> NDArray[Any]:
    """What ``imnormalize`` makes of each of the 256 grey levels: (256, 1, C) float32.

    Example:
        >>> normal_table([1.0], [2.0], 1)[3].tolist()
        [[1.0]]
    """
    levels = np.repeat(np.arange(256, dtype=np.float32), channels).reshape(256, 1, channels)
    return imnormalize_(levels, mean, std, to_rgb=False).reshape(256, 1, channels)


def imnormalize_(img: Image, mean: Numbers, std: Numbers, to_rgb: bool = True) -> Image:
    """``imnormalize`` in place: one of the two functions here that write into their argument (``imflip_`` is the other).

    Args:
        img: (H, W, C) float32 (float64 without ``to_rgb``); overwritten.
        mean: C numbers, in the order of the result.
        std: C numbers, likewise.
        to_rgb: swap the first and third of three channels first.

    Returns:
        ``img`` itself.

    Raises:
        FkitTypeError: integers, which cannot hold the result.
        FkitValueError: an array that OpenCV refuses.

    Example:
        >>> img = np.full((1, 1, 3), 4, np.float32)
        >>> imnormalize_(img, [1, 2, 3], [1, 1, 1]) is img, img.tolist()
        (True, [[[3.0, 2.0, 1.0]]])
    """
    if not np.issubdtype(image("imnormalize_", img).dtype, np.floating):
        raise FkitTypeError(f"imnormalize_ writes floats into its argument; got {form(img)}.", repair="use imnormalize")
    with refusing("imnormalize_", img):
        if to_rgb and _has_order("imnormalize_", img):
            cv2.cvtColor(img, cv2.COLOR_BGR2RGB, img)
        cv2.subtract(img, _row("imnormalize_", "mean", mean, img), img)
        cv2.multiply(img, 1 / _row("imnormalize_", "std", std, img), img)
    return img


def imdenormalize(img: Image, mean: Numbers, std: Numbers, to_bgr: bool = True) -> Image:
    """``x std + mean`` per channel, then RGB to BGR where asked: the reverse of ``imnormalize``.

    Args:
        img: (H, W, C) or (H, W), float32 or float64.
        mean: C numbers, in the order of ``img``.
        std: C numbers, likewise.
        to_bgr: swap the first and third of three channels afterwards; grey and four channels stay as they are.

    Returns:
        Same dtype and shape (a channel axis of one is dropped).

    Raises:
        FkitTypeError: integers.

    Example:
        >>> imdenormalize(np.float32([[[0, 0, 5]]]), [30, 20, 0], [1, 1, 2]).tolist()
        [[[10.0, 20.0, 30.0]]]
    """
    if not np.issubdtype(image("imdenormalize", img).dtype, np.floating):
        raise FkitTypeError(f"imdenormalize takes normalised floats; got {form(img)}.")
    with refusing("imdenormalize", img):
        swap = to_bgr and _has_order("imdenormalize", img)
        out = cv2.multiply(img, _row("imdenormalize", "std", std, img))
        cv2.add(out, _row("imdenormalize", "mean", mean, img), out)
        return cv2.cvtColor(out, cv2.COLOR_RGB2BGR, out) if swap else out


def iminvert(img: Image) -> Image:
    """``255 - x``.

    Args:
        img: any shape; uint8 or float in 0..255 (uint16 wraps round, as in mmcv).

    Returns:
        Same shape and dtype.

    Example:
        >>> iminvert(np.uint8([[0, 200]])).tolist()
        [[255, 55]]
    """
    if array("iminvert", "img", img).dtype.kind not in "uif" or img.dtype == np.int8:
        raise FkitTypeError(f"iminvert takes numbers that reach 255; got {form(img)}.")
    return cv2.bitwise_not(img).reshape(img.shape) if _is_plain(img) else 255 - img


def solarize(img: Image, thr: float = 128) -> Image:
    """Invert what is at or above a threshold: ``x`` below ``thr``, ``255 - x`` from there.

    Args:
        img: any shape; uint8 or float in 0..255 (uint16 wraps round, as in mmcv).
        thr: the threshold.

    Returns:
        Same shape and dtype.

    Example:
        >>> solarize(np.uint8([[100, 200]])).tolist()
        [[100, 55]]
    """
    number("solarize", "thr", thr)
    if array("solarize", "img", img).dtype == np.int8:
        raise FkitTypeError(f"solarize takes numbers that reach 255; got {form(img)}.")
    if _is_plain(img):
        return looked_up("solarize", img, _solar(np.arange(256, dtype=np.uint8), thr)).reshape(img.shape)
    return _solar(img, thr)


def posterize(img: Image, bits: int) -> Image:
    """Keep the top ``bits`` of the eight bits of each value.

    Args:
        img: any shape, integers.
        bits: 0 to 8.

    Returns:
        Same shape and dtype.

    Raises:
        FkitTypeError: an array of floats.
        FkitValueError: ``bits`` outside 0..8.

    Example:
        >>> posterize(np.uint8([[255, 100]]), 1).tolist()
        [[128, 0]]
    """
    if not np.issubdtype(array("posterize", "img", img).dtype, np.integer):
        raise FkitTypeError(f"posterize takes integers; got {form(img)}.")
    if not is_a(bits, int, np.integer):
        raise FkitTypeError(f"posterize: bits must be an integer; got {bits!r}.")
    if not 0 <= bits <= 8:
        raise FkitValueError(f"posterize: bits must be in 0..8; got {bits}.")
    shift = 8 - int(bits)
    if img.dtype.kind == "u":
        return img & np.array(np.iinfo(img.dtype).max - ((1 << shift) - 1), img.dtype)
    return np.left_shift(np.right_shift(img, shift), shift)


def lut_transform(img: Image, lut_table: NDArray[Any]) -> Image:
    """Look every value up in a table of 256.

    Args:
        img: (H, W) or (H, W, C), whole numbers in 0..255, any dtype.
        lut_table: (256,), any dtype that OpenCV has.

    Returns:
        Shape of ``img``, dtype of ``lut_table``.

    Raises:
        FkitValueError: another length, or values outside 0..255.

    Example:
        >>> lut_transform(np.uint8([[0, 2]]), np.arange(256, dtype=np.uint8)[::-1].copy()).tolist()
        [[255, 253]]
    """
    image("lut_transform", array("lut_transform", "img", img))
    table = array("lut_transform", "lut_table", lut_table)
    if table.shape != (256,):
        raise FkitValueError(f"lut_transform: the table needs 256 entries; got {form(table)}.")
    if img.dtype != np.uint8:
        if img.size and not (img.min() >= 0 and img.max() <= 255):
            raise FkitValueError(f"lut_transform: values must lie in 0..255; got {img.min()} to {img.max()}.")
        img = img.astype(np.uint8)
    return looked_up("lut_transform", img, table)


def _is_plain(img: Image) -> bool:
    """Whether OpenCV's functions on bytes take the array."""
    return img.dtype == np.uint8 and img.ndim in (2, 3) and img.size > 0


def _has_order(name: str, img: Image) -> bool:
    """Whether there are three channels to swap; mmcv leaves grey and four channels as they are."""
    if img.ndim == 3 and img.shape[2] not in (1, 3, 4):
        raise FkitValueError(
            f"{name} swaps the channels of three; got {form(img)}.", repair="pass to_rgb=False or to_bgr=False"
        )
    return img.ndim == 3 and img.shape[2] == 3


def _row(name: str, parameter: str, values: Numbers, img: Image) -> NDArray[np.float64]:
    """(1, C): what OpenCV takes for one number a channel."""
    row = numbers(name, parameter, values)
    channels = 1 if img.ndim == 2 else img.shape[2]
    if len(row) not in (1, channels):
        raise FkitValueError(f"{name}: {parameter} has {len(row)} numbers for {channels} channels.")
    return row.reshape(1, -1)


def _solar(values: Image, thr: float) -> Image:
    return np.where(values < thr, values, 255 - values)
