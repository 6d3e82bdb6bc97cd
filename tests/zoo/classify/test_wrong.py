"""Classifiers whose parts and labels do not fit: one clear error on either backend."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError

IMAGES = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
LABELS = np.array([0, 1, 2, 1])
CROSS: dict[str, Any] = {"type": "CrossEntropyLoss"}


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"in_channels": 9}, "in_channels=9, but the"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"cal_acc": True, "topk": (1, 5)}, r"topk=\(1, 5\), and there are 3 classes"),
        ({"loss": {**CROSS, "class_weight": [1.0, 2.0]}}, "class_weight has 2 numbers for 3 classes"),
        (
            {"loss": {"type": "LabelSmoothLoss", "label_smooth_val": 0.1, "num_classes": 7}},
            "num_classes=7, but there are 3",
        ),
    ],
)
def test_a_head_that_does_not_fit(backend: str, head: dict[str, Any], words: str) -> None:
    model = {
        "type": "ImageClassifier",
        "backbone": {"type": "fkit.ConvNet", "in_channels": 3, "channels": (4, 8), "dropout": 0.0},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 8, "loss": CROSS, **head},
    }
    cfg = {"default_scope": "mmpretrain", "model": model, "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}}}
    with pytest.raises(FkitError, match=words):
        one = fkit.program(fkit.Config(cfg), backend=backend, example=IMAGES)
        one.train_step(one.init(0), Batch(IMAGES, {"gt_label": LABELS}), one.hyperparams())
