"""EdgeNeXt (Maaz et al. 2022), with mmpretrain's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.hornet import EdgeStage, edge_stages
from fkit.backbone.xcit import places
from fkit.backend.torch.drop import DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.backbone.convnext import ConvNeXtBlock

__all__ = ["EdgeNeXt"]

_NORM = frozendict(type="LN2d", eps=1e-6)
_LN = frozendict(type="LN")
_GELU = frozendict(type="GELU")
_SCALE = 1e-6


class _Positions(nn.Module):
    """Sines and cosines of a grid's rows and columns, as wide as maps by a 1x1 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(64, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj(torch.from_numpy(places(x.shape[2], x.shape[3])).to(x).permute(2, 0, 1)[None])


class _ChannelAttention(nn.Module):
    """Attention among channels of tokens (N, L, C): each head's by the products of their normalised rows."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 4, 1).unbind(0)
        scores = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.scale).softmax(-1)
        return self.proj((scores @ v).permute(0, 3, 1, 2).reshape(count, length, width))


class _Attention(nn.Module):
    """Filters of parts of the channels, attention among channels, and two layers a pixel, of maps (N, C, H, W)."""

    def __init__(self, stage: EdgeStage, rate: float, ratio: int) -> None:
        super().__init__()
        width, part = stage.width, stage.part
        self.part = part
        self.conv_modules = nn.ModuleList(
            nn.Conv2d(part, part, 3, padding=1, groups=part) for _ in range(stage.filters)
        )
        self.pos_embed = _Positions(width) if stage.placed else None
        self.norm_csa = nn.LayerNorm(width)
        self.gamma_csa = nn.Parameter(_SCALE * torch.ones(width))
        self.csa = _ChannelAttention(width, stage.heads)
        self.norm = nn.LayerNorm(width)
        self.pointwise_conv1 = nn.Linear(width, ratio * width)
        self.act = nn.GELU()
        self.pointwise_conv2 = nn.Linear(ratio * width, width)
        self.gamma = nn.Parameter(_SCALE * torch.ones(width))
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split(self.part, 1)
        outs: list[Tensor] = []
        for i, conv in enumerate(self.conv_modules):
            outs.append(conv(outs[-1] + parts[i] if i else parts[i]))
        y = torch.cat((*outs, parts[len(outs)]), 1)
        y = y if self.pos_embed is None else self.pos_embed(y)
        size = (y.shape[2], y.shape[3])
        y = y.flatten(2).transpose(1, 2)
        y = y + self.drop_path(self.gamma_csa * self.csa(self.norm_csa(y)))
        y = self.gamma * self.pointwise_conv2(self.act(self.pointwise_conv1(self.norm(y))))
        return x + self.drop_path(y.transpose(1, 2).unflatten(2, size))


class EdgeNeXt(nn.Module):
    """EdgeNeXt, a backbone: images (N, C, H, W) to a tuple of maps, or of features.

    Args:
        arch: "xxsmall", "xsmall", "small" or "base", or a mapping with ``channels``, ``depths`` and ``num_heads``.
        global_blocks: how many blocks of each stage, the last ones, are attentions.
        global_block_type: of these; "SDTA" where there are any.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        layer_scale_init_value: of convolutional blocks: above 0, a branch has a learnt factor a channel.
        linear_pw_conv: whether their layers a pixel are linear layers.
        mlp_ratio: hidden channels of an attention's layers a pixel, over those outside.
        conv_kernel_sizes: of the stages' convolutional blocks.
        use_pos_embd_csa: which stages' attentions have positions.
        use_pos_embd_global: whether the first stage's maps have positions.
        d2_scales: into how many parts an attention's channels fall, by stage.
        out_indices: the stages whose outputs are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "xxsmall",
        in_channels: int = 3,
        global_blocks: Sequence[int] = (0, 1, 1, 1),
        global_block_type: Sequence[str] = ("None", "SDTA", "SDTA", "SDTA"),
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        linear_pw_conv: bool = True,
        mlp_ratio: int = 4,
        conv_kernel_sizes: Sequence[int] = (3, 5, 7, 9),
        use_pos_embd_csa: Sequence[bool] = (False, True, False, False),
        use_pos_embd_global: bool = False,
        d2_scales: Sequence[int] = (2, 2, 3, 4),
        norm_cfg: Any = _NORM,
        out_indices: Any = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        act_cfg: Any = _GELU,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        for kind in global_block_type:
            if kind not in ("None", "SDTA"):
                raise FkitValueError(f"EdgeNeXt: global_block_type={kind!r}.", value=kind, choices=("None", "SDTA"))
        plan, self.out_indices = edge_stages(
            arch, drop_path_rate, out_indices, conv_kernel_sizes, d2_scales, use_pos_embd_csa, global_blocks
        )
        self.init_cfg, self.frozen_stages, self.gap = init_cfg, frozen_stages, gap_before_final_norm
        self.pos_embed = _Positions(plan[0].width) if use_pos_embd_global else None
        self.downsample_layers, self.stages, inner = nn.ModuleList(), nn.ModuleList(), in_channels
        options = (norm_cfg, act_cfg, linear_pw_conv)
        for i, stage in enumerate(plan):
            side, width = 2 if i else 4, stage.width
            conv, norm = nn.Conv2d(inner, width, side, side), norm_layer(norm_cfg, inner if i else width)[1]
            self.downsample_layers.append(nn.Sequential(norm, conv) if i else nn.Sequential(conv, norm))
            blocks: list[nn.Module] = []
            for j, rate in enumerate(stage.rates):
                if j >= len(stage.rates) - stage.attending:
                    blocks.append(_Attention(stage, rate, mlp_ratio))
                else:
                    more = (rate, layer_scale_init_value, False, False, stage.side)
                    blocks.append(ConvNeXtBlock(width, *options, *more))
            self.stages.append(nn.Sequential(*blocks))
            inner = width
            if i in self.out_indices:
                self.add_module(f"norm{i}", norm_layer(_LN if self.gap else norm_cfg, width)[1])
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [*self.downsample_layers[: self.frozen_stages], *self.stages[: self.frozen_stages]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs: list[Tensor] = []
        for i, (down, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(down(x))
            x = x if self.pos_embed is None or i else self.pos_embed(x)
            if i in self.out_indices:
                norm = getattr(self, f"norm{i}")
                outs.append(norm(x.mean((2, 3)) if self.gap else x))
        return tuple(outs)

    def train(self, mode: bool = True) -> "EdgeNeXt":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self
