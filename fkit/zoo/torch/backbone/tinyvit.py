"""TinyViT (Wu et al. 2022), with mmpretrain's arguments and parameter names."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fkit.backbone.levit import TinyStage, offsets, tiny_stages
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError

__all__ = ["TinyViT"]

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_ZERO = frozendict(type="Constant", layer="BatchNorm2d", val=0)


class _Conv(nn.Sequential):
    """A convolution and a batch norm, ``conv2d`` and ``bn2d``; perhaps one that starts at 0."""

    def __init__(
        self, inner: int, width: int, size: int = 1, stride: int = 1, groups: int = 1, zero: bool = False
    ) -> None:
        conv = nn.Conv2d(inner, width, size, stride, size // 2, groups=groups, bias=False)
        super().__init__(OrderedDict[str, nn.Module](conv2d=conv, bn2d=nn.BatchNorm2d(width)))
        self.init_cfg = _ZERO if zero else None


class _Embed(nn.Module):
    """Two convolutions with strides."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(_Conv(inner, width // 2, 3, 2), nn.GELU(), _Conv(width // 2, width, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class _Merging(nn.Module):
    """Maps (N, C, H, W) to half of their size, by convolutions."""

    def __init__(self, inner: int, width: int, act_cfg: Any) -> None:
        super().__init__()
        self.act = act_layer(act_cfg)
        self.conv1 = _Conv(inner, width)
        self.conv2 = _Conv(width, width, 3, 2, width)
        self.conv3 = _Conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.act(self.conv2(self.act(self.conv1(x)))))


class _Inverted(nn.Module):
    """Two layers a pixel with a filter a channel between, added to maps."""

    def __init__(self, width: int, ratio: float, rate: float) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.conv1 = _Conv(width, hidden)
        self.act = nn.GELU()
        self.conv2 = _Conv(hidden, hidden, 3, groups=hidden)
        self.conv3 = _Conv(hidden, width, zero=True)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self.act(self.conv2(self.act(self.conv1(x)))))
        return self.act(self.drop_path(y) + x)


class _Attention(nn.Module):
    """Attention within windows (N, P, C), with a bias a distance."""

    index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        index, count = offsets(window)
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, count))
        self.register_buffer("index", torch.from_numpy(index), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        parts = self.qkv(self.norm(x)).view(count, length, self.heads, 3, -1).permute(3, 0, 2, 1, 4)
        q, k, v = parts.unbind(0)
        x = F.scaled_dot_product_attention(q, k, v, self.attention_biases[:, self.index])
        return self.proj(x.transpose(1, 2).reshape(count, length, width))


class _Mlp(nn.Module):
    """A norm and two layers a token."""

    def __init__(self, width: int, hidden: int, act_cfg: Any, rate: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.act = act_layer(act_cfg)
        self.drop = Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.fc1(self.norm(x))))))


class _Block(nn.Module):
    """Attention within windows, a filter a channel, and two layers a pixel, of maps (N, C, H, W)."""

    def __init__(self, stage: TinyStage, ratio: float, drop: float, rate: float, size: int, act_cfg: Any) -> None:
        super().__init__()
        width = stage.width
        self.window, self.whole = stage.window, stage.size == (stage.window,) * 2
        self.drop_path = DropPath(rate)
        self.attn = _Attention(width, stage.heads, stage.window)
        self.mlp = _Mlp(width, int(width * ratio), act_cfg, drop)
        self.local_conv = _Conv(width, width, size, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        count, width, high, wide = x.shape
        tokens = x.permute(0, 2, 3, 1)
        tokens = tokens + self.drop_path(self._attended(tokens))
        x = self.local_conv(tokens.permute(0, 3, 1, 2))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.drop_path(self.mlp(tokens))
        return tokens.transpose(1, 2).reshape(count, width, high, wide)

    def _attended(self, x: Tensor) -> Tensor:
        count, high, wide, width = x.shape
        side = self.window
        down, right = -high % side, -wide % side
        x = F.pad(x, (0, 0, 0, right, 0, down)) if down or right else x
        rows, columns = (high + down) // side, (wide + right) // side
        x = x.reshape(count, rows, side, columns, side, width).transpose(2, 3).reshape(-1, side * side, width)
        x = self.attn(x).view(count, rows, columns, side, side, width).transpose(2, 3)
        return x.reshape(count, rows * side, columns * side, width)[:, :high, :wide]


class _Stage(nn.Module):
    """Blocks, and the merging after them."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None, with_cp: bool) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.with_cp else block(x)  # type: ignore[assignment]
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """TinyViT, a backbone: images (N, C, H, W) of one size to a tuple of maps, or of features.

    Args:
        arch: "5m", "11m" or "21m", or a mapping with ``channels``, ``num_heads`` and ``depths``.
        img_size: of the images.
        window_size: sides of the stages' windows.
        mlp_ratio: hidden channels of the layers a pixel, over those outside.
        drop_rate: of the layers a pixel.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        use_checkpoint: recompute blocks in the backward pass to save memory.
        mbconv_expand_ratio: hidden channels of the first stage's blocks, over those outside.
        local_conv_size: side of the filters after attention.
        layer_lr_decay: accepted; rates of layers are the optimizer's.
        out_indices: the stages whose outputs are given, after the merging that follows; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or images of another size.
    """

    def __init__(
        self,
        arch: Any = "5m",
        img_size: Any = (224, 224),
        window_size: Sequence[int] = (7, 7, 14, 7),
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_checkpoint: bool = False,
        mbconv_expand_ratio: float = 4.0,
        local_conv_size: int = 3,
        layer_lr_decay: float = 1.0,
        out_indices: Any = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LN,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        del layer_lr_decay
        plan, self.out_indices = tiny_stages(arch, img_size, window_size, drop_path_rate, out_indices)
        self.init_cfg, self.frozen_stages, self.gap = init_cfg, frozen_stages, gap_before_final_norm
        self.size = plan[0].size
        self.patch_embed = _Embed(in_channels, plan[0].width)
        self.stages = nn.ModuleList()
        for i, stage in enumerate(plan):
            blocks: list[nn.Module] = []
            for rate in stage.rates:
                if stage.heads:
                    blocks.append(_Block(stage, mlp_ratio, drop_rate, rate, local_conv_size, act_cfg))
                else:
                    blocks.append(_Inverted(stage.width, mbconv_expand_ratio, rate))
            last = i == len(plan) - 1
            merging = None if last else _Merging(stage.width, stage.after, act_cfg)
            self.stages.append(_Stage(blocks, merging, use_checkpoint))
            if i in self.out_indices:
                self.add_module(f"norm{i}", norm_layer(norm_cfg, stage.after)[1])
        for part in self.stages[:frozen_stages]:
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.patch_embed(x)
        if tuple(x.shape[2:]) != self.size:
            raise FkitValueError(f"TinyViT: {tuple(x.shape[2:])} patches, but img_size says {self.size}.")
        outs: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                norm = getattr(self, f"norm{i}")
                outs.append(norm(x.mean((2, 3))) if self.gap else norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return tuple(outs)

    def train(self, mode: bool = True) -> "TinyViT":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in self.stages[: self.frozen_stages]:
            part.eval()
        return self
