"""MMDetection's transforms for annotations: loading, emptying, filtering; proposals, panoptic maps, tracks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.annotation import LoadAnnotations, instances_of, listed, size_of
from fkit.data.transform.content import as_boxes
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.fileio.part import backend_args_of
from fkit.image.io import imread
from fkit.structures.mask import BitmapMasks
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = [
    "DetLoadAnnotations",
    "FilterAnnotations",
    "LoadEmptyAnnotations",
    "LoadPanopticAnnotations",
    "LoadProposals",
    "LoadTrackAnnotations",
]


@dataclass(frozen=True)
class DetLoadAnnotations(LoadAnnotations):
    """`LoadAnnotations` with mmdet's marks: ``gt_ignore_flags`` always, ``ignore_index`` beside a map."""

    @property
    def flagged(self) -> bool:
        return True


@dataclass(frozen=True)
class LoadTrackAnnotations(DetLoadAnnotations):
    """`DetLoadAnnotations`, and ``instance_id`` of each instance -> ``gt_instances_ids`` (N,) int32; mmdet's LoadTrackAnnotations.

    An instance without a box has no row among the boxes.
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        instances = instances_of(sample)
        boxed = replaced(sample, instances=tuple(one for one in instances if "bbox" in one))
        done = super().apply(boxed if self.with_bbox and not self.with_mask else sample, params)
        numbers = np.array([listed(one, "instance_id") for one in instances], np.int32)
        return replaced(done, instances=instances, gt_instances_ids=numbers)


@dataclass(frozen=True)
class LoadEmptyAnnotations(Transform):
    """No objects, for images without labels; mmdet's LoadEmptyAnnotations.

    Args:
        with_bbox: ``gt_bboxes`` (0, 4), ``gt_ignore_flags`` (0,).
        with_label: ``gt_bboxes_labels`` (0,).
        with_mask: ``gt_masks`` (0, H, W) of ``img_shape``.
        with_seg: ``gt_seg_map`` (H, W) uint8, ``seg_ignore_label`` all over.
        seg_ignore_label: the label that losses pass over.

    Example:
        >>> LoadEmptyAnnotations()({})["gt_bboxes"].shape
        (0, 4)
    """

    with_bbox: bool = True
    with_label: bool = True
    with_mask: bool = False
    with_seg: bool = False
    seg_ignore_label: int = 255

    def __post_init__(self) -> None:
        check_fields(self)

    def apply(self, sample: Sample, params: Any) -> Sample:
        done: dict[str, Any] = {**sample}
        if self.with_bbox:
            done |= {"gt_bboxes": np.zeros((0, 4), np.float32), "gt_ignore_flags": np.zeros(0, bool)}
        if self.with_label:
            done["gt_bboxes_labels"] = np.zeros(0, np.int64)
        if self.with_mask or self.with_seg:
            height, width = sample["img_shape"][:2]
            if self.with_mask:
                done["gt_masks"] = BitmapMasks(np.zeros((0, height, width), np.uint8), height, width)
            if self.with_seg:
                done["gt_seg_map"] = np.full((height, width), self.seg_ignore_label, np.uint8)
        return frozen(done)


@dataclass(frozen=True)
class LoadPanopticAnnotations(Transform):
    """Boxes and labels of ``instances``, masks and map of a panoptic picture; mmdet's LoadPanopticAnnotations.

    Args:
        with_bbox: as in `fkit.data.transform.annotation.LoadAnnotations`.
        with_label: likewise.
        with_mask: a bitmap for each segment of a thing -> ``gt_masks``.
        with_seg: the category at each pixel, 255 where there is none -> ``gt_seg_map`` (H, W) int32.
        box_type: "hbox" or None, which are the same here.
        imdecode_backend: reads the picture.
        backend_args: options of the storage that holds the picture.

    The picture ``seg_map_path`` holds a segment's number as red + 256 green + 256^2 blue; ``segments_info`` says for each
    number the ``category`` and whether it ``is_thing``.
    """

    with_bbox: bool = True
    with_label: bool = True
    with_mask: bool = True
    with_seg: bool = True
    box_type: str | None = "hbox"
    imdecode_backend: str | None = "cv2"
    backend_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        self._boxes()
        backend_args_of(self.backend_args, None)

    def _boxes(self) -> DetLoadAnnotations:
        return DetLoadAnnotations(self.with_bbox, self.with_label, box_type=self.box_type)

    def apply(self, sample: Sample, params: Any) -> Sample:
        done: dict[str, Any] = {**self._boxes()(sample)}
        if sample.get("seg_map_path") is None or not (self.with_mask or self.with_seg):
            return frozen(done)
        picture = imread(
            sample["seg_map_path"], "color", "rgb", self.imdecode_backend, backend_args=self.backend_args or None
        )
        numbers: NDArray[np.int32] = picture.astype(np.int32) @ np.array((1, 256, 256**2), np.int32)
        seg_map, masks = np.full(numbers.shape, 255, np.int32), list[NDArray[np.uint8]]()
        segments: Any = sample["segments_info"]
        expect(segments, (list, tuple), "`segments_info` is a list of mappings, one a segment")
        for segment in cast("Sequence[Mapping[str, Any]]", segments):
            inside = numbers == listed(segment, "id")
            seg_map[inside] = listed(segment, "category")
            if segment.get("is_thing"):
                masks.append(inside.astype(np.uint8))
        height, width = size_of(done)
        if self.with_mask:
            done["gt_masks"] = BitmapMasks(cast(Any, masks), height, width)
        if self.with_seg:
            done["gt_seg_map"] = seg_map
        return frozen(done)


@dataclass(frozen=True)
class LoadProposals(Transform):
    """Proposals that were computed before, as arrays; mmdet's LoadProposals.

    Args:
        num_max_proposals: the first so many; None takes all.

    ``proposals`` is a mapping with ``bboxes`` (N, 4) and perhaps ``scores`` (N,), best first. Sets ``proposals`` (N, 4)
    and ``proposals_scores`` (N,), both float32; scores that are not there are 0.

    Example:
        >>> LoadProposals(1)({"proposals": {"bboxes": np.zeros((3, 4))}})["proposals"].shape
        (1, 4)
    """

    num_max_proposals: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def apply(self, sample: Sample, params: Any) -> Sample:
        proposals: Any = sample["proposals"]
        if not hasattr(proposals, "keys") or "bboxes" not in proposals:
            raise FkitValueError("`proposals` is a mapping with 'bboxes' (N, 4) and perhaps 'scores' (N,).")
        boxes = np.asarray(proposals["bboxes"], np.float32)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise FkitValueError(f"proposals have the shape {boxes.shape}, not (N, 4).")
        scores = (
            np.asarray(proposals["scores"], np.float32) if "scores" in proposals else np.zeros(len(boxes), np.float32)
        )
        if len(scores) != len(boxes):
            raise FkitValueError(f"{len(boxes)} proposals with {len(scores)} scores.")
        count = self.num_max_proposals
        return replaced(sample, proposals=boxes[:count], proposals_scores=scores[:count])


@dataclass(frozen=True)
class FilterAnnotations(Transform):
    """Leave out objects that are too small; mmdet's FilterAnnotations.

    Args:
        min_gt_bbox_wh: a box is kept that is wider and higher than this, in pixels.
        min_gt_mask_area: a mask is kept that has at least so many pixels.
        by_box: judge by boxes.
        by_mask: judge by masks.
        keep_empty: a sample whose objects all go is dropped, and another takes its place; False keeps it without
            objects. (The name says the opposite; this is what mmdet does.)

    A sample that comes without objects stays as it is.

    Example:
        >>> sample = {"gt_bboxes": np.array([[0, 0, 4, 4], [0, 0, 40, 40]], np.float32)}
        >>> FilterAnnotations(min_gt_bbox_wh=(8, 8))(sample)["gt_bboxes"].tolist()
        [[0.0, 0.0, 40.0, 40.0]]
    """

    min_gt_bbox_wh: tuple[float, float] = (1.0, 1.0)
    min_gt_mask_area: float = 1
    by_box: bool = True
    by_mask: bool = False
    keep_empty: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.min_gt_bbox_wh) != 2:
            raise FkitValueError(f"FilterAnnotations: min_gt_bbox_wh = {self.min_gt_bbox_wh!r} is no (width, height).")
        if not (self.by_box or self.by_mask):
            raise FkitValueError("FilterAnnotations judges by nothing: by_box and by_mask are both False.")
        object.__setattr__(self, "min_gt_bbox_wh", tuple(self.min_gt_bbox_wh))

    def apply(self, sample: Sample, params: Any) -> Any:
        boxes = as_boxes(sample)
        if boxes is None:
            raise FkitKeyError("the sample has no 'gt_bboxes' to judge.", choices=sample, label="It has")
        if not len(boxes):
            return sample
        kept = np.ones(len(boxes), bool)
        if self.by_box:
            kept &= np.all(boxes[:, 2:] - boxes[:, :2] > np.array(self.min_gt_bbox_wh), axis=1)
        if self.by_mask:
            if "gt_masks" not in sample:
                raise FkitKeyError(
                    "the sample has no 'gt_masks' to judge by.",
                    value="gt_masks",
                    choices=sample,
                    label="It has",
                    repair="Load them (LoadAnnotations with_mask=True), or leave by_mask out.",
                )
            kept &= sample["gt_masks"].areas >= self.min_gt_mask_area
        if self.keep_empty and not kept.any():
            return None
        return chosen(sample, kept)


_OF_OBJECTS = ("gt_bboxes", "gt_bboxes_labels", "gt_masks", "gt_ignore_flags", "gt_instances_ids")


def chosen(sample: Sample, kept: NDArray[Any]) -> Sample:
    """The sample with some of its objects; ``kept`` is a mask (N,) or numbers."""
    return replaced(sample, **{name: sample[name][kept] for name in _OF_OBJECTS if name in sample})
