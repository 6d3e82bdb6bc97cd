"""COCO's panoptic form: segments of things and stuff, drawn in the colours of a PNG."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.data.dataset.coco_file import CocoFile
from fkit.data.dataset.detection import CocoDataset
from fkit.data.dataset.facts import Facts
from fkit.tree.frozen import frozen

__all__ = ["ADE20KInstanceDataset", "ADE20KPanopticDataset", "CocoPanopticDataset"]


@dataclass(frozen=True)
class CocoPanopticDataset(CocoDataset):
    """COCO panoptic: an annotation an image, with its segments (``segments_info``).

    A record: ``img_path``, ``img_id``, ``height``, ``width``, ``seg_map_path`` (the PNG; a pixel's segment is R + 256 G + 65536 B),
    ``segments_info`` of {"id", "category", "is_thing"}, and ``instances`` of the things that are no crowd.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/coco_panoptic")
    ANN_ID_UNIQUE: ClassVar[bool] = False

    data_prefix: Mapping[str, str] = frozen({"img": "", "ann": "", "seg": ""})

    def rows_of(self, annotations: Iterable[Mapping[str, Any]]) -> list[Any]:
        """The segments of an image's annotations."""
        return [
            {**segment, "image_id": row["image_id"]} for row in annotations for segment in row.get("segments_info", ())
        ]

    def prepare(self, file: CocoFile) -> CocoFile:
        self.scratch["things"] = frozenset(row["id"] for row in file.categories if row.get("isthing", 1))
        known = frozenset(row["id"] for row in file.categories)
        annotations: dict[Any, tuple[Any, ...]] = {}
        for number, rows in file.annotations.items():
            segments = self.rows_of(rows)
            for segment in segments:
                if segment.get("category_id") not in known:
                    self.faults.add(
                        "an unknown category",
                        f"segment {segment.get('id')!r} of image {number!r}",
                        f"category_id {segment.get('category_id')!r}",
                    )
            annotations[number] = tuple(segment for segment in segments if segment.get("category_id") in known)
        return CocoFile(file.file, file.images, annotations, file.categories)

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        image, rows = raw_data_info["raw_img_info"], raw_data_info["raw_ann_info"]
        record = super().parse_data_info({**raw_data_info, "raw_ann_info": ()})
        maps, things = self.prefix("seg"), self.scratch["things"]
        record["seg_map_path"] = os.path.join(maps, image["file_name"].replace(".jpg", ".png")) if maps else None
        instances: list[Any] = []
        segments: list[Any] = []
        for row in rows:
            thing = row["category_id"] in things
            solid = self.instances_of(row)
            for one in solid:
                plain = thing and not one["ignore_flag"]
                segments.append({"id": row["id"], "category": one["bbox_label"], "is_thing": plain})
                instances += [one] if plain else []
        return {**record, "instances": instances, "segments_info": segments}

    def holds_objects(self, record: Mapping[str, Any]) -> bool:
        return any(segment["is_thing"] for segment in record["segments_info"])

    def text_of(self) -> dict[str, Any]:
        if not self.return_classes:
            return {}
        known = self.metainfo
        return {"text": known["thing_classes"], "stuff_text": known["stuff_classes"], "custom_entities": True}


@dataclass(frozen=True)
class ADE20KPanopticDataset(CocoPanopticDataset):
    """ADE20K in COCO's panoptic form: 100 things and 50 kinds of stuff."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/ade20k_panoptic")


@dataclass(frozen=True)
class ADE20KInstanceDataset(CocoDataset):
    """ADE20K's instances of 100 classes, in COCO's form."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/ade20k_instance")
