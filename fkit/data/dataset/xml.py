"""PASCAL VOC's form: an XML file an image; VOC itself and WIDER FACE."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.etree import ElementTree

from fkit.data.dataset.detection import BaseDetDataset
from fkit.data.dataset.facts import Facts
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import get
from fkit.image.io import imread
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["VOCDataset", "WIDERFaceDataset", "XMLDataset"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class XMLDataset(BaseDetDataset):
    """Boxes by an XML file an image, in VOC's folders below ``data_prefix["sub_data_root"]``; ``ann_file`` lists the names.

    A record: ``img_path``, ``img_id`` (the name), ``xml_path``, ``height``, ``width`` and ``instances`` with ``bbox``
    x1, y1, x2, y2 from 0 (VOC counts from 1), ``bbox_label`` and ``ignore_flag``, 1 for difficult ones and, in training, for
    those smaller than ``filter_cfg["bbox_min_size"]``. Objects of other classes are left out.

    Args:
        img_subdir: folder of the images.
        ann_subdir: folder of the XML files.
    """

    data_prefix: Mapping[str, str] = frozen({"sub_data_root": ""})
    img_subdir: str = "JPEGImages"
    ann_subdir: str = "Annotations"
    FIRST: ClassVar[int] = 1  # the number of a file's first pixel

    def __post_init__(self) -> None:
        for word in ("img_subdir", "ann_subdir"):
            expect(getattr(self, word), str, f"{type(self).__name__}: {word} is a folder's name")
        super().__post_init__()

    @property
    def sub_data_root(self) -> str:
        """The folder that holds those of images and of XML files."""
        return self.data_prefix.get("sub_data_root", "")

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        if self.metainfo.get("classes") is None:
            raise FkitValueError(
                f"{type(self).__name__}: metainfo has no 'classes'.", repair="Set metainfo=dict(classes=(...))."
            )
        names: dict[str, int] = {}
        for number, line in enumerate(list_from_file(self.source_file, backend_args=self.backend_args), 1):
            name = line.strip()
            if name in names:
                self.faults.add("a name that came before", f"line {number}", f"{name!r} of line {names[name]}")
            elif name:
                names[name] = number
        records = (self.parse_data_info({"img_id": name}) for name in names)
        return [record for record in records if record is not None]

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        """The record of ``{"img_id": name}``, of the XML file of that name; None where that is wrong and skipped."""
        name = raw_data_info["img_id"]
        path = self.xml_of(name)
        root = self._root(path)
        if root is None:
            return None
        image = self.image_of(name, root)
        size = self._size(root, image, path)
        if size is None:
            return None
        record = {"img_path": image, "img_id": name, "xml_path": path, "height": size[1], "width": size[0]}
        boxes = (
            self._instance(item, f"{path}: object {place}", size) for place, item in enumerate(root.iter("object"))
        )
        return {**record, "instances": [box for box in boxes if box is not None]}

    def xml_of(self, name: str) -> str:
        """An image's XML file."""
        return os.path.join(self.sub_data_root, self.ann_subdir, f"{name}.xml")

    def image_of(self, name: str, root: Any) -> str:
        """An image's file."""
        return os.path.join(self.sub_data_root, self.img_subdir, f"{name}.jpg")

    def _root(self, path: str) -> Any:
        try:
            root = ElementTree.fromstring(get(path, self.backend_args))
            if any(root.find(word) is not None for word in ("object", "size", "filename")):
                return root
            self.faults.add("an XML file of another form than VOC's", path, f"<{root.tag}>")
        except ElementTree.ParseError as cause:
            self.faults.add("a file that is no XML", path, str(cause))
        except FkitError:
            if self.on_error == "raise":
                raise
            self.faults.add("an XML file that cannot be read", path)
        return None

    def _size(self, root: Any, image: str, path: str) -> tuple[int, int] | None:
        if root.find("size") is None:
            height, width = imread(image, backend_args=self.backend_args).shape[:2]
            return width, height
        try:
            width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
        except (TypeError, ValueError):
            width = height = 0
        if width <= 0 or height <= 0:
            self.faults.add("an image of no size", path)
            return None
        return width, height

    def _instance(self, item: Any, record: str, size: tuple[int, int]) -> dict[str, Any] | None:
        name = item.findtext("name")
        classes = list(self.metainfo["classes"])
        if name is None:
            self.faults.add("an object without a name", record)
        if name not in classes:
            return None
        said = [item.findtext(f"bndbox/{side}") for side in _SIDES]
        try:
            box = [_pixel(text) - self.FIRST for text in said]
        except (TypeError, ValueError, OverflowError):
            self.faults.add("a box that is not four numbers", record, quoted(said))
            return None
        try:
            hard = int(item.findtext("difficult") or 0)
        except ValueError:
            self.faults.add("a difficult that is no number", record, quoted(item.findtext("difficult")))
            return None
        if box[2] < box[0] or box[3] < box[1]:
            self.faults.add("a box of a negative size", record, quoted(said))
            return None
        if box[0] >= size[0] or box[1] >= size[1] or box[2] < 0 or box[3] < 0:
            self.faults.add("a box outside of its image", record, f"{quoted(said)}, image {size[0]}x{size[1]}")
            return None
        least = None if self.test_mode else (self.filter_cfg or {}).get("bbox_min_size")
        small = least is not None and (box[2] - box[0] < least or box[3] - box[1] < least)
        return {"ignore_flag": int(bool(hard or small)), "bbox": box, "bbox_label": classes.index(name)}


def _pixel(text: Any) -> int:
    """The whole number of a side of a box.

    Raises:
        ValueError: it is none of a picture.
    """
    number = float(text)
    if not abs(number) < 1e9:
        raise ValueError(text)
    return int(number)


@dataclass(frozen=True)
class VOCDataset(XMLDataset):
    """PASCAL VOC, 20 classes; ``metainfo["dataset_type"]`` is "VOC2007" or "VOC2012" where the folder's name says it."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/voc")

    def _merged(self, of_file: Mapping[str, Any]) -> Mapping[str, Any]:
        year = next((year for year in ("VOC2007", "VOC2012") if year in self.sub_data_root), None)
        return frozen({"dataset_type": year, **super()._merged(of_file), **({"dataset_type": year} if year else {})})


@dataclass(frozen=True)
class WIDERFaceDataset(XMLDataset):
    """WIDER FACE, in VOC's form: images in folders that the XML files name, below ``data_prefix["img"]``."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/wider_face")
    FIRST: ClassVar[int] = 0

    data_prefix: Mapping[str, str] = frozen({"img": ""})

    def xml_of(self, name: str) -> str:
        return os.path.join(self.prefix("img", "sub_data_root"), self.ann_subdir, f"{name}.xml")

    def image_of(self, name: str, root: Any) -> str:
        return os.path.join(self.prefix("img", "sub_data_root"), root.findtext("folder") or "", f"{name}.jpg")
