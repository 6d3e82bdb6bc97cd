"""Segmentation datasets: images and the maps of classes that belong to them, by folders or a list of names."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.facts import fixed
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import isdir, list_dir_or_file
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitFileNotFoundError, FkitValueError
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["BaseCDDataset", "BaseSegDataset", "label_map_of", "palette_of"]

_IGNORED = 255


@dataclass(frozen=True)
class BaseSegDataset(BaseDataset):
    """MMSegmentation's base: images below ``data_prefix["img_path"]``, maps of the same names below ``["seg_map_path"]``.

    Names come from ``ann_file``, a line each without suffix; without one all images of the folder are taken, those in
    folders below it too, sorted. Classes of ``metainfo`` that are some of the class's make a ``label_map``: others' pixels
    count as 255. A record: ``img_path``, ``seg_map_path``, ``label_map``, ``reduce_zero_label``, ``seg_fields`` [].

    Args:
        img_suffix: ending of the images' names.
        seg_map_suffix: ending of the maps' names.
        ignore_index: the value of pixels that count in no loss and no score.
        reduce_zero_label: 0 in a map is no class: 1 is class 0.
        backend_args: the storage of the folders and of ``ann_file``.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "a.jpg").touch()
        >>> prefix = {"img_path": str(folder), "seg_map_path": "maps"}
        >>> BaseSegDataset(data_prefix=prefix, metainfo={"classes": ["sky", "sea"]})[0]["seg_map_path"]
        'maps/a.png'
    """

    data_prefix: Mapping[str, str] = frozen({"img_path": "", "seg_map_path": ""})
    img_suffix: str = ".jpg"
    seg_map_suffix: str = ".png"
    ignore_index: int = _IGNORED
    reduce_zero_label: bool = False
    backend_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        for word in ("img_suffix", "seg_map_suffix"):
            expect(getattr(self, word), str, f"{name}: {word} is text such as '.png'")
        expect(self.reduce_zero_label, bool, f"{name}: reduce_zero_label is True or False")
        expect_number(self.ignore_index, f"{name}: ignore_index", whole=True)
        expect(self.backend_args, (Mapping, type(None)), f"{name}: backend_args is a mapping")
        super().__post_init__()
        if self.test_mode and self.metainfo.get("classes") is None:
            raise FkitValueError(f"{name}: metainfo has no 'classes'.", repair="Set metainfo=dict(classes=(...)).")

    @property
    def label_map(self) -> Mapping[int, int] | None:
        """Label in a file -> label; None where they are the same."""
        return self.metainfo.get("label_map")

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        folders = {key: self.data_prefix.get(key) for key in ("img_path", *self.pairs)}
        same = {"label_map": self.label_map, "reduce_zero_label": self.reduce_zero_label, "seg_fields": []}
        return [
            {
                "img_path": os.path.join(folders["img_path"] or "", name + self.img_suffix),
                **{
                    key: os.path.join(folder, name + suffix)
                    for key, suffix in self.pairs.items()
                    if (folder := folders[key]) is not None
                },
                **same,
            }
            for name in self.names()
        ]

    @property
    def pairs(self) -> Mapping[str, str]:
        """Key of a record -> suffix, of the files that belong to an image."""
        return {"seg_map_path": self.seg_map_suffix}

    def names(self) -> list[str]:
        """The images' names below their folder, without suffix."""
        folder = self.data_prefix.get("img_path", "")
        if self.ann_file and not os.path.isdir(self.ann_file):
            lines = list_from_file(self.ann_file, backend_args=self.backend_args)
            return [line.strip() for line in lines if line.strip()]
        if not folder:
            raise FkitValueError(f"{type(self).__name__}: data_prefix['img_path'] is no folder of images.")
        if not isdir(folder, self.backend_args):
            raise FkitFileNotFoundError(f"{type(self).__name__}: the folder of images {folder!r} is not there.")
        ends, cut = self.img_suffix, len(self.img_suffix)
        files = sorted(list_dir_or_file(folder, False, True, ends, True, backend_args=self.backend_args))
        if not files:
            self._expect_other_ends(folder)
        return [name[: len(name) - cut] for name in files]

    def _expect_other_ends(self, folder: str) -> None:
        """Refuse a folder whose files end in something else than asked for: its data set would be empty."""
        others = list_dir_or_file(folder, False, True, None, True, backend_args=self.backend_args)
        found = Counter(os.path.splitext(name)[1] for name in others)
        if found:
            end, count = found.most_common(1)[0]
            raise FkitFileNotFoundError(
                f"{type(self).__name__}: no file below {folder!r} ends in img_suffix={self.img_suffix!r}; {count} end in {end!r}.",
                repair=f"Set img_suffix={end!r}, and seg_map_suffix to what the maps' names end in.",
            )

    def _merged(self, of_file: Mapping[str, Any]) -> Mapping[str, Any]:
        known = super()._merged(of_file)
        mapping = label_map_of(self.METAINFO.get("classes"), known.get("classes"))
        palette = palette_of(known.get("palette") or (), known.get("classes") or (), mapping)
        return frozen(
            {**known, "label_map": mapping, "reduce_zero_label": self.reduce_zero_label, "palette": fixed(palette)}
        )


@dataclass(frozen=True)
class BaseCDDataset(BaseSegDataset):
    """Change detection: a second image of each name, below ``data_prefix["img_path2"]``.

    Args:
        img_suffix2: ending of the second images' names.
    """

    data_prefix: Mapping[str, str] = frozen({"img_path": "", "img_path2": "", "seg_map_path": ""})
    img_suffix2: str = ".jpg"

    @property
    def pairs(self) -> Mapping[str, str]:
        return {"img_path2": self.img_suffix2, "seg_map_path": self.seg_map_suffix}


def label_map_of(old: Sequence[str] | None, new: Sequence[str] | None) -> Mapping[int, int] | None:
    """Label among ``old`` classes -> label among ``new`` ones, which are some of them; 255 for those that are not.

    Raises:
        FkitValueError: a new class is none of the old ones.

    Example:
        >>> dict(label_map_of(("sky", "sea", "sand"), ("sand", "sky")))
        {0: 1, 1: 255, 2: 0}
    """
    for classes in (old, new):
        expect(classes, (list, tuple, type(None)), "classes are a list of names")
    if old is None or new is None or list(old) == list(new):
        return None
    for name in new:
        if name not in old:
            raise FkitValueError(
                f"the class {name!r} is none of the data set's.",
                path="metainfo.classes",
                value=str(name),
                choices=map(str, old),
                label="Classes",
            )
    places = list(new)
    return frozen({label: places.index(name) if name in places else _IGNORED for label, name in enumerate(old)})


def palette_of(
    palette: Sequence[Any], classes: Sequence[str], label_map: Mapping[int, int] | None = None
) -> Sequence[Sequence[int]]:
    """A colour for each class: ``palette``'s, those of the classes that are left, or drawn ones, always the same.

    Raises:
        FkitValueError: there are fewer colours than classes.

    Example:
        >>> palette_of([(1, 1, 1), (2, 2, 2)], ["sea"], {0: 255, 1: 0})
        [(2, 2, 2)]
    """
    expect(palette, (list, tuple), "a palette is a list of colours (red, green, blue)")
    expect(classes, (list, tuple), "classes are a list of names")
    expect(label_map if label_map is not None else EMPTY, Mapping, "`label_map` is a mapping of labels")
    if len(palette) == len(classes):
        return palette
    if not len(palette):
        return np.random.RandomState(42).randint(0, 255, size=(len(classes), 3)).tolist()
    if len(palette) < len(classes) or label_map is None:
        raise FkitValueError(
            f"a palette of {len(palette)} colours for {len(classes)} classes.", path="metainfo.palette"
        )
    kept = sorted((new, old) for old, new in label_map.items() if new != _IGNORED)
    return [palette[old] for _, old in kept]
