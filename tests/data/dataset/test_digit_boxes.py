"""The shipped detection set: real digits on canvases, the same everywhere."""

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.data.dataset import Digits
from fkit.data.dataset.detection import CocoDataset
from fkit.data.dataset.digit_boxes import DigitBoxes, enlarged, run_lengths
from fkit.data.transform.annotation import LoadAnnotations
from fkit.tree.error import FkitError


def mask_of(runs):
    height, width = runs["size"]
    values = np.arange(len(runs["counts"])) % 2
    return np.repeat(values, runs["counts"]).reshape(width, height).T.astype(bool)


def test_boxes_are_tight_round_the_ink_and_digits_do_not_touch():
    boxes = DigitBoxes("test", count=40)
    for sample in boxes:
        inks = np.zeros((96, 96), int)
        for one in sample["instances"]:
            mask, (x1, y1, x2, y2) = mask_of(one["mask"]), one["bbox"]
            rows, columns = np.nonzero(mask)
            assert (x1, y1, x2, y2) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert sample["img"][mask].max() <= 255 - 0.25 * 223 + 1 and 0 <= one["bbox_label"] <= 9
            inks += mask
        assert inks.max() == 1 and 1 <= len(sample["instances"]) <= 5
        assert (sample["img"][inks == 0] > 255 - 0.25 * 223 - 1).all()
    labels = {label for place in range(40) for label in boxes.get_cat_ids(place)}
    assert labels == set(range(10))


def test_they_are_real_digits_of_their_own_split():
    held = {tuple(digit["img"].ravel().tolist()) for digit in Digits("test")}
    boxes = DigitBoxes("test", count=5, sides=(8, 8), size=(32, 32))
    for sample in boxes:
        for number, (y, x), side in boxes._placed(sample["img_id"]):
            cut = (255 - sample["img"][y : y + side, x : x + side, 0].astype(float)) * 16 / 223
            assert tuple(np.rint(cut).astype(int).ravel().tolist()) in held and side == 8 and number < 360


def test_the_same_images_everywhere():
    digest = hashlib.sha256()
    for sample in DigitBoxes("train", count=20):
        digest.update(sample["img"].tobytes())
        digest.update(repr([(one["bbox"], one["bbox_label"]) for one in sample["instances"]]).encode())
    assert digest.hexdigest()[:16] == "22dfd15601faf057"
    assert (DigitBoxes("train")[3]["img"] == DigitBoxes("train", count=4)[3]["img"]).all()
    assert not (DigitBoxes("train")[3]["img"] == DigitBoxes("train", seed=1)[3]["img"]).all()


def test_they_are_values():
    boxes = DigitBoxes("test", count=3)
    assert (
        boxes == DigitBoxes("test", count=3) != DigitBoxes("test", count=4)
        and pickle.loads(pickle.dumps(boxes)) == boxes
    )
    assert len(DigitBoxes()) == 1000 and len(DigitBoxes("test")) == 200 and boxes[-1]["img_id"] == 2
    assert (
        boxes.fingerprint == DigitBoxes("test", count=3).fingerprint != DigitBoxes("test", count=3, seed=1).fingerprint
    )
    with pytest.raises(IndexError):
        boxes[3]
    for wrong in ({"split": "x"}, {"sides": (40, 20)}, {"sides": (8, 200)}, {"size": 3}, {"most": 0}, {"count": "x"}):
        with pytest.raises(FkitError):
            DigitBoxes(**wrong)


def test_cocos_form_and_the_pipeline_agree(tmp_path: Path):
    pytest.importorskip("pycocotools")
    boxes = DigitBoxes("test", count=6)
    file = tmp_path / "a.json"
    file.write_text(json.dumps(boxes.coco()))
    read = CocoDataset(str(file), metainfo={"classes": boxes.metainfo["classes"]})
    step = LoadAnnotations(with_mask=True)
    for one, other in zip(boxes, read, strict=True):
        left, right = step(one), step(other)
        assert (left["gt_bboxes"] == right["gt_bboxes"]).all() and (
            left["gt_bboxes_labels"] == right["gt_bboxes_labels"]
        ).all()
        assert (left["gt_masks"].masks == right["gt_masks"].masks).all() and left["gt_masks"].masks.shape[1:] == (
            96,
            96,
        )
        assert not left["gt_ignore_flags"].any()
    assert read.skipped == {}


def test_it_is_built_from_a_config():
    dataset = fkit.build(
        {"type": "DigitBoxes", "split": "test", "count": 2, "size": [64, 80]}, fkit.registry(), "datasets"
    )
    assert dataset[0]["img"].shape == (64, 80, 3)


def test_parts():
    assert (
        enlarged(np.eye(2), 2).tolist() == [[1, 0], [0, 1]] and enlarged(np.ones((1, 1)), 3).tolist() == [[1.0] * 3] * 3
    )
    mask = np.array([[0, 1, 1], [0, 0, 1]])
    assert run_lengths(mask) == (2, 1, 1, 2) and (mask_of({"size": (2, 3), "counts": run_lengths(mask)}) == mask).all()
