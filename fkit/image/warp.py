"""Flips and affine warps: rotate, shear, translate."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import finite, number, pair
from fkit.image.refuse import Image, form, image, is_a, one_of, refusing
from fkit.image.resize import interpolation_code
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["imflip", "imflip_", "imrotate", "imshear", "imtranslate"]

DIRECTIONS = ("horizontal", "vertical", "diagonal")
_BORDERS = (
    ("constant", cv2.BORDER_CONSTANT),
    ("replicate", cv2.BORDER_REPLICATE),
    ("reflect", cv2.BORDER_REFLECT),
    ("wrap", cv2.BORDER_WRAP),
    ("reflect_101", cv2.BORDER_REFLECT_101),
    ("transparent", cv2.BORDER_TRANSPARENT),
    ("isolated", cv2.BORDER_ISOLATED),
)


def imflip(img: Image, direction: str = "horizontal") -> Image:
    """Mirror a picture.

    Args:
        img: (H, W) or (H, W, C), any dtype.
        direction: "horizontal" (left to right), "vertical" (upside down) or "diagonal" (both).

    Returns:
        A view of ``img``, as numpy's slicing gives it: same shape and dtype, nothing copied.

    Raises:
        FkitValueError: another direction.

    Example:
        >>> imflip(np.array([[1, 2], [3, 4]]), "diagonal").tolist()
        [[4, 3], [2, 1]]
    """
    one_of("imflip", "direction", direction, DIRECTIONS)
    image("imflip", img)
    if direction == "horizontal":
        return img[:, ::-1]
    return img[::-1] if direction == "vertical" else img[::-1, ::-1]


def imflip_(img: Image, direction: str = "horizontal") -> Image:
    """``imflip`` in place: it writes into its argument, as ``imnormalize_`` does and no other function here.

    Args:
        img: (H, W) or (H, W, C), a dtype that OpenCV has; overwritten.
        direction: "horizontal", "vertical" or "diagonal".

    Returns:
        ``img`` itself.

    Raises:
        FkitValueError: another direction, or an array that OpenCV refuses.

    Example:
        >>> img = np.uint8([[1, 2], [3, 4]])
        >>> imflip_(img, "vertical") is img, img.tolist()
        (True, [[3, 4], [1, 2]])
    """
    one_of("imflip_", "direction", direction, DIRECTIONS)
    image("imflip_", img)
    with refusing("imflip_", img):
        return cv2.flip(img, flip_code(direction), img)


def imrotate(
    img: Image,
    angle: float,
    center: tuple[float, float] | None = None,
    scale: float = 1.0,
    border_value: float | tuple[float, ...] = 0,
    interpolation: str = "bilinear",
    auto_bound: bool = False,
    border_mode: str = "constant",
) -> Image:
    """Rotate clockwise about a point.

    Args:
        img: (H, W) or (H, W, C), uint8, uint16, int16, float32 or float64.
        angle: degrees, clockwise.
        center: (x, y) in pixels; the middle of the picture, ((W - 1) / 2, (H - 1) / 2), when None.
        scale: magnification.
        border_value: what fills the outside; OpenCV gives one number to the first channel alone, a tuple to each.
        interpolation: as ``imresize``; "bicubic" and "lanczos" take up to four channels.
        auto_bound: widen the canvas so that the whole picture stays in view.
        border_mode: "constant", "replicate", "reflect", "reflect_101", "wrap", "transparent" or "isolated".

    Returns:
        Same dtype; same shape, or (H', W'[, C]) with ``auto_bound``.

    Raises:
        FkitValueError: ``center`` with ``auto_bound``, an unknown mode, or an array that OpenCV refuses.
        FkitTypeError: a centre that is no tuple.

    Example:
        >>> imrotate(np.array([[1, 2], [3, 4]], np.uint8), 90).tolist()
        [[3, 1], [4, 2]]
    """
    if center is not None and auto_bound:
        raise FkitValueError("imrotate: auto_bound turns about the middle; it conflicts with center.")
    height, width = image("imrotate", img).shape[:2]
    if center is None:
        center = ((width - 1) * 0.5, (height - 1) * 0.5)
    if not is_a(center, tuple):
        raise FkitTypeError(f"imrotate: center must be a tuple (x, y); got {center!r}.")
    pair("imrotate", "center", center)
    finite("imrotate", "angle", angle)
    scale = float(finite("imrotate", "scale", scale))
    for value in border_value if isinstance(border_value, tuple) else (border_value,):
        number("imrotate", "border_value", value, nan=True)
    code, border = interpolation_code("imrotate", interpolation), _border_code(border_mode)
    with refusing("imrotate", img):
        matrix: NDArray[Any] = cv2.getRotationMatrix2D(center, -angle, scale)
        size = (width, height)
        if auto_bound:
            cosine, sine = abs(float(matrix[0, 0])), abs(float(matrix[0, 1]))
            wide, high = height * sine + width * cosine, height * cosine + width * sine
            matrix[:, 2] += (wide - width) * 0.5, (high - height) * 0.5
            size = (round(wide), round(high))
        return cv2.warpAffine(img, matrix, size, flags=code, borderMode=border, borderValue=border_value)  # pyright: ignore[reportArgumentType, reportCallIssue]


def imshear(
    img: Image,
    magnitude: float,
    direction: str = "horizontal",
    border_value: int | tuple[int, ...] = 0,
    interpolation: str = "bilinear",
) -> Image:
    """Shear along one axis: ``x' = x + magnitude y`` or ``y' = y + magnitude x``.

    Args:
        img: (H, W) or (H, W, C), uint8, uint16, int16, float32 or float64.
        magnitude: pixels per pixel.
        direction: "horizontal" or "vertical".
        border_value: what fills the outside: one integer for all channels, or a tuple of C. As in mmcv at most three
            reach OpenCV: a fourth channel is filled with 0.
        interpolation: as ``imresize``.

    Returns:
        Same shape and dtype.

    Raises:
        FkitValueError: an unknown direction, a border value that does not fit, or an array that OpenCV refuses.

    Example:
        >>> imshear(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), 1).tolist()
        [[1, 2, 3], [0, 4, 5]]
    """
    one_of("imshear", "direction", direction, DIRECTIONS[:2])
    finite("imshear", "magnitude", magnitude)
    matrix = [[1, magnitude, 0], [0, 1, 0]] if direction == "horizontal" else [[1, 0, 0], [magnitude, 1, 0]]
    return _affine("imshear", img, matrix, border_value, interpolation)


def imtranslate(
    img: Image,
    offset: float,
    direction: str = "horizontal",
    border_value: int | tuple[int, ...] = 0,
    interpolation: str = "bilinear",
) -> Image:
    """Shift along one axis.

    Args:
        img: (H, W) or (H, W, C), uint8, uint16, int16, float32 or float64.
        offset: pixels, to the right or downwards.
        direction: "horizontal" or "vertical".
        border_value: as ``imshear``.
        interpolation: as ``imresize``.

    Returns:
        Same shape and dtype.

    Raises:
        FkitValueError: an unknown direction, a border value that does not fit, or an array that OpenCV refuses.

    Example:
        >>> imtranslate(np.array([[1, 2, 3]], np.uint8), 1, border_value=9).tolist()
        [[9, 1, 2]]
    """
    one_of("imtranslate", "direction", direction, DIRECTIONS[:2])
    finite("imtranslate", "offset", offset)
    matrix = [[1, 0, offset], [0, 1, 0]] if direction == "horizontal" else [[1, 0, 0], [0, 1, offset]]
    return _affine("imtranslate", img, matrix, border_value, interpolation)


def _affine(name: str, img: Image, matrix: Sequence[Sequence[float]], border_value: Any, interpolation: str) -> Image:
    height, width = image(name, img).shape[:2]
    channels = 1 if img.ndim == 2 else img.shape[2]
    border = (border_value,) * channels if is_a(border_value, int) else border_value
    if not is_a(border, tuple):
        raise FkitValueError(f"{name}: border_value must be an integer or a tuple; got {form(border_value)}.")
    if len(border) != channels:
        raise FkitValueError(f"{name}: border_value has {len(border)} numbers for {channels} channels.")
    code = interpolation_code(name, interpolation)
    with refusing(name, img):
        return cv2.warpAffine(img, np.array(matrix, np.float32), (width, height), flags=code, borderValue=border[:3])


def _border_code(border_mode: str) -> int:
    one_of("imrotate", "border_mode", border_mode, tuple(name for name, _ in _BORDERS))
    return next(code for name, code in _BORDERS if name == border_mode)


def flip_code(direction: str) -> int:
    """OpenCV's number for a direction that was checked."""
    return (1, 0, -1)[DIRECTIONS.index(direction)]
