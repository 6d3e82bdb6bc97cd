"""The layers of DETR's encoder and decoder (Carion et al. 2020), with mmdet's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.detection.detr import ATTENTION, FFN, LAYER_NORM, attention, layer_config, started, typed
from fkit.detection.part import part
from fkit.detection.transformer import parts_of

__all__ = [
    "DetrTransformerDecoder",
    "DetrTransformerDecoderLayer",
    "DetrTransformerEncoder",
    "DetrTransformerEncoderLayer",
]


class DetrTransformerEncoderLayer(nn.Module):
    """Attention of places to each other and a feed-forward network, each with a norm after it.

    Args:
        self_attn_cfg: of ``MultiheadAttention``.
        ffn_cfg: of ``FFN``.
        norm_cfg: of both norms.
        init_cfg: rules for initial weights.

    Example:
        >>> layer = DetrTransformerEncoderLayer({"embed_dims": 8, "num_heads": 2}, {"embed_dims": 8})
        >>> layer(torch.ones(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    attends = "MultiheadAttention"

    def __init__(
        self,
        self_attn_cfg: Any = ATTENTION,
        ffn_cfg: Any = FFN,
        norm_cfg: Any = LAYER_NORM,
        init_cfg: Any = None,
        *,
        build: Builder | None = None,
    ) -> None:
        super().__init__()
        parts = parts_of(build, "torch")
        self.init_cfg = init_cfg
        self.self_attn = attention(parts, self_attn_cfg, "self_attn_cfg", self.attends)
        self.embed_dims: int = self.self_attn.embed_dims
        self.ffn = part(parts, "models", typed(ffn_cfg, "FFN", "ffn_cfg"))
        self.norms = nn.ModuleList(norm_layer(norm_cfg, self.embed_dims)[1] for _ in range(2))

    def forward(
        self, query: Tensor, query_pos: Tensor | None = None, key_padding_mask: Tensor | None = None, **more: Any
    ) -> Tensor:
        """Places (N, L, C) to places; True in ``key_padding_mask`` (N, L) is padding."""
        query = self.self_attn(
            query, query, query, query_pos=query_pos, key_pos=query_pos, key_padding_mask=key_padding_mask, **more
        )
        return self.norms[1](self.ffn(self.norms[0](query)))


class DetrTransformerDecoderLayer(nn.Module):
    """Attention of queries to each other, to places, and a feed-forward network, each with a norm after it.

    Args:
        self_attn_cfg, cross_attn_cfg: of ``MultiheadAttention``.
        ffn_cfg: of ``FFN``.
        norm_cfg: of the norms.
        init_cfg: rules for initial weights.
    """

    attends = "MultiheadAttention"
    attends_itself = "MultiheadAttention"

    def __init__(
        self,
        self_attn_cfg: Any = ATTENTION,
        cross_attn_cfg: Any = ATTENTION,
        ffn_cfg: Any = FFN,
        norm_cfg: Any = LAYER_NORM,
        init_cfg: Any = None,
        *,
        build: Builder | None = None,
    ) -> None:
        super().__init__()
        parts = parts_of(build, "torch")
        self.init_cfg = init_cfg
        self.self_attn = attention(parts, self_attn_cfg, "self_attn_cfg", self.attends_itself)
        self.cross_attn = attention(parts, cross_attn_cfg, "cross_attn_cfg", self.attends)
        self.embed_dims: int = self.self_attn.embed_dims
        self.ffn = part(parts, "models", typed(ffn_cfg, "FFN", "ffn_cfg"))
        self.norms = nn.ModuleList(norm_layer(norm_cfg, self.embed_dims)[1] for _ in range(3))

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        self_attn_mask: Tensor | None = None,
        cross_attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        """Queries (N, Q, C) to queries; keys and values are (N, L, C)."""
        query = self.self_attn(
            query, query, query, query_pos=query_pos, key_pos=query_pos, attn_mask=self_attn_mask, **more
        )
        query = self.norms[0](query)
        query = self.cross_attn(
            query, key, value, query_pos=query_pos, key_pos=key_pos, attn_mask=cross_attn_mask,
            key_padding_mask=key_padding_mask, **more,
        )  # fmt: skip
        return self.norms[2](self.ffn(self.norms[1](query)))


class DetrTransformerEncoder(nn.Module):
    """Layers that are alike, one after the other: ``layers``.

    Args:
        num_layers: how many.
        layer_cfg: of each.
        num_cp: accepted: to compute layers anew in the backward pass changes no number.
        init_cfg: rules for initial weights, before Xavier's for all matrices.
    """

    layer = "DetrTransformerEncoderLayer"

    def __init__(
        self, num_layers: int, layer_cfg: Any, num_cp: int = -1, init_cfg: Any = None, *, build: Builder | None = None
    ) -> None:
        super().__init__()
        del num_cp
        self.init_cfg = started(init_cfg)
        parts, rows = parts_of(build, "torch"), layer_config(layer_cfg, self.layer, num_layers, "encoder")
        self.layers = nn.ModuleList(part(parts, "models", row) for row in rows)
        self.num_layers = num_layers
        self.embed_dims: int = self.layers[0].embed_dims  # type: ignore[assignment]

    def forward(
        self, query: Tensor, query_pos: Tensor | None, key_padding_mask: Tensor | None = None, **more: Any
    ) -> Tensor:
        """Places (N, L, C) to places."""
        for layer in self.layers:
            query = layer(query, query_pos, key_padding_mask, **more)
        return query


class DetrTransformerDecoder(nn.Module):
    """Layers that are alike, one after the other, ``layers``, and a norm of what each gives, ``post_norm``.

    Args:
        num_layers: how many.
        layer_cfg: of each.
        post_norm_cfg: of the norm.
        return_intermediate: whether all layers' queries are given, or the last one's.
        init_cfg: rules for initial weights, before Xavier's for all matrices.
    """

    layer = "DetrTransformerDecoderLayer"

    def __init__(
        self,
        num_layers: int,
        layer_cfg: Any,
        post_norm_cfg: Any = LAYER_NORM,
        return_intermediate: bool = True,
        init_cfg: Any = None,
        *,
        build: Builder | None = None,
    ) -> None:
        super().__init__()
        self.init_cfg = started(init_cfg)
        parts, rows = parts_of(build, "torch"), layer_config(layer_cfg, self.layer, num_layers, "decoder")
        self.layers = nn.ModuleList(part(parts, "models", row) for row in rows)
        self.num_layers, self.return_intermediate = num_layers, return_intermediate
        self.embed_dims: int = self.layers[0].embed_dims  # type: ignore[assignment]
        self.arrange(post_norm_cfg)

    def arrange(self, post_norm_cfg: Any) -> None:
        """Make what comes beside the layers."""
        self.post_norm = norm_layer(post_norm_cfg, self.embed_dims)[1]

    def forward(self, query: Tensor, **more: Any) -> Tensor:
        """Queries (N, Q, C) to those of each layer, (L, N, Q, C), or (1, N, Q, C) of the last; ``more`` is handed to layers."""
        states: list[Tensor] = []
        for layer in self.layers:
            query = layer(query, **more)
            states.append(query)
        wanted: Sequence[Tensor] = states if self.return_intermediate else states[-1:]
        return torch.stack([self.post_norm(state) for state in wanted])
