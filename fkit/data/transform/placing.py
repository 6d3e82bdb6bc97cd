"""albumentations' steps that move pixels and that OpenMMLab's configs name, as values; see `fkit.data.transform.pixel`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.data.transform.content import flip_boxes
from fkit.data.transform.draw import between
from fkit.data.transform.pixel import PixelStep
from fkit.data.transform.warp import projected
from fkit.tree.check import expect

__all__ = ["PLACING_STEPS", "HorizontalFlip", "PlacingStep", "ShiftScaleRotate", "VerticalFlip"]

Image = NDArray[Any]


@dataclass(frozen=True)
class PlacingStep(PixelStep):
    """A step that moves pixels: boxes, masks and maps go along.

    Example:
        >>> HorizontalFlip().boxes(np.array([[0.0, 0, 2, 1]]), True, (4, 6)).tolist()
        [[4.0, 0.0, 6.0, 1.0]]
    """

    def labels(self, img: Image, params: Any) -> Image:
        """A mask or a map of labels (H, W) with the same done, by the nearest pixel."""
        return self.changed(img, params)

    def boxes(self, boxes: NDArray[Any], params: Any, shape: tuple[int, int]) -> NDArray[Any]:
        """Boxes (N, 4) xyxy of an image of ``shape`` (height, width) with the same done, not clipped."""
        return boxes


@dataclass(frozen=True)
class HorizontalFlip(PlacingStep):
    """Left and right change places."""

    def changed(self, img: Image, params: Any) -> Image:
        expect(img, np.ndarray, "`img` is an array")
        return np.ascontiguousarray(img[:, ::-1])

    def boxes(self, boxes: NDArray[Any], params: Any, shape: tuple[int, int]) -> NDArray[Any]:
        return flip_boxes(boxes, shape, "horizontal")


@dataclass(frozen=True)
class VerticalFlip(PlacingStep):
    """Top and bottom change places."""

    def changed(self, img: Image, params: Any) -> Image:
        expect(img, np.ndarray, "`img` is an array")
        return np.ascontiguousarray(img[::-1])

    def boxes(self, boxes: NDArray[Any], params: Any, shape: tuple[int, int]) -> NDArray[Any]:
        return flip_boxes(boxes, shape, "vertical")


@dataclass(frozen=True)
class ShiftScaleRotate(PlacingStep):
    """Shifted, scaled and turned about the middle; params: (right, down, in parts of the sides, factor, degrees)."""

    shift_limit: float | Sequence[float] = 0.0625
    scale_limit: float | Sequence[float] = 0.1
    rotate_limit: float | Sequence[float] = 45
    interpolation: int = cv2.INTER_LINEAR
    border_mode: int = cv2.BORDER_REFLECT_101
    value: float | Sequence[float] | None = None
    mask_value: float | None = None

    def drawn(self, img: Image, rng: np.random.Generator) -> tuple[float, float, float, float]:
        def about(limit: Any) -> float:
            return between(rng, limit if isinstance(limit, tuple) else (-limit, limit))

        degrees, factor = about(self.rotate_limit), 1 + about(self.scale_limit)
        return about(self.shift_limit), about(self.shift_limit), factor, degrees

    def changed(self, img: Image, params: Any) -> Image:
        return self._warped(img, params, self.interpolation, self.value)

    def labels(self, img: Image, params: Any) -> Image:
        return self._warped(img, params, cv2.INTER_NEAREST, self.mask_value)

    def boxes(self, boxes: NDArray[Any], params: Any, shape: tuple[int, int]) -> NDArray[Any]:
        return projected(boxes, np.concatenate([self.matrix(params, shape), [(0, 0, 1)]]))

    def matrix(self, params: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(2, 3): where a point (x, y, 1) of an image of ``shape`` goes."""
        right, down, factor, degrees = params
        height, width = shape[:2]
        matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, factor), np.float64)
        matrix[:, 2] += (right * width, down * height)
        return matrix

    def _warped(self, img: Image, params: Any, code: int, fill: Any) -> Image:
        border = (fill,) * 4 if isinstance(fill, (int, float)) else (fill or (0, 0, 0))
        size = (img.shape[1], img.shape[0])
        warped = cv2.warpAffine(
            img, self.matrix(params, img.shape), size, flags=code, borderMode=self.border_mode, borderValue=border
        )
        return warped.reshape(img.shape)


PLACING_STEPS = frozendict({step.__name__: step for step in (HorizontalFlip, ShiftScaleRotate, VerticalFlip)})
"""The steps, by albumentations' name."""
