"""Lite-HRNet (Yu et al. 2021), with mmpose's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backbone.brick import RELU
from fkit.backbone.lite import LiteStage, LiteStem, lite_plan
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.pose.stages import HOURGLASS_INIT
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.squeeze import SELayer

__all__ = ["LiteHRNet", "ShuffleUnit", "shuffled"]

_BN = frozendict(type="BN")
_SIGMOID = frozendict(type="Sigmoid")


def shuffled(x: Tensor, groups: int = 2) -> Tensor:
    """Maps with the channels of groups taken in turn (Zhang et al. 2018)."""
    count, width, height, across = x.shape
    return x.view(count, groups, width // groups, height, across).transpose(1, 2).reshape(x.shape)


class _Stem(nn.Module):
    def __init__(self, in_channels: int, plan: LiteStem, cfgs: dict[str, Any]) -> None:
        super().__init__()
        half, middle = plan.half, plan.middle
        self.conv1 = ConvModule(in_channels, plan.stem, 3, 2, 1, **cfgs)
        self.branch1 = nn.Sequential(
            ConvModule(half, half, 3, 2, 1, groups=half, act_cfg=None, **cfgs), ConvModule(half, plan.first, 1, **cfgs)
        )
        self.expand_conv = ConvModule(half, middle, 1, **cfgs)
        self.depthwise_conv = ConvModule(middle, middle, 3, 2, 1, groups=middle, act_cfg=None, **cfgs)
        self.linear_conv = ConvModule(middle, plan.second, 1, **cfgs)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.conv1(x).chunk(2, 1)
        second = self.linear_conv(self.depthwise_conv(self.expand_conv(second)))
        return shuffled(torch.cat((self.branch1(first), second), 1))


class _Across(nn.Module):
    """Maps of all branches weighed by what they say together."""

    def __init__(self, widths: list[int], ratio: int, cfgs: dict[str, Any]) -> None:
        super().__init__()
        self.widths, total = widths, sum(widths)
        self.conv1 = ConvModule(total, int(total / ratio), 1, act_cfg=RELU, **cfgs)
        self.conv2 = ConvModule(int(total / ratio), total, 1, act_cfg=_SIGMOID, **cfgs)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        size = (maps[-1].shape[2], maps[-1].shape[3])
        y = torch.cat([*(F.adaptive_avg_pool2d(x, size) for x in maps[:-1]), maps[-1]], 1)
        parts = torch.split(self.conv2(self.conv1(y)), self.widths, 1)
        return [x * F.interpolate(part, x.shape[2:]) for x, part in zip(maps, parts, strict=True)]


class _Weighting(nn.Module):
    """One half of each branch's channels weighed across branches, filtered and weighed alone; halves shuffled."""

    def __init__(self, stage: LiteStage, cfgs: dict[str, Any], with_cp: bool) -> None:
        super().__init__()
        self.with_cp = with_cp
        halves = [width // 2 for width in stage.widths]
        self.cross_resolution_weighting = _Across(halves, stage.ratio, cfgs)
        self.depthwise_convs = nn.ModuleList(
            ConvModule(half, half, 3, padding=1, groups=half, act_cfg=None, **cfgs) for half in halves
        )
        self.spatial_weighting = nn.ModuleList(SELayer(half, 4) for half in halves)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        if self.with_cp and maps[0].requires_grad:
            return checkpoint(self._weighed, maps, use_reentrant=False)  # type: ignore[return-value]
        return self._weighed(maps)

    def _weighed(self, maps: list[Tensor]) -> list[Tensor]:
        pairs = [x.chunk(2, 1) for x in maps]
        seconds = self.cross_resolution_weighting([pair[1] for pair in pairs])
        rows = zip(pairs, seconds, self.depthwise_convs, self.spatial_weighting, strict=True)
        return [shuffled(torch.cat([pair[0], weigh(conv(x))], 1)) for pair, x, conv, weigh in rows]


class ShuffleUnit(nn.Module):
    """One half of the channels by 1x1, 3x3 (a channel alone) and 1x1; halves shuffled (Ma et al. 2018)."""

    def __init__(self, width: int, cfgs: dict[str, Any], with_cp: bool) -> None:
        super().__init__()
        self.with_cp, half = with_cp, width // 2
        self.branch2 = nn.Sequential(
            ConvModule(half, half, 1, **cfgs),
            ConvModule(half, half, 3, padding=1, groups=half, act_cfg=None, **cfgs),
            ConvModule(half, half, 1, **cfgs),
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        if self.with_cp and x.requires_grad:
            second: Any = checkpoint(self.branch2, second, use_reentrant=False)
        else:
            second = self.branch2(second)
        return shuffled(torch.cat((first, second), 1))


def _pair(inner: int, width: int, stride: int, active: bool, cfgs: dict[str, Any]) -> list[nn.Module]:
    """A 3x3 convolution of each channel alone and a 1x1, with their norms."""
    conv, norm = cfgs["conv_cfg"], cfgs["norm_cfg"]
    layers: list[nn.Module] = [
        conv_layer(conv, inner, inner, 3, stride=stride, padding=1, groups=inner, bias=False),
        norm_layer(norm, inner)[1],
        conv_layer(conv, inner, width, 1, bias=False),
        norm_layer(norm, width)[1],
    ]
    return [*layers, nn.ReLU()] if active else layers


class _Module(nn.Module):
    """Blocks over branches, and each branch's maps with those of all others added to them."""

    def __init__(self, stage: LiteStage, cfgs: dict[str, Any], with_cp: bool) -> None:
        super().__init__()
        self.stage, widths = stage, stage.widths
        if stage.lite:
            self.layers: Any = nn.Sequential(*(_Weighting(stage, cfgs, with_cp) for _ in range(stage.blocks)))
        else:
            self.layers = nn.ModuleList(
                nn.Sequential(*(ShuffleUnit(width, cfgs, with_cp) for _ in range(stage.blocks))) for width in widths
            )
        if stage.fuse and len(widths) > 1:
            places = range(len(widths))
            self.fuse_layers = nn.ModuleList(
                nn.ModuleList(self._path(widths, j, i, cfgs) for j in places) for i in places
            )

    def _path(self, widths: tuple[int, ...], source: int, target: int, cfgs: dict[str, Any]) -> nn.Module:
        inner, width = widths[source], widths[target]
        if source == target:
            return nn.Identity()
        if source > target:
            conv = conv_layer(cfgs["conv_cfg"], inner, width, 1, bias=False)
            up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
            return nn.Sequential(conv, norm_layer(cfgs["norm_cfg"], width)[1], up)
        last = target - source - 1
        return nn.Sequential(
            *(
                nn.Sequential(*_pair(inner, width if k == last else inner, 2, k < last, cfgs))
                for k in range(target - source)
            )
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        if len(maps) == 1:
            return [self.layers[0](maps[0])]
        if self.stage.lite:
            maps = self.layers(maps)
        else:
            maps = [layer(x) for layer, x in zip(self.layers, maps, strict=True)]
        return self._fused(maps) if self.stage.fuse else maps

    def _fused(self, maps: list[Tensor]) -> list[Tensor]:
        # mmpose adds the finest branch twice, and the other branches then see the finest one's sum
        sums: list[Tensor] = []
        for i, row in enumerate(self.fuse_layers):
            paths: Any = row
            y = maps[0] if i == 0 else paths[0](maps[0])
            for j, x in enumerate(maps):
                y = y + (x if i == j else paths[j](x))
            if i == 0:
                maps = [y, *maps[1:]]
            sums.append(y)
        return [F.relu(y) for y in sums]


class _HeadLayer(nn.Module):
    """From the coarsest branch to the finest, each enlarged and added to the next."""

    def __init__(self, widths: tuple[int, ...], norm_cfg: Any) -> None:
        super().__init__()
        back = widths[::-1]
        self.projects = nn.ModuleList(
            DepthwiseSeparableConvModule(
                width, back[min(i + 1, len(back) - 1)], 3, padding=1, norm_cfg=norm_cfg, dw_act_cfg=None
            )
            for i, width in enumerate(back)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        y: Tensor | None = None
        for project, x in zip(self.projects, reversed(maps), strict=True):
            if y is not None:
                x = x + F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=True)
            y = project(x)
        assert y is not None
        return y


class LiteHRNet(nn.Module):
    """Lite-HRNet, a backbone: images (N, C, H, W) to the finest branch's map, at stride 4.

    Args:
        extra: ``stem``, ``num_stages``, ``stages_spec`` and ``with_head``.
        in_channels: of images.
        conv_cfg, norm_cfg: layers.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: ``extra`` lacks a word, or its numbers do not fit together.
    """

    def __init__(
        self,
        extra: Any,
        in_channels: int = 3,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = HOURGLASS_INIT,
    ) -> None:
        super().__init__()
        self.init_cfg, self.norm_eval = init_cfg, norm_eval
        stem, stages, head = lite_plan(extra)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.stem = _Stem(in_channels, stem, cfgs)
        widths: tuple[int, ...] = (stem.out,)
        for i, stage in enumerate(stages):
            entries = [self._entry(widths, at, width, cfgs) for at, width in enumerate(stage.widths)]
            self.add_module(f"transition{i}", nn.ModuleList(entries))
            self.add_module(f"stage{i}", nn.Sequential(*(_Module(stage, cfgs, with_cp) for _ in range(stage.modules))))
            widths = stage.widths
        self.count = len(stages)
        self.head_layer = _HeadLayer(widths, norm_cfg) if head else None

    def _entry(self, before: tuple[int, ...], at: int, width: int, cfgs: dict[str, Any]) -> nn.Module:
        """What a branch of a stage begins with."""
        if at < len(before):
            same = before[at] == width
            return nn.Identity() if same else nn.Sequential(*_pair(before[at], width, 1, True, cfgs))
        inner, last = before[-1], at - len(before)
        rows = [_pair(inner, width if j == last else inner, 2, True, cfgs) for j in range(last + 1)]
        return nn.Sequential(*(nn.Sequential(*row) for row in rows))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = [self.stem(x)]
        for i in range(self.count):
            entries = getattr(self, f"transition{i}")
            maps = [entry(maps[at] if at < len(maps) else maps[-1]) for at, entry in enumerate(entries)]
            maps = getattr(self, f"stage{i}")(maps)
        return (maps[0] if self.head_layer is None else self.head_layer(maps),)

    def train(self, mode: bool = True) -> "LiteHRNet":
        """Training mode, but for batch norms where ``norm_eval``."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
