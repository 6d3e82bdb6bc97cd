"""TinyViT (Wu et al. 2022), with mmpretrain's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.levit import TinyStage, offsets, tiny_stages
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import BatchNorm, Conv2d, LayerNorm, Linear, norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.token import attend
from fkit.zoo.flax.small import check_channels

__all__ = ["TinyViT"]

Array = jax.Array

_GELU = frozendict(type="GELU")
_ZERO = frozendict(type="Constant", layer="BatchNorm2d", val=0)


class _Conv(nn.Module):
    """A convolution and a batch norm, ``conv2d`` and ``bn2d``; perhaps one that starts at 0."""

    width: int
    size: int = 1
    stride: int = 1
    grouped: bool = False
    frozen: bool = False
    zero: bool = False

    @property
    def init_cfg(self) -> Any:
        """The rule."""
        return _ZERO if self.zero else None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = Conv2d(
            self.width, (self.size, self.size), strides=self.stride, padding=self.size // 2, use_bias=False,
            feature_group_count=self.width if self.grouped else 1, trainable=not self.frozen, name="conv2d",
        )(x)  # fmt: skip
        return BatchNorm(trainable=not self.frozen, name="bn2d")(x, train)


class _Embed(nn.Module):
    """Two convolutions with strides."""

    width: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = _Conv(self.width // 2, 3, 2, name="seq_0")(x, train)
        return _Conv(self.width, 3, 2, name="seq_2")(act_layer(_GELU)("act")(x), train)


class _Narrow(nn.Module):
    """Three convolutions, the second a filter a channel: of a merging, or of a block, which is added to maps."""

    hidden: int
    width: int
    stride: int
    act_cfg: Any
    frozen: bool
    rate: float | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        act, added = act_layer(self.act_cfg)("act"), self.rate is not None
        y = act(_Conv(self.hidden, frozen=self.frozen, name="conv1")(x, train))
        y = act(_Conv(self.hidden, 3, self.stride, True, self.frozen, name="conv2")(y, train))
        y = _Conv(self.width, frozen=self.frozen, zero=added, name="conv3")(y, train)
        return y if self.rate is None else act(DropPath(self.rate, name="drop_path")(y, train) + x)


class _Attention(nn.Module):
    """Attention within windows (N, P, C), with a bias a distance."""

    heads: int
    window: int
    trainable: bool
    torch_order: ClassVar[tuple[str, ...]] = ("attention_biases", "norm", "qkv", "proj")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        count, length, width = x.shape
        index, places = offsets(self.window)
        table = self.param("attention_biases", nn.initializers.zeros, (self.heads, places))
        parts = Linear(3 * width, trainable=self.trainable, name="qkv")(
            LayerNorm(trainable=self.trainable, name="norm")(x)
        )
        q, k, v = parts.reshape(count, length, self.heads, 3, -1).transpose(3, 0, 2, 1, 4)
        bias = jnp.take(table, jnp.asarray(index.reshape(-1)), axis=1).reshape(self.heads, length, length)
        x = attend(q, k, v, None, train, bias).transpose(0, 2, 1, 3).reshape(count, length, width)
        return Linear(width, trainable=self.trainable, name="proj")(x)


class _Mlp(nn.Module):
    """A norm and two layers a token."""

    hidden: int
    act_cfg: Any
    rate: float
    trainable: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width, drop = x.shape[-1], Dropout(self.rate, name="drop")
        x = LayerNorm(trainable=self.trainable, name="norm")(x)
        x = act_layer(self.act_cfg)("act")(Linear(self.hidden, trainable=self.trainable, name="fc1")(x))
        return drop(Linear(width, trainable=self.trainable, name="fc2")(drop(x, train)), train)


class _Block(nn.Module):
    """Attention within windows, a filter a channel, and two layers a pixel, of maps (N, H, W, C)."""

    stage: TinyStage
    ratio: float
    drop: float
    rate: float
    size: int
    act_cfg: Any
    frozen: bool
    torch_order: ClassVar[tuple[str, ...]] = ("attn", "mlp", "local_conv")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        count, high, wide, width = x.shape
        drop = DropPath(self.rate, name="drop_path")
        x = x + drop(self._attended(x, train), train)
        x = _Conv(width, self.size, 1, True, self.frozen, name="local_conv")(x, train)
        hidden = int(width * self.ratio)
        mlp = _Mlp(hidden, self.act_cfg, self.drop, not self.frozen, name="mlp")
        return x + drop(mlp(x.reshape(count, -1, width), train).reshape(count, high, wide, width), train)

    def _attended(self, x: Array, train: bool) -> Array:
        count, high, wide, width = x.shape
        side = self.stage.window
        x = jnp.pad(x, ((0, 0), (0, -high % side), (0, -wide % side), (0, 0)))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        x = x.reshape(count, rows, side, columns, side, width).swapaxes(2, 3).reshape(-1, side * side, width)
        x = _Attention(self.stage.heads, side, not self.frozen, name="attn")(x, train)
        x = x.reshape(count, rows, columns, side, side, width).swapaxes(2, 3)
        return x.reshape(count, rows * side, columns * side, width)[:, :high, :wide]


class _Stage(nn.Module):
    """Blocks, and the merging after them."""

    stage: TinyStage
    last: bool
    ratios: tuple[float, float]
    drop: float
    size: int
    act_cfg: Any
    with_cp: bool
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        stage, again = self.stage, _again if self.with_cp else _once
        for j, rate in enumerate(stage.rates):
            if stage.heads:
                options = (stage, self.ratios[0], self.drop, rate, self.size, self.act_cfg, self.frozen)
                x = again(_Block)(*options, name=f"blocks_{j}")(x, train)
            else:
                hidden = int(stage.width * self.ratios[1])
                x = again(_Narrow)(hidden, stage.width, 1, _GELU, self.frozen, rate, name=f"blocks_{j}")(x, train)
        if self.last:
            return x
        return _Narrow(stage.after, stage.after, 2, self.act_cfg, self.frozen, name="downsample")(x, train)


def _again(block: Any) -> Any:
    """A block that is recomputed in the backward pass."""
    return nn.remat(block, static_argnums=(2,))


def _once(block: Any) -> Any:
    return block


class TinyViT(nn.Module):
    """TinyViT, a backbone: images (N, H, W, C) of one size to a tuple of maps, or of features.

    Attributes:
        arch: "5m", "11m" or "21m", or a mapping with ``channels``, ``num_heads`` and ``depths``.
        img_size: of the images.
        window_size: sides of the stages' windows.
        mlp_ratio: hidden channels of the layers a pixel, over those outside.
        drop_rate: of the layers a pixel.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        use_checkpoint: recompute blocks in the backward pass to save memory.
        mbconv_expand_ratio: hidden channels of the first stage's blocks, over those outside.
        local_conv_size: side of the filters after attention.
        layer_lr_decay: accepted; rates of layers are the optimizer's.
        out_indices: the stages whose outputs are given, after the merging that follows; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or images of another size.
    """

    arch: Any = "5m"
    img_size: Any = (224, 224)
    window_size: Sequence[int] = (7, 7, 14, 7)
    in_channels: int = 3
    mlp_ratio: float = 4.0
    drop_rate: float = 0.0
    drop_path_rate: float = 0.1
    use_checkpoint: bool = False
    mbconv_expand_ratio: float = 4.0
    local_conv_size: int = 3
    layer_lr_decay: float = 1.0
    out_indices: Any = -1
    frozen_stages: int = 0
    gap_before_final_norm: bool = True
    act_cfg: Any = _GELU
    norm_cfg: Any = frozendict(type="LN")
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("patch_embed", "stages", "norm0", "norm1", "norm2", "norm3")

    def __post_init__(self) -> None:
        _ = self.plan, act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @property
    def plan(self) -> tuple[tuple[TinyStage, ...], tuple[int, ...]]:
        """The stages, and those whose outputs are given."""
        return tiny_stages(self.arch, self.img_size, self.window_size, self.drop_path_rate, self.out_indices)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("TinyViT", x, self.in_channels)
        stages, outputs = self.plan
        x = _Embed(stages[0].width, name="patch_embed")(x, train)
        if tuple(x.shape[1:3]) != stages[0].size:
            raise FkitValueError(f"TinyViT: {tuple(x.shape[1:3])} patches, but img_size says {stages[0].size}.")
        outs: list[Array] = []
        for i, stage in enumerate(stages):
            still = i < self.frozen_stages
            x = _Stage(
                stage, i == len(stages) - 1, (self.mlp_ratio, self.mbconv_expand_ratio), self.drop_rate,
                self.local_conv_size, self.act_cfg, self.use_checkpoint, still, name=f"stages_{i}",
            )(x, train and not still)  # fmt: skip
            if i in outputs:
                norm: Any = norm_layer(self.norm_cfg)[1](f"norm{i}")
                outs.append(norm(x.mean((1, 2)) if self.gap_before_final_norm else x, train))
        return tuple(outs)
