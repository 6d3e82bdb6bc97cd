"""Heads of lines by linear layers of maps."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fkit.catalog.build import Builder
from fkit.pose.deconv import ONE, expect_map
from fkit.pose.head import Lines
from fkit.pose.line import KL, SIMCC_INIT, enlarged, expect_pixels, line_sizes, simcc_parts
from fkit.zoo.torch.pose.heatmap import HeatmapHead, ViPNASHead, last_layer

__all__ = ["SimCCHead"]


class SimCCHead(nn.Module):
    """Lines of keypoints by a linear layer an axis (Li et al. 2022); mmpose's SimCCHead.

    Args:
        in_channels: of the last map.
        out_channels: keypoints.
        input_size: (width, height) of the model's input.
        in_featuremap_size: (width, height) of the map.
        simcc_split_ratio: bins to a pixel of the input.
        deconv_type: "heatmap" or "vipnas", whose head ``deconv_head`` is.
        deconv_out_channels, deconv_kernel_sizes, deconv_num_groups, conv_out_channels, conv_kernel_sizes, final_layer: of
            ``deconv_head``; without ``deconv_out_channels`` there is a ``final_layer`` alone.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    ``forward(maps)``: (N, K, width * ratio) and (N, K, height * ratio).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: tuple[int, int],
        in_featuremap_size: tuple[int, int],
        simcc_split_ratio: float = 2.0,
        deconv_type: str = "heatmap",
        deconv_out_channels: Sequence[int] | None = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
        deconv_num_groups: Sequence[int] | None = (16, 16, 16),
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: Any = ONE,
        loss: Any = KL,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.init_cfg = SIMCC_INIT if init_cfg is None else init_cfg
        self.logic = Lines.of(build, who, loss, decoder, ratio=simcc_split_ratio, scaled=True)
        size = enlarged(in_featuremap_size, deconv_out_channels)
        flat, across, down = line_sizes(who, in_channels, input_size, size, simcc_split_ratio)
        options = simcc_parts(
            who, deconv_type, in_channels, out_channels, deconv_out_channels, deconv_kernel_sizes, deconv_num_groups,
            conv_out_channels, conv_kernel_sizes, final_layer,
        )  # fmt: skip
        self.deconv_head: nn.Module | None = None
        self.in_channels = in_channels
        if options is None:
            if final_layer is not None:
                self.final_layer = last_layer(who, final_layer, in_channels, out_channels)
        else:
            self.deconv_head = (HeatmapHead if deconv_type == "heatmap" else ViPNASHead)(**options, build=build)
        self.mlp_head_x = nn.Linear(flat, across)
        self.mlp_head_y = nn.Linear(flat, down)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        expect_map(type(self).__name__, maps[-1].shape[1], self.in_channels)
        if self.deconv_head is not None:
            x = self.deconv_head(maps)
        else:
            x = self.final_layer(maps[-1]) if hasattr(self, "final_layer") else maps[-1]
        x = x.flatten(2)
        expect_pixels(type(self).__name__, x.shape[2], self.mlp_head_x.in_features)
        return self.mlp_head_x(x), self.mlp_head_y(x)
