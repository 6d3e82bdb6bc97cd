"""Datasets of datasets: concatenated, repeated, balanced by classes, in part; each sample through its own pipeline."""

import pickle

import numpy as np
import pytest

import fkit
from fkit.data.dataset import Digits
from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.wrapper import ClassBalancedDataset, ConcatDataset, DetConcatDataset, RepeatDataset, Subset
from fkit.data.loader import Loader
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.transform import Transform
from fkit.tree.error import FkitError


class Letters(BaseDataset):
    METAINFO = {"classes": ("vowel", "other")}

    def __init__(self, letters="abcde", **more):
        self.letters = letters
        super().__init__(**more)

    def load_data_list(self):
        return [
            {"letter": one, "img": np.arange(4.0).reshape(2, 2, 1), "gt_label": int(one not in "aeiou")}
            for one in self.letters
        ]


class Shout(Transform):
    def apply(self, sample, params):
        return {**sample, "letter": sample["letter"].upper()}


class Pair(Transform):
    def draw(self, sample, rng, fetch):
        return fetch(len(fetch) - 1)["letter"]

    def apply(self, sample, params):
        return {**sample, "letter": sample["letter"] + params}


def text(dataset):
    return "".join(dataset[place]["letter"] for place in range(len(dataset)))


def run(dataset):
    return [dataset.pipeline(dataset[place], np.random.default_rng(0))["letter"] for place in range(len(dataset))]


def test_concatenation():
    both = ConcatDataset([Letters("abc"), Letters("xy")])
    assert text(both) == "abcxy" and [one["sample_idx"] for one in both] == [0, 1, 2, 3, 4]
    assert both[-1]["dataset_source"] == (1,) and both.get_dataset_source(2) == 0 and both.get_cat_ids(0) == (0,)
    assert both.metainfo == {"classes": ("vowel", "other")} and both.cumulative_sizes == (3, 5)
    with pytest.raises(IndexError):
        both[5]
    assert both == ConcatDataset([Letters("abc"), Letters("xy")]) and text(pickle.loads(pickle.dumps(both))) == "abcxy"


def test_metainfo_agrees_but_for_keys_to_be_ignored():
    parts = [Letters(metainfo={"year": 2007, "mean": np.ones(3)}), Letters(metainfo={"year": 2012, "mean": np.ones(3)})]
    with pytest.raises(ValueError, match=r"the datasets differ in metainfo\['year'\]"):
        ConcatDataset(parts)
    assert ConcatDataset(parts, ignore_keys="year").metainfo["year"] == 2007
    assert ConcatDataset(parts, ignore_keys=["year"]).metainfo["year"] == 2007
    several = DetConcatDataset(parts).metainfo
    assert [one["year"] for one in several["datasets"]] == [2007, 2012] and several["cumulative_sizes"] == (5, 10)
    assert DetConcatDataset(parts, ignore_keys=["year"]).metainfo["year"] == 2007
    with pytest.raises(ValueError, match="differ in metainfo"):
        ConcatDataset([Letters(metainfo={"mean": np.ones(3)}), Letters(metainfo={"mean": np.zeros(3)})])
    with pytest.raises(ValueError, match="differ in metainfo"):
        ConcatDataset([Letters(), Letters(metainfo={"more": 1})])


def test_each_sample_goes_through_the_pipeline_of_its_own_dataset():
    loud, soft, pairs = Letters("ab", pipeline=[Shout()]), Letters("xy"), Letters("pq", pipeline=[Pair()])
    both = ConcatDataset([loud, soft, pairs])
    assert run(both) == ["A", "B", "x", "y", "pq", "qq"]  # what is mixed in is of the same dataset
    assert run(RepeatDataset(both, 2)) == run(both) * 2
    assert run(ConcatDataset([soft, both])) == ["x", "y", *run(both)]
    assert run(Subset(RepeatDataset(both, 2), [8, 0, 4])) == ["x", "A", "pq"]
    same = ConcatDataset([loud, Letters("c", pipeline=loud.pipeline)])
    assert same.pipeline == loud.pipeline and run(same) == ["A", "B", "C"]


def test_repetition_draws_anew_each_time():
    loader = Loader(RepeatDataset(Letters("ab", pipeline=[RandomFlip(0.5), PackInputs()]), 20), batch_size=40)
    assert loader.samples == 40
    images = np.asarray(loader.batch(0, 0).inputs).reshape(40, -1)
    assert len({tuple(row) for row in images.tolist()}) == 2
    assert len(RepeatDataset(Letters("ab"), 3)) == 6 and text(RepeatDataset(Letters("ab"), 3)) == "ababab"
    with pytest.raises(ValueError, match="times = 0: at least 1"):
        RepeatDataset(Letters(), 0)


def test_balancing_repeats_samples_of_rare_classes():
    dataset = Letters("bacdfghj")  # one vowel of eight: sqrt(0.5 / 0.125) = 2 times
    assert text(ClassBalancedDataset(dataset, 0.5)) == "baacdfghj"
    assert text(ClassBalancedDataset(dataset, 0.25)) == "baacdfghj"  # sqrt(2), rounded up
    assert text(ClassBalancedDataset(dataset, 0.125)) == "bacdfghj"
    assert ClassBalancedDataset(dataset, 0.5).get_cat_ids(2) == (0,)
    with pytest.raises(ValueError, match="it is a share"):
        ClassBalancedDataset(dataset, 2)

    class Bare(BaseDataset):
        def load_data_list(self):
            return [{"a": 1}]

    with pytest.raises(NotImplementedError):
        ClassBalancedDataset(Bare(), 0.5)


def test_balancing_by_several_classes_takes_the_rarest():
    class Boxes(BaseDataset):
        def load_data_list(self):
            rows = [[0], [0, 1], [0], [], [0], [0], [0], [0], [0]]
            return [{"instances": [{"bbox_label": label} for label in row]} for row in rows]

    places = ClassBalancedDataset(Boxes(), 0.9).places
    assert places == (
        0,
        0,
        1,
        1,
        1,
        2,
        2,
        3,
        4,
        4,
        5,
        5,
        6,
        6,
        7,
        7,
        8,
        8,
    )  # 1: sqrt(0.9 * 9) = 2.85; 0: sqrt(0.9 * 9 / 8) = 1.006


def test_subsets_and_datasets_that_are_not_the_base():
    assert (
        len(Subset(Digits("test"), -5)) == 5
        and Subset(Digits("test"), [3])[0]["gt_label"] == Digits("test")[3]["gt_label"]
    )
    assert len(ClassBalancedDataset(Digits("test"), 0.1)) >= 360
    assert text(ConcatDataset([Letters("ab"), Letters("cd")]).get_subset([3, 0])) == "da"
    both = ConcatDataset([Digits("train"), Digits("test")])
    assert len(both) == 1797 and both.metainfo["classes"] == tuple("0123456789")
    assert both.fingerprint != ConcatDataset([Digits("test"), Digits("train")]).fingerprint
    with pytest.raises(IndexError):
        Subset(Digits("test"), 361)


def test_they_are_built_from_configs():
    inner = {"type": "Digits", "split": "test", "pipeline": [{"type": "PackInputs"}]}
    cfg = {"type": "RepeatDataset", "times": 2, "dataset": {"type": "ConcatDataset", "datasets": [inner, inner]}}
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    assert len(dataset) == 1440 and dataset.pipeline.steps == (PackInputs(),)
    balanced = fkit.build(
        {"type": "ClassBalancedDataset", "oversample_thr": 1e-3, "dataset": inner}, fkit.registry(), "datasets"
    )
    assert len(balanced) == 360


@pytest.mark.parametrize("wrong", [None, "x", {"type": "x"}, 3])
def test_wrong_parts(wrong):
    for maker in (ConcatDataset, lambda part: ConcatDataset([part]), RepeatDataset, Subset):
        with pytest.raises(FkitError):
            maker(wrong)
    with pytest.raises(ValueError, match="datasets is empty"):
        ConcatDataset([])
