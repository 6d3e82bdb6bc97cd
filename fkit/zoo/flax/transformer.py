"""Transformer layers by config, with OpenMMLab's arguments and parameter names."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.detection.transformer import Operation, configs, masks_of, old_ffn, operations, parts_of

__all__ = [
    "TransformerLayer",
    "TransformerLayers",
    "build_attention",
    "build_feedforward_network",
    "build_positional_encoding",
    "build_transformer_layer",
    "build_transformer_layer_sequence",
    "transformer_layer",
    "transformer_layers",
]

Array = jax.Array

_FFN = frozendict(type="FFN", embed_dims=256, feedforward_channels=1024)
_LAYER = frozendict(type="LN")


class TransformerLayer(nn.Module):
    """Attentions, norms and feed-forward networks in any order; see `transformer_layer`.

    Attributes:
        attentions, ffns: modules.
        steps: the order.
    """

    attentions: tuple[Any, ...]
    ffns: tuple[Any, ...]
    steps: tuple[Operation, ...]
    norm_cfg: Any = _LAYER
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("attentions", "ffns", "norms")

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.attentions[0].embed_dims

    @property
    def pre_norm(self) -> bool:
        """Whether the order begins with a norm."""
        return self.steps[0][0] == "norm"

    @nn.compact
    def __call__(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        query_pos: Array | None = None,
        key_pos: Array | None = None,
        attn_masks: Any = None,
        query_key_padding_mask: Array | None = None,
        key_padding_mask: Array | None = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """Queries to queries.

        Args:
            query_pos, key_pos: positions, added to queries and keys of each attention.
            attn_masks: of all attentions, or a list of one each, where None is none.
            query_key_padding_mask, key_padding_mask: True where a query, or a key, is padding; (N, L) and (N, S).
            more: handed to the attentions.
        """
        masks, identity = masks_of(attn_masks, len(self.attentions)), query
        norm = norm_layer(self.norm_cfg)[1]
        for name, place in self.steps:
            kept = identity if self.pre_norm else None
            if name == "norm":
                query = norm(f"norms_{place}")(query, train)
                continue
            if name == "ffn":
                query = self.ffns[place](query, kept, train)
                continue
            seen = (query, query, query_pos, query_key_padding_mask)
            keys, values, places, padding = seen if name == "self_attn" else (key, value, key_pos, key_padding_mask)
            query = self.attentions[place](
                query, keys, values, kept, query_pos=query_pos, key_pos=places, attn_mask=masks[place],
                key_padding_mask=padding, train=train, **more,
            )  # fmt: skip
            identity = query
        return query


def transformer_layer(
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
) -> TransformerLayer:
    """Attentions, norms and feed-forward networks in any order: ``attentions``, ``ffns``, ``norms``; mmcv's
    ``BaseTransformerLayer``.

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
        >>> layer = transformer_layer(attention, {"feedforward_channels": 16}, order)
        >>> layer.embed_dims, layer.pre_norm
        (8, False)
    """
    steps, parts = operations(operation_order), parts_of(build, "jax")
    rows = configs("attn_cfgs", attn_cfgs, sum(step.attends for step in steps), batch_first=batch_first)
    attentions = tuple(parts("models", row) for row in rows)
    wide = old_ffn(ffn_cfgs, feedforward_channels, ffn_dropout, ffn_num_fcs)
    count = sum(step.name == "ffn" for step in steps)
    rows = configs("ffn_cfgs", wide, count, type="FFN", embed_dims=attentions[0].embed_dims)
    norm_layer(norm_cfg)
    return TransformerLayer(attentions, tuple(parts("models", row) for row in rows), steps, norm_cfg, init_cfg)


class TransformerLayers(nn.Module):
    """Transformer layers, ``layers``, one after the other; see `transformer_layers`."""

    layers: tuple[Any, ...]
    init_cfg: Any = None

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.layers[0].embed_dims

    @property
    def pre_norm(self) -> bool:
        """Whether a layer begins with a norm."""
        return self.layers[0].pre_norm

    def __call__(self, query: Array, key: Array | None, value: Array | None, train: bool = False, **more: Any) -> Array:
        """Queries to queries; ``more`` is handed to each layer, see `TransformerLayer`."""
        for layer in self.layers:
            query = layer(query, key, value, train=train, **more)
        return query


def transformer_layers(
    transformerlayers: Any = None, num_layers: int = 1, init_cfg: Any = None, *, build: Builder | None = None
) -> TransformerLayers:
    """Transformer layers, ``layers``, one after the other: an encoder, or a decoder; mmcv's ``TransformerLayerSequence``.

    Args:
        transformerlayers: config of all layers, or a list of one each.
        num_layers: how many.
        build: the builder of layers; by default the built-in registry's.
    """
    rows, parts = configs("transformerlayers", transformerlayers, num_layers), parts_of(build, "jax")
    return TransformerLayers(tuple(parts("models", row) for row in rows), init_cfg)


def _built(cfg: Any, default_args: Mapping[str, Any] | None) -> Any:
    return parts_of(None, "jax")("models", cfg, **dict(default_args or {}))


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
    """A transformer layer by config; see `transformer_layer`."""
    return _built(cfg, default_args)


def build_transformer_layer_sequence(cfg: Any, default_args: Mapping[str, Any] | None = None) -> nn.Module:
    """Several transformer layers by config; see `transformer_layers`."""
    return _built(cfg, default_args)
