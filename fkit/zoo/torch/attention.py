"""Attention of several heads, with OpenMMLab's arguments and torch's parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.drop import Dropout, drop_layer
from fkit.backend.torch.ops import Torch
from fkit.detection.transformer import attention_mask, attention_start, check_heads, old_dropout

__all__ = ["Attention", "MultiheadAttention", "attended"]

_DROPOUT = frozendict(type="Dropout", drop_prob=0.0)


def attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    dropout: Dropout,
    attn_mask: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
) -> Tensor:
    """What queries (N, L, heads * D) read of values (N, S, heads * E) at their keys (N, S, heads * D): (N, L, heads * E).

    Args:
        dropout: of the attention.
        attn_mask, key_padding_mask: see `fkit.detection.transformer.attention_mask`.
    """
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    mask = attention_mask(Torch(q.device), q, heads, attn_mask, key_padding_mask)
    if dropout.draws and dropout.training:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores = (scores if mask is None else scores + mask).softmax(-1)
        out = dropout(scores.flatten(2)).view_as(scores) @ v  # an element's place is counted sample by sample
    else:
        out = F.scaled_dot_product_attention(q, k, v, mask)
    return out.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """What torch's ``MultiheadAttention`` computes, by its parameters: ``in_proj_weight`` (3 C, C), ``in_proj_bias``, ``out_proj``.

    Args:
        embed_dims: C.
        dropout: of the attention, in training.

    ``forward(query (N, L, C), key (N, S, C), value (N, S, C), attn_mask, key_padding_mask)`` gives (N, L, C); masks as
    `fkit.detection.transformer.attention_mask` has them.
    """

    in_proj_bias: Tensor | None

    def __init__(self, embed_dims: int, num_heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        check_heads("MultiheadAttention", embed_dims, num_heads)
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dims, embed_dims))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dims)) if bias else None
        self.out_proj = nn.Linear(embed_dims, embed_dims, bias=bias)
        self.dropout = Dropout(dropout)
        self.start_cfg = attention_start(bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        q, k, v = self._parts(query, key, value)
        return self.out_proj(attended(q, k, v, self.num_heads, self.dropout, attn_mask, key_padding_mask))

    def _parts(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, in as few products as may be."""
        weight, bias, width = self.in_proj_weight, self.in_proj_bias, query.shape[-1]
        if query is key and key is value:
            return F.linear(query, weight, bias).chunk(3, -1)
        if query is key or key is not value:
            weights = weight.chunk(3)
            biases = (None,) * 3 if bias is None else bias.chunk(3)
            return tuple(F.linear(*parts) for parts in zip((query, key, value), weights, biases, strict=True))
        first, others = (None, None) if bias is None else (bias[:width], bias[width:])
        return F.linear(query, weight[:width], first), *F.linear(key, weight[width:], others).chunk(2, -1)


class MultiheadAttention(nn.Module):
    """`Attention` of queries that have their positions added, added to what came in; mmcv's.

    Args:
        embed_dims: C.
        attn_drop, proj_drop: dropout of the attention, and after its projection.
        dropout_layer: config of the dropout of the branch, "Dropout" or "DropPath" (of whole samples); None is none.
        batch_first: whether arrays are (N, L, C), not (L, N, C).
        bias: of the projections.
        dropout: the older name of ``attn_drop`` and the rate of ``dropout_layer``, both at once.

    Example:
        >>> MultiheadAttention(8, 2)(torch.ones(5, 1, 8), torch.ones(3, 1, 8)).shape
        torch.Size([5, 1, 8])
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Any = _DROPOUT,
        init_cfg: Any = None,
        batch_first: bool = False,
        bias: bool = True,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        attn_drop, dropout_layer = old_dropout(dropout, attn_drop, dropout_layer)
        self.init_cfg = init_cfg
        self.embed_dims, self.num_heads, self.batch_first = embed_dims, num_heads, batch_first
        self.attn = Attention(embed_dims, num_heads, attn_drop, bias)
        self.proj_drop = Dropout(proj_drop)
        self.dropout_layer = drop_layer(dropout_layer)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        """What is given as None is: of ``key``, ``query``; of ``value``, ``key``; of ``identity``, ``query``; of ``key_pos``,
        ``query_pos`` where the shapes are equal. ``more`` is what other attentions of a layer take."""
        del more
        key = query if key is None else key
        value = key if value is None else value
        identity = query if identity is None else identity
        if key_pos is None and query_pos is not None and query_pos.shape == key.shape:
            key_pos = query_pos
        same = key is query and key_pos is query_pos
        query = query if query_pos is None else query + query_pos
        key = query if same else key if key_pos is None else key + key_pos
        if not self.batch_first:
            query, key, value = self._turned(query, key, value)
        y: Tensor = self.dropout_layer(self.proj_drop(self.attn(query, key, value, attn_mask, key_padding_mask)))
        return identity + (y if self.batch_first else y.transpose(0, 1))

    @staticmethod
    def _turned(*arrays: Tensor) -> list[Tensor]:
        """(L, N, C) to (N, L, C); one array twice stays one."""
        turned = {id(one): one.transpose(0, 1) for one in arrays}
        return [turned[id(one)] for one in arrays]
