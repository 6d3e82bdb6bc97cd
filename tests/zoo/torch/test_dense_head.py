"""Dense heads where there is little to learn from: no objects, objects without area, maps of one place, bad arguments."""

from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.backend.torch.ops import Torch
from fkit.detection.image import shapes_of
from fkit.structures.batch import Samples
from fkit.tree.error import FkitError

OCTAVES = {
    "type": "AnchorGenerator",
    "octave_base_scale": 4,
    "scales_per_octave": 1,
    "ratios": [1.0],
    "strides": [8, 16],
}
IOU = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0}
RANDOM = {"type": "RandomSampler", "num": 8, "pos_fraction": 0.5, "neg_pos_ub": -1, "add_gt_as_proposals": False}
TEST = {
    "nms_pre": 20,
    "min_bbox_size": 0,
    "score_thr": 0.0,
    "nms": {"type": "nms", "iou_threshold": 0.5},
    "max_per_img": 5,
}
SINGLE: dict[str, Any] = {"num_classes": 2, "in_channels": 4, "feat_channels": 4, "stacked_convs": 1}
ADAPTIVE = {"assigner": {"type": "ATSSAssigner", "topk": 3}, "allowed_border": -1, "pos_weight": -1}
GN = {"type": "GN", "num_groups": 2}
HEADS: dict[str, dict[str, Any]] = {
    "rpn": {
        "type": "RPNHead", "in_channels": 4, "feat_channels": 4, "anchor_generator": OCTAVES,
        "train_cfg": {"assigner": IOU, "sampler": RANDOM, "allowed_border": 0, "pos_weight": -1},
    },
    "retina": {**SINGLE, "type": "RetinaHead", "anchor_generator": OCTAVES, "train_cfg": {"assigner": IOU, "allowed_border": -1}},
    "free": {**SINGLE, "type": "FreeAnchorRetinaHead", "anchor_generator": OCTAVES, "pre_anchor_topk": 3},
    "fcos": {**SINGLE, "type": "FCOSHead", "strides": [8, 16], "regress_ranges": [[-1, 32], [32, 1e8]], "norm_cfg": GN},
    "fovea": {**SINGLE, "type": "FoveaHead", "strides": [8, 16], "base_edge_list": [16, 32], "scale_ranges": [[8, 32], [16, 64]], "loss_bbox": {"type": "SmoothL1Loss"}},
    "atss": {**SINGLE, "type": "ATSSHead", "anchor_generator": OCTAVES, "norm_cfg": GN, "train_cfg": ADAPTIVE, "loss_bbox": {"type": "GIoULoss"}},
    "gfl": {
        **SINGLE, "type": "GFLHead", "anchor_generator": OCTAVES, "norm_cfg": GN, "reg_max": 4, "train_cfg": ADAPTIVE,
        "loss_cls": {"type": "QualityFocalLoss", "use_sigmoid": True}, "loss_bbox": {"type": "GIoULoss"},
    },
}  # fmt: skip


def built(name: str, **more: Any) -> Any:
    return fkit.build(
        {**HEADS[name], "test_cfg": TEST, **more}, fkit.registry(), "models", backend="torch", scope="mmdet"
    )


def samples(boxes: Any, valid: Any) -> Samples:
    rows = torch.tensor(boxes, dtype=torch.float32)
    objects = {"bboxes": rows, "labels": torch.ones(rows.shape[:2], dtype=torch.int64)}
    return Samples({"gt_instances": objects}, {"gt_instances": torch.tensor(valid)})


def maps(size: int) -> list[torch.Tensor]:
    draw = np.random.default_rng(0)
    return [
        torch.tensor(draw.standard_normal((2, 4, max(size // stride, 1), max(size // stride, 1))), dtype=torch.float32)
        for stride in (8, 16)
    ]


# the logarithm of a side of 0 is no number in the reference either, where an anchor is forced on such an object
_CASES = [
    (name, what)
    for name in HEADS
    for what in ("nothing", "no area", "one pixel")
    if (name, what) not in (("retina", "no area"), ("free", "no area"))
]


@pytest.mark.parametrize(("name", "what"), _CASES)
def test_losses_and_gradients_are_numbers(name: str, what: str) -> None:
    size = 1 if what == "one pixel" else 32
    box = [[0.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, 20.0]] if what == "no area" else [[0.0, 0.0, 1.0, 1.0]] * 2
    known = samples([box, box], np.full((2, 2), what != "nothing"))
    head, levels = built(name).train(), maps(size)
    shapes = shapes_of(Torch(), None, torch.zeros(2, 3, size, size))
    losses = head.loss(levels, known, shapes)
    parts = [one for value in losses.values() for one in (value if isinstance(value, tuple) else (value,))]
    torch.stack(parts).sum().backward()
    assert all(bool(torch.isfinite(part)) for part in parts)
    assert all(bool(torch.isfinite(one.grad).all()) for one in head.parameters() if one.grad is not None)
    found = head.eval().predict(levels, shapes)
    assert found.bboxes.shape[0] == 2
    assert bool(torch.isfinite(found.bboxes).all())


def test_wrong_arguments_are_told() -> None:
    for name, more in (
        ("rpn", {"num_classes": 2}),
        ("rpn", {"num_convs": 0}),
        ("retina", {"num_classes": 0}),
        ("retina", {"stacked_convs": -1}),
        ("fcos", {"regress_ranges": [[-1, 64]]}),
        ("fovea", {"base_edge_list": [16]}),
        ("gfl", {"reg_max": 0}),
        ("retina", {"anchor_genertor": OCTAVES}),
    ):
        with pytest.raises(FkitError):
            built(name, **more)
    shapes = shapes_of(Torch(), None, torch.zeros(2, 3, 32, 32))
    with pytest.raises(FkitError, match="gt_instances"):
        built("fcos").loss(maps(32), None, shapes)
    with pytest.raises(FkitError, match="test_cfg"):
        built("fcos", test_cfg=None).predict(maps(32), shapes)
