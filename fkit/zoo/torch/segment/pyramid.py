"""Heads that look at several scales: PSP, UPer and ASPP, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.catalog.build import Builder
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.segment.head import DecodeHead, Maps, resized

__all__ = ["PPM", "ASPPHead", "DepthwiseSeparableASPPHead", "PSPHead", "UPerHead"]


class PPM(nn.ModuleList):
    """Means of a map over grids of several sizes, each by a 1x1 convolution and back at the map's size (Zhao et al. 2017).

    Args:
        pool_scales: the grids' sizes.
        in_channels, channels: of the convolutions.
        align_corners: how maps are resized.
        cfgs: layers.
    """

    def __init__(
        self, pool_scales: Sequence[int], in_channels: int, channels: int, align_corners: bool, **cfgs: Any
    ) -> None:
        super().__init__(
            nn.Sequential(nn.AdaptiveAvgPool2d(scale), ConvModule(in_channels, channels, 1, **cfgs))
            for scale in pool_scales
        )
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> list[Tensor]:
        return [resized(one(x), x.shape[2:], self.align_corners) for one in self]


class PSPHead(DecodeHead):
    """A pyramid of pooled maps beside the map itself (Zhao et al. 2017).

    Args:
        pool_scales: the sizes of the grids that it is pooled to.
        more: see `DecodeHead`.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        wide = self.in_channels
        self.psp_modules = PPM(pool_scales, wide, self.channels, self.align_corners, **self.cfgs)
        self.bottleneck = self.conv(wide + len(pool_scales) * self.channels, self.channels, 3, padding=1)

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        return self.bottleneck(torch.cat([x, *self.psp_modules(x)], 1))


class UPerHead(DecodeHead):
    """A feature pyramid whose top has a pyramid of pooled maps (Xiao et al. 2018).

    Args:
        pool_scales: the sizes of the grids that the last map is pooled to.
        more: see `DecodeHead`; it takes several maps.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, input_transform="multiple_select", **more)
        widths, out = self.in_channels, self.channels
        self.psp_modules = PPM(pool_scales, widths[-1], out, self.align_corners, **self.cfgs)
        self.bottleneck = self.conv(widths[-1] + len(pool_scales) * out, out, 3, padding=1)
        plain = partial(self.conv, inplace=False)
        self.lateral_convs = nn.ModuleList(plain(width, out, 1) for width in widths[:-1])
        self.fpn_convs = nn.ModuleList(plain(out, out, 3, padding=1) for _ in widths[:-1])
        self.fpn_bottleneck = self.conv(len(widths) * out, out, 3, padding=1)

    def features(self, maps: Maps) -> Tensor:
        several = self.taken(maps)
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, several[:-1], strict=True)]
        top = several[-1]
        laterals.append(self.bottleneck(torch.cat([top, *self.psp_modules(top)], 1)))
        for at in range(len(laterals) - 1, 0, -1):
            laterals[at - 1] = laterals[at - 1] + self.resized(laterals[at], laterals[at - 1].shape[2:])
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals[:-1], strict=True)]
        outs.append(laterals[-1])
        size = outs[0].shape[2:]
        return self.fpn_bottleneck(torch.cat([outs[0], *(self.resized(x, size) for x in outs[1:])], 1))


class ASPPHead(DecodeHead):
    """Convolutions of several dilations, and the mean of the map (Chen et al. 2017, DeepLabV3).

    Args:
        dilations: of each.
        more: see `DecodeHead`.
    """

    def __init__(self, dilations: Sequence[int] = (1, 6, 12, 18), *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        wide, out = self.in_channels, self.channels
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), self.conv(wide, out, 1))
        self.aspp_modules = nn.ModuleList(self.dilated(wide, out, dilation) for dilation in dilations)
        self.bottleneck = self.conv((len(dilations) + 1) * out, out, 3, padding=1)

    def dilated(self, wide: int, out: int, dilation: int) -> nn.Module:
        """One of the convolutions."""
        if dilation == 1:
            return self.conv(wide, out, 1)
        return self.conv(wide, out, 3, padding=dilation, dilation=dilation)

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        pooled = self.resized(self.image_pool(x), x.shape[2:])
        return self.bottleneck(torch.cat([pooled, *(conv(x) for conv in self.aspp_modules)], 1))


class DepthwiseSeparableASPPHead(ASPPHead):
    """`ASPPHead` of depthwise separable convolutions, and what it says beside the first map (Chen et al. 2018, DeepLabV3+).

    Args:
        c1_in_channels: of the first map; 0: it is not taken.
        c1_channels: to how many that is brought.
        more: see `ASPPHead`.
    """

    def __init__(self, c1_in_channels: int, c1_channels: int, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        if c1_in_channels < 0:
            raise FkitValueError(f"DepthwiseSeparableASPPHead: c1_in_channels={c1_in_channels}, but it is from 0.")
        out = self.channels
        self.c1_bottleneck = self.conv(c1_in_channels, c1_channels, 1) if c1_in_channels else None
        self.sep_bottleneck = nn.Sequential(
            self._separable(out + c1_channels, out, padding=1), self._separable(out, out, padding=1)
        )

    def dilated(self, wide: int, out: int, dilation: int) -> nn.Module:
        if dilation == 1:
            return self.conv(wide, out, 1)
        return self._separable(wide, out, padding=dilation, dilation=dilation)

    def _separable(self, wide: int, out: int, **more: Any) -> nn.Module:
        cfgs = {name: self.cfgs[name] for name in ("norm_cfg", "act_cfg")}
        return DepthwiseSeparableConvModule(wide, out, 3, **more, **cfgs)

    def features(self, maps: Maps) -> Tensor:
        x = super().features(maps)
        if self.c1_bottleneck is not None:
            first = self.c1_bottleneck(maps[0])
            x = torch.cat([self.resized(x, first.shape[2:]), first], 1)
        return self.sep_bottleneck(x)
