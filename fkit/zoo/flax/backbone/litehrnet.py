"""Lite-HRNet (Yu et al. 2021), with mmpose's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.lite import LiteStage, LiteStem, lite_plan
from fkit.backend.jax.layers import conv_layer, norm_layer
from fkit.backend.jax.resize import adaptive_avg_pool, interpolate
from fkit.pose.stages import HOURGLASS_INIT
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.small import check_channels
from fkit.zoo.flax.squeeze import SELayer

__all__ = ["LiteHRNet", "ShuffleUnit", "shuffled"]

Array = jax.Array
Maps = tuple[Array, ...]

_BN = frozendict(type="BN")
_SIGMOID = frozendict(type="Sigmoid")


def shuffled(x: Array, groups: int = 2) -> Array:
    """Maps with the channels of groups taken in turn (Zhang et al. 2018)."""
    return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)


class _Stem(nn.Module):
    plan: LiteStem
    cfgs: Any
    torch_order: ClassVar[tuple[str, ...]] = ("conv1", "branch1", "expand_conv", "depthwise_conv", "linear_conv")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        plan, cfgs, half, middle = self.plan, self.cfgs, self.plan.half, self.plan.middle
        x = ConvModule(x.shape[-1], plan.stem, 3, 2, 1, name="conv1", **cfgs)(x, train)
        first, second = jnp.split(x, 2, -1)
        first = ConvModule(half, half, 3, 2, 1, groups=half, act_cfg=None, name="branch1_0", **cfgs)(first, train)
        first = ConvModule(half, plan.first, 1, name="branch1_1", **cfgs)(first, train)
        second = ConvModule(half, middle, 1, name="expand_conv", **cfgs)(second, train)
        second = ConvModule(
            middle, middle, 3, 2, 1, groups=middle, act_cfg=None, name="depthwise_conv", **cfgs
        )(second, train)  # fmt: skip
        second = ConvModule(middle, plan.second, 1, name="linear_conv", **cfgs)(second, train)
        return shuffled(jnp.concatenate((first, second), -1))


class _Across(nn.Module):
    """Maps of all branches weighed by what they say together."""

    ratio: int
    cfgs: Any

    @nn.compact
    def __call__(self, maps: list[Array], train: bool = False) -> list[Array]:
        size = maps[-1].shape[1:3]
        y = jnp.concatenate([*(adaptive_avg_pool(x, size) for x in maps[:-1]), maps[-1]], -1)
        total = y.shape[-1]
        inner = int(total / self.ratio)
        y = ConvModule(total, inner, 1, act_cfg=RELU, name="conv1", **self.cfgs)(y, train)
        y = ConvModule(inner, total, 1, act_cfg=_SIGMOID, name="conv2", **self.cfgs)(y, train)
        done: list[Array] = []
        start = 0
        for x in maps:
            part = y[..., start : start + x.shape[-1]]
            start += x.shape[-1]
            done.append(x * interpolate(part, x.shape[1:3]))
        return done


class _Weighting(nn.Module):
    """One half of each branch's channels weighed across branches, filtered and weighed alone; halves shuffled."""

    ratio: int
    cfgs: Any
    torch_order: ClassVar[tuple[str, ...]] = ("cross_resolution_weighting", "depthwise_convs", "spatial_weighting")

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> Maps:
        pairs = [jnp.split(x, 2, -1) for x in maps]
        across = _Across(self.ratio, self.cfgs, name="cross_resolution_weighting")
        seconds = across([pair[1] for pair in pairs], train)
        done: list[Array] = []
        for i, (pair, x) in enumerate(zip(pairs, seconds, strict=True)):
            half = x.shape[-1]
            x = ConvModule(
                half, half, 3, padding=1, groups=half, act_cfg=None, name=f"depthwise_convs_{i}", **self.cfgs
            )(x, train)  # fmt: skip
            x = SELayer(half, 4, name=f"spatial_weighting_{i}")(x, train)
            done.append(shuffled(jnp.concatenate([pair[0], x], -1)))
        return tuple(done)


class ShuffleUnit(nn.Module):
    """One half of the channels by 1x1, 3x3 (a channel alone) and 1x1; halves shuffled (Ma et al. 2018)."""

    width: int
    cfgs: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        half, cfgs = self.width // 2, self.cfgs
        first, y = jnp.split(x, 2, -1)
        y = ConvModule(half, half, 1, name="branch2_0", **cfgs)(y, train)
        y = ConvModule(half, half, 3, padding=1, groups=half, act_cfg=None, name="branch2_1", **cfgs)(y, train)
        y = ConvModule(half, half, 1, name="branch2_2", **cfgs)(y, train)
        return shuffled(jnp.concatenate((first, y), -1))


def _paired(name: str, inner: int, width: int, stride: int, cfgs: Any) -> Any:
    """A 3x3 convolution of each channel alone and a 1x1, with their norms, at the places 0 to 3 of a Sequential: a function,
    which may be called twice."""
    conv, norm = conv_layer(cfgs["conv_cfg"]), norm_layer(cfgs["norm_cfg"])[1]
    first: Any = conv(
        inner, (3, 3), strides=stride, padding=1, feature_group_count=inner, use_bias=False, name=f"{name}_0"
    )  # fmt: skip
    last: Any = conv(width, (1, 1), use_bias=False, name=f"{name}_2")
    norms: Any = (norm(f"{name}_1"), norm(f"{name}_3"))
    return lambda x, train: norms[1](last(norms[0](first(x), train)), train)


class _Module(nn.Module):
    """Blocks over branches, and each branch's maps with those of all others added to them."""

    stage: LiteStage
    cfgs: Any
    with_cp: bool = False
    torch_order: ClassVar[tuple[str, ...]] = ("layers", "fuse_layers")

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> Maps:
        stage, cfgs = self.stage, self.cfgs
        weighting: Any = nn.remat(_Weighting, static_argnums=(2,)) if self.with_cp else _Weighting
        unit: Any = nn.remat(ShuffleUnit, static_argnums=(2,)) if self.with_cp else ShuffleUnit
        if stage.lite:
            for k in range(stage.blocks):
                maps = weighting(stage.ratio, cfgs, name=f"layers_{k}")(maps, train)
        else:
            done: list[Array] = []
            for i, x in enumerate(maps):
                for k in range(stage.blocks):
                    x = unit(stage.widths[i], cfgs, name=f"layers_{i}_{k}")(x, train)
                done.append(x)
            maps = tuple(done)
        return self._fused(maps, train) if stage.fuse and len(maps) > 1 else maps

    def _fused(self, maps: Maps, train: bool) -> Maps:
        # mmpose adds the finest branch twice, and the other branches then see the finest one's sum
        sums: list[Array] = []
        for i in range(len(maps)):
            paths = [self._path(j, i) for j in range(len(maps))]
            y = maps[0] if i == 0 else paths[0](maps[0], train)
            for j, x in enumerate(maps):
                y = y + (x if i == j else paths[j](x, train))
            if i == 0:
                maps = (y, *maps[1:])
            sums.append(y)
        return tuple(nn.relu(y) for y in sums)

    def _path(self, source: int, target: int) -> Any:
        """From one branch's maps to another's: a function, which may be called twice."""
        widths, cfgs, name = self.stage.widths, self.cfgs, f"fuse_layers_{target}_{source}"
        inner, width = widths[source], widths[target]
        if source == target:
            return None
        if source > target:
            conv: Any = conv_layer(cfgs["conv_cfg"])(width, (1, 1), use_bias=False, name=f"{name}_0")
            norm: Any = norm_layer(cfgs["norm_cfg"])[1](f"{name}_1")
            factor = 2 ** (source - target)
            return lambda x, train: jnp.repeat(jnp.repeat(norm(conv(x), train), factor, 1), factor, 2)
        last = target - source - 1
        steps = [_paired(f"{name}_{k}", inner, width if k == last else inner, 2, cfgs) for k in range(target - source)]

        def call(x: Array, train: bool) -> Array:
            for k, step in enumerate(steps):
                x = step(x, train)
                x = nn.relu(x) if k < last else x
            return x

        return call


class _HeadLayer(nn.Module):
    """From the coarsest branch to the finest, each enlarged and added to the next."""

    norm_cfg: Any

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> Array:
        back = maps[::-1]
        y = back[0]
        for i, x in enumerate(back):
            if i:
                x = x + interpolate(y, x.shape[1:3], mode="bilinear", align_corners=True)
            width = back[min(i + 1, len(back) - 1)].shape[-1]
            y = DepthwiseSeparableConvModule(
                x.shape[-1], width, 3, padding=1, norm_cfg=self.norm_cfg, dw_act_cfg=None, name=f"projects_{i}"
            )(x, train)  # fmt: skip
        return y


class LiteHRNet(nn.Module):
    """Lite-HRNet, a backbone: images (N, H, W, C) to the finest branch's map, at stride 4.

    Attributes:
        extra: ``stem``, ``num_stages``, ``stages_spec`` and ``with_head``.
        in_channels: of images.
        conv_cfg, norm_cfg: layers.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: ``extra`` lacks a word, or its numbers do not fit together.
    """

    extra: Any
    in_channels: int = 3
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = HOURGLASS_INIT

    def __post_init__(self) -> None:
        lite_plan(self.extra)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("LiteHRNet", x, self.in_channels)
        train = train and not self.norm_eval
        stem, stages, head = lite_plan(self.extra)
        cfgs: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        maps: Maps = (_Stem(stem, cfgs, name="stem")(x, train),)
        widths: tuple[int, ...] = (stem.out,)
        for i, stage in enumerate(stages):
            entered: list[Array] = []
            for at, width in enumerate(stage.widths):
                entered.append(self._entered(maps, widths, at, width, f"transition{i}_{at}", cfgs, train))
            maps, widths = tuple(entered), stage.widths
            for k in range(stage.modules):
                maps = _Module(stage, cfgs, self.with_cp, name=f"stage{i}_{k}")(maps, train)
        return (_HeadLayer(self.norm_cfg, name="head_layer")(maps, train) if head else maps[0],)

    def _entered(
        self, maps: Maps, before: tuple[int, ...], at: int, width: int, name: str, cfgs: Any, train: bool
    ) -> Array:
        """What a branch of a stage begins with."""
        if at < len(before):
            if before[at] == width:
                return maps[at]
            return nn.relu(_paired(name, before[at], width, 1, cfgs)(maps[at], train))
        inner, last, x = before[-1], at - len(before), maps[-1]
        for j in range(last + 1):
            step = _paired(f"{name}_{j}", inner, width if j == last else inner, 2, cfgs)
            x = nn.relu(step(x, train))
        return x
