"""XCiT (El-Nouby et al. 2021), whose attention is among channels, with mmpretrain's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.vit import vit_rules
from fkit.backbone.xcit import INIT, check_xcit, places, steps
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.zoo.flax.backbone.token import attend, normalised
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.small import check_channels

__all__ = ["XCiT"]

Array = jax.Array
Size = tuple[int, int]


class _ClassAttention(nn.Module):
    """What the token of the class sees of all tokens: (N, L, C) to (N, 1, C)."""

    heads: int
    qkv_bias: bool
    attn_drop: float
    drop: float
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        kept: dict[str, Any] = {"trainable": not self.frozen}
        width = x.shape[-1]
        parts = [
            Linear(width, use_bias=self.qkv_bias, name=name, **kept)(x[:, :1] if name == "q" else x) for name in "qkv"
        ]
        q, k, v = (part.reshape(*part.shape[:2], self.heads, -1).swapaxes(1, 2) for part in parts)
        x = attend(q, k, v, Dropout(self.attn_drop, name="attn_drop"), train).swapaxes(1, 2)
        x = Linear(width, name="proj", **kept)(x.reshape(*x.shape[:2], width))
        return Dropout(self.drop, name="proj_drop")(x, train)


class _Positions(nn.Module):
    """Sines and cosines of a grid's rows and columns, as wide as tokens by a 1x1 convolution."""

    width: int
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, size: Size) -> Array:
        waves = jnp.asarray(places(*size), x.dtype)[None]
        layer = ConvModule(64, self.width, 1, act_cfg=None, frozen=self.frozen, name="token_projection")
        return layer(waves).reshape(1, size[0] * size[1], self.width)


class _Patches(nn.Module):
    """3x3 convolutions with a stride, to patches."""

    patch_size: int
    width: int
    norm_cfg: Any
    act_cfg: Any
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        for i, wide in enumerate(steps(self.patch_size, self.width)):
            act = None if wide == self.width else self.act_cfg
            layer = ConvModule(
                x.shape[-1], wide, 3, 2, 1, norm_cfg=self.norm_cfg, act_cfg=act, frozen=self.frozen, name=f"proj_{i}"
            )
            x = layer(x, train)
        return x


class _Layer(nn.Module):
    """What both kinds of layers are told."""

    heads: int
    hidden: int
    qkv_bias: bool
    attn_drop: float
    drop: float
    rate: float
    scale: float
    tokens_norm: bool
    bn_norm_cfg: Any
    norm_cfg: Any
    act_cfg: Any
    frozen: bool

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the factors."""
        return not self.frozen

    def factor(self, name: str, width: int) -> Array:
        """A factor a channel."""
        return self.param(name, nn.initializers.constant(self.scale), (width,))

    def normed(self, name: str) -> Any:
        """A norm."""
        return norm_layer(self.norm_cfg)[1](name, self.frozen)

    def ffn(self, width: int) -> Any:
        """The feed-forward network."""
        return FFN(width, self.hidden, 2, self.act_cfg, self.drop, None, False, frozen=self.frozen, name="ffn")

    def attention(self, kind: Any) -> Any:
        """The attention, of its kind."""
        return kind(self.heads, self.qkv_bias, self.attn_drop, self.drop, self.frozen, name="attn")


class _ClassBlock(_Layer):
    """`_ClassAttention` and a feed-forward network of the token of the class."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width = x.shape[-1]
        one: Any = self.factor("gamma1", width) if self.scale > 0 else 1.0
        two: Any = self.factor("gamma2", width) if self.scale > 0 else 1.0
        y = self.normed("norm1")(x, train)
        y = jnp.concatenate((self.attention(_ClassAttention)(y, train), y[:, 1:]), 1)
        x = x + DropPath(self.rate, name="drop_path1")(one * y, train)
        norm = self.normed("norm2")
        x = norm(x, train) if self.tokens_norm else jnp.concatenate((norm(x[:, :1], train), x[:, 1:]), 1)
        y = jnp.concatenate((two * self.ffn(width)(x[:, :1], None, train), x[:, 1:]), 1)
        return x + DropPath(self.rate, name="drop_path2")(y, train)


class _Local(nn.Module):
    """Two filters a channel among patches."""

    norm_cfg: Any
    act_cfg: Any
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, size: Size, train: bool = False) -> Array:
        width, maps = x.shape[-1], x.reshape(x.shape[0], *size, -1)
        one = ConvModule(
            width, width, 3, padding=1, groups=width, bias=True, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg,
            order=("conv", "act", "norm"), frozen=self.frozen, name="conv1",
        )  # fmt: skip
        two = ConvModule(width, width, 3, padding=1, groups=width, act_cfg=None, frozen=self.frozen, name="conv2")
        return two(one(maps, train), train).reshape(x.shape)


class _ChannelAttention(nn.Module):
    """Attention among channels: each head's channels by the products of their normalised rows."""

    heads: int
    qkv_bias: bool
    attn_drop: float
    drop: float
    frozen: bool

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the temperature."""
        return not self.frozen

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        kept: dict[str, Any] = {"trainable": not self.frozen}
        count, length, width = x.shape
        temperature = self.param("temperature", nn.initializers.ones, (self.heads, 1, 1))
        parts = Linear(3 * width, use_bias=self.qkv_bias, name="qkv", **kept)(x)
        q, k, v = parts.reshape(count, length, 3, self.heads, -1).transpose(2, 0, 3, 4, 1)
        scores = nn.softmax(normalised(q) @ normalised(k).swapaxes(-2, -1) * temperature, -1)
        flat = scores.reshape(*scores.shape[:2], -1)
        scores = Dropout(self.attn_drop, name="attn_drop")(flat, train).reshape(scores.shape)
        x = Linear(width, name="proj", **kept)((scores @ v).transpose(0, 3, 1, 2).reshape(count, length, width))
        return Dropout(self.drop, name="proj_drop")(x, train)


class _Block(_Layer):
    """Attention among channels, filters among patches, and a feed-forward network, each with its norm first and a factor a
    channel, added to tokens."""

    torch_order: ClassVar[tuple[str, ...]] = (
        "gamma1", "gamma3", "gamma2", "norm1", "attn", "norm3", "local_mp", "norm2", "ffn",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, size: Size, train: bool = False) -> Array:
        width, path = x.shape[-1], self.rate
        one, three, two = (self.factor(f"gamma{i}", width) for i in (1, 3, 2))
        y = self.attention(_ChannelAttention)(self.normed("norm1")(x, train), train)
        x = x + DropPath(path, name="drop_path1")(one * y, train)
        local = _Local(self.bn_norm_cfg, self.act_cfg, self.frozen, name="local_mp")
        x = x + DropPath(path, name="drop_path2")(three * local(self.normed("norm3")(x, train), size, train), train)
        y = self.ffn(width)(self.normed("norm2")(x, train), None, train)
        return x + DropPath(path, name="drop_path3")(two * y, train)


class XCiT(nn.Module):
    """XCiT, a backbone: images (N, H, W, C) to a tuple of features.

    Attributes:
        img_size: of images; a multiple of ``patch_size``.
        patch_size: 8 or 16.
        depth, cls_attn_layers: layers among patches, and those of the token of the class after them.
        use_pos_embed: whether patches have positions.
        layer_scale_init_value: what the branches' factors a channel begin with.
        tokens_norm: whether the layers of the class norm all tokens.
        out_type: "cls_token" (N, C), "raw" (N, L, C), "featmap" (N, h, w, C) or "avg_featmap" (N, C).
        out_indices: the layers whose outputs are given.
        final_norm: a norm, ``norm``, after the last layer.
        frozen_stages: from 0: no gradient for the embedding; from 2 for the layers before this one.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: arguments that do not fit together.
    """

    img_size: Any = 224
    patch_size: int = 16
    in_channels: int = 3
    embed_dims: int = 768
    depth: int = 12
    cls_attn_layers: int = 2
    num_heads: int = 12
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    use_pos_embed: bool = True
    layer_scale_init_value: float = 1.0
    tokens_norm: bool = False
    out_type: str = "cls_token"
    out_indices: Any = (-1,)
    final_norm: bool = True
    frozen_stages: int = -1
    bn_norm_cfg: Any = frozendict(type="BN")
    norm_cfg: Any = frozendict(type="LN", eps=1e-6)
    act_cfg: Any = frozendict(type="GELU")
    init_cfg: Any = INIT

    def __post_init__(self) -> None:
        _ = self.outputs
        super().__post_init__()

    @property
    def outputs(self) -> tuple[int, ...]:
        """The layers whose outputs are given."""
        options = (self.out_indices, self.depth, self.cls_attn_layers, self.frozen_stages)
        return check_xcit(self.img_size, self.patch_size, self.out_type, *options)

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the token."""
        return vit_rules(self.init_cfg, "cls_token")

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the token."""
        return self.frozen_stages <= self.depth

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("XCiT", x, self.in_channels)
        width, still = self.embed_dims, self.frozen_stages >= 0
        moving, whole = train and not still, self.frozen_stages == self.depth + self.cls_attn_layers
        token = self.param("cls_token", nn.initializers.zeros, (1, 1, width))
        embed = _Patches(self.patch_size, width, self.bn_norm_cfg, self.act_cfg, still, name="patch_embed")
        x = embed(x, moving)
        size, found = (x.shape[1], x.shape[2]), dict[int, Array]()
        x = x.reshape(x.shape[0], -1, width)
        if self.use_pos_embed:
            x = x + _Positions(width, still, name="pos_embed")(x, size)
        x = Dropout(self.drop_rate, name="pos_drop")(x, moving)
        options = (
            self.num_heads, int(width * self.mlp_ratio), self.qkv_bias, self.attn_drop_rate, self.drop_rate,
            self.drop_path_rate, self.layer_scale_init_value, self.tokens_norm, self.bn_norm_cfg, self.norm_cfg,
            self.act_cfg,
        )  # fmt: skip
        for i in range(self.depth):
            rests = i < self.frozen_stages - 1
            x = found[i] = _Block(*options, rests, name=f"xca_layers_{i}")(x, size, train and not rests)
        x = jnp.concatenate((jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, width)), x), 1)
        for i in range(self.cls_attn_layers):
            rests = i + self.depth < self.frozen_stages - 1
            x = _ClassBlock(*options, rests, name=f"ca_layers_{i}")(x, train and not rests)
            if i == self.cls_attn_layers - 1 and self.final_norm:
                final: Any = norm_layer(self.norm_cfg)[1]("norm", whole)
                x = final(x, train)
            found[self.depth + i] = x
        return tuple(self._formed(found[i], size, int(i >= self.depth)) for i in self.outputs)

    def _formed(self, x: Array, size: Size, extra: int) -> Array:
        if self.out_type in ("raw", "cls_token"):
            return x if self.out_type == "raw" else x[:, 0]
        x = x[:, extra:]
        return x.reshape(x.shape[0], *size, -1) if self.out_type == "featmap" else x.mean(1)
