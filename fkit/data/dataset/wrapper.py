"""Datasets made of datasets: one after the other, several times, by classes, some of one; mmengine's wrappers as values."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Any, cast

import numpy as np

from fkit.catalog.entry import Built
from fkit.data.dataset.base import chosen
from fkit.data.dataset.facts import fixed
from fkit.data.dataset.indexed import Indexed, checked
from fkit.data.dataset.own import check_dataset
from fkit.data.dataset.record import labels_of
from fkit.data.dataset.route import Routed
from fkit.data.digest import digest_of_samples
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Sample, of_others
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = [
    "ClassBalancedDataset",
    "ConcatDataset",
    "DetConcatDataset",
    "Passing",
    "RepeatDataset",
    "Selecting",
    "Subset",
    "Wrapper",
    "cat_ids_of",
    "parts_of",
]

One = Annotated[Any, Built("datasets")]
Several = Annotated[Sequence[Any], Built("datasets")]


class Wrapper:
    """What all datasets of datasets share. Subclasses write ``parts``, `locate` and ``__len__``.

    A sample has ``sample_idx``, its place in the whole, and ``dataset_source``, (which part, then which of that one's, ...).
    Each part's samples go through its own pipeline.
    """

    __fkit_kind__ = "datasets"

    @property
    def parts(self) -> tuple[Indexed, ...]:
        """The datasets it is made of."""
        raise NotImplementedError

    def locate(self, index: int) -> tuple[int, int]:
        """Which part sample ``index`` is of (from 0 to ``len(self) - 1``), and its place there."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def of_others(self) -> bool:
        """Whether a part is code of others, which may draw from the global generators."""
        return any(of_others(part) for part in self.parts)

    @property
    def fingerprint(self) -> str:
        """A digest of the parts' fingerprints and of how they are put together."""
        says: list[Any] = [getattr(part, "fingerprint", None) for part in self.parts]
        places = sorted({int(place) for place in np.linspace(0, len(self) - 1, min(256, len(self)))})
        rows: list[Any] = [{"parts": [said() if callable(said) else said for said in says], "samples": len(self)}]
        return digest_of_samples([*rows, *({"of": self.locate(place)} for place in places)])

    def full_init(self) -> None:
        """Load the records of all parts."""
        for part in self.parts:
            load = getattr(part, "full_init", None)
            if load is not None:
                load()

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of sample ``idx``: no pipeline has been run on it."""
        place = checked(idx, len(self), type(self).__name__)
        part, inner = self.locate(place)
        sample = self.parts[part][inner]
        return {**sample, "sample_idx": place, "dataset_source": (part, *sample.get("dataset_source", ()))}

    def get_cat_ids(self, idx: int) -> Sequence[int]:
        """The labels of the classes in sample ``idx``."""
        part, inner = self.locate(checked(idx, len(self), type(self).__name__))
        return cat_ids_of(self.parts[part], inner)

    def get_dataset_source(self, idx: int) -> int:
        """Which part sample ``idx`` is of."""
        return self.locate(checked(idx, len(self), type(self).__name__))[0]

    def get_subset(self, indices: int | Sequence[int]) -> "Subset":
        """Some of the samples; see `Subset`."""
        return Subset(self, indices)

    def __getitem__(self, index: int) -> Sample:
        return frozen(self.get_data_info(index))


class Passing(Wrapper):
    """A dataset of datasets that says what its parts say."""

    @cached_property
    def pipeline(self) -> Compose:
        """The parts' pipeline, or where they differ one that sends each sample through its part's."""
        return Routed.of(self.parts)

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """What is known of the whole: the first part's."""
        return frozen(fixed(getattr(self.parts[0], "metainfo", EMPTY)))

    @property
    def test_mode(self) -> bool:
        """Whether a sample that is dropped is an error."""
        return any(getattr(part, "test_mode", False) for part in self.parts)

    @property
    def max_refetch(self) -> int:
        """How many others the loader tries in place of a sample that is dropped."""
        return max(int(getattr(part, "max_refetch", 1000)) for part in self.parts)


class Selecting(Passing):
    """Samples of one dataset, those at ``places``, in that order and as often as they stand there."""

    dataset: One
    places: tuple[int, ...]

    @property
    def parts(self) -> tuple[Indexed, ...]:
        return (self.dataset,)

    def locate(self, index: int) -> tuple[int, int]:
        expect_number(index, "index", whole=True)
        return 0, self.places[index]

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class ConcatDataset(Passing):
    """Datasets one after the other.

    Args:
        datasets: they agree in their metainfo, but for ``ignore_keys``.
        lazy_init: they are loaded when they are first read, each as it says itself.
        ignore_keys: of the metainfo; of these the first dataset's count.

    Raises:
        FkitValueError: there is none, or their metainfo differs.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> both = ConcatDataset([Digits("test"), Digits("train")])
        >>> len(both), both[360]["dataset_source"], both[360]["digit_idx"] == Digits("train")[0]["digit_idx"]
        (1797, (1,), True)
    """

    datasets: Several
    lazy_init: bool = False
    ignore_keys: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        parts = parts_of(self.datasets, name)
        keys = self.ignore_keys
        expect(keys, (str, list, tuple, type(None)), f"{name}: ignore_keys is a list of keys of metainfo")
        expect(self.lazy_init, bool, f"{name}: lazy_init is True or False")
        object.__setattr__(self, "datasets", parts)
        object.__setattr__(self, "ignore_keys", (keys,) if isinstance(keys, str) else tuple(keys or ()))
        if not self.lazy_init:
            self.full_init()
        self._agree()

    @property
    def parts(self) -> tuple[Indexed, ...]:
        return cast("tuple[Indexed, ...]", self.datasets)

    @cached_property
    def cumulative_sizes(self) -> tuple[int, ...]:
        """How many samples there are up to the end of each part."""
        return tuple(accumulate(len(part) for part in self.parts))

    def locate(self, index: int) -> tuple[int, int]:
        expect_number(index, "index", whole=True)
        part = bisect_right(self.cumulative_sizes, index)
        return part, index - (self.cumulative_sizes[part - 1] if part else 0)

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _agree(self) -> None:
        key = self._difference()
        if key:
            raise FkitValueError(
                f"ConcatDataset: the datasets differ in metainfo[{key!r}].",
                repair=f"Let them be the same, or set ignore_keys=[{key!r}] to take the first one's.",
            )

    def _difference(self) -> str:
        """A key of the metainfo in which a part differs from the first; empty where there is none."""
        metas = [cast("Mapping[str, Any]", getattr(part, "metainfo", EMPTY)) for part in self.parts]
        for key in sorted({key for meta in metas for key in meta} - set(self.ignore_keys or ())):
            if any((key in meta) != (key in metas[0]) or not _same(meta.get(key), metas[0].get(key)) for meta in metas):
                return key
        return ""


@dataclass(frozen=True)
class DetConcatDataset(ConcatDataset):
    """MMDetection's ConcatDataset: the datasets may differ in their metainfo, which then lists each one's in ``datasets``."""

    @property
    def metainfo(self) -> Mapping[str, Any]:
        metas = tuple(frozen(fixed(getattr(part, "metainfo", EMPTY))) for part in self.parts)
        sizes = {"cumulative_sizes": self.cumulative_sizes}
        return frozen({"datasets": metas, **sizes} if self._difference() else {**metas[0], **sizes})

    def _agree(self) -> None:
        return


@dataclass(frozen=True)
class RepeatDataset(Passing):
    """A dataset several times over: an epoch of a small one is over too soon.

    Args:
        dataset: any.
        times: how often; each time a sample is drawn for anew.
        lazy_init: of no effect: the dataset says itself when it is loaded.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> len(RepeatDataset(Digits("test"), 10))
        3600
    """

    dataset: One
    times: int = 1
    lazy_init: bool = False

    def __post_init__(self) -> None:
        _check_part(self.dataset, type(self).__name__)
        expect_number(self.times, "RepeatDataset: times", whole=True)
        if self.times < 1:
            raise FkitValueError(f"RepeatDataset: times = {self.times}: at least 1.")

    @property
    def parts(self) -> tuple[Indexed, ...]:
        return (self.dataset,)

    def locate(self, index: int) -> tuple[int, int]:
        expect_number(index, "index", whole=True)
        return 0, index % len(self.dataset)

    def __len__(self) -> int:
        return self.times * len(self.dataset)


@dataclass(frozen=True)
class ClassBalancedDataset(Selecting):
    """A dataset in which samples of rare classes come several times (Gupta et al. 2019, LVIS).

    With f(c) the share of samples that hold class c, a class is repeated r(c) = max(1, sqrt(oversample_thr / f(c))) times,
    a sample as often as its most repeated class, rounded up.

    Args:
        dataset: one that has `get_cat_ids`, or whose records say ``gt_label`` or ``instances``.
        oversample_thr: classes in a smaller share of the samples are repeated.
        lazy_init: of no effect.

    Example:
        >>> from fkit.data.dataset.own import Dataset
        >>> rare = Dataset.of([{"gt_label": int(n == 0)} for n in range(16)])
        >>> balanced = ClassBalancedDataset(rare, oversample_thr=0.5)
        >>> len(balanced), balanced[2]["gt_label"], balanced[3]["gt_label"]
        (18, 1, 0)
    """

    dataset: One
    oversample_thr: float
    lazy_init: bool = False
    places: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_part(self.dataset, type(self).__name__)
        expect_number(self.oversample_thr, "ClassBalancedDataset: oversample_thr")
        if not 0 <= self.oversample_thr <= 1:
            raise FkitValueError(
                f"ClassBalancedDataset: oversample_thr = {self.oversample_thr}: it is a share, from 0 to 1."
            )
        labels = [frozenset(cat_ids_of(self.dataset, index)) for index in range(len(self.dataset))]
        counts = Counter(label for several in labels for label in several)
        times = {
            label: max(1.0, math.sqrt(self.oversample_thr / (count / len(labels)))) for label, count in counts.items()
        }
        repeats = (math.ceil(max((times[label] for label in several), default=1.0)) for several in labels)
        places = tuple(place for place, count in enumerate(repeats) for _ in range(count))
        object.__setattr__(self, "places", places)


@dataclass(frozen=True)
class Subset(Selecting):
    """Some samples of a dataset.

    Args:
        dataset: any.
        indices: the first n, the last n for -n, or a list of places.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> len(Subset(Digits("test"), 10)), Subset(Digits("test"), [5])[0]["digit_idx"] == Digits("test")[5]["digit_idx"]
        (10, True)
    """

    dataset: One
    indices: int | Sequence[int] = ()
    places: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_part(self.dataset, type(self).__name__)
        places = chosen(self.indices, len(self.dataset), "Subset", strict=True)
        object.__setattr__(self, "indices", places)
        object.__setattr__(self, "places", places)


def parts_of(datasets: Any, name: str) -> tuple[Indexed, ...]:
    """A list of datasets, looked at.

    Raises:
        FkitTypeError: it is no list, or one is no dataset. FkitValueError: it is empty.

    Example:
        >>> parts_of([], "ConcatDataset")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: ConcatDataset: datasets is empty.
          Name at least one.
    """
    if isinstance(datasets, (str, Mapping)) or not isinstance(datasets, Sequence):
        raise FkitTypeError(f"{name}: datasets is a list of datasets, not {quoted(datasets)}.")
    if not datasets:
        raise FkitValueError(f"{name}: datasets is empty.", repair="Name at least one.")
    for part in cast("Sequence[Any]", datasets):
        _check_part(part, name)
    return tuple(cast("Sequence[Any]", datasets))


def _check_part(part: Any, name: str) -> None:
    if isinstance(part, (str, Mapping)):
        raise FkitTypeError(
            f"{name}: {quoted(part)} is no dataset.", repair='Build it first: fkit.build(cfg, registry, "datasets").'
        )
    check_dataset(part)


def cat_ids_of(dataset: Any, index: int) -> tuple[int, ...]:
    """The labels of the classes in a dataset's sample: as its `get_cat_ids` says, else of what the raw sample holds.

    Raises:
        FkitNotImplementedError: the sample has neither ``gt_label`` nor ``instances``.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> cat_ids_of(Digits("test"), 0) == (Digits("test")[0]["gt_label"],)
        True
    """
    check_dataset(dataset)
    ask = getattr(dataset, "get_cat_ids", None)
    if ask is not None:
        return tuple(int(label) for label in ask(index))
    name = type(dataset).__name__
    sample = dataset[checked(index, len(dataset), name)]
    return labels_of(sample if isinstance(sample, Mapping) else EMPTY, name)  # pairs (inputs, label), say


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, type(other)) and np.array_equal(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        left, right = cast("Mapping[Any, Any]", one), cast("Mapping[Any, Any]", other)
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(one == other)
