"""Videos: a record a video, frames by number, and what training leaves out."""

import json
from pathlib import Path

import pytest

import fkit
from fkit.data.dataset.video import BaseVideoDataset, MOTChallengeDataset, YouTubeVISDataset
from fkit.tree.error import FkitError


def box(number, image, bbox=(1, 2, 30, 4), category=1, **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(bbox),
        "area": 12,
        "iscrowd": 0,
        **more,
    }


def frame(number, video, place, side=50):
    return {
        "id": number,
        "file_name": f"v{video}/{place}.jpg",
        "width": side,
        "height": side,
        "video_id": video,
        "frame_id": place,
    }


def written(folder, annotations, images, name="pedestrian"):
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": name}]}
    file = folder / "a.json"
    file.write_text(json.dumps(content))
    return str(file)


FRAMES = [frame(1, 7, 0), frame(2, 7, 1), frame(3, 9, 0), frame(4, 9, 1, 20)]


def test_records_are_videos(tmp_path: Path):
    rows = [box(1, 1, instance_id=5), box(2, 2, instance_id=5), box(3, 3), box(4, 4)]
    file = written(tmp_path, rows, FRAMES)
    dataset = BaseVideoDataset(file, metainfo={"classes": ("pedestrian",)}, data_prefix={"img_path": "videos"})
    assert [(one["video_id"], one["video_length"]) for one in dataset] == [(7, 2), (9, 1)]  # a frame is too small
    first = dataset[0]["images"][1]
    assert first["img_path"] == "videos/v7/1.jpg" and first["frame_id"] == 1 and first["img_id"] == 2
    assert first["instances"] == [{"ignore_flag": 0, "bbox": [1, 2, 31, 6], "bbox_label": 0, "instance_id": 5}]
    assert dataset[1, 0]["key_frame_id"] == 0 and dataset.num_all_imgs == 3 and dataset.get_len_per_video(1) == 1
    assert dataset.get_cat_ids(0) == (0, 0) and dataset.get_cat_ids((0, 1)) == (0,)
    with pytest.raises(FkitError, match=r"a frame is \(video, frame\)"):
        dataset[0, 1, 2]


def test_tests_see_all_frames_as_lists(tmp_path: Path):
    file = written(tmp_path, [box(1, 1)], FRAMES)
    dataset = BaseVideoDataset(file, metainfo={"classes": ("pedestrian",)}, test_mode=True)
    assert dataset[1]["img_id"] == [3, 4] and dataset[1]["video_length"] == [2, 2] and dataset[1]["video_id"] == [9, 9]
    one = dataset[1, 1]
    assert one["img_id"] == [4] and one["ori_video_length"] == [2] and one["video_length"] == [1]
    with pytest.raises(IndexError):
        dataset[1, 2]


def test_frames_without_objects_are_left_out_of_training(tmp_path: Path):
    file = written(tmp_path, [box(1, 1)], FRAMES)
    given = {"ann_file": file, "metainfo": {"classes": ("pedestrian",)}}
    assert [one["video_length"] for one in BaseVideoDataset(**given)] == [1, 0]
    kept = BaseVideoDataset(**given, filter_cfg={"filter_empty_gt": False, "min_size": 0})
    assert [one["video_length"] for one in kept] == [2, 2]


def test_images_of_no_video_are_videos_of_one_frame(tmp_path: Path):
    images = [{key: value for key, value in one.items() if key != "video_id"} for one in FRAMES[:2]]
    dataset = BaseVideoDataset(written(tmp_path, [box(1, 1), box(2, 2)], images), metainfo={"classes": ("pedestrian",)})
    assert [one["video_id"] for one in dataset] == [100001, 100002] and dataset[1]["images"][0]["instances"][0][
        "instance_id"
    ] == 0


def test_mot_challenge(tmp_path: Path):
    more = {"instance_id": 3, "mot_conf": 1.0}
    rows = [box(1, 1, visibility=0.9, **more), box(2, 1, visibility=0.1, **more)]
    cfg = {"type": "MOTChallengeDataset", "ann_file": written(tmp_path, rows, FRAMES[:1]), "visibility_thr": 0.5}
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    assert dataset[0]["images"][0]["instances"] == [
        {"ignore_flag": 0, "bbox": [1, 2, 31, 6], "bbox_label": 0, "instance_id": 3, "category_id": 1, "mot_conf": 1.0, "visibility": 0.9}
    ]  # fmt: skip
    assert len(MOTChallengeDataset(cfg["ann_file"], visibility_thr=0.5, test_mode=True)[0, 0]["instances"][0]) == 2
    assert len(dataset.metainfo["classes"]) == 13


@pytest.mark.parametrize(("year", "name"), [("2019", "sedan"), ("2021", "bear")])
def test_youtube_vis(year, name, tmp_path: Path):
    dataset = YouTubeVISDataset(written(tmp_path, [box(1, 1)], FRAMES[:1], name), dataset_version=year)
    assert len(dataset.metainfo["classes"]) == 40 and dataset.metainfo["classes"][dataset.get_cat_ids(0)[0]] == name
    with pytest.raises(FkitError, match="dataset_version = '2020' is unknown"):
        YouTubeVISDataset(dataset_version="2020")
