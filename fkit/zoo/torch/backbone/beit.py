"""BEiT (Bao et al. 2022), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.brick import path_drop
from fkit.backbone.swin import class_index
from fkit.backbone.vit import FFN_INIT, TABLE, vit_plan
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.backbone.token import attend
from fkit.zoo.torch.backbone.vit import VisionTransformer
from fkit.zoo.torch.ffn import FFN

__all__ = ["BEiTViT"]

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_NORM = frozendict(type="LN", eps=1e-6)
_NONE = frozendict[str, Any]()


class _Displacements(nn.Module):
    """A bias a displacement of patches, and of pairs with the token of the class: (heads, L, L)."""

    relative_position_index: Tensor

    def __init__(self, grid: tuple[int, int], heads: int) -> None:
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * grid[0] - 1) * (2 * grid[1] - 1) + 3, heads))
        self.register_buffer("relative_position_index", torch.from_numpy(class_index(*grid)))

    def forward(self) -> Tensor:
        return _biases(self.relative_position_bias_table, self.relative_position_index)


def _biases(table: Tensor, index: Tensor) -> Tensor:
    return table[index.view(-1)].view(*index.shape, -1).permute(2, 0, 1)


class _BEiTAttention(nn.Module):
    """Attention with a bias a displacement, of its own or the network's, and none of keys if ``bias`` is "qv_bias"."""

    q_bias: Tensor | None
    relative_position_index: Tensor

    def __init__(
        self, width: int, heads: int, grid: tuple[int, int], own: bool, bias: Any, drop: float, init: Any
    ) -> None:
        super().__init__()
        self.heads, self.own, self.init_cfg = heads, own, init if own else None
        if bias == "qv_bias":
            self.q_bias = nn.Parameter(torch.zeros(width))
            self.v_bias = nn.Parameter(torch.zeros(width))
        else:
            self.q_bias = None
        if own:
            count = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3
            self.relative_position_bias_table = nn.Parameter(torch.zeros(count, heads))
            self.register_buffer("relative_position_index", torch.from_numpy(class_index(*grid)))
        self.qkv = nn.Linear(width, 3 * width, bias=bias is True)
        self.proj = nn.Linear(width, width)
        self.attn_drop, self.proj_drop = Dropout(0.0), Dropout(drop)

    def forward(self, x: Tensor, shared: Tensor | None = None) -> Tensor:
        count, length, width = x.shape
        bias = self.qkv.bias
        if self.q_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        parts = F.linear(x, self.qkv.weight, bias).view(count, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        added = shared
        if self.own:
            mine = _biases(self.relative_position_bias_table, self.relative_position_index)
            added = mine if shared is None else mine + shared
        x = attend(q, k, v, self.attn_drop, None if added is None else added[None])
        return self.proj_drop(self.proj(x.transpose(1, 2).reshape(count, length, width)))


class _BEiTLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first and a factor a channel, added to tokens."""

    gamma_1: Tensor | None
    gamma_2: Tensor | None

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        layer_scale_init_value: float,
        window_size: tuple[int, int],
        use_rel_pos_bias: bool,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        bias: Any = "qv_bias",
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LN,
    ) -> None:
        super().__init__()
        width, path, scale = embed_dims, path_drop(drop_path_rate), layer_scale_init_value
        self.ln1 = norm_layer(norm_cfg, width)[1]
        self.attn = _BEiTAttention(width, num_heads, window_size, use_rel_pos_bias, bias, drop_rate, TABLE)
        self.ln2 = norm_layer(norm_cfg, width)[1]
        self.ffn = FFN(width, feedforward_channels, num_fcs, act_cfg, drop_rate, path, False, FFN_INIT)
        self.drop_path1, self.drop_path2 = DropPath(drop_path_rate), DropPath(drop_path_rate)
        self.gamma_1 = nn.Parameter(scale * torch.ones(width)) if scale > 0 else None
        self.gamma_2 = nn.Parameter(scale * torch.ones(width)) if scale > 0 else None

    def forward(self, x: Tensor, shared: Tensor | None = None) -> Tensor:
        y = self.attn(self.ln1(x), shared)
        x = x + self.drop_path1(y if self.gamma_1 is None else self.gamma_1 * y)
        y = self.ffn(self.ln2(x))
        return x + self.drop_path2(y if self.gamma_2 is None else self.gamma_2 * y)


class BEiTViT(VisionTransformer):
    """BEiT, a backbone: a vision transformer with a bias a displacement in its attention.

    Args:
        bias: "qv_bias" (none of keys), or whether attention's projection has one.
        use_abs_pos_emb: whether tokens have positions.
        use_rel_pos_bias, use_shared_rel_pos_bias: biases a displacement, of each layer, or of all (``rel_pos_bias``).
        arch, img_size, ...: as of `VisionTransformer`.

    Raises:
        FkitError: arguments that do not fit together.
    """

    def __init__(
        self,
        arch: Any = "base",
        img_size: Any = 224,
        patch_size: Any = 16,
        in_channels: int = 3,
        out_indices: Any = -1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        bias: Any = "qv_bias",
        norm_cfg: Any = _NORM,
        final_norm: bool = False,
        out_type: str = "avg_featmap",
        with_cls_token: bool = True,
        frozen_stages: int = -1,
        use_abs_pos_emb: bool = False,
        use_rel_pos_bias: bool = True,
        use_shared_rel_pos_bias: bool = False,
        interpolate_mode: str = "bicubic",
        layer_scale_init_value: float = 0.1,
        patch_cfg: Any = _NONE,
        layer_cfgs: Any = _NONE,
        init_cfg: Any = None,
    ) -> None:
        nn.Module.__init__(self)
        if use_rel_pos_bias and use_shared_rel_pos_bias:
            raise FkitValueError("BEiTViT: use_rel_pos_bias and use_shared_rel_pos_bias exclude each other.")
        shared = {"layer_scale_init_value": layer_scale_init_value, "use_rel_pos_bias": use_rel_pos_bias,
                  "drop_rate": drop_rate, "num_fcs": 2, "bias": bias, "act_cfg": _GELU, "norm_cfg": norm_cfg}  # fmt: skip
        plan = vit_plan(
            "BEiTViT", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            out_indices=out_indices, drop_rate=drop_rate, drop_path_rate=drop_path_rate, qkv_bias=True,
            norm_cfg=norm_cfg, out_type=out_type, with_cls_token=with_cls_token, layer_scale_init_value=0.0,
            patch_cfg=patch_cfg, layer_cfgs=layer_cfgs, pre_norm=False, shared=shared,
        )  # fmt: skip
        layers = [_BEiTLayer(**options, window_size=plan.grid) for options in plan.layers]
        heads = plan.layers[0]["num_heads"]
        self.assemble(
            plan, layers, init_cfg, norm_cfg, out_type=out_type, tokens=int(with_cls_token),
            placed=None if use_abs_pos_emb else -1, drop_rate=drop_rate, final_norm=final_norm,
            frozen_stages=frozen_stages, interpolate_mode=interpolate_mode,
            between=_Displacements(plan.grid, heads) if use_shared_rel_pos_bias else None,
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, size = self.patch_embed(x)
        shared = None if self.rel_pos_bias is None else self.rel_pos_bias()
        return self.encoded(self.placed_tokens(x, size), size, shared)
