"""Padding."""

import math
from typing import Any

import cv2
import numpy as np

from fkit.image.argument import number, pair, whole
from fkit.image.refuse import Image, form, image, is_a, one_of, refused
from fkit.tree.error import FkitValueError

__all__ = ["impad", "impad_to_multiple"]

_NAMES = ("constant", "edge", "reflect", "symmetric")
_CODES = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_REFLECT)

PadValue = float | tuple[float, ...]


def impad(
    img: Image,
    *,
    shape: tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] | None = None,
    pad_val: PadValue = 0,
    padding_mode: str = "constant",
) -> Image:
    """Add rows and columns, up to a shape or by given amounts.

    Args:
        img: (H, W) or (H, W, C), a dtype that OpenCV has. A channel axis of one is dropped.
        shape: (height, width) to reach by padding below and to the right; never crops. Or
        padding: pixels: one number for all sides, (left and right, top and bottom), or (left, top, right, bottom);
            exactly one of the two.
        pad_val: one number, which OpenCV gives to the first channel alone (the others get 0), or C of them in a tuple.
        padding_mode: "constant", "edge" (the last pixel), "reflect" (without the last pixel), "symmetric" (with it).

    Returns:
        Same dtype, the padded shape.

    Raises:
        FkitValueError: both or neither of ``shape`` and ``padding``, an unknown mode, lengths that do not fit, or a
            picture without pixels whose edge is to be continued.
        FkitTypeError: a ``shape``, ``padding`` or ``pad_val`` that is neither number nor tuple of numbers.

    Example:
        >>> impad(np.uint8([[1, 2]]), padding=(1, 0, 0, 1), pad_val=7).tolist()
        [[7, 1, 2], [7, 7, 7]]
    """
    if (shape is None) == (padding is None):
        raise FkitValueError("impad takes exactly one of shape and padding.")
    _check_value(image("impad", img), pad_val)
    left, top, right, bottom = _sides(img, shape, padding)
    code = _mode_code(padding_mode)
    if not img.size and (code != cv2.BORDER_CONSTANT or (img.ndim == 3 and not img.shape[2])):
        raise FkitValueError(  # OpenCV would look for the edge's pixels for ever
            f"impad: padding_mode = {padding_mode!r} continues a picture; this one is empty, {form(img)}."
        )
    try:
        padded: Any = cv2.copyMakeBorder(img, top, bottom, left, right, code, value=pad_val)  # pyright: ignore[reportArgumentType, reportCallIssue]
    except cv2.error as cause:
        raise refused("impad", img, cause) from cause
    if padded is None:  # OpenCV's picture without pixels
        return np.zeros((top + img.shape[0] + bottom, left + img.shape[1] + right, *img.shape[2:]), img.dtype)
    return padded


def impad_to_multiple(img: Image, divisor: int, pad_val: PadValue = 0) -> Image:
    """Pad below and to the right until both sides are multiples.

    Args:
        img: as ``impad``.
        divisor: of height and width.
        pad_val: as ``impad``.

    Returns:
        Same dtype, (H', W'[, C]).

    Example:
        >>> impad_to_multiple(np.zeros((45, 60, 3), np.uint8), 32).shape
        (64, 64, 3)
    """
    height, width = image("impad_to_multiple", img).shape[:2]
    whole("impad_to_multiple", "divisor", divisor, 1)
    return impad(
        img, shape=(math.ceil(height / divisor) * divisor, math.ceil(width / divisor) * divisor), pad_val=pad_val
    )


def _mode_code(padding_mode: Any) -> int:
    one_of("impad", "padding_mode", padding_mode, _NAMES)
    return _CODES[_NAMES.index(padding_mode)]


def _sides(img: Image, shape: Any, padding: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom)."""
    if shape is not None:
        sides = shape[:2] if is_a(shape, tuple, list, np.ndarray) else shape
        plain = type(sides) is tuple and len(sides) == 2 and type(sides[0]) is type(sides[1]) is int
        high, wide = sides if plain else pair("impad", "shape", sides)
        return 0, 0, max(int(wide) - img.shape[1], 0), max(int(high) - img.shape[0], 0)
    if is_a(padding, tuple) and len(padding) in (2, 4):
        left, top, right, bottom = (whole("impad", "padding", side, 0) for side in padding * (4 // len(padding)))
        return left, top, right, bottom
    if not is_a(padding, int, np.integer):
        raise FkitValueError(f"impad: padding must be an integer or a tuple of 2 or 4; got {padding!r}.")
    side = whole("impad", "padding", padding, 0)
    return side, side, side, side


def _check_value(img: Image, pad_val: Any) -> None:
    if isinstance(pad_val, tuple):
        channels = 1 if img.ndim == 2 else img.shape[2]
        if len(pad_val) != channels:
            raise FkitValueError(f"impad: pad_val has {len(pad_val)} numbers for {channels} channels.")
    for value in pad_val if isinstance(pad_val, tuple) else (pad_val,):
        if type(value) is not int:
            number("impad", "pad_val", value, nan=True)
