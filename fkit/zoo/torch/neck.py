"""Necks beside feature pyramids, with mmdet's arguments and parameter names."""

from functools import partial
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fkit.backbone.brick import RELU
from fkit.detection.neck import check_ssd, dilated_start, ssd_rules
from fkit.detection.pyramid import channels_of, check_maps
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.plugin import NonLocal2d

__all__ = ["BFP", "HRFPN", "ChannelMapper", "DilatedEncoder", "L2Norm", "SSDNeck", "YOLOV3Neck"]

_XAVIER = frozendict(type="Xavier", layer="Conv2d", distribution="uniform")
_BN = frozendict(type="BN", requires_grad=True)
_LEAKY = frozendict(type="LeakyReLU", negative_slope=0.1)


class ChannelMapper(nn.Module):
    """A convolution a map, to ``out_channels``; levels beyond the maps' by convolutions of stride 2.

    Args:
        in_channels: of each map.
        out_channels: of every map that is given.
        kernel_size: of the convolutions of maps.
        conv_cfg, norm_cfg, act_cfg, bias: layers, see `ConvModule`.
        num_outs: levels; None is as many as maps.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        kernel_size: int = 3,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = RELU,
        bias: bool | str = "auto",
        num_outs: int | None = None,
        init_cfg: Any = _XAVIER,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.in_channels = widths = channels_of("ChannelMapper", in_channels)
        conv = partial(ConvModule, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, bias=bias)
        pad = (kernel_size - 1) // 2
        self.convs = nn.ModuleList([conv(width, out_channels, kernel_size, padding=pad) for width in widths])
        extra = (num_outs or len(widths)) - len(widths)
        self.extra_convs = nn.ModuleList(
            [conv(out_channels if i else widths[-1], out_channels, 3, stride=2, padding=1) for i in range(extra)]
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps("ChannelMapper", inputs, self.in_channels, 1)
        outs = [conv(x) for conv, x in zip(self.convs, inputs, strict=True)]
        x = inputs[-1]
        for conv in self.extra_convs:
            x = conv(x)
            outs.append(x)
        return tuple(outs)


class HRFPN(nn.Module):
    """A pyramid of HRNet's branches (Sun et al. 2019): all at the first one's size, reduced, then pooled to levels.

    Args:
        in_channels: of each branch.
        out_channels: of every map that is given.
        num_outs: levels.
        pooling_type: "MAX" or "AVG".
        conv_cfg: convolutions.
        norm_cfg: changes nothing, as in mmdet.
        with_cp: recompute convolutions in the backward pass to save memory.
        stride: of the convolutions of levels.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int = 5,
        pooling_type: str = "AVG",
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        with_cp: bool = False,
        stride: int = 1,
        init_cfg: Any = frozendict(type="Caffe2Xavier", layer="Conv2d"),  # noqa: B008
    ) -> None:
        super().__init__()
        del norm_cfg
        self.init_cfg = init_cfg
        self.in_channels = channels_of("HRFPN", in_channels)
        self.with_cp = with_cp
        self.pooling = F.max_pool2d if pooling_type == "MAX" else F.avg_pool2d
        conv = partial(ConvModule, conv_cfg=conv_cfg, act_cfg=None)
        self.reduction_conv = conv(sum(self.in_channels), out_channels, 1)
        self.fpn_convs = nn.ModuleList(
            [conv(out_channels, out_channels, 3, padding=1, stride=stride) for _ in range(num_outs)]
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps("HRFPN", inputs, self.in_channels)
        rest = [F.interpolate(x, scale_factor=2**i, mode="bilinear") for i, x in enumerate(inputs[1:], 1)]
        x = self._call(self.reduction_conv, torch.cat([inputs[0], *rest], 1))
        pooled = [x, *(self.pooling(x, 2**i, 2**i) for i in range(1, len(self.fpn_convs)))]
        return tuple(self._call(conv, x) for conv, x in zip(self.fpn_convs, pooled, strict=True))

    def _call(self, conv: nn.Module, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return checkpoint(conv, x, use_reentrant=False)  # type: ignore[return-value]
        return conv(x)


class BFP(nn.Module):
    """A balanced pyramid (Pang et al. 2019): all levels at one size, their mean refined, and added to each.

    Args:
        in_channels: of all levels.
        num_levels: how many.
        refine_level: whose size the mean has.
        refine_type: None, "conv" or "non_local".
        conv_cfg, norm_cfg: layers of ``refine``.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: int,
        num_levels: int,
        refine_level: int = 2,
        refine_type: str | None = None,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        init_cfg: Any = _XAVIER,
    ) -> None:
        super().__init__()
        if refine_type not in (None, "conv", "non_local"):
            raise FkitValueError(
                f"BFP: refine_type={refine_type!r}.", value=refine_type, choices=("None", "conv", "non_local")
            )
        if not 0 <= refine_level < num_levels:
            raise FkitValueError(f"BFP: refine_level={refine_level}, but there are {num_levels} levels.")
        self.init_cfg = init_cfg
        self.num_levels, self.refine_level = num_levels, refine_level
        self.refine: nn.Module | None = None
        if refine_type == "conv":
            self.refine = ConvModule(in_channels, in_channels, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        elif refine_type == "non_local":
            self.refine = NonLocal2d(in_channels, conv_cfg=conv_cfg, reduction=1, use_scale=False, norm_cfg=norm_cfg)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps("BFP", inputs, (0,) * self.num_levels)
        level = self.refine_level
        size = inputs[level].shape[2:]
        parts = [F.adaptive_max_pool2d(x, size) if i < level else F.interpolate(x, size) for i, x in enumerate(inputs)]
        mean = sum(parts[1:], parts[0]) / len(parts)
        mean = mean if self.refine is None else self.refine(mean)
        return tuple(
            x + (F.interpolate(mean, x.shape[2:]) if i < level else F.adaptive_max_pool2d(mean, x.shape[2:]))
            for i, x in enumerate(inputs)
        )


class L2Norm(nn.Module):
    """Each position's channels by their length, times ``weight`` (Liu et al. 2016)."""

    def __init__(self, n_dims: int, scale: float = 20.0, eps: float = 1e-10) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_dims,), float(scale)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        length = wide.square().sum(1, keepdim=True).sqrt() + self.eps
        return (self.weight[:, None, None].to(wide.dtype) * wide / length).to(x.dtype)


class SSDNeck(nn.Module):
    """SSD's extra levels (Liu et al. 2016), each of a 1x1 convolution and one that strides; the first map by `L2Norm`.

    Args:
        in_channels: of the maps.
        out_channels: of all levels; the maps' first.
        level_strides, level_paddings: of the second convolution of each extra level.
        l2_norm_scale: what `L2Norm` begins with; None is none.
        last_kernel_size: of the last level's second convolution.
        use_depthwise: second convolutions are depthwise separable.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        out_channels: tuple[int, ...],
        level_strides: tuple[int, ...],
        level_paddings: tuple[int, ...],
        l2_norm_scale: float | None = 20.0,
        last_kernel_size: int = 3,
        use_depthwise: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = RELU,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        widths = check_ssd(in_channels, out_channels, level_strides, level_paddings)
        self.in_channels = tuple(in_channels)
        self.init_cfg = ssd_rules(init_cfg, l2_norm_scale)
        self.l2_norm = L2Norm(in_channels[0], l2_norm_scale) if l2_norm_scale else None
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        second: Any = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.extra_layers = nn.ModuleList()
        for i, (stride, padding) in enumerate(zip(level_strides, level_paddings, strict=True)):
            width = widths[i + 1]
            size = last_kernel_size if i == len(level_strides) - 1 else 3
            first = ConvModule(widths[i], width // 2, 1, **cfgs)
            self.extra_layers.append(
                nn.Sequential(first, second(width // 2, width, size, stride=stride, padding=padding, **cfgs))
            )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps("SSDNeck", inputs, self.in_channels)
        outs = list(inputs)
        if self.l2_norm is not None:
            outs[0] = self.l2_norm(outs[0])
        for layer in self.extra_layers:
            outs.append(layer(outs[-1]))
        return tuple(outs)


class _DetectionBlock(nn.Module):
    """Five convolutions, of 1x1 and 3x3 in turn (Redmon and Farhadi 2018)."""

    def __init__(self, in_channels: int, out_channels: int, cfgs: dict[str, Any]) -> None:
        super().__init__()
        self.init_cfg: Any = None
        wide = 2 * out_channels
        self.conv1 = ConvModule(in_channels, out_channels, 1, **cfgs)
        self.conv2 = ConvModule(out_channels, wide, 3, padding=1, **cfgs)
        self.conv3 = ConvModule(wide, out_channels, 1, **cfgs)
        self.conv4 = ConvModule(out_channels, wide, 3, padding=1, **cfgs)
        self.conv5 = ConvModule(wide, out_channels, 1, **cfgs)

    def forward(self, x: Tensor) -> Tensor:
        for i in range(1, 6):
            x = getattr(self, f"conv{i}")(x)
        return x


class YOLOV3Neck(nn.Module):
    """YOLOv3's path from the last map down: ``detect1``, ``conv1``, ``detect2``, ...; maps in that order.

    Args:
        num_scales: how many maps.
        in_channels, out_channels: of each, the last map first.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        num_scales: int,
        in_channels: list[int],
        out_channels: list[int],
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _LEAKY,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = channels_of("YOLOV3Neck", in_channels)
        if not num_scales == len(in_channels) == len(out_channels):
            raise FkitValueError(
                f"YOLOV3Neck: {len(in_channels)} in_channels and {len(out_channels)} out_channels for {num_scales} scales."
            )
        self.init_cfg = init_cfg
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.detect1 = _DetectionBlock(in_channels[0], out_channels[0], cfgs)
        for i in range(1, num_scales):
            out = out_channels[i]
            self.add_module(f"conv{i}", ConvModule(out_channels[i - 1], out, 1, **cfgs))
            self.add_module(f"detect{i + 1}", _DetectionBlock(in_channels[i] + out, out, cfgs))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps("YOLOV3Neck", inputs, self.in_channels)
        outs = [self.detect1(inputs[-1])]
        for i, x in enumerate(reversed(inputs[:-1]), 1):
            above = F.interpolate(getattr(self, f"conv{i}")(outs[-1]), scale_factor=2)
            outs.append(getattr(self, f"detect{i + 1}")(torch.cat((above, x), 1)))
        return tuple(outs)


class _DilatedBlock(nn.Module):
    """A residual branch of 1x1, dilated 3x3 and 1x1 convolutions."""

    def __init__(self, width: int, planes: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = ConvModule(width, planes, 1, norm_cfg=_BN)
        self.conv2 = ConvModule(planes, planes, 3, padding=dilation, dilation=dilation, norm_cfg=_BN)
        self.conv3 = ConvModule(planes, width, 1, norm_cfg=_BN)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.conv2(self.conv1(x))) + x


class DilatedEncoder(nn.Module):
    """YOLOF's neck (Chen et al. 2021): the last map by two convolutions and dilated residual blocks.

    Args:
        in_channels, out_channels: of the map, before and after.
        block_mid_channels: inside of blocks.
        num_residual_blocks, block_dilations: how many, and the dilation of each.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        block_mid_channels: int,
        num_residual_blocks: int,
        block_dilations: list[int],
    ) -> None:
        super().__init__()
        self.init_cfg = dilated_start(num_residual_blocks, block_dilations)
        self.lateral_conv = nn.Conv2d(in_channels, out_channels, 1)
        self.lateral_norm = nn.BatchNorm2d(out_channels)
        self.fpn_conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.fpn_norm = nn.BatchNorm2d(out_channels)
        self.dilated_encoder_blocks = nn.Sequential(
            *(_DilatedBlock(out_channels, block_mid_channels, block_dilations[i]) for i in range(num_residual_blocks))
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = self.lateral_norm(self.lateral_conv(inputs[-1]))
        return (self.dilated_encoder_blocks(self.fpn_norm(self.fpn_conv(x))),)
