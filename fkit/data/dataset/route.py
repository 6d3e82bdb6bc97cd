"""The pipeline of a dataset made of datasets: each sample goes through the pipeline of the one it is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.dataset.indexed import Indexed
from fkit.data.dataset.own import check_dataset
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Fetch, Holder, Sample, replaced
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["Others", "Routed", "inner_sample"]


class Others(Fetch):
    """The raw samples of one part: what its pipeline mixes in is of the same part."""

    def __init__(self, dataset: Indexed) -> None:
        check_dataset(dataset)
        self.dataset = dataset

    def __call__(self, index: int) -> Sample:
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(frozen=True)
class Routed(Holder):
    """Sends a sample through the pipeline of the part that ``dataset_source`` names first.

    Args:
        datasets: the parts; of one without a pipeline samples are ready as they come.
    """

    datasets: Sequence[Indexed]

    def __post_init__(self) -> None:
        expect(self.datasets, (list, tuple), "Routed: datasets is a list of datasets")
        if not self.datasets:
            raise FkitValueError("Routed: datasets is empty.")
        object.__setattr__(self, "datasets", tuple(self.datasets))

    @staticmethod
    def of(datasets: Sequence[Indexed]) -> Compose:
        """The pipeline of several datasets together: theirs where they have the same.

        Example:
            >>> from fkit.data.dataset.digits import Digits
            >>> Routed.of([Digits("train"), Digits("test")]).steps
            ()
        """
        routed = Routed(datasets)
        nested = any(isinstance(step, Routed) for part in routed.parts for step in part.parts)
        if not nested and all(part == routed.parts[0] for part in routed.parts):
            return routed.parts[0]
        return Compose([routed])

    @property
    def parts(self) -> tuple[Compose, ...]:
        pipelines: list[Any] = [getattr(dataset, "pipeline", None) for dataset in self.datasets]
        return tuple(one if isinstance(one, Compose) else Compose() for one in pipelines)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        place, inner = inner_sample(sample)
        return self.parts[place].draw(inner, rng, Others(self.datasets[place]))

    def apply(self, sample: Sample, params: Any) -> Sample:
        place, inner = inner_sample(sample)
        return self.parts[place].apply(inner, params)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Sample:
        place, inner = inner_sample(sample)
        return self.parts[place](inner, rng, Others(self.datasets[place]))


def inner_sample(sample: Sample) -> tuple[int, Sample]:
    """Which part a sample is of, and the sample as that part gives it."""
    expect(sample, Mapping, "`sample` is a mapping")
    source = sample.get("dataset_source")
    if not isinstance(source, tuple) or not source:
        raise FkitKeyError("the sample does not say of which dataset it is: it is of no dataset of datasets.")
    return source[0], replaced(sample, dataset_source=source[1:])
