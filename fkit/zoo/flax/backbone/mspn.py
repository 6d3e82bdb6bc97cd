"""Stages of a pyramid each (Li et al. 2019), and those whose blocks are steps (Cai et al. 2020), with mmpose's names; channels
last."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.basic import bottleneck
from fkit.backend.jax.layers import max_pool
from fkit.backend.jax.resize import interpolate
from fkit.pose.plan import expect_counts, residuals
from fkit.pose.stages import STAGE_INIT, expect_maps
from fkit.zoo.flax.block import Block
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["MSPN", "RSN", "StepBlock"]

Array = jax.Array

_BN = frozendict(type="BN")
_TOP = 64  # channels of maps between stages, whatever the first has: so it is in mmpose


class _Bottleneck(Block):
    """A bottleneck whose shortcut's layers are called ``conv`` and ``bn``."""

    def _shortcut(self, x: Array, train: bool) -> Array:
        inner, width, stride = self.plan.inner, self.plan.width, self.plan.shortcut
        if not stride:
            return x
        return ConvModule(
            inner, width, 1, stride, norm_cfg=self.norm_cfg, act_cfg=None, name="downsample"
        )(x, train)  # fmt: skip


class StepBlock(nn.Module):
    """Channels in ``steps`` branches, each a step longer than the one before, whose maps it adds to its own (Cai et al. 2020).

    Attributes:
        inner, width: channels in and out.
        stride: of the first convolution.
        steps: branches.
        branch: channels of each.
        norm_cfg: layers.
    """

    inner: int
    width: int
    stride: int
    steps: int
    branch: int
    norm_cfg: Any

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the parts: the shortcut comes first."""
        steps = range(1, self.steps + 1)
        rows = [f"conv_bn_relu2_{i}_{j}" for i in steps for j in range(1, i + 1)]
        return ("downsample", "conv_bn_relu1", *rows, "conv_bn3")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        steps, branch = self.steps, self.branch
        options: dict[str, Any] = {"norm_cfg": self.norm_cfg}
        short = x
        if self.stride != 1 or self.inner != self.width:
            short = ConvModule(
                self.inner, self.width, 1, self.stride, act_cfg=None, name="downsample", **options
            )(x, train)  # fmt: skip
        x = ConvModule(self.inner, steps * branch, 1, self.stride, name="conv_bn_relu1", **options)(x, train)
        before: list[Array] = []
        outs: list[Array] = []
        for i, part in enumerate(jnp.split(x, steps, -1)):
            row: list[Array] = []
            for j in range(i + 1):
                y = part if j == 0 else row[j - 1]
                y = y + before[j] if i > j else y
                name = f"conv_bn_relu2_{i + 1}-{j + 1}"
                row.append(ConvModule(branch, branch, 3, padding=1, name=name, **options)(y, train))
            outs.append(row[i])
            before = row
        y = jnp.concatenate(outs, -1)
        y = ConvModule(steps * branch, self.width, 1, act_cfg=None, name="conv_bn3", **options)(y, train)
        return nn.relu(y + short)


class _Up(nn.Module):
    """One size of the way back: a map, with the smaller one's enlarged, and what the next stage gets of it."""

    inner: int
    width: int
    last: bool
    gives: bool
    norm_cfg: Any

    @nn.compact
    def __call__(self, x: Array, below: Array | None, train: bool = False) -> tuple[Array, Any, Any, Any]:
        inner, width, norm = self.inner, self.width, self.norm_cfg
        linear: dict[str, Any] = {"norm_cfg": norm, "act_cfg": None}
        y = ConvModule(inner, width, 1, name="in_skip", **linear)(x, train)
        if below is not None:
            large = interpolate(below, x.shape[1:3], mode="bilinear", align_corners=True)
            y = y + ConvModule(width, width, 1, name="up_conv", **linear)(large, train)
        y = nn.relu(y)
        if not self.gives:
            return y, None, None, None
        first = ConvModule(inner, inner, 1, norm_cfg=norm, name="out_skip1")(x, train)
        second = ConvModule(width, inner, 1, norm_cfg=norm, name="out_skip2")(y, train)
        cross = ConvModule(width, _TOP, 1, norm_cfg=norm, name="cross_conv")(y, train) if self.last else None
        return y, first, second, cross


class _Back(nn.Module):
    """The way back: ``up1``, ``up2``, ..."""

    widths: Sequence[int]
    width: int
    gives: bool
    norm_cfg: Any

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> tuple[Any, Any, Any, Any]:
        outs: list[Any] = []
        last = len(self.widths) - 1
        for i, (inner, x) in enumerate(zip(self.widths, maps, strict=True)):
            up = _Up(inner, self.width, i == last, self.gives, self.norm_cfg, name=f"up{i + 1}")
            outs.append(up(x, outs[-1][0] if outs else None, train))
        first, second = ([out[place] for out in reversed(outs)] for place in (1, 2))
        return tuple(out[0] for out in outs), first, second, outs[-1][3]


class _Down(nn.Module):
    """Maps of each size, the smallest first."""

    net: Any
    skips: bool

    @nn.compact
    def __call__(self, x: Array, first: Any, second: Any, train: bool = False) -> list[Array]:
        net, maps = self.net, list[Array]()
        for at, size in enumerate(net.sizes()):
            rows = residuals(x.shape[-1], size, net.blocks[at], 1 if at == 0 else 2)
            for k, row in enumerate(rows):
                x = net.block(row, net.norm_cfg if k == 0 else _BN, f"layer{at + 1}_{k}")(x, train)
            x = x + first[at] + second[at] if self.skips else x
            maps.append(x)
        return maps[::-1]


class _Stage(nn.Module):
    """A way down and a way back."""

    net: Any
    skips: bool
    gives: bool

    @nn.compact
    def __call__(self, x: Array, first: Any, second: Any, train: bool = False) -> Any:
        maps = _Down(self.net, self.skips, name="downsample")(x, first, second, train)
        sizes = self.net.sizes()[::-1]
        return _Back(tuple(sizes), self.net.width, self.gives, self.net.norm_cfg, name="upsample")(maps, train)


class _Top(nn.Module):
    """A stem under the name ``top``."""

    norm_cfg: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        return max_pool(ConvModule(3, _TOP, 7, 2, 3, norm_cfg=self.norm_cfg, name="top_0")(x, train), 3, 2, 1)


class _Plan:
    """What stages are made of.

    Attributes:
        width: of maps that are given.
        units, blocks: sizes, and blocks of each.
        base: of the first size, over ``expansion``.
        steps, times: of `StepBlock`; None: bottlenecks.
    """

    def __init__(self, net: Any, steps: int | None, times: int) -> None:
        self.width, self.units, self.blocks = net.unit_channels, net.num_units, tuple(net.num_blocks)
        self.norm_cfg, self.base, self.steps, self.times = net.norm_cfg, net.res_top_channels, steps, times

    def sizes(self) -> list[int]:
        """Channels of each size."""
        return [self.base * (4 if self.steps is None else 1) * 2**i for i in range(self.units)]

    def block(self, row: tuple[int, int, int], norm_cfg: Any, name: str) -> nn.Module:
        """A block."""
        inner, width, stride = row
        if self.steps is None:
            plan = bottleneck(inner, width, width // 4, stride)
            return _Bottleneck(plan, norm_cfg=norm_cfg, name=name)
        return StepBlock(*row, self.steps, inner * self.times // self.base, norm_cfg, name=name)


class MSPN(nn.Module):
    """Pyramids one after the other: images (N, H, W, 3) to the maps of each, the smallest first.

    Attributes:
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

    unit_channels: int = 256
    num_stages: int = 4
    num_units: int = 4
    num_blocks: Sequence[int] = (2, 2, 2, 2)
    norm_cfg: Any = _BN
    res_top_channels: int = 64
    init_cfg: Any = STAGE_INIT

    def __post_init__(self) -> None:
        who = type(self).__name__
        expect_counts(who, num_stages=(self.num_stages, 1), num_units=(self.num_units, 2))
        expect_maps(who, self.num_blocks, self.num_units, "num_units")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[tuple[Array, ...], ...]:
        return self.staged(x, train, "multi_stage_mspn", _Plan(self, None, 0))

    def staged(self, x: Array, train: bool, name: str, plan: _Plan) -> tuple[tuple[Array, ...], ...]:
        """The maps of each stage."""
        check_channels(type(self).__name__, x, 3)
        x = _Top(self.norm_cfg, name="top")(x, train)
        first = second = None
        outs: list[tuple[Array, ...]] = []
        for i in range(self.num_stages):
            stage = _Stage(plan, i > 0, i < self.num_stages - 1, name=f"{name}_{i}")
            out, first, second, x = stage(x, first, second, train)
            outs.append(out)
        return tuple(outs)


class RSN(MSPN):
    """`MSPN` of `StepBlock`.

    Attributes:
        num_steps: branches of each block.
        expand_times: channels of a branch, over those of its input, times ``res_top_channels``.
        unit_channels, num_stages, num_units, num_blocks, norm_cfg, res_top_channels, init_cfg: see `MSPN`.
    """

    num_steps: int = 4
    expand_times: int = 26

    def __post_init__(self) -> None:
        expect_counts("RSN", num_steps=(self.num_steps, 2))
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[tuple[Array, ...], ...]:
        return self.staged(x, train, "multi_stage_rsn", _Plan(self, self.num_steps, self.expand_times))
