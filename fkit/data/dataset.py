"""Datasets: frozen, indexed, giving raw samples; one's own, the digits that ship with the kit, and lists of image files."""

import importlib.resources
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.catalog.entry import Built
from fkit.data.ambient import repeatable, reseed
from fkit.data.digest import digest_of_arrays, digest_of_names, digest_of_samples
from fkit.data.transform.transform import Compose, Sample
from fkit.tree.check import expect, expect_number
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitFileNotFoundError, FkitIndexError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = [
    "Dataset",
    "Digits",
    "ImageFiles",
    "Indexed",
    "Samples",
    "check_dataset",
    "checked",
    "compose",
    "read_digits",
]

_DATASET = Contract("dataset", (("__len__", ""), ("__getitem__", "index")), """
For example, fkit.Dataset.of(samples) of a list of samples, or with fkit.Dataset:
    class Squares(fkit.Dataset):
        def load(self): return [{"img": np.full((8, 8, 1), n), "gt_label": n % 2} for n in range(9)]""")  # fmt: skip
_SPLITS = ("train", "test")
_LOOKED_AT = 16  # samples, for the fingerprint of a dataset that is not a list
_CONTRACT = (
    "Write `load(self)`, which gives a list of samples, or `__len__(self)` and `sample(self, index)`; a sample is a mapping:"
    ' {"img": (H, W, C), "gt_label": 3}.'
)

Pipeline = Annotated[Iterable[Any], Built("transforms")]


class Indexed(Protocol):
    """What `fkit.data.source.Loader` reads: a length, raw samples, and the pipeline that makes them ready; see `Dataset`.

    What has a ``pipeline`` that is a `Compose` (see `compose`) gives raw samples. Any other gives them ready for
    `fkit.data.collate.collate`. Around each call of a dataset that is not the kit's the global generators (numpy's,
    ``random``'s, torch's) are seeded from the sample's key, so that what it draws from them is the run's. One
    that keeps a generator of its own and draws from it gives other samples for other numbers of workers: let it make one
    from a global number, or be a transform, which is given one. ``metainfo`` (``classes``, ...) may be absent, and so may
    ``fingerprint``, text that says which samples there are (see `fkit.data.identity.describe`).
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """The raw sample ``index``, the same at every call; it has ``sample_idx``."""
        ...


class _Pipeline:
    """The field ``pipeline``: what is put in comes out as one transform, also of a class with a ``__post_init__``."""

    def __get__(self, dataset: Any, kind: Any = None) -> Any:
        return () if dataset is None else vars(dataset)["pipeline"]

    def __set__(self, dataset: Any, pipeline: Any) -> None:
        vars(dataset)["pipeline"] = compose(pipeline)


class _Metainfo:
    """The field ``metainfo``: what is put in, and the ``classes`` of the class or the value."""

    def __get__(self, dataset: Any, kind: Any = None) -> Any:
        known: Any = getattr(kind if dataset is None else dataset, "classes", ())
        if dataset is not None and (isinstance(known, str) or not isinstance(known, Sequence)):
            raise FkitTypeError(f"{type(dataset).__name__}: classes is a list of names, not {quoted(known)}.")
        classes = {"classes": tuple(cast("Sequence[Any]", known))} if known and isinstance(known, Sequence) else {}
        return frozen({**classes, **({} if dataset is None else vars(dataset)["metainfo"])})

    def __set__(self, dataset: Any, metainfo: Any) -> None:
        expect(metainfo, Mapping, f"{type(dataset).__name__}: metainfo is a mapping")
        vars(dataset)["metainfo"] = frozen(metainfo)


_PIPELINE: Any = _Pipeline()
_METAINFO: Any = _Metainfo()


@dataclass(frozen=True)
class Dataset:
    """A dataset of one's own: say what its samples are; pipeline, numbers, classes and identity come by themselves.

    Derive a frozen dataclass and write `load`, which gives a list of samples; or, where they do not fit into memory,
    ``__len__`` and `sample`. What it says of a sample is a mapping of anything: ``img`` (H, W, C) or ``img_path`` for
    LoadImageFromFile, ``gt_label`` int, and what else transforms and metrics want. A sample is the same at every call: what
    is random is a transform, which is handed a generator. Of `Dataset.of` a list of samples makes a dataset at once.

    Args:
        pipeline: transforms that the loader runs, built from the config; ``dataset[i]`` is the raw sample.
        metainfo: what is known of the whole, ``classes`` above all; it goes before the attribute ``classes``.

    Example:
        >>> @dataclass(frozen=True)
        ... class Parity(Dataset):
        ...     split: str = "test"
        ...     classes = ("even", "odd")
        ...     def load(self):
        ...         return [{"img": digit["img"], "gt_label": digit["gt_label"] % 2} for digit in Digits(self.split)]
        >>> parity = Parity(pipeline=[])
        >>> len(parity), parity[-1]["sample_idx"], parity[0]["gt_label"], parity.metainfo["classes"]
        (360, 359, 1, ('even', 'odd'))
    """

    __fkit_kind__ = "datasets"

    classes: ClassVar[Sequence[str]] = ()

    _: KW_ONLY
    pipeline: Pipeline = _PIPELINE
    metainfo: Mapping[str, Any] = _METAINFO

    @staticmethod
    def of(
        samples: Iterable[Sample],
        *,
        pipeline: Any = (),
        classes: Sequence[str] = (),
        metainfo: Mapping[str, Any] = EMPTY,
    ) -> "Samples":
        """The dataset of a list of samples.

        Example:
            >>> Dataset.of([{"img": np.zeros((8, 8, 1)), "gt_label": 3}])[0]["gt_label"]
            3
        """
        return Samples(samples, pipeline=pipeline, metainfo={**({"classes": classes} if classes else {}), **metainfo})

    def load(self) -> Iterable[Sample]:
        """All samples, in order; called once, when they are first asked for.

        Raises:
            FkitTypeError: the class has neither this method nor ``__len__`` and `sample`.
        """
        raise FkitTypeError(f"{type(self).__name__} does not say what its samples are.", repair=_CONTRACT)

    def sample(self, index: int) -> Sample:
        """The raw sample ``index``, from 0 to ``len(self) - 1``, the same at every call."""
        return self.records[index]

    @property
    def records(self) -> tuple[Sample, ...]:
        """What `load` gave."""
        kept: Any = vars(self).get("_records")
        if kept is None:
            kept = _listed(self.load(), f"{type(self).__name__}.load()")
            vars(self)["_records"] = kept
        return kept

    @property
    def fingerprint(self) -> str:
        """A digest of the samples: of all that `load` gave; of a dataset with `sample`, of up to 16, evenly spread, which
        are read. A resumed run compares it."""
        name = type(self)
        places: Iterable[int] = range(len(self))
        if name.sample is not Dataset.sample:
            places = sorted({int(place) for place in np.linspace(0, len(self) - 1, min(_LOOKED_AT, len(self)))})

        def look() -> str:
            reseed(0)
            return digest_of_samples(self.sample(place) for place in places)

        return repeatable(look)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        place = checked(index, len(self), type(self).__name__)
        sample: Any = self.sample(place)
        if not isinstance(sample, Mapping):
            raise FkitTypeError(f"sample({place}) gave {quoted(sample)}, not a mapping.", repair=_CONTRACT)
        return frozen({"sample_idx": place, **cast(Sample, sample)})


@dataclass(frozen=True)
class Samples(Dataset):
    """A list of samples as a dataset; see `Dataset.of`."""

    samples: Iterable[Sample] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", _listed(self.samples, "`samples`"))

    def load(self) -> Iterable[Sample]:
        return self.samples


def check_dataset(dataset: Any) -> None:
    """Refuse what gives no samples: for the door of a loader.

    Raises:
        FkitTypeError: it has no length or no samples; the message says what to write.

    Example:
        >>> check_dataset(Dataset())
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: Dataset does not say what its samples are.
          Write `load(self)`, which gives a list of samples, or `__len__(self)` and `sample(self, index)`; a sample is a mapping: {"img": (H, W, C), "gt_label": 3}.
    """
    expect_contract(dataset, _DATASET)
    kind = type(dataset)
    if not isinstance(dataset, Dataset) or kind.load is not Dataset.load or kind.__getitem__ is not Dataset.__getitem__:
        return
    missing = [name for name in ("__len__", "sample") if getattr(kind, name) is getattr(Dataset, name)]
    if len(missing) == 2:
        dataset.load()
    elif missing:
        raise FkitTypeError(f"{kind.__name__} has no {missing[0]}.", repair=_CONTRACT)


def _listed(samples: Any, what: str) -> tuple[Sample, ...]:
    if isinstance(samples, (str, Mapping)) or not isinstance(samples, Iterable):
        raise FkitTypeError(f"{what} is a list of samples, not {quoted(samples)}.", repair=_CONTRACT)
    rows = tuple(cast("Iterable[Any]", samples))
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise FkitTypeError(f"{what}: sample {place} is {quoted(row)}, not a mapping.", repair=_CONTRACT)
    return rows


class DigitArrays(NamedTuple):
    """One split of the shipped digits; read-only.

    Attributes:
        images: (N, 8, 8, 1) uint8, 0 (paper) to 16 (ink).
        labels: (N,) int64, 0..9.
        numbers: (N,) int64, their places among all 1,797.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]


@dataclass(frozen=True)
class Digits:
    """The 1,797 handwritten digits that ship with the kit (UCI, CC BY 4.0; see shipped/LICENSE-digits.md).

    Args:
        split: "train" (1,437 samples) or "test" (360, held out).
        pipeline: transforms that the loader runs; ``digits[i]`` is the raw sample.

    A raw sample: ``img`` (8, 8, 1) uint8 from 0 (paper) to 16 (ink), ``img_max`` 16, ``gt_label`` int 0..9,
    ``sample_idx`` its place in the split, ``digit_idx`` its place among all, ``img_shape`` and ``ori_shape`` (8, 8).

    Example:
        >>> digits = Digits("test")
        >>> len(digits), digits[0]["img"].shape, int(digits[0]["img"].max()), digits.metainfo["classes"][:3]
        (360, (8, 8, 1), 16, ('0', '1', '2'))
    """

    split: str = "train"
    pipeline: Pipeline = ()
    metainfo: Mapping[str, Any] = field(default=frozen({"classes": tuple("0123456789")}), repr=False)
    arrays: DigitArrays = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect(self.metainfo, Mapping, "Digits: metainfo is a mapping")
        object.__setattr__(self, "pipeline", compose(self.pipeline))
        object.__setattr__(self, "metainfo", frozen(self.metainfo))
        object.__setattr__(self, "arrays", read_digits(self.split))

    @property
    def fingerprint(self) -> str:
        """A digest of the split's arrays."""
        return digest_of_arrays(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays.labels)

    def __getitem__(self, index: int) -> Sample:
        place = checked(index, len(self), "Digits")
        arrays = self.arrays
        return frozendict(
            img=arrays.images[place],
            img_max=16,
            gt_label=int(arrays.labels[place]),
            sample_idx=place,
            digit_idx=int(arrays.numbers[place]),
            img_shape=(8, 8),
            ori_shape=(8, 8),
        )


def read_digits(split: str) -> DigitArrays:
    """The arrays of one split, "train" or "test".

    Raises:
        FkitValueError: another split.

    Example:
        >>> read_digits("test").images.shape
        (360, 8, 8, 1)
    """
    if split not in _SPLITS:
        raise FkitValueError(f"Digits: split = {split!r} is unknown.", value=split, choices=_SPLITS)
    with (importlib.resources.files("fkit.data.shipped") / "digits.npz").open("rb") as file, np.load(file) as book:
        numbers = book[f"{split}_idx"].astype(np.int64)
        arrays = DigitArrays(book["images"][numbers][..., None], book["labels"][numbers].astype(np.int64), numbers)
    for array in arrays:
        array.setflags(write=False)
    return arrays


@dataclass(frozen=True)
class ImageFiles:
    """Image files of one's own, with no labels.

    Args:
        paths: of the images, in the order in which they are wanted.
        pipeline: transforms, the first of which reads ``img_path`` (LoadImageFromFile).
        metainfo: ``classes`` and the like.

    Raises:
        FkitValueError: no paths.
        FkitFileNotFoundError: a file is not there.

    Example:
        >>> ImageFiles(["a.png"])
        Traceback (most recent call last):
        fkit.tree.error.FkitFileNotFoundError: the image a.png is not there.
    """

    paths: Iterable[str | Path]
    pipeline: Pipeline = ()
    metainfo: Mapping[str, Any] = field(default=frozen({}), repr=False)

    def __post_init__(self) -> None:
        expect(self.metainfo, Mapping, "ImageFiles: metainfo is a mapping")
        several: Any = self.paths
        if isinstance(several, (str, Path)) or not isinstance(several, Iterable):
            raise FkitTypeError(f"ImageFiles: paths is a list of files, not {quoted(several)}.")
        paths = tuple(os.path.expanduser(str(path)) for path in cast("Iterable[Any]", several))
        if not paths:
            raise FkitValueError("no image was named.", repair="Name at least one image file.")
        for path in paths:
            if not os.path.isfile(path):
                what = "is a folder" if os.path.isdir(path) else "is not there"
                raise FkitFileNotFoundError(f"the image {path} {what}.")
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "pipeline", compose(self.pipeline))
        object.__setattr__(self, "metainfo", frozen(self.metainfo))

    @property
    def fingerprint(self) -> str:
        """A digest of the files' names, told from the folder that holds them all, so that the data may move."""
        assert isinstance(self.paths, tuple)
        whole = [os.path.abspath(path) for path in self.paths]
        folder = os.path.commonpath([os.path.dirname(path) for path in whole])
        return digest_of_names(((path, None) for path in whole), folder)

    def __len__(self) -> int:
        assert isinstance(self.paths, tuple)
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        assert isinstance(self.paths, tuple)
        place = checked(index, len(self), "ImageFiles")
        return frozendict(img_path=self.paths[place], sample_idx=place)


def compose(pipeline: Any) -> Compose:
    """A pipeline as one transform: a list of transforms, or one transform, put into a Compose."""
    if isinstance(pipeline, Compose):
        return pipeline
    if isinstance(pipeline, Iterable) and not isinstance(pipeline, Mapping):
        return Compose(cast("Iterable[Any]", pipeline))
    return Compose((cast(Any, pipeline),))


def checked(index: int, count: int, name: str) -> int:
    """``index`` among ``count``, negative ones counted from the end.

    Raises:
        FkitIndexError: it is outside; an IndexError, so that a ``for`` over a dataset ends.
        FkitTypeError: it is no whole number.
    """
    if type(index) is not int:
        expect_number(index, f"{name}: a sample's number", whole=True)
    if not -count <= index < count:
        raise FkitIndexError(f"{name}[{index}]: there are {count} samples.")
    return int(index) % count
