"""Transforms of one magnitude that move everything: the geometric steps of mmdet's AutoAugment and RandAugment."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.colour import check_magnitude, magnitude
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.resize import interpolation_code
from fkit.image.warp import imrotate, imshear, imtranslate
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["GeomTransform", "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY", "projected"]


@dataclass(frozen=True)
class GeomTransform(Transform):
    """What the geometric transforms of mmdet 3.x have in common; by itself it moves nothing, as there.

    Args:
        prob: of doing anything.
        level: 0 to 10, from ``min_mag`` to ``max_mag``; None draws a magnitude between them.
        min_mag: the least magnitude.
        max_mag: the greatest.
        reversal_prob: the magnitude keeps its sign with this probability.
        img_border_value: what comes in from outside, 0 to 255: a number, or one a channel.
        mask_border_value: the same for masks.
        seg_ignore_label: the same for ``gt_seg_map``.
        interpolation: of the image and of masks; maps take nearest.

    Params: the magnitude with its sign, or None. Moves ``img``, ``gt_bboxes`` (N, 4), clipped to the image, ``gt_masks``
    and ``gt_seg_map``, where there are such; sets ``homography_matrix`` (3, 3) float32, which is multiplied onto one that
    the sample has.

    Example:
        >>> moved = TranslateX().apply({"img": np.zeros((4, 10, 3), np.uint8), "gt_bboxes": np.array([[0.0, 0, 9, 4]])}, 0.2)
        >>> moved["gt_bboxes"].tolist()
        [[2.0, 0.0, 10.0, 4.0]]
    """

    prob: float = 1.0
    level: int | None = None
    min_mag: float = 0.0
    max_mag: float = 1.0
    reversal_prob: float = 0.5
    img_border_value: float | tuple[float, ...] = 128
    mask_border_value: int = 0
    seg_ignore_label: int = 255
    interpolation: str = "bilinear"

    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        name = type(self).__name__
        value: Any = self.img_border_value
        several = tuple(value) if isinstance(value, (list, tuple)) else (value,) * 3
        for one in several:
            expect_number(one, f"{name}: img_border_value")
        if len(several) != 3 or not all(0 <= one <= 255 for one in several):
            raise FkitValueError(f"{name}: img_border_value = {value!r}: a number from 0 to 255, or three.")
        object.__setattr__(self, "img_border_value", tuple(float(one) for one in several))
        for word in ("mask_border_value", "seg_ignore_label"):
            expect_number(getattr(self, word), f"{name}: {word}", whole=True)
        check_magnitude(self, self.bounds)
        if not 0 <= self.reversal_prob <= 1:
            raise FkitValueError(f"{name}: reversal_prob = {self.reversal_prob!r} is not in [0, 1].")
        interpolation_code(name, self.interpolation)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> float | None:
        source = needed(rng, self)
        if source.random() > self.prob:
            return None
        size = self.amount(magnitude(self, source))
        return -size if source.random() > self.reversal_prob else size

    def apply(self, sample: Sample, params: float | None) -> Sample:
        if params is None:
            return sample
        img: NDArray[Any] = sample["img"]
        height, width = sample.get("img_shape", img.shape)[:2]
        matrix = self.matrix(params, height, width)
        whole = matrix if sample.get("homography_matrix") is None else matrix @ sample["homography_matrix"]
        border = self.img_border_value if img.ndim == 3 and img.shape[2] == 3 else int(self.img_border_value[0])  # pyright: ignore[reportIndexIssue, reportUnknownArgumentType]
        changes: dict[str, Any] = {
            "img": self.moved(img, params, border, self.interpolation).reshape(img.shape),
            "homography_matrix": whole,
        }
        if sample.get("gt_bboxes") is not None:
            changes["gt_bboxes"] = projected(sample["gt_bboxes"], matrix, (height, width))
        if sample.get("gt_masks") is not None:
            changes["gt_masks"] = self.moved_masks(sample["gt_masks"], params, (height, width))
        if sample.get("gt_seg_map") is not None:
            changes["gt_seg_map"] = self.moved(sample["gt_seg_map"], params, self.seg_ignore_label, "nearest")
        return replaced(sample, **changes)

    def amount(self, size: float) -> float:
        """What a drawn magnitude is in the units of `matrix`."""
        return size

    def matrix(self, size: float, height: int, width: int) -> NDArray[np.float32]:
        """(3, 3) float32: where a point (x, y, 1) of an image of ``height`` x ``width`` goes."""
        return np.eye(3, dtype=np.float32)

    def moved(self, img: NDArray[Any], size: float, border: Any, interpolation: str) -> NDArray[Any]:
        """A picture (H, W) or (H, W, C), moved."""
        return img

    def moved_masks(self, masks: Any, size: float, shape: tuple[int, int]) -> Any:
        """Masks, moved."""
        return masks


@dataclass(frozen=True)
class _Shear(GeomTransform):
    """A shear by an angle of ``min_mag`` to ``max_mag`` degrees."""

    max_mag: float = 30.0

    bounds = (0.0, 90.0)
    direction: ClassVar[str] = "horizontal"

    def amount(self, size: float) -> float:
        return math.tan(size * math.pi / 180)

    def matrix(self, size: float, height: int, width: int) -> NDArray[np.float32]:
        matrix = np.eye(3, dtype=np.float32)
        matrix[(0, 1) if self.direction == "horizontal" else (1, 0)] = size
        return matrix

    def moved(self, img: NDArray[Any], size: float, border: Any, interpolation: str) -> NDArray[Any]:
        return imshear(img, size, self.direction, border, interpolation)

    def moved_masks(self, masks: Any, size: float, shape: tuple[int, int]) -> Any:
        return masks.shear(shape, size, self.direction, self.mask_border_value, self.interpolation)


@dataclass(frozen=True)
class ShearX(_Shear):
    """A horizontal shear by an angle in degrees; mmdet 3.x's ShearX. Arguments as of `GeomTransform`.

    Params: the tangent of the angle, with its sign, or None.
    """


@dataclass(frozen=True)
class ShearY(_Shear):
    """A vertical shear by an angle in degrees; mmdet 3.x's ShearY. Arguments as of `GeomTransform`.

    Params: the tangent of the angle, with its sign, or None.
    """

    direction = "vertical"


@dataclass(frozen=True)
class Rotate(GeomTransform):
    """A turn clockwise about the middle by degrees; mmdet 3.x's Rotate. Arguments and params as of `GeomTransform`.

    Polygons turn about the corner, as there.
    """

    max_mag: float = 30.0

    bounds = (0.0, 180.0)

    def matrix(self, size: float, height: int, width: int) -> NDArray[np.float32]:
        turn = cv2.getRotationMatrix2D(((width - 1) * 0.5, (height - 1) * 0.5), -size, 1.0)
        return np.concatenate([turn, [(0, 0, 1)]]).astype(np.float32)

    def moved(self, img: NDArray[Any], size: float, border: Any, interpolation: str) -> NDArray[Any]:
        return imrotate(img, size, border_value=border, interpolation=interpolation)

    def moved_masks(self, masks: Any, size: float, shape: tuple[int, int]) -> Any:
        return masks.rotate(shape, size, border_value=self.mask_border_value, interpolation=self.interpolation)


@dataclass(frozen=True)
class _Translate(GeomTransform):
    """A shift by parts of the side, in whole pixels."""

    max_mag: float = 0.1

    bounds = (0.0, 1.0)
    direction: ClassVar[str] = "horizontal"

    def offset(self, size: float, height: int, width: int) -> int:
        """In pixels."""
        return int((width if self.direction == "horizontal" else height) * size)

    def matrix(self, size: float, height: int, width: int) -> NDArray[np.float32]:
        matrix = np.eye(3, dtype=np.float32)
        matrix[0 if self.direction == "horizontal" else 1, 2] = self.offset(size, height, width)
        return matrix

    def moved(self, img: NDArray[Any], size: float, border: Any, interpolation: str) -> NDArray[Any]:
        return imtranslate(img, self.offset(size, *img.shape[:2]), self.direction, border, interpolation)

    def moved_masks(self, masks: Any, size: float, shape: tuple[int, int]) -> Any:
        offset = self.offset(size, *shape)
        return masks.translate(shape, offset, self.direction, self.mask_border_value, self.interpolation)


@dataclass(frozen=True)
class TranslateX(_Translate):
    """A shift to the side by a part of the width; mmdet 3.x's TranslateX. Arguments and params as of `GeomTransform`."""


@dataclass(frozen=True)
class TranslateY(_Translate):
    """A shift up or down by a part of the height; mmdet 3.x's TranslateY. Arguments and params as of `GeomTransform`."""

    direction = "vertical"


def projected(boxes: NDArray[Any], matrix: NDArray[Any], shape: tuple[int, int] | None = None) -> NDArray[Any]:
    """Boxes (N, 4) xyxy around where a (3, 3) matrix takes their corners; clipped to ``shape`` (height, width) where given.

    Example:
        >>> projected(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])).tolist()
        [[0.0, 0.0, 4.0, 2.0]]
    """
    expect(boxes, np.ndarray, "`boxes` is an array (N, 4)")
    expect(matrix, np.ndarray, "`matrix` is an array (3, 3)")
    if boxes.shape[-1:] != (4,) or matrix.shape != (3, 3):
        raise FkitValueError(
            f"boxes of shape {boxes.shape} and a matrix of {matrix.shape}: (N, 4) and (3, 3) are wanted."
        )
    x1, y1, x2, y2 = boxes.T
    corners = np.stack([x1, y1, x2, y1, x1, y2, x2, y2], -1).reshape(len(boxes), 4, 2)
    points = np.concatenate([corners, np.ones((len(boxes), 4, 1), boxes.dtype)], -1) @ matrix.T.astype(boxes.dtype)
    points = points[..., :2] / points[..., 2:]
    around = np.concatenate([points.min(1), points.max(1)], -1)
    if shape is not None:
        around = around.clip(0, np.tile(shape[1::-1], 2))
    return around.astype(boxes.dtype, copy=False)
