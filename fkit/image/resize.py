"""Sizes and their rules: resize, rescale, to a multiple, like another picture. Sizes are (width, height)."""

import math
from typing import Any, Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import finite, number, pair, whole
from fkit.image.refuse import Image, form, image, is_a, one_of, optional, refusing
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "imrescale",
    "imresize",
    "imresize_like",
    "imresize_to_multiple",
    "interpolation_code",
    "rescale_size",
]

Scale = float | tuple[float, float]

_CV2_CODES = (
    ("nearest", cv2.INTER_NEAREST),
    ("bilinear", cv2.INTER_LINEAR),
    ("bicubic", cv2.INTER_CUBIC),
    ("area", cv2.INTER_AREA),
    ("lanczos", cv2.INTER_LANCZOS4),
)
_PILLOW_NAMES = ("nearest", "bilinear", "bicubic", "box", "lanczos", "hamming")


def interpolation_code(name: str, interpolation: str) -> int:
    """OpenCV's number for the name of an interpolation.

    Args:
        name: the function that asks, for the message.
        interpolation: "nearest", "bilinear", "bicubic", "area" or "lanczos".

    Example:
        >>> interpolation_code("imresize", "bilinear") == cv2.INTER_LINEAR
        True
    """
    for known, code in _CV2_CODES if is_a(interpolation, str) else ():
        if known == interpolation:
            return code
    choices = [known for known, _ in _CV2_CODES]
    raise FkitValueError(
        f"{name}: interpolation = {interpolation!r} is unknown.", value=str(interpolation), choices=choices
    )


@overload
def imresize(
    img: Image,
    size: tuple[int, int],
    return_scale: Literal[False] = False,
    interpolation: str = "bilinear",
    out: Image | None = None,
    backend: str | None = None,
) -> Image: ...
@overload
def imresize(
    img: Image,
    size: tuple[int, int],
    return_scale: Literal[True],
    interpolation: str = "bilinear",
    out: Image | None = None,
    backend: str | None = None,
) -> tuple[Image, float, float]: ...
@overload
def imresize(
    img: Image,
    size: tuple[int, int],
    return_scale: bool,
    interpolation: str = "bilinear",
    out: Image | None = None,
    backend: str | None = None,
) -> Image | tuple[Image, float, float]: ...
def imresize(
    img: Image,
    size: tuple[int, int],
    return_scale: bool = False,
    interpolation: str = "bilinear",
    out: Image | None = None,
    backend: str | None = None,
) -> Image | tuple[Image, float, float]:
    """Resize to a given width and height.

    Args:
        img: (H, W) or (H, W, C), uint8, uint16, int16, float32 or float64. A channel axis of one is dropped.
        size: (width, height) in pixels.
        return_scale: also return the two factors.
        interpolation: "nearest", "bilinear", "bicubic", "area" or "lanczos"; under Pillow "box" and "hamming" in
            place of "area".
        out: a buffer of the result's shape and dtype to write into (cv2 only).
        backend: "cv2" (None means it) or "pillow" (uint8 only).

    Returns:
        (height, width[, C]); with ``return_scale`` the triple (image, width factor, height factor).

    Raises:
        FkitValueError: an unknown interpolation or backend, an empty size, or a dtype that OpenCV refuses.
        FkitTypeError: a size that is no pair of numbers; another dtype than uint8 under Pillow.

    Example:
        >>> resized, w_scale, h_scale = imresize(np.zeros((4, 6, 3), np.uint8), (12, 2), return_scale=True)
        >>> resized.shape, w_scale, h_scale
        ((2, 12, 3), 2.0, 0.5)
    """
    image("imresize", img)
    wide, high = size if _is_size(size) else pair("imresize", "size", size)
    if out is not None and not is_a(out, np.ndarray):
        raise FkitTypeError(f"imresize: out must be an array of the result's form; got {form(out)}.")
    if backend is None or (is_a(backend, str) and backend == "cv2"):
        code = interpolation_code("imresize", interpolation)
        with refusing("imresize", img):
            resized = cv2.resize(img, size, dst=out, interpolation=code)
    else:
        one_of("imresize", "backend", backend, ("cv2", "pillow"))
        resized = _by_pillow(img, size, interpolation)
    if not return_scale:
        return resized
    height, width = img.shape[:2]
    return resized, wide / width, high / height


def imresize_to_multiple(
    img: Image,
    divisor: int | tuple[int, int],
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    keep_ratio: bool = False,
    return_scale: bool = False,
    interpolation: str = "bilinear",
    out: Image | None = None,
    backend: str | None = None,
) -> Image | tuple[Image, float, float]:
    """Resize to a size or by a factor, each side rounded up to a multiple.

    Args:
        img: as ``imresize``.
        divisor: of both sides, or (of width, of height); 1 or more.
        size: (width, height), or one number for both; or
        scale_factor: (width factor, height factor), or one for both: exactly one of the two.
        keep_ratio: fit into ``size`` with the ratio kept, before rounding up; without effect on ``scale_factor``.
        return_scale: also return the two factors.
        interpolation: as ``imresize``.
        out: as ``imresize``.
        backend: as ``imresize``.

    Returns:
        As ``imresize``.

    Raises:
        FkitValueError: both or neither of ``size`` and ``scale_factor``; a divisor below 1; what ``imresize`` refuses.
        FkitTypeError: a divisor that is no whole number, a size or factor that is no number or pair.

    Example:
        >>> imresize_to_multiple(np.zeros((48, 64), np.uint8), 16, size=(50, 30)).shape
        (32, 64)
    """
    if (size is None) == (scale_factor is None):
        raise FkitValueError("imresize_to_multiple takes exactly one of size and scale_factor.")
    height, width = image("imresize_to_multiple", img).shape[:2]
    by_width, by_height = (whole("imresize_to_multiple", "divisor", n, 1) for n in _pair("divisor", divisor))
    if size is None:
        by_x, by_y = (finite("imresize_to_multiple", "scale_factor", n) for n in _pair("scale_factor", scale_factor))
        wide, high = _scaled(width, by_x), _scaled(height, by_y)
    else:
        wide, high = (finite("imresize_to_multiple", "size", n) for n in _pair("size", size))
        if keep_ratio:
            wide, high = rescale_size((width, height), (wide, high))
    target = (math.ceil(wide / by_width) * by_width, math.ceil(high / by_height) * by_height)
    return imresize(img, target, return_scale, interpolation, out, backend)


def imresize_like(
    img: Image,
    dst_img: Image,
    return_scale: bool = False,
    interpolation: str = "bilinear",
    backend: str | None = None,
) -> Image | tuple[Image, float, float]:
    """Resize to the height and width of another picture.

    Args:
        img: as ``imresize``.
        dst_img: (H, W) or (H, W, C); only its shape is read.
        return_scale: also return the two factors.
        interpolation: as ``imresize``.
        backend: as ``imresize``.

    Returns:
        As ``imresize``.

    Example:
        >>> imresize_like(np.zeros((4, 6), np.uint8), np.zeros((2, 3, 3))).shape
        (2, 3)
    """
    height, width = image("imresize_like", dst_img).shape[:2]
    return imresize(img, (width, height), return_scale, interpolation, backend=backend)


@overload
def rescale_size(old_size: tuple[int, int], scale: Scale, return_scale: Literal[False] = False) -> tuple[int, int]: ...
@overload
def rescale_size(
    old_size: tuple[int, int], scale: Scale, return_scale: Literal[True]
) -> tuple[tuple[int, int], float]: ...
@overload
def rescale_size(
    old_size: tuple[int, int], scale: Scale, return_scale: bool
) -> tuple[int, int] | tuple[tuple[int, int], float]: ...
def rescale_size(
    old_size: tuple[int, int], scale: Scale, return_scale: bool = False
) -> tuple[int, int] | tuple[tuple[int, int], float]:
    """The size after scaling with the ratio kept: ``int(side factor + 0.5)``, but at least 1.

    Args:
        old_size: (width, height).
        scale: a factor above 0; or two lengths, of which the larger bounds the longer side and the smaller the
            shorter one, in either order.
        return_scale: also return the factor.

    Returns:
        (width, height), with ``return_scale`` ((width, height), factor).

    Raises:
        FkitValueError: a factor that is not above 0, or lengths that nothing fits into.
        FkitTypeError: neither number nor tuple.

    Example:
        >>> rescale_size((640, 427), (1333, 800), return_scale=True)
        ((1199, 800), 1.873536299765808)
    """
    width, height = old_size if _is_size(old_size) else pair("rescale_size", "old_size", old_size)
    factor = _fitting(width, height, scale) if type(scale) is tuple else _factor(scale)
    size = int(width * factor + 0.5) or int(width > 0), int(height * factor + 0.5) or int(height > 0)
    return (size, factor) if return_scale else size


@overload
def imrescale(
    img: Image,
    scale: Scale,
    return_scale: Literal[False] = False,
    interpolation: str = "bilinear",
    backend: str | None = None,
) -> Image: ...
@overload
def imrescale(
    img: Image,
    scale: Scale,
    return_scale: Literal[True],
    interpolation: str = "bilinear",
    backend: str | None = None,
) -> tuple[Image, float]: ...
@overload
def imrescale(
    img: Image, scale: Scale, return_scale: bool, interpolation: str = "bilinear", backend: str | None = None
) -> Image | tuple[Image, float]: ...
def imrescale(
    img: Image,
    scale: Scale,
    return_scale: bool = False,
    interpolation: str = "bilinear",
    backend: str | None = None,
) -> Image | tuple[Image, float]:
    """Resize with the ratio kept, by the rule of ``rescale_size``.

    Args:
        img: as ``imresize``.
        scale: a factor, or the two lengths that bound the sides.
        return_scale: also return the factor.
        interpolation: as ``imresize``.
        backend: as ``imresize``.

    Returns:
        The picture, or (picture, factor).

    Raises:
        FkitValueError: a factor that is not above 0; what ``imresize`` refuses.
        FkitTypeError: ``scale`` neither number nor tuple.

    Example:
        >>> imrescale(np.zeros((48, 64), np.uint8), (100, 60)).shape
        (60, 80)
    """
    height, width = image("imrescale", img).shape[:2]
    size, factor = rescale_size((width, height), scale, return_scale=True)
    resized = imresize(img, size, interpolation=interpolation, backend=backend)
    return (resized, factor) if return_scale else resized


def _by_pillow(img: Image, size: tuple[int, int], interpolation: str) -> Image:
    pillow = optional("PIL.Image", "backend='pillow'")
    if image("imresize", img).dtype != np.uint8:
        raise FkitTypeError(f"imresize: backend='pillow' takes uint8; got {form(img)}.")
    one_of("imresize", "interpolation under 'pillow'", interpolation, _PILLOW_NAMES)
    method: Any = getattr(pillow.Resampling, interpolation.upper())
    try:
        resized: NDArray[Any] = np.array(pillow.fromarray(img).resize(size, method))
    except (ValueError, TypeError) as cause:
        raise FkitValueError(f"imresize: Pillow refuses {form(img)} to {size}: {cause}.") from cause
    return resized


def _pair(parameter: str, value: Any) -> tuple[float, float]:
    if is_a(value, tuple, list):
        return pair("imresize_to_multiple", parameter, value)
    return number("imresize_to_multiple", parameter, value), value


def _fitting(width: float, height: float, scale: tuple[Any, ...]) -> float:
    if len(scale) == 2 and type(scale[0]) is type(scale[1]) is int:
        low, high = scale if scale[0] < scale[1] else (scale[1], scale[0])
    else:
        for length in scale:
            number("rescale_size", "scale", length)
        low, high = min(scale, default=0), max(scale, default=0)
    short, long = (width, height) if width < height else (height, width)
    if short <= 0 or low <= 0 or low == math.inf:
        raise FkitValueError(f"rescale_size: a size of {width} x {height} cannot be fitted into {scale}.")
    along, across = high / long, low / short
    return along if along < across else across


def _factor(scale: Any) -> float:
    if not is_a(scale, int, float):
        raise FkitTypeError(f"rescale_size: scale must be a number or a tuple; got {scale!r}.")
    if not 0 < scale < math.inf:
        raise FkitValueError(f"rescale_size: a factor must be above 0; got {scale}.")
    return scale


def _is_size(value: Any) -> bool:
    """Whether it is what is expected, at a glance; what is not, is looked at."""
    return type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int


def _scaled(side: float, factor: float) -> int:
    """A side after scaling; of a side that is there at least one pixel is left."""
    return int(side * float(factor) + 0.5) or int(side > 0)
