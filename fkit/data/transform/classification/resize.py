"""Sizes for classification: mmpretrain's."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import as_boxes, image_of, move_boxes
from fkit.data.transform.draw import needed
from fkit.data.transform.resize import Resize, resized
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.refuse import one_of
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["RandomTranslatePad", "ResizeEdge"]


@dataclass(frozen=True)
class ResizeEdge(Transform):
    """Resize so that one side has a length, the ratio of the sides kept; mmpretrain's ResizeEdge.

    Args:
        scale: the length in pixels.
        edge: which side: "short", "long", "width" or "height". The other is cut to whole pixels.
        backend: "cv2" or "pillow".
        interpolation: nearest, bilinear, bicubic, area or lanczos.

    Changes what `fkit.data.transform.resize.Resize` does; sets ``img_shape`` (height, width), ``scale`` (width, height) and
    ``scale_factor``.

    Example:
        >>> ResizeEdge(4)({"img": np.zeros((8, 10, 3), np.uint8)})["img"].shape
        (4, 5, 3)
    """

    scale: int
    edge: str = "short"
    backend: str = "cv2"
    interpolation: str = "bilinear"
    way: Resize = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        one_of("ResizeEdge", "edge", self.edge, ("short", "long", "width", "height"))
        if self.scale < 1:
            raise FkitValueError(f"ResizeEdge: scale = {self.scale!r} is not 1 or more.")
        way = Resize(self.scale, backend=self.backend, interpolation=self.interpolation)
        object.__setattr__(self, "way", way)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(width, height) of the answer for an image of ``height`` x ``width``."""
        by_width = self.edge == "width" or (self.edge == "short" and width < height)
        if by_width or (self.edge == "long" and width > height):
            return self.scale, max(int(self.scale * height / width), 1)
        return max(int(self.scale * width / height), 1), self.scale

    def apply(self, sample: Sample, params: Any) -> Sample:
        height, width = image_of(sample).shape[:2]
        size = self.size(height, width)
        factors = (size[0] / width, size[1] / height)
        return replaced(sample, scale=size, **resized(sample, size, factors, self.way))


@dataclass(frozen=True)
class RandomTranslatePad(Transform):
    """Put the picture on a black square, in the middle or anywhere; mmpretrain's RandomTranslatePad.

    Args:
        size: of the square, in pixels; more than the picture's sides.
        aug_translate: anywhere, else in the middle.

    Params: (top, left). ``img`` becomes (size, size, 3) float32; moves ``gt_bboxes``; sets ``img_shape``.

    Example:
        >>> RandomTranslatePad(4).apply({"img": np.ones((2, 2, 3), np.uint8)}, (1, 1))["img"][1, :, 0].tolist()
        [0.0, 1.0, 1.0, 0.0]
    """

    size: int = 640
    aug_translate: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.size < 1:
            raise FkitValueError(f"RandomTranslatePad: size = {self.size!r} is not 1 or more.")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[int, int]:
        down, right = (self.size - side for side in image_of(sample).shape[:2])
        if down < 0 or right < 0:
            raise FkitValueError(
                f"RandomTranslatePad: a picture of {image_of(sample).shape[:2]} does not fit on size = {self.size!r}.",
                repair="Resize it before.",
            )
        if not self.aug_translate:
            return round(down / 2 - 0.1), round(right / 2 - 0.1)
        source = needed(rng, self)
        return int(source.integers(0, max(down, 1))), int(source.integers(0, max(right, 1)))

    def apply(self, sample: Sample, params: tuple[int, int]) -> Sample:
        img = image_of(sample)
        top, left = params
        canvas: NDArray[Any] = np.zeros((self.size, self.size, 3), np.float32)
        canvas[top : top + img.shape[0], left : left + img.shape[1]] = img if img.ndim == 3 else img[..., None]
        changes: dict[str, Any] = {"img": canvas, "img_shape": (self.size, self.size)}
        boxes = as_boxes(sample)
        if boxes is not None:
            changes["gt_bboxes"] = move_boxes(boxes, left, top)
        return replaced(sample, **changes)
