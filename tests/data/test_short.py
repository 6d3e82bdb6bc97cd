"""What gives fewer or other samples than it says is an error, never a silent step into the next epoch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from fkit.data.loader import Loader
from fkit.data.sampler import DefaultSampler
from fkit.data.source import Source, epoch_of
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError

BATCH = Batch(np.zeros((2, 1)))


@dataclass(frozen=True)
class Numbers:
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return np.float32([index]), index


@dataclass(frozen=True)
class Says(Source):
    """A user's source that says one length and gives another."""

    said: int | None
    gives: int
    item: Any = None

    @property
    def length(self) -> int | None:
        return self.said

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter([self.item or BATCH] * (self.gives - start))


@pytest.mark.parametrize(
    ("source", "start", "said"),
    [
        (Says(3, 2), 0, "Says: epoch 4 ended after 2 of 3 batches"),
        (Says(3, 2), 1, "Says: epoch 4 ended after 2 of 3 batches"),
        (Says(3, 0), 0, "Says: epoch 4 ended after 0 of 3 batches"),
        (Says(3, 4), 0, "Says: epoch 4 gave more than the 3 batches that its length says"),
        (Says(None, 2), 0, "Says: its length is None, which is endless, but it ended after 2 batches"),
        (Says(3, 3, {"inputs": 0}), 0, "Says: batch 0 of epoch 4 is {'inputs': 0}, not a Batch"),
    ],
)
def test_a_source_gives_what_it_says(source: Source, start: int, said: str):
    for read in (epoch_of, type(source).stream):
        with pytest.raises(FkitError, match=said):
            for _ in zip(range(9), read(source, 4, start)):  # noqa: B905  a stream has no end
                pass


def test_a_source_that_keeps_its_word_passes():
    assert len(list(epoch_of(Says(3, 3), 0))) == 3 and list(epoch_of(Says(3, 3), 0, 3)) == []
    assert [len(one) for _, one in zip(range(7), Says(3, 3).stream(0, 2))] == [2] * 7  # noqa: B905


def test_leaving_an_epoch_lets_its_workers_go():
    closed: list[bool] = []

    class Open(Says):
        def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
            try:
                yield from super().batches(epoch, start)
            finally:
                closed.append(True)

    batches = epoch_of(Open(3, 3), 0)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert closed == [True]


@dataclass(frozen=True)
class Order:
    """A user's sampler."""

    of: Callable[[int], Any]
    said: Any = 6
    endless: bool = False

    def count(self, length: int) -> Any:
        return self.said

    def indices(self, epoch: int, length: int, seed: int) -> Any:
        return self.of(epoch)


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize(
    ("order", "said"),
    [
        (lambda epoch: range(6 - epoch), "Order.indices gave 5 samples for epoch 1, and its count says 6"),
        (lambda epoch: range(6 + epoch), "Order.indices gave 7 samples for epoch 1, and its count says 6"),
        (lambda epoch: [5, 4, 3, 2, 1, 0 - epoch], "Order.indices gave the sample -1 for epoch 1, of a dataset of 6"),
        (lambda epoch: [5, 4, 3, 2, 1, epoch * 6], "Order.indices gave the sample 6 for epoch 1, of a dataset of 6"),
        (lambda epoch: np.arange(6) / (epoch + 1), "expected whole numbers in a row"),
        (lambda epoch: iter(range(6)), "expected whole numbers in a row"),
    ],
)
def test_a_sampler_gives_what_it_says(order: Any, said: str, endless: bool):
    source = Loader(Numbers(6), 4, Order(order, endless=endless))
    with pytest.raises(FkitError, match=said):
        for _ in zip(range(9), source.stream(0)):  # noqa: B905  a stream has no end
            pass


@pytest.mark.parametrize(("said", "text"), [(0, "at least one sample"), (2.5, "not a whole number"), (None, "None")])
def test_a_samplers_count_is_checked_at_once(said: Any, text: str):
    for endless in (False, True):
        with pytest.raises(FkitError, match=text):
            Loader(Numbers(6), 4, Order(range, said, endless))


def test_a_dataset_that_ends_early_is_named():
    class Short(Numbers):
        def __getitem__(self, index: int) -> Any:
            return [np.float32([n]) for n in range(4)][index], index

    with pytest.raises(IndexError, match=r"Short\[4\]: IndexError") as caught:
        list(Loader(Short(6), 2, DefaultSampler(shuffle=False)).batches(0))
    assert isinstance(caught.value, FkitError)


def test_a_dataset_whose_length_changes_is_named():
    class Shrinking(Numbers):
        def __len__(self) -> int:
            return lengths[0]

    lengths = [6]
    source = Loader(Shrinking(0), 2)
    stream = source.stream(0)
    assert [len(next(stream)) for _ in range(3)] == [2, 2, 2]
    lengths[0] = 4
    with pytest.raises(FkitError, match="the dataset Shrinking had 6 samples, and has 4 in epoch 1"):
        next(stream)


def joined(samples: list[Any]) -> Any:
    raise StopIteration  # ended the epoch in silence


@pytest.mark.parametrize(
    ("collate", "said"), [(joined, "collate_fn joined: StopIteration"), (len, "collate_fn len gave 3, not a Batch")]
)
def test_a_collate_function_that_fails_is_named(collate: Any, said: str):
    with pytest.raises(FkitError, match=said):
        list(Loader(Numbers(6), 3, collate=collate).batches(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": 3}, "3 is no dataset: it has no __len__"),
        ({"sampler": 3}, "3 is no sampler: it has no count"),
        ({"batch_size": "2"}, "Loader: batch_size = '2' is text, not a whole number"),
        ({"batch_size": 0}, "batch_size = 0: at least 1"),
        ({"ahead": 0}, "prefetch_factor = 0: at least 1"),
        ({"limit": 0}, "num_batch_per_epoch = 0: at least 1"),
        ({"seed": 0.5}, "seed = 0.5 is not a whole number"),
        ({"collate": 3}, "a collate_fn is a function of samples"),
    ],
)
def test_wrong_arguments_are_said(changes: dict[str, Any], said: str):
    with pytest.raises(FkitError, match=said):
        replace(Loader(Numbers(6)), **changes)


@pytest.mark.parametrize("batches", [3, [3], [BATCH, None]])
def test_a_source_of_no_batches_is_said(batches: Any):
    with pytest.raises(FkitError, match=r"batches|Batch"):
        Source.of(batches)
