"""The loader: a dataset as batches, and what a dataloader's config makes of it."""

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.catalog.report import broken
from fkit.data.aspect import BatchSampler, Row, check_batch_sampler
from fkit.data.collate import collate as default_collate
from fkit.data.dataset.indexed import Indexed
from fkit.data.dataset.own import check_dataset
from fkit.data.job import Job, Maker, Workers, counted, said_by
from fkit.data.key import ON_ERROR, check_loader
from fkit.data.sampler import DefaultSampler, Sampler, check_sampler, count_of, order_of, share_of
from fkit.data.source import Source
from fkit.structures.batch import Batch
from fkit.tree.check import check_fields, expect_call
from fkit.tree.contract import expect_fit, title
from fkit.tree.error import FkitError, FkitIndexError, FkitTypeError, FkitValueError, quoted

__all__ = ["Loader", "open_loader"]

_KINDS = frozendict(datasets="dataset", data_samplers="sampler", functions="collate_fn")  # what is built for which key
_COLLATE = "Return fkit.Batch(inputs, targets=..., meta=...) of a list of samples."
_LEAST = frozendict(batch_size=1, workers=0, ahead=1, limit=1, world=1, rank=0, devices=1)
_KEYS = frozendict(workers="num_workers", ahead="prefetch_factor", limit="num_batch_per_epoch")  # in a config


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
        batch_sampler: how the order is cut into batches; None: as it comes.
        rank, world: with several processes, which of how many this is: global batch k of an epoch is the same for any
            number, has ``batch_size * devices * world`` samples, and rank r takes the r-th of its contiguous slices. Where the last
            one has no equal slices, samples of the epoch's beginning fill it up, unless the sampler says ``round_up=False``.
        devices: of each process, which share its slice.
        on_error: "raise", or "skip": another sample, which the key decides, takes the place of one that cannot be made;
            how many were is said in a warning at the end of the first epoch that has some. A dataset whose attribute
            ``on_error`` is "skip" says so too.

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
    on_error: str = "raise"
    batch_sampler: BatchSampler | None = None
    rank: int = 0
    world: int = 1
    devices: int = 1

    samples: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self.dataset).__name__
        with _of("dataset"):
            count = _length(self.dataset)
        with _of("sampler"):
            check_sampler(self.sampler)
            bind: Any = getattr(self.sampler, "bind", None)
            if bind is not None:
                object.__setattr__(self, "sampler", bind(self.dataset, self.whole))
            count_of(self.sampler, count)
        with _of("batch_sampler"):
            self._bind_batches()
        with _of("collate_fn"):
            expect_call(self.collate, "a collate_fn is a function of samples that gives a Batch")
            if self.collate is not default_collate:
                what = (
                    f"a collate_fn is called with the samples of a batch, and {title(self.collate)} takes others: its"
                )
                expect_fit(self.collate, title(self.collate), "samples", what, _COLLATE)
        if self.on_error not in ON_ERROR:
            raise FkitValueError(
                f"on_error = {quoted(self.on_error)} is unknown.", value=self.on_error, choices=ON_ERROR
            )
        for word, least in _LEAST.items():
            number = getattr(self, word)
            if number is not None and number < least:
                raise FkitValueError(f"{_KEYS.get(word, word)} = {number}: at least {least}.")
        object.__setattr__(self, "samples", count)
        if self.length == 0:
            raise self._without(name)
        if self.workers > 0 and self.spread is None:
            raise FkitValueError(
                f"num_workers = {self.workers}, and nothing that starts worker processes.",
                repair='Give spread=fkit.array.room.open("torch").workers, which serves either backend, or num_workers=0.',
            )

    @property
    def whole(self) -> int:
        """Samples of a global batch, that of all devices of all processes."""
        return self.batch_size * self.devices * self.world

    @property
    def length(self) -> int | None:
        if self.sampler.endless:
            return self.limit
        size, count = self.whole, count_of(self.sampler, self.samples)
        drops = self.drop_last if self.batch_sampler is None else self.batch_sampler.drop_last
        total, left = divmod(count, size)  # of drop_last, too, by the samples that there are: the same for any world
        if left and not drops and (self._fills or range(left)[share_of(left, self.rank, self.world)]):
            total += 1  # else the last batch has nothing for this rank
        return total if self.limit is None else min(total, self.limit)

    @property
    def _fills(self) -> bool:
        """Whether samples of the epoch's beginning give all ranks the same share of the last batch."""
        return bool(getattr(self.sampler, "round_up", True))

    @property
    def skips(self) -> bool:
        """Whether samples that cannot be made are passed over."""
        return self.on_error == "skip" or "skip" in said_by(self.dataset, "on_error")

    @property
    def ambient(self) -> bool:
        return self.workers == 0 and self.make.of_others

    @cached_property
    def make(self) -> Maker:
        """What makes a batch of a job; picklable where the dataset is."""
        return Maker(self.dataset, self.seed, self.collate, self.skips)

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
        if self.skips:
            batches = counted(batches, self.length or -(-self.samples // self.whole), type(self.dataset).__name__)
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
        order, size, stop = self._order(epoch), self.whole, self.length or 0
        count = len(order)
        if self._fills and count % self.world:
            order = np.resize(order, -(-count // self.world) * self.world)
        if self.batch_sampler is not None:
            rows = [Row(epoch, place, sample) for place, sample in enumerate(order.tolist())]
            yield from self._jobs(self.batch_sampler.cut(rows[:count], size), start, stop, rows[count:])
            return
        for number in range(start, stop):
            first = number * size
            whole = range(first, min(first + size, len(order)))
            places = whole[share_of(len(whole), self.rank, self.world)]
            yield Job((epoch,) * len(places), tuple(places), tuple(order[places.start : places.stop].tolist()))

    def _jobs(
        self, batches: Iterator[list[Row]], start: int, stop: int | None, more: Sequence[Row] = ()
    ) -> Iterator[Job]:
        """This rank's jobs; ``more`` fills up the last batch, the only one that may not be full."""
        for rows in itertools.islice(batches, start, stop):
            several = rows if len(rows) % self.world == 0 else [*rows, *more]
            yield Job(*zip(*several[share_of(len(several), self.rank, self.world)], strict=True))

    def _without(self, name: str) -> FkitError:
        """The error of an epoch that has no batch, here."""
        what = f"the dataset {name} of {self.samples} samples gives"
        if self.drop_last or getattr(self.batch_sampler, "drop_last", False):
            count, what_of = (self.world, "processes") if self.devices == 1 else (self.world * self.devices, "devices")
            several = f" of {self.batch_size}" + (f" on each of {count} {what_of}" if count > 1 else "")
            return FkitValueError(f"{what} no full batch{several}.", repair="Lower batch_size, or set drop_last=False.")
        return FkitValueError(
            f"{what} process {self.rank} of {self.world} no sample.",
            repair="Start fewer processes, or set round_up=True.",
        )

    def _bind_batches(self) -> None:
        cutter: Any = self.batch_sampler
        if cutter is None:
            return
        check_batch_sampler(cutter)
        if self.drop_last:
            raise FkitValueError("batch_sampler and drop_last exclude each other: the batch sampler says it.")
        asked = getattr(cutter, "batch_size", None)
        if asked is not None and asked != self.batch_size:
            raise FkitValueError(f"batch_sampler.batch_size = {asked}, and the dataloader's is {self.batch_size}.")
        if hasattr(cutter, "bind"):
            object.__setattr__(self, "batch_sampler", cutter.bind(self.dataset))

    def _endless(self, start: int, count: int | None) -> Iterator[Job]:
        size = self.whole
        cutter = self.batch_sampler
        # batches that are cut otherwise are gone over from the first
        turn, place = divmod(0 if cutter else start * size, count_of(self.sampler, self.samples))

        def stream() -> Iterator[Row]:
            for number in itertools.count(turn):
                first = place if number == turn else 0
                for at, index in enumerate(self._order(number)[first:].tolist(), first):
                    yield Row(number, at, index)

        rows = stream()
        if cutter is not None:
            return self._jobs(cutter.cut(rows, size), start, None if count is None else start + count)
        batches = iter(lambda: list(itertools.islice(rows, size)), [])
        return self._jobs(batches, 0, count)


def open_loader(
    cfg: Mapping[str, Any],
    build: Callable[[str, Any], Any],
    seed: int,
    *,
    path: str = "dataloader",
    spread: Workers | None = None,
    told: Callable[[FkitError], FkitError] | None = None,
    rank: int = 0,
    world: int = 1,
    devices: int = 1,
) -> Loader:
    """The source that a dataloader config describes.

    Args:
        cfg: mmengine's keys: ``batch_size`` (a device; ``global_batch_size`` in its place fixes the product over the
            devices), ``dataset``, ``sampler`` (default: DefaultSampler, which ``shuffle`` may set), ``collate_fn``,
            ``drop_last``, ``num_batch_per_epoch``, ``num_workers``, ``prefetch_factor``; ``persistent_workers`` and
            ``pin_memory``, which change no batch; ``on_error``.
        build: ``(kind, cfg) -> part``: builds datasets, data_samplers and functions. What is built already is taken.
        seed: of the run.
        path: where ``cfg`` stands in the whole config, for messages.
        spread, told, rank, world, devices: as of `Loader`.

    Raises:
        FkitError: a key is unknown, of the wrong type, or excludes another; the dataset is empty.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> open_loader({"batch_size": 100, "dataset": Digits("test")}, lambda kind, cfg: cfg, seed=0).length
        4
    """
    check_loader(cfg, path)
    size = cfg.get("batch_size") or 1
    whole = cfg.get("global_batch_size")
    if whole is not None:
        size = whole // (world * devices)
        if whole % (world * devices):
            several = f"{world} processes" if devices == 1 else f"{world * devices} devices"
            raise FkitValueError(
                f"{path}.global_batch_size = {whole} has no equal parts for {several}.",
                path=f"{path}.global_batch_size",
            )
    dataset, sampler, cutter = (
        _part(cfg.get(name), kind, build)
        for name, kind in (("dataset", "datasets"), ("sampler", "data_samplers"), ("batch_sampler", "data_samplers"))
    )
    if cfg.get("batch_size") is None and whole is None:  # torch's way: the batch sampler says it
        size = getattr(cutter, "batch_size", None) or 1
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
        on_error=cfg.get("on_error") or "raise",
        batch_sampler=cutter,
        rank=rank,
        world=world,
        devices=devices,
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
