"""EVA-02 (Fang et al. 2023), with mmpretrain's arguments and parameter names."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.arch import EVA02
from fkit.backbone.vit import VitPlan, rotation, vit_plan, vit_rules
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.zoo.flax.backbone.token import attend
from fkit.zoo.flax.backbone.vit import Tokens

__all__ = ["ViTEVA02"]

Array = jax.Array

_LN = frozendict(type="LN")
_NONE = frozendict[str, Any]()


class _Rotation(nn.Module):
    """The angles of positions by which queries and keys are turned (Su et al. 2021), as cosines and sines (L, C)."""

    width: int
    grid: tuple[int, int]

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        tables = rotation(self.width, self.grid)
        names = ("freqs_cos", "freqs_sin")
        found = [
            self.variable("constants", name, lambda table=table: jnp.asarray(table, jnp.float32))
            for name, table in zip(names, tables, strict=True)
        ]
        return found[0].value, found[1].value


def _turned(x: Array, tables: tuple[Array, Array]) -> Array:
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    turned = jnp.stack((-pairs[..., 1], pairs[..., 0]), -1).reshape(x.shape)
    return x * tables[0].astype(x.dtype) + turned * tables[1].astype(x.dtype)


class _RotatedAttention(nn.Module):
    """Attention whose queries and keys of patches are turned by their positions. The first layer has the tables for all."""

    heads: int
    grid: tuple[int, int]
    extra: int
    drops: tuple[float, float]
    qkv_bias: bool
    trainable: bool = True
    torch_order: ClassVar[tuple[str, ...]] = ("qkv", "proj", "rope")

    @nn.compact
    def __call__(self, x: Array, size: tuple[int, int], shared: dict[str, Any], train: bool = False) -> Array:
        count, length, width = x.shape
        parts = Linear(3 * width, use_bias=self.qkv_bias, trainable=self.trainable, name="qkv")(x)
        q, k, v = parts.reshape(count, length, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        if "tables" not in shared:
            shared["tables"] = _Rotation(width // self.heads, self.grid, name="rope")()
        tables, at = shared["tables"], self.extra
        if size != self.grid:
            whole = rotation(width // self.heads, size)
            tables = (jnp.asarray(whole[0], x.dtype), jnp.asarray(whole[1], x.dtype))
        q, k = (jnp.concatenate((part[:, :, :at], _turned(part[:, :, at:], tables)), 2) for part in (q, k))
        x = attend(q, k, v, Dropout(self.drops[0], name="attn_drop"), train)
        x = x.transpose(0, 2, 1, 3).reshape(count, length, width)
        return Dropout(self.drops[1], name="proj_drop")(Linear(width, trainable=self.trainable, name="proj")(x), train)


class _Gated(nn.Module):
    """A gated feed-forward network, with a norm inside if it has one."""

    width: int
    hidden: int
    norm_cfg: Any
    rate: float
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        one, two = jnp.split(Linear(2 * self.hidden, trainable=not self.frozen, name="w12")(x), 2, -1)
        x = nn.silu(one) * two
        if self.norm_cfg is not None:
            norm: Any = norm_layer(self.norm_cfg)[1]("norm", self.frozen)
            x = norm(x, train)
        x = Linear(self.width, trainable=not self.frozen, name="w3")(x)
        return Dropout(self.rate, name="dropout_layer")(x, train)


class _EVALayer(nn.Module):
    """Attention and a gated feed-forward network, each with its norm first, added to tokens (N, L, C)."""

    embed_dims: int
    num_heads: int
    feedforward_channels: int
    grid: tuple[int, int]
    extra: int
    sub_ln: bool = False
    attn_drop: float = 0.0
    proj_drop: float = 0.0
    qkv_bias: bool = False
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    norm_cfg: Any = _LN
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, size: tuple[int, int], shared: dict[str, Any], train: bool = False) -> Array:
        norm, path = norm_layer(self.norm_cfg)[1], self.drop_path_rate
        one: Any = norm("norm1", self.frozen)
        drops = (self.attn_drop, self.proj_drop)
        attention = _RotatedAttention(
            self.num_heads, self.grid, self.extra, drops, self.qkv_bias, not self.frozen, name="attn"
        )
        x = x + DropPath(path, name="drop_path1")(attention(one(x, train), size, shared, train), train)
        two: Any = norm("norm2", self.frozen)
        inner = self.norm_cfg if self.sub_ln else None
        ffn = _Gated(self.embed_dims, self.feedforward_channels, inner, self.drop_rate, self.frozen, name="mlp")
        return x + DropPath(path, name="drop_path2")(ffn(two(x, train), train), train)


class ViTEVA02(Tokens):
    """EVA-02, a backbone: a vision transformer with turned queries and keys and gated feed-forward networks.

    Attributes:
        arch: "tiny", "small", "base", "large", or a mapping as of `VisionTransformer`.
        sub_ln: a norm inside of the feed-forward networks.
        attn_drop_rate, proj_drop_rate: dropout of the attention, and after its projection.
        img_size, patch_size, ...: as of `VisionTransformer`.
    """

    arch: Any = "tiny"
    sub_ln: bool = False
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    proj_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    qkv_bias: bool = True
    norm_cfg: Any = _LN
    with_cls_token: bool = True
    layer_cfgs: Any = _NONE
    img_size: Any = 224
    patch_size: Any = 16
    in_channels: int = 3
    out_indices: Any = -1
    final_norm: bool = True
    out_type: str = "cls_token"
    frozen_stages: int = -1
    interpolate_mode: str = "bicubic"
    patch_cfg: Any = _NONE
    pre_norm: bool = False
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> VitPlan:
        """What the arguments come to."""
        shared = {"sub_ln": self.sub_ln, "attn_drop": self.attn_drop_rate, "proj_drop": self.proj_drop_rate,
                  "qkv_bias": self.qkv_bias, "drop_rate": self.drop_rate, "norm_cfg": self.norm_cfg}  # fmt: skip
        return vit_plan(
            "ViTEVA02", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size,
            in_channels=self.in_channels, out_indices=self.out_indices, drop_rate=self.drop_rate,
            drop_path_rate=self.drop_path_rate, qkv_bias=self.qkv_bias, norm_cfg=self.norm_cfg, out_type=self.out_type,
            with_cls_token=self.with_cls_token, layer_scale_init_value=0.0, patch_cfg=self.patch_cfg,
            layer_cfgs=self.layer_cfgs, pre_norm=self.pre_norm, table=EVA02, shared=shared,
        )  # fmt: skip

    @property
    def torch_aliases(self) -> Mapping[str, str]:
        """torch has the tables in each layer, and once more."""
        others = [f"layers.{i}.attn.rope" for i in range(1, self.plan.depth)]
        return {other: "layers.0.attn.rope" for other in (*others, "rope")}

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        return vit_rules(self.init_cfg, "pos_embed")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Any, ...]:
        plan, frozen, extra = self.plan, self.frozen_stages, int(self.with_cls_token)
        x, size = self.embedded(x, plan, train)
        shared: dict[str, Any] = {}
        layers = [
            (_EVALayer(**one, grid=plan.grid, extra=extra, frozen=i < frozen, name=f"layers_{i}"), (size, shared))
            for i, one in enumerate(plan.layers)
        ]
        return self.encoded(x, size, plan, layers, train)
