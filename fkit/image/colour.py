"""Colour spaces, by OpenCV."""

import cv2

from fkit.image.argument import text
from fkit.image.refuse import Image, form, image, refused, refusing
from fkit.tree.error import FkitValueError

__all__ = [
    "bgr2gray",
    "bgr2hls",
    "bgr2hsv",
    "bgr2rgb",
    "gray2bgr",
    "gray2rgb",
    "hls2bgr",
    "hsv2bgr",
    "imconvert",
    "rgb2bgr",
    "rgb2gray",
]


def imconvert(img: Image, src: str, dst: str) -> Image:
    """Convert between two colour spaces that OpenCV names, letters' case aside.

    Args:
        img: (H, W, C) or (H, W), uint8 in 0..255 or float32 in 0..1 (some pairs take uint16 too).
        src: "bgr", "rgb", "bgra", "hsv", "lab", "luv", ...
        dst: likewise.

    Returns:
        The dtype of ``img``; a hue is 0..179 in uint8 and 0..360 in float32.

    Raises:
        FkitValueError: OpenCV has no such pair, or refuses the array.

    Example:
        >>> import numpy as np
        >>> imconvert(np.uint8([[[255, 0, 0]]]), "bgr", "hsv").tolist()
        [[[120, 255, 255]]]
    """
    name = f"COLOR_{text('imconvert', 'src', src).upper()}2{text('imconvert', 'dst', dst).upper()}"
    code = getattr(cv2, name, None)
    if code is None:
        pairs = sorted(word[6:] for word in dir(cv2) if word.startswith("COLOR_") and "2" in word and word.isupper())
        wanted = f"{src.upper()}2{dst.upper()}"
        raise FkitValueError(f"imconvert: OpenCV has no {wanted}.", value=wanted, choices=pairs, more="dir(cv2)")
    with refusing("imconvert", image("imconvert", img)):
        return cv2.cvtColor(img, code)


def bgr2gray(img: Image, keepdim: bool = False) -> Image:
    """BGR to grey: ``0.299 R + 0.587 G + 0.114 B``.

    Args:
        img: (H, W, 3) uint8, uint16 or float32.
        keepdim: keep a channel axis of one.

    Returns:
        (H, W), or (H, W, 1) with ``keepdim``; same dtype and range.

    Example:
        >>> import numpy as np
        >>> bgr2gray(np.uint8([[[0, 0, 255]]]), keepdim=True).tolist()
        [[[76]]]
    """
    return _gray("bgr2gray", img, cv2.COLOR_BGR2GRAY, keepdim)


def rgb2gray(img: Image, keepdim: bool = False) -> Image:
    """RGB to grey: ``0.299 R + 0.587 G + 0.114 B``.

    Args:
        img: (H, W, 3) uint8, uint16 or float32.
        keepdim: keep a channel axis of one.

    Returns:
        (H, W), or (H, W, 1) with ``keepdim``; same dtype and range.

    Example:
        >>> import numpy as np
        >>> rgb2gray(np.uint8([[[255, 0, 0]]])).tolist()
        [[76]]
    """
    return _gray("rgb2gray", img, cv2.COLOR_RGB2GRAY, keepdim)


def gray2bgr(img: Image) -> Image:
    """Grey to three equal channels.

    Args:
        img: (H, W) or (H, W, 1), uint8, uint16 or float32.

    Returns:
        (H, W, 3), same dtype and range.

    Example:
        >>> import numpy as np
        >>> gray2bgr(np.uint8([[7]])).tolist()
        [[[7, 7, 7]]]
    """
    return _spread("gray2bgr", img, cv2.COLOR_GRAY2BGR)


def gray2rgb(img: Image) -> Image:
    """Grey to three equal channels (the same numbers as ``gray2bgr``).

    Args:
        img: (H, W) or (H, W, 1), uint8, uint16 or float32.

    Returns:
        (H, W, 3), same dtype and range.

    Example:
        >>> import numpy as np
        >>> gray2rgb(np.uint8([[7]])).shape
        (1, 1, 3)
    """
    return _spread("gray2rgb", img, cv2.COLOR_GRAY2RGB)


def bgr2rgb(img: Image) -> Image:
    """Swap the first and third channel; a fourth is dropped, a single one tripled.

    Args:
        img: (H, W, 3), (H, W, 4), (H, W, 1) or (H, W), uint8, uint16 or float32.

    Returns:
        (H, W, 3), same dtype.

    Example:
        >>> import numpy as np
        >>> bgr2rgb(np.uint8([[[1, 2, 3]]])).tolist()
        [[[3, 2, 1]]]
    """
    return _swapped("bgr2rgb", img)


def rgb2bgr(img: Image) -> Image:
    """Swap the first and third channel; a fourth is dropped, a single one tripled.

    Args:
        img: (H, W, 3), (H, W, 4), (H, W, 1) or (H, W), uint8, uint16 or float32.

    Returns:
        (H, W, 3), same dtype.

    Example:
        >>> import numpy as np
        >>> rgb2bgr(np.uint8([[[1, 2, 3]]])).tolist()
        [[[3, 2, 1]]]
    """
    return _swapped("rgb2bgr", img)


def bgr2hsv(img: Image) -> Image:
    """BGR to hue, saturation, value.

    Args:
        img: (H, W, 3) uint8, or float32 in 0..1.

    Returns:
        (H, W, 3): uint8 with hue 0..179, or float32 with hue 0..360 and the others 0..1.

    Example:
        >>> import numpy as np
        >>> bgr2hsv(np.uint8([[[0, 255, 0]]])).tolist()
        [[[60, 255, 255]]]
    """
    return _convert("bgr2hsv", img, cv2.COLOR_BGR2HSV)


def hsv2bgr(img: Image) -> Image:
    """Hue, saturation, value to BGR.

    Args:
        img: (H, W, 3): uint8 with hue 0..179 (more is taken modulo 180), or float32 with hue 0..360.

    Returns:
        (H, W, 3), same dtype.

    Example:
        >>> import numpy as np
        >>> hsv2bgr(np.uint8([[[60, 255, 255]]])).tolist()
        [[[0, 255, 0]]]
    """
    return _convert("hsv2bgr", img, cv2.COLOR_HSV2BGR)


def bgr2hls(img: Image) -> Image:
    """BGR to hue, lightness, saturation.

    Args:
        img: (H, W, 3) uint8, or float32 in 0..1.

    Returns:
        (H, W, 3): uint8 with hue 0..179, or float32 with hue 0..360 and the others 0..1.

    Example:
        >>> import numpy as np
        >>> bgr2hls(np.uint8([[[0, 255, 0]]])).tolist()
        [[[60, 128, 255]]]
    """
    return _convert("bgr2hls", img, cv2.COLOR_BGR2HLS)


def hls2bgr(img: Image) -> Image:
    """Hue, lightness, saturation to BGR.

    Args:
        img: (H, W, 3): uint8 with hue 0..179, or float32 with hue 0..360.

    Returns:
        (H, W, 3), same dtype.

    Example:
        >>> import numpy as np
        >>> hls2bgr(np.uint8([[[60, 128, 255]]])).tolist()
        [[[1, 255, 1]]]
    """
    return _convert("hls2bgr", img, cv2.COLOR_HLS2BGR)


def _convert(name: str, img: Image, code: int) -> Image:
    # OpenCV 5 takes a grey image for a colour one here and there, OpenCV 4 never does
    if image(name, img).ndim != 3 or img.shape[2] not in (3, 4):
        raise FkitValueError(f"{name} takes three or four channels; got {form(img)}.")
    try:
        return cv2.cvtColor(img, code)
    except cv2.error as cause:
        raise refused(name, img, cause) from cause


def _swapped(name: str, img: Image) -> Image:
    grey = image(name, img).ndim == 2 or img.shape[2] == 1
    return _spread(name, img, cv2.COLOR_GRAY2BGR) if grey else _convert(name, img, cv2.COLOR_BGR2RGB)


def _spread(name: str, img: Image, code: int) -> Image:
    try:
        return cv2.cvtColor(image(name, img), code)
    except cv2.error as cause:
        raise refused(name, img, cause) from cause


def _gray(name: str, img: Image, code: int, keepdim: bool) -> Image:
    gray = _convert(name, img, code)
    return gray[..., None] if keepdim else gray
