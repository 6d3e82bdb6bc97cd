"""The vision transformer as a segmentor's backbone, and Segmenter's head, with mmseg's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import path_drop
from fkit.backbone.plain import INIT, PlainPlan, plain_plan
from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.attention import MultiheadAttention
from fkit.zoo.flax.backbone.token import resized_places
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.patch import PatchEmbed
from fkit.zoo.flax.segment.head import DecodeHead, Maps
from fkit.zoo.flax.small import check_channels

__all__ = ["EncoderLayer", "SegmenterMaskTransformerHead", "VisionTransformer"]

Array = jax.Array

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to tokens (N, L, C)."""

    num_heads: int
    hidden: int
    drop_rate: float
    attn_drop_rate: float
    path_rate: float
    num_fcs: int
    qkv_bias: bool
    act_cfg: Any
    norm_cfg: Any
    torch_order: ClassVar[tuple[str, ...]] = ("ln1", "attn", "ln2", "ffn")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        norm, width = norm_layer(self.norm_cfg)[1], x.shape[-1]
        first: Any = norm("ln1")
        attention = MultiheadAttention(
            width, self.num_heads, self.attn_drop_rate, self.drop_rate, batch_first=True, bias=self.qkv_bias,
            name="attn",
        )  # fmt: skip
        x = attention(first(x, train), identity=x, train=train)
        second: Any = norm("ln2")
        path = path_drop(self.path_rate) if self.path_rate > 0 else None
        ffn = FFN(width, self.hidden, self.num_fcs, self.act_cfg, self.drop_rate, path, name="ffn")
        return ffn(second(x, train), x, train)


class VisionTransformer(nn.Module):
    """Vision transformer, a backbone: images (N, H, W, C) to a tuple of maps, all at one stride.

    Attributes: as of torch's twin (`fkit.zoo.torch.segment.vit.VisionTransformer`).
    """

    img_size: Any = 224
    patch_size: int = 16
    patch_pad: Any = "corner"
    in_channels: int = 3
    embed_dims: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_ratio: int = 4
    out_origin: bool = False
    out_indices: Any = -1
    qkv_bias: bool = True
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    with_cls_token: bool = True
    output_cls_token: bool = False
    norm_cfg: Any = _LN
    act_cfg: Any = _GELU
    patch_norm: bool = False
    patch_bias: bool = False
    pre_norm: bool = False
    final_norm: bool = False
    interpolate_mode: str = "bicubic"
    num_fcs: int = 2
    norm_eval: bool = False
    with_cp: bool = False
    frozen_exclude: Any = ("all",)
    pretrained: Any = None
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("cls_token", "pos_embed", "patch_embed", "ln_pre", "layers", "ln1")

    def __post_init__(self) -> None:
        if "all" not in self.frozen_exclude:
            raise FkitValueError("VisionTransformer: frozen_exclude is not supported.", repair="Leave it out.")
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> PlainPlan:
        """The size."""
        return plain_plan(
            self.img_size, self.patch_size, self.num_layers, self.out_indices, self.drop_path_rate,
            self.with_cls_token, self.output_cls_token,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "VisionTransformer")
        return INIT if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Any, ...]:
        check_channels("VisionTransformer", x, self.in_channels)
        plan, width = self.plan, self.embed_dims
        x, size = PatchEmbed(
            width, "Conv2d", self.patch_size, self.patch_size, self.patch_pad, bias=self.patch_bias,
            norm_cfg=self.norm_cfg if self.patch_norm else None, name="patch_embed",
        )(x, train)  # fmt: skip
        token = self.param("cls_token", nn.initializers.zeros, (1, 1, width)).astype(x.dtype)
        table = self.param("pos_embed", nn.initializers.zeros, (1, plan.grid[0] * plan.grid[1] + 1, width))
        table = resized_places(table, plan.grid, size, 1, self.interpolate_mode).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, width)), x], 1) + table
        x = Dropout(self.drop_rate, name="drop_after_pos")(x, train)
        x = x if self.with_cls_token else x[:, 1:]
        x = self._normed(x, "ln_pre", train) if self.pre_norm else x
        outs = [self._map(x, size)] if self.out_origin else []
        for at, rate in enumerate(plan.rates):
            x = EncoderLayer(
                self.num_heads, self.mlp_ratio * width, self.drop_rate, self.attn_drop_rate, rate, self.num_fcs,
                self.qkv_bias, self.act_cfg, self.norm_cfg, name=f"layers_{at}",
            )(x, train)  # fmt: skip
            x = self._normed(x, "ln1", train) if self.final_norm and at == len(plan.rates) - 1 else x
            if at in plan.outputs:
                outs.append(self._map(x, size))
        return tuple(outs)

    def _normed(self, x: Array, name: str, train: bool) -> Array:
        norm: Any = norm_layer(self.norm_cfg)[1](name)
        return norm(x, train)

    def _map(self, x: Array, size: tuple[int, int]) -> Any:
        places = x[:, 1:] if self.with_cls_token else x
        made = places.reshape(x.shape[0], *size, -1)
        return [made, x[:, 0]] if self.output_cls_token else made


class SegmenterMaskTransformerHead(DecodeHead, kw_only=True):
    """Patches and a token a class go through a transformer; logits are how alike they are (Strudel et al. 2021).

    Attributes: as of torch's twin (`fkit.zoo.torch.segment.vit.SegmenterMaskTransformerHead`).
    """

    num_layers: int
    num_heads: int
    embed_dims: int
    mlp_ratio: int = 4
    drop_path_rate: float = 0.1
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    num_fcs: int = 2
    qkv_bias: bool = True
    act_cfg: Any = _GELU
    norm_cfg: Any = _LN
    init_std: float = 0.02
    torch_order: ClassVar[tuple[str, ...]] = (
        "cls_emb", "layers", "dec_proj", "patch_proj", "classes_proj", "decoder_norm", "mask_norm",
    )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """How it starts."""
        return (
            frozendict(type="TruncNormal", layer="Linear", std=self.init_std, bias=0.0),
            frozendict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
            frozendict(type="TruncNormal", std=self.init_std, override=frozendict(name="cls_emb")),
        )

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        taken = self.taken(maps)
        width, count = self.embed_dims, self.logic.num_classes
        x = Linear(width, name="dec_proj")(taken.reshape(taken.shape[0], -1, taken.shape[-1]))
        tokens = self.param("cls_emb", nn.initializers.normal(1.0), (1, count, width)).astype(x.dtype)
        x = jnp.concatenate([x, jnp.broadcast_to(tokens, (x.shape[0], count, width))], 1)
        for at in range(self.num_layers):
            rate = self.drop_path_rate * at / max(self.num_layers - 1, 1)
            x = EncoderLayer(
                self.num_heads, self.mlp_ratio * width, self.drop_rate, self.attn_drop_rate, rate, self.num_fcs,
                self.qkv_bias, self.act_cfg, self.norm_cfg, name=f"layers_{at}",
            )(x, train)  # fmt: skip
        x = self._normed(x, "decoder_norm", train)
        places = Linear(width, use_bias=False, name="patch_proj")(x[:, :-count])
        classes = Linear(width, use_bias=False, name="classes_proj")(x[:, -count:])
        said = _unit(places) @ _unit(classes).swapaxes(1, 2)
        return self._normed(said, "mask_norm", train).reshape(*taken.shape[:3], count)

    def _normed(self, x: Array, name: str, train: bool) -> Array:
        norm: Any = norm_layer(self.norm_cfg)[1](name)
        return norm(x, train)


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.sqrt(jnp.square(x).sum(-1, keepdims=True)), 1e-12)
