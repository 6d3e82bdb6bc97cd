"""Histogram methods: equalise, auto-contrast, CLAHE."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import number, pair, whole
from fkit.image.refuse import Image, form, image, is_a, looked_up, refusing
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["auto_contrast", "clahe", "imequalize"]


def imequalize(img: Image) -> Image:
    """Spread each channel's grey levels evenly (Pillow's ``ImageOps.equalize``).

    Args:
        img: (H, W, 3) uint8; a fourth channel is dropped.

    Returns:
        (H, W, 3) uint8.

    Raises:
        FkitTypeError: another form or dtype.

    Example:
        >>> img = np.repeat(np.arange(4, dtype=np.uint8), 510).reshape(40, 51, 1)
        >>> np.unique(imequalize(np.repeat(img, 3, axis=2))).tolist()
        [0, 85, 170, 255]
    """
    img = _three("imequalize", img)
    return _by_table("imequalize", img, [_equalizing(counts) for counts in _histograms("imequalize", img)])


def auto_contrast(img: Image, cutoff: float | tuple[float, float] = 0) -> Image:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255 (Pillow's ``ImageOps.autocontrast``).

    Args:
        img: (H, W, 3) uint8; a fourth channel is dropped.
        cutoff: percent of the pixels to leave out at either end; a pair for the low and the high end.

    Returns:
        (H, W, 3) uint8; a channel with one level stays as it is.

    Raises:
        FkitTypeError: another form or dtype, or a cutoff that is neither number nor pair.
        FkitValueError: the cutoffs leave no grey level.

    Example:
        >>> auto_contrast(np.uint8([[[50] * 3, [100] * 3, [150] * 3]]))[0, :, 0].tolist()
        [0, 127, 255]
    """
    if not is_a(cutoff, int, float, tuple):
        raise FkitTypeError(f"auto_contrast: cutoff must be a number or a pair; got {form(cutoff)}.")
    low, high = pair("auto_contrast", "cutoff", cutoff if isinstance(cutoff, tuple) else (cutoff, cutoff))
    if not (0 <= low <= 100 and 0 <= high <= 100):
        raise FkitValueError(f"auto_contrast: cutoff is in percent, 0..100; got {cutoff}.")
    img = _three("auto_contrast", img)
    return _by_table(
        "auto_contrast", img, [_stretching(counts, low, high) for counts in _histograms("auto_contrast", img)]
    )


def clahe(img: Image, clip_limit: float = 40.0, tile_grid_size: tuple[int, int] = (8, 8)) -> Image:
    """Contrast limited adaptive histogram equalisation (Zuiderveld 1994), by OpenCV.

    Args:
        img: (H, W), 0..255; other dtypes are truncated to uint8.
        clip_limit: where each tile's histogram is cut.
        tile_grid_size: tiles per row and column, two integers.

    Returns:
        (H, W) uint8.

    Raises:
        FkitTypeError: more than one channel, or a grid that is no pair of integers.

    Example:
        >>> clahe(np.arange(64, dtype=np.uint8).reshape(8, 8), tile_grid_size=(1, 1)).max()
        np.uint8(255)
    """
    if image("clahe", img).ndim != 2:
        raise FkitTypeError(f"clahe takes a grey image (H, W); got {form(img)}.")
    limit = float(number("clahe", "clip_limit", clip_limit))
    if not is_a(tile_grid_size, tuple) or len(tile_grid_size) != 2 or not all(is_a(n, int) for n in tile_grid_size):
        raise FkitTypeError(f"clahe: tile_grid_size must be a tuple of two integers; got {tile_grid_size!r}.")
    if not img.size:  # OpenCV would divide it into tiles for ever
        raise FkitValueError(f"clahe: the image is empty, {form(img)}.")
    across, down = (whole("clahe", "tile_grid_size", n, 1) for n in tile_grid_size)
    with refusing("clahe", img):
        return cv2.createCLAHE(limit, (across, down)).apply(img.astype(np.uint8, copy=False))


def _three(name: str, img: Image) -> Image:
    """The first three channels, as mmcv takes them of four."""
    if image(name, img).ndim != 3 or img.shape[2] not in (3, 4) or img.dtype != np.uint8:
        raise FkitTypeError(f"{name} takes (H, W, 3) uint8; got {form(img)}.")
    return img if img.shape[2] == 3 else np.ascontiguousarray(img[..., :3])


def _histograms(name: str, img: Image) -> list[NDArray[np.int64]]:
    """(256,) counts for each of the three channels."""
    with refusing(name, img):
        counts = [cv2.calcHist([img], [channel], None, [256], [0, 256]) for channel in range(3)]
    return [np.rint(count).reshape(-1).astype(np.int64) for count in counts]


def _by_table(name: str, img: Image, tables: list[NDArray[np.uint8]]) -> Image:
    return looked_up(name, img, np.stack(tables, axis=-1)[:, None])


def _equalizing(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    levels = np.arange(256)
    present = counts[counts > 0]
    step = int(present.sum() - present[-1]) // 255 if present.size else 0
    if step == 0:
        return levels.astype(np.uint8)
    below = np.cumsum(counts) - counts
    return np.minimum((below + step // 2) // step, 255).astype(np.uint8)


def _stretching(counts: NDArray[np.int64], low: float, high: float) -> NDArray[np.uint8]:
    total = int(counts.sum())
    levels = np.arange(256)
    cut_low, cut_high = int(total * low // 100), int(total * high // 100)
    if cut_low + cut_high == total:
        raise FkitValueError(f"auto_contrast: cutoff = {(low, high)} leaves no grey level.")
    first = int(np.searchsorted(np.cumsum(counts), cut_low, side="right"))
    last = 255 - int(np.searchsorted(np.cumsum(counts[::-1]), cut_high, side="right"))
    if first >= last:  # one level, or cutoffs that cross: Pillow leaves such a channel as it is
        return levels.astype(np.uint8)
    scale = 255.0 / (last - first)
    return np.clip(levels * scale - first * scale, 0, 255).astype(np.uint8)
