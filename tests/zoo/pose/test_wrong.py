"""Estimators whose codec, head and inputs do not fit one another, and persons of whom nothing is seen: on either backend."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError

BACKENDS = ("torch", "jax")
COUNT = 3
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
POINTS = np.array([[[4, 9], [20, 11], [15, 28]]], np.float32)
BODY = {"type": "fkit.ConvNet", "in_channels": 3, "channels": (4, 8), "dropout": 0.0, "out_indices": (1,)}
MAPS = {"type": "MSRAHeatmap", "input_size": (32, 32), "heatmap_size": (8, 8), "sigma": 1.0}
LINES = {"type": "SimCCLabel", "input_size": (32, 32), "sigma": 4.0, "simcc_split_ratio": 2.0}
PLACES = {"type": "RegressionLabel", "input_size": (32, 32)}
GAU = {
    "hidden_dims": 8, "s": 4, "expansion_factor": 2, "dropout_rate": 0.0, "drop_path": 0.0, "act_fn": "SiLU", "use_rel_bias": False,
    "pos_enc": False,
}  # fmt: skip
SIZES = {"in_channels": 8, "out_channels": COUNT, "input_size": (32, 32), "in_featuremap_size": (8, 8)}
HEADS: dict[str, Any] = {
    "heatmap": {
        "type": "HeatmapHead", "in_channels": 8, "out_channels": COUNT, "deconv_out_channels": None, "deconv_kernel_sizes": None,
        "loss": {"type": "KeypointMSELoss", "use_target_weight": True}, "decoder": MAPS,
    },
    "simcc": {
        "type": "SimCCHead", **SIZES, "deconv_out_channels": None, "loss": {"type": "KLDiscretLoss", "use_target_weight": True},
        "decoder": LINES,
    },
    "rtmcc": {"type": "RTMCCHead", **SIZES, "gau_cfg": GAU, "loss": {"type": "KLDiscretLoss"}, "decoder": LINES},
    "rle": {"type": "RLEHead", "in_channels": 8, "num_joints": COUNT, "loss": {"type": "RLELoss", "use_target_weight": True}, "decoder": PLACES},
    "regression": {
        "type": "RegressionHead", "in_channels": 8, "num_joints": COUNT, "loss": {"type": "SmoothL1Loss", "use_target_weight": True},
        "decoder": PLACES,
    },
}  # fmt: skip


def program(backend: str, name: str, test_cfg: Any = None, **changes: Any) -> Any:
    """An estimator of a few channels."""
    head = {**HEADS[name], **changes}
    neck = {"neck": {"type": "GlobalAveragePooling"}} if "num_joints" in head else {}
    model = {"type": "TopdownPoseEstimator", "backbone": BODY, "head": head, "test_cfg": test_cfg or {}, **neck}
    cfg = {"default_scope": "mmpose", "model": model, "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}}}
    return fkit.program(fkit.Config(cfg), backend=backend, example=IMAGES)


def targets(codec: Any, seen: float = 1.0, count: int = COUNT) -> dict[str, Any]:
    """What GenerateTarget and PackPoseInputs make of a codec's, of two persons."""
    built = fkit.build(codec, fkit.registry(), "codecs", scope="mmpose")
    points = np.resize(POINTS, (1, count, 2))
    encoded = built.encode(points, np.full((1, count), seen, np.float32))
    twice = {name: np.stack([value] * 2) for name, value in encoded.items()}
    maps = {name: twice.pop(name) for name in tuple(twice) if name == "heatmaps"}
    return {"gt_fields": maps, "gt_instance_labels": twice}


def stepped(one: Any, truth: dict[str, Any]) -> tuple[Any, float]:
    """A state after a step, and the loss."""
    state, logs = one.train_step(one.init(0), Batch(IMAGES, truth), one.hyperparams())
    return state, float(logs["loss"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", HEADS)
def test_of_persons_of_whom_nothing_is_seen_nothing_is_learned(name: str, backend: str) -> None:
    one = program(backend, name)
    state, loss = stepped(one, targets(HEADS[name]["decoder"], seen=0.0))
    assert loss == 0
    before, after = one.collect(one.init(0)), one.collect(state)
    head = [path for path in after if path.startswith("params/head")]
    assert head and all(np.array_equal(before[path], after[path]) for path in head)
    assert all(np.isfinite(value).all() for value in after.values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("heatmap", LINES, "SimCCLabel makes keypoints of keypoint_x_labels, keypoint_y_labels, and the head predicts heatmaps"),
        ("heatmap", PLACES, "RegressionLabel makes keypoints of keypoint_labels, and the head predicts heatmaps"),
        ("simcc", MAPS, "MSRAHeatmap makes keypoints of heatmaps"),
        ("rtmcc", PLACES, "RegressionLabel makes keypoints of keypoint_labels"),
        ("regression", MAPS, "MSRAHeatmap makes keypoints of heatmaps, and the head predicts keypoint_labels"),
    ],
)  # fmt: skip
def test_a_decoder_of_another_head(name: str, codec: Any, words: str, backend: str) -> None:
    with pytest.raises(FkitError, match=words):
        program(backend, name, decoder=codec)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "changes", "truth", "words"),
    [
        ("heatmap", {}, targets(LINES), r"learns of targets\['gt_fields'\]\['heatmaps'\]"),
        ("simcc", {}, targets(MAPS), "learns of .*'keypoint_x_labels'"),
        ("heatmap", {}, targets({**MAPS, "heatmap_size": (16, 16)}), r"predicts \(2, 3, 8, 8\), but its targets are \(2, 3, 16, 16\)"),
        ("heatmap", {}, targets(MAPS, count=5), r"its targets are \(2, 5, 8, 8\)"),
        ("simcc", {}, targets({**LINES, "simcc_split_ratio": 3.0}), r"predicts \(2, 3, 64\), but its targets are \(2, 3, 96\)"),
        ("simcc", {"in_featuremap_size": (4, 4)}, targets(LINES), "maps of 64 pixels, but by in_featuremap_size they have 16"),
        ("rtmcc", {"in_featuremap_size": (4, 4)}, targets(LINES), "maps of 64 pixels, but by in_featuremap_size they have 16"),
        ("heatmap", {"in_channels": 9}, targets(MAPS), "HeatmapHead: in_channels=9, but "),
        ("simcc", {"in_channels": 9}, targets(LINES), "SimCCHead: in_channels=9, but "),
        ("rtmcc", {"in_channels": 9}, targets(LINES), "RTMCCHead: in_channels=9, but "),
        ("regression", {"num_joints": 4}, targets(PLACES), "the prediction has the shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit(name: str, changes: Any, truth: Any, words: str, backend: str) -> None:
    with pytest.raises(FkitError, match=words):
        stepped(program(backend, name, **changes), truth)


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_of_another_size_or_of_keypoints_that_are_none(backend: str) -> None:
    twice = {**MAPS, "input_size": (64, 64)}
    for test_cfg, decoder, words in (
        ({}, twice, r"its decoder has input_size=\(64, 64\), but the inputs are \(32, 32\)"),
        ({"output_keypoint_indices": [0, 3]}, MAPS, r"output_keypoint_indices = \[0, 3\], and there are 3 keypoints"),
        ({"flip_test": True}, MAPS, "has no targets"),
    ):
        one = program(backend, "heatmap", test_cfg=test_cfg, decoder=decoder)
        with pytest.raises(FkitError, match=words):
            one.predict(one.init(0), Batch(IMAGES))
