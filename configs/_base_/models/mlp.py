"""A multi-layer perceptron that classifies grey images of 8x8 into 10."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="MLP", in_channels=64, hidden=[128, 128], dropout=0.1),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=128),
)
