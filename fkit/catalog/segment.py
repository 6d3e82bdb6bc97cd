"""Rows of the built-in registry: segmentors, their heads, losses and samplers."""

from typing import Any, Final

__all__ = ["SEGMENT"]

_LOSSES: Final[tuple[Any, ...]] = (
    *(
        ("models", name, f"fkit.segmentation.loss.{file}:{name}", None, scope)
        for file, names in (
            ("entropy", ("CrossEntropyLoss", "FocalLoss", "OhemCrossEntropy")),
            ("region", ("BoundaryLoss", "DiceLoss", "LovaszLoss", "TverskyLoss")),
        )
        for name in names
        for scope in ("mmseg",)
    ),
    *(
        ("models", name, f"fkit.segmentation.loss.{file}:{name}", None, None)
        for file, name in (
            ("entropy", "OhemCrossEntropy"),
            ("region", "BoundaryLoss"),
            ("region", "LovaszLoss"),
            ("region", "TverskyLoss"),
        )
    ),
    ("task_utils", "OHEMPixelSampler", "fkit.segmentation.sampler:OHEMPixelSampler", None, None),
)

_HEADS: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.segment.{file}:{name}", backend, None)
    for room, backend in (("torch", "torch"), ("flax", "jax"))
    for file, names in (
        ("attend", ("ANNHead", "DAHead", "ISAHead", "OCRHead", "PSAHead")),
        ("bases", ("EMAHead",)),
        ("context", ("APCHead", "CCHead", "CrissCrossAttention", "DMHead", "DNLHead", "EncHead", "GCHead", "NLHead")),
        ("dense", ("DPTHead",)),
        ("kernel", ("KernelUpdator",)),
        ("neck", ("Feature2Pyramid", "JPU", "MLANeck", "MultiLevelNeck")),
        ("plain", ("FPNHead", "LRASPPHead", "SETRMLAHead", "SETRUPHead", "SegformerHead")),
        ("realtime", ("DDRHead", "PIDHead", "STDCHead")),
        ("vit", ("SegmenterMaskTransformerHead",)),
        ("head", ("DepthwiseSeparableFCNHead", "FCNHead")),
        ("pyramid", ("ASPPHead", "DepthwiseSeparableASPPHead", "PSPHead", "UPerHead")),
    )
    for name in names
)

_BACKBONES: Final[tuple[Any, ...]] = (
    ("models", "MixVisionTransformer", "fkit.zoo.torch.backbone.mit:MixVisionTransformer", "torch", None),
    ("models", "MixVisionTransformer", "fkit.zoo.flax.backbone.mit:mix_vision_transformer", "jax", None),
    ("models", "VisionTransformer", "fkit.zoo.torch.segment.vit:VisionTransformer", "torch", "mmseg"),
    ("models", "VisionTransformer", "fkit.zoo.flax.segment.vit:VisionTransformer", "jax", "mmseg"),
    ("models", "UNet", "fkit.zoo.torch.backbone.unet:UNet", "torch", None),
    ("models", "UNet", "fkit.zoo.flax.backbone.unet:UNet", "jax", None),
)

_SEGMENTORS: Final[tuple[Any, ...]] = (
    ("models", "IterativeDecodeHead", "fkit.zoo.torch.segment.kernel:IterativeDecodeHead", "torch", None),
    ("models", "IterativeDecodeHead", "fkit.zoo.flax.segment.kernel:iterative_decode_head", "jax", None),
    ("models", "KernelUpdateHead", "fkit.zoo.torch.segment.kernel:KernelUpdateHead", "torch", None),
    ("models", "KernelUpdateHead", "fkit.zoo.flax.segment.kernel:kernel_update_head", "jax", None),
    ("models", "EncoderDecoder", "fkit.zoo.torch.segment.segmentor:EncoderDecoder", "torch", None),
    ("models", "EncoderDecoder", "fkit.zoo.flax.segment.segmentor:encoder_decoder", "jax", None),
    ("models", "CascadeEncoderDecoder", "fkit.zoo.torch.segment.segmentor:CascadeEncoderDecoder", "torch", None),
    ("models", "CascadeEncoderDecoder", "fkit.zoo.flax.segment.segmentor:cascade_encoder_decoder", "jax", None),
)

SEGMENT = (*_LOSSES, *_HEADS, *_BACKBONES, *_SEGMENTORS)
