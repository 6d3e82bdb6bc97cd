"""The persons of recorded pose estimators: what a batch tells of them, made by the kit's transforms of recorded boxes and keypoints."""

from typing import Any

import numpy as np

import fkit
from fkit.data.collate import collate
from tests.golden.network import Book

# of annotations of COCO: x, y, visibility
KEYPOINTS = {
    442619: (
        (367, 81, 2), (374, 73, 2), (360, 75, 2), (386, 78, 2), (356, 81, 2), (399, 108, 2), (358, 129, 2), (433, 142, 2),
        (341, 159, 2), (449, 165, 2), (309, 178, 2), (424, 203, 2), (393, 214, 2), (429, 294, 2), (367, 273, 2),
        (466, 362, 2), (396, 341, 2),
    )
}  # fmt: skip
# by which COCO's data set weighs its keypoints
WEIGHTS = (1, 1, 1, 1, 1, 1, 1, 1.2, 1.2, 1.5, 1.5, 1, 1, 1.2, 1.2, 1.5, 1.5)


def where(book: Book) -> dict[str, np.ndarray]:
    """Which parts of the pictures the test's inputs are, and each keypoint's partner."""
    records = book.facts["test"]
    return {
        "input_center": np.array([one["input_center"] for one in records], np.float32),
        "input_scale": np.array([one["input_scale"] for one in records], np.float32),
        "flip_indices": np.array([book.facts["flip_indices"]] * len(records)),
    }


def persons(book: Book) -> tuple[dict[str, Any], dict[str, Any]]:
    """Targets and valid of the training pictures, by the recorded pipeline, whose picture is of no account here."""
    steps = [
        fkit.registry().build("transforms", step, scope=book.scope)
        for step in book.facts["train_pipeline"]
        if step["type"] not in ("LoadImage", "PhotometricDistortion")
    ]
    samples: list[Any] = []
    for one in book.facts["train"]["images"]:
        height, width = one.get("ori_shape", (425, 640))
        points = np.array(KEYPOINTS[int(one["keypoints"].split()[-1])], np.float32)[None]
        sample: Any = {
            "img": np.zeros((height, width, 3), np.uint8),
            "img_shape": (height, width),
            "bbox": np.array([one["bbox_xyxy"]], np.float32),
            "keypoints": points[..., :2],
            "keypoints_visible": np.minimum(1, points[..., 2]),
            "dataset_keypoint_weights": np.array(WEIGHTS, np.float32),
        }
        for step in steps:
            sample = step(sample)
        samples.append(sample)
    batch = collate(samples)
    return {**batch.targets}, {**batch.valid}
