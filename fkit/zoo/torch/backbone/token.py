"""What transformers over tokens are made of: attention with one projection, gated feed-forward networks, positions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.drop import Dropout, DropPath
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.plugin import LayerScale

__all__ = ["SelfAttention", "SwiGLU", "attend", "resized_places"]


def attend(
    q: Tensor, k: Tensor, v: Tensor, drop: Dropout, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Softmax attention of (N, heads, L, C) to (N, heads, S, C), with a bias that is added to its scores."""
    if not (drop.draws and drop.training):
        return F.scaled_dot_product_attention(q, k, v, bias, scale=scale)
    scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-2, -1)
    scores = (scores if bias is None else scores + bias).softmax(-1)
    return drop(scores.flatten(2)).view_as(scores) @ v


class SelfAttention(nn.Module):
    """Attention among tokens (N, L, C): ``qkv``, ``proj``, and perhaps a factor a channel, ``gamma1.weight``.

    Args:
        embed_dims, num_heads: C, and into how many parts it falls.
        attn_drop, proj_drop, drop_path: rates.
        qkv_bias, proj_bias: whether these have one.
        scale: above 0, what the factor begins with.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        drop_path: float = 0.0,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        scale: float = 0.0,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise FkitValueError(f"attention: embed_dims={embed_dims} does not fall into {num_heads} heads.")
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.attn_drop = Dropout(attn_drop)
        self.proj = nn.Linear(embed_dims, embed_dims, bias=proj_bias)
        self.proj_drop = Dropout(proj_drop)
        self.out_drop = DropPath(drop_path)
        self.gamma1 = LayerScale(embed_dims, scale=scale) if scale > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        x = attend(q, k, v, self.attn_drop).transpose(1, 2).reshape(count, length, width)
        return self.out_drop(self.gamma1(self.proj_drop(self.proj(x))))


class SwiGLU(nn.Module):
    """A gated feed-forward network (Shazeer 2020): ``w12``, ``w3``; added to what came in. Two thirds as wide inside as it is
    told, in eights.

    Args:
        embed_dims, feedforward_channels: widths outside and inside.
        layer_scale_init_value: above 0, the branch has a factor a channel, ``gamma2.weight``, that begins with it.
    """

    def __init__(self, embed_dims: int, feedforward_channels: int, layer_scale_init_value: float = 0.0) -> None:
        super().__init__()
        hidden = (int(feedforward_channels * 2 / 3) + 7) // 8 * 8
        self.w12 = nn.Linear(embed_dims, 2 * hidden)
        self.w3 = nn.Linear(hidden, embed_dims)
        scaled = layer_scale_init_value > 0
        self.gamma2 = LayerScale(embed_dims, scale=layer_scale_init_value) if scaled else nn.Identity()

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        one, two = self.w12(x).chunk(2, -1)
        y = self.gamma2(self.w3(F.silu(one) * two))
        return y + (x if identity is None else identity)


def resized_places(
    table: Tensor, grid: tuple[int, int], size: tuple[int, int], extra: int, mode: str = "bicubic"
) -> Tensor:
    """Positions (1, extra + L, C) for another grid of patches; the first ``extra`` stay.

    Raises:
        FkitValueError: the table is of no such grid.
    """
    if tuple(grid) == tuple(size):
        return table
    if table.shape[1] != extra + grid[0] * grid[1]:
        raise FkitValueError(f"{table.shape[1]} positions for {extra} tokens and a grid of {grid[0]} x {grid[1]}.")
    maps = table[:, extra:].reshape(1, *grid, -1).permute(0, 3, 1, 2)
    options: dict[str, Any] = {} if mode == "nearest" else {"align_corners": False}
    maps = F.interpolate(maps, size, mode=mode, **options).flatten(2).transpose(1, 2)
    return torch.cat((table[:, :extra], maps), 1)
