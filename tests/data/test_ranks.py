"""Samplers and batch samplers; the same global batches for any number of ranks, workers, and after resume."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.data.aspect import AspectRatioBatchSampler, GroupSampler
from fkit.data.balance import (
    ClassAwareSampler,
    CustomSampleSizeSampler,
    GroupMultiSourceSampler,
    MultiDataSampler,
    MultiSourceSampler,
)
from fkit.data.dataset import ConcatDataset, Digits
from fkit.data.loader import Loader, open_loader
from fkit.data.sampler import DefaultSampler, InfiniteSampler, RepeatAugSampler, SequentialSampler
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.formatting import PackInputs
from fkit.tree.error import FkitError

SPREAD = open_room("torch").workers
PIPELINE = [RandomFlip(0.5), PackInputs()]


@dataclass(frozen=True)
class Pictures(fkit.Dataset):
    """Images that hold their own number, every third higher than wide; of classes of very unequal size."""

    count: int = 43
    first: int = 0
    classes = ("few", "many")

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int) -> Any:
        size = {"height": 9, "width": 6} if index % 3 == 0 else {"height": 6, "width": 9}
        img = np.full((4, 4, 1), self.first + index, np.float32)
        img[:, 0] += 0.5
        return {"img": img, "gt_label": int(index % 10 > 0), "number": self.first + index, **size}


PICTURES = Pictures(pipeline=PIPELINE)
BOTH = ConcatDataset([Pictures(30, pipeline=PIPELINE), Pictures(50, 30, pipeline=PIPELINE)])
LOADERS = {
    "plain": Loader(PICTURES, 8, seed=4),
    "dropped": Loader(PICTURES, 8, seed=4, drop_last=True),
    "endless": Loader(PICTURES, 8, InfiniteSampler(), seed=4, limit=7),
    "repeated": Loader(PICTURES, 8, RepeatAugSampler(), seed=4),
    "aspect": Loader(PICTURES, 8, seed=4, batch_sampler=AspectRatioBatchSampler()),
    "aspect, endless": Loader(PICTURES, 8, InfiniteSampler(), seed=4, limit=7, batch_sampler=AspectRatioBatchSampler()),
    "groups": Loader(PICTURES, 8, GroupSampler(), seed=4),
    "classes": Loader(PICTURES, 8, ClassAwareSampler(), seed=4),
    "sizes": Loader(BOTH, 8, CustomSampleSizeSampler([-1, 12]), seed=4),
    "shares": Loader(BOTH, 8, MultiDataSampler([1, 3]), seed=4),
    "sources": Loader(BOTH, 8, MultiSourceSampler(8, [1, 3]), seed=4, limit=20),
    "sources of a group": Loader(BOTH, 8, GroupMultiSourceSampler(8, [1, 3]), seed=4, limit=20),
}
NAMES = list(LOADERS)


def images(loader: Loader, epoch: int = 1, start: int = 0) -> list[Any]:
    return [batch.inputs for batch in loader.batches(epoch, start)]


def numbers(loader: Loader, epoch: int = 1) -> list[list[int]]:
    return [batch.inputs.min((1, 2, 3)).astype(int).tolist() for batch in loader.batches(epoch)]


def flat(loader: Loader, epoch: int = 1) -> list[int]:
    return [number for batch in numbers(loader, epoch) for number in batch]


def same(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_resume_changes_nothing(name: str):
    loader = LOADERS[name]
    whole = images(loader)
    assert len(whole) == loader.length
    for start in (1, 3, len(whole)):
        assert same(whole[start:], images(loader, 1, start))
    assert not same(whole, images(loader, 2)) and not same(whole, images(replace(loader, seed=5)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("world", [2, 4])
def test_any_number_of_ranks_sees_the_same_global_batches(name: str, world: int):
    whole = LOADERS[name]
    ranks = [replace(whole, batch_size=8 // world, rank=rank, world=world) for rank in range(world)]
    assert {loader.length for loader in ranks} == {whole.length}
    parts = [images(loader) for loader in ranks]
    for number, batch in enumerate(images(whole)):
        together = np.concatenate([part[number] for part in parts])
        assert np.array_equal(together[: len(batch)], batch)
        assert len({len(part[number]) for part in parts}) == 1 and len(together) - len(batch) < world


@pytest.mark.parametrize("name", ["plain", "aspect", "aspect, endless", "sources"])
def test_worker_processes_change_nothing(name: str):
    loader = LOADERS[name]
    want = images(loader)
    for workers, start in ((1, 0), (4, 2)):
        assert same(want[start:], images(replace(loader, workers=workers, spread=SPREAD), 1, start))


RANK = """
import json, sys
import numpy as np
sys.path[:0] = [{folder!r}]
from test_ranks import LOADERS, images, replace
rank, world = int(sys.argv[1]), int(sys.argv[2])
loader = replace(LOADERS[sys.argv[3]], batch_size=8 // world, rank=rank, world=world)
print(json.dumps([[image.ravel().tolist() for image in batch] for batch in images(loader)]))
"""


@pytest.mark.parametrize("name", ["plain", "aspect"])
def test_two_processes_see_the_same_global_batches(name: str):
    script = RANK.format(folder=str(__import__("pathlib").Path(__file__).parent))
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(rank), "2", name], stdout=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    one, two = (json.loads(process.communicate(timeout=300)[0]) for process in started)
    want = [[image.ravel().tolist() for image in batch] for batch in images(LOADERS[name])]
    for number, batch in enumerate(want):
        assert (one[number] + two[number])[: len(batch)] == batch


@pytest.mark.parametrize("count", [33, 34, 35, 37])
@pytest.mark.parametrize("drop", [False, True])
def test_three_ranks_see_the_batches_of_one_whatever_is_left(count: int, drop: bool):
    """What fills up the last batch neither joins a batch of another group nor makes one more."""
    pictures = Pictures(count, pipeline=PIPELINE)
    for options in ({"drop_last": drop}, {"batch_sampler": AspectRatioBatchSampler(drop_last=drop)}):
        whole = Loader(pictures, 12, seed=4, **options)
        ranks = [replace(whole, batch_size=4, rank=rank, world=3) for rank in range(3)]
        assert {loader.length for loader in ranks} == {whole.length, count // 12 + (not drop)}
        parts = [images(loader) for loader in ranks]
        for number, batch in enumerate(images(whole)):
            assert same(list(batch), list(np.concatenate([part[number] for part in parts]))[: len(batch)])
            assert len({len(part[number]) for part in parts}) == 1


def test_an_order_that_is_not_rounded_up_gives_each_sample_once():
    whole = Loader(PICTURES, 8, DefaultSampler(round_up=False), seed=4)
    ranks = [replace(whole, batch_size=2, rank=rank, world=4) for rank in range(4)]
    seen = sorted(number for loader in ranks for batch in numbers(loader) for number in batch)
    assert seen == list(range(43))
    assert [sum(map(len, numbers(loader))) for loader in ranks] == [11, 11, 11, 10]
    few = replace(whole, dataset=Pictures(9, pipeline=PIPELINE))
    assert [replace(few, batch_size=2, rank=rank, world=4).length for rank in range(4)] == [2, 1, 1, 1]


def test_batches_of_one_orientation():
    batches = numbers(LOADERS["aspect"])
    kinds = [{number % 3 == 0 for number in batch} for batch in batches]
    assert sorted([number for batch in batches for number in batch]) == list(range(43)) and [
        len(batch) for batch in batches
    ] == [8] * 5 + [3]
    assert all(len(kind) == 1 for kind in kinds[:-2])
    left = replace(LOADERS["aspect"], batch_sampler=AspectRatioBatchSampler(drop_last=True))
    assert left.length == 5 and len(numbers(left)) == 5
    endless = numbers(replace(LOADERS["aspect, endless"], limit=40))
    assert all(len({number % 3 == 0 for number in batch}) == 1 for batch in endless)


def test_groups_are_filled_up():
    batches = numbers(LOADERS["groups"])
    assert all(len({number % 3 == 0 for number in batch}) == 1 for batch in batches)
    assert (
        set([number for batch in batches for number in batch]) == set(range(43))
        and {len(batch) for batch in batches} == {8}
        and len(batches) == 6
    )


def test_classes_come_equally_often():
    """5 of 43 samples are of the class 'few'."""
    for epoch in range(3):
        order = flat(LOADERS["classes"], epoch)
        few = [number for number in order if number % 10 == 0]
        assert abs(len(few) - 21.5) <= 1 and len(order) == 43
        assert set(few) == {0, 10, 20, 30, 40} and len(set(order) - set(few)) == 43 - len(few)


def test_datasets_have_their_shares():
    seen: list[int] = []
    for epoch in range(5):
        order = flat(LOADERS["sizes"], epoch)
        assert len(order) == 42 and sorted(order)[:30] == list(range(30))
        seen += [number for number in order if number >= 30]
    assert len(set(seen[:48])) == 48, "each once before any comes again"
    order = [number for epoch in range(10) for number in flat(LOADERS["shares"], epoch)]
    assert 0.18 < np.mean(np.array(order) < 30) < 0.32
    for name in ("sources", "sources of a group"):
        batches = numbers(LOADERS[name])
        assert all(sum(number < 30 for number in batch) == 2 for batch in batches)
    assert all(len({(number if number < 30 else number - 30) % 3 == 0 for number in batch}) == 1 for batch in batches)


def test_repeated_samples_are_augmented_each_time_anew():
    first = images(LOADERS["repeated"])[0]
    assert [int(image.min()) for image in first[:3]] == [int(first[0].min())] * 3
    order = flat(LOADERS["repeated"])
    flips = [image[0, 0, 0] % 1 for batch in images(LOADERS["repeated"]) for image in batch]
    triples = [set(flips[at : at + 3]) for at in range(0, 42, 3)]
    assert len(order) == 43 and len(set(order)) == 15 and any(len(triple) == 2 for triple in triples)


def test_by_number():
    assert flat(Loader(PICTURES, 8, SequentialSampler())) == list(range(43))


def configured(**changes: Any) -> Loader:
    reg = fkit.registry().register("datasets", Pictures, name="Pictures")
    cfg = {"batch_size": 8, "dataset": {"type": "Pictures", "pipeline": [{"type": "PackInputs"}]}, **changes}
    return open_loader({key: value for key, value in cfg.items() if value is not None}, reg.build, 0)


def test_a_config_names_them():
    made = configured(sampler={"type": "DefaultSampler"}, batch_sampler={"type": "mmdet.AspectRatioBatchSampler"})
    assert made.batch_sampler.groups is not None and made.length == 6
    assert configured(sampler={"type": "ClassAwareSampler"}).sampler.members is not None
    assert configured(sampler={"type": "DistributedGroupSampler"}).sampler.size == 8
    # torch's ways: a batch sampler may say the size, and shuffle=False says nothing
    said = configured(
        batch_size=None, batch_sampler={"type": "AspectRatioBatchSampler", "batch_size": 5}, shuffle=False
    )
    assert said.batch_size == 5 and configured(sampler={"type": "DefaultSampler"}, shuffle=False).sampler.shuffle
    half = open_loader({"global_batch_size": 8, "dataset": PICTURES}, lambda kind, cfg: cfg, 0, rank=1, world=2)
    assert half.batch_size == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_sampler": {"type": "AspectRatioBatchSampler"}, "shuffle": True}, "batch_sampler and shuffle exclude each other"),
        ({"batch_sampler": {"type": "AspectRatioBatchSampler"}, "drop_last": True}, "batch_sampler and drop_last exclude each other"),
        ({"batch_sampler": {"type": "AspectRatioBatchSampler", "batch_size": 3}}, "batch_size = 3, and the dataloader's is 8"),
        ({"batch_sampler": {"type": "DefaultSampler"}}, "DefaultSampler is no batch sampler"),
        ({"batch_sampler": {"type": "AspectRatioBatchSampler"}, "dataset": Digits("test"), "sampler": {"type": "ClassAwareSampler", "num_sample_class": 0}}, "num_sample_class = 0: at least 1"),
        ({"sampler": {"type": "MultiSourceSampler", "batch_size": 8, "source_ratio": [1, 2]}}, "is of a ConcatDataset"),
        ({"sampler": {"type": "MultiSourceSampler", "batch_size": 8, "source_ratio": [1, 2, 3]}, "dataset": BOTH}, "3 numbers, and there are 2 datasets"),
        ({"sampler": {"type": "MultiSourceSampler", "batch_size": 3, "source_ratio": [1, 2]}, "dataset": BOTH}, "batch_size = 3, and the dataloader's batches have 8"),
        ({"sampler": {"type": "CustomSampleSizeSampler", "dataset_size": [-1, 99]}, "dataset": BOTH}, r"dataset_size\[1\] = 99 of a dataset of 50"),
        ({"sampler": {"type": "MultiDataSampler", "dataset_ratio": [float("nan"), 1]}, "dataset": BOTH}, "numbers from 0, and not all 0"),
        ({"sampler": {"type": "ClassAwareSampler"}, "dataset": [(np.zeros(2), 1)]}, "(?s)does not say which classes a sample holds.*get_cat_ids"),
        ({"batch_sampler": {"type": "AspectRatioBatchSampler"}, "dataset": [1, 2]}, "needs the width and height of each sample"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str):
    with pytest.raises(FkitError, match=said):
        configured(**changes)
    with pytest.raises(FkitError, match="global_batch_size = 9 has no equal parts for 2 processes"):
        open_loader({"global_batch_size": 9, "dataset": PICTURES}, lambda kind, cfg: cfg, 0, world=2)
