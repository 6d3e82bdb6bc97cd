"""ResNet-18 with a 3x3 stem and a quarter of the usual channels, for grey images and 10 classes."""

model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="ResNet_CIFAR",
        depth=18,
        in_channels=1,
        stem_channels=16,
        base_channels=16,
        out_indices=(3,),
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=128),
)
