"""Records the book ``rois`` of tests/golden: losses, gradients and predictions of mmdet 3.3.0's heads of regions, on small maps.

    python experiments/record/rois.py tests/golden/books/rois [CASE ...]

in an environment with mmdet 3.3.0 and a compiled mmcv 2.1.0 (``nox -s peers`` says how). fkit is not imported. With names of cases
only these are recorded, the others stay. Weights are drawn by the rule of tests/golden/weights.py under the name ``roi_head``, maps,
proposals and objects from seeds. Samplers take all that there is, so that nothing is drawn. Losses and gradients are in float64 (as
in heads.py), predictions in float32.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heads import sampled, widened
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData, PixelData
from weights import make

STRIDES, SIZE, CLASSES = [4, 8, 16, 32], (64, 96), 3
SHAPES, SCALES = [(60, 96), (64, 90)], [(2.0, 2.0), (1.5, 1.5)]
ASSIGNER = {"type": "MaxIoUAssigner", "match_low_quality": True, "ignore_iof_thr": -1}
SAMPLER = {"type": "RandomSampler", "num": 64, "pos_fraction": 0.5, "neg_pos_ub": -1, "add_gt_as_proposals": True}


def settings(threshold: float = 0.5, **more: Any) -> dict[str, Any]:
    assigner = {**ASSIGNER, "pos_iou_thr": threshold, "neg_iou_thr": threshold, "min_pos_iou": threshold}
    return {"assigner": assigner, "sampler": SAMPLER, "mask_size": 8, "pos_weight": -1, **more}


TEST = {"score_thr": 0.05, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 10, "mask_thr_binary": 0.5}


def extractor(size: int, **more: Any) -> dict[str, Any]:
    layer = {"type": "RoIAlign", "output_size": size, "sampling_ratio": 0}
    mine = {"type": "SingleRoIExtractor", "out_channels": 8, "featmap_strides": STRIDES, "roi_layer": layer}
    return {**mine, **more}


def box(**more: Any) -> dict[str, Any]:
    coder = {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [0.1, 0.1, 0.2, 0.2]}
    mine = {"type": "Shared2FCBBoxHead", "in_channels": 8, "fc_out_channels": 16, "roi_feat_size": 4}
    return {**mine, "num_classes": CLASSES, "bbox_coder": coder, "loss_bbox": {"type": "SmoothL1Loss"}, **more}


def mask(kind: str = "FCNMaskHead", **more: Any) -> dict[str, Any]:
    return {"type": kind, "num_convs": 1, "in_channels": 8, "conv_out_channels": 8, "num_classes": CLASSES, **more}


def head(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "bbox_roi_extractor": extractor(4), "bbox_head": box(), **more}


def masked(kind: str, **more: Any) -> dict[str, Any]:
    return head(kind, **{"mask_roi_extractor": extractor(4), "mask_head": mask(), **more})


IOU = {
    "type": "MaskIoUHead", "num_convs": 2, "num_fcs": 1, "roi_feat_size": 4, "in_channels": 8, "conv_out_channels": 8,
    "fc_out_channels": 8, "num_classes": CLASSES,
}  # fmt: skip
SEMANTIC = {
    "type": "FusedSemanticHead", "num_ins": 4, "fusion_level": 1, "seg_scale_factor": 1 / 8, "num_convs": 1, "in_channels": 8,
    "conv_out_channels": 8, "num_classes": 5,
    "loss_seg": {"type": "CrossEntropyLoss", "ignore_index": 255, "loss_weight": 0.2},
}  # fmt: skip


def cascade(kind: str, masks: list[Any], **more: Any) -> dict[str, Any]:
    boxes = [box(reg_class_agnostic=True), box(reg_class_agnostic=True)]
    options = {"num_stages": 2, "stage_loss_weights": [1, 0.5], "bbox_head": boxes, "mask_head": masks}
    return masked(kind, **options, **more)


HYBRID = [mask("HTCMaskHead", with_conv_res=at > 0) for at in range(2)]
STAGES = [settings(0.5), settings(0.6)]
PRE = {"type": "ConvModule", "in_channels": 8, "out_channels": 8, "kernel_size": 5, "padding": 2, "inplace": False}
ATTENTION = {
    "type": "GeneralizedAttention", "in_channels": 8, "spatial_range": -1, "num_heads": 2, "attention_type": "0100",
    "kv_stride": 2,
}  # fmt: skip
GENERIC = {"type": "GenericRoIExtractor", "aggregation": "sum", "pre_cfg": PRE}
NORMED = {"type": "BN", "requires_grad": True}
# head, train_cfg, test_cfg
CASES: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "mask": (masked("StandardRoIHead"), settings(), TEST),
    "scoring": (masked("MaskScoringRoIHead", mask_iou_head=IOU), settings(mask_thr_binary=0.5), TEST),
    "htc": (
        cascade(
            "HybridTaskCascadeRoIHead", HYBRID, interleaved=True, mask_info_flow=True, semantic_head=SEMANTIC,
            semantic_roi_extractor=extractor(8, featmap_strides=[8]),
        ),
        STAGES,
        TEST,
    ),
    "htc/apart": (
        cascade("HybridTaskCascadeRoIHead", HYBRID, interleaved=False, mask_info_flow=True), STAGES, TEST
    ),
    "generic": (
        masked(
            "StandardRoIHead", bbox_roi_extractor=extractor(4, **GENERIC, post_cfg=ATTENTION),
            mask_roi_extractor=extractor(4, **GENERIC, post_cfg={"type": "NonLocal2d", "in_channels": 8}),
        ),
        settings(),
        TEST,
    ),
    "normed": (
        masked(
            "StandardRoIHead", mask_head=mask(norm_cfg=NORMED),
            bbox_head=box(type="Shared4Conv1FCBBoxHead", conv_out_channels=8, norm_cfg=NORMED),
        ),
        settings(),
        TEST,
    ),
}  # fmt: skip


def inputs() -> dict[str, Any]:
    """Maps of each level; and of each image proposals, boxes, labels and masks of objects, and classes of pixels."""
    draw = np.random.default_rng(0)
    maps = [draw.standard_normal((2, 8, SIZE[0] // stride, SIZE[1] // stride)) for stride in STRIDES]
    images: list[dict[str, Any]] = []
    for count, others in ((3, 6), (2, 9)):
        corner, size = draw.uniform(0, 30, (count, 2)), draw.uniform(12, 50, (count, 2))
        boxes = np.concatenate([corner, np.minimum(corner + size, [88, 58])], 1)
        near = np.concatenate([boxes + draw.normal(0, 2.5, boxes.shape) for _ in range(2)])
        corner, size = draw.uniform(0, 50, (others, 2)), draw.uniform(4, 40, (others, 2))
        far = np.concatenate([corner, corner + size], 1)
        proposals = np.clip(np.concatenate([near, far]), 0, [90, 60, 90, 60])
        masks = np.zeros((count, *SIZE), np.uint8)
        for at, (x1, y1, x2, y2) in enumerate(boxes.round().astype(int)):
            masks[at, y1:y2, x1:x2] = draw.random((y2 - y1, x2 - x1)) < 0.8
        images.append(
            {
                "proposals": proposals.astype(np.float32).astype(np.float64),
                "bboxes": boxes.astype(np.float32).astype(np.float64),
                "labels": draw.integers(0, CLASSES, count),
                "masks": masks,
                "sem_seg": draw.integers(0, 5, (1, *SIZE)),
            }
        )
    return {"maps": maps, "images": images}


def samples(images: list[dict[str, Any]], kind: torch.dtype) -> tuple[list[InstanceData], list[DetDataSample]]:
    proposals, several = [], []
    for image, shape, scale in zip(images, SHAPES, SCALES, strict=True):
        boxes = torch.tensor(image["proposals"], dtype=kind)
        proposals.append(InstanceData(bboxes=boxes, scores=boxes[:, 0] * 0))
        original = tuple(int(side / by) for side, by in zip(shape, scale, strict=True))
        sample = DetDataSample(
            metainfo={"img_shape": shape, "pad_shape": SIZE, "batch_input_shape": SIZE, "scale_factor": scale, "ori_shape": original}
        )  # fmt: skip
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(image["bboxes"], dtype=kind),
            labels=torch.tensor(image["labels"]),
            masks=BitmapMasks(image["masks"], *SIZE),
        )
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4, dtype=kind), labels=torch.zeros(0).long())
        sample.gt_sem_seg = PixelData(sem_seg=torch.tensor(image["sem_seg"]))
        several.append(sample)
    return proposals, several


def trained(module: Any) -> dict[str, Any]:
    """Losses, gradients and buffers after it, in float64."""
    known = inputs()
    module.double().train()
    tensors = tuple(torch.tensor(level, requires_grad=True) for level in known["maps"])
    undo = widened()
    try:
        losses = module.loss(tensors, *samples(known["images"], torch.float64))
    finally:
        undo()
    sum(value.mean() for name, value in losses.items() if "loss" in name).backward()
    gradients = {f"map{at}": tensor.grad for at, tensor in enumerate(tensors)}
    gradients.update((name, parameter.grad) for name, parameter in module.named_parameters())
    buffers = {name: value for name, value in module.named_buffers() if name.endswith(("running_mean", "running_var"))}
    return {
        "losses": {name: float(value) for name, value in losses.items()},
        "gradients": {name: sampled(one.numpy()) for name, one in gradients.items() if one is not None},
        "buffers": {name: sampled(value.numpy()) for name, value in buffers.items()},
    }


def predicted(module: Any) -> list[dict[str, Any]]:
    """The objects of each image, in float32: boxes, scores, labels, and how many pixels a mask has."""
    module.float().eval()
    known = inputs()
    with torch.no_grad():
        maps = tuple(torch.tensor(level, dtype=torch.float32) for level in known["maps"])
        found = module.predict(maps, *samples(known["images"], torch.float32), rescale=True)
    out = [{name: np.asarray(one[name]).round(5).tolist() for name in ("bboxes", "scores", "labels")} for one in found]
    for record, one in zip(out, found, strict=True):
        if "masks" in one:
            record["areas"] = one.masks.numpy().sum((1, 2)).tolist()
    return out


def recorded(name: str) -> dict[str, Any]:
    config, train, test = json.loads(json.dumps(CASES[name]))
    module = MODELS.build(ConfigDict(**config, train_cfg=train, test_cfg=test))
    state = module.state_dict()
    for entry, tensor in state.items():
        if tensor.is_floating_point():
            state[entry] = torch.from_numpy(np.array(make(f"roi_head.{entry}", tuple(tensor.shape))))
    module.load_state_dict(state)
    shapes = {entry: list(tensor.shape) for entry, tensor in state.items()}
    out = {"state": shapes, "predictions": predicted(module), **trained(module)}
    return {"id": name, "head": config, "train_cfg": train, "test_cfg": test, "out": out}


def main() -> int:
    register_all_modules(True)
    torch.set_num_threads(1)
    path, names = Path(sys.argv[1]).with_suffix(".json"), sys.argv[2:]
    known: dict[str, Any] = {}
    if names:
        known = {case["id"]: case for case in json.loads(path.read_text(encoding="utf-8"))["cases"]}
    known |= {name: recorded(name) for name in names or CASES}
    cases = [known[name] for name in CASES]
    path.write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
