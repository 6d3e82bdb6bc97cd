"""Rows of the built-in registry: heads and detectors."""

from typing import Any, Final

__all__ = ["DETECTOR"]

_HEADS: Final = (
    "ATSSHead",
    "FCOSHead",
    "FSAFHead",
    "FoveaHead",
    "FreeAnchorRetinaHead",
    "GFLHead",
    "PAAHead",
    "RPNHead",
    "RetinaHead",
    "YOLOFHead",
)
_SINGLE: Final = (
    "ATSS",
    "FCOS",
    "FOVEA",
    "FSAF",
    "GFL",
    "PAA",
    "RetinaNet",
    "SingleStageDetector",
    "TOOD",
    "VFNet",
    "YOLOF",
)

_DENSE: Final[tuple[Any, ...]] = (
    *(
        ("models", name, f"fkit.zoo.{room}.dense_head:{name}", backend, None)
        for room, backend in (("torch", "torch"), ("flax", "jax"))
        for name in _HEADS
    ),
    *(("models", name, "fkit.zoo.torch.detector:SingleStageDetector", "torch", None) for name in _SINGLE),
    *(("models", name, "fkit.zoo.flax.detector:single_stage", "jax", None) for name in _SINGLE),
    ("models", "TOODHead", "fkit.zoo.torch.tood:TOODHead", "torch", None),
    ("models", "TOODHead", "fkit.zoo.flax.tood:TOODHead", "jax", None),
    ("models", "VFNetHead", "fkit.zoo.torch.vfnet:VFNetHead", "torch", None),
    ("models", "VFNetHead", "fkit.zoo.flax.vfnet:VFNetHead", "jax", None),
    ("models", "RPN", "fkit.zoo.torch.detector:RPN", "torch", None),
    ("models", "RPN", "fkit.zoo.flax.detector:rpn", "jax", None),
)

_BOX_HEADS = (
    ("BBoxHead", "bbox_head"),
    ("ConvFCBBoxHead", "conv_fc_bbox_head"),
    ("DoubleConvFCBBoxHead", "double_conv_fc_bbox_head"),
    ("Shared2FCBBoxHead", "shared_2fc_bbox_head"),
    ("Shared4Conv1FCBBoxHead", "shared_4conv_1fc_bbox_head"),
)
_ROI_HEADS = (
    ("CascadeRoIHead", "cascade_roi_head"),
    ("DoubleHeadRoIHead", "double_head_roi_head"),
    ("StandardRoIHead", "standard_roi_head"),
)
_TWO_STAGES = tuple(
    (name, "two_stage_detector")
    for name in (
        "CascadeRCNN",
        "FastRCNN",
        "FasterRCNN",
        "HybridTaskCascade",
        "MaskRCNN",
        "MaskScoringRCNN",
        "TwoStageDetector",
    )
)

# torch's rows are classes; flax's modules are made of a config by functions
_REGION: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.{file}:{target}", backend, None)
    for file, rows in (
        ("bbox_head", _BOX_HEADS),
        ("mask_head", (("FCNMaskHead", "fcn_mask_head"),)),
        (
            "hybrid",
            (
                ("FusedSemanticHead", "fused_semantic_head"),
                ("HTCMaskHead", "htc_mask_head"),
                ("HybridTaskCascadeRoIHead", "hybrid_task_cascade_roi_head"),
            ),
        ),
        ("mask_scoring", (("MaskIoUHead", "mask_iou_head"), ("MaskScoringRoIHead", "mask_scoring_roi_head"))),
        ("roi_head", _ROI_HEADS),
        ("shared", (("ResLayer", "ResLayer"),)),
        ("two_stage", _TWO_STAGES),
    )
    for name, maker in rows
    for backend, room, target in (("torch", "torch", name), ("jax", "flax", maker))
)

DETECTOR = (*_DENSE, *_REGION)
