"""DenseNet (Huang et al. 2017), with mmpretrain's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.van import Dense, dense_stages
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import Conv2d, max_pool, norm_layer
from fkit.zoo.flax.small import check_channels

__all__ = ["DenseNet"]

Array = jax.Array


class _Layer(nn.Module):
    """Maps (N, H, W, C) to ``growth`` channels: norm, activation and 1x1, then norm, activation and 3x3."""

    hidden: int
    growth: int
    norm_cfg: Any
    act_cfg: Any
    rate: float
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        norm, act = norm_layer(self.norm_cfg)[1], act_layer(self.act_cfg)("act")
        for i, (width, side) in enumerate(((self.hidden, 1), (self.growth, 3)), 1):
            layer: Any = norm(f"norm{i}", self.frozen)
            conv = Conv2d(
                width, (side, side), padding=side // 2, use_bias=False, trainable=not self.frozen, name=f"conv{i}"
            )
            x = conv(act(layer(x, train)))
        return Dropout(self.rate, name="drop")(x, train)


class _Stage(nn.Module):
    """Layers that each see all that the ones before gave."""

    stage: Dense
    bn_size: int
    options: tuple[Any, Any, float, bool]
    with_cp: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        growth = self.stage.growth
        layer: Any = nn.remat(_Layer, static_argnums=(2,)) if self.with_cp else _Layer
        for j in range(self.stage.depth):
            y = layer(self.bn_size * growth, growth, *self.options, name=f"block_{j}")(x, train)
            x = jnp.concatenate((x, y), -1)
        return x


class DenseNet(nn.Module):
    """DenseNet, a backbone: images (N, H, W, C) to a tuple of maps, each after the transition that follows its stage.

    Attributes:
        arch: "121", "161", "169" or "201", or a mapping with ``growth_rate``, ``depths`` and ``init_channels``.
        bn_size: channels inside of a layer over those that it adds.
        drop_rate: of what a layer adds.
        compression_factor: of the channels that a transition keeps.
        memory_efficient: recompute layers in the backward pass to save memory.
        out_indices: the stages whose maps are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "121"
    in_channels: int = 3
    bn_size: int = 4
    drop_rate: float = 0.0
    compression_factor: float = 0.5
    memory_efficient: bool = False
    norm_cfg: Any = frozendict(type="BN")
    act_cfg: Any = frozendict(type="ReLU")
    out_indices: Any = -1
    frozen_stages: int = 0
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("stem", "stages", "transitions")

    def __post_init__(self) -> None:
        _ = self.plan, act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @property
    def plan(self) -> tuple[tuple[Dense, ...], tuple[int, ...]]:
        """The stages, and those whose maps are given."""
        return dense_stages(self.arch, self.compression_factor, self.out_indices)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("DenseNet", x, self.in_channels)
        stages, outputs = self.plan
        norm, act = norm_layer(self.norm_cfg)[1], act_layer(self.act_cfg)("act")
        first: Any = norm("stem_1")
        x = Conv2d(stages[0].inner, (7, 7), strides=2, padding=3, use_bias=False, name="stem_0")(x)
        x = max_pool(act(first(x, train)), 3, 2, 1)
        maps: list[Array] = []
        for i, stage in enumerate(stages):
            still = i < self.frozen_stages
            moving = train and not still
            options = (self.norm_cfg, self.act_cfg, float(self.drop_rate), still)
            x = _Stage(stage, self.bn_size, options, self.memory_efficient, name=f"stages_{i}")(x, moving)
            x = self._transition(x, stage, i, still, moving)
            if i in outputs:
                maps.append(x)
        return tuple(maps)

    def _transition(self, x: Array, stage: Dense, i: int, still: bool, train: bool) -> Array:
        """Between two stages, and after the last."""
        act = act_layer(self.act_cfg)("act")
        if not stage.width:
            last: Any = norm_layer(self.norm_cfg)[1](f"transitions_{i}_0", still)
            return act(last(x, train))
        return _Transition(stage.width, self.norm_cfg, self.act_cfg, still, name=f"transitions_{i}")(x, train)


class _Transition(nn.Module):
    """Norm, activation and 1x1 to fewer channels, then the mean of each 2x2 pixels."""

    width: int
    norm_cfg: Any
    act_cfg: Any
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        norm: Any = norm_layer(self.norm_cfg)[1]("norm", self.frozen)
        x = act_layer(self.act_cfg)("act")(norm(x, train))
        x = Conv2d(self.width, (1, 1), use_bias=False, trainable=not self.frozen, name="conv")(x)
        return nn.avg_pool(x, (2, 2), (2, 2))
