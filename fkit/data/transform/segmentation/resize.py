"""Resizing to sides that follow from the picture: mmseg's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fkit.data.transform import scale
from fkit.data.transform.content import image_of, maps_of
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.image.resize import imresize_to_multiple, interpolation_code
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["ResizeShortestEdge", "ResizeToMultiple"]


@dataclass(frozen=True, init=False)
class ResizeShortestEdge(scale.ResizeShortestEdge):
    """Resize by the shorter side, the ratio of the sides kept; mmseg's ResizeShortestEdge.

    Args:
        scale: the shorter side, in pixels; of two the smaller one counts.
        max_size: the most of the longer side.

    Changes what `fkit.data.transform.resize.Resize` does.

    Example:
        >>> import numpy as np
        >>> ResizeShortestEdge(6, max_size=10)({"img": np.zeros((4, 8, 3), np.uint8)})["img"].shape
        (5, 10, 3)
    """

    def __init__(self, scale: int | Sequence[int], max_size: int) -> None:
        super().__init__(scale, max_size, keep_ratio=True)


@dataclass(frozen=True)
class ResizeToMultiple(Transform):
    """Resize picture and maps so that both sides are multiples of a number, rounded up; mmseg's ResizeToMultiple.

    Args:
        size_divisor: the number, or (of the width, of the height).
        interpolation: of the picture; None is bilinear. Maps take the nearest pixel.

    Sets ``img_shape`` and ``pad_shape`` (height, width).

    Example:
        >>> import numpy as np
        >>> ResizeToMultiple(4)({"img": np.zeros((6, 8, 3), np.uint8)})["img"].shape
        (8, 8, 3)
    """

    size_divisor: int | Sequence[int] = 32
    interpolation: str | None = None

    def __post_init__(self) -> None:
        several: Any = self.size_divisor
        pair = tuple(several) if isinstance(several, (list, tuple)) else (several, several)
        for one in pair:
            expect_number(one, "ResizeToMultiple: size_divisor", whole=True)
        if len(pair) != 2 or min(pair) < 1:
            raise FkitValueError(f"ResizeToMultiple: size_divisor = {several!r} is no number above 0, or two.")
        object.__setattr__(self, "size_divisor", pair)
        interpolation_code("ResizeToMultiple", self.interpolation or "bilinear")

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = self._resized(image_of(sample), self.interpolation or "bilinear")
        maps = {name: self._resized(sample[name], "nearest") for name in maps_of(sample)}
        return replaced(sample, img=img, img_shape=img.shape[:2], pad_shape=img.shape[:2], **maps)

    def _resized(self, img: NDArray[Any], interpolation: str) -> NDArray[Any]:
        way: Any = {"scale_factor": 1, "interpolation": interpolation}
        done: Any = imresize_to_multiple(img, self.size_divisor, **way)  # pyright: ignore[reportArgumentType]
        return done.reshape(*done.shape[:2], *img.shape[2:])
