"""Samplers: which samples an epoch has, in which order. Values: the order is a function of (seed, epoch)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import key, permutation
from fkit.catalog.report import broken
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.contract import Contract, expect_contract, title
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "DefaultSampler",
    "DistributedSampler",
    "InfiniteSampler",
    "RepeatAugSampler",
    "Sampler",
    "SequentialSampler",
    "check_sampler",
    "count_of",
    "order_of",
    "share_of",
]


T = TypeVar("T")

_SAMPLER = Contract(
    "sampler",
    (("count", "length"), ("indices", "epoch, length, seed")),
    """
and `endless`, whether its epochs are one stream. For example, every second sample:
    class Even:
        endless = False
        def count(self, length): return (length + 1) // 2
        def indices(self, epoch, length, seed): return np.arange(0, length, 2)""",
)


class Sampler(Protocol):
    """The order of an epoch.

    One that has a method ``bind(dataset, size)`` is asked for the sampler of a dataset in batches of ``size``, on all ranks
    together, before it is used.
    """

    @property
    def endless(self) -> bool:
        """Whether the epochs follow one another in one stream, whose batches run over their bounds."""
        ...

    def count(self, length: int) -> int:
        """How many samples an epoch has, of a dataset of ``length``; the same for every epoch."""
        ...

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        """The samples of an epoch in order; (count,) int64, each below ``length``."""
        ...


@dataclass(frozen=True)
class DefaultSampler:
    """Every sample once an epoch; mmengine's DefaultSampler.

    Args:
        shuffle: in a new order every epoch; else by number.
        seed: in place of the run's.
        round_up: repeat samples where ranks would get unequal shares (of no effect with one).

    Example:
        >>> sampler = DefaultSampler()
        >>> sorted(sampler.indices(0, 4, 7).tolist()), bool((sampler.indices(0, 9, 7) == sampler.indices(1, 9, 7)).all())
        ([0, 1, 2, 3], False)
        >>> DefaultSampler(shuffle=False).indices(0, 3, 7).tolist()
        [0, 1, 2]
    """

    shuffle: bool = True
    seed: int | None = None
    round_up: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("shuffle", "round_up"):
            expect(getattr(self, name), bool, f"DefaultSampler: {name} is True or False")

    @property
    def endless(self) -> bool:
        return False

    def count(self, length: int) -> int:
        return length

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        return _order(self.shuffle, self.seed, epoch, length, seed)


@dataclass(frozen=True)
class InfiniteSampler:
    """An endless stream, for loops that count iterations; mmengine's InfiniteSampler.

    Every sample comes once before any comes again; batches run over the bounds, so that all are full.

    Args:
        shuffle: every pass in a new order; else by number.
        seed: in place of the run's.

    Example:
        >>> InfiniteSampler(shuffle=False).endless
        True
    """

    shuffle: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.shuffle, bool, "InfiniteSampler: shuffle is True or False")

    @property
    def endless(self) -> bool:
        return True

    def count(self, length: int) -> int:
        return length

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        return _order(self.shuffle, self.seed, epoch, length, seed)


@dataclass(frozen=True)
class DistributedSampler(DefaultSampler):
    """mmdet 2.x's DistributedSampler: `DefaultSampler`, whose shares of an order every process takes.

    Example:
        >>> DistributedSampler(shuffle=False).indices(0, 3, 7).tolist()
        [0, 1, 2]
    """


@dataclass(frozen=True)
class SequentialSampler(DefaultSampler):
    """mmpretrain's SequentialSampler: by number.

    Args:
        subsample_type: accepted: "default" or "sequential"; a rank's share of each batch is in a row in any case.

    Example:
        >>> SequentialSampler().indices(0, 3, 7).tolist()
        [0, 1, 2]
    """

    shuffle: bool = False
    subsample_type: str = "default"

    def __post_init__(self) -> None:
        super().__post_init__()
        known = ("default", "sequential")
        if self.subsample_type not in known:
            value = self.subsample_type
            raise FkitValueError(f"SequentialSampler: subsample_type = {value!r}.", value=value, choices=known)


@dataclass(frozen=True)
class RepeatAugSampler:
    """Each sample several times in a row, each time with other draws; as many samples an epoch as the dataset has, so that an
    epoch shows a part of it. mmpretrain's RepeatAugSampler (Hoffer et al. 2020).

    Args:
        shuffle: in a new order every epoch; else always the same part.
        num_repeats: how often.
        seed: in place of the run's.

    Example:
        >>> RepeatAugSampler(shuffle=False).indices(0, 7, 0).tolist()
        [0, 0, 0, 1, 1, 1, 2]
    """

    shuffle: bool = True
    num_repeats: int = 3
    seed: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.num_repeats < 1:
            raise FkitValueError(f"RepeatAugSampler: num_repeats = {self.num_repeats}: at least 1.")

    @property
    def endless(self) -> bool:
        return False

    def count(self, length: int) -> int:
        return length

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        return _order(self.shuffle, self.seed, epoch, length, seed).repeat(self.num_repeats)[:length]


def count_of(sampler: Sampler, length: int) -> int:
    """How many samples an epoch has, as the sampler says.

    Raises:
        FkitTypeError: it is no sampler, or says what is no whole number.
        FkitValueError: none.

    Example:
        >>> count_of(DefaultSampler(), 9)
        9
    """
    name = type(sampler).__name__
    if not hasattr(sampler, "count") or not hasattr(sampler, "indices"):
        check_sampler(sampler)
    count = _asked(f"{name}.count", sampler.count, length)
    expect_number(count, f"{name}.count({length})", whole=True)
    if count < 1:
        raise FkitValueError(f"{name}.count({length}) = {count}: an epoch has at least one sample.")
    return int(count)


def check_sampler(sampler: Any) -> None:
    """Refuse what is no sampler.

    Raises:
        FkitTypeError: with what one has.

    Example:
        >>> check_sampler(DefaultSampler())
    """
    expect_contract(sampler, _SAMPLER)
    if not hasattr(sampler, "endless"):
        raise FkitTypeError(f"{title(sampler)} is no sampler: it has no 'endless'.", repair=_SAMPLER.text)


def order_of(sampler: Sampler, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
    """The samples of an epoch in order, as many as the sampler says there are, each one of the dataset's.

    Raises:
        FkitTypeError: they are no whole numbers.
        FkitValueError: they are more or fewer, or one is none of the dataset's.

    Example:
        >>> order_of(DefaultSampler(shuffle=False), 0, 3, 0).tolist()
        [0, 1, 2]
    """
    name, count = type(sampler).__name__, count_of(sampler, length)
    order: NDArray[Any] = np.asarray(_asked(f"{name}.indices", sampler.indices, epoch, length, seed))
    if order.ndim != 1 or order.dtype.kind not in "iu":
        raise FkitTypeError(f"{name}.indices gave {quoted(order)} for epoch {epoch}; expected whole numbers in a row.")
    if len(order) != count:
        raise FkitValueError(
            f"{name}.indices gave {len(order)} samples for epoch {epoch}, and its count says {count}.",
            repair="Let count(length) be the number of indices of every epoch.",
        )
    outside = order[np.logical_or(order < 0, order >= length)]
    if outside.size:
        raise FkitValueError(
            f"{name}.indices gave the sample {int(outside[0])} for epoch {epoch}, of a dataset of {length}."
        )
    return order


def share_of(count: int, rank: int, world: int) -> slice:
    """A rank's contiguous slice of a batch of ``count``; where it has no equal ones, the first ranks' have one sample more.

    Example:
        >>> [list(range(5))[share_of(5, rank, 2)] for rank in (0, 1)]
        [[0, 1, 2], [3, 4]]
    """
    for word, number in (("count", count), ("rank", rank), ("world", world)):
        expect_number(number, f"`{word}`", whole=True)
    if world < 1:
        raise FkitValueError(f"`world` = {world}: at least 1.")
    least, more = divmod(count, world)
    first = rank * least + min(rank, more)
    return slice(first, first + least + (rank < more))


def _asked(what: str, method: Callable[..., T], *arguments: int) -> T:
    """What a sampler's method gives."""
    try:
        return method(*arguments)
    except FkitError:
        raise
    except Exception as cause:
        raise broken(what, cause) from cause


def _order(shuffle: bool, sampler_seed: int | None, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
    if not shuffle:
        return np.arange(length, dtype=np.int64)
    return permutation(key(seed if sampler_seed is None else sampler_seed, "order", epoch), length)
