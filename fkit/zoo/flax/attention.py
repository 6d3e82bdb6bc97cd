"""Attention of several heads, with OpenMMLab's arguments and torch's parameter names."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.drop import Dropout, drop_layer
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.ops import JaxOps
from fkit.detection.transformer import attention_mask, attention_start, check_heads, old_dropout

__all__ = ["Attention", "MultiheadAttention", "attended"]

Array = jax.Array


def attended(
    query: Array,
    key: Array,
    value: Array,
    heads: int,
    dropout: Dropout,
    attn_mask: Array | None = None,
    key_padding_mask: Array | None = None,
    train: bool = False,
) -> Array:
    """What queries (N, L, heads * D) read of values (N, S, heads * E) at their keys (N, S, heads * D): (N, L, heads * E).

    Args:
        dropout: of the attention.
        attn_mask, key_padding_mask: see `fkit.detection.transformer.attention_mask`.
    """
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for x in (query, key, value))
    scores = (q * q.shape[-1] ** -0.5) @ k.swapaxes(-2, -1)
    mask = attention_mask(JaxOps(), scores, heads, attn_mask, key_padding_mask)
    scores = nn.softmax(scores if mask is None else scores + mask, -1)
    flat = scores.reshape(*scores.shape[:2], -1)  # an element's place is counted so on torch too
    scores = dropout(flat, train).reshape(scores.shape)
    return (scores @ v).swapaxes(1, 2).reshape(*query.shape[:2], -1)


class Attention(nn.Module):
    """What torch's ``MultiheadAttention`` computes, by its parameters: ``in_proj_weight`` (3 C, C), ``in_proj_bias``, ``out_proj``.

    Attributes:
        embed_dims: C.
        dropout: of the attention, in training.

    Called as ``(query (N, L, C), key (N, S, C), value (N, S, C), attn_mask, key_padding_mask, train)`` it gives (N, L, C); masks
    as `fkit.detection.transformer.attention_mask` has them.
    """

    embed_dims: int
    num_heads: int
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self) -> None:
        check_heads("MultiheadAttention", self.embed_dims, self.num_heads)
        super().__post_init__()

    @property
    def start_cfg(self) -> Any:
        """How the layers start when they are made."""
        return attention_start(self.bias)

    @nn.compact
    def __call__(
        self,
        query: Array,
        key: Array,
        value: Array,
        attn_mask: Array | None = None,
        key_padding_mask: Array | None = None,
        train: bool = False,
    ) -> Array:
        width, heads = self.embed_dims, self.num_heads
        weight = self.param("in_proj_weight", nn.initializers.xavier_uniform(), (3 * width, width)).astype(query.dtype)
        parts = [x @ w.T for x, w in zip((query, key, value), jnp.split(weight, 3), strict=True)]
        if self.bias:
            bias = self.param("in_proj_bias", nn.initializers.zeros, (3 * width,)).astype(query.dtype)
            parts = [x + b for x, b in zip(parts, jnp.split(bias, 3), strict=True)]
        dropout = Dropout(self.dropout, name="dropout")
        q, k, v = parts
        out = attended(q, k, v, heads, dropout, attn_mask, key_padding_mask, train)
        return Linear(width, use_bias=self.bias, name="out_proj")(out)


class MultiheadAttention(nn.Module):
    """`Attention` of queries that have their positions added, added to what came in; mmcv's.

    Attributes:
        embed_dims: C.
        attn_drop, proj_drop: dropout of the attention, and after its projection.
        dropout_layer: config of the dropout of the branch, "Dropout" or "DropPath" (of whole samples); None is none.
        batch_first: whether arrays are (N, L, C), not (L, N, C).
        bias: of the projections.
        dropout: the older name of ``attn_drop`` and the rate of ``dropout_layer``, both at once.

    Example:
        >>> x, y = jnp.ones((5, 1, 8)), jnp.ones((3, 1, 8))
        >>> MultiheadAttention(8, 2).init_with_output(jax.random.key(0), x, y)[0].shape
        (5, 1, 8)
    """

    embed_dims: int
    num_heads: int
    attn_drop: float = 0.0
    proj_drop: float = 0.0
    dropout_layer: Any = frozendict(type="Dropout", drop_prob=0.0)
    init_cfg: Any = None
    batch_first: bool = False
    bias: bool = True
    dropout: float | None = None

    def __post_init__(self) -> None:
        check_heads("MultiheadAttention", self.embed_dims, self.num_heads)
        _ = drop_layer(self.dropout_layer)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        identity: Array | None = None,
        query_pos: Array | None = None,
        key_pos: Array | None = None,
        attn_mask: Array | None = None,
        key_padding_mask: Array | None = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """What is given as None is: of ``key``, ``query``; of ``value``, ``key``; of ``identity``, ``query``; of ``key_pos``,
        ``query_pos`` where the shapes are equal. ``more`` is what other attentions of a layer take."""
        del more
        key = query if key is None else key
        value = key if value is None else value
        identity = query if identity is None else identity
        if key_pos is None and query_pos is not None and query_pos.shape == key.shape:
            key_pos = query_pos
        query = query if query_pos is None else query + query_pos
        key = key if key_pos is None else key + key_pos
        if not self.batch_first:
            query, key, value = (x.swapaxes(0, 1) for x in (query, key, value))
        rate, branch = old_dropout(self.dropout, self.attn_drop, self.dropout_layer)
        inner = Attention(self.embed_dims, self.num_heads, rate, self.bias, name="attn")
        y = inner(query, key, value, attn_mask, key_padding_mask, train)
        y = drop_layer(branch)("dropout_layer")(Dropout(self.proj_drop, name="proj_drop")(y, train), train)
        return identity + (y if self.batch_first else y.swapaxes(0, 1))
