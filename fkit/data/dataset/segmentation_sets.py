"""Public segmentation data sets: their classes and colours, and how their files are named."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.data.dataset.facts import Facts
from fkit.data.dataset.segmentation import BaseCDDataset, BaseSegDataset
from fkit.tree.frozen import frozen

__all__ = [
    "ADE20KDataset",
    "BDD100KDataset",
    "COCOStuffDataset",
    "ChaseDB1Dataset",
    "CityscapesDataset",
    "DRIVEDataset",
    "DarkZurichDataset",
    "HRFDataset",
    "ISPRSDataset",
    "LEVIRCDDataset",
    "LIPDataset",
    "LoveDADataset",
    "MapillaryDataset_v1",
    "MapillaryDataset_v2",
    "NYUDataset",
    "NightDrivingDataset",
    "PascalContextDataset",
    "PascalContextDataset59",
    "PascalVOCDataset",
    "PotsdamDataset",
    "REFUGEDataset",
    "STAREDataset",
    "SynapseDataset",
    "iSAIDDataset",
]


@dataclass(frozen=True)
class ADE20KDataset(BaseSegDataset):
    """ADE20K, 150 classes; 0 in its maps is no class."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/ade20k")

    reduce_zero_label: bool = True


@dataclass(frozen=True)
class BDD100KDataset(BaseSegDataset):
    """BDD100K, street scenes in Cityscapes' 19 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/bdd100k")


@dataclass(frozen=True)
class ChaseDB1Dataset(BaseSegDataset):
    """CHASE_DB1, vessels of the retina."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/chase_db1")

    img_suffix: str = ".png"
    seg_map_suffix: str = "_1stHO.png"


@dataclass(frozen=True)
class CityscapesDataset(BaseSegDataset):
    """Cityscapes, street scenes in 19 classes, by the maps of train ids."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/cityscapes")

    img_suffix: str = "_leftImg8bit.png"
    seg_map_suffix: str = "_gtFine_labelTrainIds.png"


@dataclass(frozen=True)
class COCOStuffDataset(BaseSegDataset):
    """COCO-Stuff, 171 classes of things and stuff."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/coco_stuff")

    seg_map_suffix: str = "_labelTrainIds.png"


@dataclass(frozen=True)
class DarkZurichDataset(CityscapesDataset):
    """Dark Zurich, street scenes at night, in Cityscapes' classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/cityscapes")

    img_suffix: str = "_rgb_anon.png"
    seg_map_suffix: str = "_gt_labelTrainIds.png"


@dataclass(frozen=True)
class DRIVEDataset(BaseSegDataset):
    """DRIVE, vessels of the retina."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/drive")

    img_suffix: str = ".png"
    seg_map_suffix: str = "_manual1.png"


@dataclass(frozen=True)
class HRFDataset(BaseSegDataset):
    """HRF, vessels of the retina."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/hrf")

    img_suffix: str = ".png"


@dataclass(frozen=True)
class iSAIDDataset(BaseSegDataset):
    """iSAID, aerial images in 16 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/isaid")

    img_suffix: str = ".png"
    seg_map_suffix: str = "_instance_color_RGB.png"


@dataclass(frozen=True)
class ISPRSDataset(BaseSegDataset):
    """ISPRS Vaihingen, aerial images in 6 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/isprs")

    img_suffix: str = ".png"
    reduce_zero_label: bool = True


@dataclass(frozen=True)
class LIPDataset(BaseSegDataset):
    """LIP, parts of people and their clothes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/lip")


@dataclass(frozen=True)
class LoveDADataset(BaseSegDataset):
    """LoveDA, land cover from above in 7 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/loveda")

    img_suffix: str = ".png"
    reduce_zero_label: bool = True


@dataclass(frozen=True)
class MapillaryDataset_v1(BaseSegDataset):
    """Mapillary Vistas 1.2, street scenes in 66 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/mapillary_v1")


@dataclass(frozen=True)
class MapillaryDataset_v2(BaseSegDataset):
    """Mapillary Vistas 2.0, street scenes in 124 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/mapillary_v2")


@dataclass(frozen=True)
class NightDrivingDataset(CityscapesDataset):
    """Nighttime Driving, street scenes in Cityscapes' classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/cityscapes")

    seg_map_suffix: str = "_gtCoarse_labelTrainIds.png"


@dataclass(frozen=True)
class PascalContextDataset(BaseSegDataset):
    """PASCAL-Context, 60 classes with the background."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/pascal_context")


@dataclass(frozen=True)
class PascalContextDataset59(BaseSegDataset):
    """PASCAL-Context, 59 classes; 0 in its maps is the background, and no class."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/pascal_context_59")

    reduce_zero_label: bool = True


@dataclass(frozen=True)
class PascalVOCDataset(BaseSegDataset):
    """PASCAL VOC, 21 classes with the background."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/voc")


@dataclass(frozen=True)
class PotsdamDataset(BaseSegDataset):
    """ISPRS Potsdam, aerial images in 6 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/potsdam")

    img_suffix: str = ".png"
    reduce_zero_label: bool = True


@dataclass(frozen=True)
class REFUGEDataset(BaseSegDataset):
    """REFUGE, optic disc and cup."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/refuge")

    img_suffix: str = ".png"


@dataclass(frozen=True)
class STAREDataset(BaseSegDataset):
    """STARE, vessels of the retina."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/stare")

    img_suffix: str = ".png"
    seg_map_suffix: str = ".ah.png"


@dataclass(frozen=True)
class SynapseDataset(BaseSegDataset):
    """Synapse, organs of the abdomen in slices."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/synapse")


@dataclass(frozen=True)
class LEVIRCDDataset(BaseCDDataset):
    """LEVIR-CD, buildings that changed between two aerial images."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/levir")

    img_suffix: str = ".png"
    img_suffix2: str = ".png"


@dataclass(frozen=True)
class NYUDataset(BaseSegDataset):
    """NYU Depth V2: images and depths, whose names begin with a kind of room, the ``category_id``.

    Args:
        depth_map_suffix: ending of the depths' names.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("segmentation/nyu")

    data_prefix: Mapping[str, str] = frozen({"img_path": "images", "depth_map_path": "annotations"})
    depth_map_suffix: str = ".png"

    @property
    def pairs(self) -> Mapping[str, str]:
        return {"depth_map_path": self.depth_map_suffix}

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        rooms = list(self.metainfo["classes"])
        for record in super().load_data_list():
            name = os.path.basename(record["img_path"])
            first = next((place for place, letter in enumerate(name) if letter.isdigit()), 0)
            room = name[: max(first - 1, 0)]
            row = {key: record[key] for key in ("img_path", "depth_map_path", "seg_fields") if key in record}
            yield {**row, "category_id": rooms.index(room) if room in rooms else -1}
