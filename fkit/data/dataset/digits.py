"""The handwritten digits that ship with the kit."""

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.data.dataset.indexed import Pipeline, checked, compose
from fkit.data.digest import digest_of_arrays
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Digits", "read_digits"]

_SPLITS = ("train", "test")


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
