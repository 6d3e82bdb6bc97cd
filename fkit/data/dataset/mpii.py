"""MPII and MPII-TRB: people by centre and scale, and the heads by which errors are measured."""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.facts import Facts
from fkit.data.dataset.joined import joined
from fkit.data.dataset.keypoints import box_of_center
from fkit.data.dataset.pose import BaseCocoStyleDataset, Row
from fkit.fileio.io import load
from fkit.fileio.operation import get
from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["MpiiDataset", "MpiiTrbDataset"]

_STEP = np.float32(200)
_HEAD = 0.6  # of the diagonal of a head's box: what PCKh measures by
_UNSAID = -1  # a centre that is not known


@dataclass(frozen=True)
class MpiiDataset(BaseCocoStyleDataset):
    """MPII, 16 keypoints of people, of MMPose's JSON: a list of {"image", "center", "scale", "joints", "joints_vis"}.

    Args:
        headbox_file: the heads' boxes (mpii_gt_val.mat), put into the records as ``head_size``; for top-down tests. It is
            read with scipy.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/mpii")

    headbox_file: str | None = None

    def __post_init__(self) -> None:
        file: Any = self.headbox_file
        expect(file, (str, type(None)), "MpiiDataset: headbox_file is a path")
        if file:
            if self.data_mode != "topdown" or not self.test_mode:
                raise FkitValueError("MpiiDataset: headbox_file is for data_mode='topdown' and test_mode=True.")
            if not file.endswith(".mat"):
                raise FkitKeyError(f"MpiiDataset: headbox_file = {file!r} is no .mat file.")
            vars(self)["headbox_file"] = joined(self.data_root or "", file, "headbox_file")
        super().__post_init__()

    def read(self) -> tuple[list[Row], list[Row]]:
        rows: Any = load(self.source_file, "json", backend_args=self.backend_args)
        if not isinstance(rows, list):
            raise FkitTypeError(f"{self.ann_file}: MPII's annotations are a list.")
        heads = _heads(self.headbox_file) if self.headbox_file else None
        instances: list[Row] = []
        images: dict[int, Row] = {}
        for place, row in enumerate(rows):
            one = self._instance(place, row)
            if one is None:
                continue
            if heads is not None:
                one["head_size"] = (np.linalg.norm(heads[place][1] - heads[place][0]) * _HEAD).reshape(1, -1)
            images.setdefault(one["img_id"], {"img_id": one["img_id"], "img_path": one["img_path"]})
            instances.append(one)
        return instances, list(images.values())

    def _instance(self, place: int, row: Any) -> Row | None:
        try:
            center = np.array(row["center"], np.float32).reshape(1, 2)
            scale = np.full((1, 2), row["scale"], np.float32) * _STEP
            points = np.array(row["joints"], np.float32).reshape(1, -1, 2)
            visible = np.array(row["joints_vis"]).reshape(1, -1)
            name = str(row["image"])
            number = int(name.split(".")[0])
        except (KeyError, TypeError, ValueError) as cause:
            self.faults.add("a record of another form", f"record {place}", f"{type(cause).__name__}: {cause}")
            return None
        if points.shape[1] != self.metainfo["num_keypoints"] or visible.shape != points.shape[:2]:
            self.faults.add(f"joints that are not {self.metainfo['num_keypoints']}", f"record {place}")
            return None
        if center[0, 0] != _UNSAID:
            center[0, 1] += np.float32(15) / _STEP * scale[0, 1]  # lower, or legs are cut off
        center -= 1  # MATLAB counts from 1
        box = box_of_center(center, scale)
        area = np.maximum(np.prod(box[:, 2:] - box[:, :2], axis=1) * 0.53, 1).astype(np.float32)
        return {
            "id": place,
            "img_id": number,
            "img_path": os.path.join(self.data_prefix.get("img", ""), name),
            "bbox_center": center,
            "bbox_scale": scale,
            "bbox": box,
            "bbox_score": np.ones(1, np.float32),
            "keypoints": points,
            "keypoints_visible": visible,
            "area": area,
            "category_id": row.get("category_id", [1]),
        }


@dataclass(frozen=True)
class MpiiTrbDataset(BaseCocoStyleDataset):
    """MPII-TRB, 40 keypoints of skeletons and outlines of people."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/mpii_trb")
    UNSAID: ClassVar[frozenset[str]] = frozenset(("area", "category_id", "crowd_index", "raw_ann_info", "segmentation"))

    def read(self) -> tuple[list[Row], list[Row]]:
        instances, images = super().read()
        used = {one["img_id"] for one in instances}
        return sorted(instances, key=lambda one: one["id"]), [image for image in images if image["img_id"] in used]

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        points = self.points_of(row, row["keypoints"])
        if points is None:
            return None
        center = np.array([row["center"]], np.float32)
        scale = np.full((1, 2), row["scale"], np.float32) * _STEP
        box = {"bbox": box_of_center(center, scale), "bbox_center": center, "bbox_scale": scale}
        record = self.record_of({**row, "num_keypoints": row["num_joints"]}, image, box, points)
        head = {"headbox": np.array(row["headbox"], np.float32)} if "headbox" in row else {}
        return {**record, **head}


def _heads(file: str) -> NDArray[Any]:
    """The corners (N, 2, 2) of the heads' boxes."""
    try:
        import scipy.io
    except ImportError as cause:
        raise FkitImportError(f"{file} is read with scipy, which is not here.", repair="pip install scipy") from cause
    content: Any = scipy.io.loadmat(io.BytesIO(get(file)))
    if "headboxes_src" not in content:
        raise FkitKeyError(f"{file}: it has no 'headboxes_src'.", choices=map(str, content), label="Keys")
    return np.transpose(content["headboxes_src"], [2, 0, 1])
