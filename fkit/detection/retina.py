"""RetinaNet's head (Lin et al. 2017)."""

from dataclasses import InitVar, dataclass
from typing import Any

from frozendict import frozendict

from fkit.catalog.build import Builder
from fkit.detection.anchor_head import AnchorHead
from fkit.detection.plan import Output, Plan, Tower
from fkit.tree.error import FkitValueError

__all__ = ["RetinaHead", "octaves", "rare"]

octaves = frozendict(
    type="AnchorGenerator",
    octave_base_scale=4,
    scales_per_octave=3,
    ratios=(0.5, 1.0, 2.0),
    strides=(8, 16, 32, 64, 128),
)
"""Three anchor sizes and three shapes a place, from stride 8 on."""


def rare(name: str) -> Any:
    """Rules for initial weights with which the layer ``name`` begins at a score of 0.01.

    Example:
        >>> rare("retina_cls")["override"]["bias_prob"]
        0.01
    """
    first = frozendict(type="Normal", name=name, std=0.01, bias_prob=0.01)
    return frozendict(type="Normal", layer="Conv2d", std=0.01, override=first)


@dataclass(frozen=True, eq=False, kw_only=True)
class RetinaHead(AnchorHead):
    """mmdet's RetinaHead; see `AnchorHead`.

    Args:
        stacked_convs: convolutions before each prediction.
        conv_cfg, norm_cfg: of these.
    """

    stacked_convs: int = 4
    conv_cfg: Any = None
    norm_cfg: Any = None
    anchor_generator: Any = octaves
    init_cfg: Any = rare("retina_cls")
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        if self.stacked_convs < 0:
            raise FkitValueError(f"{type(self).__name__}: stacked_convs={self.stacked_convs}: at least 0.")
        super().__post_init__(build)

    @property
    def plan(self) -> Plan:
        towers = tuple(
            Tower(name, self.stacked_convs, self.conv_cfg, self.norm_cfg) for name in ("cls_convs", "reg_convs")
        )
        outputs = (
            Output("retina_cls", "cls_convs", self.anchors * self.classes_out),
            Output("retina_reg", "reg_convs", self.anchors * 4),
        )
        return Plan(self.in_channels, self.feat_channels, towers, outputs)
