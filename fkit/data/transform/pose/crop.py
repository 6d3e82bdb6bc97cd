"""MMPose's crops and sizes of images with several persons: BottomupRandomCrop, BottomupRandomChoiceResize."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.codec.codec import Floats
from fkit.data.transform.draw import needed
from fkit.data.transform.pose.bottomup import clip_box, unseen_outside
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.resize import imresize, rescale_size
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["BottomupRandomChoiceResize", "BottomupRandomCrop", "Window"]

_TYPES = ("relative_range", "relative", "absolute", "absolute_range")
_PERSONS = ("bbox_score", "id", "category_id", "raw_ann_info", "iscrowd")


class Window(NamedTuple):
    """What `BottomupRandomCrop` cuts out.

    Attributes:
        size: (height, width).
        offset: (down, right).
    """

    size: tuple[int, int]
    offset: tuple[int, int]


@dataclass(frozen=True)
class BottomupRandomCrop(Transform):
    """A part of the image, and the persons in it; mmpose's BottomupRandomCrop.

    Args:
        crop_size: "absolute": (width, height); "absolute_range": (least, most) of both sides; "relative": parts of the width
            and the height; "relative_range": the least of them.
        crop_type: one of the four.
        allow_negative_crop: False: a sample with no box in the part is dropped.
        recompute_bbox: boxes of the masks.
        bbox_clip_border: clip boxes to the part; keypoints outside are not seen.

    Params: a `Window`. Changes ``img``, ``img_shape``, ``bbox`` and what there is of each person, ``keypoints`` (clipped),
    ``keypoints_visible``, ``segmentation``, ``masks``; sets ``warp_mat``.

    Example:
        >>> sample = {"img": np.zeros((8, 8, 3), np.uint8), "bbox": np.array([[0.0, 0, 4, 4]])}
        >>> BottomupRandomCrop((4, 4)).apply(sample, Window((4, 4), (2, 2)))["bbox"].tolist()
        [[0.0, 0.0, 2.0, 2.0]]
    """

    crop_size: tuple[float, float]
    crop_type: str = "absolute"
    allow_negative_crop: bool = False
    recompute_bbox: bool = False
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.crop_type not in _TYPES:
            raise FkitValueError(
                f"BottomupRandomCrop: crop_type = {self.crop_type!r} is unknown.", value=self.crop_type, choices=_TYPES
            )
        size = tuple(self.crop_size)
        if len(size) != 2 or min(size) <= 0:
            raise FkitValueError(f"BottomupRandomCrop: crop_size = {self.crop_size!r} is two positive numbers.")
        if self.crop_type.startswith("absolute"):
            for one in size:
                expect_number(one, "BottomupRandomCrop: crop_size", whole=True)
        elif max(size) > 1:
            raise FkitValueError(f"BottomupRandomCrop: crop_size = {size!r}: parts of the sides, at most 1.")
        if self.crop_type == "absolute_range" and size[0] > size[1]:
            raise FkitValueError(f"BottomupRandomCrop: crop_size = {size!r} is (least, most).")
        object.__setattr__(self, "crop_size", size)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Window:
        source = needed(rng, self)
        height, width = np.shape(sample["img"])[:2]
        across, down = self.crop_size
        if self.crop_type == "absolute":
            size = (min(int(down), height), min(int(across), width))
        elif self.crop_type == "absolute_range":
            size = tuple(
                int(source.integers(min(side, int(across)), min(side, int(down)) + 1)) for side in (height, width)
            )
        elif self.crop_type == "relative":
            size = (int(height * down + 0.5), int(width * across + 0.5))
        else:
            parts = np.array((across, down)) + source.random(2) * (1 - np.array((across, down)))
            size = (int(height * parts[0] + 0.5), int(width * parts[1] + 0.5))
        offset = tuple(
            int(source.integers(max(side - mine, 0) + 1)) for side, mine in zip((height, width), size, strict=True)
        )
        return Window(cast("tuple[int, int]", size), cast("tuple[int, int]", offset))

    def apply(self, sample: Sample, params: Window) -> Any:
        (high, wide), (down, right) = params
        img: NDArray[Any] = sample["img"][down : down + high, right : right + wide]
        size = (img.shape[1], img.shape[0])
        step = np.array(((1, 0, -right), (0, 1, -down), (0, 0, 1)), np.float32)
        before = sample.get("warp_mat")
        changes: dict[str, Any] = {"img": img, "img_shape": img.shape[:2]}
        changes["warp_mat"] = step if before is None else step @ before
        if sample.get("segmentation") is not None:
            changes["segmentation"] = sample["segmentation"][down : down + high, right : right + wide]
        if sample.get("bbox") is None:
            return replaced(sample, **changes)
        boxes: Floats = sample["bbox"] - np.array((right, down, right, down), sample["bbox"].dtype)
        boxes = clip_box(boxes, size) if self.bbox_clip_border else boxes
        left = np.logical_and((boxes[..., :2] < size).all(axis=-1), (boxes[..., 2:] > 0).all(axis=-1))
        if not left.any() and not self.allow_negative_crop:
            return None
        changes["bbox"] = boxes[left]
        for key in _PERSONS:
            if sample.get(key) is not None and np.ndim(sample[key]):
                several = np.asarray(sample[key], None if isinstance(sample[key], np.ndarray) else object)[left]
                changes[key] = several if isinstance(sample[key], np.ndarray) else several.tolist()
        if sample.get("keypoints") is not None:
            points: Floats = sample["keypoints"] - np.array((right, down), sample["keypoints"].dtype)
            seen: Floats = sample["keypoints_visible"]
            if self.bbox_clip_border:
                seen = unseen_outside(points, seen, size)
            changes["keypoints"], changes["keypoints_visible"] = clip_box(points, size)[left], seen[left]
        if sample.get("masks") is not None:
            masks = sample["masks"][np.flatnonzero(left)].crop((right, down, right + wide, down + high))
            changes["masks"] = masks
            if self.recompute_bbox:
                changes["bbox"] = masks.get_bboxes()
        return replaced(sample, **changes)


@dataclass(frozen=True)
class BottomupRandomChoiceResize(Transform):
    """The image in one of several sizes; mmpose's BottomupRandomChoiceResize.

    Args:
        scales: sizes (width, height), one of which is drawn; with ``keep_ratio``, what the image is fitted into.
        keep_ratio: keep the ratio of the sides.
        clip_object_border: clip boxes and keypoints to the image.
        backend: "cv2" or "pillow".

    Params: the number of the size. Changes ``img``, ``img_shape``, ``bbox``, ``keypoints``; sets ``scale_factor`` (width, height),
    ``scale_idx``, ``input_size``, ``input_center``, ``input_scale``.

    Example:
        >>> sample = {"img": np.zeros((4, 4, 3), np.uint8), "ori_shape": (4, 4), "keypoints": np.ones((1, 1, 2))}
        >>> BottomupRandomChoiceResize([(8, 8), (2, 2)]).apply(sample, 0)["keypoints"].tolist()
        [[[2.0, 2.0]]]
    """

    scales: Sequence[Any]
    keep_ratio: bool = False
    clip_object_border: bool = True
    backend: str = "cv2"

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.scales, (list, tuple), "BottomupRandomChoiceResize: scales is a list of sizes")
        several = cast("Sequence[Any]", self.scales if isinstance(self.scales, list) else (self.scales,))
        if isinstance(self.scales, tuple) and all(isinstance(one, (list, tuple)) for one in self.scales):
            several = self.scales
        for one in several:
            expect(one, (list, tuple), "BottomupRandomChoiceResize: scales are (width, height)")
            for side in one:
                expect_number(side, "BottomupRandomChoiceResize: scales", whole=True)
        if not several or any(len(one) != 2 or min(one) < 1 for one in several):
            raise FkitValueError(f"BottomupRandomChoiceResize: scales = {self.scales!r} are (width, height) in pixels.")
        object.__setattr__(self, "scales", tuple(tuple(one) for one in several))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> int:
        return int(needed(rng, self).integers(len(self.scales)))

    def apply(self, sample: Sample, params: int) -> Sample:
        img: NDArray[Any] = sample["img"]
        height, width = img.shape[:2]
        size: tuple[int, int] = self.scales[params]
        if self.keep_ratio:
            size = rescale_size((width, height), size)
        done = imresize(img, size, backend=self.backend).reshape(size[1], size[0], *img.shape[2:])
        factor = (size[0] / width, size[1] / height)
        sides = np.array(sample["ori_shape"][:2], np.float32)  # (height, width): so it is in the reference
        changes: dict[str, Any] = {"input_center": sides / 2, "input_scale": sides}
        for key in ("bbox", "keypoints"):
            if sample.get(key) is not None:
                points: Floats = sample[key].copy()
                for axis in range(2):
                    points[..., axis::2] = points[..., axis::2] * factor[axis]
                changes[key] = clip_box(points, size) if self.clip_object_border else points
        return replaced(
            sample,
            img=done,
            img_shape=done.shape[:2],
            input_size=done.shape[:2],
            scale_factor=factor,
            scale_idx=params,
            **changes,
        )
