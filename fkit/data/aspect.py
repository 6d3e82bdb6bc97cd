"""Batches of images of one orientation, so that little of them is padding."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import generator, key
from fkit.data.dataset.indexed import Indexed
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.contract import title
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = ["AspectRatioBatchSampler", "BatchSampler", "GroupSampler", "Row", "check_batch_sampler", "orientations"]


class Row(NamedTuple):
    """A sample in the order of an epoch.

    Attributes:
        epoch: the pass over the dataset.
        place: where in it.
        sample: which.
    """

    epoch: int
    place: int
    sample: int


class BatchSampler(Protocol):
    """How an order is cut into batches; one that has a method ``bind(dataset)`` is asked for that of a dataset first."""

    @property
    def drop_last(self) -> bool:
        """Whether batches that are not full are left out at the end of an epoch."""
        ...

    def cut(self, rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
        """The batches, of ``size`` rows on all ranks together, as many as their number needs; all but the last are full."""
        ...


def check_batch_sampler(part: Any) -> None:
    """Refuse what cuts no batches.

    Raises:
        FkitTypeError: it has no ``cut``.

    Example:
        >>> check_batch_sampler(AspectRatioBatchSampler())
    """
    if isinstance(part, type) or not callable(getattr(part, "cut", None)) or not hasattr(part, "drop_last"):
        raise FkitTypeError(
            f"{title(part)} is no batch sampler.",
            repair="It has `drop_last`, and cut(self, rows, size) that yields lists of rows (epoch, place, sample).",
        )


@dataclass(frozen=True)
class AspectRatioBatchSampler:
    """Batches of images that are all higher than wide, or all not; mmdet's AspectRatioBatchSampler.

    What is left of both at the end of an epoch makes the last batches together.

    Args:
        batch_size: the dataloader's; may be left out.
        drop_last: leave out a last batch that is not full.

    Samples have ``width`` and ``height``; or the dataset an attribute ``flag``, a number an image.

    Example:
        >>> wide = Row(0, 0, 0), Row(0, 1, 1), Row(0, 2, 2)
        >>> cut = AspectRatioBatchSampler(groups=np.array([1, 0, 1])).cut(wide, 2)
        >>> [[row.sample for row in batch] for batch in cut]
        [[0, 2], [1]]
    """

    batch_size: int | None = None
    drop_last: bool = False
    groups: NDArray[Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch_size is not None and self.batch_size < 1:
            raise FkitValueError(f"AspectRatioBatchSampler: batch_size = {self.batch_size}: at least 1.")

    def bind(self, dataset: Indexed) -> "AspectRatioBatchSampler":
        """That of a dataset.

        Raises:
            FkitKeyError: a sample does not say its size.
        """
        return replace(self, groups=orientations(dataset, type(self).__name__))

    def cut(self, rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
        expect(rows, Iterable, "`rows` are rows of an order")
        expect_number(size, "`size`", whole=True)
        groups = self.groups
        if groups is None:
            raise FkitValueError(
                "AspectRatioBatchSampler: of which dataset is not said.", repair="bind(dataset) says it."
            )
        waiting: dict[int, list[Row]] = {}
        for row in rows:
            expect(row, tuple, "`rows` are rows (epoch, place, sample)")
            batch = waiting.setdefault(int(groups[row.sample]), [])
            batch.append(row)
            if len(batch) == size:
                yield batch
                waiting[int(groups[row.sample])] = []
        left = [row for group in sorted(waiting) for row in waiting[group]]
        for first in range(0, len(left), size):
            batch = left[first : first + size]
            if len(batch) == size or not self.drop_last:
                yield batch


@dataclass(frozen=True)
class GroupSampler:
    """Batches of one group each, in a new order every epoch; mmdet 2.x's GroupSampler and DistributedGroupSampler.

    A group whose number is no multiple of a batch is filled up with samples of it.

    Args:
        samples_per_gpu: the dataloader's batch size; may be left out.
        seed: in place of the run's.

    Groups are the dataset's attribute ``flag``, a number a sample, or come from ``width`` and ``height``.

    Example:
        >>> sampler = GroupSampler(groups=np.array([1, 0, 1, 0, 0]), size=2)
        >>> np.diff(sampler.groups[sampler.indices(0, 5, 0)].reshape(-1, 2)).ravel().tolist()
        [0, 0, 0]
    """

    samples_per_gpu: int | None = None
    seed: int | None = None
    groups: NDArray[Any] | None = field(default=None, repr=False, compare=False)
    size: int = field(default=1, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("samples_per_gpu", "size"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise FkitValueError(f"GroupSampler: {name} = {number}: at least 1.")

    @property
    def endless(self) -> bool:
        return False

    def bind(self, dataset: Indexed, size: int) -> "GroupSampler":
        """That of a dataset, in batches of ``size``."""
        return replace(self, groups=orientations(dataset, type(self).__name__), size=size)

    def count(self, length: int) -> int:
        return sum(
            -(-number // self.size) * self.size for number in np.unique(self._groups, return_counts=True)[1].tolist()
        )

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        draws = generator(key(seed if self.seed is None else self.seed, "order", epoch))
        batches: list[NDArray[np.int64]] = []
        for group in np.unique(self._groups):
            members = draws.permutation(np.flatnonzero(self._groups == group))
            more = draws.choice(members, -len(members) % self.size)
            batches.extend(np.concatenate([members, more]).reshape(-1, self.size))
        return np.concatenate([batches[place] for place in draws.permutation(len(batches))])

    @property
    def _groups(self) -> NDArray[Any]:
        if self.groups is None:
            raise FkitValueError("GroupSampler: of which dataset is not said.", repair="bind(dataset, size) says it.")
        return self.groups


def orientations(dataset: Any, who: str = "this") -> NDArray[np.int64]:
    """Of each sample its ``flag``, where the dataset has them; else 0 where it is higher than wide, 1 where not.

    Args:
        who: asks, for errors.

    Raises:
        FkitKeyError: a sample does not say its size.

    Example:
        >>> orientations([{"width": 3, "height": 4}, {"width": 4, "height": 4}]).tolist()
        [0, 1]
    """
    flags: Any = getattr(dataset, "flag", None)
    if flags is not None:
        groups = np.asarray(flags)
        if groups.shape != (len(dataset),) or groups.dtype.kind not in "biu":
            raise FkitTypeError(f"{title(dataset)}.flag is a whole number a sample, not {quoted(flags)}.")
        return groups.astype(np.int64)
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise FkitTypeError(f"`dataset` is a dataset, not {quoted(dataset)}.")
    read: Any = getattr(dataset, "get_data_info", None) or dataset.__getitem__
    out = np.empty(len(dataset), np.int64)
    for place in range(len(out)):
        sample: Any = read(place)
        out[place] = _orientation(sample, f"{title(dataset)}[{place}]", who)
    return out


def _orientation(sample: Any, name: str, who: str) -> int:
    known: Mapping[str, Any] = sample if isinstance(sample, Mapping) else {}
    size = known.get("height"), known.get("width")
    if None in size:
        size = next((known[key] for key in ("ori_shape", "img_shape") if key in known), (None, None))[:2]
    height, width = size
    if height is None or width is None:
        raise FkitKeyError(
            f"{who} needs the width and height of each sample, and {name} does not say them.",
            choices=known,
            label="It has",
            repair="Let samples have 'width' and 'height', or the dataset an attribute `flag`, a number a sample.",
        )
    expect_number(height, f"{name}: height")
    expect_number(width, f"{name}: width")
    return 0 if width < height else 1
