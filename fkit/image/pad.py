"""Padding."""

import math
from typing import Any

import cv2
import numpy as np

from fkit.image.refuse import Image, form, image, is_a, refusing
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["impad", "impad_to_multiple"]

_MODES = (
    ("constant", cv2.BORDER_CONSTANT),
    ("edge", cv2.BORDER_REPLICATE),
    ("reflect", cv2.BORDER_REFLECT_101),
    ("symmetric", cv2.BORDER_REFLECT),
)

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
        FkitValueError: both or neither of ``shape`` and ``padding``, an unknown mode, lengths that do not fit.
        FkitTypeError: a ``pad_val`` that is neither number nor tuple.

    Example:
        >>> impad(np.uint8([[1, 2]]), padding=(1, 0, 0, 1), pad_val=7).tolist()
        [[7, 1, 2], [7, 7, 7]]
    """
    if (shape is None) == (padding is None):
        raise FkitValueError("impad takes exactly one of shape and padding.")
    _check_value(image("impad", img), pad_val)
    left, top, right, bottom = _sides(img, shape, padding)
    code = _mode_code(padding_mode)
    with refusing("impad", img):
        return cv2.copyMakeBorder(img, top, bottom, left, right, code, value=pad_val)  # pyright: ignore[reportArgumentType, reportCallIssue]


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
    return impad(
        img, shape=(math.ceil(height / divisor) * divisor, math.ceil(width / divisor) * divisor), pad_val=pad_val
    )


def _mode_code(padding_mode: str) -> int:
    for name, code in _MODES:
        if name == padding_mode:
            return code
    choices = [name for name, _ in _MODES]
    raise FkitValueError(
        f"impad: padding_mode = {padding_mode!r} is unknown.", value=str(padding_mode), choices=choices
    )


def _sides(img: Image, shape: Any, padding: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom)."""
    if shape is not None:
        return 0, 0, max(int(shape[1]) - img.shape[1], 0), max(int(shape[0]) - img.shape[0], 0)
    if is_a(padding, int, np.integer):
        return padding, padding, padding, padding
    if is_a(padding, tuple) and len(padding) in (2, 4):
        left, top, right, bottom = padding * (4 // len(padding))
        return left, top, right, bottom
    raise FkitValueError(f"impad: padding must be an integer or a tuple of 2 or 4; got {padding!r}.")


def _check_value(img: Image, pad_val: Any) -> None:
    if is_a(pad_val, tuple):
        channels = 1 if img.ndim == 2 else img.shape[2]
        if len(pad_val) != channels:
            raise FkitValueError(f"impad: pad_val has {len(pad_val)} numbers for {channels} channels.")
    elif not is_a(pad_val, int, float, np.number):
        raise FkitTypeError(f"impad: pad_val must be a number or a tuple; got {form(pad_val)}.")
