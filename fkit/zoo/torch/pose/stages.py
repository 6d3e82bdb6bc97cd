"""Heads of heatmaps of several stages."""

from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.pose.deconv import HEATMAP_INIT, KEYPOINT_MSE, ONE, tower
from fkit.pose.head import Stages
from fkit.pose.stages import MSPN_HEAD_INIT, expect_losses, expect_maps
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.pose.heatmap import deconvolutions, last_layer

__all__ = ["PRM", "CPMHead", "MSPNHead", "PredictHeatmap"]

_BN = frozendict(type="BN")


class CPMHead(nn.Module):
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

    ``forward(maps)``: of each stage (N, out_channels, H, W).
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__()
        who = "CPMHead"
        self.init_cfg = HEATMAP_INIT if init_cfg is None else init_cfg
        expect_losses(who, loss, num_stages)
        self.logic = Stages.of(build, who, loss, decoder)
        self.num_stages = num_stages
        up = tower(who, "deconv", in_channels, deconv_out_channels, deconv_kernel_sizes)
        self.multi_deconv_layers = nn.ModuleList(deconvolutions(who, up) for _ in range(num_stages))
        self.multi_final_layers = nn.ModuleList(
            last_layer(who, final_layer, up.width, out_channels) for _ in range(num_stages)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        expect_maps("CPMHead", maps, self.num_stages, "num_stages")
        rows = zip(maps, self.multi_deconv_layers, self.multi_final_layers, strict=True)
        return tuple(last(up(x)) for x, up, last in rows)


class PRM(nn.Module):
    """Pose refinement (Cai et al. 2020): maps weighed by channel and by place."""

    def __init__(self, width: int, norm_cfg: Any) -> None:
        super().__init__()
        self.middle_path = nn.Sequential(
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.BatchNorm1d(width),
            nn.ReLU(), nn.Sigmoid(),
        )  # fmt: skip
        self.bottom_path = nn.Sequential(
            ConvModule(width, width, 1, norm_cfg=norm_cfg),
            DepthwiseSeparableConvModule(width, 1, 9, padding=4, norm_cfg=norm_cfg),
            nn.Sigmoid(),
        )
        self.conv_bn_relu_prm_1 = ConvModule(width, width, 3, padding=1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_bn_relu_prm_1(x)
        channels = self.middle_path(x.mean((2, 3)))[:, :, None, None]
        return x * (1 + channels * self.bottom_path(x))


class PredictHeatmap(nn.Module):
    """Maps of keypoints of one unit, at ``out_shape``."""

    def __init__(self, inner: int, width: int, out_shape: Sequence[int], use_prm: bool, norm_cfg: Any) -> None:
        super().__init__()
        self.out_shape = tuple(out_shape)
        if use_prm:
            self.prm = PRM(width, norm_cfg)
        self.conv_layers = nn.Sequential(
            ConvModule(inner, inner, 1, norm_cfg=norm_cfg, inplace=False),
            ConvModule(inner, width, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(self.conv_layers(x), self.out_shape, mode="bilinear", align_corners=True)
        return self.prm(x) if hasattr(self, "prm") else x


class MSPNHead(nn.Module):
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

    ``forward(maps)``: of each unit of each stage (N, out_channels, H, W).
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__()
        who, count = "MSPNHead", num_stages * num_units
        self.init_cfg = MSPN_HEAD_INIT if init_cfg is None else init_cfg
        expect_losses(who, loss, count)
        expect_maps(who, level_indices, count, "num_stages * num_units")
        norm_layer(norm_cfg, out_channels)
        self.logic = Stages.of(build, who, loss, decoder, levels=tuple(level_indices))
        self.num_stages, self.num_units = num_stages, num_units
        self.predict_layers = nn.ModuleList(
            PredictHeatmap(unit_channels, out_channels, out_shape, use_prm, norm_cfg) for _ in range(count)
        )

    def forward(self, maps: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        expect_maps("MSPNHead", maps, self.num_stages, "num_stages")
        several = [x for stage in maps for x in stage]
        expect_maps("MSPNHead", several, len(self.predict_layers), "num_stages * num_units")
        return tuple(layer(x) for layer, x in zip(self.predict_layers, several, strict=True))
