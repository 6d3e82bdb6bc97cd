"""Networks for segmentation in real time and others of mmseg, by their drawings."""

from fkit.backbone.drawing import bisenet, branches, icnet, light, mobile, mscan, plain, stdc, twins
from fkit.zoo.torch.backbone.drawn import drawn

__all__ = [
    "MAE",
    "MSCAN",
    "PCPVT",
    "SVT",
    "BEiT",
    "BiSeNetV1",
    "BiSeNetV2",
    "CGNet",
    "DDRNet",
    "ERFNet",
    "FastSCNN",
    "ICNeck",
    "ICNet",
    "LastPCPVT",
    "LastSVT",
    "PIDNet",
    "STDCContextPathNet",
    "STDCNet",
    "SegMobileNetV3",
]

BEiT = drawn(plain.BEiT)
BiSeNetV1 = drawn(bisenet.BiSeNetV1)
BiSeNetV2 = drawn(bisenet.BiSeNetV2)
CGNet = drawn(light.CGNet)
DDRNet = drawn(branches.DDRNet)
ERFNet = drawn(light.ERFNet)
FastSCNN = drawn(light.FastSCNN)
ICNeck = drawn(icnet.ICNeck)
ICNet = drawn(icnet.ICNet)
MAE = drawn(plain.MAE)
MSCAN = drawn(mscan.MSCAN)
PCPVT = drawn(twins.PCPVT)
PIDNet = drawn(branches.PIDNet)
STDCContextPathNet = drawn(stdc.STDCContextPathNet)
STDCNet = drawn(stdc.STDCNet)
SVT = drawn(twins.SVT)
SegMobileNetV3 = drawn(mobile.SegMobileNetV3)
# mmpretrain's are described by an ``arch``
LastPCPVT = drawn(twins.LastPCPVT)
LastSVT = drawn(twins.LastSVT)
