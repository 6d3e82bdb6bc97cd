"""Public classification data sets whose splits are text files of names: Food-101, Oxford-IIIT Pet, SUN397, FGVC Aircraft."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.data.dataset.classification import BaseClsDataset, check_split, need_root
from fkit.data.dataset.facts import Facts
from fkit.fileio.line import list_from_file
from fkit.tree.error import quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["SUN397", "FGVCAircraft", "Food101", "OxfordIIITPet"]


@dataclass(frozen=True)
class _Listed(BaseClsDataset):
    """Images of a split's list, below ``data_root``.

    Args:
        split: which list.
    """

    FILES: ClassVar[Mapping[str, str]] = EMPTY  # split -> its list
    FOLDER: ClassVar[str] = "images"

    split: str = "train"

    def __post_init__(self) -> None:
        check_split(self.split, tuple(self.FILES), type(self).__name__)
        need_root(self.data_root, type(self).__name__)
        vars(self)["ann_file"] = self.ann_file or self.FILES[self.split]
        vars(self)["data_prefix"] = {"img_path": self.FOLDER}
        vars(self)["test_mode"] = self.split == "test"
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for number, line in enumerate(list_from_file(self.ann_file), 1):
            try:
                name, label = self.parsed(line)
            except ValueError as cause:
                self.faults.add("a line of another form", f"line {number}", f"{quoted(line)}: {cause}")
                continue
            yield {"img_path": os.path.join(self.data_prefix["img_path"], name), "gt_label": label}

    def parsed(self, line: str) -> tuple[str, int]:
        """The image and the label of a line of the list."""
        raise NotImplementedError

    def label(self, name: str) -> int:
        """The label of a class's name."""
        return self.METAINFO["classes"].index(name)


@dataclass(frozen=True)
class Food101(_Listed):
    """Food-101."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/food101")
    FILES: ClassVar[Mapping[str, str]] = frozen({"train": "meta/train.txt", "test": "meta/test.txt"})

    def parsed(self, line: str) -> tuple[str, int]:
        name, _ = line.split("/")
        return f"{line}.jpg", self.label(name)


@dataclass(frozen=True)
class OxfordIIITPet(_Listed):
    """Oxford-IIIT Pet, 37 breeds of cats and dogs; ``split`` is "trainval" or "test"."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/oxford_iiit_pet")
    FILES: ClassVar[Mapping[str, str]] = frozen(
        {"trainval": "annotations/trainval.txt", "test": "annotations/test.txt"}
    )

    split: str = "trainval"

    def parsed(self, line: str) -> tuple[str, int]:
        name, label, _, _ = line.split()
        return f"{name}.jpg", int(label) - 1


@dataclass(frozen=True)
class SUN397(_Listed):
    """SUN397, kinds of scenes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/sun397")
    FILES: ClassVar[Mapping[str, str]] = frozen(
        {"train": "Partitions/Training_01.txt", "test": "Partitions/Testing_01.txt"}
    )
    FOLDER: ClassVar[str] = "SUN397"

    def parsed(self, line: str) -> tuple[str, int]:
        return line[1:], self.label("_".join(line.split("/")[2:-1]))


@dataclass(frozen=True)
class FGVCAircraft(_Listed):
    """FGVC Aircraft, 100 variants of aircraft; ``split`` is "train", "val", "trainval" or "test"."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/fgvc_aircraft")
    FILES: ClassVar[Mapping[str, str]] = frozen(
        {split: f"data/images_variant_{split}.txt" for split in ("train", "val", "trainval", "test")}
    )
    FOLDER: ClassVar[str] = "data/images"

    split: str = "trainval"

    def parsed(self, line: str) -> tuple[str, int]:
        name, _, kind = line.partition(" ")
        return f"{name}.jpg", self.label(kind)
