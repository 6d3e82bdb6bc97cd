"""Detection datasets of COCO's form: boxes, masks and labels of instances."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, cast

from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.coco_file import CocoFile, check_boxes, mask_fault, read_coco
from fkit.data.dataset.facts import Facts
from fkit.data.dataset.joined import joined
from fkit.fileio.io import load
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["BaseDetDataset", "CocoDataset"]

_NUMBERS = (int, float)
_THIN = "a box under a pixel wide or high, or an area of 0"


@dataclass(frozen=True)
class BaseDetDataset(BaseDataset):
    """MMDetection's base of datasets with boxes; arguments beside those of `BaseDataset`:

    Args:
        seg_map_suffix: of the files of segmentation maps below ``data_prefix["seg"]``.
        proposal_file: a file of {"FOLDER/NAME": {"bboxes", "scores"}}, put into the records as ``proposals``.
        backend_args: the storage of the annotation file.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        return_classes: put the classes into each record as ``text``, for models that read them.
        caption_prompt: with ``return_classes``, words around a class's name.
    """

    seg_map_suffix: str = ".png"
    proposal_file: str | None = None
    backend_args: Mapping[str, Any] | None = None
    file_client_args: Mapping[str, Any] | None = None
    return_classes: bool = False
    caption_prompt: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        for word in ("backend_args", "file_client_args", "caption_prompt"):
            expect(getattr(self, word), (Mapping, type(None)), f"{name}: {word} is a mapping")
        expect(self.seg_map_suffix, str, f"{name}: seg_map_suffix is text such as '.png'")
        expect(self.return_classes, bool, f"{name}: return_classes is True or False")
        if self.caption_prompt is not None and not self.return_classes:
            raise FkitValueError(f"{name}: caption_prompt is for return_classes=True.")
        vars(self)["backend_args"] = self.backend_args if self.backend_args is not None else self.file_client_args
        vars(self)["file_client_args"] = None
        super().__post_init__()

    def full_init(self) -> None:
        if "_store" not in vars(self) and self.proposal_file is not None:
            expect(self.proposal_file, str, f"{type(self).__name__}: proposal_file is a path")
            path = joined(self.data_root, self.proposal_file, "proposal_file")
            self.scratch["proposals"] = load(path, backend_args=self.backend_args, allow_pickle=path.endswith("pkl"))
        super().full_init()

    def filter_data(self) -> Iterable[Mapping[str, Any]]:
        """In training: images of at least ``min_size``, and, with ``filter_empty_gt``, with an instance."""
        records: list[Any] = self.data_list
        if "proposals" in self.scratch:
            records = [self._proposed(record) for record in records]
        if self.test_mode or self.filter_cfg is None:
            return records
        least = self.filter_cfg.get("min_size", 0)
        empty = not self.filter_cfg.get("filter_empty_gt", False)
        return [
            record
            for record in records
            if min(record["width"], record["height"]) >= least and (empty or self.holds_objects(record))
        ]

    def holds_objects(self, record: Mapping[str, Any]) -> bool:
        """Whether ``filter_empty_gt`` keeps an image."""
        return len(record["instances"]) > 0

    def prefix(self, *words: str) -> str:
        """The folder that ``data_prefix`` says under the first of some words; empty where it says none."""
        return next((self.data_prefix[word] for word in words if self.data_prefix.get(word)), "")

    def text_of(self) -> dict[str, Any]:
        """What ``return_classes`` puts into a record."""
        if not self.return_classes:
            return {}
        return {
            "text": self.metainfo["classes"],
            "caption_prompt": self.caption_prompt,
            "custom_entities": True,
        }

    def _proposed(self, record: Mapping[str, Any]) -> dict[str, Any]:
        proposals: Any = self.scratch["proposals"]
        folder, name = os.path.split(record["img_path"])
        key = os.path.join(os.path.basename(folder), name)
        if key not in proposals:
            raise FkitValueError(f"{self.proposal_file}: it has no proposals of {key!r}.", value=key, choices=proposals)
        return {**record, "proposals": proposals[key]}


@dataclass(frozen=True)
class CocoDataset(BaseDetDataset):
    """COCO: detection and instance masks, of the annotation file's JSON; MMDetection's CocoDataset.

    A record: ``img_path``, ``img_id``, ``height``, ``width``, ``seg_map_path`` or None, and ``instances``, each with
    ``bbox`` [x1, y1, x2, y2], ``bbox_label``, ``ignore_flag`` (1 for a crowd) and, where there is one, ``mask`` (polygons
    or RLE, as the file has it). A file without annotations (test2017) has images with no instances.

    Label i is the class ``metainfo["classes"][i]``, whatever the order of the file's categories (which MMDetection takes);
    ``cat_ids[i]`` is its category id. Annotations of other categories are left out, so are those that say ``ignore`` and,
    counted in ``skipped``, boxes of less than a pixel. Anything else that is wrong is an error, or skipped (``on_error``).

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.json"
        >>> box = {"id": 1, "image_id": 5, "category_id": 9, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
        >>> content = {"images": [{"id": 5, "file_name": "a.png", "width": 8, "height": 8}], "annotations": [box]}
        >>> _ = file.write_text(json.dumps({**content, "categories": [{"id": 9, "name": "cell"}]}))
        >>> cells = CocoDataset(str(file), metainfo={"classes": ("cell",)}, data_prefix={"img": "images"})
        >>> cells[0]["img_path"], cells[0]["instances"][0]["bbox"]
        ('images/a.png', [1, 2, 4, 6])
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/coco")
    ANN_ID_UNIQUE: ClassVar[bool] = True

    data_prefix: Mapping[str, str] = frozen({"img": ""})

    @property
    def cat_ids(self) -> tuple[Any, ...]:
        """The category id of each label; None where the file does not have the class."""
        if "_cat_ids" not in vars(self):
            self.full_init()
        return vars(self)["_cat_ids"]

    @property
    def cat2label(self) -> Mapping[Any, int]:
        """Category id -> label."""
        return frozen({number: label for label, number in enumerate(self.cat_ids) if number is not None})

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        file = read_coco(self.ann_file, self.faults, self.backend_args, self.ANN_ID_UNIQUE)
        classes: Any = self.metainfo.get("classes")
        expect(classes, (list, tuple), f"{type(self).__name__}: metainfo['classes'] is a list of names")
        if not file.categories and any(file.annotations.values()):
            raise FkitValueError(f"{self.ann_file}: it has annotations, and no 'categories' that name their classes.")
        file = self.prepare(file)
        vars(self)["_cat_ids"] = ids = self.category_ids(file) if file.categories else (None,) * len(classes)
        wanted = frozenset(number for number in ids if number is not None)
        self.scratch["peopled"] = frozenset(
            key for key, rows in file.annotations.items() if any(row.get("category_id") in wanted for row in rows)
        )
        return self._parsed(self._sound(file))

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        """The record of ``{"raw_img_info": image, "raw_ann_info": its annotations}``."""
        image, rows = raw_data_info["raw_img_info"], raw_data_info["raw_ann_info"]
        name, maps = image["file_name"], self.prefix("seg")
        return {
            "img_path": os.path.join(self.prefix("img", "img_path"), name),
            "img_id": image["img_id"],
            "seg_map_path": os.path.join(maps, self.map_of(name)) if maps else None,
            "height": image["height"],
            "width": image["width"],
            **self.text_of(),
            "instances": [one for row in rows for one in self.instances_of(row)],
        }

    def instances_of(self, row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """The instance of an annotation, or none."""
        label = self.scratch["labels"].get(row.get("category_id"))
        if row.get("ignore", False) or label is None:
            return ()
        x, y, w, h = row["bbox"]
        if w < 1 or h < 1 or row.get("area", 1) <= 0:
            self.faults.note(_THIN, f"annotation {row.get('id')!r}")
            return ()
        one = {"ignore_flag": int(bool(row.get("iscrowd", False))), "bbox": [x, y, x + w, y + h], "bbox_label": label}
        mask = row.get("segmentation")
        if (
            mask
            and isinstance(mask, (list, tuple))
            and not any(_encloses(part) for part in cast("Sequence[Any]", mask))
        ):
            self.faults.note(
                "a mask of less than three points, whose object is ignored", f"annotation {row.get('id')!r}"
            )
        return ({**one, "mask": row["segmentation"]} if row.get("segmentation") else one,)

    def holds_objects(self, record: Mapping[str, Any]) -> bool:
        """An annotation of any of the classes counts, be it a crowd or one that was left out, as in MMDetection."""
        return record["img_id"] in self.scratch["peopled"]

    def prepare(self, file: CocoFile) -> CocoFile:
        """What the file holds, in COCO's form of detection."""
        return file

    def category_ids(self, file: CocoFile) -> tuple[Any, ...]:
        """The category id of each label; None for a class that the file does not have."""
        return file.category_ids(tuple(self.metainfo["classes"]), "classes" in self.said)

    def map_of(self, name: str) -> str:
        """The name of the segmentation map of an image's file, below ``data_prefix["seg"]``."""
        return name.rsplit(".", 1)[0] + self.seg_map_suffix

    def file_of(self, image: Mapping[str, Any]) -> str | None:
        """The name of an image's file below ``data_prefix["img"]``; None leaves the image out."""
        return image.get("file_name")

    def _sound(self, file: CocoFile) -> Mapping[Any, Sequence[Mapping[str, Any]]]:
        """The annotations whose boxes can be used, by image, in a mapping of all images."""
        images = {image["id"]: image for image in file.images}
        rows = list(chain.from_iterable(file.annotations.values()))
        boxed = check_boxes(rows, images, self.faults).tolist()
        keep = iter([good and self._is_sound(row) for row, good in zip(rows, boxed, strict=True)])
        sound = {key: [row for row in several if next(keep)] for key, several in file.annotations.items()}
        self.scratch["images"] = images
        return sound

    def _is_sound(self, row: Mapping[str, Any]) -> bool:
        """Whether the rest of an annotation can be used."""
        name, crowd, area = f"annotation {row.get('id')!r}", row.get("iscrowd", 0), row.get("area", 1)
        kind, detail = "", ""
        if "category_id" not in row:
            kind = "an annotation without a category_id"
        elif type(area) not in _NUMBERS or area != area:
            kind, detail = "an area that is no number", quoted(area)
        elif crowd not in (0, 1, None):
            kind, detail = "an iscrowd that is neither 0 nor 1", quoted(crowd)
        elif row.get("segmentation"):
            kind = mask_fault(row["segmentation"])
        if kind:
            kind, bracket, said = kind.partition(" (")
            self.faults.add(kind, name, detail or (said.removesuffix(")") if bracket else ""))
        return not kind

    def _parsed(self, annotations: Mapping[Any, Sequence[Mapping[str, Any]]]) -> list[Any]:
        records = list[Any]()
        self.scratch["labels"] = dict(self.cat2label)
        for number, image in cast("Mapping[Any, dict[str, Any]]", self.scratch["images"]).items():
            name = self.file_of(image)
            if name is None:
                continue
            if not ("height" in image and "width" in image):
                self.faults.add("an image that does not say its height and width", f"image {number!r}")
                continue
            raw = {"raw_img_info": {**image, "img_id": number, "file_name": name}, "raw_ann_info": annotations[number]}
            records.append(self.parse_data_info(raw))
        return records


def _encloses(part: Sequence[Any]) -> bool:
    """Whether a part of a polygon, x y x y ..., has an inside."""
    return len(part) >= 6 and len(part) % 2 == 0
