"""Videos by frames, captions of names, depth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.data.collate import collate
from fkit.data.transform.detection.text import RandomSamplingNegPos
from fkit.data.transform.detection.track import Frames, PackTrackInputs, UniformRefFrameSample
from fkit.data.transform.segmentation.annotation import LoadDepthAnnotation
from fkit.image.io import imwrite
from fkit.tree.error import FkitKeyError, FkitValueError

VIDEO: dict[str, Any] = {
    "video_id": 3, "video_length": 20, "images": [{"frame_id": at, "img_id": 100 + at} for at in range(20)],
}  # fmt: skip


class Words:
    def tokenize(self, text: str) -> list[str]:
        return text.split()


@pytest.mark.parametrize("key", [0, 10, 19])
def test_frames_are_near_the_key_frame_and_in_order(key: int) -> None:
    choose = UniformRefFrameSample(num_ref_imgs=3, frame_range=[-4, 2])
    for seed in range(20):
        frames = choose.draw({**VIDEO, "key_frame_id": key}, np.random.default_rng(seed), None)
        assert list(frames.ids) == sorted(frames.ids) and frames.ids[frames.key] == key
        others = [one for place, one in enumerate(frames.ids) if place != frames.key]
        assert all(key - 4 <= one <= key + 2 and one != key for one in others) and len(others) == 3
    done = choose.apply({**VIDEO, "key_frame_id": key}, frames)
    assert done["frame_id"] == list(frames.ids) and done["ori_video_length"] == [20] * 4
    assert done["video_length"] == [4] * 4 and sum(done["key_frame_flags"]) == 1


def test_a_video_of_one_frame_gives_it_again_and_a_key_frame_is_drawn() -> None:
    one = {"video_id": 0, "video_length": 1, "images": VIDEO["images"][:1]}
    assert UniformRefFrameSample(num_ref_imgs=2).draw(one, np.random.default_rng(0), None).ids == (0, 0, 0)
    keys = {UniformRefFrameSample().key_frame(VIDEO, np.random.default_rng(seed)) for seed in range(60)}
    assert len(keys) > 12
    with pytest.raises(FkitValueError, match="frame_range"):
        UniformRefFrameSample(frame_range=[2, 5])


def test_frames_are_packed() -> None:
    sample = {
        "img": [np.zeros((4, 6, 3)), np.ones((4, 6, 3))], "img_id": [7, 8], "img_shape": [(4, 6), (4, 6)],
        "gt_bboxes": [np.zeros((2, 4)), np.ones((1, 4))], "gt_instances_ids": [np.array([4, 5]), np.array([5])],
        "gt_ignore_flags": [np.array([False, True]), np.array([False])], "key_frame_flags": [False, True],
    }  # fmt: skip
    packed = PackTrackInputs()(sample)
    assert packed["inputs"].shape == (2, 3, 4, 6) and packed["inputs"][1].min() == 1
    assert packed["targets"]["frame_0_gt_instances"]["instances_ids"].tolist() == [4]
    assert packed["targets"]["frame_1_gt_instances"]["bboxes"].shape == (1, 4)
    assert packed["meta"]["key_frames_inds"] == [1] and packed["meta"]["img_id"] == [7, 8]
    batch = collate([packed, PackTrackInputs()({**sample, "gt_ignore_flags": [np.zeros(2, bool), np.zeros(1, bool)]})])
    assert batch.inputs.shape == (2, 2, 3, 4, 6)
    assert batch.valid["frame_0_gt_instances"].tolist() == [[True, False], [True, True]]
    with pytest.raises(FkitKeyError, match="TransformBroadcaster"):
        PackTrackInputs()({"img": np.zeros((4, 6, 3))})


NAMES = {str(at): name for at, name in enumerate(("cat", "sea_lion (animal)", "dog/hound", "Car", "tree"))}


def test_a_caption_names_all_that_is_in_the_picture_and_says_where() -> None:
    sample = {"gt_bboxes": np.arange(12.0).reshape(3, 4), "gt_bboxes_labels": np.array([1, 3, 1]), "text": NAMES}
    choose = RandomSamplingNegPos(Words(), num_sample_negative=4)
    sizes: set[int] = set()
    for seed in range(40):
        done = choose(sample, np.random.default_rng(seed))
        assert done["gt_bboxes"].shape == (3, 4)
        for label, old in zip(done["gt_bboxes_labels"], sample["gt_bboxes_labels"], strict=True):
            ((start, end),) = done["tokens_positive"][int(label)]
            assert done["text"][start:end] == {1: "sea lion ", 3: "car"}[int(old)]
        sizes.add(done["text"].count(". "))
    assert sizes == {2, 3, 4, 5}


def test_what_has_no_place_in_a_caption_goes_with_its_boxes(tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(json.dumps(NAMES))
    sample = {"gt_bboxes": np.zeros((2, 4)), "gt_bboxes_labels": np.array([0, 3])}
    done = RandomSamplingNegPos(Words(), max_tokens=1, label_map_file=str(file))(sample, np.random.default_rng(0))
    assert done["gt_bboxes"].shape == (1, 4) and done["text"] in ("cat. ", "car. ")
    with pytest.raises(FkitKeyError, match="names of all labels"):
        RandomSamplingNegPos(Words())(sample, np.random.default_rng(0))
    phrases = {**sample, "text": " A cat", "phrases": {0: {"tokens_positive": [[2, 5]]}, 3: {"tokens_positive": []}}}
    kept = RandomSamplingNegPos(Words())(phrases, np.random.default_rng(0))
    assert kept["text"] == "a cat. " and kept["tokens_positive"] == {0: [[2, 5]], 3: []}


def test_depth_is_scaled(tmp_path: Path) -> None:
    imwrite(np.full((4, 6), 1500, np.uint16), tmp_path / "d.png")
    np.save(tmp_path / "d.npy", np.full((4, 6), 3.0))
    done = LoadDepthAnnotation(depth_rescale_factor=1e-3)({"depth_map_path": str(tmp_path / "d.png"), "seg_fields": []})
    assert done["gt_depth_map"].dtype == np.float32 and done["gt_depth_map"].max() == pytest.approx(1.5)
    assert done["seg_fields"] == ("gt_depth_map",)
    array = LoadDepthAnnotation("numpy", to_float32=False)({"depth_map_path": str(tmp_path / "d.npy")})
    assert array["gt_depth_map"].dtype == np.float64 and array["gt_depth_map"].max() == 3
    assert fkit.registry().build("transforms", {"type": "mmseg.LoadDepthAnnotation"}) == LoadDepthAnnotation()


def test_frames_by_hand() -> None:
    done = UniformRefFrameSample().apply(VIDEO, Frames((2, 5), 1))
    assert done["img_id"] == [102, 105] and done["key_frame_flags"] == [False, True]
