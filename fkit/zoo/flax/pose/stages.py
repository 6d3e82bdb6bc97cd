"""Heads of heatmaps of several stages; channels last inside, maps that are given are (N, K, H, W)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import BatchNorm1d, Linear, norm_layer
from fkit.backend.jax.resize import interpolate
from fkit.catalog.build import Builder
from fkit.pose.deconv import HEATMAP_INIT, KEYPOINT_MSE, ONE, Tower, final_of, tower
from fkit.pose.head import Stages
from fkit.pose.stages import MSPN_HEAD_INIT, expect_losses, expect_maps
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.pose.heatmap import deconvolutions, last_layer

__all__ = ["PRM", "CPMHead", "MSPNHead", "PredictHeatmap", "cpm_head", "mspn_head"]

Array = jax.Array

_BN = frozendict(type="BN")


class CPMHead(nn.Module):
    """A `HeatmapHead`'s layers a stage; see `cpm_head`."""

    out_channels: int
    num_stages: int
    up: Tower
    final_layer: Any
    logic: Stages
    init_cfg: Any = HEATMAP_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("multi_deconv_layers", "multi_final_layers")

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Stages:
        """What is made of maps."""
        return self.logic

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> tuple[Array, ...]:
        who = "CPMHead"
        expect_maps(who, maps, self.num_stages, "num_stages")
        outs: list[Array] = []
        for i, x in enumerate(maps):
            x = deconvolutions(who, self.up, x, train, f"multi_deconv_layers_{i}")
            x = last_layer(who, self.final_layer, self.up.width, self.out_channels, x, f"multi_final_layers_{i}")
            outs.append(jnp.moveaxis(x, -1, 1))
        return tuple(outs)


def cpm_head(
    in_channels: int,
    out_channels: int,
    num_stages: int,
    deconv_out_channels: Sequence[int] | None = None,
    deconv_kernel_sizes: Sequence[int] | None = None,
    final_layer: Any = ONE,
    loss: Any = KEYPOINT_MSE,
    decoder: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> CPMHead:
    """A `HeatmapHead`'s layers a stage; mmpose's CPMHead.

    Args:
        in_channels: of each stage's map.
        out_channels: keypoints.
        num_stages: how many.
        deconv_out_channels, deconv_kernel_sizes: of ``multi_deconv_layers``, which double the map each.
        final_layer: arguments of each stage's last convolution; None: there is none.
        loss: config of the loss, or of one a stage.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    Returns:
        ``(maps, train)`` -> of each stage (N, out_channels, H, W).
    """
    who = "CPMHead"
    expect_losses(who, loss, num_stages)
    up = tower(who, "deconv", in_channels, deconv_out_channels, deconv_kernel_sizes)
    final_of(who, final_layer, up.width, out_channels)
    logic = Stages.of(build, who, loss, decoder)
    rules = HEATMAP_INIT if init_cfg is None else init_cfg
    return CPMHead(out_channels, num_stages, up, final_layer, logic, rules)


class PRM(nn.Module):
    """Pose refinement (Cai et al. 2020): maps weighed by channel and by place."""

    width: int
    norm_cfg: Any
    torch_order: ClassVar[tuple[str, ...]] = ("middle_path", "bottom_path", "conv_bn_relu_prm_1")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width, norm = self.width, self.norm_cfg
        x = ConvModule(width, width, 3, padding=1, norm_cfg=norm, name="conv_bn_relu_prm-1")(x, train)
        y = x.mean((1, 2))
        for at in (0, 3):
            y = Linear(width, name=f"middle_path_{at}")(y)
            y = nn.relu(BatchNorm1d(name=f"middle_path_{at + 1}")(y, train))
        z = ConvModule(width, width, 1, norm_cfg=norm, name="bottom_path_0")(x, train)
        z = DepthwiseSeparableConvModule(width, 1, 9, padding=4, norm_cfg=norm, name="bottom_path_1")(z, train)
        return x * (1 + nn.sigmoid(y)[:, None, None] * nn.sigmoid(z))


class PredictHeatmap(nn.Module):
    """Maps of keypoints of one unit, at ``out_shape``."""

    inner: int
    width: int
    out_shape: Sequence[int]
    use_prm: bool
    norm_cfg: Any
    torch_order: ClassVar[tuple[str, ...]] = ("prm", "conv_layers")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        norm = self.norm_cfg
        x = ConvModule(self.inner, self.inner, 1, norm_cfg=norm, name="conv_layers_0")(x, train)
        x = ConvModule(
            self.inner, self.width, 3, padding=1, norm_cfg=norm, act_cfg=None, name="conv_layers_1"
        )(x, train)  # fmt: skip
        x = interpolate(x, tuple(self.out_shape), mode="bilinear", align_corners=True)
        return PRM(self.width, norm, name="prm")(x, train) if self.use_prm else x


class MSPNHead(nn.Module):
    """Maps of keypoints of each unit of each stage; see `mspn_head`."""

    num_stages: int
    num_units: int
    out_shape: Sequence[int]
    unit_channels: int
    out_channels: int
    use_prm: bool
    norm_cfg: Any
    logic: Stages
    init_cfg: Any = MSPN_HEAD_INIT

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Stages:
        """What is made of maps."""
        return self.logic

    @nn.compact
    def __call__(self, maps: Sequence[Sequence[Array]], train: bool = False) -> tuple[Array, ...]:
        expect_maps("MSPNHead", maps, self.num_stages, "num_stages")
        several = [x for stage in maps for x in stage]
        expect_maps("MSPNHead", several, self.num_stages * self.num_units, "num_stages * num_units")
        options = (self.unit_channels, self.out_channels, self.out_shape, self.use_prm, self.norm_cfg)
        outs = [PredictHeatmap(*options, name=f"predict_layers_{i}")(x, train) for i, x in enumerate(several)]
        return tuple(jnp.moveaxis(x, -1, 1) for x in outs)


def mspn_head(
    num_stages: int = 4,
    num_units: int = 4,
    out_shape: tuple[int, int] = (64, 48),
    unit_channels: int = 256,
    out_channels: int = 17,
    use_prm: bool = False,
    norm_cfg: Any = _BN,
    level_indices: Sequence[int] = (),
    loss: Any = KEYPOINT_MSE,
    decoder: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> MSPNHead:
    """Maps of keypoints of each unit of each stage (Li et al. 2019); mmpose's MSPNHead.

    Args:
        num_stages, num_units: of the backbone.
        out_shape: (height, width) of maps.
        unit_channels: of the backbone's maps.
        out_channels: keypoints.
        use_prm: refine maps (Cai et al. 2020).
        norm_cfg: layers.
        level_indices: of each unit of each stage the level of targets that it learns.
        loss: config of the loss, or of one a unit of each stage.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    Returns:
        ``(maps, train)`` -> of each unit of each stage (N, out_channels, H, W).
    """
    who, count = "MSPNHead", num_stages * num_units
    expect_losses(who, loss, count)
    expect_maps(who, level_indices, count, "num_stages * num_units")
    norm_layer(norm_cfg)
    logic = Stages.of(build, who, loss, decoder, levels=tuple(level_indices))
    rules = MSPN_HEAD_INIT if init_cfg is None else init_cfg
    sizes = (num_stages, num_units, tuple(out_shape), unit_channels, out_channels)
    return MSPNHead(*sizes, use_prm, norm_cfg, logic, rules)
