"""The vision transformer as a segmentor's backbone, and Segmenter's head, with mmseg's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.brick import path_drop
from fkit.backbone.plain import INIT, plain_plan
from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.attention import MultiheadAttention
from fkit.zoo.torch.backbone.token import resized_places
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import PatchEmbed
from fkit.zoo.torch.segment.head import DecodeHead, Maps

__all__ = ["EncoderLayer", "SegmenterMaskTransformerHead", "VisionTransformer"]

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_ALL = ("all",)


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to tokens (N, L, C)."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        hidden: int,
        drop_rate: float,
        attn_drop_rate: float,
        path_rate: float,
        num_fcs: int,
        qkv_bias: bool,
        act_cfg: Any,
        norm_cfg: Any,
    ) -> None:
        super().__init__()
        self.ln1 = norm_layer(norm_cfg, embed_dims)[1]
        self.attn = MultiheadAttention(
            embed_dims, num_heads, attn_drop_rate, drop_rate, batch_first=True, bias=qkv_bias
        )
        self.ln2 = norm_layer(norm_cfg, embed_dims)[1]
        path = path_drop(path_rate) if path_rate > 0 else None
        self.ffn = FFN(embed_dims, hidden, num_fcs, act_cfg, drop_rate, path)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.ln1(x), identity=x)
        return self.ffn(self.ln2(x), x)


class VisionTransformer(nn.Module):
    """Vision transformer, a backbone: images (N, C, H, W) to a tuple of maps, all at one stride.

    Args:
        img_size: of the images that ``pos_embed`` is of; others take it resampled by ``interpolate_mode``.
        patch_size, patch_pad, patch_norm, patch_bias: of the embedding.
        embed_dims, num_layers, num_heads, mlp_ratio, qkv_bias, num_fcs: of the layers.
        out_indices: the layers whose maps are given; -1 is the last.
        out_origin: whether what goes into the layers is given, too.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        with_cls_token: whether a token of the class goes through the layers.
        output_cls_token: whether each map is given as a pair, with that token (N, C).
        pre_norm, final_norm: norms before and after the layers.
        norm_eval, with_cp: change no number; taken for mmseg's configs.
        pretrained, init_cfg: rules for initial weights.

    Raises:
        FkitError: arguments that do not fit together.
    """

    def __init__(
        self,
        img_size: Any = 224,
        patch_size: int = 16,
        patch_pad: Any = "corner",
        in_channels: int = 3,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_ratio: int = 4,
        out_origin: bool = False,
        out_indices: Any = -1,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        with_cls_token: bool = True,
        output_cls_token: bool = False,
        norm_cfg: Any = _LN,
        act_cfg: Any = _GELU,
        patch_norm: bool = False,
        patch_bias: bool = False,
        pre_norm: bool = False,
        final_norm: bool = False,
        interpolate_mode: str = "bicubic",
        num_fcs: int = 2,
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_exclude: Any = _ALL,
        pretrained: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.output_cls_token = output_cls_token
        del norm_eval, with_cp
        if "all" not in frozen_exclude:
            raise FkitValueError("VisionTransformer: frozen_exclude is not supported.", repair="Leave it out.")
        plan = plain_plan(
            img_size, patch_size, num_layers, out_indices, drop_path_rate, with_cls_token, output_cls_token
        )
        rules = init_cfg_of(pretrained, init_cfg, "VisionTransformer")
        self.init_cfg = INIT if rules is None else rules
        self.plan, self.out_origin, self.with_cls_token = plan, out_origin, with_cls_token
        self.interpolate_mode = interpolate_mode
        self.patch_embed = PatchEmbed(
            in_channels, embed_dims, "Conv2d", patch_size, patch_size, patch_pad, bias=patch_bias,
            norm_cfg=norm_cfg if patch_norm else None,
        )  # fmt: skip
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, plan.grid[0] * plan.grid[1] + 1, embed_dims))
        self.drop_after_pos = Dropout(drop_rate)
        self.ln_pre = norm_layer(norm_cfg, embed_dims)[1] if pre_norm else None
        self.layers = nn.ModuleList(
            EncoderLayer(
                embed_dims, num_heads, mlp_ratio * embed_dims, drop_rate, attn_drop_rate, rate, num_fcs, qkv_bias,
                act_cfg, norm_cfg,
            )
            for rate in plan.rates
        )  # fmt: skip
        self.ln1 = norm_layer(norm_cfg, embed_dims)[1] if final_norm else None

    def forward(self, x: Tensor) -> tuple[Any, ...]:
        x, size = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1)
        x = self.drop_after_pos(x + resized_places(self.pos_embed, self.plan.grid, size, 1, self.interpolate_mode))
        x = x if self.with_cls_token else x[:, 1:]
        x = x if self.ln_pre is None else self.ln_pre(x)
        outs = [self._map(x, size)] if self.out_origin else []
        for at, layer in enumerate(self.layers):
            x = layer(x)
            if at == len(self.layers) - 1 and self.ln1 is not None:
                x = self.ln1(x)
            if at in self.plan.outputs:
                outs.append(self._map(x, size))
        return tuple(outs)

    def _map(self, x: Tensor, size: tuple[int, int]) -> Any:
        places = x[:, 1:] if self.with_cls_token else x
        made = places.reshape(x.shape[0], *size, -1).permute(0, 3, 1, 2).contiguous()
        return [made, x[:, 0]] if self.output_cls_token else made


class SegmenterMaskTransformerHead(DecodeHead):
    """Patches and a token a class go through a transformer; logits are how alike they are (Strudel et al. 2021).

    Args:
        in_channels: of the map.
        num_layers, num_heads, embed_dims, mlp_ratio, num_fcs, qkv_bias, act_cfg, norm_cfg: of the transformer.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        drop_rate, attn_drop_rate: of dropout.
        init_std: of initial weights.
        more: see `DecodeHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_layers: int,
        num_heads: int,
        embed_dims: int,
        mlp_ratio: int = 4,
        drop_path_rate: float = 0.1,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LN,
        init_std: float = 0.02,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(in_channels, build=build, **more)
        del self.conv_seg
        self.init_cfg = (
            {"type": "TruncNormal", "layer": "Linear", "std": init_std, "bias": 0.0},
            {"type": "Constant", "layer": "LayerNorm", "val": 1.0, "bias": 0.0},
            {"type": "TruncNormal", "std": init_std, "override": {"name": "cls_emb"}},
        )
        rates = [drop_path_rate * at / max(num_layers - 1, 1) for at in range(num_layers)]
        classes = self.logic.num_classes
        self.layers = nn.ModuleList(
            EncoderLayer(
                embed_dims, num_heads, mlp_ratio * embed_dims, drop_rate, attn_drop_rate, rate, num_fcs, qkv_bias,
                act_cfg, norm_cfg,
            )
            for rate in rates
        )  # fmt: skip
        self.dec_proj = nn.Linear(in_channels, embed_dims)
        self.cls_emb = nn.Parameter(torch.randn(1, classes, embed_dims))
        self.patch_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.classes_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.decoder_norm = norm_layer(norm_cfg, embed_dims)[1]
        self.mask_norm = norm_layer(norm_cfg, classes)[1]

    def forward(self, maps: Maps) -> Tensor:
        taken = self.taken(maps)
        x = self.dec_proj(taken.flatten(2).transpose(1, 2))
        count = self.cls_emb.shape[1]
        x = torch.cat((x, self.cls_emb.expand(len(x), -1, -1)), 1)
        for layer in self.layers:
            x = layer(x)
        x = self.decoder_norm(x)
        places, classes = self.patch_proj(x[:, :-count]), self.classes_proj(x[:, -count:])
        said = F.normalize(places, dim=2) @ F.normalize(classes, dim=2).transpose(1, 2)
        return self.mask_norm(said).transpose(1, 2).reshape(len(x), count, *taken.shape[2:])
