"""Pyramid vision transformers (Wang et al. 2021 and 2022), with OpenMMLab's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.pvt import DEPTHWISE_INIT, INIT, PLACES_INIT, PVTPlan, PVTStage, typed
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.attention import Attention
from fkit.zoo.torch.patch import PatchEmbed

__all__ = ["PyramidVisionTransformer", "PyramidVisionTransformerV2"]

Size = tuple[int, int]

_GELU = frozendict(type="GELU")
_NORM = frozendict(type="LN", eps=1e-6)


def _map(x: Tensor, size: Size) -> Tensor:
    """(N, H * W, C) to (N, C, H, W)."""
    return x.transpose(1, 2).unflatten(2, size)


class AbsolutePositionEmbedding(nn.Module):
    """Learnt positions of a grid, resampled (bilinear) to that of the patches, added to these."""

    def __init__(self, grid: Size, width: int, drop_rate: float, init_cfg: Any) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.grid = grid
        self.pos_embed = nn.Parameter(torch.zeros(1, grid[0] * grid[1], width))
        self.drop = Dropout(drop_rate)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        places = self.pos_embed
        if size != self.grid:
            places = F.interpolate(_map(places, self.grid), size, mode="bilinear").flatten(2).transpose(1, 2)
        return self.drop(x + places)


class SpatialReductionAttention(nn.Module):
    """Attention to maps that are ``reduction`` times smaller down and across."""

    def __init__(
        self, stage: PVTStage, attn_drop: float, drop_rate: float, drop_path: float, bias: bool, norm_cfg: Any
    ) -> None:
        super().__init__()
        self.attn = Attention(stage.width, stage.heads, attn_drop, bias)
        self.proj_drop = Dropout(drop_rate)
        self.dropout_layer = DropPath(drop_path)
        self.reduction = stage.reduction
        if stage.reduction > 1:
            self.sr = nn.Conv2d(stage.width, stage.width, stage.reduction, stage.reduction)
            self.norm = norm_layer(norm_cfg, stage.width)[1]

    def forward(self, x: Tensor, size: Size) -> Tensor:
        seen = x if self.reduction == 1 else self.norm(self.sr(_map(x, size)).flatten(2).transpose(1, 2))
        return self.dropout_layer(self.proj_drop(self.attn(x, seen, seen)))


class MixFFN(nn.Module):
    """A feed-forward network of 1x1 convolutions, with a 3x3 one of a filter a channel after the first if ``mixes``."""

    def __init__(
        self, width: int, hidden: int, drop_rate: float, drop_path: float, act_cfg: Any, mixes: bool, init_cfg: Any
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg if mixes else None
        mixing = [nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)] if mixes else []
        self.layers = nn.Sequential(
            nn.Conv2d(width, hidden, 1), *mixing, act_layer(act_cfg), Dropout(drop_rate), nn.Conv2d(hidden, width, 1),
            Dropout(drop_rate),
        )  # fmt: skip
        self.dropout_layer = DropPath(drop_path)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        return self.dropout_layer(self.layers(_map(x, size)).flatten(2).transpose(1, 2))


class PVTEncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to patches (N, H * W, C)."""

    def __init__(self, attention: SpatialReductionAttention, ffn: MixFFN, width: int, norm_cfg: Any) -> None:
        super().__init__()
        self.norm1 = norm_layer(norm_cfg, width)[1]
        self.attn = attention
        self.norm2 = norm_layer(norm_cfg, width)[1]
        self.ffn = ffn

    def forward(self, x: Tensor, size: Size) -> Tensor:
        x = x + self.attn(self.norm1(x), size)
        return x + self.ffn(self.norm2(x), size)


class PyramidVisionTransformer(nn.Module):
    """Pyramid vision transformer, a backbone: images (N, C, H, W) to a tuple of maps at strides 4, 8, 16, 32.

    Args:
        pretrain_img_size: of the images that positions are of; others take them resampled.
        embed_dims: channels a head; a stage has that times its ``num_heads``.
        num_layers, num_heads: of the stages.
        patch_sizes, strides, paddings: of the convolution that each stage begins with.
        sr_ratios: how much smaller the maps are that attention goes to.
        mlp_ratios: widths inside of the feed-forward networks, by those outside.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        use_abs_pos_embed: learnt positions at each stage's begin.
        norm_after_stage: a norm at each stage's end.
        use_conv_ffn: a 3x3 convolution of a filter a channel inside of the feed-forward networks.
        convert_weights: accepted; weights of the original repository are known by their names.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is the paper's.

    Raises:
        FkitError: arguments that do not fit together.
    """

    def __init__(
        self,
        pretrain_img_size: Any = 224,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Any = (3, 4, 6, 3),
        num_heads: Any = (1, 2, 5, 8),
        patch_sizes: Any = (4, 2, 2, 2),
        strides: Any = (4, 2, 2, 2),
        paddings: Any = (0, 0, 0, 0),
        sr_ratios: Any = (8, 4, 2, 1),
        out_indices: Any = (0, 1, 2, 3),
        mlp_ratios: Any = (8, 8, 4, 4),
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = True,
        norm_after_stage: bool = False,
        use_conv_ffn: bool = False,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _NORM,
        pretrained: Any = None,
        convert_weights: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        del convert_weights
        plan = PVTPlan.of(
            type(self).__name__, pretrain_img_size, embed_dims, num_stages, drop_path_rate, out_indices,
            num_layers=num_layers, num_heads=num_heads, patch_sizes=patch_sizes, strides=strides, paddings=paddings,
            sr_ratios=sr_ratios, mlp_ratios=mlp_ratios,
        )  # fmt: skip
        init_cfg = typed(init_cfg_of(pretrained, init_cfg, type(self).__name__))
        self.init_cfg = INIT if init_cfg is None else init_cfg
        self.out_indices = plan.outputs
        default = init_cfg is None

        def layer(stage: PVTStage, rate: float) -> PVTEncoderLayer:
            attention = SpatialReductionAttention(stage, attn_drop_rate, drop_rate, rate, qkv_bias, norm_cfg)
            start = DEPTHWISE_INIT if default else None
            ffn = MixFFN(stage.width, stage.hidden, drop_rate, rate, act_cfg, use_conv_ffn, start)
            return PVTEncoderLayer(attention, ffn, stage.width, norm_cfg)

        self.layers = nn.ModuleList()
        for stage in plan.stages:
            embed = PatchEmbed(
                in_channels, stage.width, "Conv2d", stage.side, stage.stride, stage.padding, norm_cfg=norm_cfg
            )
            start = PLACES_INIT if default else None
            places = [AbsolutePositionEmbedding(stage.grid, stage.width, drop_rate, start)] if use_abs_pos_embed else []
            blocks = nn.ModuleList([*places, *(layer(stage, rate) for rate in stage.rates)])
            norm = norm_layer(norm_cfg, stage.width)[1] if norm_after_stage else nn.Identity()
            self.layers.append(nn.ModuleList([embed, blocks, norm]))
            in_channels = stage.width

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        for i, stage in enumerate(self.layers):
            embed, blocks, norm = stage.children()
            x, size = embed(x)
            for block in blocks.children():
                x = block(x, size)
            x = _map(norm(x), size)
            if i in self.out_indices:
                maps.append(x.contiguous())
        return tuple(maps)


class PyramidVisionTransformerV2(PyramidVisionTransformer):
    """The second version (Wang et al. 2022): patches overlap, feed-forward networks see their neighbours, no learnt positions.

    Args:
        options: as `PyramidVisionTransformer` has them.
    """

    def __init__(
        self,
        *,
        patch_sizes: Any = (7, 3, 3, 3),
        paddings: Any = (3, 1, 1, 1),
        use_abs_pos_embed: bool = False,
        norm_after_stage: bool = True,
        use_conv_ffn: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(
            patch_sizes=patch_sizes, paddings=paddings, use_abs_pos_embed=use_abs_pos_embed,
            norm_after_stage=norm_after_stage, use_conv_ffn=use_conv_ffn, drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate, **options,
        )  # fmt: skip
