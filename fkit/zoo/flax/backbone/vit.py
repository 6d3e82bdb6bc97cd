"""The vision transformer (Dosovitskiy et al. 2021), with mmpretrain's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import path_drop
from fkit.backbone.vit import FFN_INIT, VitPlan, vit_plan, vit_rules
from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.token import SelfAttention, SwiGLU, resized_places
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.patch import PatchEmbed
from fkit.zoo.flax.small import check_channels

__all__ = ["EncoderLayer", "Tokens", "VisionTransformer", "feed_forward", "patches"]

Array = jax.Array

_NONE = frozendict[str, Any]()


class _Gated(SwiGLU):
    """`SwiGLU` that starts as a vision transformer's."""

    init_cfg: Any = FFN_INIT


def feed_forward(
    kind: str, width: int, hidden: int, num_fcs: int, act_cfg: Any, drop: float, path: float, scale: float, frozen: bool
) -> nn.Module:
    """A layer's feed-forward network: "origin", or "swiglu_fused".

    Raises:
        FkitValueError: another kind.
    """
    if kind == "origin":
        return FFN(width, hidden, num_fcs, act_cfg, drop, path_drop(path), True, FFN_INIT, scale, frozen, name="ffn")
    if kind == "swiglu_fused":
        return _Gated(width, hidden, scale, trainable=not frozen, name="ffn")
    raise FkitValueError(f"ffn_type={kind!r}.", value=kind, choices=("origin", "swiglu_fused"))


def patches(options: Any, frozen: bool = False) -> PatchEmbed:
    """The embedding of patches, of torch's arguments."""
    mine = {key: value for key, value in options.items() if key not in ("in_channels", "input_size")}
    return PatchEmbed(**mine, frozen=frozen, name="patch_embed")


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to tokens (N, L, C)."""

    embed_dims: int
    num_heads: int
    feedforward_channels: int
    layer_scale_init_value: float = 0.0
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    num_fcs: int = 2
    qkv_bias: bool = True
    ffn_type: str = "origin"
    act_cfg: Any = frozendict(type="GELU")
    norm_cfg: Any = frozendict(type="LN")
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        norm, scale, frozen = norm_layer(self.norm_cfg)[1], self.layer_scale_init_value, self.frozen
        one: Any = norm("ln1", frozen)
        attention = SelfAttention(
            self.num_heads, self.attn_drop_rate, self.drop_rate, self.drop_path_rate, self.qkv_bias, True, scale,
            not frozen, name="attn",
        )  # fmt: skip
        x = x + attention(one(x, train), train)
        two: Any = norm("ln2", frozen)
        options = (self.num_fcs, self.act_cfg, self.drop_rate, self.drop_path_rate, scale, frozen)
        ffn: Any = feed_forward(self.ffn_type, self.embed_dims, self.feedforward_channels, *options)
        return ffn(two(x, train), x, train)


class Tokens(nn.Module):
    """What a vision transformer and its kin share: patches to tokens, and what layers make of them.

    A network has ``in_channels``, ``norm_cfg``, ``drop_rate``, ``frozen_stages``, ``out_type``, ``final_norm``,
    ``interpolate_mode`` and ``with_cls_token``.
    """

    placed: ClassVar[int | None] = None  # tokens that have positions beside the patches; None: all
    tokens: ClassVar[tuple[str, ...]] = ("cls_token",)
    torch_order: ClassVar[tuple[str, ...]] = (
        "cls_token", "pos_embed", "dist_token", "patch_embed", "rel_pos_bias", "layers", "pre_norm", "ln1", "ln2", "rope",
    )  # fmt: skip

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the tables."""
        return self._has("frozen_stages", -1) <= 0

    def _has(self, name: str, default: Any) -> Any:
        return getattr(self, name, default)

    def embedded(self, x: Array, plan: VitPlan, train: bool, places: bool = True) -> tuple[Array, tuple[int, int]]:
        """Images to tokens with their positions, and how many rows and columns of patches there are."""
        me: Any = self
        check_channels(type(self).__name__, x, me.in_channels)
        still = not self.trainable
        x, size = patches(plan.patch, still)(x, train and not still)
        tokens = [
            self.param(name, nn.initializers.zeros, (1, 1, plan.width)) for name in self.tokens if me.with_cls_token
        ]
        extra = len(tokens) if self.placed is None else self.placed
        table: Any = None
        if places:
            count = plan.grid[0] * plan.grid[1] + extra
            table = self.param("pos_embed", nn.initializers.zeros, (1, count, plan.width))
            table = resized_places(table, plan.grid, size, extra, me.interpolate_mode)
        if places and self.placed == 0:
            x = x + table
        wide = [jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, plan.width)) for token in tokens]
        x = jnp.concatenate((*wide, x), 1) if wide else x
        if places and self.placed != 0:
            x = x + table
        return Dropout(me.drop_rate, name="drop_after_pos")(x, train and not still), size

    def encoded(
        self, x: Array, size: tuple[int, int], plan: VitPlan, layers: list[tuple[Any, tuple[Any, ...]]], train: bool
    ) -> tuple[Any, ...]:
        """What layers make of tokens; each beside what it is told."""
        me: Any = self
        norm, frozen = norm_layer(me.norm_cfg)[1], self._has("frozen_stages", -1)
        if self._has("pre_norm", False):
            before: Any = norm("pre_norm", frozen > 0)
            x = before(x, train)
        outs: list[Array] = []
        for i, (layer, more) in enumerate(layers):
            x = layer(x, *more, train and i >= frozen)
            if i == plan.depth - 1 and me.final_norm:
                final: Any = norm("ln1", frozen == plan.depth)
                x = final(x, train)
            if i in plan.outputs:
                outs.append(x)
        return self.formed(outs, size, norm, frozen == plan.depth)

    def formed(self, outs: list[Array], size: tuple[int, int], norm: Any, still: bool) -> tuple[Any, ...]:
        """Outputs as ``out_type`` says."""
        me: Any = self
        if me.out_type in ("raw", "cls_token"):
            return tuple(x if me.out_type == "raw" else x[:, 0] for x in outs)
        extra = len(self.tokens) if me.with_cls_token else 0
        outs = [x[:, extra:] for x in outs]
        if me.out_type == "featmap":
            return tuple(x.reshape(x.shape[0], *size, -1) for x in outs)
        layer: Any = norm("ln2", still)
        return tuple(layer(x.mean(1)) for x in outs)


class VisionTransformer(Tokens):
    """Vision transformer, a backbone: images (N, H, W, C) to a tuple of features.

    Attributes:
        arch: "small", "base", "large", "deit-tiny", ..., or a mapping with ``embed_dims``, ``num_layers``, ``num_heads`` and
            ``feedforward_channels``.
        img_size: of the images that ``pos_embed`` is of; others take it resampled by ``interpolate_mode``.
        patch_size: side of the patches.
        out_indices: the layers whose outputs are given; -1 is the last.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        final_norm: a norm, ``ln1``, after the last layer.
        out_type: "cls_token" (N, C), "raw" (N, L, C), "featmap" (N, h, w, C), or "avg_featmap" (N, C), with a norm ``ln2``.
        with_cls_token: whether a token of the class goes before the patches'.
        frozen_stages: above 0, no gradient for the embedding and the layers up to this one.
        layer_scale_init_value: above 0, branches have factors a channel that begin with it.
        patch_cfg, layer_cfgs: arguments of the embedding, and of all layers or of each.
        pre_norm: a norm before the layers, and no bias of the embedding, as CLIP has it.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: arguments that do not fit together.
    """

    arch: Any = "base"
    img_size: Any = 224
    patch_size: Any = 16
    in_channels: int = 3
    out_indices: Any = -1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    qkv_bias: bool = True
    norm_cfg: Any = frozendict(type="LN", eps=1e-6)
    final_norm: bool = True
    out_type: str = "cls_token"
    with_cls_token: bool = True
    frozen_stages: int = -1
    interpolate_mode: str = "bicubic"
    layer_scale_init_value: float = 0.0
    patch_cfg: Any = _NONE
    layer_cfgs: Any = _NONE
    pre_norm: bool = False
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> VitPlan:
        """What the arguments come to."""
        return vit_plan(
            "VisionTransformer", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size,
            in_channels=self.in_channels, out_indices=self.out_indices, drop_rate=self.drop_rate,
            drop_path_rate=self.drop_path_rate, qkv_bias=self.qkv_bias, norm_cfg=self.norm_cfg, out_type=self.out_type,
            with_cls_token=self.with_cls_token, layer_scale_init_value=self.layer_scale_init_value,
            patch_cfg=self.patch_cfg, layer_cfgs=self.layer_cfgs, pre_norm=self.pre_norm,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        return vit_rules(self.init_cfg, "pos_embed")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        plan, frozen = self.plan, self.frozen_stages
        x, size = self.embedded(x, plan, train)
        for_layers = [
            (EncoderLayer(**one, frozen=i < frozen, name=f"layers_{i}"), ()) for i, one in enumerate(plan.layers)
        ]
        return self.encoded(x, size, plan, for_layers, train)
