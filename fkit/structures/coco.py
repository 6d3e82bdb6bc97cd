"""pycocotools behind pure functions: polygons and run lengths as bitmaps, and back."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import whole
from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitValueError, quoted

__all__ = ["bitmap_to_polygon", "bitmap_to_rle", "coco_mask", "polygon_to_bitmap", "rle_to_bitmap"]


def coco_mask() -> Any:
    """The module ``pycocotools.mask``, or an error that says how to get it.

    Example:
        >>> coco_mask().__name__
        'pycocotools.mask'
    """
    try:
        import pycocotools.mask
    except ImportError as cause:
        raise FkitImportError(
            "COCO's masks need the package pycocotools.", repair="pip install 'fkit-vision[coco]'"
        ) from cause
    return pycocotools.mask


def polygon_to_bitmap(polygons: Sequence[Any], height: int, width: int) -> NDArray[np.bool_]:
    """One object's parts as a bitmap, by COCO's rule of which pixels are inside.

    Args:
        polygons: the parts, each a flat array or list x y x y ... of at least three corners.
        height: of the picture.
        width: of the picture.

    Returns:
        (height, width) bool.

    Example:
        >>> polygon_to_bitmap([[0, 0, 2, 0, 2, 2, 0, 2]], 3, 3).astype(int).tolist()
        [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    """
    expect(polygons, (list, tuple), "`polygons` is a list of parts, each x y x y ...")
    size = whole("polygon_to_bitmap", "height", height, 0), whole("polygon_to_bitmap", "width", width, 0)
    tools = coco_mask()
    try:
        parts = [np.asarray(part, np.float64).reshape(-1).tolist() for part in polygons]
        if not parts or not all(size):
            return np.zeros(size, np.bool_)
        return tools.decode(tools.merge(tools.frPyObjects(parts, *size))).astype(np.bool_)
    except Exception as cause:
        raise FkitValueError(f"polygons = {quoted(polygons, 60)} are no parts x y x y ...: {cause}") from cause


def rle_to_bitmap(rle: Mapping[str, Any], height: int | None = None, width: int | None = None) -> NDArray[np.bool_]:
    """A run-length encoding, compressed or not, as a bitmap.

    Args:
        rle: ``{"size": [height, width], "counts": ...}``: a list of run lengths, or COCO's compressed text or bytes.
        height: taken where ``rle`` has no size.
        width: taken where ``rle`` has no size.

    Returns:
        (height, width) bool.

    Example:
        >>> rle_to_bitmap({"size": [2, 3], "counts": [1, 2, 3]}).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    expect(rle, Mapping, "`rle` is a mapping of size and counts")
    size: Any = rle.get("size", (height, width))
    counts: Any = rle.get("counts")
    tools = coco_mask()
    try:
        height, width = (int(side) for side in size)
        if isinstance(counts, (list, tuple)):
            lengths = [int(count) for count in cast("Sequence[Any]", counts)]
            if sum(lengths) != height * width:
                raise FkitValueError(f"its runs are {sum(lengths)} pixels, not {height} x {width}.")
            coded = tools.frPyObjects({"size": [height, width], "counts": lengths}, height, width)
        else:
            expect(counts, (str, bytes), "`counts` are run lengths, or COCO's text")
            coded = {"size": [height, width], "counts": counts.encode() if isinstance(counts, str) else counts}
        return tools.decode(coded).astype(np.bool_)
    except Exception as cause:
        raise FkitValueError(f"rle = {quoted(rle, 60)} is no run-length encoding: {cause}") from cause


def bitmap_to_rle(bitmap: NDArray[Any]) -> Mapping[str, Any]:
    """A bitmap (H, W) as COCO's compressed run lengths, ``{"size": [H, W], "counts": text}``.

    Example:
        >>> rle_to_bitmap(bitmap_to_rle(np.eye(3))).astype(int).tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    pixels = _bitmap(bitmap)
    rle = coco_mask().encode(np.asfortranarray(pixels))
    return {"size": list(pixels.shape), "counts": rle["counts"].decode()}


def bitmap_to_polygon(bitmap: NDArray[Any]) -> tuple[list[NDArray[np.int32]], bool]:
    """The outlines of a bitmap (H, W), each (n, 2) pixels x y, holes too; and whether there are holes.

    Example:
        >>> outlines, holes = bitmap_to_polygon(np.ones((2, 2)))
        >>> outlines[0].tolist(), holes
        ([[0, 0], [0, 1], [1, 1], [1, 0]], False)
    """
    outlines, levels = cv2.findContours(_bitmap(bitmap), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[-2:]
    if not len(outlines):
        return [], False
    hierarchy = np.asarray(levels).reshape(-1, 4)
    return [np.asarray(line, np.int32).reshape(-1, 2) for line in outlines], bool((hierarchy[:, 3] >= 0).any())


def _bitmap(bitmap: Any) -> NDArray[np.uint8]:
    expect(bitmap, np.ndarray, "`bitmap` is an array (H, W)")
    if bitmap.ndim != 2 or bitmap.dtype.kind not in "biuf":
        raise FkitValueError(f"`bitmap` is an array (H, W) of numbers, not {bitmap.shape} {bitmap.dtype}.")
    return np.ascontiguousarray(bitmap != 0).view(np.uint8)
