"""What one batch is made of, and what makes it: a value that worker processes are sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

from fkit.array.random import generator, key
from fkit.data.ambient import repeatable, reseed
from fkit.data.collate import collate as default_collate
from fkit.data.dataset.indexed import Indexed
from fkit.data.transform.transform import Compose, Sample, of_others
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError, FkitTypeError, like, quoted
from fkit.tree.trace import blamed, users_names

__all__ = ["Job", "Maker", "Others", "Workers", "pipeline_of"]


class Job(NamedTuple):
    """One batch to make.

    Attributes:
        epochs: (N,) the pass over the dataset each sample belongs to (an endless source's batches run over bounds).
        indices: (N,) which samples.
    """

    epochs: tuple[int, ...]
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
        seed: of the run; a sample's draws come from ``key(seed, "data", epoch, index)``. Where the dataset, a transform
            or ``collate`` is code of others, the global generators are seeded from it too, and put back.
        collate: samples -> Batch.
    """

    dataset: Indexed
    seed: int = 0
    collate: Callable[[list[Any]], Batch] = default_collate

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
        draws, fetch = pipeline is not None and pipeline.random, Others(self.dataset)
        samples: list[Any] = []
        for epoch, index in zip(job.epochs, job.indices, strict=True):
            try:
                of = key(self.seed, "data", epoch, index) if draws or foreign else (0, 0)
                if foreign:
                    reseed(of[0])
                sample = self.dataset[index]
                if pipeline is not None:
                    sample = pipeline(sample, generator(of) if draws else None, fetch)
            except Exception as cause:
                raise _failed(self._name(index), cause) from cause
            samples.append(sample)
        if foreign:
            reseed(key(self.seed, "collate", *job.epochs[:1], *job.indices)[0])
        if self.collate is not default_collate:
            return self._collated(samples)
        try:
            return default_collate(samples)
        except FkitError as error:
            raise self._uncollated(samples, job, error) from error

    def _name(self, index: int) -> str:
        return f"{type(self.dataset).__name__}[{index}]"

    def _uncollated(self, samples: list[Any], job: Job, error: FkitError) -> FkitError:
        """The error of samples that make no batch, with the name of the first that makes none by itself."""
        for sample, index in zip(samples, job.indices, strict=True):
            try:
                default_collate([sample])
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
