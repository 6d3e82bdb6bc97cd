"""Networks for poses, and others of mmpose and mmpretrain, by their drawings; channels last."""

from fkit.backbone.drawing import hourglass, hrformer, lifting, residual, shuffle
from fkit.zoo.flax.backbone.drawn import drawn

__all__ = [
    "TCN",
    "DSTFormer",
    "HRFormer",
    "HourglassAENet",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "ViPNASMobileNetV3",
    "ViPNASResNet",
]

DSTFormer = drawn(lifting.DSTFormer)
HourglassAENet = drawn(hourglass.HourglassAENet)
HRFormer = drawn(hrformer.HRFormer)
ShuffleNetV1 = drawn(shuffle.ShuffleNetV1)
ShuffleNetV2 = drawn(shuffle.ShuffleNetV2)
TCN = drawn(lifting.TCN)
ViPNASMobileNetV3 = drawn(shuffle.ViPNASMobileNetV3)
ViPNASResNet = drawn(residual.ViPNASResNet)
