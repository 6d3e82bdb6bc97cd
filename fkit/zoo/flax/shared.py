"""Layers between RoI extractors and heads of regions, with mmdet's arguments and parameter names; channels last."""

from typing import Any

import jax
from flax import linen as nn

from fkit.backbone.resnet import INIT, NORM, BlockPlan, one_stage
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.flax.block import Block

__all__ = ["ResLayer"]

Array = jax.Array


class ResLayer(nn.Module):
    """A stage of a ResNet as what heads of regions share (C4 models, Ren et al. 2015): features (R, h, w, C) to wider ones.

    Attributes:
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        stage: which of its stages, from 1 to 3 (``layer2`` to ``layer4``).
        stride, dilation, style, norm_cfg, with_cp, dcn: as of `fkit.zoo.flax.resnet.ResNet`.
        norm_eval: batch norms stay in evaluation mode.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    depth: int
    stage: int = 3
    stride: int = 2
    dilation: int = 1
    style: str = "pytorch"
    norm_cfg: Any = NORM
    norm_eval: bool = True
    with_cp: bool = False
    dcn: Any = None
    pretrained: Any = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plans
        super().__post_init__()

    @property
    def plans(self) -> tuple[BlockPlan, ...]:
        """The blocks."""
        return one_stage("ResLayer", self.depth, self.stage, self.stride, self.dilation, self.style, self.dcn)

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "ResLayer")
        return INIT if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        block: Any = nn.remat(Block, static_argnums=(2,)) if self.with_cp else Block
        for j, plan in enumerate(self.plans):
            one = block(plan, norm_cfg=self.norm_cfg, name=f"layer{self.stage + 1}_{j}")
            x = one(x, train and not self.norm_eval)
        return x
