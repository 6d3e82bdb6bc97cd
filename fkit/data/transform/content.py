"""What a sample holds beside its picture, and how it goes along: boxes, maps, keypoints, the objects themselves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import cv2
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.data.transform.transform import Sample
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "OBJECTS",
    "OPENCV",
    "as_boxes",
    "clip_boxes",
    "flip_boxes",
    "homography",
    "image_of",
    "inside",
    "kept",
    "maps_of",
    "move_boxes",
    "overlaps",
    "resize_map",
    "scale_boxes",
]

Boxes = NDArray[Any]

OBJECTS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_masks", "gt_keypoints", "gt_instances_ids")
"""The keys of a sample that hold one row an object."""

# dtypes that OpenCV resizes, turns and splits; other whole numbers go by int32
OPENCV = frozenset(("uint8", "int8", "uint16", "int16", "float32", "float64"))


def image_of(sample: Sample) -> NDArray[Any]:
    """``img`` of a sample, (H, W, C) or (H, W); an error where it has none.

    Example:
        >>> image_of({"img": np.zeros((4, 6, 3))}).shape
        (4, 6, 3)
    """
    if type(sample) is not frozendict:
        expect(sample, Mapping, "`sample` is a mapping")
    img: Any = sample.get("img")
    if not isinstance(img, np.ndarray):
        if "img" not in sample:
            raise FkitKeyError("the sample has no 'img'.", value="img", choices=sample, label="It has")
        raise FkitTypeError(f"the sample's img is {quoted(img, 60)}, not an array (H, W, C).")
    if img.ndim not in (2, 3):
        raise FkitValueError(f"the sample's img has shape {img.shape}; an image is (H, W, C) or (H, W).")
    return img


def maps_of(sample: Sample) -> Iterator[str]:
    """The keys of the maps that lie over the picture: ``gt_seg_map``, and what ``seg_fields`` names beside it.

    Example:
        >>> list(maps_of({"gt_seg_map": np.zeros((4, 6)), "seg_fields": ["gt_seg_map", "gt_edge_map"]}))
        ['gt_seg_map']
    """
    expect(sample, Mapping, "`sample` is a mapping")
    names = cast("Sequence[str]", sample.get("seg_fields", ()))
    for name in ("gt_seg_map", *(name for name in names if name != "gt_seg_map")):
        if sample.get(name) is not None:
            yield name


def as_boxes(sample: Sample, key: str = "gt_bboxes") -> Boxes | None:
    """The boxes of a sample, (N, 4) x1 y1 x2 y2 in floats; None where it holds none.

    Example:
        >>> as_boxes({"gt_bboxes": np.array([[1, 2, 3, 4]])}).dtype
        dtype('float32')
    """
    expect(sample, Mapping, "`sample` is a mapping")
    boxes: Any = sample.get(key)
    if boxes is None:
        return None
    if not isinstance(boxes, np.ndarray) or boxes.ndim < 2 or boxes.shape[-1] % 4:
        raise FkitTypeError(f"the sample's {key} is an array (N, 4) of x1 y1 x2 y2, not {quoted(boxes, 60)}.")
    return boxes if boxes.dtype.kind == "f" else boxes.astype(np.float32)


def scale_boxes(boxes: Boxes, factors: Sequence[float]) -> Boxes:
    """Boxes (..., 4) times the factors of width and height; the dtype stays.

    Example:
        >>> scale_boxes(np.array([[1.0, 2, 3, 4]], np.float32), (2, 10)).tolist()
        [[2.0, 20.0, 6.0, 40.0]]
    """
    across, down = factors
    return boxes * np.array((across, down, across, down), boxes.dtype)


def move_boxes(boxes: Boxes, right: float, down: float) -> Boxes:
    """Boxes (..., 4) shifted by pixels; the dtype stays.

    Example:
        >>> move_boxes(np.zeros((1, 4), np.float32), 2, -1).tolist()
        [[2.0, -1.0, 2.0, -1.0]]
    """
    return boxes + np.array((right, down, right, down), boxes.dtype)


def clip_boxes(boxes: Boxes, shape: Sequence[int]) -> Boxes:
    """Boxes (..., 4) cut to a picture of ``shape`` (height, width): to [0, width] and [0, height].

    Example:
        >>> clip_boxes(np.array([[-1.0, 2, 30, 4]]), (10, 20)).tolist()
        [[0.0, 2.0, 20.0, 4.0]]
    """
    height, width = shape[:2]
    return np.clip(boxes, 0, np.array((width, height, width, height), boxes.dtype))


def flip_boxes(boxes: Boxes, shape: Sequence[int], direction: str) -> Boxes:
    """Boxes (..., 4) of a picture of ``shape`` (height, width) mirrored: x becomes width - x.

    Example:
        >>> flip_boxes(np.array([[1.0, 2, 3, 4]]), (10, 20), "horizontal").tolist()
        [[17.0, 2.0, 19.0, 4.0]]
    """
    height, width = shape[:2]
    flipped = boxes.copy()
    if direction != "vertical":
        flipped[..., 0::4], flipped[..., 2::4] = width - boxes[..., 2::4], width - boxes[..., 0::4]
    if direction != "horizontal":
        flipped[..., 1::4], flipped[..., 3::4] = height - boxes[..., 3::4], height - boxes[..., 1::4]
    return flipped


def inside(boxes: Boxes, shape: Sequence[int]) -> NDArray[np.bool_]:
    """(N,) whether any part of a box is inside a picture of ``shape`` (height, width).

    Example:
        >>> inside(np.array([[1.0, 1, 2, 2], [9, 0, 12, 3]]), (5, 9)).tolist()
        [True, False]
    """
    height, width = shape[:2]
    x1, y1, x2, y2 = boxes.T
    return (x1 < width) & (y1 < height) & (x2 > 0) & (y2 > 0)


def overlaps(boxes: Boxes, box: Sequence[float]) -> NDArray[Any]:
    """(N,) intersection over union of boxes (N, 4) with one box, in float32.

    Example:
        >>> overlaps(np.array([[0, 0, 2, 2], [0, 0, 4, 4]], np.float32), (0, 0, 2, 4)).tolist()
        [0.5, 0.5]
    """
    one = np.asarray(box, np.float32)
    boxes = boxes.astype(np.float32, copy=False)
    sides = np.maximum(np.minimum(boxes[:, 2:], one[2:]) - np.maximum(boxes[:, :2], one[:2]), 0)
    shared = sides[:, 0] * sides[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas + (one[2] - one[0]) * (one[3] - one[1]) - shared
    return shared / np.maximum(union, np.float32(1e-6))


def kept(sample: Sample, rows: NDArray[np.bool_]) -> dict[str, Any]:
    """The objects of a sample that ``rows`` (N,) is true for: the keys of `OBJECTS` that it has, to be put back.

    Example:
        >>> kept({"gt_bboxes_labels": np.array([3, 4])}, np.array([False, True]))
        {'gt_bboxes_labels': array([4])}
    """
    return {key: sample[key][rows] for key in OBJECTS if sample.get(key) is not None}


def homography(sample: Sample, matrix: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """(3, 3) float32: where the pixels of the loaded picture are, once ``matrix`` was carried out too.

    Example:
        >>> homography({}, ((2, 0, 0), (0, 2, 0), (0, 0, 1))).tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
    """
    step = np.array(matrix, np.float32)
    before = sample.get("homography_matrix")
    return step if before is None else step @ before


def resize_map(img: NDArray[Any], size: tuple[int, int], interpolation: int = cv2.INTER_NEAREST) -> NDArray[Any]:
    """An array over the picture resized to ``size`` (width, height), by the nearest pixel: labels stay labels.

    Any dtype; one that OpenCV does not have goes by int32. An axis of channels stays.

    Example:
        >>> resize_map(np.array([[1, 9]]), (4, 1)).tolist()
        [[1, 1, 9, 9]]
    """
    plain = img if img.dtype.name in OPENCV else img.astype(np.int32)
    resized = cv2.resize(plain, size, interpolation=interpolation)
    return resized.reshape(size[1], size[0], *img.shape[2:]).astype(img.dtype, copy=False)
