"""SegFormer's backbone (Xie et al. 2021), with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any

from frozendict import frozendict

from fkit.zoo.flax.pvt import PyramidVisionTransformer

__all__ = ["MixVisionTransformer", "mix_vision_transformer"]


class MixVisionTransformer(PyramidVisionTransformer):
    """A pyramid vision transformer whose patches overlap by half and whose feed-forward networks see their neighbours; see
    `mix_vision_transformer`."""


def mix_vision_transformer(
    in_channels: int = 3,
    embed_dims: int = 64,
    num_stages: int = 4,
    num_layers: Sequence[int] = (3, 4, 6, 3),
    num_heads: Sequence[int] = (1, 2, 4, 8),
    patch_sizes: Sequence[int] = (7, 3, 3, 3),
    strides: Sequence[int] = (4, 2, 2, 2),
    sr_ratios: Sequence[int] = (8, 4, 2, 1),
    out_indices: Sequence[int] = (0, 1, 2, 3),
    mlp_ratio: int = 4,
    qkv_bias: bool = True,
    drop_rate: float = 0.0,
    attn_drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    act_cfg: Any = frozendict(type="GELU"),  # noqa: B008
    norm_cfg: Any = frozendict(type="LN", eps=1e-6),  # noqa: B008
    pretrained: Any = None,
    init_cfg: Any = None,
    with_cp: bool = False,
) -> MixVisionTransformer:
    """The maker of `MixVisionTransformer` from a config, with the arguments that torch's twin has."""
    del with_cp
    return MixVisionTransformer(
        in_channels=in_channels, embed_dims=embed_dims, num_stages=num_stages, num_layers=num_layers,
        num_heads=num_heads, patch_sizes=patch_sizes, strides=strides, sr_ratios=sr_ratios, out_indices=out_indices,
        paddings=tuple(size // 2 for size in patch_sizes), mlp_ratios=(mlp_ratio,) * num_stages, qkv_bias=qkv_bias,
        drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate, use_abs_pos_embed=False,
        norm_after_stage=True, use_conv_ffn=True, act_cfg=act_cfg, norm_cfg=norm_cfg, pretrained=pretrained,
        init_cfg=init_cfg,
    )  # fmt: skip
