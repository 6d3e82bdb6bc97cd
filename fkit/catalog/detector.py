"""Rows of the built-in registry: heads and detectors."""

from typing import Any, Final

__all__ = ["DETECTOR"]

_DENSE: Final[tuple[Any, ...]] = ()

_BOX_HEADS = (
    ("BBoxHead", "bbox_head"),
    ("ConvFCBBoxHead", "conv_fc_bbox_head"),
    ("DoubleConvFCBBoxHead", "double_conv_fc_bbox_head"),
    ("Shared2FCBBoxHead", "shared_2fc_bbox_head"),
    ("Shared4Conv1FCBBoxHead", "shared_4conv_1fc_bbox_head"),
)

# torch's rows are classes; flax's modules are made of a config by functions
_REGION: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.{file}:{target}", backend, None)
    for file, rows in (("bbox_head", _BOX_HEADS),)
    for name, maker in rows
    for backend, room, target in (("torch", "torch", name), ("jax", "flax", maker))
)

DETECTOR = (*_DENSE, *_REGION)
