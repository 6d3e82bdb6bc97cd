"""Attention at a few places of several maps (Zhu et al. 2021), with mmcv's arguments and parameter names."""

from typing import Any

from torch import Tensor, nn

from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.ops import Torch
from fkit.detection.deformable import offsets, sampled, sizes_of, spots
from fkit.detection.refine import sampling_rules
from fkit.detection.transformer import check_heads

__all__ = ["MultiScaleDeformableAttention"]


class MultiScaleDeformableAttention(nn.Module):
    """Values at places that each query names, ``sampling_offsets``, by weights that it names, ``attention_weights``.

    Args:
        embed_dims: C.
        num_levels: maps.
        num_points: places of each head in each map.
        im2col_step: accepted: changes no number.
        dropout: of what comes out.
        batch_first: whether arrays are (N, L, C), not (L, N, C).
        norm_cfg: accepted: there is no norm, as in mmcv.
        init_cfg: rules for initial weights, before those of the layer itself.
        value_proj_ratio: the width of values as a share of C.

    Example:
        >>> import torch
        >>> attention = MultiScaleDeformableAttention(8, 2, 1, 2, batch_first=True)
        >>> places = torch.full((1, 3, 1, 2), 0.5)
        >>> attention(torch.ones(1, 3, 8), value=torch.ones(1, 4, 8), reference_points=places, spatial_shapes=((2, 2),)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        im2col_step: int = 64,
        dropout: float = 0.1,
        batch_first: bool = False,
        norm_cfg: Any = None,
        init_cfg: Any = None,
        value_proj_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        check_heads("MultiScaleDeformableAttention", embed_dims, num_heads)
        del im2col_step, norm_cfg
        self.init_cfg = sampling_rules(init_cfg, offsets(num_heads, num_levels, num_points))
        self.embed_dims, self.num_heads = embed_dims, num_heads
        self.num_levels, self.num_points, self.batch_first = num_levels, num_points, batch_first
        self.dropout = Dropout(dropout)
        count, width = num_heads * num_levels * num_points, int(embed_dims * value_proj_ratio)
        self.sampling_offsets = nn.Linear(embed_dims, count * 2)
        self.attention_weights = nn.Linear(embed_dims, count)
        self.value_proj = nn.Linear(embed_dims, width)
        self.output_proj = nn.Linear(width, embed_dims)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Any = None,
        **more: Any,
    ) -> Tensor:
        """Queries (N, Q, C) to queries.

        Args:
            value: (N, L, C), the maps' places one behind the other; None: the queries.
            key_padding_mask: (N, L), True for padding, whose values are 0.
            reference_points: see `fkit.detection.deformable.spots`.
            spatial_shapes: (height, width) of each map.
            more: what other attentions of a layer take.
        """
        del key, more
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.transpose(0, 1), value.transpose(0, 1)
        xp, sizes = Torch(query.device), sizes_of(spatial_shapes)
        kept = self.value_proj(value)
        if key_padding_mask is not None:
            kept = kept.masked_fill(key_padding_mask[..., None], 0)
        shape = (*query.shape[:2], self.num_heads, self.num_levels, self.num_points)
        moves = self.sampling_offsets(query).view(*shape, 2)
        weights = self.attention_weights(query).view(*shape[:3], -1).softmax(-1).view(shape)
        places = spots(xp, reference_points, moves, sizes)
        y = self.output_proj(sampled(xp, kept.unflatten(-1, (self.num_heads, -1)), sizes, places, weights))
        return self.dropout(y if self.batch_first else y.transpose(0, 1)) + identity
