"""Public classification data sets whose files have a form of their own: CIFAR, MNIST, CUB, PASCAL VOC, In-Shop."""

import gzip
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.classification import BaseClsDataset, check_split, need_root
from fkit.data.dataset.facts import Facts
from fkit.data.dataset.pickled import unpickled
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import exists, get
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["CIFAR10", "CIFAR100", "CUB", "MNIST", "VOC", "FashionMNIST", "InShop", "read_idx"]

_ROOT = frozen({"root": ""})
_IDX = frozen({8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"})


@dataclass(frozen=True)
class _Whole(BaseClsDataset):
    """A data set of few large files below ``data_root``, or ``data_prefix``; its images are kept in memory.

    Args:
        split: "train" or "test".
        download: of no effect: the kit downloads no data sets; the message says where they are.
    """

    URL: ClassVar[str] = ""

    data_prefix: Mapping[str, str] = _ROOT
    split: str = "train"
    download: bool = True

    def __post_init__(self) -> None:
        check_split(self.split, ("train", "test"), type(self).__name__)
        prefix: Any = self.data_prefix
        if isinstance(prefix, str):
            vars(self)["data_prefix"] = {"root": prefix}
        expect(self.data_prefix, Mapping, f"{type(self).__name__}: data_prefix is a mapping of folders")
        need_root(self.data_root or self.data_prefix.get("root"), type(self).__name__)
        super().__post_init__()

    def content(self, *names: str) -> bytes:
        """The first of some files that is there.

        Raises:
            FkitFileNotFoundError: none is.
        """
        paths = [os.path.join(self.data_prefix["root"], name) for name in names]
        for path in paths:
            if exists(path):
                data = get(path)
                return gzip.decompress(data) if path.endswith(".gz") else data
        raise FkitFileNotFoundError(
            f"{type(self).__name__}: {paths[0]} is not there.", repair=f"Get the data set from {self.URL}."
        )

    def records(self, images: NDArray[Any], labels: Iterable[int]) -> list[Mapping[str, Any]]:
        """A record an image, with its range."""
        rows = list(labels)
        if len(rows) != len(images):
            raise FkitValueError(f"{type(self).__name__}: {len(images)} images, and {len(rows)} labels.")
        return [{"img": img, "img_max": 255, "gt_label": int(label)} for img, label in zip(images, rows, strict=True)]


@dataclass(frozen=True)
class CIFAR10(_Whole):
    """CIFAR-10: 60,000 images of 32 x 32 pixels, RGB, of its Python version (cifar-10-batches-py)."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/cifar10")
    URL: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    FOLDER: ClassVar[str] = "cifar-10-batches-py"
    FILES: ClassVar[Mapping[str, tuple[str, ...]]] = frozen(
        {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
    )
    LABELS: ClassVar[str] = "labels"

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        images: list[NDArray[Any]] = []
        labels: list[int] = []
        for name in self.FILES[self.split]:
            entry: Any = unpickled(self.content(os.path.join(self.FOLDER, name)), name, "latin1")
            expect(entry, Mapping, f"{name}: a file of CIFAR holds a mapping")
            images.append(np.asarray(entry["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels += entry[self.LABELS]
        return self.records(np.ascontiguousarray(np.concatenate(images)), labels)


@dataclass(frozen=True)
class CIFAR100(CIFAR10):
    """CIFAR-100: as CIFAR-10, in 100 classes (cifar-100-python)."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/cifar100")
    URL: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    FOLDER: ClassVar[str] = "cifar-100-python"
    FILES: ClassVar[Mapping[str, tuple[str, ...]]] = frozen({"train": ("train",), "test": ("test",)})
    LABELS: ClassVar[str] = "fine_labels"


@dataclass(frozen=True)
class MNIST(_Whole):
    """MNIST: handwritten digits of 28 x 28 pixels, of its four IDX files, packed by gzip or not."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/mnist")
    URL: ClassVar[str] = "http://yann.lecun.com/exdb/mnist/"

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        start = "train" if self.split == "train" else "t10k"
        images, labels = (
            read_idx(self.content(name, f"{name}.gz"), name)
            for name in (f"{start}-images-idx3-ubyte", f"{start}-labels-idx1-ubyte")
        )
        return self.records(images[..., None], labels.tolist())


@dataclass(frozen=True)
class FashionMNIST(MNIST):
    """Fashion-MNIST: clothes, in MNIST's form."""

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/fashion_mnist")
    URL: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"


@dataclass(frozen=True)
class CUB(BaseClsDataset):
    """Caltech-UCSD Birds 200-2011, by its text files below ``data_root``.

    Args:
        split: "train" or "test".
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/cub")

    ann_file: str = "images.txt"
    data_prefix: Mapping[str, str] = frozen({"img_path": "images"})
    split: str = "train"

    def __post_init__(self) -> None:
        check_split(self.split, ("train", "test"), type(self).__name__)
        need_root(self.data_root, type(self).__name__)
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        names, labels, sides = (
            self._pairs(path)
            for path in (
                self.ann_file,
                os.path.join(self.data_root, "image_class_labels.txt"),
                os.path.join(self.data_root, "train_test_split.txt"),
            )
        )
        if not names.keys() == labels.keys() == sides.keys():
            raise FkitValueError(f"CUB: {self.ann_file} and the files beside it do not list the same images.")
        wanted = "1" if self.split == "train" else "0"
        folder = self.data_prefix["img_path"]
        return [
            {"img_path": os.path.join(folder, name), "gt_label": int(labels[key]) - 1}
            for key, name in names.items()
            if sides[key] == wanted
        ]

    def _pairs(self, path: str) -> dict[str, str]:
        rows = [line.split() for line in list_from_file(path)]
        for number, row in enumerate(rows, 1):
            if len(row) != 2:
                raise FkitValueError(f"{path}:{number}: a line is a number and what it has.")
        return {key: value for key, value in rows}


@dataclass(frozen=True)
class VOC(BaseClsDataset):
    """PASCAL VOC 2007 for classification: ``gt_label`` are the classes in an image, ``gt_label_difficult`` the hard ones.

    Args:
        split: "train", "val", "trainval" or "test": ImageSets/Main/SPLIT.txt; "" takes ``image_set_path``.
        image_set_path: the list of names, below ``data_root``.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("classification/voc2007")

    data_prefix: Mapping[str, str] = frozen({"img_path": "JPEGImages", "ann_path": "Annotations"})
    split: str = "trainval"
    image_set_path: str = ""

    def __post_init__(self) -> None:
        if self.split:
            check_split(self.split, ("train", "val", "trainval", "test"), type(self).__name__)
        need_root(self.data_root, type(self).__name__)
        prefix: Any = self.data_prefix
        if not prefix:
            vars(self)["data_prefix"] = {"img_path": "JPEGImages", "ann_path": "Annotations"}
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        listed = self.image_set_path or os.path.join("ImageSets", "Main", f"{self.split}.txt")
        names, folder = list(self.metainfo["classes"]), self.data_prefix.get("ann_path")
        for name in list_from_file(os.path.join(self.data_root, listed)):
            plain, hard = self._labels(os.path.join(folder, f"{name}.xml"), names) if folder else (None, None)
            path = os.path.join(self.data_prefix["img_path"], f"{name}.jpg")
            yield {"img_path": path, "gt_label": plain, "gt_label_difficult": hard}

    def _labels(self, path: str, names: list[str]) -> tuple[list[int], list[int]]:
        labels: tuple[set[int], set[int]] = (set(), set())
        for item in ElementTree.fromstring(get(path)).iter("object"):
            word = item.findtext("name", "")
            if word in names:
                labels[int(item.findtext("difficult", "0")) != 0].add(names.index(word))
        return sorted(labels[0]), sorted(labels[1])


@dataclass(frozen=True)
class InShop(BaseClsDataset):
    """DeepFashion In-shop Clothes Retrieval, by Eval/list_eval_partition.txt.

    Training images have their item's label; images of the gallery have none; those asked for ("query") have the places in
    the gallery of their item's images.

    Args:
        split: "train", "query" or "gallery".
    """

    ann_file: str = "Eval/list_eval_partition.txt"
    data_prefix: Mapping[str, str] = frozen({"img_path": "Img"})
    split: str = "train"

    def __post_init__(self) -> None:
        check_split(self.split, ("train", "query", "gallery"), type(self).__name__)
        need_root(self.data_root, type(self).__name__)
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        rows = [line.split() for line in list_from_file(self.ann_file)[2:]]  # a count and the names of columns
        items: dict[str, int] = {}
        gallery: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            if len(row) != 3:
                raise FkitValueError(f"{self.ann_file}:{number + 3}: a line is an image, an item and a part.")
            if row[2] == "train":
                items.setdefault(row[1], len(items))
        for place, row in enumerate(row for row in rows if row[2] == "gallery"):
            gallery.setdefault(row[1], []).append(place)
        folder = self.data_prefix["img_path"]
        for image, item, part in rows:
            if part == self.split:
                label = {"train": items, "query": gallery}.get(part, {}).get(item)
                record = {"img_path": os.path.join(folder, image)}
                yield record if part == "gallery" else {**record, "gt_label": label}


def read_idx(data: bytes, name: str) -> NDArray[Any]:
    """The array of an IDX file, MNIST's form: two zeros, a type, a rank, sizes, numbers.

    Raises:
        FkitValueError: it has another form, or ends too early.

    Example:
        >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "labels").tolist()
        [7, 8, 9]
    """
    expect(data, bytes, "`data` are a file's bytes")
    expect(name, str, "`name` is the file's name")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX or len(data) < 4 + 4 * data[3]:
        raise FkitValueError(f"{name}: it is no IDX file.")
    kind, rank = np.dtype(_IDX[data[2]]), data[3]
    shape = tuple(int(number) for number in np.frombuffer(data, ">i4", rank, 4))
    count = int(np.prod(shape))
    if len(data) < 4 + 4 * rank + count * kind.itemsize:
        raise FkitValueError(f"{name}: it is cut off: {shape} numbers are announced.")
    return np.frombuffer(data, kind, count, 4 + 4 * rank).reshape(shape)
