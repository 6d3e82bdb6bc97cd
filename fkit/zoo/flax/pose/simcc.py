"""Heads of lines by linear layers of maps."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.backend.jax.layers import Linear
from fkit.catalog.build import Builder
from fkit.pose.deconv import ONE
from fkit.pose.head import Lines
from fkit.pose.line import KL, SIMCC_INIT, enlarged, line_sizes, simcc_parts
from fkit.zoo.flax.pose.heatmap import heatmap_head, last_layer, vipnas_head
from fkit.zoo.flax.pose.rtmcc import flattened, of_size
from fkit.zoo.flax.small import check_channels

__all__ = ["SimCCHead", "simcc_head"]

Array = jax.Array


class SimCCHead(nn.Module):
    """Lines of keypoints by a linear layer an axis; see `simcc_head`.

    Attributes:
        flat, across, down: pixels of the maps, and bins.
        deconv_head: what makes maps before, or None.
        logic: what is made of lines.
    """

    in_channels: int
    out_channels: int
    flat: int
    across: int
    down: int
    final_layer: Any
    logic: Lines
    deconv_head: Any = None
    init_cfg: Any = SIMCC_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("deconv_head", "final_layer", "mlp_head_x", "mlp_head_y")

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Lines:
        """What is made of lines."""
        return self.logic

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> tuple[Array, Array]:
        who, x = self.logic.name, maps[-1]
        check_channels(who, x, self.in_channels)
        if self.deconv_head is None:
            flat = flattened(last_layer(who, self.final_layer, self.in_channels, self.out_channels, x))
        else:
            y = self.deconv_head(maps, train)
            flat = y.reshape(*y.shape[:2], -1)
        flat = of_size(self, who, flat, self.flat)
        return Linear(self.across, name="mlp_head_x")(flat), Linear(self.down, name="mlp_head_y")(flat)


def simcc_head(
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
) -> SimCCHead:
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

    Returns:
        ``(maps, train)`` -> (N, K, width * ratio) and (N, K, height * ratio).
    """
    who = "SimCCHead"
    size = enlarged(in_featuremap_size, deconv_out_channels)
    flat, across, down = line_sizes(who, in_channels, input_size, size, simcc_split_ratio)
    options = simcc_parts(
        who, deconv_type, in_channels, out_channels, deconv_out_channels, deconv_kernel_sizes, deconv_num_groups,
        conv_out_channels, conv_kernel_sizes, final_layer,
    )  # fmt: skip
    head = None
    if options is not None:
        head = (heatmap_head if deconv_type == "heatmap" else vipnas_head)(**options, build=build)
    logic = Lines.of(build, who, loss, decoder, ratio=simcc_split_ratio, scaled=True)
    rules = SIMCC_INIT if init_cfg is None else init_cfg
    return SimCCHead(in_channels, out_channels, flat, across, down, final_layer, logic, head, rules)
