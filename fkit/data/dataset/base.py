"""BaseDataset: what is known of samples before any is read, from an annotation file or from one method; mmengine's."""

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np

from fkit.data.dataset.facts import fixed, plain
from fkit.data.dataset.fault import Faults
from fkit.data.dataset.indexed import PIPELINE, Pipeline, checked
from fkit.data.dataset.joined import joined, prefixes_of
from fkit.data.dataset.record import is_sound, labels_of
from fkit.data.dataset.store import Store, uncollected
from fkit.data.digest import digest_of_samples
from fkit.data.transform.transform import Sample
from fkit.fileio.io import load
from fkit.fileio.line import list_from_file
from fkit.tree.check import expect, expect_number
from fkit.tree.error import (
    FkitError,
    FkitFileNotFoundError,
    FkitIndexError,
    FkitKeyError,
    FkitTypeError,
    FkitValueError,
    quoted,
)
from fkit.tree.facade import Instead
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["BaseDataset", "chosen"]

_PREFIX = frozen({"img_path": ""})
_LOOKED_AT = 256  # records, for the fingerprint
_FILES = (("img_path", "an image file"), ("seg_map_path", "a segmentation map"))  # of a record
_FORMAT = 'Let it be {"metainfo": {...}, "data_list": [{...}, ...]}, or write `load_data_list(self)`.'


@dataclass(frozen=True)
class BaseDataset:
    """Samples by their records: mmengine's BaseDataset as a value.

    Records come from `load_data_list`, go through `filter_data`, and are kept serialized; ``dataset[i]`` is the raw record
    ``i``, on which the loader runs ``pipeline``. For a data set of one's own write `load_data_list` alone.

    Args:
        ann_file: annotation file, below ``data_root`` unless it is absolute or an address: JSON with "metainfo" and
            "data_list".
        metainfo: what is known of the whole, ``classes`` above all. It goes before the class's ``METAINFO``, and that
            before the file's. Text that names a file stands for the file's lines.
        data_root: folder that ``ann_file`` and ``data_prefix`` are told from.
        data_prefix: key of a record -> folder of the file that it names; text alone is that of ``img_path``.
        filter_cfg: for `filter_data`.
        indices: which records are kept: the first n, the last n for -n, or a list of places.
        serialize_data: keep the records in one block of bytes, which worker processes share.
        pipeline: transforms that the loader runs.
        test_mode: no record is filtered out, and a sample that a transform drops is an error.
        lazy_init: load the records when they are first asked for, and not at once.
        max_refetch: how many other samples the loader tries in place of one that a transform drops.
        on_error: what is done about a record that is wrong: "raise", or "skip", which counts them in ``skipped``.

    Raises:
        FkitError: an argument or the annotation file is wrong; the message names file and record.

    Example:
        >>> class Squares(BaseDataset):
        ...     METAINFO = {"classes": ("even", "odd")}
        ...     def load_data_list(self):
        ...         return [{"img": np.full((8, 8, 1), n), "gt_label": n % 2} for n in range(9)]
        >>> squares = Squares(indices=-2)
        >>> len(squares), squares[0]["gt_label"], squares[-1]["sample_idx"], squares.get_cat_ids(0)
        (2, 1, 1, (1,))
    """

    __fkit_kind__ = "datasets"

    METAINFO: ClassVar[Mapping[str, Any]] = EMPTY
    get_subset_: ClassVar[Any] = Instead("A dataset is a value: subset = dataset.get_subset(indices).")

    ann_file: str = ""
    metainfo: Mapping[str, Any] = field(default=EMPTY, compare=False)
    data_root: str = ""
    data_prefix: Mapping[str, str] = _PREFIX
    filter_cfg: Mapping[str, Any] | None = None
    indices: int | Sequence[int] | None = None
    serialize_data: bool = True
    pipeline: Pipeline = PIPELINE
    test_mode: bool = False
    lazy_init: bool = False
    max_refetch: int = 1000
    on_error: str = "raise"
    said: Mapping[str, Any] = field(default=EMPTY, init=False, repr=False)

    def __post_init__(self) -> None:
        name, put = type(self).__name__, vars(self)
        for word in ("serialize_data", "test_mode", "lazy_init"):
            expect(getattr(self, word), bool, f"{name}: {word} is True or False")
        for word in ("metainfo", "filter_cfg"):
            expect(getattr(self, word), (Mapping, type(None)), f"{name}: {word} is a mapping")
        expect_number(self.max_refetch, f"{name}: max_refetch", whole=True)
        put["data_root"] = joined("", self.data_root or "", f"{name}: data_root")
        put["ann_file"] = joined(self.data_root if self.ann_file else "", self.ann_file or "", f"{name}: ann_file")
        put["data_prefix"] = prefixes_of(self.data_root, self.data_prefix, f"{name}: data_prefix")
        put["filter_cfg"] = None if self.filter_cfg is None else fixed(self.filter_cfg)
        put["indices"] = _indices(self.indices, name)
        put["_told"] = self._lines(self.metainfo or EMPTY)
        put["said"] = self._said()
        put["metainfo"] = self._merged(EMPTY)
        put["faults"] = Faults(self.ann_file or name, self.on_error)
        if not self.lazy_init:
            self.full_init()

    # what a data set of one's own writes

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        """All records, in order: here those of ``ann_file``, each as `parse_data_info` gives it.

        Raises:
            FkitTypeError: the file holds no mapping; FkitValueError: it has no "metainfo" or no "data_list".
        """
        if not self.ann_file:
            raise FkitValueError(
                f"{type(self).__name__}: neither ann_file nor load_data_list says what its samples are.",
                repair="Set ann_file, or write `load_data_list(self)`, which gives a list of records (mappings).",
            )
        content: Any = load(self.ann_file)
        expect(content, Mapping, f"{self.ann_file}: annotations are a mapping", _FORMAT)
        for key in ("metainfo", "data_list"):
            if key not in content:
                raise FkitValueError(
                    f"{self.ann_file}: it has no {key!r}.", choices=content, label="Keys", repair=_FORMAT
                )
        vars(self)["metainfo"] = self._merged(content["metainfo"])
        expect(content["data_list"], (list, tuple), f"{self.ann_file}: data_list is a list", _FORMAT)
        records: list[Any] = []
        for place, raw in enumerate(content["data_list"]):
            records += self._parsed_at(f"data_list[{place}]", raw)
        return records

    def _parsed_at(self, name: str, raw: Any) -> list[Any]:
        """The records of one that the file lists; those that are wrong are told."""
        try:
            record: Any = self.parse_data_info(dict(raw) if isinstance(raw, Mapping) else raw)
        except FkitError as error:
            if self.on_error == "raise":
                error.what = f"{self.ann_file}: {name}: {error.what.removeprefix(f'{self.ann_file}: ')}"
                raise
            self.faults.add("a record that cannot be read", name, error.what)
            return []
        rows: list[Any] = list(cast("Sequence[Any]", record)) if isinstance(record, (list, tuple)) else [record]
        if not isinstance(record, (Mapping, list, tuple)):
            raise FkitTypeError(
                f"{self.ann_file}: {name}: parse_data_info gave {quoted(record)}.",
                repair="Let it give a record (a mapping), or a list of records.",
            )
        return [row for row in rows if is_sound(row, name, self.faults, self.metainfo.get("classes"))]

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        """A record of the annotation file as a record of the dataset, or as a list of several; here with the folders of
        ``data_prefix`` put before the files that it names.

        Raises:
            FkitKeyError: the record has no key of ``data_prefix``.
        """
        expect(raw_data_info, Mapping, f"{type(self).__name__}: a record is a mapping")
        record = dict(raw_data_info)
        for key, prefix in self.data_prefix.items():
            if key not in record:
                raise FkitKeyError(
                    f"a record has no {key!r}, of which data_prefix says the folder.",
                    choices=map(str, record),
                    label="Keys",
                )
            expect(record[key], str, f"{key!r} of a record is a file's name")
            record[key] = os.path.join(prefix, record[key])
        return record

    def filter_data(self) -> Iterable[Mapping[str, Any]]:
        """The records of ``data_list`` that are kept; here all."""
        return self.data_list

    def get_cat_ids(self, idx: int) -> Sequence[int]:
        """The labels of the classes in record ``idx``: its ``gt_label``, or its instances' ``bbox_label``.

        Raises:
            FkitNotImplementedError: the record has neither; FkitIndexError: there is no such record.
        """
        return labels_of(self.get_data_info(idx), type(self).__name__)

    # what it gives

    def full_init(self) -> None:
        """Load the records, filter them, keep those of ``indices``; nothing where that was done."""
        if "_store" not in vars(self):
            with uncollected():
                self._load()

    def _load(self) -> None:
        put, name = vars(self), type(self).__name__
        put["_data_list"] = self._records(self.load_data_list(), "load_data_list")
        put["_data_list"] = self._records(self.filter_data(), "filter_data")
        rows = [row for row in put.pop("_data_list") if self._readable(row)]
        if self.indices is not None:
            rows = [rows[place] for place in chosen(self.indices, len(rows), name)]
        put.pop("_scratch", None)
        put["skipped"] = self.faults.tell()
        put["_store"] = Store.of(rows) if self.serialize_data else tuple(rows)

    @property
    def data_list(self) -> list[Any]:
        """The records; while they are loaded, those that there are so far."""
        if "_data_list" not in vars(self):
            self.full_init()
            return list(vars(self)["_store"])
        return vars(self)["_data_list"]

    @property
    def source_file(self) -> str:
        """``ann_file``.

        Raises:
            FkitFileNotFoundError: none is named.
        """
        if not self.ann_file:
            raise FkitFileNotFoundError(f"{type(self).__name__}: no annotation file is named.", repair="Set ann_file.")
        return self.ann_file

    @property
    def scratch(self) -> dict[str, Any]:
        """What methods keep for each other while the records are loaded; it is thrown away then."""
        return vars(self).setdefault("_scratch", {})

    @property
    def faults(self) -> Faults:
        """Where `load_data_list` tells what is wrong with a record."""
        return vars(self)["faults"]

    @property
    def skipped(self) -> Mapping[str, int]:
        """What was left out for being wrong: kind -> count."""
        self.full_init()
        return vars(self)["skipped"]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Record ``idx``, negative ones counted from the end, with its place as ``sample_idx``: a fresh dict.

        Raises:
            FkitIndexError: there is no such record.
        """
        self.full_init()
        store = vars(self)["_store"]
        place = checked(idx, len(store), type(self).__name__)
        record = store[place] if isinstance(store, Store) else deepcopy(store[place])
        return {**record, "sample_idx": place}

    def get_subset(self, indices: int | Sequence[int]) -> "BaseDataset":
        """The dataset of some records: the first n, the last n for -n, or those of a list of places.

        Raises:
            FkitIndexError: there are not so many records.

        Example:
            >>> class Letters(BaseDataset):
            ...     def load_data_list(self): return [{"letter": letter} for letter in "abcd"]
            >>> [one["letter"] for one in Letters().get_subset([3, 0])]
            ['d', 'a']
        """
        self.full_init()
        places = chosen(indices, len(self), f"{type(self).__name__}.get_subset", strict=True)
        store, subset = vars(self)["_store"], object.__new__(type(self))
        before = range(len(store)) if self.indices is None else self.indices
        vars(subset).update(vars(self))
        vars(subset)["indices"] = tuple(before[place] if isinstance(before, tuple) else place for place in places)
        vars(subset)["_store"] = store.take(places) if isinstance(store, Store) else tuple(store[at] for at in places)
        return subset

    @property
    def fingerprint(self) -> str:
        """A digest of how many records there are, and of up to 256 of them, evenly spread."""
        places = sorted({int(place) for place in np.linspace(0, len(self) - 1, min(_LOOKED_AT, len(self)))})
        head: list[Any] = [{"samples": len(self)}]
        return digest_of_samples(head + [self[place] for place in places])

    def __len__(self) -> int:
        self.full_init()
        return len(vars(self)["_store"])

    def __getitem__(self, index: int) -> Sample:
        return frozen(self.get_data_info(index))

    # how

    @property
    def told(self) -> Mapping[str, Any]:
        """What the argument ``metainfo`` said."""
        return vars(self)["_told"]

    def _said(self) -> Mapping[str, Any]:
        """What it adds to the class's, in values that can be compared."""
        known = plain(self.METAINFO)
        new = {key: plain(value) for key, value in self.told.items()}
        return frozen({key: value for key, value in new.items() if key not in known or known[key] != value})

    def _merged(self, of_file: Mapping[str, Any]) -> Mapping[str, Any]:
        expect(of_file, Mapping, f"{self.ann_file}: metainfo is a mapping")
        return frozen({**fixed(of_file), **fixed(self._lines(self.METAINFO)), **fixed(self.told)})

    @staticmethod
    def _lines(metainfo: Mapping[str, Any]) -> dict[str, Any]:
        """Text that names a file is the list of its lines."""
        return {
            key: list_from_file(value) if isinstance(value, str) and os.path.isfile(value) else value
            for key, value in metainfo.items()
        }

    def _records(self, records: Any, maker: str) -> list[Any]:
        name = f"{type(self).__name__}.{maker}()"
        if isinstance(records, (str, Mapping)) or not isinstance(records, Iterable):
            raise FkitTypeError(f"{name} gave {quoted(records)}, not a list of records.")
        rows = list(cast("Iterable[Any]", records))
        for place, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise FkitTypeError(f"{name}: record {place} is {quoted(row)}, not a mapping.")
        return rows

    def _readable(self, row: Mapping[str, Any]) -> bool:
        """Whether a record's files are there; they are looked for where what is missing is skipped."""
        if self.on_error != "skip":
            return True
        for key, word in _FILES:
            path = row.get(key)
            if isinstance(path, str) and "://" not in path:
                size = os.stat(path).st_size if os.path.isfile(path) else -1
                if size <= 0:
                    self.faults.add(f"{word} that is not there" if size < 0 else f"{word} of no bytes", path)
                    return False
        return True


def chosen(indices: Any, count: int, name: str, strict: bool = False) -> tuple[int, ...]:
    """The places among ``count`` that ``indices`` stands for: the first n, the last n for -n, or those that it lists.

    Args:
        strict: more than there are is an error; else all are taken.

    Raises:
        FkitIndexError: a place is outside.

    Example:
        >>> chosen(2, 5, "x"), chosen(-2, 5, "x"), chosen([4, -5], 5, "x")
        ((0, 1), (3, 4), (4, 0))
    """
    expect_number(count, "count", whole=True)
    places = _indices(indices, name)
    if isinstance(places, int):
        if strict and abs(places) > count:
            raise FkitIndexError(f"{name}: {places} of {count} records.")
        return tuple(range(count))[:places] if places >= 0 else tuple(range(count))[places:]
    return tuple(checked(place, count, name) for place in places or ())


def _indices(indices: Any, name: str) -> int | tuple[int, ...] | None:
    if indices is None:
        return None
    if isinstance(indices, (str, Mapping)) or (
        not isinstance(indices, (Sequence, np.ndarray)) and (type(indices) is bool or not hasattr(indices, "__index__"))
    ):
        raise FkitTypeError(f"{name}: indices = {quoted(indices)} is neither a whole number nor a list of them.")
    if hasattr(indices, "__index__") and not isinstance(indices, (Sequence, np.ndarray)):
        return int(indices)
    for index in cast("Sequence[Any]", indices):
        expect_number(index, f"{name}: indices", whole=True)
    return tuple(int(index) for index in cast("Sequence[Any]", indices))
