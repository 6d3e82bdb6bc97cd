"""Heads of heatmaps; channels last inside, maps that are given are (N, K, H, W)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import BatchNorm, Conv2d, conv_layer
from fkit.catalog.build import Builder
from fkit.pose.deconv import HEATMAP_INIT, KEYPOINT_MSE, ONE, Tower, edges_of, expect_map, final_of, groups_of, tower
from fkit.pose.head import Heatmaps

__all__ = ["HeatmapHead", "convolutions", "deconvolutions", "heatmap_head", "last_layer", "vipnas_head"]

Array = jax.Array


def deconvolutions(
    who: str, layers: Tower, x: Array, train: bool, name: str = "deconv_layers", groups: Sequence[int] | None = None
) -> Array:
    """Transposed convolutions, each with a norm and a ReLU, that double maps (N, H, W, C)."""
    for at, (_, out, kernel) in enumerate(layers.rows):
        padding, more = edges_of(who, kernel)
        make: Any = conv_layer({"type": "deconv"})
        group = {} if groups is None else {"groups": groups[at]}
        x = make(
            out, (kernel, kernel), strides=2, padding=padding, output_padding=more, use_bias=False,
            name=f"{name}_{3 * at}", **group,
        )(x)  # fmt: skip
        x = nn.relu(BatchNorm(name=f"{name}_{3 * at + 1}")(x, train))
    return x


def convolutions(layers: Tower, x: Array, train: bool, name: str = "conv_layers") -> Array:
    """Convolutions, each with a norm and a ReLU, that keep the size."""
    for at, (_, out, kernel) in enumerate(layers.rows):
        x = Conv2d(out, (kernel, kernel), padding=(kernel - 1) // 2, name=f"{name}_{3 * at}")(x)
        x = nn.relu(BatchNorm(name=f"{name}_{3 * at + 1}")(x, train))
    return x


def last_layer(who: str, final_layer: Any, inner: int, out: int, x: Array, name: str = "final_layer") -> Array:
    """The convolution that gives maps, or nothing."""
    options = final_of(who, final_layer, inner, out)
    if options is None:
        return x
    size = options["kernel_size"]
    return Conv2d(
        options["out_channels"], (size, size) if isinstance(size, int) else tuple(size), strides=options["stride"],
        padding=options["padding"], use_bias=options["bias"], name=name,
    )(x)  # fmt: skip


class HeatmapHead(nn.Module):
    """Maps of keypoints by deconvolutions and convolutions of the last map; see `heatmap_head`.

    Attributes:
        up, on: the layers.
        logic: what is made of maps.
    """

    in_channels: int
    out_channels: int
    up: Tower
    on: Tower
    final_layer: Any
    logic: Heatmaps
    init_cfg: Any = HEATMAP_INIT
    groups: Sequence[int] | None = None

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Heatmaps:
        """What is made of maps."""
        return self.logic

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> Array:
        who = self.logic.name
        expect_map(who, maps[-1].shape[-1], self.in_channels)
        x = deconvolutions(who, self.up, maps[-1], train, groups=self.groups)
        x = convolutions(self.on, x, train)
        return jnp.moveaxis(last_layer(who, self.final_layer, self.on.width, self.out_channels, x), -1, 1)


def heatmap_head(
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
    build: Builder,
) -> HeatmapHead:
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

    Returns:
        ``(maps, train)`` -> (N, out_channels, H, W).
    """
    who = "HeatmapHead"
    up = tower(who, "deconv", in_channels, deconv_out_channels, deconv_kernel_sizes)
    on = tower(who, "conv", up.width, conv_out_channels, conv_kernel_sizes)
    final_of(who, final_layer, on.width, out_channels)
    logic = Heatmaps.of(build, who, loss, decoder)
    rules = HEATMAP_INIT if init_cfg is None else init_cfg
    return HeatmapHead(in_channels, out_channels, up, on, final_layer, logic, rules)


def vipnas_head(
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
) -> HeatmapHead:
    """`heatmap_head` whose deconvolutions are of groups of channels (Xu et al. 2021); mmpose's ViPNASHead.

    Args:
        deconv_num_groups: of each deconvolution.
        in_channels, out_channels, deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes,
        final_layer, loss, decoder, init_cfg: see `heatmap_head`.
    """
    head = heatmap_head(
        in_channels, out_channels, deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes,
        final_layer, loss, decoder, init_cfg, build=build,
    )  # fmt: skip
    logic = replace(head.logic, name="ViPNASHead")
    return head.clone(groups=groups_of(deconv_out_channels, deconv_num_groups), logic=logic)
