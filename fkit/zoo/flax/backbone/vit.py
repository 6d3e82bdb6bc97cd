"""The vision transformer (Dosovitskiy et al. 2021), with mmpretrain's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import norm_layer
from fkit.detection.backbone.vit import FFN_INIT, VitPlan, vit_plan, vit_rules
from fkit.detection.brick import path_drop
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.token import SelfAttention, SwiGLU, resized_places
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.patch import PatchEmbed
from fkit.zoo.flax.small import check_channels

__all__ = ["EncoderLayer", "VisionTransformer", "feed_forward", "patches"]

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


class VisionTransformer(nn.Module):
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
    torch_order: ClassVar[tuple[str, ...]] = (
        "cls_token", "pos_embed", "patch_embed", "layers", "pre_norm", "ln1", "ln2",
    )  # fmt: skip

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

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the tables."""
        return self.frozen_stages <= 0

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("VisionTransformer", x, self.in_channels)
        plan, still, norm = self.plan, self.frozen_stages > 0, norm_layer(self.norm_cfg)[1]
        extra, moving = int(self.with_cls_token), train and not still
        x, size = patches(plan.patch, still)(x, moving)
        if self.with_cls_token:
            token = self.param("cls_token", nn.initializers.zeros, (1, 1, plan.width))
            x = jnp.concatenate((jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, plan.width)), x), 1)
        table = self.param("pos_embed", nn.initializers.zeros, (1, plan.grid[0] * plan.grid[1] + extra, plan.width))
        x = x + resized_places(table, plan.grid, size, extra, self.interpolate_mode)
        x = Dropout(self.drop_rate, name="drop_after_pos")(x, moving)
        if self.pre_norm:
            before: Any = norm("pre_norm", still)
            x = before(x, train)
        outs: list[Array] = []
        for i, options in enumerate(plan.layers):
            frozen = i < self.frozen_stages
            x = EncoderLayer(**options, frozen=frozen, name=f"layers_{i}")(x, train and not frozen)
            if i == plan.depth - 1 and self.final_norm:
                final: Any = norm("ln1", self.frozen_stages == plan.depth)
                x = final(x, train)
            if i in plan.outputs:
                outs.append(x)
        return self._formed(outs, size, norm, self.frozen_stages == plan.depth)

    def _formed(self, outs: list[Array], size: tuple[int, int], norm: Any, still: bool) -> tuple[Array, ...]:
        if self.out_type in ("raw", "cls_token"):
            return tuple(x if self.out_type == "raw" else x[:, 0] for x in outs)
        outs = [x[:, int(self.with_cls_token) :] for x in outs]
        if self.out_type == "featmap":
            return tuple(x.reshape(x.shape[0], *size, -1) for x in outs)
        layer: Any = norm("ln2", still)
        return tuple(layer(x.mean(1)) for x in outs)
