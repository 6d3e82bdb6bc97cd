"""Flips of the picture and of what lies on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import OPENCV, as_boxes, flip_boxes, homography, image_of, maps_of
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.warp import DIRECTIONS, imflip
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["RandomFlip", "flip_points", "flipped"]

# of these OpenCV flips a picture in a fraction of the time that numpy takes to copy such a view
_CHANNELS = 4


@dataclass(frozen=True)
class RandomFlip(Transform):
    """Flip the picture and what lies on it with a probability; mmcv 2.x's and mmdet's RandomFlip.

    Args:
        prob: of a flip at all, shared evenly by the directions; or one a direction, their sum at most 1.
        direction: horizontal, vertical or diagonal; or several, of which one is drawn.
        swap_seg_labels: pairs of labels of ``gt_seg_map`` that a flip exchanges (left arm and right arm).

    Params: the direction, or None. Changes ``img``, ``gt_bboxes`` (x becomes width - x), ``gt_masks``, ``gt_keypoints``,
    ``gt_seg_map`` and the maps of ``seg_fields``; sets ``flip``, ``flip_direction``, ``homography_matrix``, and
    ``swap_seg_labels`` where there is a map.

    Example:
        >>> RandomFlip(prob=1.0)({"img": np.arange(2).reshape(1, 2, 1)}, np.random.default_rng(0))["flip_direction"]
        'horizontal'
    """

    prob: float | Sequence[float] = 0.5
    direction: str | Sequence[str] = "horizontal"
    swap_seg_labels: Sequence[Sequence[int]] | None = None

    def __post_init__(self) -> None:
        expect(self.direction, (str, list, tuple), "RandomFlip: direction is a word or a list of words")
        directions = (self.direction,) if isinstance(self.direction, str) else tuple(self.direction)
        if not directions:
            raise FkitValueError("RandomFlip: direction is an empty list.", choices=DIRECTIONS)
        for word in directions:
            if word not in DIRECTIONS:
                raise FkitValueError(
                    f"RandomFlip: direction = {word!r} is unknown.", value=str(word), choices=DIRECTIONS
                )
        prob: Any = self.prob
        for one in prob if isinstance(prob, (list, tuple)) else (prob,):
            expect_number(one, "RandomFlip: prob")
        if isinstance(prob, (list, tuple)):
            probs = tuple(float(one) for one in prob)
        else:
            probs = (float(prob) / len(directions),) * len(directions)
        if len(probs) != len(directions):
            raise FkitValueError(f"RandomFlip: {len(probs)} probabilities for {len(directions)} directions.")
        if not all(0 <= one <= 1 for one in probs) or sum(probs) > 1 + 1e-9:
            raise FkitValueError(f"RandomFlip: prob = {self.prob!r}: each is in [0, 1], and their sum at most 1.")
        object.__setattr__(self, "direction", directions)
        object.__setattr__(self, "prob", probs)
        if self.swap_seg_labels is not None:
            object.__setattr__(self, "swap_seg_labels", _pairs(self.swap_seg_labels))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> str | None:
        left = float(needed(rng, self).random())
        for prob, direction in zip(cast("Sequence[float]", self.prob), self.direction, strict=True):
            left -= prob
            if left < 0:
                return direction
        return None

    def apply(self, sample: Sample, params: str | None) -> Sample:
        if params is None:
            return replaced(sample, flip=False, flip_direction=None)
        img = image_of(sample)
        height, width = img.shape[:2]
        changes: dict[str, Any] = {}
        boxes = as_boxes(sample)
        if boxes is not None:
            changes["gt_bboxes"] = flip_boxes(boxes, (height, width), params)
        if sample.get("gt_masks") is not None:
            changes["gt_masks"] = sample["gt_masks"].flip(params)
        if sample.get("gt_keypoints") is not None:
            changes["gt_keypoints"] = flip_points(sample["gt_keypoints"], (height, width), params)
        for name in maps_of(sample):
            changes[name] = flipped(sample[name], params)
        if "gt_seg_map" in changes:
            changes["gt_seg_map"] = _swapped(changes["gt_seg_map"], self.swap_seg_labels or ())
            changes["swap_seg_labels"] = self.swap_seg_labels
        across, down = int(params != "vertical"), int(params != "horizontal")
        turn = ((1 - 2 * across, 0, across * width), (0, 1 - 2 * down, down * height), (0, 0, 1))
        changes["homography_matrix"] = homography(sample, turn)
        return replaced(sample, img=flipped(img, params), flip=True, flip_direction=params, **changes)


def flipped(img: NDArray[Any], direction: str) -> NDArray[Any]:
    """An array (H, W) or (H, W, C) mirrored, in memory of its own.

    Example:
        >>> flipped(np.array([[1, 2], [3, 4]]), "diagonal").tolist()
        [[4, 3], [2, 1]]
    """
    view = imflip(img, direction)
    if img.dtype.name in OPENCV and img.size and (img.ndim == 2 or img.shape[2] <= _CHANNELS):
        return cv2.flip(img, (1, 0, -1)[DIRECTIONS.index(direction)]).reshape(img.shape)
    return np.ascontiguousarray(view)


def flip_points(points: NDArray[Any], shape: Sequence[int], direction: str) -> NDArray[Any]:
    """Keypoints (..., 2 or 3) x y visible of a picture of ``shape`` (height, width) mirrored: x becomes width - x.

    Example:
        >>> flip_points(np.array([[1.0, 2, 1]]), (10, 20), "horizontal").tolist()
        [[19.0, 2.0, 1.0]]
    """
    done = points.copy()
    if direction != "vertical":
        done[..., 0] = shape[1] - points[..., 0]
    if direction != "horizontal":
        done[..., 1] = shape[0] - points[..., 1]
    return done


def _swapped(seg: NDArray[Any], pairs: Sequence[Sequence[int]]) -> NDArray[Any]:
    done = seg.copy() if pairs else seg
    for a, b in pairs:
        done[seg == a], done[seg == b] = b, a
    return done


def _pairs(pairs: Any) -> tuple[tuple[int, int], ...]:
    expect(pairs, (list, tuple), "RandomFlip: swap_seg_labels is a list of pairs of labels")
    for pair in pairs:
        expect(pair, (list, tuple), "RandomFlip: swap_seg_labels is a list of pairs of labels")
        if len(pair) != 2:
            raise FkitValueError(f"RandomFlip: swap_seg_labels has {pair!r}, which is no pair of labels.")
        for label in pair:
            expect_number(label, "RandomFlip: swap_seg_labels", whole=True)
    return tuple((pair[0], pair[1]) for pair in pairs)
