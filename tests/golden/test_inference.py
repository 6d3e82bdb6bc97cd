"""``init_detector`` and ``inference_detector`` on a checkpoint with the rule's weights, at full resolution, beside mmdet's."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import fkit
from tests.golden.conftest import books_folder
from tests.golden.decoding import untagged
from tests.golden.network import rule

NAME = "faster-rcnn_r50_fpn_1x_coco"  # the model that the book's config describes
SCORE, PIXEL = 2e-3, 0.05
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "Resize", "scale": (1333, 800), "keep_ratio": True},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")},
]


@pytest.fixture(scope="module")
def book(request: pytest.FixtureRequest) -> Any:
    path = books_folder(request.config) / "models" / "inference.json"
    if not path.exists():
        pytest.skip(f"no book {path}")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def detector(book: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    table = json.loads((books_folder(request.config) / "models" / "configs.json").read_text(encoding="utf-8"))
    cfg = fkit.Config(
        {
            "default_scope": "mmdet",
            "device": "cpu",
            "model": untagged(table[NAME]["model"]),
            "test_dataloader": {
                "batch_size": 1,
                "dataset": {"type": "CocoDataset", "ann_file": "none.json", "pipeline": PIPELINE},
            },
        }
    )
    blank = fkit.init_detector(cfg)
    shapes = {entry.name: entry.shape for entry in blank.program.inventory.entries}
    weights = rule().make_all(shapes)
    assert rule().digest(weights) == book["weights_sha256"]
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    classes = tuple(book["dataset_meta_classes"])
    torch.save({"meta": {"dataset_meta": {"classes": classes}}, "state_dict": state}, path)
    return fkit.init_detector(cfg, path)


def test_detections_are_the_reference_s(book: Any, detector: Any, data_folders: tuple[Path, ...]) -> None:
    names = [one["image"] for one in book["results"]]
    paths = [next(folder / name for folder in data_folders if (folder / name).exists()) for name in names]
    found = fkit.inference_detector(detector, [paths[0], cv2.imread(str(paths[1]))])
    assert detector.classes == tuple(book["dataset_meta_classes"])
    for sample, one in zip(found, book["results"], strict=True):
        got = sample.pred_instances
        assert len(got) == one["n"]
        assert list(sample.img_shape) == one["metainfo"]["img_shape"]
        boxes, scores, labels = (np.asarray(one[name]) for name in ("bboxes", "scores", "labels"))
        assert np.abs(np.sort(np.asarray(got.scores)) - np.sort(scores)).max() <= SCORE
        near = [
            any(
                label == labels[at] and np.abs(box - boxes[at]).max() <= PIXEL
                for box, label in zip(np.asarray(got.bboxes), np.asarray(got.labels), strict=True)
            )
            for at in range(len(boxes))
        ]
        assert sum(near) >= 0.98 * len(near), f"{sum(near)} of {len(near)}"


def test_one_picture_gives_one_sample(book: Any, detector: Any, data_folders: tuple[Path, ...], tmp_path: Path) -> None:
    name = book["results"][1]["image"]
    path = next(folder / name for folder in data_folders if (folder / name).exists())
    sample = fkit.inference_detector(detector, path)
    drawn = detector.show_result(path, sample, out_file=tmp_path / "out.png")
    assert (tmp_path / "out.png").exists()
    assert drawn.shape == cv2.imread(str(path)).shape
