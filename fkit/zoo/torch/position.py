"""Positions of maps for transformers, with OpenMMLab's arguments and names."""

import math
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.array.position import sine
from fkit.backend.torch.ops import Torch
from fkit.detection.transformer import check_grid, check_positions

__all__ = ["LearnedPositionalEncoding", "SinePositionalEncoding"]

_UNIFORM = frozendict(type="Uniform", layer="Embedding")


class SinePositionalEncoding(nn.Module):
    """Sines and cosines of places that are no padding; see `fkit.array.position.sine`.

    Args:
        num_feats: numbers an axis; ``forward`` gives twice that, of rows and columns.
        temperature, normalize, scale, eps, offset: as there.

    ``forward(mask (N, H, W), input)`` gives (N, 2 * num_feats, H, W) in the kind of ``input`` (N, C, H, W), or in float32. One of
    the two may be None: then there is no padding, or no input.

    Example:
        >>> SinePositionalEncoding(4)(torch.zeros(1, 2, 3)).shape
        torch.Size([1, 8, 2, 3])
    """

    def __init__(
        self,
        num_feats: int,
        temperature: float = 10000,
        normalize: bool = False,
        scale: float = 2 * math.pi,
        eps: float = 1e-6,
        offset: float = 0.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.num_feats, self.temperature, self.normalize = num_feats, temperature, normalize
        self.scale, self.eps, self.offset = scale, eps, offset

    def forward(self, mask: Tensor | None, input: Tensor | None = None) -> Tensor:
        check_positions(mask, input)
        if mask is None:
            assert input is not None
            mask = input.new_zeros(input.shape[0], *input.shape[-2:], dtype=torch.bool)
        like = "float32" if input is None else input
        places = sine(
            Torch(mask.device), mask, like, self.num_feats, self.temperature, self.normalize, self.scale, self.eps,
            self.offset,
        )  # fmt: skip
        return places.permute(0, 3, 1, 2)


class LearnedPositionalEncoding(nn.Module):
    """A learnt vector a column, ``col_embed``, and one a row, ``row_embed``, one after the other.

    Args:
        num_feats: numbers of each; ``forward(mask (N, H, W))`` gives (N, 2 * num_feats, H, W).
        row_num_embed, col_num_embed: how many rows and columns there may be.

    Example:
        >>> LearnedPositionalEncoding(4)(torch.zeros(1, 2, 3)).shape
        torch.Size([1, 8, 2, 3])
    """

    def __init__(
        self, num_feats: int, row_num_embed: int = 50, col_num_embed: int = 50, init_cfg: Any = _UNIFORM
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.row_embed = nn.Embedding(row_num_embed, num_feats)
        self.col_embed = nn.Embedding(col_num_embed, num_feats)

    def forward(self, mask: Tensor) -> Tensor:
        count, high, wide = mask.shape
        rows, columns = self.row_embed.weight, self.col_embed.weight
        check_grid((high, wide), (len(rows), len(columns)))
        parts = [columns[:wide].expand(high, -1, -1), rows[:high, None].expand(-1, wide, -1)]
        return torch.cat(parts, -1).permute(2, 0, 1).expand(count, -1, -1, -1)
