"""Rows of the built-in registry: detectors of queries."""

from typing import Any, Final

__all__ = ["DETR"]

# file -> (name, flax's maker)
_FILES: Final = (
    ("attention", (("MultiScaleDeformableAttention", "MultiScaleDeformableAttention"),)),
    (
        "conditional",
        (
            ("ConditionalAttention", "ConditionalAttention"),
            ("ConditionalDETR", "conditional_detr"),
            ("ConditionalDETRHead", "ConditionalDETRHead"),
            ("ConditionalDetrTransformerDecoder", "decoder"),
            ("ConditionalDetrTransformerDecoderLayer", "decoder_layer"),
        ),
    ),
    (
        "dab",
        (
            ("DABDETR", "dab_detr"),
            ("DABDETRHead", "DABDETRHead"),
            ("DABDetrTransformerDecoder", "decoder"),
            ("DABDetrTransformerDecoderLayer", "decoder_layer"),
            ("DABDetrTransformerEncoder", "encoder"),
        ),
    ),
    (
        "deformable",
        (
            ("DeformableDETR", "deformable_detr"),
            ("DeformableDETRHead", "DeformableDETRHead"),
            ("DeformableDetrTransformerDecoder", "decoder"),
            ("DeformableDetrTransformerDecoderLayer", "decoder_layer"),
            ("DeformableDetrTransformerEncoder", "encoder"),
            ("DeformableDetrTransformerEncoderLayer", "encoder_layer"),
        ),
    ),
    ("detector", (("DETR", "detr"),)),
    (
        "dino",
        (
            ("DINO", "dino"),
            ("DINOHead", "DINOHead"),
            ("DinoTransformerDecoder", "decoder"),
        ),
    ),
    ("head", (("DETRHead", "DETRHead"),)),
    (
        "layer",
        (
            ("DetrTransformerDecoder", "decoder"),
            ("DetrTransformerDecoderLayer", "decoder_layer"),
            ("DetrTransformerEncoder", "encoder"),
            ("DetrTransformerEncoderLayer", "encoder_layer"),
        ),
    ),
)

DETR: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.detr.{file}:{target}", backend, None)
    for file, rows in _FILES
    for name, maker in rows
    for backend, room, target in (("torch", "torch", name), ("jax", "flax", maker))
)
