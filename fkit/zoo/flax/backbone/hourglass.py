"""Stacked hourglasses (Newell et al. 2016) and convolutional pose machines (Wei et al. 2016), with mmpose's parameter names;
channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.basic import basic
from fkit.backend.jax.layers import max_pool
from fkit.pose.plan import expect_counts, residuals
from fkit.pose.stages import HOURGLASS_INIT, expect_depth
from fkit.zoo.flax.block import Block
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["CPM", "HourglassModule", "HourglassNet"]

Array = jax.Array

_BN = frozendict(type="BN", requires_grad=True)


def _layer(
    x: Array, train: bool, name: str, width: int, count: int, norm_cfg: Any, stride: int = 1, first: bool = True
) -> Array:
    for i, row in enumerate(residuals(x.shape[-1], width, count, stride, first)):
        x = Block(basic(*row), norm_cfg=norm_cfg, name=f"{name}_{i}")(x, train)
    return x


def _twice(x: Array) -> Array:
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


class HourglassModule(nn.Module):
    """A map, and beside it a smaller one made and enlarged again; the smaller one by a module of its own kind.

    Attributes:
        depth: how often it becomes smaller.
        channels, blocks: of each size, and how many.
        norm_cfg: layers.
    """

    depth: int
    channels: Sequence[int]
    blocks: Sequence[int]
    norm_cfg: Any = _BN

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        (here, below), count = self.channels[:2], self.blocks[0]
        up = _layer(x, train, "up1", here, count, self.norm_cfg)
        y = _layer(x, train, "low1", below, count, self.norm_cfg, 2)
        if self.depth > 1:
            y = HourglassModule(self.depth - 1, self.channels[1:], self.blocks[1:], name="low2")(y, train)
        else:
            y = _layer(y, train, "low2", below, self.blocks[1], self.norm_cfg)
        y = _twice(_layer(y, train, "low3", here, count, self.norm_cfg, first=False))
        if self.is_initializing():  # layers are made of any example, also of one that halves have no room in
            y = y[:, : up.shape[1], : up.shape[2]]
        return up + y


class HourglassNet(nn.Module):
    """Hourglasses one after the other: images (N, H, W, 3) to a map of each, at stride 4.

    Attributes:
        downsample_times: how often maps become smaller in each.
        num_stacks: how many.
        stage_channels, stage_blocks: of each size.
        feat_channel: of maps that are given.
        norm_cfg: layers.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: numbers that do not fit together.
    """

    downsample_times: int = 5
    num_stacks: int = 2
    stage_channels: Sequence[int] = (256, 256, 384, 384, 384, 512)
    stage_blocks: Sequence[int] = (2, 2, 2, 2, 2, 4)
    feat_channel: int = 256
    norm_cfg: Any = _BN
    init_cfg: Any = HOURGLASS_INIT
    torch_order: ClassVar[tuple[str, ...]] = (
        "stem", "hourglass_modules", "inters", "conv1x1s", "out_convs", "remap_convs"
    )  # fmt: skip

    def __post_init__(self) -> None:
        expect_counts("HourglassNet", num_stacks=(self.num_stacks, 1))
        expect_depth(self.downsample_times, self.stage_channels, self.stage_blocks)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("HourglassNet", x, 3)
        norm, width, feat = self.norm_cfg, self.stage_channels[0], self.feat_channel
        linear: dict[str, Any] = {"norm_cfg": norm, "act_cfg": None}
        x = ConvModule(3, 128, 7, 2, 3, norm_cfg=norm, name="stem_0")(x, train)
        x = _layer(x, train, "stem_1", 256, 1, norm, 2)
        sizes = (self.downsample_times, tuple(self.stage_channels), tuple(self.stage_blocks))
        maps: list[Array] = []
        if self.num_stacks == 1 and self.is_initializing():  # mmpose's has it, and calls it never
            Block(basic(width, width), norm_cfg=norm, name="inters_0")(x, train)
        for i in range(self.num_stacks):
            y = HourglassModule(*sizes, name=f"hourglass_modules_{i}")(x, train)
            y = ConvModule(width, feat, 3, padding=1, norm_cfg=norm, name=f"out_convs_{i}")(y, train)
            maps.append(y)
            if i < self.num_stacks - 1:
                x = ConvModule(width, width, 1, name=f"conv1x1s_{i}", **linear)(x, train)
                x = nn.relu(x + ConvModule(feat, width, 1, name=f"remap_convs_{i}", **linear)(y, train))
                x = Block(basic(width, width), norm_cfg=norm, name=f"inters_{i}")(x, train)
        return tuple(maps)


class _Stage(nn.Module):
    """Convolutions under the name ``model``."""

    rows: Sequence[int]
    width: int
    norm_cfg: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        for i, inner in enumerate(self.rows):
            x = ConvModule(inner, self.width, 11, padding=5, norm_cfg=self.norm_cfg, name=f"model_{i}")(x, train)
        return x


class CPM(nn.Module):
    """Convolutional pose machines: images (N, H, W, 3) to maps of each stage, at stride 8; each stage sees the last one's.

    Attributes:
        in_channels: 3.
        out_channels: of maps that are given.
        feat_channels, middle_channels: inside of stages, and of what they see of the image.
        num_stages: how many.
        norm_cfg: layers.
        init_cfg: rules for initial weights.
    """

    in_channels: int
    out_channels: int
    feat_channels: int = 128
    middle_channels: int = 32
    num_stages: int = 6
    norm_cfg: Any = _BN
    init_cfg: Any = HOURGLASS_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("stem", "middle", "cpm_stages", "middle_conv", "out_convs")

    def __post_init__(self) -> None:
        expect_counts("CPM", num_stages=(self.num_stages, 1))
        super().__post_init__()

    def _conv(self, x: Array, train: bool, name: str, width: int, size: int, **options: Any) -> Array:
        options = {"norm_cfg": self.norm_cfg, **options}
        return ConvModule(x.shape[-1], width, size, padding=(size - 1) // 2, name=name, **options)(x, train)

    def _small(self, x: Array, train: bool, name: str) -> Array:
        for i in range(3):
            x = max_pool(self._conv(x, train, f"{name}_{2 * i}", 128, 9), 3, 2, 1)
        return x

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("CPM", x, self.in_channels)
        out, feat, plain = self.out_channels, self.feat_channels, {"norm_cfg": None, "act_cfg": None}
        y = self._small(x, train, "stem")
        for i, (width, size) in enumerate(((32, 5), (512, 9), (512, 1)), 6):
            y = self._conv(y, train, f"stem_{i}", width, size)
        maps, middle = [self._conv(y, train, "stem_9", out, 1, **plain)], self._small(x, train, "middle")
        for i in range(self.num_stages - 1):
            seen = self._conv(middle, train, f"middle_conv_{i}_0", self.middle_channels, 5)
            y = jnp.concatenate([maps[-1], seen], -1)
            y = _Stage((y.shape[-1], feat, feat), feat, self.norm_cfg, name=f"cpm_stages_{i}")(y, train)
            y = self._conv(y, train, f"out_convs_{i}_0", feat, 1)
            maps.append(self._conv(y, train, f"out_convs_{i}_1", out, 1, **plain))
        return tuple(maps)
