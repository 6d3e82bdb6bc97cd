"""BaseDataset: order of loading, metainfo, paths, indices, storage, and what is said where something is wrong."""

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.store import Store
from fkit.data.identity import describe
from fkit.data.loader import Loader
from fkit.data.transform.formatting import PackInputs
from fkit.tree.error import FkitError


class Letters(BaseDataset):
    """All that one has to write."""

    METAINFO = {"classes": ("vowel", "other"), "year": 2020}

    def load_data_list(self):
        return [{"img": np.full((4, 4, 1), number, np.uint8), "img_max": 255, "letter": letter, "gt_label": int(letter not in "aeiou")}
                for number, letter in enumerate("abcdefghij")]  # fmt: skip


class Vowels(Letters):
    def filter_data(self):
        return [record for record in self.data_list if record["gt_label"] == 0 or self.test_mode]


def text(dataset):
    return "".join(dataset[place]["letter"] for place in range(len(dataset)))


def written(folder, **content):
    file = folder / "a.json"
    file.write_text(json.dumps(content))
    return str(file)


def test_a_data_set_of_ones_own_by_one_method_trains():
    dataset = Letters(pipeline=[PackInputs()])
    assert len(dataset) == 10 and dataset[-1]["sample_idx"] == 9 and dataset[-10]["letter"] == "a"
    assert dataset.metainfo == {"classes": ("vowel", "other"), "year": 2020} == Letters().metainfo
    with pytest.raises(IndexError, match=r"Letters\[10\]: there are 10 samples"):
        dataset[10]
    with pytest.raises(TypeError):
        dataset[0]["letter"] = "z"
    with pytest.raises(AttributeError):
        dataset.test_mode = True
    batch = Loader(dataset, batch_size=4).batch(0, 2)
    assert np.asarray(batch.inputs).shape == (2, 1, 4, 4)


def test_loading_filters_takes_indices_and_serializes_in_this_order():
    assert text(Vowels()) == "aei" and text(Vowels(indices=2)) == "ae" and text(Vowels(indices=-2)) == "ei"
    assert text(Vowels(indices=[2, 0])) == "ia" and text(Vowels(test_mode=True)) == "abcdefghij"
    assert text(Letters(indices=20)) == "abcdefghij" and text(Letters(serialize_data=False)) == "abcdefghij"
    with pytest.raises(IndexError):
        Vowels(indices=[3])


def test_lazy_init_loads_at_the_first_question():
    calls = []

    class Counted(Letters):
        def load_data_list(self):
            calls.append(self)
            return super().load_data_list()

    dataset = Counted(lazy_init=True)
    assert calls == [] and len(dataset) == 10 and text(dataset) == "abcdefghij" and len(calls) == 1
    Counted()
    assert len(calls) == 2


def test_an_annotation_file(tmp_path: Path):
    rows = [{"img_path": "a.png", "gt_label": 1}, {"img_path": "b.png", "gt_label": 0}]
    file = written(tmp_path, metainfo={"classes": ["no", "yes"], "maker": "me"}, data_list=rows)
    dataset = BaseDataset("a.json", {"classes": ["x", "y"]}, str(tmp_path), {"img_path": "images"})
    assert dataset.ann_file == file and dataset[1]["img_path"] == str(tmp_path / "images" / "b.png")
    assert dataset.metainfo == {"classes": ("x", "y"), "maker": "me"}  # the argument before the file
    assert dataset.get_cat_ids(0) == (1,)

    class Named(BaseDataset):
        METAINFO = {"maker": "the class"}

    assert Named(file).metainfo == {"classes": ("no", "yes"), "maker": "the class"}  # the class before the file
    assert Named(file, {"maker": "said"}).metainfo["maker"] == "said"
    assert Named(file, lazy_init=True).metainfo == {"maker": "the class"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"data_list": []}, "it has no 'metainfo'"),
        ({"metainfo": {}}, "it has no 'data_list'"),
        ([], "annotations are a mapping"),
    ],
)
def test_an_annotation_file_of_another_form(content, said, tmp_path: Path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    with pytest.raises((ValueError, TypeError), match=said) as caught:
        BaseDataset(str(file))
    assert isinstance(caught.value, FkitError) and str(file) in str(caught.value)


def test_one_record_of_a_file_may_be_several_or_wrong(tmp_path: Path):
    file = written(tmp_path, metainfo={}, data_list=[{"name": "ab"}, {"name": "c"}])

    class Split(BaseDataset):
        def parse_data_info(self, raw_data_info):
            return [{"letter": letter} for letter in raw_data_info["name"]] if raw_data_info["name"] != "x" else None

    assert text(Split(file)) == "abc"
    file = written(tmp_path, metainfo={}, data_list=[{"name": "a"}, {"name": "x"}])
    with pytest.raises(TypeError, match=r"data_list\[1\]: parse_data_info gave None"):
        Split(file)
    with pytest.raises(KeyError, match="a record has no 'img_path', of which data_prefix says the folder"):
        BaseDataset(file)


def test_paths_are_told_from_data_root_unless_they_are_whole():
    dataset = Letters("a.json", None, "root", {"img_path": "images", "seg": "/maps", "far": "s3://x/y"})
    assert dataset.ann_file == "root/a.json"
    assert dataset.data_prefix == {"img_path": "root/images", "seg": "/maps", "far": "s3://x/y"}
    moved = replace(dataset, data_root="other", test_mode=True)
    assert moved.ann_file == "other/a.json" and moved.data_prefix["img_path"] == "other/images"
    assert replace(pickle.loads(pickle.dumps(dataset)), data_root="third").ann_file == "third/a.json"
    with pytest.raises(TypeError, match=r"Letters: data_prefix\['img'\] is a path, not the int 3"):
        Letters(data_prefix={"img": 3})


def test_metainfo_that_names_a_file_is_its_lines(tmp_path: Path):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    dataset = Letters(metainfo={"classes": str(tmp_path / "names.txt"), "year": 2021})
    assert list(dataset.metainfo["classes"]) == ["cat", "dog"] and dataset.metainfo["year"] == 2021
    with pytest.raises(TypeError):
        dataset.metainfo["year"] = 1


def test_what_a_sample_says_is_a_fresh_copy():
    for dataset in (Letters(), Letters(serialize_data=False)):
        dataset.get_data_info(0)["img"][:] = 9
        dataset.get_data_info(0)["letter"] = "z"
        assert dataset.get_data_info(0)["letter"] == "a" and int(dataset[0]["img"].max()) == 0


def test_subsets():
    dataset = Letters()
    assert text(dataset.get_subset(3)) == "abc" and text(dataset.get_subset(-2)) == "ij"
    some = dataset.get_subset([7, 1, -1])
    assert (
        text(some) == "hbj"
        and some[2]["sample_idx"] == 2
        and text(some.get_subset([2])) == "j"
        and text(dataset) == "abcdefghij"
    )
    assert some == Letters(indices=[7, 1, 9]) and text(Letters(indices=-4).get_subset(2)) == "gh"
    assert text(Letters(serialize_data=False).get_subset([0, 9])) == "aj"
    for wrong in (11, -11, [10]):
        with pytest.raises(IndexError):
            dataset.get_subset(wrong)
    with pytest.raises(AttributeError, match=r"subset = dataset\.get_subset"):
        dataset.get_subset_([1])


def test_classes_of_a_sample():
    assert Letters().get_cat_ids(1) == (1,)

    class Bare(BaseDataset):
        def load_data_list(self):
            return [{"instances": [{"bbox_label": 3}, {"bbox_label": 1}]}, {"img_path": "a"}]

    assert Bare().get_cat_ids(0) == (3, 1)
    with pytest.raises(NotImplementedError, match="Bare does not say which classes a sample holds"):
        Bare().get_cat_ids(1)


def test_they_are_values():
    assert Letters() == Letters() != Letters(test_mode=True) and hash(Letters()) == hash(Letters())
    assert Letters(metainfo={"year": 2020}) == Letters() != Letters(metainfo={"year": 2021})
    again = pickle.loads(pickle.dumps(Letters(indices=[3])))
    assert again == Letters(indices=[3]) and text(again) == "d"
    assert describe(Loader(Letters()))["digest"] == describe(Loader(Letters()))["digest"]
    assert Letters().fingerprint != Letters(indices=-10 + 1).fingerprint


@dataclass(frozen=True)
class Sized(BaseDataset):
    """With fields of its own, as a config sets them."""

    count: int = 3

    def load_data_list(self):
        return [{"letter": "abcdef"[number]} for number in range(self.count)]


class Old(BaseDataset):
    """As OpenMMLab's users write one."""

    def __init__(self, *args, count=2, **kwargs):
        self.count = count
        super().__init__(*args, **kwargs)

    def load_data_list(self):
        return [{"letter": "abcdef"[number]} for number in range(self.count)]


@pytest.mark.parametrize("kind", [Sized, Old])
def test_arguments_of_ones_own(kind):
    registry = fkit.registry().register("datasets", kind)
    cfg = {"type": kind.__name__, "count": 4, "metainfo": {"classes": ["a"]}, "pipeline": [{"type": "PackInputs"}]}
    dataset = fkit.build(cfg, registry, "datasets")
    assert (
        text(dataset) == "abcd" and dataset.pipeline.steps == (PackInputs(),) and dataset.metainfo["classes"] == ("a",)
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ann_file": 3}, "Letters: ann_file is a path, not the int 3"),
        ({"metainfo": [1]}, "Letters: metainfo is a mapping"),
        ({"indices": 1.5}, "indices = 1.5 is neither a whole number nor a list"),
        ({"indices": [1.5]}, "Letters: indices = 1.5 is not a whole number"),
        ({"test_mode": 1}, "Letters: test_mode is True or False"),
        ({"max_refetch": "9"}, "max_refetch = '9' is text"),
        ({"on_error": "ignore"}, "on_error = 'ignore' is unknown"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(FkitError, match=said):
        Letters(**arguments)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, r"load_data_list\(\) gave None, not a list"),
        ([3], "record 0 is 3, not a mapping"),
        ([{"f": (x for x in "a")}], "cannot be serialized"),
    ],
)
def test_wrong_records(answer, said):
    class Wrong(BaseDataset):
        def load_data_list(self):
            return answer

    with pytest.raises(FkitError, match=said):
        Wrong()


def test_neither_file_nor_method():
    with pytest.raises(FkitError, match="neither ann_file nor load_data_list says what its samples are"):
        BaseDataset()


def test_a_store_is_a_frozen_sequence():
    store = Store.of([{"n": number} for number in range(5)])
    assert (
        [record["n"] for record in store] == [0, 1, 2, 3, 4]
        and store[-1] == {"n": 4}
        and list(store.take([3, 3])) == [{"n": 3}] * 2
    )
    assert (
        list(pickle.loads(pickle.dumps(store))) == list(store) and list(Store.of([])) == [] and len(store.take([])) == 0
    )
    with pytest.raises(ValueError, match="read-only"):
        store.data[0] = 1
    with pytest.raises(IndexError):
        store[5]
