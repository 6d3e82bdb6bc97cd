"""Rows of the built-in registry: layers, necks and backbones."""

from typing import Any, Final

__all__ = ["VISION"]

_NECKS: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.{file}:{name}", backend, None)
    for room, backend in (("torch", "torch"), ("flax", "jax"))
    for file, names in (
        ("brick", ("ConvModule", "DepthwiseSeparableConvModule")),
        ("csp", ("CSPNeXtPAFPN", "YOLOXPAFPN")),
        ("fpn", ("FPN", "PAFPN")),
        ("general_attention", ("GeneralizedAttention",)),
        ("neck", ("BFP", "ChannelMapper", "DilatedEncoder", "HRFPN", "SSDNeck", "YOLOV3Neck")),
        ("plugin", ("ContextBlock", "NonLocal2d")),
    )
    for name in names
)

_BACKBONES: Final[tuple[Any, ...]] = (
    ("models", "SwinTransformer", "fkit.zoo.torch.swin:SwinTransformer", "torch", None),
    ("models", "SwinTransformer", "fkit.zoo.flax.swin:SwinTransformer", "jax", None),
    ("models", "PyramidVisionTransformer", "fkit.zoo.torch.pvt:PyramidVisionTransformer", "torch", None),
    ("models", "PyramidVisionTransformer", "fkit.zoo.flax.pvt:PyramidVisionTransformer", "jax", None),
    ("models", "PyramidVisionTransformerV2", "fkit.zoo.torch.pvt:PyramidVisionTransformerV2", "torch", None),
    ("models", "PyramidVisionTransformerV2", "fkit.zoo.flax.pvt:PyramidVisionTransformerV2", "jax", None),
    ("models", "Res2Net", "fkit.zoo.torch.res2net:Res2Net", "torch", "mmdet"),
    ("models", "Res2Net", "fkit.zoo.flax.res2net:Res2Net", "jax", "mmdet"),
    ("models", "Res2Net", "fkit.zoo.torch.res2net:LastRes2Net", "torch", "mmpretrain"),
    ("models", "Res2Net", "fkit.zoo.flax.res2net:LastRes2Net", "jax", "mmpretrain"),
    ("models", "HRNet", "fkit.zoo.torch.hrnet:HRNet", "torch", None),
    ("models", "HRNet", "fkit.zoo.flax.hrnet:HRNet", "jax", None),
    ("models", "HRNet", "fkit.zoo.torch.hrnet:DetHRNet", "torch", "mmdet"),
    ("models", "HRNet", "fkit.zoo.flax.hrnet:DetHRNet", "jax", "mmdet"),
    ("models", "HRNet", "fkit.zoo.torch.hrnet:SegHRNet", "torch", "mmseg"),
    ("models", "HRNet", "fkit.zoo.flax.hrnet:SegHRNet", "jax", "mmseg"),
    ("models", "HRNet", "fkit.zoo.torch.hrnet:PoseHRNet", "torch", "mmpose"),
    ("models", "HRNet", "fkit.zoo.flax.hrnet:PoseHRNet", "jax", "mmpose"),
    ("models", "RegNet", "fkit.zoo.torch.regnet:RegNet", "torch", None),
    ("models", "RegNet", "fkit.zoo.flax.regnet:regnet", "jax", None),
    ("models", "RegNet", "fkit.zoo.torch.regnet:DetRegNet", "torch", "mmdet"),
    ("models", "RegNet", "fkit.zoo.flax.regnet:DetRegNet", "jax", "mmdet"),
    ("models", "RegNet", "fkit.zoo.torch.regnet:LastRegNet", "torch", "mmpretrain"),
    ("models", "RegNet", "fkit.zoo.flax.regnet:LastRegNet", "jax", "mmpretrain"),
    ("models", "ResNetV1c", "fkit.zoo.torch.resnet:ResNetV1c", "torch", None),
    ("models", "ResNetV1c", "fkit.zoo.flax.resnet:ResNetV1c", "jax", None),
    ("models", "ResNetV1d", "fkit.zoo.torch.resnet:ResNetV1d", "torch", None),
    ("models", "ResNetV1d", "fkit.zoo.flax.resnet:ResNetV1d", "jax", None),
    ("models", "ResNeXt", "fkit.zoo.torch.resnet:ResNeXt", "torch", None),
    ("models", "ResNeXt", "fkit.zoo.flax.resnet:ResNeXt", "jax", None),
    ("models", "ResNetV1d", "fkit.zoo.torch.resnet:DetResNetV1d", "torch", "mmdet"),
    ("models", "ResNetV1d", "fkit.zoo.flax.resnet:DetResNetV1d", "jax", "mmdet"),
    ("models", "ResNeXt", "fkit.zoo.torch.resnet:DetResNeXt", "torch", "mmdet"),
    ("models", "ResNeXt", "fkit.zoo.flax.resnet:DetResNeXt", "jax", "mmdet"),
    ("models", "ResNet", "fkit.zoo.torch.resnet:SegResNet", "torch", "mmseg"),
    ("models", "ResNet", "fkit.zoo.flax.resnet:SegResNet", "jax", "mmseg"),
    ("models", "ResNeXt", "fkit.zoo.torch.resnet:SegResNeXt", "torch", "mmseg"),
    ("models", "ResNeXt", "fkit.zoo.flax.resnet:SegResNeXt", "jax", "mmseg"),
    ("models", "ResNetV1c", "fkit.zoo.torch.resnet:SegResNetV1c", "torch", "mmseg"),
    ("models", "ResNetV1c", "fkit.zoo.flax.resnet:SegResNetV1c", "jax", "mmseg"),
    ("models", "ResNetV1d", "fkit.zoo.torch.resnet:SegResNetV1d", "torch", "mmseg"),
    ("models", "ResNetV1d", "fkit.zoo.flax.resnet:SegResNetV1d", "jax", "mmseg"),
    ("models", "ResNet", "fkit.zoo.torch.resnet:LastResNet", "torch", "mmpose"),
    ("models", "ResNet", "fkit.zoo.flax.resnet:LastResNet", "jax", "mmpose"),
    ("models", "ResNeXt", "fkit.zoo.torch.resnet:last_resnext", "torch", "mmpose"),
    ("models", "ResNeXt", "fkit.zoo.flax.resnet:last_resnext", "jax", "mmpose"),
    ("models", "ResNetV1d", "fkit.zoo.torch.resnet:LastResNetV1d", "torch", "mmpose"),
    ("models", "ResNetV1d", "fkit.zoo.flax.resnet:LastResNetV1d", "jax", "mmpose"),
    ("models", "ResNet", "fkit.zoo.torch.resnet:LastResNet", "torch", "mmpretrain"),
    ("models", "ResNet", "fkit.zoo.flax.resnet:LastResNet", "jax", "mmpretrain"),
    ("models", "ResNeXt", "fkit.zoo.torch.resnet:last_resnext", "torch", "mmpretrain"),
    ("models", "ResNeXt", "fkit.zoo.flax.resnet:last_resnext", "jax", "mmpretrain"),
    ("models", "ResNetV1d", "fkit.zoo.torch.resnet:LastResNetV1d", "torch", "mmpretrain"),
    ("models", "ResNetV1d", "fkit.zoo.flax.resnet:LastResNetV1d", "jax", "mmpretrain"),
    ("models", "ResNetV1c", "fkit.zoo.torch.resnet:LastResNetV1c", "torch", "mmpretrain"),
    ("models", "ResNetV1c", "fkit.zoo.flax.resnet:LastResNetV1c", "jax", "mmpretrain"),
)

_TRANSFORMERS: Final[tuple[Any, ...]] = (
    *(
        ("models", name, f"fkit.zoo.{room}.{file}:{name}", backend, None)
        for room, backend in (("torch", "torch"), ("flax", "jax"))
        for file, names in (
            ("attention", ("MultiheadAttention",)),
            ("ffn", ("FFN",)),
            ("position", ("LearnedPositionalEncoding", "SinePositionalEncoding")),
        )
        for name in names
    ),
    ("models", "BaseTransformerLayer", "fkit.zoo.torch.transformer:BaseTransformerLayer", "torch", None),
    ("models", "BaseTransformerLayer", "fkit.zoo.flax.transformer:transformer_layer", "jax", None),
    ("models", "TransformerLayerSequence", "fkit.zoo.torch.transformer:TransformerLayerSequence", "torch", None),
    ("models", "TransformerLayerSequence", "fkit.zoo.flax.transformer:transformer_layers", "jax", None),
)

VISION = (*_NECKS, *_BACKBONES, *_TRANSFORMERS)
