"""`fkit infer` on videos, and masks in pictures: of a detector that always says the same."""

import json

import cv2
import numpy as np
import pytest
import torch

from fkit.cli.main import main
from fkit.image import VideoReader, imread, imwrite
from fkit.structures.coco import rle_to_bitmap
from fkit.visualize import show_result

OWN = '''
import torch
from torch import nn

import fkit


@fkit.component("models", backend="torch")
class Halves(nn.Module):
    """In each image an object whose mask is the left half of its box, and one that is hardly there."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, inputs, samples=None, mode="tensor"):
        count, one = len(inputs), inputs.new_tensor
        found = {
            "bboxes": one([[8.0, 4, 40, 28], [44, 30, 60, 44]]).expand(count, 2, 4),
            "scores": one([0.9, 0.1]).expand(count, 2) * self.scale,
            "labels": torch.zeros(count, 2, dtype=torch.long),
            "mask_scores": (torch.arange(28) < 14).to(inputs).expand(count, 2, 28, 28),
        }
        valid = {"pred_instances": torch.ones(count, 2, dtype=torch.bool)}
        return {"pred_instances": found, "valid": valid, "mask_threshold": one([0.5]).expand(count)}
'''
CONFIG = """
custom_imports = dict(imports=["own"])
default_scope = "mmdet"
device = "cpu"
model = dict(type="Halves")
pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(32, 32), keep_ratio=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape", "img_shape")),
]
data = dict(type="CocoDataset", ann_file="truth.json", metainfo=dict(classes=("cell",)), pipeline=pipeline)
test_dataloader = dict(batch_size=1, dataset=data)
test_evaluator = dict(type="CocoMetric", ann_file="truth.json", metric=["bbox", "segm"])
default_hooks = dict(visualization=dict(type="DetVisualizationHook", draw=True))
"""
HEIGHT, WIDTH, FRAMES = 48, 64, 5


@pytest.fixture
def place(here):
    (here / "own.py").write_text(OWN)
    (here / "config.py").write_text(CONFIG)
    torch.save({"state_dict": {"scale": torch.ones(1)}}, here / "one.pth")
    return here


def film(path, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        writer.write(np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8))
    writer.release()


def infer(*words):
    return main(["infer", "config.py", "one.pth", *words, "--out", "found", "--allow", "own", "--batch-size", "2"])


def rows():
    with open("found/predictions.jsonl") as file:
        return [json.loads(line) for line in file]


def book():
    with open("found/coco.json") as file:
        return json.load(file)


def blue(picture):
    """Where something is drawn, in a colour of the kit's, on grey."""
    return np.ptp(picture.astype(int), axis=2) > 40


def test_a_video_comes_back_with_what_was_found(place, capsys):
    film("clip.avi")
    assert infer("clip.avi") == 0
    out, err = capsys.readouterr()
    assert out == "clip.avi: 5 frames -> found/clip.mp4\n" and "1 of 1 videos predicted" in err
    with VideoReader("found/clip.mp4") as reader:
        assert (len(reader), reader.resolution, reader.fps) == (FRAMES, (WIDTH, HEIGHT), 10)
        inside = blue(reader[0])[19:26, 12:36]
    assert inside[:, :10].mean() > 0.9 and inside[:, 14:].mean() < 0.5  # the mask is the left half
    assert [(row["image"], row["frame"], len(row["objects"])) for row in rows()] == [
        ("clip.avi", at, 1) for at in range(FRAMES)
    ]
    whole = book()
    assert [one["name"] for one in whole["videos"]] == ["clip.avi"]
    assert [(one["video_id"], one["frame_id"], one["height"]) for one in whole["images"]] == [
        (1, at, HEIGHT) for at in range(FRAMES)
    ]
    assert [one["image_id"] for one in whole["annotations"]] == [at for at in range(1, FRAMES + 1) for _ in range(2)]


def test_pictures_and_videos_of_a_folder_and_one_that_is_broken(place, capsys):
    (place / "all").mkdir()
    film("all/b.avi")
    (place / "all/c.mp4").write_bytes(b"no video")
    imwrite(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "all/a.png")
    assert infer("all") == 1
    _, err = capsys.readouterr()
    assert "c.mp4 cannot be opened as a video" in err and "2 of 3 images and videos predicted" in err
    assert sorted(path.name for path in (place / "found").iterdir()) == [
        "a.png",
        "b.mp4",
        "coco.json",
        "predictions.jsonl",
    ]
    assert [row.get("error") for row in rows() if row["image"].endswith("c.mp4")] == [
        "all/c.mp4 cannot be opened as a video."
    ]


@pytest.mark.parametrize("name", ["none.mp4", "broken.webm"])
def test_a_video_that_cannot_be_read_is_one_error(place, capsys, name):
    (place / "broken.webm").write_bytes(b"\x1a\x45\xdf\xa3 and nothing else")
    assert infer(name) == 2
    _, err = capsys.readouterr()
    assert name in err and "Traceback" not in err
    assert not (place / "found/broken.mp4").exists()


def test_masks_are_drawn_and_written(place):
    imwrite(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "a.png")
    assert infer("a.png") == 0
    inside = blue(imread("found/a.png"))[19:26, 12:36]
    assert inside[:, :10].mean() > 0.9 and inside[:, 14:].mean() < 0.5
    one, other = (rle_to_bitmap(row["segmentation"]) for row in book()["annotations"])
    assert one.shape == (HEIGHT, WIDTH) and other.any()
    assert one[5:27, 9:23].all() and not one[:, 26:].any()
    assert infer("a.png", "--score-thr", "0.5") == 0
    with open("found/coco_2.json") as file:
        assert len(json.load(file)["annotations"]) == 1


def test_show_result_draws_masks_inside_of_boxes():
    fields = {"bboxes": np.array([[8.0, 4, 40, 28]]), "scores": np.array([0.9]), "labels": np.array([0])}
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left = np.broadcast_to(np.arange(28) < 14, (1, 28, 28)).astype(np.float32)
    drawn = show_result(picture, {"pred_instances": {**fields, "mask_scores": left}})
    plain = show_result(picture, {"pred_instances": fields})
    assert blue(drawn)[19:26, 12:22].mean() > 0.9 and not blue(plain)[20:26, 12:22].any()


def test_the_hook_draws_objects_on_pictures_of_the_original_size(place, capsys):
    imwrite(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "a.png")
    box = [8.0, 4.0, 32.0, 24.0]
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "area": 768.0, "iscrowd": 0, "segmentation": [[8, 4, 24, 4, 24, 28, 8, 28]]}],
        "categories": [{"id": 1, "name": "cell"}],
    }  # fmt: skip
    (place / "truth.json").write_text(json.dumps(truth))
    words = ["--allow", "own", "--eval", "bbox", "segm", "--cfg-options", "work_dir=work"]
    assert main(["test", "config.py", "one.pth", *words]) == 0
    out = capsys.readouterr().out
    assert "coco/bbox_mAP 1.0000" in out and "coco/segm_mAP 1.0000" in out
    [picture] = list((place / "work").rglob("test_img*.png"))
    drawn = imread(picture)
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    assert main(["test", "config.py", "one.pth", "--allow", "own", "--format-only", "out/test"]) == 0
    assert capsys.readouterr().out == "results: out/test.bbox.json\nresults: out/test.segm.json\n"
    lines = json.loads((place / "out/test.segm.json").read_text())
    assert (lines[0]["image_id"], lines[0]["category_id"], lines[0]["bbox"]) == (1, 1, box)
    assert rle_to_bitmap(lines[0]["segmentation"]).shape == (HEIGHT, WIDTH)
    assert blue(drawn)[19:26, 12:22].mean() > 0.9 and blue(drawn)[19:26, 27:38].mean() < 0.5
