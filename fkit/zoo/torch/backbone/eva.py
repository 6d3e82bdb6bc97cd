"""EVA-02 (Fang et al. 2023), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.arch import EVA02
from fkit.backbone.vit import rotation, vit_plan
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.zoo.torch.backbone.token import attend
from fkit.zoo.torch.backbone.vit import VisionTransformer

__all__ = ["ViTEVA02"]

_LN = frozendict(type="LN")
_NONE = frozendict[str, Any]()


class _Rotation(nn.Module):
    """Queries or keys (N, heads, L, C), turned by angles of their positions (Su et al. 2021)."""

    freqs_cos: Tensor
    freqs_sin: Tensor

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.width, self.grid = width, grid
        for name, table in zip(("freqs_cos", "freqs_sin"), rotation(width, grid), strict=True):
            self.register_buffer(name, torch.from_numpy(table).float())

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        cosine, sine = self.freqs_cos, self.freqs_sin
        if size != self.grid:
            cosine, sine = (torch.from_numpy(table).to(x) for table in rotation(self.width, size))
        one, two = x.unflatten(-1, (-1, 2)).unbind(-1)
        return x * cosine + torch.stack((-two, one), -1).flatten(-2) * sine


class _RotatedAttention(nn.Module):
    """Attention whose queries and keys of patches are turned by their positions."""

    def __init__(
        self, width: int, heads: int, rope: _Rotation, extra: int, drops: tuple[float, float], qkv_bias: bool
    ) -> None:
        super().__init__()
        self.heads, self.extra = heads, extra
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.attn_drop = Dropout(drops[0])
        self.proj = nn.Linear(width, width)
        self.proj_drop = Dropout(drops[1])
        self.rope = rope

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        at = self.extra
        q, k = (torch.cat((part[:, :, :at], self.rope(part[:, :, at:], size)), 2) for part in (q, k))
        x = attend(q, k, v, self.attn_drop).transpose(1, 2).reshape(count, length, width)
        return self.proj_drop(self.proj(x))


class _Gated(nn.Module):
    """A gated feed-forward network, with a norm inside if it has one."""

    def __init__(self, width: int, hidden: int, norm_cfg: Any, rate: float) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.norm = nn.Identity() if norm_cfg is None else norm_layer(norm_cfg, hidden)[1]
        self.w3 = nn.Linear(hidden, width)
        self.dropout_layer = Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.w12(x).chunk(2, -1)
        return self.dropout_layer(self.w3(self.norm(F.silu(one) * two)))


class _EVALayer(nn.Module):
    """Attention and a gated feed-forward network, each with its norm first, added to tokens (N, L, C)."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        rope: _Rotation,
        extra: int,
        sub_ln: bool = False,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        qkv_bias: bool = False,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: Any = _LN,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(norm_cfg, embed_dims)[1]
        self.attn = _RotatedAttention(embed_dims, num_heads, rope, extra, (attn_drop, proj_drop), qkv_bias)
        self.drop_path1, self.drop_path2 = DropPath(drop_path_rate), DropPath(drop_path_rate)
        self.norm2 = norm_layer(norm_cfg, embed_dims)[1]
        self.mlp = _Gated(embed_dims, feedforward_channels, norm_cfg if sub_ln else None, drop_rate)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = x + self.drop_path1(self.attn(self.norm1(x), size))
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class ViTEVA02(VisionTransformer):
    """EVA-02, a backbone: a vision transformer with turned queries and keys and gated feed-forward networks.

    Args:
        arch: "tiny", "small", "base", "large", or a mapping as of `VisionTransformer`.
        sub_ln: a norm inside of the feed-forward networks.
        attn_drop_rate, proj_drop_rate: dropout of the attention, and after its projection.
        img_size, patch_size, ...: as of `VisionTransformer`.
    """

    def __init__(
        self,
        arch: Any = "tiny",
        sub_ln: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        norm_cfg: Any = _LN,
        with_cls_token: bool = True,
        layer_cfgs: Any = _NONE,
        img_size: Any = 224,
        patch_size: Any = 16,
        in_channels: int = 3,
        out_indices: Any = -1,
        final_norm: bool = True,
        out_type: str = "cls_token",
        frozen_stages: int = -1,
        interpolate_mode: str = "bicubic",
        patch_cfg: Any = _NONE,
        pre_norm: bool = False,
        init_cfg: Any = None,
    ) -> None:
        nn.Module.__init__(self)
        shared = {"sub_ln": sub_ln, "attn_drop": attn_drop_rate, "proj_drop": proj_drop_rate, "qkv_bias": qkv_bias,
                  "drop_rate": drop_rate, "norm_cfg": norm_cfg}  # fmt: skip
        plan = vit_plan(
            "ViTEVA02", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            out_indices=out_indices, drop_rate=drop_rate, drop_path_rate=drop_path_rate, qkv_bias=qkv_bias,
            norm_cfg=norm_cfg, out_type=out_type, with_cls_token=with_cls_token, layer_scale_init_value=0.0,
            patch_cfg=patch_cfg, layer_cfgs=layer_cfgs, pre_norm=pre_norm, table=EVA02, shared=shared,
        )  # fmt: skip
        rope = _Rotation(plan.width // plan.layers[0]["num_heads"], plan.grid)
        layers = [_EVALayer(**options, rope=rope, extra=int(with_cls_token)) for options in plan.layers]
        self.assemble(
            plan, layers, init_cfg, norm_cfg, out_type=out_type, tokens=int(with_cls_token), drop_rate=drop_rate,
            pre_norm=pre_norm, final_norm=final_norm, frozen_stages=frozen_stages, interpolate_mode=interpolate_mode,
        )  # fmt: skip
        self.rope = rope

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, size = self.patch_embed(x)
        return self.encoded(self.placed_tokens(x, size), size, size)
