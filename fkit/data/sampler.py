"""Samplers: which samples an epoch has, in which order. Values: the order is a function of (seed, epoch)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import key, permutation

__all__ = ["DefaultSampler", "InfiniteSampler", "Sampler"]


class Sampler(Protocol):
    """The order of an epoch."""

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

    @property
    def endless(self) -> bool:
        return True

    def count(self, length: int) -> int:
        return length

    def indices(self, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
        return _order(self.shuffle, self.seed, epoch, length, seed)


def _order(shuffle: bool, sampler_seed: int | None, epoch: int, length: int, seed: int) -> NDArray[np.int64]:
    if not shuffle:
        return np.arange(length, dtype=np.int64)
    return permutation(key(seed if sampler_seed is None else sampler_seed, "order", epoch), length)
