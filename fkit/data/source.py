"""Sources: batches by (epoch, number). Where a run's data comes from, and why resuming it costs nothing."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.catalog.report import broken
from fkit.data.collate import collate as default_collate
from fkit.data.dataset.indexed import Indexed
from fkit.data.dataset.own import check_dataset
from fkit.data.job import Job, Maker, Workers
from fkit.data.key import check_loader
from fkit.data.sampler import DefaultSampler, Sampler, check_sampler, count_of, order_of
from fkit.structures.batch import Batch
from fkit.tree.check import check_fields, expect, expect_call, expect_number
from fkit.tree.contract import expect_fit, title
from fkit.tree.error import FkitError, FkitIndexError, FkitTypeError, FkitValueError, quoted

__all__ = ["Listed", "Loader", "Source", "epoch_of", "open_loader"]

_KINDS = frozendict(datasets="dataset", data_samplers="sampler", functions="collate_fn")  # what is built for which key
_COLLATE = "Return fkit.Batch(inputs, targets=..., meta=...) of a list of samples."
_KEYS = frozendict(workers="num_workers", ahead="prefetch_factor", limit="num_batch_per_epoch")  # in a config


class Source(ABC):
    """Batches of one split. Batch k of epoch e is always the same, and arrays that were given are written into no more: a
    step may still read them (JAX does, and copies to CUDA) while the next batch is made.

    Example:
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


@dataclass(frozen=True)
class Loader(Source):
    """A dataset as batches.

    Args:
        dataset: what is read; its ``pipeline`` is run on every sample.
        batch_size: samples a batch.
        sampler: the order.
        drop_last: leave out a last batch that is not full.
        seed: of the run.
        collate: samples -> Batch.
        workers: processes that make batches; 0 makes them in this one. Of no effect on the batches.
        ahead: batches that each worker prepares in advance.
        limit: batches an epoch at most; None for no limit.
        spread: how jobs get to the workers: a room's ``workers`` (``fkit.array.room.open("torch").workers``).
        told: gives an error of a batch the place in a config that it is of.

    Raises:
        FkitValueError: an empty dataset, no full batch to give, or a number out of range.

    Example:
        >>> class Squares:
        ...     def __len__(self): return 5
        ...     def __getitem__(self, index): return {"inputs": np.float32([index**2])}
        >>> loader = Loader(Squares(), batch_size=2, sampler=DefaultSampler(shuffle=False))
        >>> [batch.inputs.ravel().tolist() for batch in loader.batches(0, 1)]
        [[4.0, 9.0], [16.0]]
    """

    dataset: Indexed
    batch_size: int = 1
    sampler: Sampler = DefaultSampler()  # noqa: RUF009  frozen
    drop_last: bool = False
    seed: int = 0
    collate: Callable[[list[Any]], Batch] = default_collate
    workers: int = 0
    ahead: int = 2
    limit: int | None = None
    spread: Workers | None = field(default=None, repr=False)
    told: Callable[[FkitError], FkitError] | None = field(default=None, repr=False, compare=False)

    samples: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self.dataset).__name__
        with _of("dataset"):
            count = _length(self.dataset)
        with _of("sampler"):
            check_sampler(self.sampler)
            count_of(self.sampler, count)
        with _of("collate_fn"):
            expect_call(self.collate, "a collate_fn is a function of samples that gives a Batch")
            if self.collate is not default_collate:
                what = (
                    f"a collate_fn is called with the samples of a batch, and {title(self.collate)} takes others: its"
                )
                expect_fit(self.collate, title(self.collate), "samples", what, _COLLATE)
        for word, least in (("batch_size", 1), ("workers", 0), ("ahead", 1), ("limit", 1)):
            number = getattr(self, word)
            if number is not None and number < least:
                raise FkitValueError(f"{_KEYS.get(word, word)} = {number}: at least {least}.")
        object.__setattr__(self, "samples", count)
        if self.length == 0:
            raise FkitValueError(
                f"the dataset {name} of {self.samples} samples gives no full batch of {self.batch_size}.",
                repair="Lower batch_size, or set drop_last=False.",
            )
        if self.workers > 0 and self.spread is None:
            raise FkitValueError(
                f"num_workers = {self.workers}, and nothing that starts worker processes.",
                repair='Give spread=fkit.array.room.open("torch").workers, which serves either backend, or num_workers=0.',
            )

    @property
    def length(self) -> int | None:
        if self.sampler.endless:
            return self.limit
        count = count_of(self.sampler, self.samples)
        total = count // self.batch_size if self.drop_last else -(-count // self.batch_size)
        return total if self.limit is None else min(total, self.limit)

    @property
    def ambient(self) -> bool:
        return self.workers == 0 and self.make.of_others

    @property
    def make(self) -> Maker:
        """What makes a batch of a job; picklable where the dataset is."""
        return Maker(self.dataset, self.seed, self.collate)

    def batch(self, epoch: int, number: int) -> Batch:
        """Batch ``number`` of ``epoch``, made in this process.

        Raises:
            FkitIndexError: the epoch has fewer batches.
        """
        for job in self.jobs(epoch, number):
            return self.make(job)
        raise FkitIndexError(f"batch {number} of an epoch of {self.length} batches.")

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return self._made(self.jobs(epoch, start))

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        epochs = (epoch,) if self.length is None else itertools.count(epoch)
        return self._made(
            itertools.chain.from_iterable(self.jobs(number, start if number == epoch else 0) for number in epochs)
        )

    def jobs(self, epoch: int, start: int = 0) -> Iterator[Job]:
        """The jobs of ``epoch`` from number ``start`` on; no sample is read."""
        if self.sampler.endless:
            if epoch != 0 and self.limit is None:
                raise FkitValueError(
                    f"epoch {epoch} of an endless source: its one epoch is 0, and batches are counted."
                )
            first = start + epoch * (self.limit or 0)
            return self._endless(first, None if self.limit is None else self.limit - start)
        return self._epoch(epoch, start)

    def _made(self, jobs: Iterator[Job]) -> Iterator[Batch]:
        if self.spread is None or self.workers == 0:
            batches = map(self.make, jobs)
        else:
            batches = self.spread(self.make, jobs, self.workers, self.ahead)
        return batches if self.told is None else _told(batches, self.told)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        now = len(self.dataset)
        if now != self.samples:  # the schedule and the end of the run were reckoned from it
            raise FkitValueError(
                f"the dataset {type(self.dataset).__name__} had {self.samples} samples, and has {now} in epoch {epoch}.",
                repair="Let its length stay the same for a whole run.",
            )
        with _of("sampler"):
            return order_of(self.sampler, epoch, self.samples, self.seed)

    def _epoch(self, epoch: int, start: int) -> Iterator[Job]:
        order, size = self._order(epoch), self.batch_size
        for number in range(start, self.length or 0):
            indices = tuple(order[number * size : (number + 1) * size].tolist())
            yield Job((epoch,) * len(indices), indices)

    def _endless(self, start: int, count: int | None) -> Iterator[Job]:
        turn, place = divmod(start * self.batch_size, count_of(self.sampler, self.samples))

        def stream() -> Iterator[tuple[int, int]]:
            for number in itertools.count(turn):
                for index in self._order(number)[place if number == turn else 0 :].tolist():
                    yield number, index

        pairs = stream()
        for _ in itertools.count() if count is None else range(count):
            chosen = tuple(itertools.islice(pairs, self.batch_size))
            yield Job(tuple(pair[0] for pair in chosen), tuple(pair[1] for pair in chosen))


def open_loader(
    cfg: Mapping[str, Any],
    build: Callable[[str, Any], Any],
    seed: int,
    *,
    path: str = "dataloader",
    spread: Workers | None = None,
    told: Callable[[FkitError], FkitError] | None = None,
) -> Loader:
    """The source that a dataloader config describes.

    Args:
        cfg: mmengine's keys: ``batch_size`` (a device; ``global_batch_size`` in its place fixes the product over the
            devices), ``dataset``, ``sampler`` (default: DefaultSampler, which ``shuffle`` may set), ``collate_fn``,
            ``drop_last``, ``num_batch_per_epoch``, ``num_workers``, ``prefetch_factor``; ``persistent_workers`` and
            ``pin_memory``, which change no batch.
        build: ``(kind, cfg) -> part``: builds datasets, data_samplers and functions. What is built already is taken.
        seed: of the run.
        path: where ``cfg`` stands in the whole config, for messages.
        spread, told: as of `Loader`.

    Raises:
        FkitError: a key is unknown, of the wrong type, or excludes another; the dataset is empty.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> open_loader({"batch_size": 100, "dataset": Digits("test")}, lambda kind, cfg: cfg, seed=0).length
        4
    """
    check_loader(cfg, path)
    if cfg.get("batch_sampler") is not None:
        raise FkitValueError(
            f"{path}.batch_sampler: batches are cut from the sampler's order; no other way is offered yet.",
            path=f"{path}.batch_sampler",
            repair="Say batch_size and sampler.",
        )
    size = cfg.get("global_batch_size") or cfg.get("batch_size") or 1
    dataset, sampler = (
        _part(cfg.get(name), kind, build) for name, kind in (("dataset", "datasets"), ("sampler", "data_samplers"))
    )
    if sampler is None:
        sampler = DefaultSampler(shuffle=cfg.get("shuffle") or False)
    joined = _part(cfg.get("collate_fn"), "functions", build)
    return Loader(
        dataset,
        batch_size=size,
        sampler=sampler,
        drop_last=cfg.get("drop_last") or False,
        seed=seed,
        collate=default_collate if joined is None else joined,
        workers=cfg.get("num_workers") or 0,
        ahead=cfg.get("prefetch_factor") or 2,
        limit=cfg.get("num_batch_per_epoch"),
        spread=spread,
        told=told,
    )


def _part(cfg: Any, kind: str, build: Callable[[str, Any], Any]) -> Any:
    """What a key of the dataloader stands for; None where it is not set."""
    if not isinstance(cfg, Mapping):
        return cfg
    part = build(kind, cfg)
    if part is None:
        with _of(_KINDS[kind]):
            raise FkitTypeError(f"{quoted(cfg.get('type'))} gave None, and no {_KINDS[kind]}.", repair="Return one.")
    return part


def _told(batches: Iterator[Batch], told: Callable[[FkitError], FkitError]) -> Generator[Batch]:
    try:
        yield from batches
    except FkitError as error:
        raise told(error) from error.__cause__


def _length(dataset: Any) -> int:
    """How many samples a dataset has.

    Raises:
        FkitError: it is no dataset, or has none, or cannot say.
    """
    check_dataset(dataset)
    name = title(dataset)
    try:
        count = len(dataset)
    except Exception as cause:
        raise broken(f"{name}.__len__", cause) from cause
    if count == 0:
        raise FkitValueError(f"the dataset {name} is empty.", repair="Check its paths and its filters.")
    return count


@contextmanager
def _of(key: str) -> Generator[None]:
    """Errors inside the block are of this key of the dataloader."""
    try:
        yield
    except FkitError as error:
        error.path = error.path or key
        raise
