"""A dataset of one's own: what one writes, what comes by itself, and what is said where something is missing."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.data.dataset import Digits
from fkit.data.identity import changes, describe
from fkit.data.loader import Loader
from fkit.data.sampler import DefaultSampler
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.photometry import ToUnit
from fkit.tree.error import FkitError


@dataclass(frozen=True)
class Parity(fkit.Dataset):
    """All at once, by `load`."""

    split: str
    classes = ("even", "odd")

    def load(self):
        for digit in Digits(self.split):
            yield {"img": digit["img"], "img_max": 16, "gt_label": digit["gt_label"] % 2}


@dataclass(frozen=True)
class Stripes(fkit.Dataset):
    """One by one, by `__len__` and `sample`; with a `__post_init__` that does not know of the base's fields."""

    count: int = 40
    width: int = 2
    classes: tuple = ("rows", "columns")

    def __post_init__(self):
        object.__setattr__(self, "width", int(self.width))

    def __len__(self):
        return self.count

    def sample(self, index):
        img = np.zeros((8, 8, 1), np.float32)
        img[index % 8 :: self.width * 2] = 1
        return {"img": img if index % 2 else img.transpose(1, 0, 2), "gt_label": index % 2}


PIPELINE = [RandomFlip(0.5), PackInputs()]


def test_load_gives_the_samples_once_and_in_order():
    parity = Parity("test")
    assert len(parity) == 360 and parity[-1]["sample_idx"] == 359
    assert [one["gt_label"] for one in parity] == [one["gt_label"] % 2 for one in Digits("test")]
    assert parity.records is parity.records
    with pytest.raises(TypeError):
        parity[0]["gt_label"] = 3
    with pytest.raises(IndexError, match=r"Parity\[360\]: there are 360 samples"):
        parity[360]


def test_the_fields_of_the_base_come_by_themselves():
    registry = fkit.registry().register("datasets", Stripes).register("datasets", Parity)
    cfg = {"type": "Stripes", "width": 1, "pipeline": [{"type": "RandomFlip"}, {"type": "PackInputs"}]}
    stripes = registry.build("datasets", cfg)
    assert stripes == Stripes(width=1, pipeline=PIPELINE) and stripes.pipeline.random
    assert stripes.metainfo == {"classes": ("rows", "columns")} == Stripes(metainfo={}).metainfo
    said = registry.build("datasets", {"type": "Parity", "split": "test", "metainfo": {"classes": ["a", "b"], "x": 1}})
    assert said.metainfo["x"] == 1 and list(said.metainfo["classes"]) == ["a", "b"]
    assert replace(stripes, count=3).pipeline == stripes.pipeline
    with pytest.raises(AttributeError):
        stripes.count = 3
    with pytest.raises(FkitError, match=r"datasets|pipeline"):
        registry.build("datasets", {"type": "Stripes", "pipeline": [{"type": "Flip"}]})


def test_a_list_of_samples_is_a_dataset():
    rows = [{"img": np.full((2, 2, 1), n, np.float32), "gt_label": n} for n in range(3)]
    made = fkit.Dataset.of(rows, pipeline=[PackInputs()], classes=("a", "b", "c"))
    assert next(Loader(made, 3, DefaultSampler(shuffle=False)).batches(0)).targets["gt_label"].tolist() == [0, 1, 2]
    assert made.metainfo["classes"] == ("a", "b", "c")
    for wrong in ("abc", {"img": 1}, [3], None):
        with pytest.raises(FkitError, match="samples"):
            fkit.Dataset.of(wrong)


@pytest.mark.parametrize(
    "dataset", [Parity("test", pipeline=PIPELINE), Stripes(pipeline=PIPELINE)], ids=["load", "sample"]
)
def test_it_is_a_value_that_workers_are_sent(dataset):
    again = pickle.loads(pickle.dumps(dataset))
    assert again.pipeline == dataset.pipeline and again.metainfo == dataset.metainfo
    one = Loader(dataset, 16, seed=3)
    two = Loader(again, 16, seed=3, workers=2, spread=open_room("torch").workers)
    for epoch in range(2):
        for a, b in zip(one.batches(epoch), two.batches(epoch), strict=True):
            assert np.array_equal(a.inputs, b.inputs) and a.meta == b.meta


def said(dataset):
    return describe(Loader(dataset, 4))


def test_a_resumed_run_knows_its_data_with_no_word_of_the_user():
    assert said(Parity("test"))["classes"] == ["even", "odd"]
    assert said(Parity("test")) == said(Parity("test")) and said(Stripes()) == said(Stripes())
    assert "samples are others" in changes(said(Stripes()), said(Stripes(width=3)))[0]
    assert changes(said(Parity("train")), said(Parity("test"))) == ("samples: 1437 -> 360", "batches: 360 -> 90")
    rows = [{"img_path": f"/a/{n}.png", "gt_label": n} for n in range(4)]
    moved = [{**row, "img_path": row["img_path"].replace("/a/", "/b/")} for row in rows]
    other = [{**row, "gt_label": 3 - row["gt_label"]} for row in rows]
    one, two, three = (said(fkit.Dataset.of(some)) for some in (rows, moved, other))
    assert one == two and changes(one, three)


def test_what_a_dataset_draws_from_shared_generators_is_not_taken_for_other_data():
    class Shaky(fkit.Dataset):
        def __len__(self):
            return 5

        def sample(self, index):
            return {"img": np.random.rand(2, 2, 1)}

    before = np.random.get_state()[1].tolist()
    assert said(Shaky()) == said(Shaky())
    assert np.random.get_state()[1].tolist() == before


def test_what_is_missing_is_said_with_the_contract():
    class Nothing(fkit.Dataset):
        pass

    class NoLength(fkit.Dataset):
        def sample(self, index):
            return {}

    class NoSample(fkit.Dataset):
        def __len__(self):
            return 3

    class Number(NoSample):
        def sample(self, index):
            return 3

    for kind, words in (
        (Nothing, "does not say what its samples are"),
        (NoLength, "has no __len__"),
        (NoSample, "has no sample"),
    ):
        with pytest.raises(FkitError, match=f"{kind.__name__} {words}(.|\n)*`load\\(self\\)`, which gives a list"):
            Loader(kind())
    with pytest.raises(FkitError, match=r"Number\[0\]: sample\(0\) gave 3, not a mapping"):
        Loader(Number(), sampler=DefaultSampler(shuffle=False)).batch(0, 0)
    with pytest.raises(FkitError, match=r"fkit.Dataset.of\(samples\)"):
        Loader(Parity)

    class Named(NoSample):
        classes = "cat"

    with pytest.raises(FkitError, match="classes is a list of names, not 'cat'"):
        Named().metainfo  # noqa: B018


def test_a_transform_with_no_apply_and_one_that_gives_nothing():
    class Idle(fkit.Transform):
        pass

    class Forgetful(fkit.Transform):
        def apply(self, sample, params):
            sample["img"] + 1

    with pytest.raises(FkitError, match=r"Idle does not say what it does.\n  Write `apply\(self, sample, params\)`"):
        Stripes(pipeline=[Idle()])
    with pytest.raises(FkitError, match=r"None|dropped"):
        Loader(Stripes(pipeline=[ToUnit(), Forgetful(), PackInputs()])).batch(0, 0)
