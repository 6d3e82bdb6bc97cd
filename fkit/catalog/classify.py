"""Rows of the built-in registry: classifiers, their heads and losses, and backbones that began with them."""

from typing import Any, Final

__all__ = ["CLASSIFY"]

# folder and file -> (name, its maker's name, the scope) of both zoos
_TWINS: Final[tuple[tuple[str, tuple[tuple[str, str, str | None], ...]], ...]] = (
    (
        "backbone.mobile_v2",
        (
            ("MobileNetV2", "MobileNetV2", None),
            ("MobileNetV2", "DetMobileNetV2", "mmdet"),
            ("MobileNetV2", "SegMobileNetV2", "mmseg"),
        ),
    ),
    ("backbone.convnext", (("ConvNeXt", "ConvNeXt", None),)),
    (
        "backbone.mobile",
        (
            ("EfficientNet", "EfficientNet", None),
            ("EfficientNetV2", "EfficientNetV2", None),
            ("MobileNetV3", "MobileNetV3", "mmpretrain"),
        ),
    ),
    ("backbone.metaformer", (("PoolFormer", "PoolFormer", None), ("RIFormer", "RIFormer", None))),
    ("backbone.reparam", (("MobileOne", "MobileOne", None), ("RepVGG", "RepVGG", None))),
    (
        "backbone.resnest",
        (
            ("ResNeSt", "LastResNeSt", None),
            ("ResNeSt", "DetResNeSt", "mmdet"),
            ("ResNeSt", "SegResNeSt", "mmseg"),
        ),
    ),
    ("backbone.vgg", (("AlexNet", "AlexNet", None), ("VGG", "VGG", None))),
    ("backbone.se_resnet", (("SEResNet", "pose_se_resnet", None), ("SEResNeXt", "se_resnext", None))),
    ("backbone.vit", (("VisionTransformer", "VisionTransformer", None),)),
    ("backbone.beit", (("BEiTViT", "BEiTViT", None),)),
    ("backbone.deit", (("DeiT3", "DeiT3", None), ("DistilledVisionTransformer", "DistilledVisionTransformer", None))),
    ("backbone.eva", (("ViTEVA02", "ViTEVA02", None),)),
    (
        "backbone.window",
        (
            ("SwinTransformer", "SwinTransformer", "mmpretrain"),
            ("SwinTransformerV2", "SwinTransformerV2", None),
        ),
    ),
    ("backbone.xcit", (("XCiT", "XCiT", None),)),
    ("backbone.mixer", (("ConvMixer", "ConvMixer", None), ("MlpMixer", "MlpMixer", None))),
    ("backbone.van", (("VAN", "VAN", None),)),
    ("backbone.densenet", (("DenseNet", "DenseNet", None),)),
    ("backbone.tinyvit", (("TinyViT", "TinyViT", None),)),
    ("backbone.levit", (("LeViT", "LeViT", None),)),
    ("backbone.hornet", (("HorNet", "HorNet", None),)),
    ("backbone.edgenext", (("EdgeNeXt", "EdgeNeXt", None),)),
    ("hrnet", (("HRNet", "pretrain_hrnet", "mmpretrain"),)),
    ("classify.neck", (("ClsBatchNormNeck", "ClsBatchNormNeck", None), ("HRFuseScales", "HRFuseScales", None))),
)

# torch's rows are classes; flax's modules are made of a config by functions
_HEADS = (
    ("classifier", "ClsHead", "cls_head"),
    ("classify.head", "DeiTClsHead", "deit_cls_head"),
    ("classify.head", "LeViTClsHead", "levit_cls_head"),
    ("classify.head", "StackedLinearClsHead", "stacked_linear_cls_head"),
    ("classify.head", "VisionTransformerClsHead", "vision_transformer_cls_head"),
    ("classify.multi", "CSRAClsHead", "csra_cls_head"),
    ("classify.multi", "MultiLabelClsHead", "multi_label_cls_head"),
    ("classify.multi", "MultiLabelLinearClsHead", "multi_label_linear_cls_head"),
)

CLASSIFY: Final[tuple[Any, ...]] = (
    *(
        ("models", name, f"fkit.zoo.{room}.{file}:{target}", backend, scope)
        for file, rows in _TWINS
        for name, target, scope in rows
        for backend, room in (("torch", "torch"), ("jax", "flax"))
    ),
    *(
        ("models", name, f"fkit.zoo.{room}.{file}:{target}", backend, None)
        for file, name, maker in _HEADS
        for backend, room, target in (("torch", "torch", name), ("jax", "flax", maker))
    ),
    ("models", "LabelSmoothLoss", "fkit.detection.loss.label:LabelSmoothLoss", None, None),
)
