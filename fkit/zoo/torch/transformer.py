"""Transformer layers by config, with OpenMMLab's arguments and parameter names."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.detection.transformer import configs, masks_of, old_ffn, operations, parts_of

__all__ = [
    "BaseTransformerLayer",
    "TransformerLayerSequence",
    "build_attention",
    "build_feedforward_network",
    "build_positional_encoding",
    "build_transformer_layer",
    "build_transformer_layer_sequence",
]

_FFN = frozendict(type="FFN", embed_dims=256, feedforward_channels=1024)
_LAYER = frozendict(type="LN")


class BaseTransformerLayer(nn.Module):
    """Attentions, norms and feed-forward networks in any order: ``attentions``, ``ffns``, ``norms``; mmcv's.

    Args:
        attn_cfgs: config of all attentions, or a list of one each.
        ffn_cfgs: of the feed-forward networks, likewise.
        operation_order: of "self_attn", "cross_attn", "norm" and "ffn"; one that begins with a norm adds what came before it.
        batch_first: whether arrays are (N, L, C), not (L, N, C).
        feedforward_channels, ffn_dropout, ffn_num_fcs: older names of arguments of ``ffn_cfgs``.
        build: the builder of parts; by default the built-in registry's.

    Raises:
        FkitError: configs that do not fit the order, or each other.

    Example:
        >>> attention = {"type": "MultiheadAttention", "embed_dims": 8, "num_heads": 2}
        >>> order = ("self_attn", "norm", "ffn", "norm")
        >>> layer = BaseTransformerLayer(attention, {"feedforward_channels": 16}, order)
        >>> layer.embed_dims, len(layer.norms)
        (8, 2)
    """

    def __init__(
        self,
        attn_cfgs: Any = None,
        ffn_cfgs: Any = _FFN,
        operation_order: Any = None,
        norm_cfg: Any = _LAYER,
        init_cfg: Any = None,
        batch_first: bool = False,
        feedforward_channels: int | None = None,
        ffn_dropout: float | None = None,
        ffn_num_fcs: int | None = None,
        *,
        build: Builder | None = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.steps = operations(operation_order)
        self.batch_first, self.pre_norm = batch_first, self.steps[0].name == "norm"
        parts = parts_of(build, "torch")
        self.num_attn = sum(step.attends for step in self.steps)
        rows = configs("attn_cfgs", attn_cfgs, self.num_attn, batch_first=batch_first)
        self.attentions = nn.ModuleList(parts("models", row) for row in rows)
        self.embed_dims: int = self.attentions[0].embed_dims  # type: ignore[assignment]
        wide = old_ffn(ffn_cfgs, feedforward_channels, ffn_dropout, ffn_num_fcs)
        count = sum(step.name == "ffn" for step in self.steps)
        rows = configs("ffn_cfgs", wide, count, type="FFN", embed_dims=self.embed_dims)
        self.ffns = nn.ModuleList(parts("models", row) for row in rows)
        norms = sum(step.name == "norm" for step in self.steps)
        self.norms = nn.ModuleList(norm_layer(norm_cfg, self.embed_dims)[1] for _ in range(norms))

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        attn_masks: Any = None,
        query_key_padding_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        """Queries to queries.

        Args:
            query_pos, key_pos: positions, added to queries and keys of each attention.
            attn_masks: of all attentions, or a list of one each, where None is none.
            query_key_padding_mask, key_padding_mask: True where a query, or a key, is padding; (N, L) and (N, S).
            more: handed to the attentions.
        """
        masks, identity = masks_of(attn_masks, self.num_attn), query
        for name, place in self.steps:
            kept = identity if self.pre_norm else None
            if name == "norm":
                query = self.norms[place](query)
                continue
            if name == "ffn":
                query = self.ffns[place](query, kept)
                continue
            seen = (query, query, query_pos, query_key_padding_mask)
            keys, values, places, padding = seen if name == "self_attn" else (key, value, key_pos, key_padding_mask)
            query = self.attentions[place](
                query, keys, values, kept, query_pos=query_pos, key_pos=places, attn_mask=masks[place],
                key_padding_mask=padding, **more,
            )  # fmt: skip
            identity = query
        return query


class TransformerLayerSequence(nn.Module):
    """Transformer layers, ``layers``, one after the other: an encoder, or a decoder; mmcv's.

    Args:
        transformerlayers: config of all layers, or a list of one each.
        num_layers: how many.
        build: the builder of layers; by default the built-in registry's.
    """

    def __init__(
        self,
        transformerlayers: Any = None,
        num_layers: int = 1,
        init_cfg: Any = None,
        *,
        build: Builder | None = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        rows, parts = configs("transformerlayers", transformerlayers, num_layers), parts_of(build, "torch")
        self.num_layers = num_layers
        self.layers = nn.ModuleList(parts("models", row) for row in rows)
        self.embed_dims, self.pre_norm = self.layers[0].embed_dims, self.layers[0].pre_norm

    def forward(self, query: Tensor, key: Tensor | None, value: Tensor | None, **more: Any) -> Tensor:
        """Queries to queries; ``more`` is handed to each layer, see `BaseTransformerLayer`."""
        for layer in self.layers:
            query = layer(query, key, value, **more)
        return query


def _built(cfg: Any, default_args: Mapping[str, Any] | None) -> Any:
    return parts_of(None, "torch")("models", cfg, **dict(default_args or {}))


def build_attention(cfg: Any, default_args: Mapping[str, Any] | None = None) -> nn.Module:
    """An attention by config.

    Example:
        >>> build_attention({"type": "MultiheadAttention", "num_heads": 2}, {"embed_dims": 8}).embed_dims
        8
    """
    return _built(cfg, default_args)


def build_feedforward_network(cfg: Any, default_args: Mapping[str, Any] | None = None) -> nn.Module:
    """A feed-forward network by config.

    Example:
        >>> build_feedforward_network({"embed_dims": 8}, {"type": "FFN"}).embed_dims
        8
    """
    return _built(cfg, default_args)


def build_positional_encoding(cfg: Any, default_args: Mapping[str, Any] | None = None) -> nn.Module:
    """Positions by config.

    Example:
        >>> build_positional_encoding({"type": "SinePositionalEncoding", "num_feats": 4}).num_feats
        4
    """
    return _built(cfg, default_args)


def build_transformer_layer(cfg: Any, default_args: Mapping[str, Any] | None = None) -> nn.Module:
    """A transformer layer by config; see `BaseTransformerLayer`."""
    return _built(cfg, default_args)


def build_transformer_layer_sequence(cfg: Any, default_args: Mapping[str, Any] | None = None) -> nn.Module:
    """Several transformer layers by config; see `TransformerLayerSequence`."""
    return _built(cfg, default_args)
