"""Cross-stage partial layers, and the path aggregation networks of YOLOX and RTMDet, with mmdet's arguments and names."""

import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.detection.pyramid import channels_of, check_maps
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule

__all__ = ["YOLOXPAFPN", "CSPLayer", "CSPNeXtBlock", "CSPNeXtPAFPN", "ChannelAttention", "DarknetBottleneck"]

_BN = frozendict(type="BN", momentum=0.03, eps=0.001)
_SWISH = frozendict(type="Swish")
_TWICE = frozendict(scale_factor=2, mode="nearest")
_INIT = frozendict(
    type="Kaiming", layer="Conv2d", a=math.sqrt(5), distribution="uniform", mode="fan_in", nonlinearity="leaky_relu"
)


class DarknetBottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, and the input added where the channels are as many.

    Args:
        expansion: channels inside, as a share of ``out_channels``.
        add_identity: whether the input is added.
        use_depthwise: the second convolution is depthwise separable.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float = 0.5,
        add_identity: bool = True,
        use_depthwise: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _SWISH,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        inner = int(out_channels * expansion)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        second: Any = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.conv1: nn.Module = ConvModule(in_channels, inner, 1, **cfgs)
        self.conv2: nn.Module = second(inner, out_channels, 3, padding=1, **cfgs)
        self.add_identity = add_identity and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return y + x if self.add_identity else y


class CSPNeXtBlock(DarknetBottleneck):
    """A 3x3 convolution and a depthwise separable one of ``kernel_size``, and the input added as in `DarknetBottleneck`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float = 0.5,
        add_identity: bool = True,
        use_depthwise: bool = False,
        kernel_size: int = 5,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = frozendict(type="SiLU"),  # noqa: B008
        init_cfg: Any = None,
    ) -> None:
        nn.Module.__init__(self)
        self.init_cfg = init_cfg
        inner = int(out_channels * expansion)
        first: Any = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.conv1 = first(in_channels, inner, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv2 = DepthwiseSeparableConvModule(
            inner, out_channels, kernel_size, padding=kernel_size // 2, conv_cfg=conv_cfg, norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )  # fmt: skip
        self.add_identity = add_identity and in_channels == out_channels


class ChannelAttention(nn.Module):
    """Each channel times a weight in [0, 1] that the mean of all positions decides: ``fc``, a 1x1 convolution."""

    def __init__(self, channels: int, init_cfg: Any = None) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class CSPLayer(nn.Module):
    """Two branches of half the channels, one by blocks, joined by a convolution (Wang et al. 2020).

    Args:
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

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expand_ratio: float = 0.5,
        num_blocks: int = 1,
        add_identity: bool = True,
        use_depthwise: bool = False,
        use_cspnext_block: bool = False,
        channel_attention: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _SWISH,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        inner = int(out_channels * expand_ratio)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.main_conv = ConvModule(in_channels, inner, 1, **cfgs)
        self.short_conv = ConvModule(in_channels, inner, 1, **cfgs)
        self.final_conv = ConvModule(2 * inner, out_channels, 1, **cfgs)
        block: Any = CSPNeXtBlock if use_cspnext_block else DarknetBottleneck
        self.blocks = nn.Sequential(
            *(block(inner, inner, 1.0, add_identity, use_depthwise, **cfgs) for _ in range(num_blocks))
        )
        self.attention = ChannelAttention(2 * inner) if channel_attention else None

    def forward(self, x: Tensor) -> Tensor:
        short = self.short_conv(x)
        both = torch.cat((self.blocks(self.main_conv(x)), short), 1)
        return self.final_conv(both if self.attention is None else self.attention(both))


class YOLOXPAFPN(nn.Module):
    """A path from the last map up and one back down, of `CSPLayer` (Ge et al. 2021).

    Args:
        in_channels: of each map.
        out_channels: of every map that is given.
        num_csp_blocks: in each `CSPLayer`.
        use_depthwise: depthwise separable convolutions.
        upsample_cfg: arguments of ``interpolate``.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        upsample_cfg: Mapping[str, Any] = _TWICE,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _SWISH,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        layer = partial(CSPLayer, num_blocks=num_csp_blocks, add_identity=False, use_depthwise=use_depthwise, **cfgs)
        self._build(in_channels, layer, use_depthwise, upsample_cfg, cfgs)
        self.out_convs = nn.ModuleList([ConvModule(width, out_channels, 1, **cfgs) for width in self.in_channels])

    def _build(self, channels: Any, layer: Any, depthwise: bool, upsample_cfg: Any, cfgs: dict[str, Any]) -> None:
        """The two paths."""
        self.in_channels = widths = channels_of(type(self).__name__, channels)
        self.upsample_cfg = dict(upsample_cfg)
        pairs = list(pairwise(widths))
        conv: Any = DepthwiseSeparableConvModule if depthwise else ConvModule
        self.reduce_layers = nn.ModuleList([ConvModule(high, low, 1, **cfgs) for low, high in reversed(pairs)])
        self.top_down_blocks = nn.ModuleList([layer(2 * low, low) for low, _ in reversed(pairs)])
        self.downsamples = nn.ModuleList([conv(low, low, 3, stride=2, padding=1, **cfgs) for low, _ in pairs])
        self.bottom_up_blocks = nn.ModuleList([layer(2 * low, high) for low, high in pairs])

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(conv(x) for conv, x in zip(self.out_convs, self.paths(inputs), strict=True))

    def paths(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """The maps after both paths."""
        check_maps(type(self).__name__, inputs, self.in_channels)
        inner = [inputs[-1]]
        paths = zip(self.reduce_layers, self.top_down_blocks, reversed(inputs[:-1]), strict=True)
        for reduce, block, x in paths:
            inner[0] = reduce(inner[0])
            above = F.interpolate(inner[0], **self.upsample_cfg)
            inner.insert(0, block(torch.cat([above, x], 1)))
        outs = [inner[0]]
        for down, block, x in zip(self.downsamples, self.bottom_up_blocks, inner[1:], strict=True):
            outs.append(block(torch.cat([down(outs[-1]), x], 1)))
        return outs


class CSPNeXtPAFPN(YOLOXPAFPN):
    """`YOLOXPAFPN` of `CSPNeXtBlock`, its last convolutions 3x3 (Lyu et al. 2022).

    Args:
        expand_ratio: of each `CSPLayer`.
        in_channels, out_channels, num_csp_blocks, use_depthwise, upsample_cfg, conv_cfg, norm_cfg, act_cfg, init_cfg:
            see `YOLOXPAFPN`.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        upsample_cfg: Mapping[str, Any] = _TWICE,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _SWISH,
        init_cfg: Any = _INIT,
    ) -> None:
        nn.Module.__init__(self)
        self.init_cfg = init_cfg
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        layer = partial(
            CSPLayer, expand_ratio=expand_ratio, num_blocks=num_csp_blocks, add_identity=False,
            use_depthwise=use_depthwise, use_cspnext_block=True, **cfgs,
        )  # fmt: skip
        self._build(in_channels, layer, use_depthwise, upsample_cfg, cfgs)
        conv: Any = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.out_convs = nn.ModuleList([conv(width, out_channels, 3, padding=1, **cfgs) for width in self.in_channels])
