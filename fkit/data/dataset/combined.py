"""MMPose's CombinedDataset: several pose data sets as one, each brought to the same keypoints by its own pipeline."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, cast

import numpy as np

from fkit.data.dataset.indexed import PIPELINE, Indexed, Pipeline
from fkit.data.dataset.keypoints import pose_metainfo
from fkit.data.dataset.route import Others, inner_sample
from fkit.data.dataset.wrapper import Several, Wrapper, parts_of
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Fetch, Holder, Sample
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["CombinedDataset", "Gathered"]

_SAID = ("upper_body_ids", "lower_body_ids", "flip_pairs", "dataset_keypoint_weights", "flip_indices")


@dataclass(frozen=True)
class Gathered(Holder):
    """The first step of a combined dataset's pipeline: the part's own pipeline, and the combined keypoints' metainfo.

    Args:
        datasets: the parts.
        lengths: how many samples are taken of each; where it has another number, a sample stands for a stretch of the
            part, of which one is drawn each time.
        metainfo: of the combined keypoints.
    """

    datasets: Sequence[Indexed]
    lengths: Sequence[int]
    metainfo: Mapping[str, Any]

    def __post_init__(self) -> None:
        expect(self.datasets, (list, tuple), "Gathered: datasets is a list of datasets")
        expect(self.lengths, (list, tuple), "Gathered: lengths is a list of numbers")
        expect(self.metainfo, Mapping, "Gathered: metainfo is a mapping")

    @property
    def parts(self) -> tuple[Compose, ...]:
        pipelines: list[Any] = [getattr(dataset, "pipeline", None) for dataset in self.datasets]
        return tuple(one if isinstance(one, Compose) else Compose() for one in pipelines)

    @property
    def random(self) -> bool:
        return super().random or any(
            len(part) != count for part, count in zip(self.datasets, self.lengths, strict=True)
        )

    def place(self, part: int, slot: int, chance: float = 0.5) -> int:
        """The place in a part that slot ``slot`` of those taken of it stands for, by a number from 0 to 1."""
        count, length = len(self.datasets[part]), self.lengths[part]
        if count == length:
            return slot
        stretch = (count - 1e-4) / length
        return round(stretch * slot + chance * stretch - 0.5)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        part, raw, chance = self._raw(sample, 0.5 if rng is None else float(rng.random()))
        return chance, self.parts[part].draw(raw, rng, Others(self.datasets[part]))

    def apply(self, sample: Sample, params: Any) -> Any:
        chance, drawn = params
        part, raw, _ = self._raw(sample, chance)
        return self._told(self.parts[part].apply(raw, drawn))

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        part, raw, _ = self._raw(sample, 0.5 if rng is None else float(rng.random()))
        return self._told(self.parts[part](raw, rng, Others(self.datasets[part])))

    def _raw(self, sample: Sample, chance: float) -> tuple[int, Sample, float]:
        """The part of a sample, and that part's own raw sample."""
        part, inner = inner_sample(sample)
        slot = sample["dataset_slot"]
        place = self.place(part, slot, chance)
        if place == self.place(part, slot):
            return part, inner, chance
        dataset = self.datasets[part]
        return part, frozen({**dataset[place], "sample_idx": sample["sample_idx"]}), chance

    def _told(self, sample: Any) -> Any:
        if sample is None:
            return None
        said = {key: self.metainfo[key] for key in _SAID}
        return frozen({**sample, **{key: list(row) if isinstance(row, tuple) else row for key, row in said.items()}})


@dataclass(frozen=True)
class CombinedDataset(Wrapper):
    """Several datasets as one: a sample goes through its part's pipeline (KeypointConverter, say), then through this one's.

    Args:
        metainfo: of the combined keypoints; see `fkit.data.dataset.keypoints.pose_metainfo`.
        datasets: the parts.
        pipeline: transforms for all.
        sample_ratio_factor: for each part, how many times its number of samples is taken; which ones is drawn anew each
            time.
        test_mode, lazy_init, max_refetch: as of `fkit.data.dataset.base.BaseDataset`.
    """

    metainfo: Mapping[str, Any]
    datasets: Several
    pipeline: Pipeline = PIPELINE
    sample_ratio_factor: Sequence[float] | None = None
    test_mode: bool = False
    lazy_init: bool = False
    max_refetch: int = 1000

    def __post_init__(self) -> None:
        put, factors = vars(self), self.sample_ratio_factor
        put["datasets"] = parts_of(self.datasets, "CombinedDataset")
        put["metainfo"] = pose_metainfo(self.metainfo)
        expect_number(self.max_refetch, "CombinedDataset: max_refetch", whole=True)
        for word in ("test_mode", "lazy_init"):
            expect(getattr(self, word), bool, f"CombinedDataset: {word} is True or False")
        if factors is not None:
            expect(factors, (list, tuple), "CombinedDataset: sample_ratio_factor is a list of numbers")
            for factor in factors:
                expect_number(factor, "CombinedDataset: sample_ratio_factor")
                if factor < 0:
                    raise FkitValueError(f"CombinedDataset: sample_ratio_factor = {factor}: at least 0.")
            if len(factors) != len(self.datasets):
                raise FkitValueError(
                    f"CombinedDataset: {len(factors)} numbers in sample_ratio_factor for {len(self.datasets)} datasets."
                )
            put["sample_ratio_factor"] = tuple(factors)
        steps = cast(Compose, self.pipeline).steps
        later = steps[1:] if steps and isinstance(steps[0], Gathered) else steps
        put["pipeline"] = Compose([self.gathered, *later])

    @property
    def parts(self) -> tuple[Indexed, ...]:
        return cast("tuple[Indexed, ...]", self.datasets)

    @cached_property
    def lens(self) -> tuple[int, ...]:
        """How many samples are taken of each part."""
        factors = self.sample_ratio_factor or (1,) * len(self.parts)
        return tuple(round(len(part) * factor) for part, factor in zip(self.parts, factors, strict=True))

    @property
    def gathered(self) -> Gathered:
        """The first step of the pipeline."""
        return Gathered(self.parts, self.lens, self.metainfo)

    def locate(self, index: int) -> tuple[int, int]:
        part, slot = self._slot(index)
        return part, self.gathered.place(part, slot)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of sample ``idx``; of a part of which more or fewer are taken, the middle one of its stretch."""
        record = super().get_data_info(idx)
        return {**record, "dataset_slot": self._slot(record["sample_idx"])[1]}

    def __len__(self) -> int:
        return sum(self.lens)

    def _slot(self, index: int) -> tuple[int, int]:
        expect_number(index, "index", whole=True)
        ends = tuple(accumulate(self.lens))
        part = bisect_right(ends, index)
        return part, index - (ends[part - 1] if part else 0)
