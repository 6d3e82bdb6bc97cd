"""Datasets: frozen, indexed, giving raw samples; the digits that ship with the kit, and lists of image files."""

import importlib.resources
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.catalog.entry import Built
from fkit.data.digest import digest_of_arrays, digest_of_names
from fkit.data.transform.transform import Compose, Sample
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitFileNotFoundError, FkitIndexError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Dataset", "Digits", "ImageFiles", "checked", "compose", "read_digits"]

_SPLITS = ("train", "test")

Pipeline = Annotated[Iterable[Any], Built("transforms")]


class Dataset(Protocol):
    """What `fkit.data.source.Loader` reads: a length, raw samples, and the pipeline that makes them ready.

    A dataset whose ``pipeline`` is a `Compose` (see `compose`) gives raw samples. Any other gives them ready for
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
    """Image files of one's own, with no labels: what ``fkit infer`` reads.

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
