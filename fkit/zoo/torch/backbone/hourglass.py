"""Stacked hourglasses (Newell et al. 2016) and convolutional pose machines (Wei et al. 2016), with mmpose's parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.basic import basic
from fkit.pose.plan import expect_counts, residuals
from fkit.pose.stages import HOURGLASS_INIT, expect_depth
from fkit.zoo.torch.block import Block
from fkit.zoo.torch.brick import ConvModule

__all__ = ["CPM", "HourglassModule", "HourglassNet"]

_BN = frozendict(type="BN", requires_grad=True)


def _layer(inner: int, width: int, count: int, norm_cfg: Any, stride: int = 1, first: bool = True) -> nn.Sequential:
    rows = residuals(inner, width, count, stride, first)
    return nn.Sequential(*(Block(basic(*row), norm_cfg=norm_cfg) for row in rows))


class HourglassModule(nn.Module):
    """A map, and beside it a smaller one made and enlarged again; the smaller one by a module of its own kind.

    Args:
        depth: how often it becomes smaller.
        channels, blocks: of each size, and how many.
        norm_cfg: layers.
    """

    def __init__(self, depth: int, channels: Sequence[int], blocks: Sequence[int], norm_cfg: Any = _BN) -> None:
        super().__init__()
        here, below = channels[:2]
        self.up1 = _layer(here, here, blocks[0], norm_cfg)
        self.low1 = _layer(here, below, blocks[0], norm_cfg, 2)
        self.low2: nn.Module = (
            HourglassModule(depth - 1, channels[1:], blocks[1:])
            if depth > 1
            else _layer(below, below, blocks[1], norm_cfg)
        )
        self.low3 = _layer(below, here, blocks[0], norm_cfg, first=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.up1(x) + F.interpolate(self.low3(self.low2(self.low1(x))), scale_factor=2)


class HourglassNet(nn.Module):
    """Hourglasses one after the other: images (N, 3, H, W) to a map of each, at stride 4.

    Args:
        downsample_times: how often maps become smaller in each.
        num_stacks: how many.
        stage_channels, stage_blocks: of each size.
        feat_channel: of maps that are given.
        norm_cfg: layers.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: numbers that do not fit together.
    """

    def __init__(
        self,
        downsample_times: int = 5,
        num_stacks: int = 2,
        stage_channels: Sequence[int] = (256, 256, 384, 384, 384, 512),
        stage_blocks: Sequence[int] = (2, 2, 2, 2, 2, 4),
        feat_channel: int = 256,
        norm_cfg: Any = _BN,
        init_cfg: Any = HOURGLASS_INIT,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        expect_counts("HourglassNet", num_stacks=(num_stacks, 1))
        expect_depth(downsample_times, stage_channels, stage_blocks)
        width, between = stage_channels[0], range(num_stacks - 1)
        linear: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": None}
        self.stem = nn.Sequential(ConvModule(3, 128, 7, 2, 3, norm_cfg=norm_cfg), _layer(128, 256, 1, norm_cfg, 2))
        self.hourglass_modules = nn.ModuleList(
            HourglassModule(downsample_times, stage_channels, stage_blocks) for _ in range(num_stacks)
        )
        # one at least, though a single hourglass calls none: so it is in mmpose
        self.inters = _layer(width, width, max(num_stacks - 1, 1), norm_cfg)
        self.conv1x1s = nn.ModuleList(ConvModule(width, width, 1, **linear) for _ in between)
        self.out_convs = nn.ModuleList(
            ConvModule(width, feat_channel, 3, padding=1, norm_cfg=norm_cfg) for _ in range(num_stacks)
        )
        self.remap_convs = nn.ModuleList(ConvModule(feat_channel, width, 1, **linear) for _ in between)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        maps: list[Tensor] = []
        for i, (hourglass, out) in enumerate(zip(self.hourglass_modules, self.out_convs, strict=True)):
            maps.append(out(hourglass(x)))
            if i < len(self.out_convs) - 1:
                x = self.inters[i](F.relu(self.conv1x1s[i](x) + self.remap_convs[i](maps[-1])))
        return tuple(maps)


class CPM(nn.Module):
    """Convolutional pose machines: images (N, 3, H, W) to maps of each stage, at stride 8; each stage sees the last one's.

    Args:
        in_channels: 3.
        out_channels: of maps that are given.
        feat_channels, middle_channels: inside of stages, and of what they see of the image.
        num_stages: how many.
        norm_cfg: layers.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        feat_channels: int = 128,
        middle_channels: int = 32,
        num_stages: int = 6,
        norm_cfg: Any = _BN,
        init_cfg: Any = HOURGLASS_INIT,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        expect_counts("CPM", num_stages=(num_stages, 1))
        norm: dict[str, Any] = {"norm_cfg": norm_cfg}

        def conv(inner: int, width: int, size: int, **options: Any) -> ConvModule:
            return ConvModule(inner, width, size, padding=(size - 1) // 2, **options)

        def small() -> list[nn.Module]:
            layers: list[nn.Module] = []
            for inner in (in_channels, 128, 128):
                layers += [conv(inner, 128, 9, **norm), nn.MaxPool2d(3, 2, 1)]
            return layers

        rest = [conv(128, 32, 5, **norm), conv(32, 512, 9, **norm), conv(512, 512, 1, **norm)]
        self.stem = nn.Sequential(*small(), *rest, conv(512, out_channels, 1, act_cfg=None))
        self.middle = nn.Sequential(*small())
        self.cpm_stages, self.middle_conv, self.out_convs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for _ in range(num_stages - 1):
            rows = (middle_channels + out_channels, feat_channels, feat_channels)
            self.cpm_stages.append(_Stage([conv(inner, feat_channels, 11, **norm) for inner in rows]))
            self.middle_conv.append(nn.Sequential(conv(128, middle_channels, 5, **norm)))
            last = conv(feat_channels, out_channels, 1, act_cfg=None)
            self.out_convs.append(nn.Sequential(conv(feat_channels, feat_channels, 1, **norm), last))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps, middle = [self.stem(x)], self.middle(x)
        for stage, seen, out in zip(self.cpm_stages, self.middle_conv, self.out_convs, strict=True):
            maps.append(out(stage(torch.cat([maps[-1], seen(middle)], 1))))
        return tuple(maps)


class _Stage(nn.Module):
    """Convolutions under the name ``model``."""

    def __init__(self, layers: list[ConvModule]) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
