"""Pose datasets of COCO's form: an instance a record (top-down), or an image a record (bottom-up); MMPose's."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.coco_file import read_coco
from fkit.data.dataset.facts import fixed
from fkit.data.dataset.joined import joined
from fkit.data.dataset.keypoints import pose_metainfo, says_keypoints
from fkit.fileio.io import load
from fkit.fileio.operation import exists
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["BaseCocoStyleDataset", "Row", "area_of", "clipped_box", "counted"]

Row = dict[str, Any]

_MODES = ("topdown", "bottomup")
_SAID = ("dataset_name", "upper_body_ids", "lower_body_ids", "flip_pairs", "dataset_keypoint_weights", "flip_indices")


@dataclass(frozen=True)
class BaseCocoStyleDataset(BaseDataset):
    """Keypoints of people or things, by an annotation file of COCO's form.

    A record of an instance: ``img_id``, ``img_path``, ``id``, ``bbox`` (1, 4) x1, y1, x2, y2 cut to the image,
    ``bbox_score`` (1,), ``keypoints`` (1, K, 2), ``keypoints_visible`` (1, K) 0 or 1, ``num_keypoints``, ``area``,
    ``iscrowd``, ``segmentation``, ``category_id``, ``raw_ann_info``; and of the metainfo what transforms want of it. A
    record of an image has these of all its instances, (N, ...) or lists, and ``invalid_segs`` of those that cannot be used.
    Instances of a crowd, without keypoints or without a box's extent are no records in top-down mode.

    Args:
        bbox_file: detections (COCO's results form) in place of the annotated boxes; for top-down tests. It is told from the
            working folder, as in MMPose; where it is not there, from ``data_root``.
        data_mode: "topdown" or "bottomup".
        sample_interval: images whose id is no multiple of it are left out.
        backend_args: the storage of the annotation file.

    Of ``filter_cfg``, ``bbox_score_thr`` leaves out detections below it.
    """

    UNSAID: ClassVar[frozenset[str]] = frozenset()  # what records of this data set do not have

    metainfo: Mapping[str, Any] = EMPTY
    data_prefix: Mapping[str, str] = frozen({"img": ""})
    bbox_file: str | None = None
    data_mode: str = "topdown"
    sample_interval: int = 1
    backend_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.data_mode not in _MODES:
            raise FkitValueError(
                f"{name}: data_mode = {self.data_mode!r} is unknown.", value=str(self.data_mode), choices=_MODES
            )
        expect_number(self.sample_interval, f"{name}: sample_interval", whole=True)
        if self.sample_interval < 1:
            raise FkitValueError(f"{name}: sample_interval = {self.sample_interval}: at least 1.")
        expect(self.bbox_file, (str, type(None)), f"{name}: bbox_file is a path")
        expect(self.backend_args, (Mapping, type(None)), f"{name}: backend_args is a mapping")
        if self.bbox_file and (self.data_mode != "topdown" or not self.test_mode):
            raise FkitValueError(f"{name}: bbox_file is for data_mode='topdown' and test_mode=True.", path="bbox_file")
        super().__post_init__()

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Record ``idx``, and what transforms want of the metainfo."""
        record = super().get_data_info(idx)
        for key in (*_SAID, "skeleton_links"):
            if key in record:
                raise FkitValueError(f"{type(self).__name__}: {key!r} is of the metainfo, and a record has it.")
            value = self.metainfo[key]
            record[key] = list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value
        return record

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        if self.bbox_file:
            beside = joined(self.data_root or "", self.bbox_file, "bbox_file")
            return self._detected(self.bbox_file if exists(self.bbox_file) else beside)
        instances, images = self.read()
        if self.data_mode == "topdown":
            return [one for one in instances if self._is_valid(one)]
        return self._by_image(instances, images)

    def filter_data(self) -> Iterable[Mapping[str, Any]]:
        records, least = self.data_list, (self.filter_cfg or {}).get("bbox_score_thr")
        if least is None:
            return records
        if self.data_mode != "topdown":
            raise FkitValueError(f"{type(self).__name__}: filter_cfg.bbox_score_thr is for data_mode='topdown'.")
        return [record for record in records if record["bbox_score"] >= least]

    # what a data set of another form writes

    def chosen(self, images: Sequence[Row]) -> Iterable[Row]:
        """The images that are read, by ``sample_interval``."""
        return (one for one in images if not isinstance(one["id"], int) or one["id"] % self.sample_interval == 0)

    def read(self) -> tuple[list[Row], list[Row]]:
        """The annotation file's instances, and its images ({"img_id", "img_path", ...})."""
        file = read_coco(self.ann_file, self.faults, self.backend_args)
        if file.categories:
            vars(self)["metainfo"] = frozen({**self.metainfo, "CLASSES": fixed(file.categories)})
        instances: list[Row] = []
        images: list[Row] = []
        for image in self.chosen(file.images):
            number = image["id"]
            images.append({**image, "img_id": number, "img_path": self.path_of(image)})
            for row in file.annotations[number]:
                one = self.parse_data_info({"raw_ann_info": row, "raw_img_info": images[-1]})
                if one is not None:
                    instances += one if isinstance(one, list) else [one]
        return instances, images

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        """The record of an instance, a list of several, or None where the annotation cannot be used."""
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        for key in ("bbox", "keypoints"):
            if key not in row:
                self.faults.note(f"an annotation without {key}", self.name_of(row))
                return None
        for key in ("area", "iscrowd", "num_keypoints"):
            if key in row and not (isinstance(row[key], (int, float)) and np.isfinite(row[key])):
                self.faults.add(f"{key} that is no number", self.name_of(row), quoted(row[key]))
                return None
        box = self.box_of(row, image)
        points = None if box is None else self.points_of(row, row["keypoints"])
        return None if box is None or points is None else self.record_of(row, image, box, points)

    def box_of(self, row: Row, image: Row) -> dict[str, Any] | None:
        """``bbox`` (1, 4) and what else is known of the box; None where it is wrong."""
        box = clipped_box(row["bbox"], image)
        if box is None:
            self.faults.add(
                "a box that is not four finite numbers of no negative size", self.name_of(row), quoted(row["bbox"])
            )
            return None
        return {"bbox": box}

    def points_of(self, row: Row, numbers: Any) -> NDArray[np.float32] | None:
        """Keypoints (1, K, 3) of 3 K numbers x, y, v; None where they are wrong."""
        try:
            points = np.array(numbers, np.float32).reshape(1, -1, 3)
        except (TypeError, ValueError):
            points = np.empty((1, 0, 3), np.float32)
        count = self.metainfo["num_keypoints"]
        if points.shape[1] != count or not np.isfinite(points).all():
            said = f"{points.size} numbers" if points.size and points.shape[1] != count else quoted(numbers)
            self.faults.add(f"keypoints that are not {count} times x, y, v", self.name_of(row), said)
            return None
        if (points[..., 2] < 0).any():
            self.faults.add("a keypoint whose v is below 0", self.name_of(row), quoted(numbers))
            return None
        return points

    def record_of(self, row: Row, image: Row, box: Mapping[str, Any], points: NDArray[np.float32]) -> Row:
        """The record of an annotation, its box and its keypoints (1, K, 3)."""
        record: Row = {
            "img_id": row["image_id"],
            "img_path": image["img_path"],
            **box,
            "bbox_score": np.ones(1, np.float32),
            "num_keypoints": row["num_keypoints"] if "num_keypoints" in row else counted(points),
            "keypoints": points[..., :2],
            "keypoints_visible": np.minimum(1, points[..., 2]),
            "area": np.array(row["area"] if "area" in row else area_of(row["bbox"], image), np.float32),
            "iscrowd": row.get("iscrowd", 0),
            "segmentation": row.get("segmentation"),
            "id": row.get("id"),
            "category_id": np.array(row.get("category_id", 1)),
            "raw_ann_info": row,
        }
        if "crowdIndex" in image:
            record["crowd_index"] = image["crowdIndex"]
        return {key: value for key, value in record.items() if key not in self.UNSAID}

    def facts(self) -> Mapping[str, Any]:
        """The keypoints of the data set, where the argument ``metainfo`` does not say them."""
        return self.METAINFO

    def path_of(self, image: Mapping[str, Any]) -> str:
        """An image's file."""
        return os.path.join(self.data_prefix.get("img", ""), image["file_name"])

    @staticmethod
    def name_of(row: Mapping[str, Any]) -> str:
        """An annotation, in a message."""
        return f"annotation {row.get('id')!r}"

    # how

    def _is_valid(self, record: Row) -> bool:
        """Whether an instance can be trained and tested on."""
        if record.get("iscrowd") or record.get("num_keypoints") == 0 or np.max(record["keypoints"]) <= 0:
            return False
        x1, y1, x2, y2 = record["bbox"][0]
        if x2 <= x1 or y2 <= y1:
            self.faults.note("a box without extent in its image", self.name_of(record))
            return False
        return True

    def _by_image(self, instances: list[Row], images: list[Row]) -> list[Row]:
        records: list[Row] = []
        for number, group in groupby(instances, lambda one: one["img_id"]):
            rows = list(group)
            record = {"img_id": number, "img_path": rows[0]["img_path"]}
            record.update({key: _together([row[key] for row in rows]) for key in rows[0] if key not in record})
            bad = [row["segmentation"] for row in rows if not self._is_valid(row) and "segmentation" in row]
            records.append({**record, "invalid_segs": bad})
        used = {record["img_id"] for record in records}
        if self.test_mode:  # an image without instances counts in the score
            records += [
                {"img_id": image["img_id"], "img_path": image["img_path"], "id": [], "raw_ann_info": None}
                for image in images
                if image["img_id"] not in used
            ]
        return records

    def _detected(self, path: str) -> list[Row]:
        rows: Any = load(path)
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in cast("list[Any]", rows)):
            raise FkitTypeError(f"{path}: detections are a list of mappings.", path="bbox_file")
        file = read_coco(self.ann_file, self.faults, self.backend_args)
        if file.categories:
            vars(self)["metainfo"] = frozen({**self.metainfo, "CLASSES": fixed(file.categories)})
        images, count = {image["id"]: image for image in file.images}, self.metainfo["num_keypoints"]
        records: list[Row] = []
        for place, row in enumerate(cast("list[Row]", rows)):
            if row["category_id"] != 1:  # people
                continue
            if row["image_id"] not in images:
                self.faults.add(
                    "a detection of an image that the file does not have", f"detection {place}", str(row["image_id"])
                )
                continue
            image = images[row["image_id"]]
            x, y, w, h = np.array(row["bbox"][:4], np.float32)
            records.append(
                {
                    "img_id": row["image_id"],
                    "img_path": self.path_of(image),
                    "img_shape": (image["height"], image["width"]),
                    "bbox": np.array([[x, y, x + w, y + h]], np.float32),
                    "bbox_score": np.array(row["score"], np.float32).reshape(1),
                    "keypoints": np.zeros((1, count, 2), np.float32),
                    "keypoints_visible": np.ones((1, count), np.float32),
                    "id": len(records),
                }
            )
        return records

    @staticmethod
    def _lines(metainfo: Mapping[str, Any]) -> dict[str, Any]:
        """A file that metainfo names is one of keypoints, and no list of names."""
        return dict(metainfo)

    def _merged(self, of_file: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keypoints of the argument where it has some, else of the class; and what else the argument says."""
        told = self.told
        parsed = pose_metainfo(told if says_keypoints(told) else self.facts())
        said = ("from_file", "keypoint_info", "skeleton_info", "joint_weights", "sigmas", "stats_info")
        more = {key: fixed(value) for key, value in told.items() if key not in parsed and key not in said}
        return frozen({**parsed, **more})


def clipped_box(box: Any, image: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """A box x, y, w, h as (1, 4) x1, y1, x2, y2 within an image's last pixels; None where it is not four finite numbers of no
    negative size.

    Example:
        >>> clipped_box([-2, 3, 6, 90], {"width": 8, "height": 10}).tolist()
        [[0.0, 3.0, 4.0, 9.0]]
    """
    corners = _corners(box, image)
    return None if corners is None else corners.astype(np.float32)


def area_of(box: Any, image: Mapping[str, Any]) -> float:
    """The area that a body is guessed to cover of its box x, y, w, h within an image: 0.53 of it, at least a pixel.

    Example:
        >>> area_of([0, 0, 10, 10], {"width": 100, "height": 100}), area_of([0, 0, -1, 1], {})
        (53.0, 1.0)
    """
    corners = _corners(box, image)
    if corners is None:
        return 1.0
    x1, y1, x2, y2 = corners[0].tolist()
    return max((x2 - x1) * (y2 - y1) * 0.53, 1.0)


def _corners(box: Any, image: Mapping[str, Any]) -> NDArray[np.float64] | None:
    expect(image, Mapping, "`image` has a width and a height")
    try:
        x, y, w, h = (float(part) for part in box)
    except (TypeError, ValueError):
        return None
    if not np.isfinite([x, y, w, h]).all() or w < 0 or h < 0:
        return None
    limit = np.array([image.get("width", np.inf), image.get("height", np.inf)] * 2) - 1
    return np.clip([[x, y, x + w, y + h]], 0, limit)


def counted(points: Any) -> int:
    """How many of the keypoints (1, K, 2 or more) are anywhere but at 0, 0.

    Example:
        >>> counted(np.array([[[0, 0, 0], [3, 4, 2]]]))
        1
    """
    if not isinstance(points, np.ndarray) or points.ndim != 3:
        raise FkitTypeError("keypoints are an array (1, K, 2 or more).")
    return int(np.count_nonzero(points[..., :2].max(axis=2)))


def _together(rows: Sequence[Any]) -> Any:
    first: Any = rows[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(rows, axis=0) if first.ndim else np.stack(rows, axis=0)
    if isinstance(first, (tuple, list)):
        return list(chain.from_iterable(rows))
    return list(rows)
