"""OpenImages and its challenge of 2019: boxes of hierarchical classes, by csv files; MMDetection's readers."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.detection import BaseDetDataset
from fkit.data.dataset.joined import joined
from fkit.data.dataset.pickled import unpickled
from fkit.fileio.io import load
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import get
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["OpenImagesChallengeDataset", "OpenImagesDataset"]

_SAID = ("is_occluded", "is_truncated", "is_group_of", "is_depiction", "is_inside")
_FILES = ("label_file", "meta_file", "hierarchy_file", "image_level_ann_file")
Row = dict[str, Any]


@dataclass(frozen=True)
class OpenImagesDataset(BaseDetDataset):
    """OpenImages V6, 601 classes.

    A record: ``img_path``, ``img_id``, ``height``, ``width``, ``instances`` with ``bbox`` in pixels, ``bbox_label``,
    ``ignore_flag`` 0 and what the file says of a box (``is_group_of``, ...); with ``image_level_ann_file``
    ``image_level_labels`` (M,) int64 and ``confidences`` (M,) float32 too. ``metainfo`` gains ``classes`` and
    ``RELATION_MATRIX`` (C, C): 1 where the column is the row's class or stands above it.

    Args:
        label_file: a class a line, "ID,NAME".
        meta_file: sizes of the images in the order of ``ann_file``, a pickle of [{"filename", "ori_shape"}].
        hierarchy_file: the tree of classes, JSON.
        image_level_ann_file: classes that were seen in an image, or not.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = frozen({"dataset_type": "oid_v6"})
    LEVEL: ClassVar[tuple[int, int]] = (2, 3)  # columns of class and confidence of image_level_ann_file

    data_prefix: Mapping[str, str] = frozen({"img": ""})
    label_file: str = ""
    meta_file: str = ""
    hierarchy_file: str = ""
    image_level_ann_file: str | None = None

    def __post_init__(self) -> None:
        for word in _FILES:
            path = getattr(self, word)
            expect(path, (str, type(None)), f"{type(self).__name__}: {word} is a path")
            vars(self)[word] = joined(self.data_root or "", path, word) if path else path
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for word in _FILES[:3]:
            if not getattr(self, word):
                raise FkitValueError(f"{type(self).__name__}: {word} is not said.", path=word)
        names, labels = self.classes()
        self.scratch["labels"] = labels
        known = {"classes": tuple(names), "RELATION_MATRIX": self.relations(len(names))}
        vars(self)["metainfo"] = frozen({**self.metainfo, **known})
        sizes: Any = unpickled(get(self.meta_file, self.backend_args), self.meta_file)
        expect(sizes, (list, tuple), f"{self.meta_file}: it is a list of sizes")
        records = list(self.boxes())
        if len(sizes) != len(records):
            raise FkitValueError(f"{self.meta_file}: {len(sizes)} sizes for {len(records)} images.")
        levels = self._levels() if self.image_level_ann_file else None
        return [self._scaled(record, size, levels) for record, size in zip(records, sizes, strict=True)]

    def classes(self) -> tuple[list[str], dict[str, int]]:
        """The names of the classes, and the label of each id."""
        rows = self._rows(self.label_file)
        return [row[1] for row in rows], {row[0]: label for label, row in enumerate(rows)}

    def relations(self, count: int) -> NDArray[np.float64]:
        """Which classes stand above which, (count, count)."""
        matrix = np.eye(count)
        tree: Any = load(self.hierarchy_file, "json", backend_args=self.backend_args)
        todo: list[tuple[Any, tuple[int, ...]]] = [(tree, ())]
        while todo:
            node, above = todo.pop()
            for child in node.get("Subcategory", ()):
                if "LabelName" in child:
                    label = self.label_of(child["LabelName"])
                    matrix[label, list(above)] = 1
                    todo.append((child, (label, *above)))
        return matrix

    def boxes(self) -> Iterator[Row]:
        """The images with their boxes, in shares of the image."""
        rows = self._rows(self.source_file)[1:]
        for name, group in groupby(rows, lambda row: row[0]):
            instances: list[Row] = []
            for row in group:
                x1, x2, y1, y2 = map(float, row[4:8])
                said = {word: int(flag) == 1 for word, flag in zip(_SAID, row[8:13], strict=True)}
                label = self.label_of(row[2])
                instances.append({"bbox": [x1, y1, x2, y2], "bbox_label": label, "ignore_flag": 0, **said})
            yield {"img_path": self.path(f"{name}.jpg"), "img_id": name, "instances": instances}

    def path(self, name: str) -> str:
        """An image's file."""
        return os.path.join(self.prefix("img", "img_path"), name)

    def label_of(self, number: str) -> int:
        """The label of a class's id.

        Raises:
            FkitKeyError: there is no such class.
        """
        labels: Mapping[str, int] = self.scratch["labels"]
        if number not in labels:
            raise FkitKeyError(f"{self.label_file}: it has no class {number!r}.", value=number, choices=labels)
        return labels[number]

    def _rows(self, file: str) -> list[list[str]]:
        text = get(file, self.backend_args).decode("utf-8")
        return [row for row in csv.reader(io.StringIO(text)) if row]

    def _levels(self) -> dict[str, list[tuple[int, float]]]:
        """Labels and confidences of each image."""
        name, confidence = self.LEVEL
        levels: dict[str, list[tuple[int, float]]] = {}
        for row in self._rows(self.image_level_ann_file or "")[1:]:
            levels.setdefault(row[0], []).append((self.label_of(row[name]), float(row[confidence])))
        return levels

    def _scaled(self, record: Row, size: Any, levels: Mapping[str, Sequence[tuple[int, float]]] | None) -> Row:
        """A record with the image's size, and boxes in pixels."""
        if not isinstance(size, Mapping) or not {"filename", "ori_shape"} <= set(cast("Mapping[str, Any]", size)):
            raise FkitTypeError(f"{self.meta_file}: a size is a mapping of filename and ori_shape.")
        name, stem = record["img_id"], os.path.splitext(os.path.basename(cast(str, size["filename"])))[0]
        if stem != name:
            raise FkitValueError(f"{self.meta_file}: {stem!r} stands where {self.ann_file} has {name!r}.")
        height, width = cast("Sequence[int]", size["ori_shape"])[:2]
        for one in record["instances"]:
            one["bbox"] = [side * by for side, by in zip(one["bbox"], (width, height) * 2, strict=True)]
        record = {**record, "height": height, "width": width}
        if levels is None:
            return record
        seen = levels.get(name, ())
        labels = np.array([label for label, _ in seen], np.int64)
        return {
            **record,
            "image_level_labels": labels,
            "confidences": np.array([confidence for _, confidence in seen], np.float32),
        }


@dataclass(frozen=True)
class OpenImagesChallengeDataset(OpenImagesDataset):
    """OpenImages' challenge of 2019, 500 classes, by a text file; a box says ``is_group_ofs``.

    Args:
        label_file: a class a line, "ID,NAME,NUMBER", numbers from 1.
        hierarchy_file: an array of numpy (C + 1, C + 1), whose first row and column are left out.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = frozen({"dataset_type": "oid_challenge"})
    LEVEL: ClassVar[tuple[int, int]] = (1, 2)

    def __post_init__(self) -> None:
        expect(self.ann_file, str, "OpenImagesChallengeDataset: ann_file is a path")
        if self.ann_file and not self.ann_file.endswith("txt"):
            raise FkitTypeError("OpenImagesChallengeDataset: ann_file is a txt file.", path="ann_file")
        super().__post_init__()

    def classes(self) -> tuple[list[str], dict[str, int]]:
        rows = sorted(self._rows(self.label_file), key=lambda row: int(row[2]))
        return [row[1] for row in rows], {row[0]: int(row[2]) - 1 for row in rows}

    def relations(self, count: int) -> NDArray[np.float64]:
        try:
            matrix: NDArray[Any] = np.load(io.BytesIO(get(self.hierarchy_file, self.backend_args)))
        except (ValueError, EOFError) as cause:
            raise FkitValueError(f"{self.hierarchy_file}: it is no array of numpy: {cause}.") from cause
        if matrix.shape != (count + 1, count + 1):
            raise FkitValueError(
                f"{self.hierarchy_file}: {matrix.shape}, where {count} classes want {count + 1} squared."
            )
        return matrix[1:, 1:]

    def boxes(self) -> Iterator[Row]:
        lines = iter(list_from_file(self.source_file, backend_args=self.backend_args))
        for name in lines:
            next(lines)  # a number that says nothing of the boxes
            instances: list[Row] = []
            for _ in range(int(next(lines))):
                label, *box, group = next(lines).split()
                said = {"bbox_label": int(label) - 1, "ignore_flag": 0, "is_group_ofs": int(group) == 1}
                instances.append({"bbox": [float(side) for side in box], **said})
            stem = os.path.splitext(os.path.basename(name.rstrip()))[0]
            yield {"img_path": self.path(name.rstrip()), "img_id": stem, "instances": instances}
