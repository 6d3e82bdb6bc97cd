"""Sources: batch k of epoch e is a function of (seed, e, k)."""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.array.room import open as open_room
from fkit.data.dataset import Digits
from fkit.data.job import Maker
from fkit.data.loader import Loader, open_loader
from fkit.data.sampler import DefaultSampler, InfiniteSampler
from fkit.data.source import Source
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.photometry import ToUnit
from fkit.data.transform.transform import Transform, replaced
from fkit.data.transform.turn import ShiftScaleRotate
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError

AUGMENTED = Digits("test", [ToUnit(), ShiftScaleRotate(0.1, 0.1, 10), PackInputs()])
TORCH = open_room("torch")
SOURCE = Loader(AUGMENTED, batch_size=70, seed=3)


@dataclass(frozen=True)
class Numbers:
    """``count`` samples that hold their own number."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return {"inputs": np.float32([index]), "meta": {"sample_idx": index}}


def equal(a: Batch, b: Batch) -> bool:
    return (
        np.array_equal(a.inputs, b.inputs)
        and a.targets.keys() == b.targets.keys()
        and all(np.array_equal(a.targets[name], b.targets[name]) for name in a.targets)
        and a.meta == b.meta
    )


def numbers(source: Source, epoch: int, start: int = 0) -> list[list[int]]:
    return [batch.inputs.ravel().astype(int).tolist() for batch in source.batches(epoch, start)]


def in_threads(make: Callable[[Any], Batch], jobs: Iterator[Any], workers: int, ahead: int = 2) -> Iterator[Batch]:
    """Workers of another kind than torch's: what the loader asks of them is this call alone."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(make, jobs)


@pytest.mark.parametrize("start", range(7))
def test_starting_late_gives_the_rest_to_the_bit(start: int):
    whole, rest = list(SOURCE.batches(2)), list(SOURCE.batches(2, start))
    assert SOURCE.length == 6 == len(whole) and len(rest) == max(6 - start, 0)
    assert all(equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_one_batch_is_that_of_the_epoch():
    assert equal(SOURCE.batch(1, 4), list(SOURCE.batches(1))[4])
    with pytest.raises(IndexError, match="batch 6 of an epoch of 6 batches"):
        SOURCE.batch(1, 6)


def test_seed_and_epoch_change_the_draws():
    first = next(SOURCE.batches(0))
    assert not equal(first, next(SOURCE.batches(1)))
    assert not equal(first, next(replace(SOURCE, seed=4).batches(0)))
    unshuffled = replace(SOURCE, sampler=DefaultSampler(shuffle=False))
    a, b = next(unshuffled.batches(0)), next(unshuffled.batches(1))
    assert (a.targets["gt_label"] == b.targets["gt_label"]).all() and not np.array_equal(a.inputs, b.inputs)


def test_a_sample_does_not_hang_on_its_batch():
    """The same epoch cut into other batches holds the same samples."""
    cut = [np.concatenate([b.inputs for b in replace(SOURCE, batch_size=n).batches(5)]) for n in (1, 7, 360)]
    assert np.array_equal(cut[0], cut[1]) and np.array_equal(cut[0], cut[2])


@pytest.mark.parametrize("source", [SOURCE, Source.of(list(SOURCE.batches(0)))], ids=["loader", "values"])
@pytest.mark.parametrize(("epoch", "start"), [(0, 0), (1, 4), (3, 6)])
def test_a_stream_is_the_epochs_in_a_row(source: Source, epoch: int, start: int):
    want = [*source.batches(epoch, start), *source.batches(epoch + 1), *source.batches(epoch + 2)]
    assert all(equal(a, b) for a, b in zip(want, source.stream(epoch, start)))  # noqa: B905  one has no end


def test_a_stream_of_an_endless_source_is_its_batches():
    source = Loader(Numbers(5), 3, InfiniteSampler())
    assert all(equal(a, b) for _, a, b in zip(range(9), source.batches(0, 2), source.stream(0, 2)))  # noqa: B905


def test_worker_processes_change_nothing():
    """torch's room, opened by name; over an epoch's bound, where the processes live on."""
    reg = fkit.registry()
    cfg = {
        "batch_size": 100,
        "shuffle": True,
        "dataset": {
            "type": "Digits",
            "split": "test",
            "pipeline": [{"type": "ShiftScaleRotate", "rotate_limit": 10}, {"type": "PackInputs"}],
        },
    }
    here = open_loader(cfg, reg.build, 1)
    there = open_loader({**cfg, "num_workers": 2}, reg.build, 1, spread=TORCH.workers).stream(0, 2)
    want = [*here.batches(0, 2), *here.batches(1)]
    assert all(equal(a, b) for a, b in zip(want, there))  # noqa: B905  one has no end
    there.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers: int):
    spread = replace(SOURCE, workers=workers, spread=in_threads)
    assert all(equal(a, b) for a, b in zip(SOURCE.batches(1, 2), spread.batches(1, 2), strict=True))


def test_the_maker_travels():
    job = next(SOURCE.jobs(1, 2))
    make = pickle.loads(pickle.dumps(SOURCE.make))
    assert isinstance(make, Maker) and equal(make(job), SOURCE.batch(1, 2))


@settings(deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 12), start=st.integers(0, 50), drop=st.booleans())
def test_epochs_are_cut_without_loss(count: int, size: int, start: int, drop: bool):
    if drop and size > count:
        with pytest.raises(FkitError, match="gives no full batch"):
            Loader(Numbers(count), size, drop_last=drop)
        return
    source = Loader(Numbers(count), size, drop_last=drop)
    found = numbers(source, 3)
    kept = count // size * size if drop else count
    assert len(found) == source.length
    assert [n for batch in found for n in batch] == source.sampler.indices(3, count, 0).tolist()[:kept]
    assert all(len(batch) == size for batch in found[: count // size])
    assert numbers(source, 3, start) == found[start:]


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 20), size=st.integers(1, 30), start=st.integers(0, 40))
def test_an_endless_source_goes_on_over_the_bounds(count: int, size: int, start: int):
    source = Loader(Numbers(count), size, InfiniteSampler(), seed=1)
    assert source.length is None
    whole = source.batches(0)
    taken = [next(whole) for _ in range(start + 3)]
    rest = source.batches(0, start)
    assert all(equal(a, next(rest)) for a in taken[start:])
    stream = [n for batch in taken for n in batch.inputs.ravel().astype(int).tolist()]
    assert len(stream) == size * (start + 3)
    for turn in range(len(stream) // count):
        assert stream[turn * count : (turn + 1) * count] == InfiniteSampler().indices(turn, count, 1).tolist()


def test_an_endless_source_has_one_epoch():
    with pytest.raises(FkitError, match="epoch 1 of an endless source"):
        Loader(Numbers(3), 2, InfiniteSampler()).batches(1)


def test_a_source_of_values_gives_them():
    batches = [Batch(np.full((2, 1), n)) for n in range(3)]
    source = fkit.Source.of(batches)
    assert source.length == 3 and list(source.batches(9, 1)) == batches[1:]
    with pytest.raises(FkitError, match="a source of no batches"):
        Source.of([])


@dataclass(frozen=True)
class Mixed(Transform):
    """Adds the next sample's image: what mosaic and mix-up need of ``fetch``."""

    def apply(self, sample: Any, params: Any) -> Any:
        return replaced(sample, img=sample["img"] + params)

    def draw(self, sample: Any, rng: Any, fetch: Any) -> Any:
        return fetch((sample["sample_idx"] + 1) % len(fetch))["img"]


def test_fetch_gives_other_raw_samples():
    source = Loader(Digits("test", [Mixed(), PackInputs()]), 4, DefaultSampler(shuffle=False))
    raw = Digits("test")
    assert (source.batch(0, 0).inputs[1, 0] == (raw[1]["img"] + raw[2]["img"])[..., 0]).all()


@dataclass(frozen=True)
class Broken(Numbers):
    def __getitem__(self, index: int) -> Any:
        if index == 2:
            raise OSError("disk gone")
        return super().__getitem__(index)


def test_a_sample_that_fails_is_named():
    source = Loader(Broken(4), 3, DefaultSampler(shuffle=False))
    with pytest.raises(
        OSError, match=r"^Broken\[2\]: OSError: disk gone \(\S*test_source.py:\d+, in Broken.__getitem__\)$"
    ) as caught:
        list(source.batches(0))
    assert isinstance(caught.value, FkitError) and isinstance(caught.value.__cause__, OSError)


def test_a_transform_that_fails_is_named():
    source = Loader(Digits("test", [PackInputs(algorithm_keys=["box"])]), 3, DefaultSampler(shuffle=False))
    with pytest.raises(FkitError, match=r"^\"?Digits\[0\]: pipeline\[0\], PackInputs: the sample has no 'box'"):
        next(source.batches(0))


def test_failures_travel_from_workers_whole():
    with pytest.raises(FkitError) as caught:
        list(Loader(Broken(4), 3, DefaultSampler(shuffle=False)).batches(0))
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) and str(again) == str(caught.value)


def configured(**changes: Any) -> Loader:
    reg = fkit.registry()
    cfg = {
        "batch_size": 100,
        "dataset": {"type": "Digits", "split": "test", "pipeline": [{"type": "PackInputs"}]},
        **changes,
    }
    return open_loader(cfg, reg.build, 7, path="train_dataloader")


def test_a_config_opens():
    source = configured(sampler={"type": "DefaultSampler", "shuffle": True}, drop_last=True, persistent_workers=False)
    assert source.length == 3 and source.seed == 7 and source.sampler == DefaultSampler(shuffle=True)
    assert configured().sampler == DefaultSampler(shuffle=False)
    assert configured(shuffle=True).sampler == DefaultSampler(shuffle=True)
    assert configured(num_batch_per_epoch=2).length == 2 == len(list(configured(num_batch_per_epoch=2).batches(0)))
    assert configured(collate_fn={"type": "default_collate"}).length == 4
    assert configured(batch_size=None, global_batch_size=50).length == 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batchsize": 3}, "train_dataloader.batchsize is unknown.\n  Did you mean 'batch_size'?"),
        ({"batch_size": "3"}, "train_dataloader.batch_size = '3' is text, not a whole number of at least 1"),
        ({"batch_size": True}, "train_dataloader.batch_size = True is not a whole number of at least 1"),
        ({"batch_size": 0}, "train_dataloader.batch_size = 0 is not a whole number of at least 1"),
        ({"num_workers": -1}, "train_dataloader.num_workers = -1 is not a whole number of at least 0"),
        ({"dataset": None}, "train_dataloader.dataset is missing"),
        ({"num_workers": 2}, "num_workers = 2, and nothing that starts worker processes.\n  Give spread="),
        ({"global_batch_size": 8}, "batch_size and global_batch_size exclude each other"),
        ({"sampler": {"type": "DefaultSampler"}, "shuffle": True}, "sampler and shuffle exclude each other"),
        (
            {"batch_sampler": {"type": "AspectRatioBatchSampler"}, "drop_last": True},
            "batch_sampler and drop_last exclude",
        ),
        ({"dataset": Numbers(0)}, "the dataset Numbers is empty"),
        ({"batch_size": 361, "drop_last": True}, "gives no full batch of 361"),
    ],
)
def test_a_bad_config_is_named(changes: dict[str, Any], said: str):
    with pytest.raises(FkitError, match=said):
        configured(**changes)
