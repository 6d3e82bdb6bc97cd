"""Stages of a pyramid each (Li et al. 2019), and those whose blocks are steps (Cai et al. 2020), with mmpose's names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.basic import bottleneck
from fkit.pose.plan import expect_counts, residuals
from fkit.pose.stages import STAGE_INIT, expect_maps
from fkit.zoo.torch.block import Block
from fkit.zoo.torch.brick import ConvModule

__all__ = ["MSPN", "RSN", "StepBlock"]

_BN = frozendict(type="BN")
_TOP = 64  # channels of maps between stages, whatever the first has: so it is in mmpose


class _Bottleneck(Block):
    """A bottleneck whose shortcut's layers are called ``conv`` and ``bn``."""

    def __init__(self, inner: int, width: int, stride: int, norm_cfg: Any) -> None:
        super().__init__(bottleneck(inner, width, width // 4, stride, False), norm_cfg=norm_cfg)
        if stride != 1 or inner != width:
            self.downsample = ConvModule(inner, width, 1, stride, norm_cfg=norm_cfg, act_cfg=None)


class StepBlock(nn.Module):
    """Channels in ``steps`` branches, each a step longer than the one before, whose maps it adds to its own (Cai et al. 2020).

    Args:
        inner, width: channels in and out.
        stride: of the first convolution.
        steps: branches.
        branch: channels of each.
        norm_cfg: layers.
    """

    def __init__(self, inner: int, width: int, stride: int, steps: int, branch: int, norm_cfg: Any) -> None:
        super().__init__()
        self.steps, self.branch = steps, branch
        options: dict[str, Any] = {"norm_cfg": norm_cfg}
        # made before the block, as mmpose makes it
        down = ConvModule(inner, width, 1, stride, act_cfg=None, **options) if stride != 1 or inner != width else None
        self.downsample = down
        self.conv_bn_relu1 = ConvModule(inner, steps * branch, 1, stride, **options)
        for i in range(1, steps + 1):
            for j in range(1, i + 1):
                self.add_module(f"conv_bn_relu2_{i}_{j}", ConvModule(branch, branch, 3, padding=1, **options))
        self.conv_bn3 = ConvModule(steps * branch, width, 1, act_cfg=None, **options)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.split(self.conv_bn_relu1(x), self.branch, 1)
        before: list[Tensor] = []
        outs: list[Tensor] = []
        for i, part in enumerate(parts):
            row: list[Tensor] = []
            for j in range(i + 1):
                y = part if j == 0 else row[j - 1]
                y = y + before[j] if i > j else y
                row.append(getattr(self, f"conv_bn_relu2_{i + 1}_{j + 1}")(y))
            outs.append(row[i])
            before = row
        return F.relu(self.conv_bn3(torch.cat(outs, 1)) + (x if self.downsample is None else self.downsample(x)))


class _Down(nn.Module):
    """Maps of each size, the smallest first."""

    def __init__(self, layers: Sequence[nn.Module], skips: bool) -> None:
        super().__init__()
        for i, layer in enumerate(layers, 1):
            self.add_module(f"layer{i}", layer)
        self.count, self.skips = len(layers), skips

    def forward(self, x: Tensor, first: Any, second: Any) -> list[Tensor]:
        maps: list[Tensor] = []
        for i in range(self.count):
            x = getattr(self, f"layer{i + 1}")(x)
            x = x + first[i] + second[i] if self.skips else x
            maps.append(x)
        return maps[::-1]


class _Up(nn.Module):
    """One size of the way back: a map, with the smaller one's enlarged, and what the next stage gets of it."""

    def __init__(self, inner: int, width: int, first: bool, last: bool, gives: bool, norm_cfg: Any) -> None:
        super().__init__()
        linear: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": None}
        self.in_skip = ConvModule(inner, width, 1, **linear)
        if not first:
            self.up_conv = ConvModule(width, width, 1, **linear)
        if gives:
            self.out_skip1 = ConvModule(inner, inner, 1, norm_cfg=norm_cfg)
            self.out_skip2 = ConvModule(width, inner, 1, norm_cfg=norm_cfg)
            if last:
                self.cross_conv = ConvModule(width, _TOP, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor, below: Tensor | None) -> tuple[Tensor, Any, Any, Any]:
        y = self.in_skip(x)
        if below is not None:
            y = y + self.up_conv(F.interpolate(below, x.shape[2:], mode="bilinear", align_corners=True))
        y = F.relu(y)
        if not hasattr(self, "out_skip1"):
            return y, None, None, None
        return y, self.out_skip1(x), self.out_skip2(y), self.cross_conv(y) if hasattr(self, "cross_conv") else None


class _Back(nn.Module):
    """The way back: ``up1``, ``up2``, ..."""

    def __init__(self, widths: Sequence[int], width: int, gives: bool, norm_cfg: Any) -> None:
        super().__init__()
        self.count = len(widths)
        for i, inner in enumerate(widths):
            self.add_module(f"up{i + 1}", _Up(inner, width, i == 0, i == self.count - 1, gives, norm_cfg))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Any, Any, Any, Any]:
        outs: list[Any] = []
        for i, x in enumerate(maps):
            outs.append(getattr(self, f"up{i + 1}")(x, outs[-1][0] if outs else None))
        first, second = ([out[place] for out in reversed(outs)] for place in (1, 2))
        return tuple(out[0] for out in outs), first, second, outs[-1][3]


class _Stage(nn.Module):
    """A way down and a way back."""

    def __init__(self, down: nn.Module, up: nn.Module) -> None:
        super().__init__()
        self.downsample, self.upsample = down, up

    def forward(self, x: Tensor, first: Any, second: Any) -> Any:
        return self.upsample(self.downsample(x, first, second))


class _Top(nn.Module):
    """A stem under the name ``top``."""

    def __init__(self, norm_cfg: Any) -> None:
        super().__init__()
        self.top = nn.Sequential(ConvModule(3, _TOP, 7, 2, 3, norm_cfg=norm_cfg), nn.MaxPool2d(3, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.top(x)


class MSPN(nn.Module):
    """Pyramids one after the other: images (N, 3, H, W) to the maps of each, the smallest first.

    Args:
        unit_channels: of maps that are given.
        num_stages: pyramids.
        num_units: sizes of each.
        num_blocks: bottlenecks of each size.
        norm_cfg: layers; blocks that change no size have mmpose's default.
        res_top_channels: of the first size, over 4.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: numbers that do not fit together.
    """

    name, stages, expansion = "MSPN", "multi_stage_mspn", 4

    def __init__(
        self,
        unit_channels: int = 256,
        num_stages: int = 4,
        num_units: int = 4,
        num_blocks: Sequence[int] = (2, 2, 2, 2),
        norm_cfg: Any = _BN,
        res_top_channels: int = 64,
        init_cfg: Any = STAGE_INIT,
    ) -> None:
        super().__init__()
        self._build(unit_channels, num_stages, num_units, num_blocks, norm_cfg, res_top_channels, init_cfg)

    def _build(
        self, width: int, count: int, units: int, blocks: Sequence[int], norm_cfg: Any, base: int, init_cfg: Any
    ) -> None:
        self.init_cfg = init_cfg
        expect_counts(self.name, num_stages=(count, 1), num_units=(units, 2))
        expect_maps(self.name, blocks, units, "num_units")
        self.top = _Top(norm_cfg)
        sizes = [base * self.expansion * 2**i for i in range(units)]
        stages: list[nn.Module] = []
        for i in range(count):
            inner, layers = base, list[nn.Module]()
            for at, size in enumerate(sizes):
                rows = residuals(inner, size, blocks[at], 1 if at == 0 else 2)
                layers.append(
                    nn.Sequential(*(self._block(*row, norm_cfg if k == 0 else _BN) for k, row in enumerate(rows)))
                )
                inner = size
            up = _Back(sizes[::-1], width, i < count - 1, norm_cfg)
            stages.append(_Stage(_Down(layers, i > 0), up))
        self.add_module(self.stages, nn.ModuleList(stages))

    def _block(self, inner: int, width: int, stride: int, norm_cfg: Any) -> nn.Module:
        return _Bottleneck(inner, width, stride, norm_cfg)

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        x = self.top(x)
        first = second = None
        outs: list[tuple[Tensor, ...]] = []
        for stage in getattr(self, self.stages):
            out, first, second, x = stage(x, first, second)
            outs.append(out)
        return tuple(outs)


class RSN(MSPN):
    """`MSPN` of `StepBlock`.

    Args:
        num_steps: branches of each block.
        expand_times: channels of a branch, over those of its input, times ``res_top_channels``.
        unit_channels, num_stages, num_units, num_blocks, norm_cfg, res_top_channels, init_cfg: see `MSPN`.
    """

    name, stages, expansion = "RSN", "multi_stage_rsn", 1

    def __init__(
        self,
        unit_channels: int = 256,
        num_stages: int = 4,
        num_units: int = 4,
        num_blocks: Sequence[int] = (2, 2, 2, 2),
        num_steps: int = 4,
        norm_cfg: Any = _BN,
        res_top_channels: int = 64,
        expand_times: int = 26,
        init_cfg: Any = STAGE_INIT,
    ) -> None:
        nn.Module.__init__(self)
        expect_counts("RSN", num_steps=(num_steps, 2))
        self.steps, self.times, self.base = num_steps, expand_times, res_top_channels
        self._build(unit_channels, num_stages, num_units, num_blocks, norm_cfg, res_top_channels, init_cfg)

    def _block(self, inner: int, width: int, stride: int, norm_cfg: Any) -> nn.Module:
        return StepBlock(inner, width, stride, self.steps, inner * self.times // self.base, norm_cfg)
