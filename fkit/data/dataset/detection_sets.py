"""Public detection data sets of COCO's form: LVIS, Objects365, Cityscapes, DeepFashion, iSAID, V3Det; and CrowdHuman."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.data.dataset.coco_file import CocoFile
from fkit.data.dataset.detection import BaseDetDataset, CocoDataset
from fkit.data.dataset.facts import Facts
from fkit.data.dataset.joined import joined
from fkit.fileio.io import load
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import exists
from fkit.image.io import imread
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = [
    "CrowdHumanDataset",
    "DeepFashionDataset",
    "DetCityscapesDataset",
    "DetiSAIDDataset",
    "LVISV05Dataset",
    "LVISV1Dataset",
    "Objects365V1Dataset",
    "Objects365V2Dataset",
    "V3DetDataset",
]

_COCO_URL = "http://images.cocodataset.org/"
_BROKEN = frozenset(
    ("patch16/objects365_v2_00908726.jpg", "patch6/objects365_v1_00320532.jpg", "patch6/objects365_v1_00320534.jpg")
)  # of Objects365


@dataclass(frozen=True)
class LVISV05Dataset(CocoDataset):
    """LVIS 0.5, 1,230 classes: label i is the file's category with the i-th smallest id, unless classes are named."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/lvis_v05")

    def category_ids(self, file: CocoFile) -> tuple[Any, ...]:
        if "classes" in self.said:
            return super().category_ids(file)
        ids = tuple(sorted(category["id"] for category in file.categories))
        if len(ids) != len(self.metainfo["classes"]):
            raise FkitValueError(
                f"{self.ann_file}: {len(ids)} categories, and LVIS has {len(self.metainfo['classes'])}.",
                repair="Name the file's with metainfo=dict(classes=(...)).",
            )
        return ids

    def file_of(self, image: Mapping[str, Any]) -> str | None:
        """Of COCO's names of 2014 (COCO_train2014_000000000001.jpg) those of 2017."""
        name = super().file_of(image)
        return name[-16:] if name is not None and name.startswith("COCO") else name


@dataclass(frozen=True)
class LVISV1Dataset(LVISV05Dataset):
    """LVIS 1, 1,203 classes; an image's file is told by its address: train2017/000000000001.jpg."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/lvis_v1")

    def file_of(self, image: Mapping[str, Any]) -> str | None:
        return image["coco_url"].replace(_COCO_URL, "") if "coco_url" in image else image.get("file_name")


@dataclass(frozen=True)
class Objects365V1Dataset(CocoDataset):
    """Objects365 of 2019, 365 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/objects365_v1")


@dataclass(frozen=True)
class Objects365V2Dataset(CocoDataset):
    """Objects365 of 2020, 365 classes, in folders patch0 ... patch50; three files of it are broken and left out."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/objects365_v2")

    def file_of(self, image: Mapping[str, Any]) -> str | None:
        name = "/".join(image["file_name"].split("/")[-2:])
        return None if name in _BROKEN else name


@dataclass(frozen=True)
class DetCityscapesDataset(CocoDataset):
    """Cityscapes' instances of 8 classes, converted to COCO's form; MMDetection's CityscapesDataset."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/cityscapes")

    def holds_objects(self, record: Mapping[str, Any]) -> bool:
        return super().holds_objects(record) and any(not one["ignore_flag"] for one in record["instances"])


@dataclass(frozen=True)
class DeepFashionDataset(CocoDataset):
    """DeepFashion's parts of clothes and of people, 15 classes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/deepfashion")


@dataclass(frozen=True)
class DetiSAIDDataset(CocoDataset):
    """iSAID's instances in aerial images; MMDetection's iSAIDDataset."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/isaid")


@dataclass(frozen=True)
class V3DetDataset(CocoDataset):
    """V3Det, 13,204 classes, named by a file.

    Args:
        label_file: a class's name a line, below ``data_root``.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = frozen({"classes": None, "palette": None})

    label_file: str = "annotations/category_name_13204_v3det_2023_v1.txt"

    def __post_init__(self) -> None:
        expect(self.label_file, str, "V3DetDataset: label_file is a path")
        expect(self.metainfo, (Mapping, type(None)), "V3DetDataset: metainfo is a mapping")
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        if self.source_file and "classes" not in self.told:
            names = list_from_file(joined(self.data_root, self.label_file, "V3DetDataset: label_file"))
            vars(self)["metainfo"] = frozen({**self.metainfo, "classes": tuple(names)})
        return super().load_data_list()


@dataclass(frozen=True)
class CrowdHumanDataset(BaseDetDataset):
    """CrowdHuman: people by their whole box; a JSON a line (annotation_train.odgt).

    An instance has also ``fbox`` (the whole), ``hbox`` (the head) and ``vbox`` (what is seen), x1, y1, x2, y2. What is no
    person, or is to be ignored, has ``bbox_label`` -1 and ``ignore_flag`` 1.

    Args:
        extra_ann_file: sizes of the images, {"ID": [height, width]}; without it id_hw_train.json or id_hw_val.json below
            ``data_root`` is taken where it is there, else the images are read for their sizes.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/crowdhuman")

    data_prefix: Mapping[str, str] = frozen({"img": ""})
    extra_ann_file: str | None = None

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        part = next((word for word in ("train", "val") if word in os.path.basename(self.source_file)), "train")
        beside = joined(
            self.data_root, self.extra_ann_file or f"id_hw_{part}.json", "CrowdHumanDataset: extra_ann_file"
        )
        sizes: Any = load(beside) if self.extra_ann_file or exists(beside) else {}
        self.scratch["sizes"] = sizes
        records: list[Any] = []
        for number, line in enumerate(list_from_file(self.ann_file), 1):
            try:
                raw: Any = json.loads(line)
                records.append(self.parse_data_info(raw))
            except (ValueError, KeyError, TypeError) as cause:
                self.faults.add(
                    "a line of another form", f"line {number}", f"{type(cause).__name__}: {quoted(str(cause))}"
                )
        return records

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        name, classes = raw_data_info["ID"], list(self.metainfo["classes"])
        path = os.path.join(self.prefix("img", "img_path"), f"{name}.jpg")
        size = self.scratch["sizes"].get(name) or imread(path).shape[:2]
        instances: list[dict[str, Any]] = []
        for row in raw_data_info["gtboxes"]:
            known = row["tag"] in classes and not row.get("extra", {}).get("ignore", 0)
            boxes = {
                key: [row[key][0], row[key][1], row[key][0] + row[key][2], row[key][1] + row[key][3]]
                for key in ("fbox", "hbox", "vbox")
            }
            label = {"bbox_label": classes.index(row["tag"]) if known else -1, "ignore_flag": int(not known)}
            instances.append({**label, "bbox": boxes["fbox"], **boxes})
        return {"img_path": path, "img_id": name, "height": size[0], "width": size[1], "instances": instances}
