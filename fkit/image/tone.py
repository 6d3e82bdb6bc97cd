"""Tone and colour balance: brightness, contrast, sharpness, saturation, hue, histogram methods, lighting noise."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import array, generator, number, numbers, whole
from fkit.image.colour import bgr2gray, bgr2rgb, gray2bgr, rgb2bgr
from fkit.image.refuse import Image, form, image, is_a, looked_up, one_of, optional, refusing
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "adjust_brightness",
    "adjust_color",
    "adjust_contrast",
    "adjust_hue",
    "adjust_lighting",
    "adjust_sharpness",
    "draw_lighting",
    "light",
]

_BACKENDS = ("cv2", "pillow")
# Pillow's SMOOTH filter, on which its sharpness is defined
_SMOOTH = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))


def adjust_color(
    img: Image, alpha: float = 1, beta: float | None = None, gamma: float = 0, backend: str | None = None
) -> Image:
    """Saturation: ``alpha x + beta gray(x) + gamma``, cut to 0..255.

    Args:
        img: (H, W, 3) BGR, uint8 or float32 in 0..255.
        alpha: weight of the picture.
        beta: weight of its grey version; ``1 - alpha`` when None.
        gamma: added to every value.
        backend: "cv2" (None means it), or "pillow" (its ``ImageEnhance.Color``, which takes ``alpha`` alone).

    Returns:
        Same shape and dtype.

    Raises:
        FkitValueError: an unknown backend, or an array that OpenCV refuses.

    Example:
        >>> adjust_color(np.uint8([[[0, 0, 255]]]), alpha=0).tolist()
        [[[76, 76, 76]]]
    """
    image("adjust_color", img)
    if _backend("adjust_color", backend) == "pillow":
        if beta is not None or gamma:
            raise FkitValueError("adjust_color: backend='pillow' takes alpha alone.", repair="leave out beta and gamma")
        return _enhanced("adjust_color", "Color", img, alpha)
    number("adjust_color", "alpha", alpha)
    number("adjust_color", "gamma", gamma)
    if beta is not None:
        number("adjust_color", "beta", beta)
    with refusing("adjust_color", img):
        gray = gray2bgr(bgr2gray(img))
        out = cv2.addWeighted(img, alpha, gray, 1 - alpha if beta is None else beta, gamma)
    if img.dtype == np.uint8:
        return out
    return np.clip(out, 0, 255, out=out).astype(img.dtype, copy=False)


def adjust_brightness(img: Image, factor: float = 1.0, backend: str | None = None) -> Image:
    """Blend with black: ``factor x``, cut to 0..255 and, for integers, truncated.

    Args:
        img: (H, W, 3) or (H, W), uint8 or float32 in 0..255.
        factor: 0 gives black, 1 the picture, more is brighter.
        backend: "cv2" (None means it) or "pillow".

    Returns:
        Same shape and dtype.

    Raises:
        FkitValueError: an unknown backend, or an array that OpenCV refuses.

    Example:
        >>> adjust_brightness(np.uint8([[100, 200]]), 1.5).tolist()
        [[150, 255]]
    """
    image("adjust_brightness", img)
    if _backend("adjust_brightness", backend) == "pillow":
        return _enhanced("adjust_brightness", "Brightness", img, factor)
    return _blend_with_level("adjust_brightness", img, factor, 0.0)


def adjust_contrast(img: Image, factor: float = 1.0, backend: str | None = None) -> Image:
    """Blend with the rounded mean grey level: ``factor x + (1 - factor) mean``, cut to 0..255.

    Args:
        img: (H, W, 3) BGR, uint8 or float32 in 0..255.
        factor: 0 gives a grey field, 1 the picture, more is stronger.
        backend: "cv2" (None means it) or "pillow".

    Returns:
        Same shape and dtype.

    Raises:
        FkitValueError: an unknown backend, or an array that OpenCV refuses.

    Example:
        >>> adjust_contrast(np.uint8([[[50, 50, 50], [150, 150, 150]]]), 2.0)[0, :, 0].tolist()
        [0, 200]
    """
    image("adjust_contrast", img)
    if _backend("adjust_contrast", backend) == "pillow":
        return _enhanced("adjust_contrast", "Contrast", img, factor)
    if img.ndim != 3 or img.shape[2] != 3:
        raise FkitValueError(f"adjust_contrast takes three channels; got {form(img)}.")
    gray = bgr2gray(img)
    # mmcv counts the levels of 0..255 only, but sums them all
    counted = gray.size if gray.dtype == np.uint8 else int(np.count_nonzero((gray >= 0) & (gray <= 256)))
    if counted == 0:
        raise FkitValueError(f"adjust_contrast: no grey level of this image ({form(img)}) lies in 0..255.")
    return _blend_with_level("adjust_contrast", img, factor, float(round(float(np.sum(gray) / counted))))


def adjust_sharpness(img: Image, factor: float = 1.0, kernel: NDArray[Any] | None = None) -> Image:
    """Blend with a smoothed version: ``factor x + (1 - factor) smooth(x)``, cut to 0..255.

    Args:
        img: (H, W, C) or (H, W), uint8 or float32 in 0..255.
        factor: 0 gives the smoothed picture, 1 the picture, more is sharper.
        kernel: (h, w) filter; Pillow's SMOOTH (ones, 5 in the middle, over 13) when None.

    Returns:
        Same shape and dtype.

    Raises:
        FkitTypeError: a kernel that is no array of two axes.

    Example:
        >>> adjust_sharpness(np.full((3, 3), 7, np.uint8), 2.0).tolist()
        [[7, 7, 7], [7, 7, 7], [7, 7, 7]]
    """
    filter2 = np.array(_SMOOTH) / 13 if kernel is None else kernel
    if not is_a(filter2, np.ndarray) or filter2.ndim != 2:
        raise FkitTypeError(f"adjust_sharpness: kernel must be an array (h, w); got {form(filter2)}.")
    image("adjust_sharpness", img)
    number("adjust_sharpness", "factor", factor)
    with refusing("adjust_sharpness", img):
        smooth = cv2.filter2D(img, -1, filter2)
        if img.dtype == np.float64:  # blended in float32 too, as mmcv does
            img, smooth = img.astype(np.float32), smooth.astype(np.float32)
            return _cut(cv2.addWeighted(img, factor, smooth, 1 - factor, 0), np.dtype(np.float64))
        out = cv2.addWeighted(img, factor, smooth, 1 - factor, 0, dtype=cv2.CV_32F)
    return _cut(out, img.dtype)


def adjust_hue(img: Image, hue_factor: float, backend: str | None = None) -> Image:
    """Turn the hue: in HSV with a hue of 0..255, add ``int(255 hue_factor)`` modulo 256.

    Args:
        img: (H, W, 3) BGR, 0..255; floats are truncated to uint8.
        hue_factor: -0.5 to 0.5, in turns.
        backend: "cv2" (None means it) or "pillow" (uint8 only).

    Returns:
        Same shape and dtype.

    Raises:
        FkitValueError: a factor outside its range, an unknown backend, or an array that OpenCV refuses.
        FkitTypeError: no array.

    Example:
        >>> adjust_hue(np.uint8([[[0, 0, 255]]]), 0.5).tolist()
        [[[252, 255, 0]]]
    """
    if not -0.5 <= number("adjust_hue", "hue_factor", hue_factor) <= 0.5:
        raise FkitValueError(f"adjust_hue: hue_factor must be in -0.5..0.5; got {hue_factor}.")
    image("adjust_hue", img)
    shift = int(hue_factor * 255) % 256
    if _backend("adjust_hue", backend) == "pillow":
        return _hue_by_pillow(img, shift)
    with refusing("adjust_hue", img):
        hsv: NDArray[Any] = cv2.cvtColor(img.astype(np.uint8, copy=False), cv2.COLOR_BGR2HSV_FULL)
        hsv[..., 0] += np.uint8(shift)  # wraps round, as hues do
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL).astype(img.dtype, copy=False)


def adjust_lighting(
    img: Image,
    eigval: NDArray[Any],
    eigvec: NDArray[Any],
    alphastd: float = 0.1,
    to_rgb: bool = True,
    *,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """AlexNet's lighting noise (Krizhevsky et al. 2012, section 4.1): add ``sum_k a_k eigval_k eigvec_k``, a_k normal.

    Args:
        img: (H, W, 3).
        eigval: (K,) eigenvalues of the colours' covariance.
        eigvec: (3, K) eigenvectors, in the channel order of the result.
        alphastd: standard deviation of the draws, a float.
        to_rgb: swap BGR to RGB first.
        rng: where the K draws come from.

    Returns:
        (H, W, 3) float64, not cut.

    Raises:
        FkitTypeError: eigenvalues or eigenvectors that are no arrays, or a whole number as ``alphastd``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> adjust_lighting(np.zeros((1, 1, 3), np.uint8), np.ones(3), np.eye(3), rng=rng).round(3).tolist()
        [[[0.013, -0.013, 0.064]]]
    """
    alpha = draw_lighting(rng, array("adjust_lighting", "eigval", eigval).size, alphastd)
    return light(img, eigval, eigvec, alpha, to_rgb)


def draw_lighting(rng: np.random.Generator, components: int, alphastd: float = 0.1) -> NDArray[np.float64]:
    """The draws of ``adjust_lighting``: (components,) float64, normal with deviation ``alphastd``.

    Example:
        >>> draw_lighting(np.random.default_rng(0), 3).shape
        (3,)
    """
    if not is_a(alphastd, float):
        raise FkitTypeError(f"adjust_lighting: alphastd must be a float; got {alphastd!r}.")
    if not alphastd >= 0:
        raise FkitValueError(f"adjust_lighting: alphastd must be 0 or more; got {alphastd}.")
    count = whole("draw_lighting", "components", components, 0)
    return generator("adjust_lighting", rng).normal(0, alphastd, count)


def light(
    img: Image, eigval: NDArray[Any], eigvec: NDArray[Any], alpha: Sequence[float] | NDArray[Any], to_rgb: bool = True
) -> NDArray[np.float64]:
    """``adjust_lighting`` with its draws given.

    Args:
        img: (H, W, 3).
        eigval: (K,) eigenvalues.
        eigvec: (3, K) eigenvectors, in the channel order of the result.
        alpha: K draws.
        to_rgb: swap BGR to RGB first.

    Returns:
        (H, W, 3) float64, not cut.

    Raises:
        FkitTypeError: eigenvalues or eigenvectors that are no arrays.
        FkitValueError: shapes that do not fit.

    Example:
        >>> light(np.zeros((1, 1, 3), np.uint8), np.ones(3), np.eye(3), [1, 2, 3]).tolist()
        [[[1.0, 2.0, 3.0]]]
    """
    array("adjust_lighting", "eigval", eigval)
    array("adjust_lighting", "eigvec", eigvec)
    draws = numbers("adjust_lighting", "alpha", alpha)
    if eigval.ndim != 1 or eigvec.shape != (3, len(eigval)) or len(draws) != len(eigval):
        raise FkitValueError(
            f"adjust_lighting: eigval (K,) and eigvec (3, K) do not fit: {form(eigval)}, {form(eigvec)}, {len(draws)} draws."
        )
    if image("adjust_lighting", array("adjust_lighting", "img", img)).ndim != 3 or img.shape[2] != 3:
        raise FkitValueError(f"adjust_lighting takes three channels; got {form(img)}.")
    shift = (eigvec * (draws * eigval)).sum(axis=1)
    return (bgr2rgb(img) if to_rgb else img).astype(np.float64) + shift


def _backend(name: str, backend: str | None) -> str:
    one_of(name, "backend", "cv2" if backend is None else backend, _BACKENDS)
    return "cv2" if backend is None else backend


def _enhanced(name: str, kind: str, img: Image, factor: float) -> Image:
    enhance = optional("PIL.ImageEnhance", "backend='pillow'")
    number(name, "factor", factor)
    return rgb2bgr(np.array(getattr(enhance, kind)(_picture(name, img)).enhance(factor)))


def _hue_by_pillow(img: Image, shift: int) -> Image:
    pillow = optional("PIL.Image", "backend='pillow'")
    hue, saturation, value = _picture("adjust_hue", img).convert("HSV").split()
    turned = hue.point([(level + shift) % 256 for level in range(256)])
    return rgb2bgr(np.array(pillow.merge("HSV", (turned, saturation, value)).convert("RGB")))


def _picture(name: str, img: Image) -> Any:
    """Pillow's picture of a BGR image."""
    if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3 or not img.size:
        raise FkitTypeError(f"{name}: backend='pillow' takes (H, W, 3) uint8; got {form(img)}.")
    return optional("PIL.Image", "backend='pillow'").fromarray(bgr2rgb(img))


def _blend_with_level(name: str, img: Image, factor: float, level: float) -> Image:
    """``factor x + (1 - factor) level`` in float32, cut; uint8 by a table, with the same bits."""
    number(name, "factor", factor)
    if not array(name, "img", img).size:
        raise FkitValueError(f"{name}: the image is empty, {form(img)}.")
    values = np.arange(256, dtype=np.float32) if img.dtype == np.uint8 else img.astype(np.float32)
    with refusing(name, img):
        out = _cut(cv2.addWeighted(values, factor, np.full_like(values, level), 1 - factor, 0), img.dtype)
    return looked_up(name, img, out) if img.dtype == np.uint8 else out


def _cut(out: NDArray[Any], dtype: np.dtype[Any]) -> Image:
    return np.clip(out, 0, 255, out=out).astype(dtype, copy=False)
