"""DeiT with its teacher's token and DeiT III (Touvron et al. 2021, 2022), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.arch import DEIT3
from fkit.backbone.brick import path_drop
from fkit.backbone.vit import FFN_INIT, vit_plan, vit_rules
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.backbone.token import SelfAttention
from fkit.zoo.torch.backbone.vit import EncoderLayer, VisionTransformer
from fkit.zoo.torch.ffn import FFN

__all__ = ["DeiT3", "DistilledVisionTransformer"]

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_NORM = frozendict(type="LN", eps=1e-6)
_NONE = frozendict[str, Any]()


class DistilledVisionTransformer(VisionTransformer):
    """A vision transformer with a second token, which a teacher taught, ``dist_token``; its "cls_token" are both tokens.

    Args:
        arch: as of `VisionTransformer`; so are all others.
    """

    def __init__(
        self,
        arch: Any = "deit-base",
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
        frozen_stages: int = -1,
        interpolate_mode: str = "bicubic",
        layer_scale_init_value: float = 0.0,
        patch_cfg: Any = _NONE,
        layer_cfgs: Any = _NONE,
        init_cfg: Any = None,
    ) -> None:
        nn.Module.__init__(self)
        plan = vit_plan(
            "DistilledVisionTransformer", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            out_indices=out_indices, drop_rate=drop_rate, drop_path_rate=drop_path_rate, qkv_bias=qkv_bias,
            norm_cfg=norm_cfg, out_type=out_type, with_cls_token=True, layer_scale_init_value=layer_scale_init_value,
            patch_cfg=patch_cfg, layer_cfgs=layer_cfgs, pre_norm=False,
        )  # fmt: skip
        self.assemble(
            plan, [EncoderLayer(**options) for options in plan.layers], init_cfg, norm_cfg, out_type=out_type, tokens=2,
            drop_rate=drop_rate, final_norm=final_norm, frozen_stages=frozen_stages, interpolate_mode=interpolate_mode,
        )  # fmt: skip
        self.dist_token = nn.Parameter(torch.zeros(1, 1, plan.width))
        self.init_cfg = vit_rules(self.init_cfg, "dist_token")

    def placed_tokens(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        assert self.cls_token is not None
        tokens = (token.expand(x.shape[0], -1, -1) for token in (self.cls_token, self.dist_token))
        return self.with_places(torch.cat((*tokens, x), 1), size)

    def formed(self, x: Tensor, size: tuple[int, int]) -> Any:
        return (x[:, 0], x[:, 1]) if self.out_type == "cls_token" else super().formed(x, size)


class _DeiT3Layer(nn.Module):
    """Attention and a feed-forward network, both after the same norm, ``ln1``, added to tokens; ``ln2`` is idle."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        use_layer_scale: bool = True,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LN,
    ) -> None:
        super().__init__()
        scale = 1e-5 if use_layer_scale else 0.0
        self.ln1 = norm_layer(norm_cfg, embed_dims)[1]
        self.attn = SelfAttention(
            embed_dims, num_heads, attn_drop_rate, drop_rate, drop_path_rate, qkv_bias, True, scale
        )
        self.ln2 = norm_layer(norm_cfg, embed_dims)[1]
        drop = path_drop(drop_path_rate)
        self.ffn = FFN(embed_dims, feedforward_channels, num_fcs, act_cfg, drop_rate, drop, True, FFN_INIT, scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return self.ffn(self.ln1(x), x)


class DeiT3(VisionTransformer):
    """DeiT III, a backbone: a vision transformer whose token of the class has no position.

    Args:
        arch: "small", "medium", "base", "large", "huge", or a mapping as of `VisionTransformer`.
        use_layer_scale: whether branches have a learnt factor a channel.
        img_size, patch_size, ...: as of `VisionTransformer`.
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
        qkv_bias: bool = True,
        norm_cfg: Any = _NORM,
        final_norm: bool = True,
        out_type: str = "cls_token",
        with_cls_token: bool = True,
        use_layer_scale: bool = True,
        interpolate_mode: str = "bicubic",
        patch_cfg: Any = _NONE,
        layer_cfgs: Any = _NONE,
        init_cfg: Any = None,
    ) -> None:
        nn.Module.__init__(self)
        if out_type == "avg_featmap":
            raise FkitValueError("DeiT3: out_type='avg_featmap' has no norm here.", repair="out_type='featmap'")
        shared = {"drop_rate": drop_rate, "attn_drop_rate": 0.0, "num_fcs": 2, "qkv_bias": qkv_bias,
                  "use_layer_scale": use_layer_scale, "act_cfg": _GELU, "norm_cfg": norm_cfg}  # fmt: skip
        plan = vit_plan(
            "DeiT3", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            out_indices=out_indices, drop_rate=drop_rate, drop_path_rate=drop_path_rate, qkv_bias=qkv_bias,
            norm_cfg=norm_cfg, out_type=out_type, with_cls_token=with_cls_token, layer_scale_init_value=0.0,
            patch_cfg=patch_cfg, layer_cfgs=layer_cfgs, pre_norm=False, table=DEIT3, shared=shared,
        )  # fmt: skip
        self.assemble(
            plan, [_DeiT3Layer(**options) for options in plan.layers], init_cfg, norm_cfg, out_type=out_type,
            tokens=int(with_cls_token), placed=0, drop_rate=drop_rate, final_norm=final_norm, frozen_stages=-1,
            interpolate_mode=interpolate_mode,
        )  # fmt: skip

    def placed_tokens(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.with_places(x, size)
        return x if self.cls_token is None else torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1)
