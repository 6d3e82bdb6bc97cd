"""What one batch is made of, and what makes it: a value that worker processes are sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from fkit.array.random import generator, key
from fkit.data.collate import collate as default_collate
from fkit.data.dataset import Dataset
from fkit.data.transform.transform import Compose, Sample, seeded
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError, like

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

    dataset: Dataset

    def __call__(self, index: int) -> Sample:
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(frozen=True)
class Maker:
    """Makes batches of jobs: a value that worker processes are sent.

    Args:
        dataset: what is read.
        seed: of the run; a sample's draws come from ``key(seed, "data", epoch, index)``.
        collate: samples -> Batch.
    """

    dataset: Dataset
    seed: int = 0
    collate: Callable[[list[Any]], Batch] = default_collate

    def __call__(self, job: Job) -> Batch:
        """The batch of a job.

        Raises:
            FkitError: a sample failed: names dataset, index and transform; of the class of the cause.
        """
        pipeline = pipeline_of(self.dataset)
        draws, fetch = pipeline is None or pipeline.random, Others(self.dataset)
        samples: list[Any] = []
        for epoch, index in zip(job.epochs, job.indices, strict=True):
            try:
                rng = generator(key(self.seed, "data", epoch, index)) if draws else None
                if pipeline is not None:
                    sample: Any = pipeline(self.dataset[index], rng, fetch)
                else:  # it may augment by itself, and has only the global generators to draw from
                    with seeded(_number(rng)):
                        sample = self.dataset[index]
            except Exception as cause:
                raise _failed(self.dataset, index, cause) from cause
            samples.append(sample)
        return self.collate(samples)


def pipeline_of(dataset: Dataset) -> Compose | None:
    """A dataset's pipeline where that is for the loader to run; None where its samples are ready as they come."""
    pipeline: Any = getattr(dataset, "pipeline", None)
    return pipeline if isinstance(pipeline, Compose) else None  # mmengine's datasets have one and run it themselves


def _number(rng: np.random.Generator | None) -> int:
    return 0 if rng is None else int(rng.integers(2**32))


def _failed(dataset: Dataset, index: int, cause: Exception) -> FkitError:
    text = str(cause) if isinstance(cause, FkitError) else f"{type(cause).__name__}: {cause}"
    kind = type(cause) if isinstance(cause, FkitError) else like(cause)
    return kind(f"{type(dataset).__name__}[{index}]: {text}")
