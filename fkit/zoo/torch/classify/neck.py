"""Necks of classifiers, as mmpretrain has them."""

import itertools
from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.hrnet import fused_blocks
from fkit.zoo.torch.block import Block
from fkit.zoo.torch.brick import ConvModule

__all__ = ["ClsBatchNormNeck", "HRFuseScales"]

_NORM = frozendict(type="BN", momentum=0.1)
_INIT = frozendict(type="Normal", layer="Linear", std=0.01)


class HRFuseScales(nn.Module):
    """HRNet's maps of all scales to one (Wang et al. 2020): each widened by a bottleneck, added from the largest down.

    Args:
        in_channels: of the maps.
        out_channels: of the last layer.
        norm_cfg: of the layers between.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int = 2048, norm_cfg: Any = _NORM, init_cfg: Any = _INIT
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        plans = fused_blocks(in_channels)
        self.increase_layers = nn.ModuleList(nn.Sequential(Block(plan)) for plan in plans)
        widths = [plan.width for plan in plans]
        self.downsample_layers = nn.ModuleList(
            ConvModule(inner, width, 3, 2, 1, norm_cfg=norm_cfg, bias=False)
            for inner, width in itertools.pairwise(widths)
        )
        self.final_layer = ConvModule(widths[-1], out_channels, 1, norm_cfg=norm_cfg, bias=False)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        x = self.increase_layers[0](maps[0])
        for i, down in enumerate(self.downsample_layers, 1):
            x = down(x) + self.increase_layers[i](maps[i])
        return (self.final_layer(x),)


class ClsBatchNormNeck(nn.Module):
    """A batch norm of features (N, C): ``bn``; a tuple gives a tuple.

    Args:
        input_features: C.
        affine: whether it has a weight and a bias.
        eps: beside the variance.
        init_cfg: rules for initial weights.
    """

    def __init__(self, input_features: int, affine: bool = False, eps: float = 1e-6, init_cfg: Any = None) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.bn = nn.BatchNorm1d(input_features, eps, affine=affine)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(self.bn(x) for x in features)
