"""Public pose data sets whose files have COCO's form as it is: their keypoints are facts, and nothing else is theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.data.dataset.facts import Facts
from fkit.data.dataset.pose import BaseCocoStyleDataset

__all__ = [
    "AP10KDataset",
    "ATRWDataset",
    "AicDataset",
    "AnimalKingdomDataset",
    "AnimalPoseDataset",
    "COFWDataset",
    "CocoPoseDataset",
    "CrowdPoseDataset",
    "DeepFashion2Dataset",
    "ExlposeDataset",
    "Face300WLPDataset",
    "FlyDataset",
    "HalpeDataset",
    "Horse10Dataset",
    "HumanArtDataset",
    "LapaDataset",
    "MacaqueDataset",
    "MhpDataset",
    "OCHumanDataset",
    "OneHand10KDataset",
    "PoseTrack18Dataset",
    "Rhd2DDataset",
]


@dataclass(frozen=True)
class CocoPoseDataset(BaseCocoStyleDataset):
    """COCO, 17 keypoints of people; MMPose's CocoDataset."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/coco")


@dataclass(frozen=True)
class AicDataset(BaseCocoStyleDataset):
    """AI Challenger, 14 keypoints of people."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/aic")


@dataclass(frozen=True)
class AnimalKingdomDataset(BaseCocoStyleDataset):
    """Animal Kingdom, 23 keypoints of animals."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/ak")


@dataclass(frozen=True)
class AnimalPoseDataset(BaseCocoStyleDataset):
    """Animal-Pose, 20 keypoints of five kinds of animals."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/animalpose")


@dataclass(frozen=True)
class AP10KDataset(BaseCocoStyleDataset):
    """AP-10K, 17 keypoints of animals."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/ap10k")


@dataclass(frozen=True)
class ATRWDataset(BaseCocoStyleDataset):
    """ATRW, 15 keypoints of tigers."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/atrw")


@dataclass(frozen=True)
class COFWDataset(BaseCocoStyleDataset):
    """COFW, 29 keypoints of faces."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/cofw")


@dataclass(frozen=True)
class CrowdPoseDataset(BaseCocoStyleDataset):
    """CrowdPose, 14 keypoints of people in crowds."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/crowdpose")


@dataclass(frozen=True)
class DeepFashion2Dataset(BaseCocoStyleDataset):
    """DeepFashion2, 294 keypoints of 13 kinds of clothes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/deepfashion2")


@dataclass(frozen=True)
class ExlposeDataset(BaseCocoStyleDataset):
    """ExLPose, 14 keypoints of people in little light."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/exlpose")


@dataclass(frozen=True)
class Face300WLPDataset(BaseCocoStyleDataset):
    """300W-LP, 68 keypoints of faces."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/300wlp")


@dataclass(frozen=True)
class FlyDataset(BaseCocoStyleDataset):
    """Vinegar fly, 32 keypoints."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/fly")


@dataclass(frozen=True)
class HalpeDataset(BaseCocoStyleDataset):
    """Halpe, 136 keypoints of whole bodies."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/halpe")


@dataclass(frozen=True)
class Horse10Dataset(BaseCocoStyleDataset):
    """Horse-10, 22 keypoints of horses."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/horse10")


@dataclass(frozen=True)
class HumanArtDataset(BaseCocoStyleDataset):
    """Human-Art, 17 keypoints of people in photographs and art."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/humanart")


@dataclass(frozen=True)
class LapaDataset(BaseCocoStyleDataset):
    """LaPa, 106 keypoints of faces."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/lapa")


@dataclass(frozen=True)
class MacaqueDataset(BaseCocoStyleDataset):
    """MacaquePose, 17 keypoints of macaques."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/macaque")


@dataclass(frozen=True)
class MhpDataset(BaseCocoStyleDataset):
    """MHP 2.0, 16 keypoints of people."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/mhp")


@dataclass(frozen=True)
class OCHumanDataset(BaseCocoStyleDataset):
    """OCHuman, 17 keypoints of people who hide each other."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/ochuman")


@dataclass(frozen=True)
class OneHand10KDataset(BaseCocoStyleDataset):
    """OneHand10K, 21 keypoints of hands."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/onehand10k")


@dataclass(frozen=True)
class PoseTrack18Dataset(BaseCocoStyleDataset):
    """PoseTrack18, 17 keypoints of people in frames of videos."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/posetrack18")


@dataclass(frozen=True)
class Rhd2DDataset(BaseCocoStyleDataset):
    """Rendered Handpose, 21 keypoints of hands."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/rhd2d")
