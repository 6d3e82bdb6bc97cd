"""Orders in which classes, or datasets of a ConcatDataset, have shares of their own."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import generator, key
from fkit.data.aspect import orientations
from fkit.data.dataset.indexed import Indexed
from fkit.data.dataset.wrapper import cat_ids_of
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.contract import title
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "ClassAwareSampler",
    "CustomSampleSizeSampler",
    "GroupMultiSourceSampler",
    "MultiDataSampler",
    "MultiSourceSampler",
]

Members = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True)
class ClassAwareSampler:
    """All classes equally often: one class after the other, in turn, each giving the next of the images that have it;
    mmdet's ClassAwareSampler (Shen et al. 2016).

    Args:
        seed: in place of the run's.
        num_sample_class: images that a class gives in its turn.

    The dataset has ``get_cat_ids``.

    Example:
        >>> sampler = ClassAwareSampler(members=(np.array([0]), np.array([1, 2, 3, 4])))
        >>> sorted((sampler.indices(0, 6, 0) == 0).tolist())
        [False, False, False, True, True, True]
    """

    seed: int | None = None
    num_sample_class: int = 1
    members: Members | None = field(default=None, repr=False, compare=False)

    endless = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.num_sample_class < 1:
            raise FkitValueError(f"ClassAwareSampler: num_sample_class = {self.num_sample_class}: at least 1.")

    def bind(self, dataset: Indexed, size: int) -> "ClassAwareSampler":
        """That of a dataset.

        Raises:
            FkitError: the dataset does not say its samples' classes, or they have none.
        """
        found: dict[int, list[int]] = {}
        for index in range(len(dataset)):
            for label in sorted({int(one) for one in cat_ids_of(dataset, index)}):
                found.setdefault(label, []).append(index)
        if not found:
            raise FkitValueError(f"ClassAwareSampler: no sample of {title(dataset)} has a class.")
        return replace(self, members=tuple(np.array(found[label], np.int64) for label in sorted(found)))

    def count(self, length: int) -> int:
        return length

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        members = _known(self.members, "ClassAwareSampler")
        draws = generator(key(seed if self.seed is None else self.seed, "order", epoch))
        turns = _cycle(np.arange(len(members)), draws)
        streams = [_cycle(one, draws) for one in members]
        rows = chain.from_iterable(islice(streams[int(turn)], self.num_sample_class) for turn in turns)
        return np.fromiter(rows, np.int64, length)


@dataclass(frozen=True)
class CustomSampleSizeSampler:
    """So many samples of each dataset of a ConcatDataset an epoch; mmdet's CustomSampleSizeSampler.

    Args:
        dataset_size: how many; -1 is all.
        ratio_mode: they are parts of the datasets' lengths.
        seed: in place of the run's.
        round_up: as of `fkit.data.sampler.DefaultSampler`.

    Of a dataset that gives fewer than it has, each comes once before any comes again, over the epochs.

    Example:
        >>> sampler = CustomSampleSizeSampler([-1, 2], sizes=(3, 10))
        >>> sampler.count(13), sorted(sampler.indices(0, 13, 0).tolist())[:3]
        (5, [0, 1, 2])
    """

    dataset_size: Sequence[float]
    ratio_mode: bool = False
    seed: int | None = None
    round_up: bool = True
    sizes: tuple[int, ...] | None = field(default=None, repr=False, compare=False)

    endless = False

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "dataset_size", _numbers(self.dataset_size, "CustomSampleSizeSampler: dataset_size"))

    def bind(self, dataset: Indexed, size: int) -> "CustomSampleSizeSampler":
        """That of a dataset.

        Raises:
            FkitError: it is of another number of datasets, or one has too few samples.
        """
        sizes = _sizes_of(dataset, self.dataset_size, type(self).__name__)
        whole = replace(self, sizes=sizes)
        for place, (number, length) in enumerate(zip(whole.shares, sizes, strict=True)):
            if not 0 < number <= length:
                raise FkitValueError(
                    f"CustomSampleSizeSampler: dataset_size[{place}] = {self.dataset_size[place]} of a dataset of {length}."
                )
        return whole

    @property
    def shares(self) -> tuple[int, ...]:
        """Of each dataset, how many samples an epoch has."""
        sizes = _known(self.sizes, "CustomSampleSizeSampler")
        return tuple(
            length if number == -1 else int(number * length) if self.ratio_mode else int(number)
            for number, length in zip(self.dataset_size, sizes, strict=True)
        )

    def count(self, length: int) -> int:
        return sum(self.shares)

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        seed, sizes = seed if self.seed is None else self.seed, _known(self.sizes, "CustomSampleSizeSampler")
        parts: list[NDArray[np.int64]] = []
        first = 0
        for place, (number, size) in enumerate(zip(self.shares, sizes, strict=True)):
            parts.append(first + _run(key(seed, "order", "part", place), size, epoch * number, number))
            first += size
        return generator(key(seed, "order", epoch)).permutation(np.concatenate(parts))


@dataclass(frozen=True)
class MultiDataSampler:
    """As many samples as there are, drawn with replacement: the datasets of a ConcatDataset have shares of given ratios,
    however long they are; mmdet's MultiDataSampler.

    Args:
        dataset_ratio: of the shares.
        seed: in place of the run's.
        round_up: as of `fkit.data.sampler.DefaultSampler`.

    Example:
        >>> order = MultiDataSampler([1, 1], sizes=(10, 990)).indices(0, 1000, 0)
        >>> 400 < int((order < 10).sum()) < 600
        True
    """

    dataset_ratio: Sequence[float]
    seed: int | None = None
    round_up: bool = True
    sizes: tuple[int, ...] | None = field(default=None, repr=False, compare=False)

    endless = False

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "dataset_ratio", _ratios(self.dataset_ratio, "MultiDataSampler: dataset_ratio"))

    def bind(self, dataset: Indexed, size: int) -> "MultiDataSampler":
        """That of a dataset."""
        return replace(self, sizes=_sizes_of(dataset, self.dataset_ratio, type(self).__name__))

    def count(self, length: int) -> int:
        return length

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        sizes = np.array(_known(self.sizes, "MultiDataSampler"))
        draws = generator(key(seed if self.seed is None else self.seed, "order", epoch))
        part = draws.choice(len(sizes), length, p=np.array(self.dataset_ratio) / sum(self.dataset_ratio))
        return (np.cumsum(sizes) - sizes)[part] + draws.integers(sizes[part])


@dataclass(frozen=True)
class MultiSourceSampler:
    """Endless batches in which each dataset of a ConcatDataset has a share; mmdet's MultiSourceSampler.

    Args:
        batch_size: the dataloader's.
        source_ratio: of the shares; what they leave of a batch is the first dataset's.
        shuffle: each dataset in a new order whenever all of it has come.
        seed: in place of the run's.

    Example:
        >>> sampler = MultiSourceSampler(4, [1, 3], sizes=(10, 10), size=4)
        >>> (sampler.indices(0, 20, 0).reshape(-1, 4) < 10).sum(1).tolist()
        [1, 1, 1, 1, 1]
    """

    batch_size: int
    source_ratio: Sequence[float]
    shuffle: bool = True
    seed: int | None = None
    sizes: tuple[int, ...] | None = field(default=None, repr=False, compare=False)
    size: int = field(default=1, repr=False, compare=False)
    groups: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)

    endless = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch_size < 1:
            raise FkitValueError(f"{type(self).__name__}: batch_size = {self.batch_size}: at least 1.")
        object.__setattr__(self, "source_ratio", _ratios(self.source_ratio, f"{type(self).__name__}: source_ratio"))

    def bind(self, dataset: Indexed, size: int) -> "MultiSourceSampler":
        """That of a dataset, in batches of ``size``.

        Raises:
            FkitError: it is of another number of datasets, or the batches are of another size than ``batch_size``.
        """
        if size % self.batch_size:
            raise FkitValueError(
                f"{type(self).__name__}: batch_size = {self.batch_size}, and the dataloader's batches have {size} samples."
            )
        return replace(self, sizes=_sizes_of(dataset, self.source_ratio, type(self).__name__), size=size)

    @property
    def shares(self) -> tuple[int, ...]:
        """Of each dataset, how many samples a batch has."""
        _, *others = (int(self.size * ratio / sum(self.source_ratio)) for ratio in self.source_ratio)
        return (self.size - sum(others), *others)

    def count(self, length: int) -> int:
        return -(-length // self.size) * self.size

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        seed, batches = seed if self.seed is None else self.seed, self.count(length) // self.size
        parts: list[NDArray[np.int64]] = []
        first = 0
        for place, (share, size) in enumerate(zip(self.shares, _known(self.sizes, type(self).__name__), strict=True)):
            of, number = key(seed, "order", "part", place), batches * share
            start = epoch * number
            run = _run(of, size, start, number) if self.shuffle else np.arange(start, start + number) % size
            parts.append(first + run.reshape(batches, share))
            first += size
        return np.concatenate(parts, 1).ravel()


@dataclass(frozen=True)
class GroupMultiSourceSampler(MultiSourceSampler):
    """`MultiSourceSampler` whose batches hold images of one orientation; mmdet's GroupMultiSourceSampler.

    Example:
        >>> tall = np.arange(20) % 2
        >>> sampler = GroupMultiSourceSampler(4, [1, 3], sizes=(10, 10), size=4, groups=tall)
        >>> set((tall[sampler.indices(0, 20, 0)].reshape(-1, 4).sum(1)).tolist()) <= {0, 4}
        True
    """

    def bind(self, dataset: Indexed, size: int) -> "GroupMultiSourceSampler":
        """That of a dataset, in batches of ``size``."""
        bound = super().bind(dataset, size)
        return replace(self, sizes=bound.sizes, size=size, groups=orientations(dataset, type(self).__name__))

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        name = type(self).__name__
        groups, sizes = _known(self.groups, name), _known(self.sizes, name)
        seed = seed if self.seed is None else self.seed
        draws = generator(key(seed, "order", epoch))
        names, counts = np.unique(groups, return_counts=True)
        ends = np.cumsum(sizes)
        streams: dict[tuple[int, int], Iterator[np.int64]] = {}
        for place, end in enumerate(ends):
            for group in names.tolist():
                members = np.flatnonzero(groups[end - sizes[place] : end] == group) + end - sizes[place]
                if len(members):
                    of = generator(key(seed, "order", epoch, place, group))
                    streams[place, group] = _cycle(members, of) if self.shuffle else _round(members)
        rows: list[np.int64] = []
        for group in draws.choice(names, self.count(length) // self.size, p=counts / counts.sum()).tolist():
            for place, share in enumerate(self.shares):
                if not share:
                    continue
                stream = streams.get((place, group))
                if stream is None:
                    raise FkitValueError(f"{name}: dataset {place} has no image of the orientation {group}.")
                rows.extend(islice(stream, share))
        return np.array(rows, np.int64)


def _cycle(members: NDArray[np.int64], draws: np.random.Generator) -> Iterator[Any]:
    """The members without end, in a new order whenever all have come."""
    while True:
        yield from draws.permutation(members)


def _round(members: NDArray[np.int64]) -> Iterator[Any]:
    while True:
        yield from members


def _run(of: tuple[int, int], size: int, start: int, number: int) -> NDArray[np.int64]:
    """Places ``start`` to ``start + number`` of an endless stream of the numbers below ``size``, in a new order whenever all
    have come."""
    if not number:
        return np.empty(0, np.int64)
    turns = range(start // size, (start + number - 1) // size + 1)
    whole = np.concatenate([generator(key(of[0], of[1], turn)).permutation(size) for turn in turns])
    return whole[start % size : start % size + number]


def _known(value: Any, name: str) -> Any:
    if value is None:
        raise FkitValueError(f"{name}: of which dataset is not said.", repair="bind(dataset, size) says it.")
    return value


def _sizes_of(dataset: Any, numbers: Sequence[Any], name: str) -> tuple[int, ...]:
    """How many samples each dataset of a ConcatDataset has."""
    ends: Any = getattr(dataset, "cumulative_sizes", None)
    if ends is None:
        raise FkitTypeError(
            f"{name} is of a ConcatDataset, and {title(dataset)} is none.",
            repair="dataset=dict(type='ConcatDataset', datasets=[...])",
        )
    sizes = tuple(int(number) for number in np.diff([0, *ends]))
    if len(sizes) != len(numbers):
        raise FkitValueError(
            f"{name}: {quoted(list(numbers))} has {len(numbers)} numbers, and there are {len(sizes)} datasets."
        )
    return sizes


def _numbers(values: Any, what: str) -> tuple[float, ...]:
    expect(values, (list, tuple), f"{what} is a list of numbers, one a dataset")
    for number in values:
        expect_number(number, what)
    return tuple(values)


def _ratios(values: Any, what: str) -> tuple[float, ...]:
    numbers = _numbers(values, what)
    if not numbers or not all(0 <= number < math.inf for number in numbers) or sum(numbers) <= 0:
        raise FkitValueError(f"{what} = {quoted(list(numbers))}: numbers from 0, and not all 0.")
    return numbers
