"""Layers between RoI extractors and heads of regions, with mmdet's arguments and parameter names."""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from fkit.backbone.resnet import INIT, NORM, one_stage
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.block import Block

__all__ = ["ResLayer"]


class ResLayer(nn.Module):
    """A stage of a ResNet as what heads of regions share (C4 models, Ren et al. 2015): features (R, C, h, w) to wider ones.

    Args:
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        stage: which of its stages, from 1 to 3 (``layer2`` to ``layer4``).
        stride, dilation, style, norm_cfg, with_cp, dcn: as of `fkit.zoo.torch.resnet.ResNet`.
        norm_eval: batch norms stay in evaluation mode.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        depth: int,
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
        style: str = "pytorch",
        norm_cfg: Any = NORM,
        norm_eval: bool = True,
        with_cp: bool = False,
        dcn: Any = None,
        pretrained: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.norm_eval = norm_eval
        init_cfg = init_cfg_of(pretrained, init_cfg, "ResLayer")
        self.init_cfg = INIT if init_cfg is None else init_cfg
        plans = one_stage("ResLayer", depth, stage, stride, dilation, style, dcn)
        self.name = f"layer{stage + 1}"
        blocks = (Block(plan, with_cp=with_cp, norm_cfg=norm_cfg) for plan in plans)
        self.add_module(self.name, nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self, self.name)(x)

    def train(self, mode: bool = True) -> "ResLayer":
        """Training mode, but for batch norms where ``norm_eval``."""
        super().train(mode)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
