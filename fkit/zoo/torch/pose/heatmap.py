"""Heads of heatmaps."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fkit.catalog.build import Builder
from fkit.pose.deconv import HEATMAP_INIT, KEYPOINT_MSE, ONE, Tower, edges_of, expect_map, final_of, groups_of, tower
from fkit.pose.head import Heatmaps

__all__ = ["HeatmapHead", "ViPNASHead", "convolutions", "deconvolutions", "last_layer"]


def deconvolutions(who: str, layers: Tower, groups: Sequence[int] | None = None) -> nn.Module:
    """Transposed convolutions, each with a norm and a ReLU, that double maps."""
    parts: list[nn.Module] = []
    for at, (inner, out, kernel) in enumerate(layers.rows):
        padding, more = edges_of(who, kernel)
        group = 1 if groups is None else groups[at]
        parts += [
            nn.ConvTranspose2d(inner, out, kernel, 2, padding, more, groups=group, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        ]
    return nn.Sequential(*parts) if parts else nn.Identity()


def convolutions(layers: Tower) -> nn.Module:
    """Convolutions, each with a norm and a ReLU, that keep the size."""
    parts: list[nn.Module] = []
    for inner, out, kernel in layers.rows:
        parts += [nn.Conv2d(inner, out, kernel, padding=(kernel - 1) // 2), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*parts) if parts else nn.Identity()


def last_layer(who: str, final_layer: Any, inner: int, out: int) -> nn.Module:
    """The convolution that gives maps, or nothing."""
    options = final_of(who, final_layer, inner, out)
    return nn.Identity() if options is None else nn.Conv2d(**options)


class HeatmapHead(nn.Module):
    """Maps of keypoints by deconvolutions and convolutions of the last map (Xiao et al. 2018); mmpose's HeatmapHead.

    Args:
        in_channels: of the map.
        out_channels: keypoints; three times as many of UDP's combined maps.
        deconv_out_channels, deconv_kernel_sizes: of ``deconv_layers``, which double the map each; None: there are none.
        conv_out_channels, conv_kernel_sizes: of ``conv_layers``.
        final_layer: arguments of the last convolution; None: there is none.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    ``forward(maps)``: (N, out_channels, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Any = ONE,
        loss: Any = KEYPOINT_MSE,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        groups: Sequence[int] | None = None,
        build: Builder,
    ) -> None:
        super().__init__()
        who, self.in_channels = type(self).__name__, in_channels
        self.init_cfg = HEATMAP_INIT if init_cfg is None else init_cfg
        self.logic = Heatmaps.of(build, who, loss, decoder)
        up = tower(who, "deconv", in_channels, deconv_out_channels, deconv_kernel_sizes)
        on = tower(who, "conv", up.width, conv_out_channels, conv_kernel_sizes)
        self.deconv_layers = deconvolutions(who, up, groups)
        self.conv_layers = convolutions(on)
        self.final_layer = last_layer(who, final_layer, on.width, out_channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        expect_map(self.logic.name, maps[-1].shape[1], self.in_channels)
        return self.final_layer(self.conv_layers(self.deconv_layers(maps[-1])))


class ViPNASHead(HeatmapHead):
    """`HeatmapHead` whose deconvolutions are of groups of channels (Xu et al. 2021); mmpose's ViPNASHead.

    Args:
        deconv_num_groups: of each deconvolution.
        in_channels, out_channels, deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes,
        final_layer, loss, decoder, init_cfg: see `HeatmapHead`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        deconv_out_channels: Sequence[int] | None = (144, 144, 144),
        deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
        deconv_num_groups: Sequence[int] | None = (16, 16, 16),
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Any = ONE,
        loss: Any = KEYPOINT_MSE,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__(
            in_channels, out_channels, deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes,
            final_layer, loss, decoder, init_cfg, groups=groups_of(deconv_out_channels, deconv_num_groups), build=build,
        )  # fmt: skip
