"""Necks of classifiers, as mmpretrain has them; channels last."""

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.hrnet import fused_blocks
from fkit.backend.jax.layers import BatchNorm1d
from fkit.zoo.flax.block import Block
from fkit.zoo.flax.brick import ConvModule

__all__ = ["ClsBatchNormNeck", "HRFuseScales"]

Array = jax.Array


class HRFuseScales(nn.Module):
    """HRNet's maps of all scales to one (Wang et al. 2020): each widened by a bottleneck, added from the largest down.

    Attributes:
        in_channels: of the maps.
        out_channels: of the last layer.
        norm_cfg: of the layers between.
        init_cfg: rules for initial weights.
    """

    in_channels: Sequence[int]
    out_channels: int = 2048
    norm_cfg: Any = frozendict(type="BN", momentum=0.1)
    init_cfg: Any = frozendict(type="Normal", layer="Linear", std=0.01)
    takes_train: ClassVar[bool] = True
    torch_order: ClassVar[tuple[str, ...]] = ("increase_layers", "downsample_layers", "final_layer")

    def __post_init__(self) -> None:
        _ = fused_blocks(self.in_channels)
        super().__post_init__()

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> tuple[Array, ...]:
        plans = fused_blocks(self.in_channels)
        wide = [Block(plan, name=f"increase_layers_{i}_0")(maps[i], train) for i, plan in enumerate(plans)]
        x = wide[0]
        for i, (one, other) in enumerate(itertools.pairwise(plans)):
            down = ConvModule(
                one.width, other.width, 3, 2, 1, norm_cfg=self.norm_cfg, bias=False, name=f"downsample_layers_{i}"
            )
            x = down(x, train) + wide[i + 1]
        last = ConvModule(plans[-1].width, self.out_channels, 1, norm_cfg=self.norm_cfg, bias=False, name="final_layer")
        return (last(x, train),)


class ClsBatchNormNeck(nn.Module):
    """A batch norm of features (N, C): ``bn``; a tuple gives a tuple.

    Attributes:
        input_features: C.
        affine: whether it has a weight and a bias.
        eps: beside the variance.
        init_cfg: rules for initial weights.
    """

    input_features: int
    affine: bool = False
    eps: float = 1e-6
    init_cfg: Any = None
    takes_train: ClassVar[bool] = True

    @nn.compact
    def __call__(self, features: Sequence[Array], train: bool = False) -> tuple[Array, ...]:
        layer = BatchNorm1d(self.eps, affine=self.affine, name="bn")
        return tuple(layer(x, train) for x in features)
