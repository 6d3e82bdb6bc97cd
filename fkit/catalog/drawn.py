"""Rows of the built-in registry: backbones that are drawn once for both backends (`fkit.backbone.drawing`)."""

from typing import Any, Final

__all__ = ["DRAWN"]

# file of both zoos -> (name, its maker's name, the scope)
_TWINS: Final[tuple[tuple[str, tuple[tuple[str, str, str | None], ...]], ...]] = (
    (
        "realtime",
        (
            *((name, name, None) for name in (
                "BiSeNetV1", "BiSeNetV2", "CGNet", "DDRNet", "ERFNet", "FastSCNN", "ICNeck", "ICNet", "MSCAN", "PIDNet",
                "STDCContextPathNet", "STDCNet",
            )),
            ("BEiT", "BEiT", "mmseg"),
            ("MAE", "MAE", "mmseg"),
            ("MobileNetV3", "SegMobileNetV3", "mmseg"),
            ("PCPVT", "PCPVT", "mmseg"),
            ("SVT", "SVT", "mmseg"),
            ("PCPVT", "LastPCPVT", "mmpretrain"),
            ("SVT", "LastSVT", "mmpretrain"),
        ),
    ),
    (
        "posed",
        (
            *((name, name, None) for name in (
                "DSTFormer", "HourglassAENet", "HRFormer", "ShuffleNetV1", "ShuffleNetV2", "TCN",
            )),
            ("ViPNAS_MobileNetV3", "ViPNASMobileNetV3", None),
            ("ViPNAS_ResNet", "ViPNASResNet", None),
        ),
    ),
)  # fmt: skip

DRAWN: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.backbone.{file}:{maker}", backend, scope)
    for file, rows in _TWINS
    for name, maker, scope in rows
    for backend, room in (("torch", "torch"), ("jax", "flax"))
)
