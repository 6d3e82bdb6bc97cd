"""Heads of pyramids, of plain transformers and of mobile networks: FPN, SegFormer, SETR and LR-ASPP, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.layers import norm_layer as norm_of
from fkit.catalog.build import Builder
from fkit.segmentation.neck import SETR_INIT, WINDOW, enough, steps_of, window_of
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.segment.head import DecodeHead, Maps

__all__ = ["FPNHead", "LRASPPHead", "SETRMLAHead", "SETRUPHead", "SegformerHead"]

_LN = frozendict(type="LN", eps=1e-6, requires_grad=True)


class _Larger(nn.Module):
    """Maps enlarged by a factor, bilinear."""

    def __init__(self, factor: int, align_corners: bool) -> None:
        super().__init__()
        self.factor, self.align_corners = factor, align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [side * self.factor for side in x.shape[2:]]
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


class FPNHead(DecodeHead):
    """Maps of a pyramid, enlarged step by step and added (Kirillov et al. 2019).

    Args:
        feature_strides: of each map.
        more: see `DecodeHead`; it takes several maps.
    """

    def __init__(self, feature_strides: Sequence[int], *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, input_transform="multiple_select", **more)
        self.scale_heads = nn.ModuleList()
        for width, (count, larger) in zip(self.in_channels, steps_of(feature_strides), strict=True):
            layers: list[nn.Module] = []
            for at in range(count):
                layers.append(self.conv(self.channels if at else width, self.channels, 3, padding=1))
                layers += [_Larger(2, self.align_corners)] if larger else []
            self.scale_heads.append(nn.Sequential(*layers))

    def features(self, maps: Maps) -> Tensor:
        first, *rest = self.taken(maps)
        heads = list(self.scale_heads)
        x = heads[0](first)
        for head, one in zip(heads[1:], rest, strict=True):
            x = x + self.resized(head(one), x.shape[2:])
        return x


class SegformerHead(DecodeHead):
    """A 1x1 convolution a map, all at the first one's size, and one of all (Xie et al. 2021).

    Args:
        interpolate_mode: how maps are resized: "bilinear" or "nearest".
        more: see `DecodeHead`; it takes several maps.
    """

    def __init__(self, interpolate_mode: str = "bilinear", *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, input_transform="multiple_select", **more)
        self.interpolate_mode = interpolate_mode
        out, cfgs = self.channels, {name: self.cfgs[name] for name in ("norm_cfg", "act_cfg")}
        self.convs = nn.ModuleList(ConvModule(width, out, 1, **cfgs) for width in self.in_channels)
        self.fusion_conv = ConvModule(out * len(self.in_channels), out, 1, norm_cfg=self.cfgs["norm_cfg"])

    def features(self, maps: Maps) -> Tensor:
        several = self.taken(maps)
        size, mode = several[0].shape[2:], self.interpolate_mode
        aligned = None if mode == "nearest" else self.align_corners
        parts = [
            F.interpolate(conv(x), size, mode=mode, align_corners=aligned)
            for conv, x in zip(self.convs, several, strict=True)
        ]
        return self.fusion_conv(torch.cat(parts, 1))


class SETRUPHead(DecodeHead):
    """Convolutions and enlargements, in turn (Zheng et al. 2021).

    Args:
        norm_layer: of what it takes.
        num_convs, up_scale, kernel_size: how many, by what factor, and of which size.
        init_cfg: rules for initial weights.
        more: see `DecodeHead`.
    """

    def __init__(
        self,
        norm_layer: Any = _LN,
        num_convs: int = 1,
        up_scale: int = 4,
        kernel_size: int = 3,
        init_cfg: Any = SETR_INIT,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, init_cfg=init_cfg, **more)
        self.norm = norm_of(norm_layer, self.in_channels)[1]
        cfgs = {name: self.cfgs[name] for name in ("norm_cfg", "act_cfg")}
        widths = [self.in_channels, *[self.channels] * (num_convs - 1)]
        self.up_convs = nn.ModuleList(
            nn.Sequential(
                ConvModule(width, self.channels, kernel_size, padding=(kernel_size - 1) // 2, **cfgs),
                _Larger(up_scale, self.align_corners),
            )
            for width in widths[:num_convs]
        )

    def features(self, maps: Maps) -> Tensor:
        x = self.norm(self.taken(maps).movedim(1, -1)).movedim(-1, 1)
        for step in self.up_convs:
            x = step(x)
        return x


class SETRMLAHead(DecodeHead):
    """Two convolutions and an enlargement of each map, and all of them together (Zheng et al. 2021).

    Args:
        mla_channels: of each map's convolutions.
        up_scale: the factor.
        more: see `DecodeHead`; it takes several maps.
    """

    def __init__(self, mla_channels: int = 128, up_scale: int = 4, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, input_transform="multiple_select", **more)
        cfgs = {name: self.cfgs[name] for name in ("norm_cfg", "act_cfg")}
        self.up_convs = nn.ModuleList(
            nn.Sequential(
                ConvModule(width, mla_channels, 3, padding=1, **cfgs),
                ConvModule(mla_channels, mla_channels, 3, padding=1, **cfgs),
                _Larger(up_scale, self.align_corners),
            )
            for width in self.in_channels
        )

    def features(self, maps: Maps) -> Tensor:
        return torch.cat([step(x) for step, x in zip(self.up_convs, self.taken(maps), strict=True)], 1)


class LRASPPHead(DecodeHead):
    """The last map weighed by means over great windows, enlarged beside finer ones in turn (Howard et al. 2019).

    Args:
        branch_channels: of the finer maps' branches.
        more: see `DecodeHead`; it takes several maps, of which the last is at least 49 pixels high and wide.
    """

    def __init__(self, branch_channels: Sequence[int] = (32, 64), *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        window_of(self.input_transform, self.in_channels, branch_channels)
        out = self.channels
        cfgs: dict[str, Any] = {"norm_cfg": self.cfgs["norm_cfg"], "act_cfg": self.cfgs["act_cfg"], "bias": False}
        self.convs, self.conv_ups = nn.Sequential(), nn.Sequential()
        for at, (wide, width) in enumerate(zip(self.in_channels[:-1], branch_channels, strict=True)):
            self.convs.add_module(f"conv{at}", nn.Conv2d(wide, width, 1, bias=False))
            self.conv_ups.add_module(f"conv_up{at}", ConvModule(out + width, out, 1, **cfgs))
        self.conv_up_input = nn.Conv2d(out, out, 1)
        self.aspp_conv = ConvModule(self.in_channels[-1], out, 1, **cfgs)
        size, stride = WINDOW
        gate = ConvModule(self.in_channels[-1], out, 1, act_cfg=frozendict(type="Sigmoid"), bias=False)
        self.image_pool = nn.Sequential(nn.AvgPool2d(size, stride), gate)

    def features(self, maps: Maps) -> Tensor:
        *finer, last = self.taken(maps)
        enough(last.shape[2:])
        x = self.aspp_conv(last) * self.resized(self.image_pool(last), last.shape[2:])
        x = self.conv_up_input(x)
        for conv, up, one in reversed(list(zip(self.convs, self.conv_ups, finer, strict=True))):
            x = up(torch.cat([self.resized(x, one.shape[2:]), conv(one)], 1))
        return x
