"""PoolFormer (Yu et al. 2022) and RIFormer (Wang et al. 2023), with mmpretrain's arguments and parameter names; channels last."""

from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.metaformer import Meta, meta_former
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Conv2d, norm_layer
from fkit.zoo.flax.small import check_channels

__all__ = ["PoolFormer", "RIFormer"]

Array = jax.Array

_NORM = frozendict(type="GN", num_groups=1)
_GELU = frozendict(type="GELU")


class _Embed(nn.Module):
    """A convolution to smaller maps."""

    width: int
    size: int
    stride: int
    pad: int
    frozen: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        side = (self.size, self.size)
        return Conv2d(
            self.width, side, strides=self.stride, padding=self.pad, trainable=not self.frozen, name="proj"
        )(x)  # fmt: skip


class _Affine(nn.Module):
    """A factor and a bias a channel, less the pixel."""

    frozen: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[-1]
        return Conv2d(width, (1, 1), feature_group_count=width, trainable=not self.frozen, name="affine")(x) - x


class _Mlp(nn.Module):
    """Two layers a pixel."""

    width: int
    hidden: int
    act_cfg: Any
    rate: float
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = Conv2d(self.hidden, (1, 1), trainable=not self.frozen, name="fc1")(x)
        x = Dropout(self.rate, name="drop1")(act_layer(self.act_cfg)("act")(x), train)
        x = Conv2d(self.width, (1, 1), trainable=not self.frozen, name="fc2")(x)
        return Dropout(self.rate, name="drop2")(x, train)


class _Block(nn.Module):
    """A mixer of pixels and two layers a pixel, each with its norm first, added to maps (N, H, W, C); ``pool``: the side of a
    mean that mixes, 0 for an affine layer, -1 for one norm in place of both."""

    plan: Meta
    rate: float
    norm_cfg: Any
    act_cfg: Any
    drop: float
    scale: float
    pool: int
    frozen: bool

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the factors."""
        return not self.frozen

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        start, width, norm = nn.initializers.constant(self.scale), self.plan.width, norm_layer(self.norm_cfg)[1]
        scales = [self.param(f"layer_scale_{i}", start, (width,)) for i in (1, 2)]
        first: Any = norm("norm_reparam" if self.pool < 0 else "norm1", self.frozen)
        y = first(x, train)
        if self.pool > 0:
            pad: Any = ((self.pool // 2, self.pool // 2),) * 2
            y = nn.avg_pool(y, (self.pool, self.pool), (1, 1), pad, count_include_pad=False) - y
        elif self.pool == 0:
            y = _Affine(self.frozen, name="token_mixer")(y)
        x = x + DropPath(self.rate, name="drop_path1")(scales[0] * y, train)
        second: Any = norm("norm2", self.frozen)
        y = _Mlp(width, self.plan.hidden, self.act_cfg, self.drop, self.frozen, name="mlp")(second(x, train), train)
        return x + DropPath(self.rate, name="drop_path2")(scales[1] * y, train)


class _MetaFormer(nn.Module):
    """What both networks share: images (N, H, W, C) to a tuple of maps."""

    def maps(self, x: Array, train: bool, plans: Any, pool: int, frozen: int) -> tuple[Array, ...]:
        """The maps that are asked for; ``frozen``: how many parts after the first convolution are, -1 for not even that."""
        me: Any = self
        parts, outputs, scale = plans
        first = (me.in_patch_size, me.in_stride, me.in_pad)
        between = (me.down_patch_size, me.down_stride, me.down_pad)
        x = _Embed(parts[0].width, *first, frozen >= 0, name="patch_embed")(x)
        kept: dict[int, Array] = {}
        for i, plan in enumerate(parts):
            still = i < frozen
            if not plan.rates:
                x = _Embed(plan.width, *between, still, name=f"network_{i}")(x)
            for j, rate in enumerate(plan.rates):
                options = (me.norm_cfg, me.act_cfg, me.drop_rate, scale, pool, still)
                x = _Block(plan, rate, *options, name=f"network_{i}_{j}")(x, train and not still)
            kept[i] = x
        norm = norm_layer(me.norm_cfg)[1]
        layers: list[Any] = [norm(f"norm{i}", i < frozen) for i in outputs]
        return tuple(layer(kept[i], train) for i, layer in zip(outputs, layers, strict=True))


class PoolFormer(_MetaFormer):
    """PoolFormer, a backbone: images (N, H, W, 3) to a tuple of maps.

    Attributes:
        arch: "s12" to "m48", or a mapping with ``layers``, ``embed_dims``, and perhaps ``mlp_ratios`` and
            ``layer_scale_init_value``.
        pool_size: side of the mean that mixes pixels.
        in_patch_size, in_stride, in_pad: of the first convolution.
        down_patch_size, down_stride, down_pad: of those between stages.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the parts (stages, and convolutions between them) whose maps are given.
        frozen_stages: no gradient for the first convolution (0 and more), and for this many parts.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "s12"
    pool_size: int = 3
    norm_cfg: Any = _NORM
    act_cfg: Any = _GELU
    in_patch_size: int = 7
    in_stride: int = 4
    in_pad: int = 2
    down_patch_size: int = 3
    down_stride: int = 2
    down_pad: int = 1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    out_indices: Any = -1
    frozen_stages: int = 0
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plans
        super().__post_init__()

    @property
    def plans(self) -> Any:
        """What `meta_former` makes of the arguments."""
        return meta_former("PoolFormer", self.arch, self.drop_path_rate, self.out_indices, self.frozen_stages)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("PoolFormer", x, 3)
        return self.maps(x, train, self.plans, self.pool_size, self.frozen_stages)


class RIFormer(_MetaFormer):
    """RIFormer, a backbone: images (N, H, W, C) to a tuple of maps.

    Attributes:
        arch: "s12" to "m48", or a mapping with ``layers``, ``embed_dims``, and perhaps ``mlp_ratios`` and
            ``layer_scale_init_value``.
        in_patch_size, in_stride, in_pad: of the first convolution.
        down_patch_size, down_stride, down_pad: of those between stages.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the parts (stages, and convolutions between them) whose maps are given.
        frozen_stages: no gradient for the first convolution and the parts up to this one; -1 is none.
        deploy: one norm in place of each block's first norm and mixer.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "s12"
    in_channels: int = 3
    norm_cfg: Any = _NORM
    act_cfg: Any = _GELU
    in_patch_size: int = 7
    in_stride: int = 4
    in_pad: int = 2
    down_patch_size: int = 3
    down_stride: int = 2
    down_pad: int = 1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    out_indices: Any = -1
    frozen_stages: int = -1
    init_cfg: Any = None
    deploy: bool = False

    def __post_init__(self) -> None:
        _ = self.plans
        super().__post_init__()

    @property
    def plans(self) -> Any:
        """What `meta_former` makes of the arguments."""
        return meta_former("RIFormer", self.arch, self.drop_path_rate, self.out_indices, self.frozen_stages + 1)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("RIFormer", x, self.in_channels)
        frozen = self.frozen_stages + 1 if self.frozen_stages >= 0 else -1
        return self.maps(x, train, self.plans, -1 if self.deploy else 0, frozen)
