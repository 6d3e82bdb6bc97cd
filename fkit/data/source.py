"""Sources: batches by (epoch, number). Where a run's data comes from, and why resuming it costs nothing."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fkit.structures.batch import Batch
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Listed", "Source", "epoch_of"]


class Source(ABC):
    """Batches of one split. Batch k of epoch e is always the same, and arrays that were given are written into no more: a
    step may still read them (JAX does, and copies to CUDA) while the next batch is made.

    Example:
        >>> import numpy as np
        >>> batch = Batch(np.zeros((2, 1, 8, 8), np.float32))
        >>> source = Source.of([batch, batch])
        >>> source.length, len(list(source.batches(0, 1)))
        (2, 1)
    """

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Batches an epoch; None if endless."""

    @property
    def ambient(self) -> bool:
        """Whether its batches are made in this process by code of others, for which the generators that the process
        shares are seeded and put back: then they are made in no thread beside one that draws from these."""
        return False

    @abstractmethod
    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from number ``start`` on. Close the iterator to let its workers go."""

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from number ``start`` on, then those of the epochs after it, without end.

        What a training run reads: worker processes live on from epoch to epoch, and prepare the next one's first
        batches while this one is validated.
        """
        yield from epoch_of(self, epoch, start)
        for number in itertools.count(epoch + 1):
            yield from epoch_of(self, number)

    @staticmethod
    def of(batches: Iterable[Batch]) -> "Source":
        """A source of these very batches, the same in every epoch."""
        expect(batches, Iterable, "Source.of: `batches` are batches, one after the other")
        return Listed(tuple(batches))


def epoch_of(source: Source, epoch: int, start: int = 0) -> Iterator[Batch]:
    """The batches of one epoch, as many as the source says there are: what a run reads of a source of anybody's.

    Raises:
        FkitValueError: it gave fewer or more than its length, or it is endless and ended.
        FkitTypeError: it gave something that is no batch.

    Example:
        >>> import numpy as np
        >>> batch = Batch(np.zeros((2, 1)))
        >>> len(list(epoch_of(Source.of([batch, batch]), 0, start=1)))
        1
    """
    expect(source, Source, "`source` is a source (fkit.Source.of makes one of batches)")
    for word, number in (("epoch", epoch), ("start", start)):
        expect_number(number, word, whole=True)
    name, length, count = type(source).__name__, source.length, start
    batches = source.batches(epoch, start)
    try:
        for batch in batches:
            if count == length:
                raise FkitValueError(f"{name}: epoch {epoch} gave more than the {length} batches that its length says.")
            if not isinstance(batch, Batch):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise FkitTypeError(f"{name}: batch {count} of epoch {epoch} is {quoted(batch)}, not a Batch.")
            count += 1
            yield batch
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
    if length is None:
        raise FkitValueError(f"{name}: its length is None, which is endless, but it ended after {count} batches.")
    if count < length:
        raise FkitValueError(
            f"{name}: epoch {epoch} ended after {count} of {length} batches.",
            repair="Let `length` be the number of batches that `batches(epoch, 0)` gives.",
        )


@dataclass(frozen=True)
class Listed(Source):
    """Batches that are there already; see `Source.of`."""

    items: tuple[Batch, ...]

    def __post_init__(self) -> None:
        expect(self.items, (list, tuple), "a source's items are batches, in a list")
        object.__setattr__(self, "items", tuple(self.items))
        if not self.items:
            raise FkitValueError("a source of no batches.", repair="Give at least one batch.")
        for item in self.items:
            expect(item, Batch, "a source's items are batches (fkit.Batch)")

    @property
    def length(self) -> int:
        return len(self.items)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return iter(self.items[start:])

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return itertools.chain(self.items[start:], itertools.cycle(self.items))
