"""Public pose data sets whose annotations say boxes or keypoints in words of their own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.facts import Facts
from fkit.data.dataset.keypoints import box_of_center
from fkit.data.dataset.pose import BaseCocoStyleDataset, Row, area_of, clipped_box, counted
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = [
    "AFLWDataset",
    "CocoWholeBodyDataset",
    "CocoWholeBodyFaceDataset",
    "CocoWholeBodyHandDataset",
    "DeepFashionPoseDataset",
    "Face300VWDataset",
    "Face300WDataset",
    "FreiHandDataset",
    "HumanArt21Dataset",
    "JhmdbDataset",
    "LocustDataset",
    "PanopticHand2DDataset",
    "UBody2dDataset",
    "WFLWDataset",
    "ZebraDataset",
]

_STEP = 200.0  # pixels of a scale of 1, since MPII
_BARE = frozenset(("area", "category_id", "crowd_index", "raw_ann_info"))
_BARER = _BARE | {"segmentation"}


@dataclass(frozen=True)
class CocoWholeBodyDataset(BaseCocoStyleDataset):
    """COCO-WholeBody, 133 keypoints: of the body (17), the feet (6), the face (68), the left and the right hand (21 each)."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/coco_wholebody")
    UNSAID: ClassVar[frozenset[str]] = frozenset(("crowd_index",))
    PARTS: ClassVar[tuple[str, ...]] = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        box = self.box_of(row, image)
        points = None if box is None else self.points_of(row, [number for part in self.PARTS for number in row[part]])
        if box is None or points is None:
            return None
        points[..., 2] = points[..., 2] > 0  # how sure a detector was
        record = self.record_of(row, image, box, points)
        return {**record, "keypoints_3d": None, "category_id": row.get("category_id", 1)}


@dataclass(frozen=True)
class UBody2dDataset(CocoWholeBodyDataset):
    """UBody, COCO-WholeBody's keypoints of people in videos of fifteen kinds."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/ubody2d")


@dataclass(frozen=True)
class CocoWholeBodyFaceDataset(BaseCocoStyleDataset):
    """The faces of COCO-WholeBody, 68 keypoints, where they are valid."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/coco_wholebody_face")
    UNSAID: ClassVar[frozenset[str]] = _BARER

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        if not row["face_valid"] or max(row["face_kpts"]) <= 0:
            return None
        return _part(self, row, image, row["face_kpts"], row["face_box"])


@dataclass(frozen=True)
class CocoWholeBodyHandDataset(BaseCocoStyleDataset):
    """The hands of COCO-WholeBody, 21 keypoints: an instance a valid hand of people who are no crowd."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/coco_wholebody_hand")
    UNSAID: ClassVar[frozenset[str]] = _BARE

    def read(self) -> tuple[list[Row], list[Row]]:
        known = self.metainfo
        hands, images = super().read()
        vars(self)["metainfo"] = known  # the file's categories are of whole people
        return [{**hand, "id": number} for number, hand in enumerate(hands)], images

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        hands = (
            _part(self, row, image, row[f"{side}hand_kpts"], row[f"{side}hand_box"], cut=False)
            for side in ("left", "right")
            if not row.get("iscrowd") and row[f"{side}hand_valid"] and max(row[f"{side}hand_kpts"]) > 0
        )
        return [hand for hand in hands if hand is not None]


@dataclass(frozen=True)
class HumanArt21Dataset(BaseCocoStyleDataset):
    """Human-Art with 21 keypoints: COCO's and the middles of fingers and toes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/humanart21")
    UNSAID: ClassVar[frozenset[str]] = frozenset(("area",))

    def record_of(self, row: Row, image: Row, box: Mapping[str, Any], points: NDArray[np.float32]) -> Row:
        return {**super().record_of(row, image, box, points), "category_id": row.get("category_id", 1)}

    def points_of(self, row: Row, numbers: Any) -> NDArray[np.float32] | None:
        return super().points_of(row, row.get("keypoints_21"))


@dataclass(frozen=True)
class JhmdbDataset(BaseCocoStyleDataset):
    """JHMDB, 15 keypoints of people in frames of videos; its files count pixels from 1."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/jhmdb")
    UNSAID: ClassVar[frozenset[str]] = frozenset(("crowd_index", "raw_ann_info"))

    def box_of(self, row: Row, image: Row) -> dict[str, Any] | None:
        x, y, *size = row["bbox"]
        return super().box_of({**row, "bbox": [x - 1, y - 1, *size]}, image)

    def points_of(self, row: Row, numbers: Any) -> NDArray[np.float32] | None:
        points = super().points_of(row, numbers)
        if points is not None:
            points[..., :2] -= 1
        return points

    def record_of(self, row: Row, image: Row, box: Mapping[str, Any], points: NDArray[np.float32]) -> Row:
        x, y, *size = row["bbox"]
        counts = {"num_keypoints": counted(points), "area": area_of([x - 1, y - 1, *size], image)}
        record = super().record_of({**row, **counts}, image, box, points)
        return {**record, "category_id": row.get("category_id", [1])}


@dataclass(frozen=True)
class PanopticHand2DDataset(BaseCocoStyleDataset):
    """CMU Panoptic HandDB, 21 keypoints of hands, and the size of the head by which errors are measured."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/panoptic_hand2d")
    UNSAID: ClassVar[frozenset[str]] = _BARE

    def record_of(self, row: Row, image: Row, box: Mapping[str, Any], points: NDArray[np.float32]) -> Row:
        record = super().record_of({**row, "num_keypoints": counted(points)}, image, box, points)
        return {**record, "head_size": row["head_size"]}


@dataclass(frozen=True)
class _Centred(BaseCocoStyleDataset):
    """Boxes are said by a ``center`` and a ``scale``, of which 1 is 200 pixels."""

    UNSAID: ClassVar[frozenset[str]] = _BARER

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        box, points = self.box_of(row, image), self.points_of(row, row["keypoints"])
        return None if box is None or points is None else self.record_of(row, image, box, points)

    def box_of(self, row: Row, image: Row) -> dict[str, Any] | None:
        center = np.array([row["center"]], np.float32)
        scale = np.full((1, 2), row["scale"], np.float32) * np.float32(_STEP)
        if center.shape != (1, 2) or not np.isfinite(center).all() or not np.isfinite(scale).all() or scale[0, 0] < 0:
            self.faults.add("a centre and scale that are no finite numbers", self.name_of(row), str(row["center"]))
            return None
        return {"bbox": box_of_center(center, scale), "bbox_center": center, "bbox_scale": scale}


@dataclass(frozen=True)
class AFLWDataset(_Centred):
    """AFLW, 19 keypoints of faces; in tests ``box_size``, by which errors are measured."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/aflw")

    def record_of(self, row: Row, image: Row, box: Mapping[str, Any], points: NDArray[np.float32]) -> Row:
        record = super().record_of(row, image, box, points)
        if self.test_mode and "box_size" not in row:
            raise FkitKeyError(f"{self.ann_file}: {self.name_of(row)} has no 'box_size', which tests measure by.")
        return {**record, "box_size": row["box_size"]} if self.test_mode else record


@dataclass(frozen=True)
class Face300WDataset(_Centred):
    """300W, 68 keypoints of faces."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/300w")


@dataclass(frozen=True)
class Face300VWDataset(_Centred):
    """300VW, 68 keypoints of faces in videos."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/300vw")


@dataclass(frozen=True)
class WFLWDataset(_Centred):
    """WFLW, 98 keypoints of faces."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/wflw")


@dataclass(frozen=True)
class _Square(BaseCocoStyleDataset):
    """The box is the whole image, a square of ``SIDE`` pixels."""

    UNSAID: ClassVar[frozenset[str]] = _BARER
    SIDE: ClassVar[int] = 0

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        row, image = raw_data_info["raw_ann_info"], raw_data_info["raw_img_info"]
        points = self.points_of(row, row["keypoints"])
        box = {"bbox": np.array([[0, 0, self.SIDE, self.SIDE]], np.float32)}
        return None if points is None else self.record_of(row, image, box, points)


@dataclass(frozen=True)
class FreiHandDataset(_Square):
    """FreiHAND, 21 keypoints of hands, in images of 224 x 224 pixels."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/freihand2d")
    UNSAID: ClassVar[frozenset[str]] = _BARE
    SIDE: ClassVar[int] = 224

    def record_of(self, row: Row, image: Row, box: Mapping[str, Any], points: NDArray[np.float32]) -> Row:
        return super().record_of({**row, "num_keypoints": counted(points)}, image, box, points)


@dataclass(frozen=True)
class LocustDataset(_Square):
    """Desert locust, 35 keypoints, in images of 160 x 160 pixels."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/locust")
    SIDE: ClassVar[int] = 160


@dataclass(frozen=True)
class ZebraDataset(_Square):
    """Grevy's zebra, 9 keypoints, in images of 160 x 160 pixels."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/zebra")
    SIDE: ClassVar[int] = 160


@dataclass(frozen=True)
class DeepFashionPoseDataset(BaseCocoStyleDataset):
    """DeepFashion's fashion landmarks; MMPose's DeepFashionDataset.

    Args:
        subset: "full" (8 keypoints), "upper" (6) or "lower" (4): of which clothes.
    """

    KINDS: ClassVar[Mapping[str, Facts]] = frozen(
        {kind: Facts(f"pose/deepfashion_{kind}") for kind in ("full", "upper", "lower")}
    )

    subset: str = ""

    def __post_init__(self) -> None:
        expect(self.subset, str, "DeepFashionDataset: subset is text")
        if self.subset not in self.KINDS:
            raise FkitValueError(
                f"DeepFashionDataset: subset = {self.subset!r} is unknown.",
                value=str(self.subset),
                choices=cast("Iterable[str]", self.KINDS),
                path="subset",
            )
        super().__post_init__()

    def facts(self) -> Mapping[str, Any]:
        return self.KINDS[self.subset]


def _part(dataset: BaseCocoStyleDataset, row: Row, image: Row, numbers: Any, box: Any, cut: bool = True) -> Row | None:
    """The record of a part of a person, which has a box and keypoints of its own."""
    said = {**row, "bbox": box, "num_keypoints": None}
    corners = clipped_box(box, image if cut else frozen({}))
    points = dataset.points_of(row, numbers)
    if corners is None:
        dataset.box_of(said, image)  # which tells what is wrong
    if corners is None or points is None:
        return None
    return dataset.record_of({**said, "num_keypoints": counted(points)}, image, {"bbox": corners}, points)
