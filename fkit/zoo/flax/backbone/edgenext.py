"""EdgeNeXt (Maaz et al. 2022), with mmpretrain's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.hornet import EdgeStage, edge_stages
from fkit.backbone.xcit import places
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import DropPath
from fkit.backend.jax.layers import Conv2d, LayerNorm, Linear, norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.convnext import ConvNeXtBlock
from fkit.zoo.flax.backbone.token import normalised
from fkit.zoo.flax.small import check_channels

__all__ = ["EdgeNeXt"]

Array = jax.Array

_LN = frozendict(type="LN")
_SCALE = 1e-6


class _Positions(nn.Module):
    """Sines and cosines of a grid's rows and columns, as wide as maps by a 1x1 convolution."""

    trainable: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        waves = jnp.asarray(places(*x.shape[1:3]), x.dtype)[None]
        return x + Conv2d(x.shape[-1], (1, 1), trainable=self.trainable, name="proj")(waves)


class _ChannelAttention(nn.Module):
    """Attention among channels of tokens (N, L, C): each head's by the products of their normalised rows."""

    heads: int
    trainable: bool
    torch_order: ClassVar[tuple[str, ...]] = ("scale", "qkv", "proj")

    @nn.compact
    def __call__(self, x: Array) -> Array:
        count, length, width = x.shape
        scale = self.param("scale", nn.initializers.ones, (self.heads, 1, 1))
        parts = Linear(3 * width, trainable=self.trainable, name="qkv")(x)
        q, k, v = parts.reshape(count, length, 3, self.heads, -1).transpose(2, 0, 3, 4, 1)
        scores = nn.softmax(normalised(q) @ normalised(k).swapaxes(-2, -1) * scale, -1)
        x = (scores @ v).transpose(0, 3, 1, 2).reshape(count, length, width)
        return Linear(width, trainable=self.trainable, name="proj")(x)


class _Attention(nn.Module):
    """Filters of parts of the channels, attention among channels, and two layers a pixel, of maps (N, H, W, C)."""

    stage: EdgeStage
    rate: float
    ratio: int
    trainable: bool
    torch_order: ClassVar[tuple[str, ...]] = (
        "gamma_csa", "gamma", "conv_modules", "pos_embed", "norm_csa", "csa", "norm", "pointwise_conv1", "pointwise_conv2",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        stage = self.stage
        kept: dict[str, Any] = {"trainable": self.trainable}
        width, part, drop = stage.width, stage.part, DropPath(self.rate, name="drop_path")
        factors = [self.param(name, nn.initializers.constant(_SCALE), (width,)) for name in ("gamma_csa", "gamma")]
        parts, outs = jnp.split(x, list(range(part, width, part)), -1), list[Array]()
        for i in range(stage.filters):
            conv = Conv2d(part, (3, 3), padding=1, feature_group_count=part, name=f"conv_modules_{i}", **kept)
            outs.append(conv(outs[-1] + parts[i] if i else parts[i]))
        y = jnp.concatenate((*outs, parts[len(outs)]), -1)
        y = _Positions(self.trainable, name="pos_embed")(y) if stage.placed else y
        y = y.reshape(x.shape[0], -1, width)
        attention = _ChannelAttention(stage.heads, self.trainable, name="csa")
        y = y + drop(factors[0] * attention(LayerNorm(name="norm_csa", **kept)(y)), train)
        y = Linear(self.ratio * width, name="pointwise_conv1", **kept)(LayerNorm(name="norm", **kept)(y))
        y = factors[1] * Linear(width, name="pointwise_conv2", **kept)(nn.gelu(y, approximate=False))
        return x + drop(y.reshape(x.shape), train)


class EdgeNeXt(nn.Module):
    """EdgeNeXt, a backbone: images (N, H, W, C) to a tuple of maps, or of features.

    Attributes:
        arch: "xxsmall", "xsmall", "small" or "base", or a mapping with ``channels``, ``depths`` and ``num_heads``.
        global_blocks: how many blocks of each stage, the last ones, are attentions.
        global_block_type: of these; "SDTA" where there are any.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        layer_scale_init_value: of convolutional blocks: above 0, a branch has a learnt factor a channel.
        linear_pw_conv: whether their layers a pixel are linear layers.
        mlp_ratio: hidden channels of an attention's layers a pixel, over those outside.
        conv_kernel_sizes: of the stages' convolutional blocks.
        use_pos_embd_csa: which stages' attentions have positions.
        use_pos_embd_global: whether the first stage's maps have positions.
        d2_scales: into how many parts an attention's channels fall, by stage.
        out_indices: the stages whose outputs are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "xxsmall"
    in_channels: int = 3
    global_blocks: Sequence[int] = (0, 1, 1, 1)
    global_block_type: Sequence[str] = ("None", "SDTA", "SDTA", "SDTA")
    drop_path_rate: float = 0.0
    layer_scale_init_value: float = 1e-6
    linear_pw_conv: bool = True
    mlp_ratio: int = 4
    conv_kernel_sizes: Sequence[int] = (3, 5, 7, 9)
    use_pos_embd_csa: Sequence[bool] = (False, True, False, False)
    use_pos_embd_global: bool = False
    d2_scales: Sequence[int] = (2, 2, 3, 4)
    norm_cfg: Any = frozendict(type="LN2d", eps=1e-6)
    out_indices: Any = -1
    frozen_stages: int = 0
    gap_before_final_norm: bool = True
    act_cfg: Any = frozendict(type="GELU")
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = (
        "pos_embed", "downsample_layers", "stages", "norm0", "norm1", "norm2", "norm3",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for kind in self.global_block_type:
            if kind not in ("None", "SDTA"):
                raise FkitValueError(f"EdgeNeXt: global_block_type={kind!r}.", value=kind, choices=("None", "SDTA"))
        _ = self.plan, act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @property
    def plan(self) -> tuple[tuple[EdgeStage, ...], tuple[int, ...]]:
        """The stages, and those whose outputs are given."""
        return edge_stages(
            self.arch, self.drop_path_rate, self.out_indices, self.conv_kernel_sizes, self.d2_scales,
            self.use_pos_embd_csa, self.global_blocks,
        )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("EdgeNeXt", x, self.in_channels)
        stages, outputs = self.plan
        norm, outs = norm_layer(self.norm_cfg)[1], list[Array]()
        for i, stage in enumerate(stages):
            moves, name, side = i >= self.frozen_stages, f"downsample_layers_{i}", 2 if i else 4
            conv = Conv2d(stage.width, (side, side), strides=side, trainable=moves, name=f"{name}_{int(i > 0)}")
            layer: Any = norm(f"{name}_{int(i == 0)}", not moves)
            x = conv(layer(x, train)) if i else layer(conv(x), train)
            for j, rate in enumerate(stage.rates):
                x = self._block(stage, j, rate, moves, f"stages_{i}_{j}")(x, train and moves)
            if self.use_pos_embd_global and i == 0:
                x = _Positions(name="pos_embed")(x)
            if i in outputs:
                final: Any = (norm_layer(_LN)[1] if self.gap_before_final_norm else norm)(f"norm{i}")
                outs.append(final(x.mean((1, 2)) if self.gap_before_final_norm else x, train))
        return tuple(outs)

    def _block(self, stage: EdgeStage, place: int, rate: float, moves: bool, name: str) -> Any:
        """An attention, or a convolutional block."""
        if place >= len(stage.rates) - stage.attending:
            return _Attention(stage, rate, self.mlp_ratio, moves, name=name)
        options = (stage.width, self.norm_cfg, self.act_cfg, self.linear_pw_conv)
        more = (rate, self.layer_scale_init_value, False, moves, stage.side)
        return ConvNeXtBlock(*options, *more, name=name)
