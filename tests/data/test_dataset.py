"""Datasets: the shipped digits, and folders and lists of image files."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from fkit.data.dataset import Digits, ImageFiles
from fkit.data.transform.photometry import ToUnit
from fkit.image.io import imwrite
from fkit.tree.error import FkitError


def test_the_splits_are_the_shipped_ones():
    train, test = Digits("train"), Digits("test")
    assert (len(train), len(test)) == (1437, 360)
    order = np.random.RandomState(0).permutation(1797)  # how LICENSE-digits.md says they were made
    assert train.arrays.numbers.tolist() == sorted(order[:1437].tolist())
    assert test.arrays.numbers.tolist() == sorted(order[1437:].tolist())
    assert set(np.unique(test.arrays.labels).tolist()) == set(range(10))


def test_a_raw_digit_states_its_range():
    sample = Digits("train")[3]
    assert sample["img"].dtype == np.uint8 and sample["img"].shape == (8, 8, 1)
    assert sample["img_max"] == 16 == max(int(one["img"].max()) for one in map(Digits().__getitem__, range(20)))
    assert type(sample["gt_label"]) is int and sample["sample_idx"] == 3


def test_digits_cannot_be_written_to():
    digits = Digits("test")
    with pytest.raises(ValueError, match="read-only"):
        digits[0]["img"][:] = 0
    with pytest.raises(TypeError):
        digits[0]["gt_label"] = 1
    with pytest.raises(AttributeError):
        digits.split = "train"


def test_digits_are_values():
    assert Digits("test", [ToUnit()]) == Digits("test", [ToUnit()]) != Digits("test")
    again = pickle.loads(pickle.dumps(Digits("test", [ToUnit()])))
    assert again == Digits("test", [ToUnit()]) and (again[5]["img"] == Digits("test")[5]["img"]).all()


def test_negative_places_count_from_the_end_and_a_for_ends():
    digits = Digits("test")
    assert digits[-1]["sample_idx"] == 359
    assert sum(1 for _ in digits) == 360
    with pytest.raises(IndexError, match=r"Digits\[360\]: there are 360 samples"):
        digits[360]


def test_an_unknown_split_is_named():
    with pytest.raises(FkitError) as caught:
        Digits("tset")
    assert str(caught.value) == "Digits: split = 'tset' is unknown.\n  Did you mean 'test'? Allowed: train, test"


def test_image_files_keep_their_order(tmp_path: Path):
    for name in ("dog/b.png", "cat/a.png"):
        (tmp_path / name).parent.mkdir()
        assert imwrite(np.zeros((4, 6, 3), np.uint8), tmp_path / name)
    found = ImageFiles([tmp_path / "dog/b.png", str(tmp_path / "cat/a.png")])
    assert [Path(one["img_path"]).name for one in found] == ["b.png", "a.png"]
    with pytest.raises(FkitError, match="no image was named"):
        ImageFiles([])
    with pytest.raises(FileNotFoundError, match="dog is a folder"):
        ImageFiles([tmp_path / "dog"])
