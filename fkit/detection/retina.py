"""RetinaNet's head (Lin et al. 2017)."""

from dataclasses import InitVar, dataclass
from typing import Any

from fkit.catalog.build import Builder
from fkit.detection.anchor_head import AnchorHead
from fkit.detection.default import OCTAVES, rare
from fkit.detection.plan import Output, Plan, Tower
from fkit.tree.error import FkitValueError

__all__ = ["RetinaHead"]

_RARE = rare("retina_cls")


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
    anchor_generator: Any = OCTAVES
    init_cfg: Any = _RARE
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
