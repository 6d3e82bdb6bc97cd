"""Transforms that turn a dataset's records into arrays: boxes, labels, keypoints, segmentation maps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.transform import Sample, Transform
from fkit.fileio.part import backend_args_of
from fkit.image.io import imread
from fkit.structures.mask import BitmapMasks, PolygonMasks, polygon_to_bitmap, rle_to_bitmap
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitKeyError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["LoadAnnotations", "instances_of", "listed", "read_map", "relabelled"]

Options = Mapping[str, Any] | None
_BOXES = ("hbox", None)


@dataclass(frozen=True)
class LoadAnnotations(Transform):
    """Arrays of the records in ``instances``, and the map in ``seg_map_path``; LoadAnnotations of mmcv and of mmdet.

    Args:
        with_bbox: ``bbox`` (x1, y1, x2, y2) of each instance -> ``gt_bboxes`` (N, 4) float32; and ``ignore_flag`` ->
            ``gt_ignore_flags`` (N,) bool, where instances have it.
        with_label: ``bbox_label`` -> ``gt_bboxes_labels`` (N,) int64.
        with_seg: the picture ``seg_map_path``, as stored -> ``gt_seg_map`` (H, W).
        with_keypoints: ``keypoints`` [x, y, v, ...] -> ``gt_keypoints`` (N, K, 3) float32.
        imdecode_backend: reads the map: "cv2", "pillow" or "tifffile".
        file_client_args: the older name of ``backend_args``.
        backend_args: options of the storage that holds the map.
        with_mask: ``mask`` (polygons, or run lengths as COCO has them) -> ``gt_masks``; an instance whose mask holds
            nothing is ignored.
        poly2mask: masks as bitmaps; otherwise as polygons, which run lengths cannot be.
        box_type: "hbox", or None, which is the same here: boxes are plain arrays.
        reduce_zero_label: the map's label 0 is no class: it becomes ``ignore_index``, and the others one less.
        ignore_index: of the map, where ``reduce_zero_label`` is.
        denorm_bbox: boxes are parts of the image's width and height (mmdet 2.x).

    Raises:
        FkitKeyError: the sample or an instance lacks what was asked for.
        FkitValueError: boxes or keypoints have another count of numbers.

    Example:
        >>> sample = {"instances": [{"bbox": [1, 2, 30, 40], "bbox_label": 3, "ignore_flag": 0}]}
        >>> loaded = LoadAnnotations()(sample)
        >>> loaded["gt_bboxes"].tolist(), loaded["gt_bboxes_labels"].tolist(), loaded["gt_ignore_flags"].tolist()
        ([[1.0, 2.0, 30.0, 40.0]], [3], [False])
    """

    with_bbox: bool = True
    with_label: bool = True
    with_seg: bool = False
    with_keypoints: bool = False
    imdecode_backend: str | None = "cv2"
    file_client_args: Options = None
    backend_args: Options = None
    with_mask: bool = False
    poly2mask: bool = True
    box_type: str | None = "hbox"
    reduce_zero_label: bool = False
    ignore_index: int = 255
    denorm_bbox: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.box_type not in _BOXES:
            raise FkitValueError(
                f"LoadAnnotations: box_type = {self.box_type!r} is unknown.",
                value=str(self.box_type),
                choices=("hbox", "None"),
                repair="Boxes are plain arrays (N, 4) here.",
            )
        backend_args_of(self.backend_args, self.file_client_args)

    def apply(self, sample: Sample, params: Any) -> Sample:
        done: dict[str, Any] = {**sample}
        if self.with_bbox or self.with_label or self.with_mask or self.with_keypoints:
            self._instances(instances_of(sample), done)
        if self.with_seg and sample.get("seg_map_path") is not None:
            self._map(sample, done)
        return frozen(done)

    def _instances(self, instances: Sequence[Mapping[str, Any]], done: dict[str, Any]) -> None:
        flags = [bool(one.get("ignore_flag", False)) for one in instances]
        if self.with_bbox:
            boxes = _rows([listed(one, "bbox") for one in instances], 4, "bbox")
            if self.denorm_bbox:
                height, width = size_of(done)
                boxes = boxes * np.array((width, height, width, height), np.float32)
            done["gt_bboxes"] = boxes
        if self.with_label:
            done["gt_bboxes_labels"] = np.array([listed(one, "bbox_label") for one in instances], np.int64)
        if self.with_mask:
            parts = [_parts(listed(one, "mask"), self.poly2mask) for one in instances]
            bad = [part is None for part in parts]
            flags = [flag or one for flag, one in zip(flags, bad, strict=True)]
            if any(bad):
                rows = zip(instances, bad, strict=True)
                done["instances"] = tuple({**one, "ignore_flag": 1} if ignored else one for one, ignored in rows)
            done["gt_masks"] = self._masks(parts, *size_of(done))
        said = self.flagged or any("ignore_flag" in one for one in instances)
        if self.with_mask or (self.with_bbox and said):
            done["gt_ignore_flags"] = np.array(flags, bool)
        if self.with_keypoints:
            points = [np.asarray(listed(one, "keypoints"), np.float32).ravel() for one in instances]
            if len({point.size for point in points} | {3 * (point.size // 3) for point in points}) > 1:
                raise FkitValueError("keypoints of one image differ in number, or are no [x, y, v, x, y, v, ...].")
            done["gt_keypoints"] = np.array(points, np.float32).reshape(len(points), -1 if points else 0, 3)

    @property
    def flagged(self) -> bool:
        """Whether there is ``gt_ignore_flags`` even where no instance says so."""
        return False

    def _masks(self, parts: Sequence[Any], height: int, width: int) -> BitmapMasks | PolygonMasks:
        empty = [np.zeros(6)]  # an object with no area, which keeps the place of one that cannot be read
        shapes = [empty if part is None else part for part in parts]
        if not self.poly2mask:
            return PolygonMasks(cast(Any, shapes), height, width)
        bitmaps: Any = [_bitmap(shape, height, width) for shape in shapes]
        return BitmapMasks(bitmaps, height, width)

    def _map(self, sample: Sample, done: dict[str, Any]) -> None:
        options = backend_args_of(self.backend_args, self.file_client_args)
        seg_map = read_map(sample["seg_map_path"], self.imdecode_backend, options, sample.get("ori_shape"))
        if self.reduce_zero_label:
            seg_map = reduced(seg_map, self.ignore_index)
        done["gt_seg_map"] = relabelled(seg_map, sample.get("label_map"))
        if self.flagged:
            done["ignore_index"] = self.ignore_index


def instances_of(sample: Sample) -> Sequence[Mapping[str, Any]]:
    """The records of a sample's objects; a test image without annotations has none.

    Raises:
        FkitTypeError: ``instances`` is no list of mappings.

    Example:
        >>> instances_of({"img_path": "a.jpg"})
        ()
    """
    expect(sample, Mapping, "`sample` is a mapping")
    instances: Any = sample.get("instances", ())
    expect(instances, (list, tuple), "`instances` is a list of mappings, one an object")
    for one in instances:
        expect(one, Mapping, "`instances` is a list of mappings, one an object")
    return cast("Sequence[Mapping[str, Any]]", instances)


def listed(instance: Mapping[str, Any], key: str) -> Any:
    """What an object's record says of ``key``.

    Raises:
        FkitKeyError: nothing.

    Example:
        >>> listed({"bbox_label": 3}, "bbox_label")
        3
    """
    expect(instance, Mapping, "`instance` is a mapping")
    if key not in instance:
        raise FkitKeyError(
            f"an object of the annotations has no {key!r}.",
            value=key,
            choices=instance,
            label="It has",
            repair=f"Load without it (with_{key.removeprefix('bbox_')}=False), or add it to the annotations.",
        )
    return instance[key]


def size_of(sample: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) of the image that the annotations are of."""
    shape: Any = sample.get("ori_shape", (sample.get("height"), sample.get("width")))
    if shape is None or None in shape:
        raise FkitKeyError(
            "the sample says no size: it has neither ori_shape nor height and width.",
            repair="Load the image before the annotations.",
        )
    return int(shape[0]), int(shape[1])


def read_map(
    path: str, backend: str | None = "cv2", backend_args: Options = None, size: Sequence[int] | None = None
) -> NDArray[Any]:
    """A segmentation map as its file stores it: (H, W), writable.

    Args:
        size: (height, width, ...) of its image; None where that is not known.

    Raises:
        FkitFileNotFoundError: there is no such file.
        FkitOSError: the file holds no whole picture.
        FkitValueError: it holds colours, or is of another size than its image.
    """
    seg_map = imread(path, "unchanged", backend=backend, backend_args=backend_args or None)
    if seg_map.ndim == 3 and seg_map.shape[2] == 1:
        seg_map = seg_map[..., 0]
    if seg_map.ndim != 2:
        raise FkitValueError(
            f"{path}: holds {seg_map.shape[2]} colours a pixel, and a segmentation map one label.",
            repair="Write labels as one channel. imdecode_backend='pillow' keeps those of a palette.",
        )
    if size is not None and seg_map.shape != tuple(size[:2]):
        raise FkitValueError(
            f"{path}: the map is {seg_map.shape[1]} x {seg_map.shape[0]} pixels, and its image {size[1]} x {size[0]}.",
            repair="Make the map in the size of its image.",
        )
    return seg_map


def reduced(seg_map: NDArray[Any], ignore_index: int = 255) -> NDArray[Any]:
    """A map with label 0 ignored and the others one less."""
    ignored = (seg_map == 0) | (seg_map == ignore_index)
    return np.where(ignored, np.asarray(ignore_index, seg_map.dtype), seg_map - np.asarray(1, seg_map.dtype))


def relabelled(seg_map: NDArray[Any], label_map: Mapping[int, int] | None) -> NDArray[Any]:
    """A map with its labels renamed, all at once.

    Example:
        >>> relabelled(np.array([[0, 1]]), {0: 1, 1: 0}).tolist()
        [[1, 0]]
    """
    expect(seg_map, np.ndarray, "`seg_map` is an array (H, W)")
    if not label_map:
        return seg_map
    expect(label_map, Mapping, "`label_map` is a mapping of labels to labels")
    done = seg_map.copy()
    for old, new in label_map.items():
        done[seg_map == old] = np.asarray(new).astype(seg_map.dtype)
    return done


def _rows(values: Iterable[Any], count: int, what: str) -> NDArray[np.float32]:
    rows = [np.asarray(value, np.float32) for value in values]
    for row in rows:
        if row.shape != (count,):
            raise FkitValueError(f"a {what} has the shape {row.shape}, not {count} numbers: {quoted(row.tolist())}.")
    return np.stack(rows) if rows else np.zeros((0, count), np.float32)


def _parts(mask: Any, bitmaps: bool) -> Any:
    """The polygons of a mask that are some, or its run lengths; None where it holds nothing."""
    if isinstance(mask, (list, tuple)):
        parts = [np.asarray(part) for part in cast("Sequence[Any]", mask) if len(part) % 2 == 0 and len(part) >= 6]
        return parts or None
    if not bitmaps or not isinstance(mask, Mapping):
        return None
    runs = cast("Mapping[str, Any]", mask)
    return runs if runs.get("size") is not None and isinstance(runs.get("counts"), (str, bytes, list, tuple)) else None


def _bitmap(shape: Any, height: int, width: int) -> NDArray[np.uint8]:
    pixels = rle_to_bitmap(shape) if isinstance(shape, Mapping) else polygon_to_bitmap(shape, height, width)
    return pixels.view(np.uint8)
