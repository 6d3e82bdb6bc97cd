"""Cross-stage partial layers, and the path aggregation networks of YOLOX and RTMDet, with mmdet's arguments and names;
channels last."""

import math
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import Conv2d
from fkit.backend.jax.resize import interpolate
from fkit.detection.pyramid import channels_of, check_maps
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule

__all__ = ["YOLOXPAFPN", "CSPLayer", "CSPNeXtBlock", "CSPNeXtPAFPN", "ChannelAttention", "DarknetBottleneck"]

Array = jax.Array

_BN = frozendict(type="BN", momentum=0.03, eps=0.001)
_SWISH = frozendict(type="Swish")
_TWICE = frozendict(scale_factor=2, mode="nearest")
_INIT = frozendict(
    type="Kaiming", layer="Conv2d", a=math.sqrt(5), distribution="uniform", mode="fan_in", nonlinearity="leaky_relu"
)


class DarknetBottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, and the input added where the channels are as many.

    Attributes:
        expansion: channels inside, as a share of ``out_channels``.
        add_identity: whether the input is added.
        use_depthwise: the second convolution is depthwise separable.
    """

    in_channels: int
    out_channels: int
    expansion: float = 0.5
    add_identity: bool = True
    use_depthwise: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = _SWISH
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        inner = int(self.out_channels * self.expansion)
        cfgs: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        second: Any = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        y = ConvModule(self.in_channels, inner, 1, name="conv1", **cfgs)(x, train)
        y = second(inner, self.out_channels, 3, padding=1, name="conv2", **cfgs)(y, train)
        return y + x if self.add_identity and self.in_channels == self.out_channels else y


class CSPNeXtBlock(nn.Module):
    """A 3x3 convolution and a depthwise separable one of ``kernel_size``, and the input added as in `DarknetBottleneck`."""

    in_channels: int
    out_channels: int
    expansion: float = 0.5
    add_identity: bool = True
    use_depthwise: bool = False
    kernel_size: int = 5
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = frozendict(type="SiLU")
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        inner, size = int(self.out_channels * self.expansion), self.kernel_size
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        first: Any = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        y = first(self.in_channels, inner, 3, padding=1, name="conv1", **cfgs)(x, train)
        y = DepthwiseSeparableConvModule(
            inner, self.out_channels, size, padding=size // 2, conv_cfg=self.conv_cfg, name="conv2", **cfgs
        )(y, train)  # fmt: skip
        return y + x if self.add_identity and self.in_channels == self.out_channels else y


class ChannelAttention(nn.Module):
    """Each channel times a weight in [0, 1] that the mean of all positions decides: ``fc``, a 1x1 convolution."""

    channels: int
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return x * nn.hard_sigmoid(Conv2d(self.channels, (1, 1), name="fc")(x.mean((1, 2), keepdims=True)))


class CSPLayer(nn.Module):
    """Two branches of half the channels, one by blocks, joined by a convolution (Wang et al. 2020).

    Attributes:
        in_channels, out_channels: C before and after.
        expand_ratio: channels of a branch, as a share of ``out_channels``.
        num_blocks: how many.
        add_identity: blocks add their input.
        use_depthwise: depthwise separable convolutions in blocks.
        use_cspnext_block: `CSPNeXtBlock` in place of `DarknetBottleneck`.
        channel_attention: `ChannelAttention` before the last convolution.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    in_channels: int
    out_channels: int
    expand_ratio: float = 0.5
    num_blocks: int = 1
    add_identity: bool = True
    use_depthwise: bool = False
    use_cspnext_block: bool = False
    channel_attention: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = _SWISH
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("main_conv", "short_conv", "final_conv", "blocks", "attention")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        inner = int(self.out_channels * self.expand_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        block: Any = CSPNeXtBlock if self.use_cspnext_block else DarknetBottleneck
        short = ConvModule(self.in_channels, inner, 1, name="short_conv", **cfgs)(x, train)
        y = ConvModule(self.in_channels, inner, 1, name="main_conv", **cfgs)(x, train)
        for i in range(self.num_blocks):
            y = block(inner, inner, 1.0, self.add_identity, self.use_depthwise, name=f"blocks_{i}", **cfgs)(y, train)
        both = jnp.concatenate((y, short), -1)
        if self.channel_attention:
            both = ChannelAttention(2 * inner, name="attention")(both)
        return ConvModule(2 * inner, self.out_channels, 1, name="final_conv", **cfgs)(both, train)


class YOLOXPAFPN(nn.Module):
    """A path from the last map up and one back down, of `CSPLayer` (Ge et al. 2021).

    Attributes:
        in_channels: of each map.
        out_channels: of every map that is given.
        num_csp_blocks: in each `CSPLayer`.
        use_depthwise: depthwise separable convolutions.
        upsample_cfg: arguments of ``interpolate``.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    in_channels: tuple[int, ...]
    out_channels: int
    num_csp_blocks: int = 3
    use_depthwise: bool = False
    upsample_cfg: Any = _TWICE
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = _SWISH
    init_cfg: Any = _INIT
    torch_order: ClassVar[tuple[str, ...]] = (
        "reduce_layers", "top_down_blocks", "downsamples", "bottom_up_blocks", "out_convs"
    )  # fmt: skip

    def __post_init__(self) -> None:
        channels_of(type(self).__name__, self.in_channels)
        super().__post_init__()

    @property
    def _cfgs(self) -> dict[str, Any]:
        return {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}

    @property
    def _layer(self) -> Any:
        """The maker of a path's layers."""
        return partial(
            CSPLayer, num_blocks=self.num_csp_blocks, add_identity=False, use_depthwise=self.use_depthwise, **self._cfgs
        )

    def _last(self, width: int, name: str) -> Any:
        """A level's last convolution."""
        return ConvModule(width, self.out_channels, 1, name=name, **self._cfgs)

    @nn.compact
    def __call__(self, inputs: tuple[Array, ...], train: bool = False) -> tuple[Array, ...]:
        widths = channels_of(type(self).__name__, self.in_channels)
        check_maps(type(self).__name__, inputs, widths)
        cfgs, layer = self._cfgs, self._layer
        conv: Any = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        pairs = list(pairwise(widths))
        inner = [inputs[-1]]
        for i, ((low, high), x) in enumerate(zip(reversed(pairs), reversed(inputs[:-1]), strict=True)):
            inner[0] = ConvModule(high, low, 1, name=f"reduce_layers_{i}", **cfgs)(inner[0], train)
            above = interpolate(inner[0], **dict(self.upsample_cfg))
            block = layer(2 * low, low, name=f"top_down_blocks_{i}")
            inner.insert(0, block(jnp.concatenate([above, x], -1), train))
        outs = [inner[0]]
        for i, ((low, high), x) in enumerate(zip(pairs, inner[1:], strict=True)):
            down = conv(low, low, 3, stride=2, padding=1, name=f"downsamples_{i}", **cfgs)(outs[-1], train)
            block = layer(2 * low, high, name=f"bottom_up_blocks_{i}")
            outs.append(block(jnp.concatenate([down, x], -1), train))
        return tuple(
            self._last(width, f"out_convs_{i}")(x, train) for i, (width, x) in enumerate(zip(widths, outs, strict=True))
        )


class CSPNeXtPAFPN(YOLOXPAFPN):
    """`YOLOXPAFPN` of `CSPNeXtBlock`, its last convolutions 3x3 (Lyu et al. 2022).

    Attributes:
        expand_ratio: of each `CSPLayer`; the others are `YOLOXPAFPN`'s.
    """

    expand_ratio: float = 0.5

    @property
    def _layer(self) -> Any:
        return partial(super()._layer, expand_ratio=self.expand_ratio, use_cspnext_block=True)

    def _last(self, width: int, name: str) -> Any:
        conv: Any = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        return conv(width, self.out_channels, 3, padding=1, name=name, **self._cfgs)
