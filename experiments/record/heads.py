"""Records the book ``heads`` of tests/golden: losses, gradients and predictions of mmdet 3.3.0's dense heads alone, on small maps.

    python experiments/record/heads.py tests/golden/books/heads

in an environment with mmdet 3.3.0 and a compiled mmcv 2.1.0 (``nox -s peers`` says how). fkit is not imported. Weights are drawn by
the rule of tests/golden/weights.py under the name ``bbox_head``, maps and objects from seeds. Losses and gradients are in float64
(casts to float32 inside of the heads are lifted where Python can reach them), predictions in float32. Of a gradient the book keeps
its norm and 16 values, of a prediction everything.
"""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import reference  # noqa: F401  before the packages
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))

from mmdet.models.task_modules.prior_generators import AnchorGenerator, MlvlPointGenerator
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine import MessageHub
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from weights import make

FOCAL = {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0}
GN = {"type": "GN", "num_groups": 4, "requires_grad": True}
GIOU = {"type": "GIoULoss", "loss_weight": 2.0}
STRIDES = [8, 16, 32]
OCTAVES = {
    "type": "AnchorGenerator",
    "octave_base_scale": 4,
    "scales_per_octave": 3,
    "ratios": [0.5, 1.0, 2.0],
    "strides": STRIDES,
}
SINGLE = {
    "type": "AnchorGenerator",
    "ratios": [1.0],
    "octave_base_scale": 8,
    "scales_per_octave": 1,
    "strides": STRIDES,
}
DELTA = {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [0.1, 0.1, 0.2, 0.2]}
RANGES = [[-1, 32], [32, 64], [64, 1e8]]
IOU = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0, "ignore_iof_thr": -1}
ADAPTIVE = {"type": "ATSSAssigner", "topk": 9}
NMS = {"type": "nms", "iou_threshold": 0.6}
TEST = {"nms_pre": 40, "min_bbox_size": 0, "score_thr": 0.05, "nms": NMS, "max_per_img": 30}
SIZE = (96, 128)
METAS = [
    {"img_shape": (90, 128), "pad_shape": SIZE, "batch_input_shape": SIZE, "scale_factor": (2.0, 2.0)},
    {"img_shape": (96, 120), "pad_shape": SIZE, "batch_input_shape": SIZE, "scale_factor": (1.5, 1.5)},
]


def head(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "num_classes": 3, "in_channels": 8, "feat_channels": 8, "stacked_convs": 1, **more}


def training(assigner: Any, **more: Any) -> dict[str, Any]:
    return {"assigner": assigner, "allowed_border": -1, "pos_weight": -1, **more}


TASK = head(
    "TOODHead", anchor_generator=SINGLE, norm_cfg=GN, loss_bbox=GIOU, initial_loss_cls={**FOCAL, "activated": True},
    loss_cls={"type": "QualityFocalLoss", "use_sigmoid": True, "activated": True, "beta": 2.0, "loss_weight": 1.0},
) | {"stacked_convs": 2, "feat_channels": 16, "in_channels": 8}  # fmt: skip
ALIGNED = training(
    {"type": "TaskAlignedAssigner", "topk": 7}, initial_epoch=0, initial_assigner=ADAPTIVE, alpha=1, beta=6
)

CASES: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "retina": (
        head("RetinaHead", anchor_generator=OCTAVES, loss_cls=FOCAL, loss_bbox={"type": "L1Loss"}),
        training(IOU),
        TEST,
    ),
    "retina/decoded": (
        head(
            "RetinaHead", anchor_generator=OCTAVES, norm_cfg=GN, reg_decoded_bbox=True, loss_cls=FOCAL, loss_bbox=GIOU
        ),
        training(IOU, allowed_border=0, pos_weight=2.0),
        {**TEST, "nms": {"type": "soft_nms", "iou_threshold": 0.5}},
    ),
    "retina/softmax": (
        head(
            "RetinaHead",
            anchor_generator=OCTAVES,
            loss_cls={"type": "CrossEntropyLoss", "use_sigmoid": False},
            loss_bbox={"type": "SmoothL1Loss", "beta": 0.11},
        ),
        training(IOU),
        TEST,
    ),
    "fcos": (
        head(
            "FCOSHead",
            strides=STRIDES,
            regress_ranges=RANGES,
            norm_cfg=GN,
            loss_cls=FOCAL,
            loss_bbox={"type": "IoULoss"},
        ),
        None,
        TEST,
    ),
    "fcos/tricks": (
        head(
            "FCOSHead", strides=STRIDES, regress_ranges=RANGES, norm_cfg=GN, norm_on_bbox=True, centerness_on_reg=True,
            center_sampling=True, conv_bias=True, loss_cls=FOCAL, loss_bbox=GIOU,
        ),
        None,
        TEST,
    ),
    "atss": (
        head("ATSSHead", anchor_generator=SINGLE, norm_cfg=GN, bbox_coder=DELTA, loss_cls=FOCAL, loss_bbox=GIOU),
        training(ADAPTIVE),
        TEST,
    ),
    "gfl": (
        head(
            "GFLHead", anchor_generator=SINGLE, norm_cfg=GN, reg_max=8, loss_bbox=GIOU,
            loss_cls={"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0, "loss_weight": 1.0},
            loss_dfl={"type": "DistributionFocalLoss", "loss_weight": 0.25},
        ),
        training(ADAPTIVE),
        TEST,
    ),
    "fovea": (
        head(
            "FoveaHead", strides=STRIDES, base_edge_list=[16, 32, 64], scale_ranges=[[8, 32], [16, 64], [32, 128]],
            loss_cls=FOCAL, loss_bbox={"type": "SmoothL1Loss", "beta": 0.11},
        ),
        None,
        TEST,
    ),
    "vfnet": (
        head(
            "VFNetHead", strides=STRIDES, regress_ranges=RANGES, norm_cfg=GN, anchor_generator={**SINGLE, "center_offset": 0.0},
            loss_bbox={"type": "GIoULoss", "loss_weight": 1.5}, loss_bbox_refine=GIOU,
        ),
        training(ADAPTIVE),
        TEST,
    ),
    "retina/ghm": (
        head(
            "RetinaHead",
            anchor_generator=OCTAVES,
            loss_cls={"type": "GHMC", "bins": 10, "momentum": 0.75, "use_sigmoid": True, "loss_weight": 1.0},
            loss_bbox={"type": "GHMR", "mu": 0.5, "bins": 10, "momentum": 0.7, "loss_weight": 10.0},
        ),
        training(IOU),
        TEST,
    ),
    "fsaf": (
        head(
            "FSAFHead", anchor_generator={**SINGLE, "octave_base_scale": 1}, reg_decoded_bbox=True,
            bbox_coder={"type": "TBLRBBoxCoder", "normalizer": 4.0}, loss_cls={**FOCAL, "reduction": "none"},
            loss_bbox={"type": "IoULoss", "eps": 1e-6, "loss_weight": 1.0, "reduction": "none"},
        ),
        training({"type": "CenterRegionAssigner", "pos_scale": 0.5, "neg_scale": 0.7, "min_pos_iof": 0.01}),
        TEST,
    ),
    "paa": (
        head(
            "PAAHead", anchor_generator=SINGLE, norm_cfg=GN, bbox_coder=DELTA, topk=5, loss_cls=FOCAL,
            loss_bbox={"type": "GIoULoss", "loss_weight": 1.3},
            loss_centerness={"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 0.5},
        ),
        training({**IOU, "pos_iou_thr": 0.1, "neg_iou_thr": 0.1}),
        TEST,
    ),
    "paa/tied": (
        head(
            "PAAHead", anchor_generator=SINGLE, norm_cfg=GN, bbox_coder=DELTA, covariance_type="tied", score_voting=False,
            loss_cls=FOCAL, loss_bbox=GIOU,
        ),
        training({**IOU, "pos_iou_thr": 0.1, "neg_iou_thr": 0.1}, pos_weight=2.0),
        {**TEST, "nms_pre": -1},
    ),
    "tood": (TASK, {**ALIGNED, "assigner": {"type": "TaskAlignedAssigner", "topk": 60}, "alpha": 0.5, "beta": 1}, TEST),
    "tood/first": (TASK, {**ALIGNED, "initial_epoch": 4}, TEST),
    "tood/anchor": (
        {**TASK, "anchor_type": "anchor_based", "bbox_coder": DELTA},
        {**ALIGNED, "pos_weight": 2.0, "allowed_border": 0},
        TEST,
    ),
    "yolof": (
        {
            "type": "YOLOFHead", "num_classes": 3, "in_channels": 8, "num_cls_convs": 1, "num_reg_convs": 2, "norm_cfg": GN,
            "reg_decoded_bbox": True, "loss_cls": FOCAL, "loss_bbox": GIOU,
            "anchor_generator": {"type": "AnchorGenerator", "ratios": [1.0], "scales": [2, 4, 6], "strides": [8]},
            "bbox_coder": {**DELTA, "target_stds": [1.0] * 4, "add_ctr_clamp": True, "ctr_clamp": 32},
        },
        training({"type": "UniformAssigner", "pos_ignore_thr": 0.15, "neg_ignore_thr": 0.7}),
        TEST,
    ),
    # of anchors that overlap an object equally the reference takes any: in bags of three none do here
    "free_anchor": (
        head(
            "FreeAnchorRetinaHead", anchor_generator=OCTAVES, bbox_coder=DELTA, pre_anchor_topk=3, bbox_thr=0.3,
            loss_bbox={"type": "SmoothL1Loss", "beta": 0.11, "loss_weight": 0.75},
        ),
        training(IOU),
        TEST,
    ),
}  # fmt: skip


def inputs() -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Maps of each level, and boxes and labels of each image."""
    draw = np.random.default_rng(0)
    maps = [draw.standard_normal((2, 8, -(-SIZE[0] // stride), -(-SIZE[1] // stride))) for stride in STRIDES]
    objects: list[tuple[np.ndarray, np.ndarray]] = []
    for count in (4, 2):
        corner, size = draw.uniform(0, 60, (count, 2)), draw.uniform(16, 64, (count, 2))
        boxes = np.concatenate([corner, np.minimum(corner + size, [126, 94])], 1).astype(np.float32)
        objects.append((boxes.astype(np.float64), draw.integers(0, 3, count)))
    return maps, objects


def widened() -> Callable[[], None]:
    """Let the heads compute in float64; what undoes it."""
    kept = (torch.Tensor.float, torch.float, AnchorGenerator.grid_priors, MlvlPointGenerator.grid_priors)

    def wide(old: Any) -> Any:
        return lambda self, *args, **more: [level.double() for level in old(self, *args, **more)]

    torch.Tensor.float = lambda self, *args, **more: self if self.dtype == torch.float64 else kept[0](self)
    torch.float = torch.float64
    AnchorGenerator.grid_priors, MlvlPointGenerator.grid_priors = wide(kept[2]), wide(kept[3])

    def undo() -> None:
        torch.Tensor.float, torch.float, AnchorGenerator.grid_priors, MlvlPointGenerator.grid_priors = kept

    return undo


def sampled(array: np.ndarray) -> list[float]:
    flat = array.reshape(-1)
    return [float(np.linalg.norm(flat)), *flat[:: max(flat.size // 16, 1)][:16].tolist()]


def trained(module: Any) -> dict[str, Any]:
    """Losses and gradients, in float64."""
    maps, objects = inputs()
    module.double().train()
    levels = module.prior_generator.num_levels
    tensors = tuple(torch.tensor(level, requires_grad=True) for level in maps[:levels])
    truth = [InstanceData(bboxes=torch.tensor(boxes), labels=torch.tensor(labels)) for boxes, labels in objects]
    undo = widened()
    try:
        losses = module.loss_by_feat(*module(tensors), truth, METAS)
    finally:
        undo()
    listed = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in losses.items()}
    sum(one.mean() for values in listed.values() for one in values).backward()
    gradients = {f"map{at}": tensor.grad for at, tensor in enumerate(tensors)}
    gradients.update((name, parameter.grad) for name, parameter in module.named_parameters())
    return {
        "losses": {
            name: [float(one) for one in value] if isinstance(value, (list, tuple)) else float(value)
            for name, value in losses.items()
        },
        "gradients": {name: sampled(one.numpy()) for name, one in gradients.items() if one is not None},
    }


def predicted(module: Any) -> list[dict[str, Any]]:
    """The boxes of each image, in float32."""
    module.float().eval()
    with torch.no_grad():
        maps = inputs()[0][: module.prior_generator.num_levels]
        outputs = module(tuple(torch.tensor(level, dtype=torch.float32) for level in maps))
        found = module.predict_by_feat(*outputs, batch_img_metas=METAS, rescale=True)
    names = ("bboxes", "scores", "labels")
    return [{name: np.asarray(one[name]).round(5).tolist() for name in names} for one in found]


def recorded(name: str) -> dict[str, Any]:
    config, train, test = copy.deepcopy(CASES[name])
    module = MODELS.build(ConfigDict(**config, train_cfg=train, test_cfg=test))
    state = module.state_dict()
    for entry, tensor in state.items():
        if tensor.is_floating_point() and not entry.endswith(("project", "edges", "acc_sum")):
            state[entry] = torch.from_numpy(np.array(make(f"bbox_head.{entry}", tuple(tensor.shape))))
    module.load_state_dict(state)
    shapes = {entry: list(tensor.shape) for entry, tensor in state.items()}
    out = {"state": shapes, **trained(module), "predictions": predicted(module)}
    return {"id": name, "head": config, "train_cfg": train, "test_cfg": test, "out": out}


def main() -> int:
    register_all_modules(True)
    MessageHub.get_current_instance().update_info("epoch", 0)  # what TOOD asks
    torch.set_num_threads(1)
    cases = [recorded(name) for name in CASES]
    path = Path(sys.argv[1]).with_suffix(".json")
    path.write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
