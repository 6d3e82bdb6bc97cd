"""Classification datasets: folders of classes or a list of names and labels; ImageNet above all. MMPretrain's."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.facts import Facts
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import exists, isdir, list_dir_or_file
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = [
    "BaseClsDataset",
    "CustomDataset",
    "ImageNet",
    "ImageNet21k",
    "MultiLabelDataset",
    "Places205",
    "check_split",
    "need_root",
]

_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")


@dataclass(frozen=True)
class BaseClsDataset(BaseDataset):
    """MMPretrain's base: a record has ``gt_label``, one or several.

    Args:
        classes: names, or a file with one a line: ``metainfo["classes"]`` in short.
    """

    data_prefix: Mapping[str, str] = frozen({"img_path": ""})
    classes: Sequence[str] | str | None = None

    def __post_init__(self) -> None:
        names: Any = self.classes
        if names is not None:
            if isinstance(names, str):
                names = list_from_file(os.path.expanduser(names))
            expect(names, (list, tuple), f"{type(self).__name__}: classes is a list of names, or a file's path")
            expect(self.metainfo, (Mapping, type(None)), f"{type(self).__name__}: metainfo is a mapping")
            vars(self)["metainfo"] = {"classes": tuple(names), **(self.metainfo or {})}
            vars(self)["classes"] = tuple(names)
        super().__post_init__()

    def _merged(self, of_file: Mapping[str, Any]) -> Mapping[str, Any]:
        """OpenMMLab's annotation files may say ``categories`` in place of ``classes``."""
        known = super()._merged(of_file)
        if "classes" in known or "categories" not in known:
            return known
        rows = sorted(known["categories"], key=lambda row: row["id"])
        return frozen({**known, "classes": tuple(row["category_name"] for row in rows)})

    def label_of(self, text: str, record: str) -> int | None:
        """The label that a file says, or None where it is none and that is skipped."""
        names = self.metainfo.get("classes")
        try:
            label = int(text)
        except ValueError:
            self.faults.add("a label that is no whole number", record, quoted(text))
            return None
        if label < 0 or (names is not None and label >= len(names)):
            self.faults.add("a label that is none of the classes", record, f"{label} of {len(names or ())} classes")
            return None
        return label


@dataclass(frozen=True)
class MultiLabelDataset(BaseClsDataset):
    """Images with several labels each, of OpenMMLab's annotation file: ``gt_label`` is a list."""


@dataclass(frozen=True)
class CustomDataset(BaseClsDataset):
    """Images by classes: of ``ann_file``, a line "NAME LABEL" each, or of folders, one a class, sorted by name.

    Args:
        with_label: False takes images without labels: all below the folder, or the names that ``ann_file`` lists.
        extensions: of the files of folders that are taken, in any case.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("dog/b.png", "cat/a.png"):
        ...     (folder / name).parent.mkdir()
        ...     (folder / name).touch()
        >>> pets = CustomDataset(data_root=str(folder))
        >>> pets.metainfo["classes"], [one["gt_label"] for one in pets]
        (('cat', 'dog'), [0, 1])
    """

    with_label: bool = True
    extensions: Sequence[str] = _EXTENSIONS

    def __post_init__(self) -> None:
        name = type(self).__name__
        expect(self.with_label, bool, f"{name}: with_label is True or False")
        expect(self.extensions, (list, tuple), f"{name}: extensions is a list such as ['.png']")
        for ending in self.extensions:
            expect(ending, str, f"{name}: an extension is text such as '.png'")
        vars(self)["extensions"] = tuple(ending.lower() for ending in self.extensions)
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        folder = self.data_prefix.get("img_path", "")
        if not (self.ann_file or folder or self.data_root):
            raise FkitValueError(
                f"{type(self).__name__}: ann_file, data_root or data_prefix says where the images are."
            )
        if self.ann_file:
            return list(self._listed(folder))
        if not isdir(folder):
            raise FkitFileNotFoundError(f"{type(self).__name__}: the folder {folder!r} is not there.")
        rows = self._of_classes(folder) if self.with_label else [{"img_path": path} for path in self._files(folder)]
        if not rows:
            raise FkitValueError(
                f"{type(self).__name__}: {folder!r} holds no images.",
                repair=f"They end in {', '.join(self.extensions)}.",
            )
        return rows

    def _listed(self, folder: str) -> Iterable[Mapping[str, Any]]:
        known: dict[str, tuple[str, int]] = {}
        for number, line in enumerate(list_from_file(self.ann_file), 1):
            name, _, label = line.strip().rpartition(" ") if self.with_label else (line.strip(), "", "")
            if self.with_label and not name:
                self.faults.add("a line that is no name and label", f"line {number}", quoted(line))
                continue
            before, at = known.setdefault(name, (label, number))
            if before != label:
                said = f"{name!r}: {label}, and {before} in line {at}"
                self.faults.add("an image that came before with another label", f"line {number}", said)
                continue
            record: dict[str, Any] = {"img_path": os.path.join(folder, name)}
            if self.with_label:
                record["gt_label"] = self.label_of(label, f"line {number}")
                if record["gt_label"] is None:
                    continue
            yield record

    def _of_classes(self, folder: str) -> list[Mapping[str, Any]]:
        there = sorted(list_dir_or_file(folder, True, False))
        names = self.metainfo.get("classes")
        if names is not None and len(names) != len(there):
            raise FkitValueError(
                f"{type(self).__name__}: {folder!r} has {len(there)} folders, and there are {len(names)} classes.",
                repair="Name the classes of the folders, in their order, with metainfo=dict(classes=[...]).",
            )
        if names is None:
            vars(self)["metainfo"] = frozen({**self.metainfo, "classes": tuple(there)})
        files = [self._files(os.path.join(folder, name)) for name in there]
        empty = [name for name, of_class in zip(there, files, strict=True) if not of_class]
        if empty and len(empty) < len(there):
            warnings.warn(f"{type(self).__name__}: no image of {quoted(empty)} is in {folder!r}.", stacklevel=2)
        return [{"img_path": path, "gt_label": label} for label, of_class in enumerate(files) for path in of_class]

    def _files(self, folder: str) -> list[str]:
        names = list_dir_or_file(folder, False, True, None, True)
        return [os.path.join(folder, name) for name in sorted(names) if name.lower().endswith(tuple(self.extensions))]


@dataclass(frozen=True)
class ImageNet(CustomDataset):
    """ImageNet-1k, 1,000 classes.

    Args:
        split: "train", "val" or "test" (no labels): the folder of that name below ``data_root``, and, where it is there,
            meta/SPLIT.txt; "" takes ``data_prefix`` and ``ann_file`` as they are said.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/imagenet")
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    extensions: Sequence[str] = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff")
    split: str = ""

    def __post_init__(self) -> None:
        if self.split:
            check_split(self.split, self.SPLITS, type(self).__name__)
            put, prefix = vars(self), cast(Any, self.data_prefix)
            if prefix == "" or prefix == {"img_path": ""}:
                put["data_prefix"] = {"img_path": self.split}
            listed = os.path.join("meta", f"{self.split}.txt")
            expect(self.data_root, (str, type(None)), f"{type(self).__name__}: data_root is a path")
            if not self.ann_file and exists(os.path.join(self.data_root or "", listed)):
                put["ann_file"] = listed
            if self.split == "test":
                put["with_label"] = False
        super().__post_init__()


@dataclass(frozen=True)
class Places205(CustomDataset):
    """Places, 205 kinds of scenes."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/places205")


@dataclass(frozen=True)
class ImageNet21k(ImageNet):
    """ImageNet-21k. Its 21,841 classes are those of the folders, or said by ``metainfo`` or ``classes``.

    Args:
        split: "train", or "".
        multi_label: not offered.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = frozen({})
    SPLITS: ClassVar[tuple[str, ...]] = ("train",)

    multi_label: bool = False

    def __post_init__(self) -> None:
        if self.multi_label:
            raise FkitTypeError("ImageNet21k: multi_label is not offered: a sample has one label.")
        super().__post_init__()


def check_split(split: str, choices: Sequence[str], name: str) -> None:
    """Refuse a part of a data set that it does not have.

    Raises:
        FkitValueError: it does not; FkitTypeError: it is no text.

    Example:
        >>> check_split("trian", ("train", "test"), "MNIST")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: MNIST: split = 'trian' is unknown.
          Did you mean 'train'? Allowed: train, test
    """
    expect(split, str, f"{name}: split is text")
    expect(choices, (list, tuple), "`choices` are texts")
    if split not in choices:
        raise FkitValueError(
            f"{name}: split = {split!r} is unknown.", value=split, choices=map(str, choices), path="split"
        )


def need_root(root: Any, name: str) -> None:
    """Refuse a data set that does not say where its files are.

    Raises:
        FkitValueError: it does not; FkitTypeError: ``name`` is no text.

    Example:
        >>> need_root("", "CUB")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: CUB: data_root says where its files are.
    """
    expect(name, str, "`name` is the data set's name")
    if not root:
        raise FkitValueError(f"{name}: data_root says where its files are.", path="data_root")
