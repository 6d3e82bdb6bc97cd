"""Detection by words: boxes of classes or of phrases of a caption; MMDetection's ODVG, RefCOCO and Flickr30k readers."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.dataset.coco_file import check_boxes, read_coco
from fkit.data.dataset.detection import BaseDetDataset
from fkit.data.dataset.joined import joined
from fkit.fileio.io import load
from fkit.fileio.line import list_from_file
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Flickr30kDataset", "MDETRStyleRefCocoDataset", "ODVGDataset"]

_IMG = frozen({"img": ""})
_THIN = "a box under a pixel wide or high, or outside of its image"


@dataclass(frozen=True)
class ODVGDataset(BaseDetDataset):
    """Images with boxes of classes (detection) or of phrases (grounding), a JSON a line.

    A line: ``filename``, ``height``, ``width``, and ``detection`` {"instances": [{"bbox", "label"}]} or ``grounding``
    {"caption", "regions": [{"bbox", "phrase", "tokens_positive"}]}; boxes are x1, y1, x2, y2. A record: ``text`` (names
    by label, or the caption), ``dataset_mode`` "OD" or "VG", ``instances``, and with a caption ``phrases`` by label.

    Args:
        label_map_file: JSON of label -> name, below ``data_root``; with it lines are of detection, else of grounding.
        need_text: put the names into each record.
    """

    data_prefix: Mapping[str, str] = _IMG
    return_classes: bool = True
    label_map_file: str | None = None
    need_text: bool = True

    def __post_init__(self) -> None:
        expect(self.label_map_file, (str, type(None)), "ODVGDataset: label_map_file is a path")
        expect(self.need_text, bool, "ODVGDataset: need_text is True or False")
        if not self.return_classes:
            raise FkitValueError("ODVGDataset: return_classes=True is all that it offers.", path="return_classes")
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        names: Any = None
        if self.label_map_file:
            path = joined(self.data_root, self.label_map_file, "ODVGDataset: label_map_file")
            names = load(path, "json")
        records: list[Any] = []
        for number, line in enumerate(list_from_file(self.source_file, backend_args=self.backend_args), 1):
            try:
                raw: Any = json.loads(line)
                record = {
                    "img_path": os.path.join(self.prefix("img", "img_path"), raw["filename"]),
                    "height": raw["height"],
                    "width": raw["width"],
                }
                more = self._detected(raw, names, number) if names is not None else self._grounded(raw, number)
            except (ValueError, KeyError, TypeError) as cause:
                if isinstance(cause, FkitValueError):
                    raise
                what = f"{type(cause).__name__}: {quoted(str(cause))}"
                self.faults.add("a line of another form", f"line {number}", what)
                continue
            records.append({**record, **more})
        return records

    def _detected(self, raw: Mapping[str, Any], names: Any, number: int) -> dict[str, Any]:
        rows = raw.get("detection", {}).get("instances", ())
        text = {"text": names} if self.need_text else {}
        boxes = [self._instance(raw, row["bbox"], int(row["label"]), number) for row in rows]
        return {**text, "instances": [box for box in boxes if box is not None], "dataset_mode": "OD"}

    def _grounded(self, raw: Mapping[str, Any], number: int) -> dict[str, Any]:
        said = raw["grounding"]
        phrases: dict[int, Any] = {}
        instances: list[Any] = []
        for label, region in enumerate(said["regions"]):
            boxes = region["bbox"] if isinstance(region["bbox"][0], list) else [region["bbox"]]
            for box in boxes:
                one = self._instance(raw, box, label, number)
                if one is not None:
                    phrases[label] = {"phrase": region["phrase"], "tokens_positive": region["tokens_positive"]}
                    instances.append(one)
        return {"text": said["caption"], "instances": instances, "phrases": phrases, "dataset_mode": "VG"}

    def _instance(self, raw: Mapping[str, Any], box: Sequence[float], label: int, number: int) -> dict[str, Any] | None:
        x1, y1, x2, y2 = box
        if not np.isfinite([x1, y1, x2, y2]).all() or x2 < x1 or y2 < y1:
            self.faults.add("a box that is not x1, y1, x2, y2", f"line {number}", quoted(box))
            return None
        within = min(x2, raw["width"]) > max(x1, 0) and min(y2, raw["height"]) > max(y1, 0)
        if not within or x2 - x1 < 1 or y2 - y1 < 1:
            self.faults.note(_THIN, f"line {number}")
            return None
        return {"ignore_flag": 0, "bbox": list(box), "bbox_label": label}


@dataclass(frozen=True)
class MDETRStyleRefCocoDataset(BaseDetDataset):
    """RefCOCO, RefCOCO+ and RefCOCOg as MDETR has them, for tests: an image with a caption and the box that it means."""

    data_prefix: Mapping[str, str] = _IMG

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for image, rows in _captioned(self):
            yield {
                "img_path": os.path.join(self.prefix("img", "img_path"), image["file_name"]),
                "img_id": image["id"],
                "height": image["height"],
                "width": image["width"],
                "dataset_mode": image["dataset_name"],
                "text": image["caption"],
                "custom_entities": False,
                "tokens_positive": -1,
                "instances": [_instance_of(row) for row in rows],
            }


@dataclass(frozen=True)
class Flickr30kDataset(BaseDetDataset):
    """Flickr30k Entities: an image with a caption, and the boxes of its phrases (``phrase_ids`` of each instance)."""

    data_prefix: Mapping[str, str] = _IMG

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for image, rows in sorted(_captioned(self), key=lambda pair: pair[0]["id"]):
            caption, tokens = image["caption"], image["tokens_positive_eval"]
            ids = [row["phrase_ids"] for row in rows]
            yield {
                "img_path": os.path.join(self.prefix("img", "img_path"), image["file_name"]),
                "img_id": image["id"],
                "height": image["height"],
                "width": image["width"],
                "instances": [{**_instance_of(row), "ignore_flag": row["iscrowd"]} for row in rows],
                "text": caption,
                "phrase_ids": _numbered(ids),
                "tokens_positive": tokens,
                "phrases": [caption[token[0][0] : token[0][1]] for token in tokens],
            }


def _captioned(dataset: BaseDetDataset) -> list[tuple[Mapping[str, Any], list[Any]]]:
    file = read_coco(dataset.ann_file, dataset.faults, dataset.backend_args)
    images = {image["id"]: image for image in file.images}
    pairs: list[tuple[Mapping[str, Any], list[Any]]] = []
    for number, image in images.items():
        rows = file.annotations[number]
        keep = check_boxes(rows, images, dataset.faults).tolist()
        pairs.append((image, [row for row, fine in zip(rows, keep, strict=True) if fine]))
    return pairs


def _instance_of(row: Mapping[str, Any]) -> dict[str, Any]:
    x, y, w, h = row["bbox"]
    return {"bbox": [x, y, x + w, y + h], "bbox_label": row["category_id"], "ignore_flag": 0}


def _numbered(ids: Sequence[Any]) -> list[Any]:
    """Phrases' ids counted from 0 in the order of their size."""
    order = sorted(set(ids))
    return [order.index(number) for number in ids]
