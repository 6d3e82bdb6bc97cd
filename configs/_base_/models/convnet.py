"""A small ConvNet that classifies grey images of 8x8 into 10."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="ConvNet", in_channels=1, channels=(32, 64), norm_cfg=dict(type="BN"), dropout=0.25),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=64),
)
