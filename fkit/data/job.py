"""What one batch is made of, and what makes it: a value that worker processes are sent."""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from frozendict import frozendict

from fkit.array.random import generator, key
from fkit.data.ambient import repeatable, reseed
from fkit.data.collate import Collate
from fkit.data.collate import collate as default_collate
from fkit.data.dataset.indexed import Indexed
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Fetch, Sample, of_others
from fkit.structures.batch import Batch
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, like, quoted
from fkit.tree.trace import blamed, users_names

__all__ = ["Job", "Maker", "Others", "Workers", "counted", "pipeline_of", "said_by"]

_SHOWN = 3  # broken samples that a warning names
_MOST = 1000  # other samples that are tried in the place of one: mmengine's max_refetch


class Job(NamedTuple):
    """One batch to make.

    Attributes:
        epochs: (N,) the pass over the dataset each sample belongs to (an endless source's batches run over bounds).
        places: (N,) where in its pass each stands: what its draws are keyed by.
        indices: (N,) which samples.
    """

    epochs: tuple[int, ...]
    places: tuple[int, ...]
    indices: tuple[int, ...]


class Workers(Protocol):
    """``make(job)`` for each job, in order, in ``workers`` processes; torch's room offers one."""

    def __call__(
        self, make: Callable[[Job], Batch], jobs: Iterator[Job], workers: int, ahead: int = 2
    ) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Others:
    """The dataset's other samples, raw, as a transform asks for them (`fkit.data.transform.transform.Fetch`)."""

    dataset: Indexed

    def __call__(self, index: int) -> Sample:
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(frozen=True)
class Maker:
    """Makes batches of jobs: a value that worker processes are sent.

    Args:
        dataset: what is read.
        seed: of the run; a sample's draws come from ``key(seed, "data", epoch, place)``, its place in the epoch, so that
            a sampler that repeats an index gives another augmentation each time. Where the dataset, a transform
            or ``collate`` is code of others, the global generators are seeded from it too, and put back.
        collate: samples -> Batch.
        skip: whether another sample takes the place of one that cannot be made; the batch's meta says so under
            ``skipped``.

    Where a pipeline drops a sample (gives None), an index that the key decides takes its place, up to the dataset's
    ``max_refetch`` (1000) times; a dataset in ``test_mode`` has none to spare.
    """

    dataset: Indexed
    seed: int = 0
    collate: Callable[[list[Any]], Batch] = default_collate
    skip: bool = False

    def __call__(self, job: Job) -> Batch:
        """The batch of a job.

        Raises:
            FkitError: a sample failed: names dataset, index and transform; of the class of the cause. So does a
                collate function that fails.
        """
        if self.of_others:
            return repeatable(partial(self._made, job, True))
        return self._made(job, False)

    @property
    def of_others(self) -> bool:
        """Whether any part is code of others, for which the global generators are seeded."""
        pipeline = pipeline_of(self.dataset)
        return of_others(self.dataset) or of_others(self.collate) or (pipeline is not None and pipeline.of_others)

    def _made(self, job: Job, foreign: bool) -> Batch:
        """The batch; the global generators are seeded for each sample where code of others may draw from them."""
        pipeline = pipeline_of(self.dataset)
        draws = pipeline is not None and pipeline.random
        make = partial(self._once, pipeline, Others(self.dataset), draws, foreign)
        samples: list[Any] = []
        skipped: dict[int, tuple[str, ...]] = {}
        for epoch, place, index in zip(*job, strict=True):
            try:
                sample = make(key(self.seed, "data", epoch, place) if draws or foreign else (0, 0), index)
            except Exception as cause:
                error = _failed(self._name(index), cause)
                if not self.skip:
                    raise error from cause
                error.__cause__ = cause
                sample = error
            if sample is None or isinstance(sample, FkitError):
                sample, skipped[len(samples)] = self._other(make, (epoch, place, index), sample)
            samples.append(sample)
        if foreign:
            reseed(key(self.seed, "collate", *job.epochs[:1], *job.places)[0])
        return _marked(self._joined(samples, job), skipped)

    def _once(
        self, pipeline: Compose | None, fetch: Fetch, draws: bool, foreign: bool, of: tuple[int, int], index: int
    ) -> Any:
        """What one index gives under a key; None where it is dropped."""
        if foreign:
            reseed(of[0])
        sample: Any = self.dataset[index]
        if pipeline is None or sample is None:
            return sample
        return pipeline(sample, generator(of) if draws else None, fetch)

    def _other(
        self, make: Callable[[tuple[int, int], int], Any], at: tuple[int, int, int], first: FkitError | None
    ) -> tuple[Any, tuple[str, ...]]:
        """The sample in the place of one that was dropped or is broken, and what the broken ones said."""
        dataset: Any = self.dataset
        epoch, place, index = at
        if first is None and True in said_by(dataset, "test_mode"):
            raise FkitValueError(
                f"{self._name(index)}: its pipeline drops the sample (gives None), and a dataset in test_mode has none to spare.",
                repair="Take the step that drops samples out of this pipeline, or set test_mode=False.",
            )
        most, errors, last = getattr(dataset, "max_refetch", _MOST), [] if first is None else [first], first
        for turn in range(1, most + 1):
            number = int(generator(key(self.seed, "refetch", epoch, place, turn)).integers(len(dataset)))
            try:
                sample = make(key(self.seed, "data", epoch, place, turn), number)
            except Exception as cause:
                last = _failed(self._name(number), cause)
                if not self.skip:
                    raise last from cause
                errors.append(last)
                continue
            if sample is not None:
                return sample, tuple(str(error) for error in errors)
        how = "it was dropped or is broken" if errors else "the dataset or a step of its pipeline gave None"
        raise FkitValueError(
            f"{self._name(index)}: {how}, and so {'were' if errors else 'did'} {most} others in its place"
            f"{'' if last is None else f'; the last that is broken: {last}'}.",
            repair="Look at what the pipeline drops, or let the dataset's max_refetch be greater.",
        ) from last

    def _joined(self, samples: list[Any], job: Job) -> Batch:
        if self.collate is not default_collate and not isinstance(self.collate, Collate):
            return self._collated(samples)
        try:
            return self.collate(samples)
        except FkitError as error:
            raise self._uncollated(samples, job, error) from error

    def _name(self, index: int) -> str:
        return f"{type(self.dataset).__name__}[{index}]"

    def _uncollated(self, samples: list[Any], job: Job, error: FkitError) -> FkitError:
        """The error of samples that make no batch, with the name of the first that makes none by itself."""
        for sample, index in zip(samples, job.indices, strict=True):
            try:
                self.collate([sample])
            except FkitError as cause:
                return _failed(self._name(index), cause)
        return error

    def _collated(self, samples: list[Any]) -> Batch:
        """The batch that a collate function of the user's makes, looked at."""
        name = getattr(self.collate, "__name__", None) or type(self.collate).__name__
        try:
            batch: Any = self.collate(samples)
        except Exception as cause:
            raise _failed(f"collate_fn {name}", cause, "collate_fn") from cause
        if not isinstance(batch, Batch):
            raise FkitTypeError(
                f"collate_fn {name} gave {quoted(batch)}, not a Batch.",
                path="collate_fn",
                repair="Return fkit.Batch(inputs, targets=..., meta=...).",
            )
        return batch


def _marked(batch: Batch, skipped: Mapping[int, tuple[str, ...]]) -> Batch:
    """The batch whose meta says, at the samples that took the place of broken ones, what these said."""
    if not any(skipped.values()):
        return batch
    metas = list(batch.meta) or [frozendict[str, Any]()] * len(batch)
    for at, words in skipped.items():
        if words:
            metas[at] = frozendict({**metas[at], "skipped": words})
    return replace(batch, meta=tuple(metas))


def counted(batches: Iterator[Batch], length: int, name: str) -> Generator[Batch]:
    """The batches; a warning, at the end of the first epoch that has some, says which samples were passed over.

    Args:
        length: batches of an epoch.
        name: of the dataset.
    """
    skipped: list[str] = []
    for number, batch in enumerate(batches, 1):
        for meta in batch.meta:
            skipped.extend(meta.get("skipped", ()))
        if number >= length and skipped:
            shown = "".join(f"\n  {line}" for line in skipped[:_SHOWN])
            more = f"\n  and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
            many = f"{len(skipped)} broken samples were" if len(skipped) > 1 else "1 broken sample was"
            warnings.warn(
                f"{name}: {many} skipped (on_error='skip'), and others took their places:{shown}{more}", stacklevel=2
            )
            yield batch
            yield from batches
            return
        yield batch


def said_by(dataset: Any, name: str) -> Iterator[Any]:
    """What a dataset, and those that it is made of, have under a name.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> list(said_by(Digits("test"), "split"))
        ['test']
    """
    expect(name, str, "`name` is a name")
    value = getattr(dataset, name, None)
    if value is not None:
        yield value
    parts: Any = getattr(dataset, "parts", ())
    for part in parts if isinstance(parts, tuple) else ():
        yield from said_by(part, name)


def pipeline_of(dataset: Indexed) -> Compose | None:
    """A dataset's pipeline where that is for the loader to run; None where its samples are ready as they come."""
    pipeline: Any = getattr(dataset, "pipeline", None)
    return pipeline if isinstance(pipeline, Compose) else None  # mmengine's datasets have one and run it themselves


def _failed(what: str, cause: Exception, path: str = "") -> FkitError:
    known = isinstance(cause, FkitError)
    text = str(cause) if known else f"{type(cause).__name__}: {cause}"
    kind = type(cause) if known else like(cause)
    error = kind(blamed(f"{what}: {text}", cause), path=path or (cause.path if known else ""))
    error.parts = (*((cause.value,) if known and cause.value else ()), *users_names(cause))
    return error
