"""Pyramid vision transformers (Wang et al. 2021 and 2022), with OpenMMLab's arguments and parameter names; channels last."""

from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.pvt import DEPTHWISE_INIT, INIT, PLACES_INIT, PVTPlan, PVTStage, typed
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Conv2d, norm_layer
from fkit.backend.jax.resize import interpolate
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.flax.attention import Attention
from fkit.zoo.flax.patch import PatchEmbed
from fkit.zoo.flax.small import check_channels

__all__ = ["PyramidVisionTransformer", "PyramidVisionTransformerV2"]

Array = jax.Array
Size = tuple[int, int]


def _map(x: Array, size: Size) -> Array:
    """(N, H * W, C) to (N, H, W, C)."""
    return x.reshape(x.shape[0], *size, -1)


def _row(x: Array) -> Array:
    """(N, H, W, C) to (N, H * W, C)."""
    return x.reshape(x.shape[0], -1, x.shape[-1])


class AbsolutePositionEmbedding(nn.Module):
    """Learnt positions of a grid, resampled (bilinear) to that of the patches, added to these."""

    grid: Size
    drop_rate: float
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, size: Size, train: bool = False) -> Array:
        high, wide = self.grid
        places = self.param("pos_embed", nn.initializers.zeros, (1, high * wide, x.shape[-1]))
        if size != (high, wide):
            places = _row(interpolate(_map(places, (high, wide)), size, mode="bilinear"))
        return Dropout(self.drop_rate, name="drop")(x + places.astype(x.dtype), train)


class SpatialReductionAttention(nn.Module):
    """Attention to maps that are ``reduction`` times smaller down and across."""

    stage: PVTStage
    attn_drop: float
    drop_rate: float
    drop_path: float
    bias: bool
    norm_cfg: Any
    torch_order = ("attn", "sr", "norm")

    @nn.compact
    def __call__(self, x: Array, size: Size, train: bool = False) -> Array:
        width, side, seen = self.stage.width, self.stage.reduction, x
        if side > 1:
            seen = _row(Conv2d(width, (side, side), strides=side, name="sr")(_map(x, size)))
            seen = norm_layer(self.norm_cfg)[1]("norm")(seen, train)
        inner = Attention(width, self.stage.heads, self.attn_drop, self.bias, name="attn")
        y = Dropout(self.drop_rate, name="proj_drop")(inner(x, seen, seen, train=train), train)
        return DropPath(self.drop_path, name="dropout_layer")(y, train)


class MixFFN(nn.Module):
    """A feed-forward network of 1x1 convolutions, with a 3x3 one of a filter a channel after the first if ``mixes``."""

    hidden: int
    drop_rate: float
    drop_path: float
    act_cfg: Any
    mixes: bool
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, size: Size, train: bool = False) -> Array:
        width, at = x.shape[-1], 2 if self.mixes else 1
        y = Conv2d(self.hidden, (1, 1), name="layers_0")(_map(x, size))
        if self.mixes:
            y = Conv2d(self.hidden, (3, 3), padding=1, feature_group_count=self.hidden, name="layers_1")(y)
        y = act_layer(self.act_cfg)(f"layers_{at}")(y)
        y = Dropout(self.drop_rate, name=f"layers_{at + 1}")(y, train)
        y = Conv2d(width, (1, 1), name=f"layers_{at + 2}")(y)
        y = Dropout(self.drop_rate, name=f"layers_{at + 3}")(y, train)
        return DropPath(self.drop_path, name="dropout_layer")(_row(y), train)


class PVTEncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to patches (N, H * W, C).

    Attributes:
        start: rules for the feed-forward network's initial weights.
    """

    stage: PVTStage
    attn_drop: float
    drop_rate: float
    drop_path: float
    bias: bool
    act_cfg: Any
    norm_cfg: Any
    mixes: bool
    start: Any

    @nn.compact
    def __call__(self, x: Array, size: Size, train: bool = False) -> Array:
        norm, rates = norm_layer(self.norm_cfg)[1], (self.drop_rate, self.drop_path)
        attention = SpatialReductionAttention(self.stage, self.attn_drop, *rates, self.bias, self.norm_cfg, name="attn")
        x = x + attention(norm("norm1")(x, train), size, train)
        start = self.start if self.mixes else None
        ffn = MixFFN(self.stage.hidden, *rates, self.act_cfg, self.mixes, start, name="ffn")
        return x + ffn(norm("norm2")(x, train), size, train)


class PyramidVisionTransformer(nn.Module):
    """Pyramid vision transformer, a backbone: images (N, H, W, C) to a tuple of maps at strides 4, 8, 16, 32.

    Attributes:
        pretrain_img_size: of the images that positions are of; others take them resampled.
        embed_dims: channels a head; a stage has that times its ``num_heads``.
        num_layers, num_heads: of the stages.
        patch_sizes, strides, paddings: of the convolution that each stage begins with.
        sr_ratios: how much smaller the maps are that attention goes to.
        mlp_ratios: widths inside of the feed-forward networks, by those outside.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        use_abs_pos_embed: learnt positions at each stage's begin.
        norm_after_stage: a norm at each stage's end.
        use_conv_ffn: a 3x3 convolution of a filter a channel inside of the feed-forward networks.
        convert_weights: accepted; weights of the original repository are known by their names.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is the paper's.

    Raises:
        FkitError: arguments that do not fit together.
    """

    pretrain_img_size: Any = 224
    in_channels: int = 3
    embed_dims: int = 64
    num_stages: int = 4
    num_layers: Any = (3, 4, 6, 3)
    num_heads: Any = (1, 2, 5, 8)
    patch_sizes: Any = (4, 2, 2, 2)
    strides: Any = (4, 2, 2, 2)
    paddings: Any = (0, 0, 0, 0)
    sr_ratios: Any = (8, 4, 2, 1)
    out_indices: Any = (0, 1, 2, 3)
    mlp_ratios: Any = (8, 8, 4, 4)
    qkv_bias: bool = True
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.1
    use_abs_pos_embed: bool = True
    norm_after_stage: bool = False
    use_conv_ffn: bool = False
    act_cfg: Any = frozendict(type="GELU")
    norm_cfg: Any = frozendict(type="LN", eps=1e-6)
    pretrained: Any = None
    convert_weights: bool = True
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plan, self.init_rules, act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @property
    def plan(self) -> PVTPlan:
        """What the arguments come to."""
        return PVTPlan.of(
            type(self).__name__, self.pretrain_img_size, self.embed_dims, self.num_stages, self.drop_path_rate,
            self.out_indices, num_layers=self.num_layers, num_heads=self.num_heads, patch_sizes=self.patch_sizes,
            strides=self.strides, paddings=self.paddings, sr_ratios=self.sr_ratios, mlp_ratios=self.mlp_ratios,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = typed(init_cfg_of(self.pretrained, self.init_cfg, type(self).__name__))
        return INIT if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        plan, default = self.plan, self.init_rules is INIT
        check_channels(type(self).__name__, x, self.in_channels)
        maps: list[Array] = []
        for i, stage in enumerate(plan.stages):
            x, size = PatchEmbed(
                stage.width, "Conv2d", stage.side, stage.stride, stage.padding, norm_cfg=self.norm_cfg,
                name=f"layers_{i}_0",
            )(x, train)  # fmt: skip
            first = int(self.use_abs_pos_embed)
            if first:
                start = PLACES_INIT if default else None
                x = AbsolutePositionEmbedding(stage.grid, self.drop_rate, start, name=f"layers_{i}_1_0")(x, size, train)
            for k, rate in enumerate(stage.rates, first):
                x = PVTEncoderLayer(
                    stage, self.attn_drop_rate, self.drop_rate, rate, self.qkv_bias, self.act_cfg, self.norm_cfg,
                    self.use_conv_ffn, DEPTHWISE_INIT if default else None, name=f"layers_{i}_1_{k}",
                )(x, size, train)  # fmt: skip
            if self.norm_after_stage:
                x = norm_layer(self.norm_cfg)[1](f"layers_{i}_2")(x, train)
            x = _map(x, size)
            if i in plan.outputs:
                maps.append(x)
        return tuple(maps)


class PyramidVisionTransformerV2(PyramidVisionTransformer):
    """The second version (Wang et al. 2022): patches overlap, feed-forward networks see their neighbours, no learnt positions."""

    patch_sizes: Any = (7, 3, 3, 3)
    paddings: Any = (3, 1, 1, 1)
    use_abs_pos_embed: bool = False
    norm_after_stage: bool = True
    use_conv_ffn: bool = True
