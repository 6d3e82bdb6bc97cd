"""InterHand2.6M: two hands by cameras and joints in the world."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.data.dataset.facts import Facts
from fkit.data.dataset.joined import joined
from fkit.data.dataset.pose import BaseCocoStyleDataset, Row
from fkit.fileio.io import load
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["InterHand2DDoubleDataset", "InterHand3DDataset"]

_HANDS = frozendict(right=(1, 0), left=(0, 1), interacting=(1, 1))
_WRISTS = (20, 41)  # of the right hand and of the left one; without it the hand's joints are not known


@dataclass(frozen=True)
class InterHand2DDoubleDataset(BaseCocoStyleDataset):
    """InterHand2.6M in pictures, 42 keypoints of the right and the left hand, with ``hand_type`` (1, 2).

    Args:
        camera_param_file: places, turns and lenses of the cameras, by capture.
        joint_file: joints in the world, by capture and frame.
        use_gt_root_depth: boxes are the annotated ones; else those of ``rootnet_result_file``.
        rootnet_result_file: boxes that RootNet found, [{"annot_id", "bbox"}].
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/interhand3d")

    camera_param_file: str = ""
    joint_file: str = ""
    use_gt_root_depth: bool = True
    rootnet_result_file: str | None = None

    def __post_init__(self) -> None:
        expect(self.use_gt_root_depth, bool, "InterHand2DDoubleDataset: use_gt_root_depth is True or False")
        for word in ("camera_param_file", "joint_file", "rootnet_result_file"):
            path = getattr(self, word)
            expect(path, (str, type(None)), f"InterHand2DDoubleDataset: {word} is a path")
            vars(self)[word] = joined(self.data_root or "", path, word) if path else path
        if not self.use_gt_root_depth and not self.rootnet_result_file:
            raise FkitValueError("InterHand2DDoubleDataset: use_gt_root_depth=False wants rootnet_result_file.")
        super().__post_init__()

    def chosen(self, images: Sequence[Row]) -> Iterable[Row]:
        return images[:: self.sample_interval]

    def read(self) -> tuple[list[Row], list[Row]]:
        _ = self.source_file
        for word in ("camera_param_file", "joint_file"):
            if not getattr(self, word):
                raise FkitValueError(f"InterHand2DDoubleDataset: {word} is not said.", path=word)
            self.scratch[word] = load(getattr(self, word), "json")
        rows: Any = load(self.rootnet_result_file, "json") if not self.use_gt_root_depth else ()
        self.scratch["found"] = {str(row["annot_id"]): row for row in rows}
        return super().read()

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        capture, name = str(image["capture"]), self.name_of(row)
        if row["hand_type"] not in _HANDS:
            self.faults.add("hands of another kind than right, left or interacting", name, str(row["hand_type"]))
            return None
        camera = {
            key: np.array(self.scratch["camera_param_file"][capture][key][image["camera"]], np.float32)
            for key in ("campos", "camrot", "focal", "princpt")
        }
        world = self.scratch["joint_file"][capture][str(image["frame_idx"])]["world_coord"]
        joints = np.dot(camera["camrot"], np.array(world, np.float32).T - camera["campos"].reshape(3, 1)).T
        points = joints[:, :2] / (joints[:, 2:] + 1e-8) * camera["focal"] + camera["princpt"]
        valid = np.array(row["joint_valid"], np.float32).ravel()
        for start, wrist in zip((0, _WRISTS[0] + 1), _WRISTS, strict=True):
            valid[start:wrist] *= valid[wrist]
        x, y, w, h = (row if self.use_gt_root_depth else self.scratch["found"][str(row["id"])])["bbox"]
        record = {
            "img_id": row["image_id"],
            "img_path": image["img_path"],
            "keypoints": points[None].astype(np.float32),
            "keypoints_visible": np.minimum(1, valid)[None],
            "hand_type": np.array([_HANDS[row["hand_type"]]], np.float32),
            "hand_type_valid": np.array([row["hand_type_valid"]]),
            "dataset": self.metainfo["dataset_name"],
            "bbox": np.array([[x, y, x + w, y + h]], np.float32),
            "bbox_score": np.ones(1, np.float32),
            "num_keypoints": self.metainfo["num_keypoints"],
            "iscrowd": row.get("iscrowd", False),
            "id": row["id"],
            "raw_ann_info": row,
        }
        return {**record, **self.in_space(row, camera, joints, record["keypoints"])}

    def in_space(
        self, row: Row, camera: Mapping[str, Any], joints: NDArray[Any], points: NDArray[np.float32]
    ) -> Mapping[str, Any]:
        """What a record has more: of the joints (42, 3) as the camera sees them, and in the picture, (1, 42, 2)."""
        return EMPTY


@dataclass(frozen=True)
class InterHand3DDataset(InterHand2DDoubleDataset):
    """InterHand2.6M in space: ``keypoints`` (1, 42, 3), whose third number is the depth from the hand's wrist.

    A record has also ``keypoints_cam`` (1, 42, 3), ``abs_depth``, the depths of the two wrists, ``rel_root_depth``, the left
    one's from the right one, ``rel_root_valid``, ``focal`` (2,), ``principal_pt`` (2,) and ``rotation`` 0.
    """

    def in_space(
        self, row: Row, camera: Mapping[str, Any], joints: NDArray[Any], points: NDArray[np.float32]
    ) -> Mapping[str, Any]:
        right, left = (joints[wrist, 2] for wrist in _WRISTS)
        depth = joints[:, 2] - np.repeat([right, left], (_WRISTS[0] + 1, len(joints) - _WRISTS[0] - 1))
        valid = np.array(row["joint_valid"], np.float32).ravel()
        return {
            "rotation": 0,
            "keypoints": np.concatenate([points, depth[None, :, None]], axis=2, dtype=np.float32),
            "keypoints_cam": joints[None],
            "rel_root_depth": left - right,
            "rel_root_valid": valid[_WRISTS[0]] * valid[_WRISTS[1]],
            "abs_depth": [right, left]
            if self.use_gt_root_depth
            else self.scratch["found"][str(row["id"])]["abs_depth"],
            "focal": camera["focal"],
            "principal_pt": camera["princpt"],
        }
