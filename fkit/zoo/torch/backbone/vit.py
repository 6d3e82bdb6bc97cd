"""The vision transformer (Dosovitskiy et al. 2021), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import path_drop
from fkit.backbone.vit import FFN_INIT, VitPlan, vit_plan, vit_rules
from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.backbone.token import SelfAttention, SwiGLU, resized_places
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import PatchEmbed

__all__ = ["EncoderLayer", "VisionTransformer", "feed_forward"]

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_NORM = frozendict(type="LN", eps=1e-6)
_NONE = frozendict[str, Any]()


def feed_forward(
    kind: str, width: int, hidden: int, num_fcs: int, act_cfg: Any, drop: float, path: float, scale: float
) -> nn.Module:
    """A layer's feed-forward network: "origin", or "swiglu_fused".

    Raises:
        FkitValueError: another kind.
    """
    if kind == "origin":
        return FFN(width, hidden, num_fcs, act_cfg, drop, path_drop(path), True, FFN_INIT, scale)
    if kind == "swiglu_fused":
        layer = SwiGLU(width, hidden, scale)
        layer.init_cfg = FFN_INIT  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        return layer
    raise FkitValueError(f"ffn_type={kind!r}.", value=kind, choices=("origin", "swiglu_fused"))


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to tokens (N, L, C)."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        layer_scale_init_value: float = 0.0,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        ffn_type: str = "origin",
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LN,
    ) -> None:
        super().__init__()
        self.ln1 = norm_layer(norm_cfg, embed_dims)[1]
        self.attn = SelfAttention(
            embed_dims, num_heads, attn_drop_rate, drop_rate, drop_path_rate, qkv_bias, True, layer_scale_init_value
        )
        self.ln2 = norm_layer(norm_cfg, embed_dims)[1]
        options = (num_fcs, act_cfg, drop_rate, drop_path_rate, layer_scale_init_value)
        self.ffn = feed_forward(ffn_type, embed_dims, feedforward_channels, *options)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return self.ffn(self.ln2(x), x)


class VisionTransformer(nn.Module):
    """Vision transformer, a backbone: images (N, C, H, W) to a tuple of features.

    Args:
        arch: "small", "base", "large", "deit-tiny", ..., or a mapping with ``embed_dims``, ``num_layers``, ``num_heads`` and
            ``feedforward_channels``.
        img_size: of the images that ``pos_embed`` is of; others take it resampled by ``interpolate_mode``.
        patch_size: side of the patches.
        out_indices: the layers whose outputs are given; -1 is the last.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        final_norm: a norm, ``ln1``, after the last layer.
        out_type: "cls_token" (N, C), "raw" (N, L, C), "featmap" (N, C, h, w), or "avg_featmap" (N, C), with a norm ``ln2``.
        with_cls_token: whether a token of the class goes before the patches'.
        frozen_stages: above 0, no gradient for the embedding and the layers up to this one.
        layer_scale_init_value: above 0, branches have factors a channel that begin with it.
        patch_cfg, layer_cfgs: arguments of the embedding, and of all layers or of each.
        pre_norm: a norm before the layers, and no bias of the embedding, as CLIP has it.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: arguments that do not fit together.
    """

    cls_token: Tensor | None
    pos_embed: Tensor | None

    def __init__(
        self,
        arch: Any = "base",
        img_size: Any = 224,
        patch_size: Any = 16,
        in_channels: int = 3,
        out_indices: Any = -1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        norm_cfg: Any = _NORM,
        final_norm: bool = True,
        out_type: str = "cls_token",
        with_cls_token: bool = True,
        frozen_stages: int = -1,
        interpolate_mode: str = "bicubic",
        layer_scale_init_value: float = 0.0,
        patch_cfg: Any = _NONE,
        layer_cfgs: Any = _NONE,
        pre_norm: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        plan = vit_plan(
            "VisionTransformer", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            out_indices=out_indices, drop_rate=drop_rate, drop_path_rate=drop_path_rate, qkv_bias=qkv_bias,
            norm_cfg=norm_cfg, out_type=out_type, with_cls_token=with_cls_token,
            layer_scale_init_value=layer_scale_init_value, patch_cfg=patch_cfg, layer_cfgs=layer_cfgs,
            pre_norm=pre_norm,
        )  # fmt: skip
        self.assemble(
            plan, [EncoderLayer(**options) for options in plan.layers], init_cfg, norm_cfg, out_type=out_type,
            tokens=int(with_cls_token), drop_rate=drop_rate, pre_norm=pre_norm, final_norm=final_norm,
            frozen_stages=frozen_stages, interpolate_mode=interpolate_mode,
        )  # fmt: skip

    def assemble(
        self,
        plan: VitPlan,
        layers: list[Any],
        init_cfg: Any,
        norm_cfg: Any,
        *,
        out_type: str,
        tokens: int,
        drop_rate: float,
        final_norm: bool,
        frozen_stages: int,
        interpolate_mode: str,
        pre_norm: bool = False,
        placed: int | None = None,
        between: nn.Module | None = None,
    ) -> None:
        """Register the parts, as kin of the network have them too.

        Args:
            tokens: before the patches'.
            placed: tokens that have positions beside the patches; None: all; -1: there are no positions at all.
            between: a part ``rel_pos_bias`` before the layers.
        """
        self.out_indices, self.out_type, self.frozen_stages = plan.outputs, out_type, frozen_stages
        self.interpolate_mode, self.grid, self.extra = interpolate_mode, plan.grid, tokens
        self.placed = tokens if placed is None else placed
        self.init_cfg = vit_rules(init_cfg, *(["pos_embed"] if self.placed >= 0 else []))
        self.patch_embed = PatchEmbed(**plan.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, plan.width)) if tokens else None
        places = plan.grid[0] * plan.grid[1] + self.placed
        self.pos_embed = nn.Parameter(torch.zeros(1, places, plan.width)) if self.placed >= 0 else None
        self.drop_after_pos = Dropout(drop_rate)
        self.rel_pos_bias = between
        self.layers = nn.ModuleList(layers)
        self.pre_norm = norm_layer(norm_cfg, plan.width)[1] if pre_norm else nn.Identity()
        self.ln1 = norm_layer(norm_cfg, plan.width)[1] if final_norm else nn.Identity()
        if out_type == "avg_featmap":
            self.ln2 = norm_layer(norm_cfg, plan.width)[1]
        if frozen_stages > 0:
            for part in (*self._frozen(), self.pre_norm):
                part.requires_grad_(False)
            for table in (self.pos_embed, self.cls_token):
                if table is not None:
                    table.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages <= 0:
            return []
        parts = [self.drop_after_pos, self.patch_embed, *self.layers[: self.frozen_stages]]
        if self.frozen_stages == len(self.layers):
            parts += [self.ln1, *([self.ln2] if self.out_type == "avg_featmap" else [])]
        return parts

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, size = self.patch_embed(x)
        return self.encoded(self.placed_tokens(x, size), size)

    def placed_tokens(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Patches (N, L, C) with the tokens before them, and their positions."""
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1)
        return self.with_places(x, size)

    def with_places(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Tokens with their positions."""
        if self.pos_embed is None:
            return x
        return x + resized_places(self.pos_embed, self.grid, size, self.placed, self.interpolate_mode)

    def encoded(self, x: Tensor, size: tuple[int, int], *more: Any) -> tuple[Tensor, ...]:
        """What the layers make of tokens; ``more``: what they are told beside them."""
        x = self.pre_norm(self.drop_after_pos(x))
        outs: list[Any] = []
        for i, layer in enumerate(self.layers):
            x = layer(x, *more)
            if i == len(self.layers) - 1:
                x = self.ln1(x)
            if i in self.out_indices:
                outs.append(self.formed(x, size))
        return tuple(outs)

    def formed(self, x: Tensor, size: tuple[int, int]) -> Any:
        """An output as ``out_type`` says."""
        if self.out_type in ("raw", "cls_token"):
            return x if self.out_type == "raw" else x[:, 0]
        x = x[:, self.extra :]
        if self.out_type == "featmap":
            return x.reshape(x.shape[0], *size, -1).permute(0, 3, 1, 2)
        return self.ln2(x.mean(1))

    def train(self, mode: bool = True) -> "VisionTransformer":
        """Training mode, but for frozen layers."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self
