"""Draws by the place in the epoch; what takes the place of a sample that is dropped or broken."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from fkit.array.room import open as open_room
from fkit.data.dataset import ConcatDataset, Digits
from fkit.data.loader import Loader, open_loader
from fkit.data.sampler import DefaultSampler
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.photometry import ToUnit
from fkit.data.transform.transform import Transform
from fkit.data.transform.turn import ShiftScaleRotate
from fkit.tree.error import FkitError, FkitOSError

SPREAD = open_room("torch").workers
AUGMENTED = Digits("test", [ToUnit(), ShiftScaleRotate(0.1, 0.1, 10), PackInputs()])


@dataclass(frozen=True)
class Again:
    """The same sample, again and again."""

    index: int = 3
    endless: bool = False

    def count(self, length: int) -> int:
        return 6

    def indices(self, epoch: int, length: int, seed: int) -> Any:
        return np.full(6, self.index)


@dataclass(frozen=True)
class Holes:
    """Samples that hold their own number; every third is dropped, every seventh is broken."""

    count: int = 20
    drops: int = 3
    breaks: int = 0
    test_mode: bool = False
    max_refetch: int = 1000

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if self.breaks and index % self.breaks == 0:
            raise FkitOSError(f"the image {index}.png is cut short.")
        if self.drops and index % self.drops == 0:
            return None
        return {"inputs": np.float32([index]), "meta": {"sample_idx": index}}


def numbers(loader: Loader, epoch: int = 0, start: int = 0) -> list[int]:
    return [int(number) for batch in loader.batches(epoch, start) for number in batch.inputs.ravel()]


def test_a_repeated_index_is_augmented_anew():
    batch = next(Loader(AUGMENTED, 6, Again()).batches(0))
    assert all(not np.array_equal(batch.inputs[0], other) for other in batch.inputs[1:])
    assert len({meta["sample_idx"] for meta in batch.meta}) == 1


def test_a_place_decides_the_draws_whatever_stands_there():
    """Another order changes which samples there are, not what is drawn at a place."""
    one = next(Loader(AUGMENTED, 6, Again(3)).batches(0))
    whole = Loader(AUGMENTED, 6, DefaultSampler(shuffle=False))
    assert np.array_equal(one.inputs[3], next(whole.batches(0)).inputs[3])
    assert np.array_equal(Loader(AUGMENTED, 2, Again(3)).batch(0, 1).inputs, one.inputs[2:4])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_another_takes_the_place_of_a_dropped_one(workers: int):
    loader = Loader(Holes(), 4, DefaultSampler(shuffle=False), seed=1)
    plain = numbers(loader)
    assert len(plain) == 20 and all(number % 3 for number in plain)
    assert all(number == place for place, number in enumerate(plain) if place % 3)
    assert plain != numbers(loader, 1) and plain != numbers(replace(loader, seed=2))
    again = replace(loader, workers=workers, spread=SPREAD)
    assert numbers(again) == plain and numbers(again, 0, 2) == plain[8:]


def test_none_is_left_after_so_many_tries():
    with pytest.raises(
        FkitError,
        match=r"Holes\[0\]: the dataset or a step of its pipeline gave None, and so did 5 others in its place\.",
    ):
        numbers(Loader(Holes(drops=1, max_refetch=5), 4, DefaultSampler(shuffle=False)))


def test_a_test_drops_none():
    with pytest.raises(FkitError, match=r"Holes\[0\]: its pipeline drops the sample .* test_mode has none to spare"):
        numbers(Loader(Holes(test_mode=True), 4, DefaultSampler(shuffle=False)))


def test_a_broken_sample_ends_the_epoch_unless_it_is_said_to_be_skipped():
    loader = Loader(Holes(drops=0, breaks=7), 4, DefaultSampler(shuffle=False), seed=1)
    with pytest.raises(OSError, match=r"Holes\[0\]: the image 0.png is cut short"):
        numbers(loader)
    for workers in (0, 2):
        skipping = replace(loader, on_error="skip", workers=workers, spread=SPREAD)
        with pytest.warns(UserWarning, match=r"Holes: \d+ broken samples were skipped[^\n]*\n.*0\.png") as told:
            kept = [
                int(number)
                for batch, _ in zip(skipping.stream(0), range(15), strict=False)
                for number in batch.inputs.ravel()
            ]
        assert len(told) == 1, "once, though the stream has three epochs"
        assert all(number % 7 for number in kept)
        assert kept[1:7] == [1, 2, 3, 4, 5, 6]
    batch = next(skipping.batches(0))
    assert batch.meta[0]["skipped"][0].startswith("Holes[0]: the image 0.png") and "skipped" not in batch.meta[1]


def test_a_dataset_may_say_so_too():
    @dataclass(frozen=True)
    class Patient(Holes):
        on_error: str = "skip"

    with pytest.warns(UserWarning, match="skipped"):
        assert 0 not in numbers(Loader(Patient(drops=0, breaks=7), 5))
    with pytest.warns(UserWarning, match="ConcatDataset: .*skipped"):
        numbers(Loader(ConcatDataset([Holes(drops=0), Patient(drops=0, breaks=7)]), 5))


def test_where_all_are_broken_the_last_is_told():
    with (
        pytest.raises(
            FkitError, match=r"so were 4 others in its place; the last that is broken: Holes\[\d+\]: the image"
        ),
        warnings.catch_warnings(),
    ):
        numbers(Loader(Holes(breaks=1, max_refetch=4), 5, on_error="skip"))


def test_the_key_of_a_dataloader():
    cfg = {"batch_size": 5, "shuffle": False, "dataset": Holes(drops=0, breaks=7), "on_error": "skip"}
    with pytest.warns(UserWarning, match="skipped"):
        numbers(open_loader(cfg, lambda kind, part: part, 0))
    with pytest.raises(FkitError, match="Allowed: raise, skip"):
        open_loader({**cfg, "on_error": "ignore"}, lambda kind, part: part, 0)
    with pytest.raises(FkitError, match=r"on_error = 'ignore' is unknown"):
        Loader(Holes(), on_error="ignore")


@dataclass(frozen=True)
class OddOnly(Transform):
    """Drops samples of an even class, as OpenMMLab's filters do."""

    def apply(self, sample: Any, params: Any) -> Any:
        return sample if sample["gt_label"] % 2 else None


def test_a_step_of_the_pipeline_drops_a_sample():
    digits = Digits("test", [ToUnit(), ShiftScaleRotate(0.1, 0.1, 10), OddOnly(), PackInputs()])
    loader = Loader(digits, 40, DefaultSampler(shuffle=False), seed=1)
    kept = Loader(AUGMENTED, 40, DefaultSampler(shuffle=False), seed=1)
    for one, two, again in zip(loader.batches(0), kept.batches(0), loader.batches(0), strict=True):
        odd = two.targets["gt_label"] % 2 == 1
        assert (one.targets["gt_label"] % 2 == 1).all() and 0 < odd.sum() < len(odd)
        assert np.array_equal(one.inputs[odd], two.inputs[odd]), "the others are what they were"
        assert np.array_equal(one.inputs, again.inputs)
