"""Segmentors whose parts do not fit, and masks that are none of theirs: an error that says so on either backend, or what the
reference makes of it."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.data.label import check_targets
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError

BACKENDS = ("torch", "jax")
BODY = {"type": "fkit.ConvNet", "in_channels": 3, "channels": (4, 8), "dropout": 0.0, "out_indices": (0, 1)}
HEAD = {
    "type": "FCNHead", "in_channels": 8, "in_index": 1, "channels": 4, "num_classes": 2, "num_convs": 1, "dropout_ratio": 0.0,
}  # fmt: skip
SEVERAL = {"in_channels": [4, 8], "in_index": [0, 1], "input_transform": "resize_concat"}
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)


def stepped(backend: str, labels: Any, test_cfg: Any = None, **head: Any) -> Any:
    """A segmentor of a few channels after a step on labels, and what the step says."""
    model = {"type": "EncoderDecoder", "backbone": BODY, "decode_head": {**HEAD, **head}, "test_cfg": test_cfg}
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}}
    cfg = fkit.Config({"default_scope": "mmseg", "model": model, "optim_wrapper": wrapper})
    program = fkit.program(cfg, backend=backend, example=IMAGES)
    state, logs = program.train_step(program.init(0), Batch(IMAGES, {"gt_sem_seg": labels}), program.hyperparams())
    return program, state, {name: float(value) for name, value in logs.items()}


def full(label: int) -> Any:
    """Masks of one label."""
    return np.full((2, 16, 16), label)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"in_channels": 7}, "in_channels=7, but map 1 of those that it is given has 8 channels"),
        ({"in_index": 2}, "in_index=2, but it is given 2 maps"),
        ({**SEVERAL, "in_channels": [4, 7]}, "in_channels=7, but map 1"),
        ({**SEVERAL, "in_index": [0, -3]}, "in_index=-3, but it is given 2 maps"),
        ({"loss_decode": {"type": "CrossEntropyLoss", "class_weight": [1.0] * 3}}, "has 3 numbers, and there are 2 classes"),
        ({"loss_decode": {"type": "CrossEntropyLoss", "class_weight": [1.0, -2.0]}}, "none is below 0"),
        ({"loss_decode": [{"type": "DiceLoss"}, {"type": "FocalLoss", "class_weight": [1.0]}]}, "FocalLoss has 1 numbers"),
    ],
)  # fmt: skip
def test_a_head_that_does_not_fit(backend: str, head: dict[str, Any], words: str) -> None:
    with pytest.raises(FkitError, match=words):
        stepped(backend, full(0), **head)


@pytest.mark.parametrize("backend", BACKENDS)
def test_masks_that_are_none_of_the_model_are_refused_before_a_step(backend: str) -> None:
    ranges = stepped(backend, full(255))[0].inventory.labels
    for labels, words in (
        (full(2), "label 2 is none of 2 classes"),
        (full(-1), "label -1 is none of 2 classes"),
        (np.full((2, 16, 16), 254, np.uint8), "label 254 is none of 2 classes"),
        (np.zeros((2, 16, 16)), "labels are whole numbers"),
    ):
        with pytest.raises(FkitError, match=words):
            check_targets(ranges, {"gt_sem_seg": labels})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["CrossEntropyLoss", "FocalLoss", "LovaszLoss", "DiceLoss"])
def test_where_all_pixels_are_ignored_weights_stay_finite(backend: str, kind: str) -> None:
    more = {"CrossEntropyLoss": {"avg_non_ignore": True}, "LovaszLoss": {"reduction": "none"}}
    program, state, logs = stepped(backend, full(255), loss_decode={"type": kind, **more.get(kind, {})})
    # dice counts what is predicted where nothing is asked for, as the reference does
    assert logs["loss"] == pytest.approx(float(kind == "DiceLoss"), abs=1e-6)
    assert all(np.isfinite(one).all() for one in program.collect(state).values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_windows_larger_than_the_picture_are_the_picture(backend: str) -> None:
    slide = {"mode": "slide", "crop_size": (64, 64), "stride": (20, 20)}
    found = [stepped(backend, full(0), test_cfg=cfg) for cfg in (slide, None)]
    one, other = (program.predict(state, Batch(IMAGES))["seg_logits"] for program, state, _ in found)
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)
    with pytest.raises(FkitError, match="pixels between have no window"):
        stepped(backend, full(0), test_cfg={**slide, "stride": (65, 20)})
