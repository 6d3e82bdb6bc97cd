"""What heads take where a config says nothing: losses, coders, anchors, rules for initial weights."""

from typing import Any, Final

from frozendict import frozendict

__all__ = [
    "CENTERNESS",
    "CODER",
    "CROSS_ENTROPY",
    "DISTANCE",
    "FOCAL",
    "IOU",
    "NORMAL",
    "OCTAVES",
    "SIZES",
    "SMOOTH",
    "WIDE_NORM",
    "rare",
]

FOCAL: Final = frozendict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
IOU: Final = frozendict(type="IoULoss", loss_weight=1.0)
CROSS_ENTROPY: Final = frozendict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0)
CENTERNESS: Final = CROSS_ENTROPY
SMOOTH: Final = frozendict(type="SmoothL1Loss", beta=1.0 / 9.0, loss_weight=1.0)

CODER: Final = frozendict(
    type="DeltaXYWHBBoxCoder", clip_border=True, target_means=(0.0, 0.0, 0.0, 0.0), target_stds=(1.0, 1.0, 1.0, 1.0)
)
DISTANCE: Final = frozendict(type="DistancePointBBoxCoder")
SIZES: Final = frozendict(
    type="AnchorGenerator", scales=(8, 16, 32), ratios=(0.5, 1.0, 2.0), strides=(4, 8, 16, 32, 64)
)
OCTAVES: Final = frozendict(
    type="AnchorGenerator",
    octave_base_scale=4,
    scales_per_octave=3,
    ratios=(0.5, 1.0, 2.0),
    strides=(8, 16, 32, 64, 128),
)
WIDE_NORM: Final = frozendict(type="GN", num_groups=32, requires_grad=True)
NORMAL: Final = frozendict(type="Normal", layer="Conv2d", std=0.01)


def rare(*names: str) -> Any:
    """Rules for initial weights with which the layers of these names begin at a score of 0.01.

    Example:
        >>> rare("retina_cls")["override"]["bias_prob"]
        0.01
    """
    several = tuple(frozendict(type="Normal", name=name, std=0.01, bias_prob=0.01) for name in names)
    return frozendict({**NORMAL, "override": several[0] if len(several) == 1 else several})
