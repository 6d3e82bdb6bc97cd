"""Boxes on pictures, the patches they cut out, and cutout."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import array, finite, generator, number, numbers, pair, whole
from fkit.image.refuse import Image, form, image, is_a
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["bbox_clip", "bbox_scaling", "cutout", "cutout_at", "draw_cutout", "imcrop"]


_LARGEST = 2**31 - 1  # px: boxes are counted in 32 bits


def bbox_clip(bboxes: NDArray[Any], img_shape: Sequence[int]) -> NDArray[Any]:
    """Bring boxes inside a picture: x into 0..W-1, y into 0..H-1.

    Args:
        bboxes: (..., 4 K), x y x y ..., pixels, any real dtype.
        img_shape: (H, W) or (H, W, C).

    Returns:
        Same shape and dtype.

    Raises:
        FkitTypeError: boxes that are no array of numbers, or a shape that is none.
        FkitValueError: a last axis that is no multiple of 4.

    Example:
        >>> bbox_clip(np.array([[-5, 3, 99, 7]]), (6, 50)).tolist()
        [[0, 3, 49, 5]]
    """
    plain = type(bboxes) is np.ndarray and bboxes.dtype.kind in "fi" and bboxes.dtype.itemsize >= 4
    if not plain:
        array("bbox_clip", "bboxes", bboxes)
    if not bboxes.ndim or bboxes.shape[-1] % 4:
        raise FkitValueError(f"bbox_clip takes boxes of (..., 4 K); got {form(bboxes)}.")
    height, width = _sides("bbox_clip", img_shape)
    if not plain:  # the dtype may hold neither -1 nor numbers as large as the picture
        if bboxes.dtype.kind == "b":
            raise FkitTypeError(f"bbox_clip takes boxes of numbers; got {form(bboxes)}.")
        top = int((np.finfo if bboxes.dtype.kind == "f" else np.iinfo)(bboxes.dtype).max) + 1
        height, width = max(min(height, top), 1), max(min(width, top), 1)
    high = np.empty(bboxes.shape[-1], bboxes.dtype)
    high[0::2], high[1::2] = width - 1, height - 1
    clipped: NDArray[Any] = np.minimum(bboxes, high)
    return np.maximum(clipped, 0, out=clipped)  # in place, for speed


def bbox_scaling(bboxes: NDArray[Any], scale: float, clip_shape: Sequence[int] | None = None) -> NDArray[Any]:
    """Scale boxes about their centres; the width counts both end pixels, ``x2 - x1 + 1``.

    Args:
        bboxes: (..., 4), x1 y1 x2 y2, pixels.
        scale: factor of both sides.
        clip_shape: (H, W) to clip to, or None.

    Returns:
        Same shape; the dtype of ``bboxes``, or float64 for integers that were scaled.

    Raises:
        FkitTypeError: boxes that are no array of numbers, or a scale that is no number.
        FkitValueError: a last axis that is not 4.

    Example:
        >>> bbox_scaling(np.array([10.0, 10.0, 19.0, 29.0]), 2).tolist()
        [5.0, 0.0, 24.0, 39.0]
    """
    if not array("bbox_scaling", "bboxes", bboxes).ndim or bboxes.shape[-1] != 4:
        raise FkitValueError(f"bbox_scaling takes boxes of (..., 4); got {form(bboxes)}.")
    if number("bbox_scaling", "scale", scale) == 1:
        scaled = bboxes.copy()
    else:
        bboxes = bboxes if bboxes.dtype.kind == "f" else bboxes.astype(np.float64)
        near, far = bboxes[..., :2], bboxes[..., 2:]
        grown = (far - near + 1) * (scale - 1) * 0.5
        scaled = np.empty(bboxes.shape, grown.dtype)
        np.subtract(near, grown, out=scaled[..., :2])
        np.add(far, grown, out=scaled[..., 2:])
    return scaled if clip_shape is None else bbox_clip(scaled, clip_shape)


def imcrop(
    img: Image, bboxes: NDArray[Any], scale: float = 1.0, pad_fill: float | Sequence[float] | None = None
) -> Image | list[Image]:
    """Cut patches out; both corners belong to a patch.

    Args:
        img: (H, W) or (H, W, C), any dtype.
        bboxes: (4,) or (N, 4), x1 y1 x2 y2, pixels; truncated to integers after scaling.
        scale: factor of the boxes about their centres.
        pad_fill: None cuts a patch at the picture's edge; a number, or C of them, fills what lies outside.

    Returns:
        One patch for (4,), a list of N for (N, 4). Without ``pad_fill`` they are views of ``img``.

    Raises:
        FkitTypeError: boxes that are no array of numbers.
        FkitValueError: as many fill values as there are not channels, boxes of another shape, a box that is not
            finite, or one whose second corner lies before the first.

    Example:
        >>> img = np.arange(12).reshape(3, 4)
        >>> imcrop(img, np.array([1, 1, 2, 9])).tolist()
        [[5, 6], [9, 10]]
    """
    channels = 1 if image("imcrop", img).ndim == 2 else img.shape[2]
    fill = _filling(pad_fill, channels)
    if pad_fill is not None and len(fill) != channels:
        raise FkitValueError(f"imcrop: pad_fill has {len(fill)} numbers for {channels} channels.")
    if pad_fill is not None and img.ndim == 3 and channels == 1:
        raise FkitValueError(
            "imcrop: pad_fill takes (H, W) or several channels, not (H, W, 1).", repair="pass img[..., 0]"
        )
    boxes = bboxes[None] if array("imcrop", "bboxes", bboxes).ndim == 1 else bboxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise FkitValueError(f"imcrop takes boxes of (4,) or (N, 4); got {form(bboxes)}.")
    scaled = _pixels(bbox_scaling(boxes, scale))
    inside = bbox_clip(scaled, img.shape)
    patches: list[Image] = []
    for wanted, (x1, y1, x2, y2) in zip(scaled.tolist(), inside.tolist(), strict=True):
        patch = img[y1 : y2 + 1, x1 : x2 + 1]
        patches.append(patch if pad_fill is None else _laid_on(patch, wanted, fill, img.shape))
    return patches[0] if bboxes.ndim == 1 else patches


def cutout(
    img: Image, shape: int | tuple[int, int], pad_val: float | tuple[float, ...] = 0, *, rng: np.random.Generator
) -> Image:
    """Fill a rectangle about a random point (DeVries and Taylor 2017).

    Args:
        img: (H, W) or (H, W, C), any dtype.
        shape: (height, width) of the rectangle, or one number for both; what lies outside the picture is lost.
        pad_val: one number, or C of them in a tuple.
        rng: where the two draws come from.

    Returns:
        A copy, same shape and dtype.

    Raises:
        FkitTypeError: a shape or fill that is neither number nor tuple.
        FkitValueError: as many fill values as there are not channels.

    Example:
        >>> int((cutout(np.ones((9, 9)), 3, rng=np.random.default_rng(0)) == 0).sum())
        9
    """
    center = draw_cutout(generator("cutout", rng), image("cutout", img).shape)
    return cutout_at(img, shape, center, pad_val)


def draw_cutout(rng: np.random.Generator, img_shape: Sequence[int]) -> tuple[float, float]:
    """The draws of ``cutout``: a point (y, x), uniform over the picture.

    Example:
        >>> y, x = draw_cutout(np.random.default_rng(0), (10, 20))
        >>> 0 <= y < 10 and 0 <= x < 20
        True
    """
    height, width = _sides("draw_cutout", img_shape)
    rng = generator("draw_cutout", rng)
    return float(rng.uniform(0, height)), float(rng.uniform(0, width))


def cutout_at(
    img: Image,
    shape: int | tuple[int, int],
    center: tuple[float, float],
    pad_val: float | tuple[float, ...] = 0,
) -> Image:
    """``cutout`` with its draws given.

    Args:
        img: (H, W) or (H, W, C), any dtype.
        shape: (height, width) of the rectangle, or one number for both.
        center: (y, x).
        pad_val: one number, or C of them in a tuple.

    Returns:
        A copy, same shape and dtype.

    Raises:
        FkitTypeError: a shape or fill that is neither number nor tuple.
        FkitValueError: as many fill values as there are not channels.

    Example:
        >>> cutout_at(np.ones((2, 4), int), (9, 2), (1.0, 2.0)).tolist()
        [[1, 0, 0, 1], [1, 0, 0, 1]]
    """
    channels = 1 if image("cutout", img).ndim == 2 else img.shape[2]
    size = (shape, shape) if isinstance(shape, int) else shape
    if not is_a(size, tuple) or len(size) != 2:
        raise FkitTypeError(f"cutout: shape must be an integer or a tuple of two; got {shape!r}.")
    if not is_a(pad_val, int, float, tuple):
        raise FkitTypeError(f"cutout: pad_val must be a number or a tuple; got {pad_val!r}.")
    for value in pad_val if isinstance(pad_val, tuple) else (pad_val,):
        number("cutout", "pad_val", value, nan=True)
    if isinstance(pad_val, tuple) and len(pad_val) != channels:
        raise FkitValueError(f"cutout: pad_val has {len(pad_val)} numbers for {channels} channels.")
    height, width = img.shape[:2]
    high, wide = (int(finite("cutout", "shape", side)) for side in size)
    y, x = pair("cutout", "center", center)
    top, left = int(max(0, y - high / 2)), int(max(0, x - wide / 2))
    out = img.copy()
    try:
        out[top : min(height, top + high), left : min(width, left + wide)] = pad_val
    except (OverflowError, ValueError) as cause:
        raise FkitValueError(f"cutout: pad_val = {pad_val} does not fit {form(img)}.") from cause
    return out


def _laid_on(patch: Image, wanted: Sequence[int], fill: tuple[float, ...], size: tuple[int, ...]) -> Image:
    """The patch of a picture of ``size`` on a canvas of the wanted box's size."""
    x1, y1, x2, y2 = wanted
    left, top = max(0, -x1), max(0, -y1)
    try:
        canvas = np.empty((y2 - y1 + 1, x2 - x1 + 1, *patch.shape[2:]), patch.dtype)
        canvas[...] = np.array(fill if patch.ndim == 3 else fill[0], patch.dtype)
    except (OverflowError, MemoryError, ValueError) as cause:
        raise FkitValueError(f"imcrop cannot fill a patch for the box {list(wanted)} with {fill}: {cause}.") from cause
    # of a box beside the picture, clipping leaves the picture's last row or column: it is not part of the patch
    high, wide = (min(have, want) for have, want in zip(patch.shape[:2], (y2 + 1, x2 + 1), strict=True))
    beside = x1 >= size[1] or y1 >= size[0] or high <= 0 or wide <= 0
    if not beside:
        canvas[top : top + high, left : left + wide] = patch[:high, :wide]
    return canvas


def _filling(pad_fill: Any, channels: int) -> tuple[float, ...]:
    if pad_fill is None:
        return ()
    return tuple(numbers("imcrop", "pad_fill", pad_fill).tolist()) * (channels if is_a(pad_fill, int, float) else 1)


def _pixels(boxes: NDArray[Any]) -> NDArray[np.int32]:
    """(N, 4) corners as whole pixels, truncated; refused where they are none."""
    within = (boxes > -_LARGEST) & (boxes < _LARGEST)
    if not within.all():  # or nan
        box = boxes[~within.all(axis=1)][0].tolist()
        raise FkitValueError(f"imcrop: the box {box} is not finite, or too large for any picture.")
    pixels = boxes.astype(np.int32)
    inverted = pixels[:, 2:] < pixels[:, :2]
    if inverted.any():
        box = boxes[inverted.any(axis=1)][0].tolist()
        raise FkitValueError(
            f"imcrop: the box {box} has its second corner before the first.", repair="give x1 y1 x2 y2"
        )
    return pixels


def _sides(name: str, img_shape: Any) -> tuple[int, int]:
    """(height, width) of an image's shape."""
    if type(img_shape) is tuple:  # as nearly always
        shape = cast("tuple[Any, ...]", img_shape)
        if len(shape) > 1 and type(shape[0]) is type(shape[1]) is int and shape[0] >= 0 <= shape[1]:
            return shape[0], shape[1]
    if not is_a(img_shape, Sequence, np.ndarray) or is_a(img_shape, str, bytes) or len(img_shape) < 2:
        raise FkitTypeError(f"{name}: img_shape must be (height, width, ...); got {form(img_shape)}.")
    return whole(name, "img_shape", img_shape[0], 0), whole(name, "img_shape", img_shape[1], 0)
