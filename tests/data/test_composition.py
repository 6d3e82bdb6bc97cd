"""Transforms of transforms, and the samples that a step of a pipeline may fetch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.array.random import generator, key
from fkit.array.room import open as open_room
from fkit.data.dataset import Dataset
from fkit.data.loader import open_loader
from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import Chosen, MultiBranch, RandomApply, RandomChoice, RandomOrder
from fkit.data.transform.draw import another, needed
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.mapping import KeyMapper, ProposalBroadcaster, TransformBroadcaster
from fkit.data.transform.resize import Resize
from fkit.data.transform.transform import Transform, is_random, replaced
from fkit.tree.error import FkitError

IMAGE = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)


@dataclass(frozen=True)
class Note(Transform):
    """Notes a number: drawn ``count`` times, the last one kept."""

    name: str
    count: int = 1

    def draw(self, sample: Any, rng: Any, fetch: Any) -> float:
        return float(needed(rng, self).random(self.count)[-1])

    def apply(self, sample: Any, params: float) -> Any:
        return replaced(sample, **{self.name: params})


@dataclass(frozen=True)
class Blend(Transform):
    """Keeps ``count`` other samples as they come."""

    name: str
    count: int = 2

    def draw(self, sample: Any, rng: Any, fetch: Any) -> Any:
        return tuple(another(rng, fetch, self) for _ in range(self.count))

    def apply(self, sample: Any, params: Any) -> Any:
        mean = sum(float(one["img"].mean()) + one.get("early", 0) for one in params)
        return replaced(sample, **{self.name: params}, img=sample["img"] + np.float32(mean))


@dataclass(frozen=True)
class Odd(Transform):
    """Drops samples with an even number."""

    def apply(self, sample: Any, params: Any) -> Any:
        return sample if sample["sample_idx"] % 2 else None


def sample(**more: Any) -> Any:
    return frozendict(img=IMAGE, gt_label=3, sample_idx=0, **more)


def rng(number: int = 0) -> np.random.Generator:
    return generator(key(0, "test", number))


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(np.array_equal(a, b))


def squares(pipeline: Any, count: int = 12) -> Dataset:
    return Dataset.of([{"img": np.full((2, 2, 1), n * n, np.float32)} for n in range(count)], pipeline=pipeline)


class Others:
    """Raw samples, as the loader has them."""

    def __len__(self) -> int:
        return 12

    def __call__(self, index: int) -> Any:
        return frozendict(img=np.full((2, 2, 1), index, np.float32), sample_idx=index)


def test_what_a_step_draws_does_not_depend_on_the_draws_of_another():
    one, two = (Compose([Note("a", count), Note("b")])(sample(), rng()) for count in (1, 7))
    assert one["a"] != two["a"] and one["b"] == two["b"]
    few, many = (Compose([Blend("x", count), Note("b")])(sample(), rng(), Others()) for count in (1, 5))
    assert few["b"] == many["b"]


def test_a_fetch_gives_samples_as_the_steps_before_give_them():
    done = Compose([Note("early"), Blend("x"), Note("late"), Blend("y")])(sample(), rng(), Others())
    assert all("early" in one and "late" not in one and "x" not in one for one in done["x"])
    assert all("early" in one and "late" in one and "x" in one for one in done["y"])
    draws = [one["early"] for one in (done, *done["x"], *done["y"])]
    assert len(set(draws)) == 5  # each by draws of its own


def test_a_pipeline_inside_a_pipeline_fetches_through_both():
    inner = RandomApply([Note("inner"), Blend("x")], prob=1.0)
    done = Compose([Note("early"), inner])(sample(), rng(), Others())
    assert all("early" in one and "inner" in one for one in done["x"])


def test_a_fetch_gives_another_where_the_steps_before_drop_one():
    done = Compose([Odd(), Blend("x", 30)])(replaced(sample(), sample_idx=1), rng(), Others())
    assert {one["sample_idx"] for one in done["x"]} <= {1, 3, 5, 7, 9, 11}

    class Even(Others):
        def __call__(self, index: int) -> Any:
            return frozendict(img=IMAGE, sample_idx=0)

    with pytest.raises(FkitError, match="16 samples in a row were dropped"):
        Compose([Odd(), Blend("x")])(replaced(sample(), sample_idx=1), rng(), Even())


def test_a_step_that_drops_the_sample_ends_the_pipeline():
    steps = Compose([Note("a"), Odd(), Note("b")])
    assert steps(sample(), rng()) is None
    assert steps.apply(sample(), steps.draw(sample(), rng(), None)) is None


def test_who_mixes_needs_others():
    with pytest.raises(FkitError, match="Blend mixes samples, and was given no fetch"):
        Blend("x")(sample(), rng())


def test_mixed_batches_are_the_same_for_any_number_of_workers_and_after_resume():
    dataset = squares([RandomFlip(0.5), Note("early"), Blend("x"), PackInputs(algorithm_keys=["early"])])

    def opened(workers: int) -> Any:
        cfg = {"dataset": dataset, "batch_size": 3, "shuffle": True, "num_workers": workers}
        return open_loader(cfg, lambda kind, part: part, seed=3, spread=open_room("torch").workers)

    want = [batch.inputs for batch in opened(0).batches(1)]
    assert len(want) == 4 and not same(want[0], want[1])
    for workers in (0, 1, 4):
        assert same([batch.inputs for batch in opened(workers).batches(1)], want)
    assert same([batch.inputs for batch in opened(1).batches(1, 2)], want[2:])


EVERY = (
    RandomChoice([[Note("a"), Note("b")], [RandomFlip(0.5)], Resize(4)], prob=[0.4, 0.3, 0.3]),
    RandomChoice([RandomFlip(0.5), Resize(4)]),
    RandomApply([Note("a"), RandomFlip(0.5)]),
    RandomApply([Note("a")], prob=0.7),
    RandomOrder([Note("a"), RandomFlip(0.5), Resize(4), Note("b")]),
    KeyMapper([RandomFlip(0.5), Note("a")], mapping={"img": "depth"}),
    TransformBroadcaster([RandomFlip(0.5)], mapping={"img": ["img", "depth"]}),
    TransformBroadcaster([RandomFlip(0.5)], mapping={"img": ["img", "depth"]}, share_random_params=True),
    MultiBranch(["sup", "weak", "strong"], weak=[RandomFlip(0.5), PackInputs()], strong=[Note("a"), PackInputs()]),
    Compose([RandomChoice([[Blend("x")], [Note("a")]]), Blend("y")]),
)


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("number", range(5))
def test_a_call_is_a_draw_and_an_apply(transform: Transform, number: int):
    given = sample(depth=IMAGE[::-1])
    params = transform.draw(given, rng(number), Others())
    assert same(transform.apply(given, params), transform(given, rng(number), Others()))
    assert is_random(transform)


@pytest.mark.parametrize("transform", EVERY[:-1], ids=lambda one: type(one).__name__)
def test_holders_are_values(transform: Transform):
    assert hash(transform) == hash(transform) and transform == transform
    with pytest.raises(AttributeError):
        transform.pipeline = 3  # type: ignore[attr-defined]


def test_choices_have_the_probabilities_given():
    pick = RandomChoice([Note("a"), Note("b"), Note("c")], prob=[0.5, 0.5, 0.0])
    uniform, source = RandomChoice([Note("a"), Note("b")]), rng()
    drawn = [pick.which(source) for _ in range(2000)]
    assert abs(drawn.count(0) / 2000 - 0.5) < 0.04 and 2 not in drawn
    assert abs(sum(uniform.which(source) for _ in range(2000)) / 2000 - 0.5) < 0.04
    assert abs(sum(RandomApply([Note("a")], 0.3).does(source) for _ in range(2000)) / 2000 - 0.3) < 0.04
    assert pick.apply(sample(), Chosen(2, (0.25,)))["c"] == 0.25


def test_an_order_is_any_order():
    steps, source = RandomOrder([Note("a"), Note("b"), Note("c")]), rng()
    assert {steps.order(source) for _ in range(200)} == {
        (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0),
    }  # fmt: skip


def test_key_mapper_maps_in_and_out():
    mapper = KeyMapper([Note("a")], mapping={"img": ..., "pair": {"x": "depth", "y": "gt_label"}}, remapping={"a": "b"})
    done = mapper.apply(sample(depth=1), (0.5,))
    assert done["b"] == 0.5 and "a" not in done and "pair" not in done and done["img"] is IMAGE
    assert "img" not in mapper.inner(sample(depth=1)) and mapper.inner(sample(depth=1))["pair"] == {
        "x": 1,
        "y": 3,
    }
    plain = KeyMapper([Note("a")], mapping={"seen": "depth"}, auto_remap=False).apply(sample(depth=1), (0.5,))
    assert plain["seen"] == 1 and plain["a"] == 0.5 and plain["depth"] == 1
    absent = KeyMapper([Note("a")], mapping={"seen": "depth"}, allow_nonexist_keys=True)
    assert "seen" not in absent.inner(sample()) and "depth" not in absent.apply(sample(), (0.5,))
    assert KeyMapper([Note("a")], mapping={"seen": "depth"}).inner(sample())["seen"] is None


def test_broadcaster_shares_the_draws_where_asked():
    given = sample(depth=IMAGE)
    shared = TransformBroadcaster([RandomFlip(0.5)], mapping={"img": ["img", "depth"]}, share_random_params=True)
    apart = TransformBroadcaster([RandomFlip(0.5)], mapping={"img": ["img", "depth"]})
    assert all(same(one["img"], one["depth"]) for one in (shared(given, rng(number)) for number in range(20)))
    assert not all(same(one["img"], one["depth"]) for one in (apart(given, rng(number)) for number in range(20)))
    listed = TransformBroadcaster([Resize(3)], mapping={"img": "imgs"})({"imgs": [IMAGE, IMAGE, IMAGE]})
    assert [one.shape for one in listed["imgs"]] == [(3, 3, 3)] * 3 and "img" not in listed


def test_proposals_go_the_way_of_boxes():
    @dataclass(frozen=True)
    class Shift(Transform):
        def draw(self, sample: Any, rng: Any, fetch: Any) -> float:
            return float(needed(rng, self).random())

        def apply(self, sample: Any, params: float) -> Any:
            return replaced(sample, gt_bboxes=sample["gt_bboxes"] + params)

    boxes = np.array([[0, 0, 1, 1]], np.float32)
    done = ProposalBroadcaster([Shift()])(sample(gt_bboxes=boxes, proposals=boxes * 2), rng())
    moved = done["gt_bboxes"] - boxes
    assert moved.any() and np.allclose(done["proposals"], boxes * 2 + moved)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RandomChoice([]), "RandomChoice: transforms is an empty list"),
        (lambda: RandomChoice([Note("a")], prob=[0.5, 0.5]), "2 probabilities for 1 pipelines"),
        (lambda: RandomChoice([Note("a"), Note("b")], prob=[0.5, 0.6]), "their sum is 1, not 1.1"),
        (lambda: RandomApply([Note("a")], prob=1.5), "is not in \\[0, 1\\]"),
        (lambda: KeyMapper([], {"a": "b"}, {"a": "b"}, auto_remap=True), "with auto_remap there is no remapping"),
        (lambda: KeyMapper([], {"a": 3}), "KeyMapper: mapping: 3 is no name"),
        (lambda: KeyMapper([], remapping={"b": "c"})(sample()), "the pipeline in it gave no 'b'"),
        (lambda: TransformBroadcaster([], {"img": "img"})(sample()), "(?s)'img' is .*, not a list"),
        (lambda: TransformBroadcaster([], {"a": ["b"], "c": ["d", "e"]})(sample()), "several lengths: 'a' 1, 'c' 2"),
        (lambda: MultiBranch(["a"], b=[]), "the branch 'b' is not in branch_field"),
        (lambda: ProposalBroadcaster([])(sample()), "has no 'proposals'"),
    ],
)
def test_wrong_arguments_are_refused(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()


def test_configs_build_them():
    flip, size = {"type": "RandomFlip", "prob": 0.5}, {"type": "Resize", "scale": 4}
    cfg = {"type": "RandomChoice", "transforms": [[flip, size], [size]]}
    assert fkit.build(cfg, fkit.registry(), "transforms") == RandomChoice([[RandomFlip(0.5), Resize(4)], [Resize(4)]])
    cfg = {"type": "mmdet.MultiBranch", "branch_field": ["a", "b"], "a": [flip, {"type": "PackInputs"}], "b": size}
    built = fkit.build(cfg, fkit.registry(), "transforms")
    assert built == MultiBranch(["a", "b"], a=[RandomFlip(0.5), PackInputs()], b=Resize(4))
    cfg = {"type": "RandomApply", "transforms": flip, "prob": 0.2}
    assert fkit.build(cfg, fkit.registry(), "transforms") == RandomApply([RandomFlip(0.5)], 0.2)


class Ported:
    """As OpenMMLab's users write them, of its base class: ``transform`` is theirs, ``__call__`` was the base's."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        results["noise"] = np.random.rand()
        return results


class OfTheKit(Ported, Transform):
    pass


@pytest.mark.parametrize("kind", [Ported, OfTheKit])
def test_a_transform_of_openmmlabs_may_say_transform(kind: Any):
    with pytest.warns(UserWarning, match=f"{kind.__name__} has no draw and apply"):
        pipeline = Compose([kind()])
    assert (
        pipeline(sample(), rng(1))["noise"]
        == pipeline(sample(), rng(1))["noise"]
        != pipeline(sample(), rng(2))["noise"]
    )
    with pytest.warns(UserWarning, match="has no draw and apply"):
        both = TransformBroadcaster([kind()], mapping={"noise": ["a", "b"]}, share_random_params=True)
    done = both({"a": 0, "b": 0}, rng())
    assert done["a"] == done["b"] != 0
