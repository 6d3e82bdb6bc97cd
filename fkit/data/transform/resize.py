"""Transforms that change the size: to a size, by a factor, into a shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import as_boxes, clip_boxes, homography, image_of, maps_of, resize_map, scale_boxes
from fkit.data.transform.pad import Pad
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.image.refuse import one_of
from fkit.image.resize import imresize, interpolation_code, rescale_size
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["FixScaleResize", "FixShapeResize", "Resize", "SegRescale", "resized", "scale_pair"]

_BACKENDS = ("cv2", "pillow")


@dataclass(frozen=True)
class Resize(Transform):
    """Resize the picture and what lies on it; mmcv 2.x's and mmdet's Resize.

    Args:
        scale: (width, height) in pixels; one int makes a square. With ``keep_ratio``, the two lengths that bound the
            longer and the shorter side, in either order.
        scale_factor: where there is no ``scale``: a factor, or (width factor, height factor).
        keep_ratio: keep the ratio of the sides, by ``fkit.image.rescale_size``'s rule.
        clip_object_border: cut boxes and keypoints at the new border.
        backend: "cv2" or "pillow".
        interpolation: nearest, bilinear, bicubic, area or lanczos; pillow's names with that backend.

    Changes ``img``, ``gt_bboxes``, ``gt_masks``, ``gt_keypoints``, ``gt_seg_map`` and the maps of ``seg_fields``. Sets
    ``img_shape`` (height, width), ``scale`` (as asked for), ``scale_factor`` (width, height), ``keep_ratio`` and
    ``homography_matrix``.

    Example:
        >>> done = Resize(scale=(4, 2))({"img": np.zeros((8, 8, 3), np.uint8), "gt_bboxes": np.float32([[0, 0, 8, 4]])})
        >>> done["img"].shape, done["gt_bboxes"].tolist()
        ((2, 4, 3), [[0.0, 0.0, 4.0, 1.0]])
    """

    scale: int | Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    keep_ratio: bool = False
    clip_object_border: bool = True
    backend: str = "cv2"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.scale is None and self.scale_factor is None:
            raise FkitValueError(f"{name} takes one of scale and scale_factor.")
        _check_way(self)
        if self.scale is not None:
            object.__setattr__(self, "scale", scale_pair(self.scale, f"{name}: scale"))
        if self.scale_factor is not None:
            factor: Any = self.scale_factor
            pair = tuple(factor) if isinstance(factor, (list, tuple)) else (factor, factor)
            for one in pair:
                expect_number(one, f"{name}: scale_factor")
            if len(pair) != 2 or min(pair) <= 0:
                raise FkitValueError(f"{name}: scale_factor = {factor!r} is no positive factor, or two.")
            object.__setattr__(self, "scale_factor", (float(pair[0]), float(pair[1])))

    def asked(self, height: int, width: int) -> tuple[int, int]:
        """(width, height) that are asked for of an image of ``height`` x ``width``."""
        if self.scale is not None:
            return cast("tuple[int, int]", self.scale)
        across, down = cast("tuple[float, float]", self.scale_factor)  # one of the two is there: checked when made
        return max(int(width * across + 0.5), 1), max(int(height * down + 0.5), 1)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(width, height) of the answer for an image of ``height`` x ``width``."""
        asked = self.asked(height, width)
        return self.fitted(height, width, asked) if self.keep_ratio else asked

    def fitted(self, height: int, width: int, scale: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of an image of ``height`` x ``width`` fitted into ``scale``, its ratio kept."""
        return rescale_size((width, height), scale)

    def apply(self, sample: Sample, params: Any) -> Sample:
        height, width = image_of(sample).shape[:2]
        new_width, new_height = self.size(height, width)
        factors = (new_width / width, new_height / height)
        changes = resized(sample, (new_width, new_height), factors, self)
        return replaced(sample, scale=self.asked(height, width), keep_ratio=self.keep_ratio, **changes)


@dataclass(frozen=True)
class FixScaleResize(Resize):
    """`Resize` that cuts the sides to whole pixels where `Resize` rounds them; mmdet's FixScaleResize (GLIP's sizes).

    Example:
        >>> FixScaleResize((133, 80), keep_ratio=True).size(96, 128), Resize((133, 80), keep_ratio=True).size(96, 128)
        ((106, 80), (107, 80))
    """

    def fitted(self, height: int, width: int, scale: tuple[int, int]) -> tuple[int, int]:
        factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
        return max(int(width * factor), 1), max(int(height * factor), 1)


@dataclass(frozen=True)
class FixShapeResize(Transform):
    """Resize into a fixed shape; mmdet's FixShapeResize.

    Args:
        width: of the answer, in pixels.
        height: of the answer.
        pad_val: of `Pad`, which fills what ``keep_ratio`` leaves free below or to the right.
        keep_ratio: keep the ratio of the sides, and pad.
        clip_object_border: cut boxes and keypoints at the picture's border.
        backend: as `Resize`.
        interpolation: as `Resize`.

    Sets what `Resize` sets; with ``keep_ratio`` what `Pad` sets too.

    Example:
        >>> FixShapeResize(8, 8, keep_ratio=True)({"img": np.zeros((10, 20, 3), np.uint8)})["pad_shape"]
        (8, 8, 3)
    """

    width: int
    height: int
    pad_val: Any = Pad.pad_val
    keep_ratio: bool = False
    clip_object_border: bool = True
    backend: str = "cv2"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        _check_way(self)
        scale_pair((self.width, self.height), "FixShapeResize: (width, height)")
        object.__setattr__(self, "pad_val", Pad(size=(self.width, self.height), pad_val=self.pad_val).pad_val)

    def apply(self, sample: Sample, params: Any) -> Sample:
        height, width = image_of(sample).shape[:2]
        factors = (self.width / width, self.height / height)
        size = (self.width, self.height)
        if self.keep_ratio:
            factors = (min(factors),) * 2
            size = (int(width * factors[0] + 0.5), int(height * factors[0] + 0.5))
        fitted = rescale_size((width, height), size) if self.keep_ratio else size
        changes = resized(sample, fitted, factors, self)
        done = replaced(sample, scale=size, keep_ratio=self.keep_ratio, **changes)
        return Pad((self.width, self.height), pad_val=self.pad_val).apply(done, None) if self.keep_ratio else done


@dataclass(frozen=True)
class SegRescale(Transform):
    """Rescale ``gt_seg_map`` and the maps of ``seg_fields`` by the nearest pixel; mmdet's and mmseg's SegRescale.

    Args:
        scale_factor: of both sides.
        backend: "cv2" or "pillow".

    Example:
        >>> SegRescale(0.5)({"gt_seg_map": np.zeros((4, 6), np.uint8)})["gt_seg_map"].shape
        (2, 3)
    """

    scale_factor: float = 1
    backend: str = "cv2"

    def __post_init__(self) -> None:
        expect_number(self.scale_factor, "SegRescale: scale_factor")
        one_of("SegRescale", "backend", self.backend, _BACKENDS)
        if self.scale_factor <= 0:
            raise FkitValueError(f"SegRescale: scale_factor = {self.scale_factor!r} is no positive factor.")

    def apply(self, sample: Sample, params: Any) -> Sample:
        if self.scale_factor == 1:
            return sample
        maps: dict[str, NDArray[Any]] = {name: sample[name] for name in maps_of(sample)}
        sizes = {name: rescale_size((seg.shape[1], seg.shape[0]), self.scale_factor) for name, seg in maps.items()}
        return replaced(sample, **{name: _map(seg, sizes[name], self.backend) for name, seg in maps.items()})


def resized(
    sample: Sample, size: tuple[int, int], factors: tuple[float, float], way: Resize | FixShapeResize
) -> dict[str, Any]:
    """What changes in a sample whose picture becomes ``size`` (width, height); boxes by ``factors`` (of x, of y)."""
    img = image_of(sample)
    width, height = size
    changes: dict[str, Any] = {"img_shape": (height, width), "scale_factor": factors}
    if (height, width) != img.shape[:2]:
        done = imresize(img, size, interpolation=way.interpolation, backend=way.backend)
        changes["img"] = done.reshape(height, width, *img.shape[2:])  # cv2 drops a last axis of one
    boxes = as_boxes(sample)
    if boxes is not None:
        scaled = scale_boxes(boxes, factors)
        changes["gt_bboxes"] = clip_boxes(scaled, (height, width)) if way.clip_object_border else scaled
    for name in maps_of(sample):
        changes[name] = _map(sample[name], size, way.backend)
    if sample.get("gt_masks") is not None:
        changes["gt_masks"] = sample["gt_masks"].resize((height, width))
    if sample.get("gt_keypoints") is not None:
        changes["gt_keypoints"] = _scaled_points(
            sample["gt_keypoints"], factors, size if way.clip_object_border else ()
        )
    changes["homography_matrix"] = homography(sample, ((factors[0], 0, 0), (0, factors[1], 0), (0, 0, 1)))
    return changes


def scale_pair(scale: Any, what: str) -> tuple[int, int]:
    """(width, height) of a size in pixels, or of one int for both.

    Example:
        >>> scale_pair(32, "Resize: scale"), scale_pair([64, 32], "Resize: scale")
        ((32, 32), (64, 32))
    """
    pair: tuple[Any, ...] = tuple(scale) if isinstance(scale, (list, tuple)) else (scale, scale)
    for side in pair:
        expect_number(side, what, whole=True)
    if len(pair) != 2 or min(pair) < 1:
        raise FkitValueError(f"{what} = {scale!r} is no (width, height) in pixels.")
    return int(pair[0]), int(pair[1])


def _scaled_points(points: NDArray[Any], factors: tuple[float, float], border: tuple[int, ...]) -> NDArray[Any]:
    """Keypoints (N, K, 3) x y visible, scaled, and clipped to ``border`` (width, height) where there is one."""
    scaled = points.astype(np.float32) if points.dtype.kind != "f" else points.copy()
    scaled[..., :2] *= np.array(factors, scaled.dtype)
    if border:
        scaled[..., :2] = scaled[..., :2].clip(0, border)
    return scaled


def _map(seg: NDArray[Any], size: tuple[int, int], backend: str) -> NDArray[Any]:
    if size == (seg.shape[1], seg.shape[0]):
        return seg
    if backend == "pillow":
        return imresize(seg, size, interpolation="nearest", backend=backend)
    return resize_map(seg, size)


def _check_way(way: Resize | FixShapeResize) -> None:
    name = type(way).__name__
    for word in ("keep_ratio", "clip_object_border"):
        expect(getattr(way, word), bool, f"{name}: {word} is True or False")
    one_of(name, "backend", way.backend, _BACKENDS)
    if way.backend == "cv2":
        interpolation_code(name, way.interpolation)
    else:
        expect(way.interpolation, str, f"{name}: interpolation is a word")
