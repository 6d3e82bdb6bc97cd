"""Heads of coordinates that are the mean places of heatmaps."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.pose.deconv import ONE
from fkit.pose.flow import REGRESSION_INIT, SMOOTH
from fkit.pose.integral import BOTH, Integrals, Means, map_size, mean_places
from fkit.pose.line import expect_pixels
from fkit.zoo.torch.pose.heatmap import HeatmapHead, last_layer

__all__ = ["DSNTHead", "IntegralRegressionHead"]


class IntegralRegressionHead(nn.Module):
    """Coordinates as mean places of maps (Sun et al. 2018); mmpose's IntegralRegressionHead.

    Args:
        in_channels: of the map.
        in_featuremap_size: its (width, height).
        num_joints: keypoints.
        debias: without the softmax's bias (Gu et al. 2021).
        beta: maps are multiplied with it before their softmax.
        deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes, final_layer: see `HeatmapHead`.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    ``forward(maps)``: coordinates (N, K, 2) in parts of the input's sides, and the maps' softmax (N, K, H, W).
    """

    kind: Any = Means

    def __init__(
        self,
        in_channels: int,
        in_featuremap_size: Sequence[int],
        num_joints: int,
        debias: bool = False,
        beta: float = 1.0,
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Any = ONE,
        loss: Any = SMOOTH,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.init_cfg = REGRESSION_INIT if init_cfg is None else init_cfg
        self.logic = self.kind.of(build, who, loss, decoder)
        self.beta, self.debias = beta, debias
        width, height = map_size(who, in_featuremap_size, len(deconv_out_channels or ()))
        self.linspace_x = nn.Parameter((torch.arange(width) / width).reshape(1, 1, 1, -1), requires_grad=False)
        self.linspace_y = nn.Parameter((torch.arange(height) / height).reshape(1, 1, -1, 1), requires_grad=False)
        if deconv_out_channels:
            self.simplebaseline_head = HeatmapHead(
                in_channels, num_joints, deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes,
                final_layer, build=build,
            )  # fmt: skip
        else:
            self.final_layer = last_layer(who, final_layer, in_channels, num_joints)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        x = self.simplebaseline_head(maps) if hasattr(self, "simplebaseline_head") else self.final_layer(maps[-1])
        expect_pixels(type(self).__name__, x.shape[2] * x.shape[3], self.linspace_x.numel() * self.linspace_y.numel())
        return mean_places(Torch(x.device), x, self.linspace_x, self.linspace_y, self.beta, self.debias)


class DSNTHead(IntegralRegressionHead):
    """`IntegralRegressionHead` whose maps learn too (Nibali et al. 2018); mmpose's DSNTHead.

    Args:
        lambda_t: the epoch from which maps learn no more; 0 and less: they do to the end.
        in_channels, in_featuremap_size, num_joints, debias, beta, deconv_out_channels, deconv_kernel_sizes, conv_out_channels,
        conv_kernel_sizes, final_layer, loss, decoder, init_cfg: see `IntegralRegressionHead`.
    """

    kind = Integrals

    def __init__(
        self,
        in_channels: int,
        in_featuremap_size: Sequence[int],
        num_joints: int,
        lambda_t: int = -1,
        debias: bool = False,
        beta: float = 1.0,
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Any = ONE,
        loss: Any = BOTH,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__(
            in_channels, in_featuremap_size, num_joints, debias, beta, deconv_out_channels, deconv_kernel_sizes,
            conv_out_channels, conv_kernel_sizes, final_layer, loss, decoder, init_cfg, build=build,
        )  # fmt: skip
        self.logic = replace(self.logic, lambda_t=lambda_t)
