"""The layers of DETR's encoder and decoder (Carion et al. 2020), with mmdet's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.detection.detr import ATTENTION, FFN, LAYER_NORM, attention, layer_config, started, typed
from fkit.detection.part import part
from fkit.detection.transformer import parts_of

__all__ = [
    "Decoder",
    "DecoderLayer",
    "Encoder",
    "EncoderLayer",
    "decoder",
    "decoder_layer",
    "decoder_layer_of",
    "encoder",
    "encoder_layer",
    "encoder_layer_of",
    "layers_of",
]

Array = jax.Array


class EncoderLayer(nn.Module):
    """Attention of places to each other and a feed-forward network, each with a norm after it; see `encoder_layer`."""

    self_attn: Any
    ffn: Any
    norm_cfg: Any = LAYER_NORM
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("self_attn", "ffn", "norms")

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.self_attn.embed_dims

    @nn.compact
    def __call__(
        self,
        query: Array,
        query_pos: Array | None = None,
        key_padding_mask: Array | None = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """Places (N, L, C) to places; True in ``key_padding_mask`` (N, L) is padding."""
        norm = norm_layer(self.norm_cfg)[1]
        query = self.self_attn(
            query, query, query, query_pos=query_pos, key_pos=query_pos, key_padding_mask=key_padding_mask, train=train,
            **more,
        )  # fmt: skip
        query = norm("norms_0")(query, train)
        return norm("norms_1")(self.ffn(query, train=train), train)


class DecoderLayer(nn.Module):
    """Attention of queries to each other, to places, and a feed-forward network, each with a norm after it; see
    `decoder_layer`."""

    self_attn: Any
    cross_attn: Any
    ffn: Any
    norm_cfg: Any = LAYER_NORM
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("self_attn", "cross_attn", "ffn", "norms")

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.self_attn.embed_dims

    @nn.compact
    def __call__(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        query_pos: Array | None = None,
        key_pos: Array | None = None,
        self_attn_mask: Array | None = None,
        cross_attn_mask: Array | None = None,
        key_padding_mask: Array | None = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """Queries (N, Q, C) to queries; keys and values are (N, L, C)."""
        norm = norm_layer(self.norm_cfg)[1]
        query = self.self_attn(
            query, query, query, query_pos=query_pos, key_pos=query_pos, attn_mask=self_attn_mask, train=train, **more
        )
        query = norm("norms_0")(query, train)
        query = self.cross_attn(
            query, key, value, query_pos=query_pos, key_pos=key_pos, attn_mask=cross_attn_mask,
            key_padding_mask=key_padding_mask, train=train, **more,
        )  # fmt: skip
        query = norm("norms_1")(query, train)
        return norm("norms_2")(self.ffn(query, train=train), train)


class Encoder(nn.Module):
    """Layers one after the other: ``layers``; see `encoder`."""

    layers: tuple[Any, ...]
    init_cfg: Any = None

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.layers[0].embed_dims

    @nn.compact
    def __call__(
        self,
        query: Array,
        query_pos: Array | None,
        key_padding_mask: Array | None = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """Places (N, L, C) to places."""
        for layer in self.layers:
            query = layer(query, query_pos, key_padding_mask, train=train, **more)
        return query


class Decoder(nn.Module):
    """Layers one after the other, ``layers``, and a norm of what each gives, ``post_norm``; see `decoder`."""

    layers: tuple[Any, ...]
    post_norm_cfg: Any = LAYER_NORM
    return_intermediate: bool = True
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("layers", "post_norm")

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.layers[0].embed_dims

    @nn.compact
    def __call__(self, query: Array, train: bool = False, **more: Any) -> Array:
        """Queries (N, Q, C) to those of each layer, (L, N, Q, C), or (1, N, Q, C) of the last; ``more`` is handed to layers."""
        norm = norm_layer(self.post_norm_cfg)[1]("post_norm")
        states: list[Array] = []
        for layer in self.layers:
            query = layer(query, train=train, **more)
            states.append(query)
        return jnp.stack([norm(state, train) for state in (states if self.return_intermediate else states[-1:])])


def encoder_layer(
    self_attn_cfg: Any = ATTENTION,
    ffn_cfg: Any = FFN,
    norm_cfg: Any = LAYER_NORM,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> EncoderLayer:
    """Attention of places to each other and a feed-forward network, each with a norm after it.

    Args:
        self_attn_cfg: of ``MultiheadAttention``.
        ffn_cfg: of ``FFN``.
        norm_cfg: of both norms.
        init_cfg: rules for initial weights.

    Example:
        >>> layer = encoder_layer({"embed_dims": 8, "num_heads": 2}, {"embed_dims": 8})
        >>> layer.init_with_output(jax.random.key(0), jnp.ones((1, 3, 8)))[0].shape
        (1, 3, 8)
    """
    return encoder_layer_of("MultiheadAttention", self_attn_cfg, ffn_cfg, norm_cfg, init_cfg, build)


def encoder_layer_of(
    kind: str, self_attn_cfg: Any, ffn_cfg: Any, norm_cfg: Any, init_cfg: Any, build: Builder | None
) -> EncoderLayer:
    """`encoder_layer` of another attention."""
    parts = parts_of(build, "jax")
    norm_layer(norm_cfg)
    attn = attention(parts, self_attn_cfg, "self_attn_cfg", kind)
    return EncoderLayer(attn, part(parts, "models", typed(ffn_cfg, "FFN", "ffn_cfg")), norm_cfg, init_cfg)


def decoder_layer(
    self_attn_cfg: Any = ATTENTION,
    cross_attn_cfg: Any = ATTENTION,
    ffn_cfg: Any = FFN,
    norm_cfg: Any = LAYER_NORM,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> DecoderLayer:
    """Attention of queries to each other, to places, and a feed-forward network, each with a norm after it.

    Args:
        self_attn_cfg, cross_attn_cfg: of ``MultiheadAttention``.
        ffn_cfg: of ``FFN``.
        norm_cfg: of the norms.
        init_cfg: rules for initial weights.
    """
    kinds = ("MultiheadAttention", "MultiheadAttention")
    return decoder_layer_of(kinds, self_attn_cfg, cross_attn_cfg, ffn_cfg, norm_cfg, init_cfg, build)


def decoder_layer_of(
    kinds: tuple[str, str],
    self_attn_cfg: Any,
    cross_attn_cfg: Any,
    ffn_cfg: Any,
    norm_cfg: Any,
    init_cfg: Any,
    build: Builder | None,
) -> DecoderLayer:
    """`decoder_layer` of other attentions: of queries to each other, and to places."""
    parts = parts_of(build, "jax")
    norm_layer(norm_cfg)
    itself = attention(parts, self_attn_cfg, "self_attn_cfg", kinds[0])
    cross = attention(parts, cross_attn_cfg, "cross_attn_cfg", kinds[1])
    return DecoderLayer(itself, cross, part(parts, "models", typed(ffn_cfg, "FFN", "ffn_cfg")), norm_cfg, init_cfg)


def encoder(
    num_layers: int, layer_cfg: Any, num_cp: int = -1, init_cfg: Any = None, *, build: Builder | None = None
) -> Encoder:
    """Layers that are alike, one after the other: ``layers``; mmdet's ``DetrTransformerEncoder``.

    Args:
        num_layers: how many.
        layer_cfg: of each.
        num_cp: accepted: to compute layers anew in the backward pass changes no number.
        init_cfg: rules for initial weights, before Xavier's for all matrices.
    """
    del num_cp
    return Encoder(layers_of("DetrTransformerEncoderLayer", layer_cfg, num_layers, "encoder", build), started(init_cfg))


def layers_of(kind: str, layer_cfg: Any, count: int, what: str, build: Builder | None) -> tuple[Any, ...]:
    """Layers that are alike."""
    parts = parts_of(build, "jax")
    return tuple(part(parts, "models", row) for row in layer_config(layer_cfg, kind, count, what))


def decoder(
    num_layers: int,
    layer_cfg: Any,
    post_norm_cfg: Any = LAYER_NORM,
    return_intermediate: bool = True,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> Decoder:
    """Layers that are alike, one after the other, ``layers``, and a norm of what each gives; mmdet's ``DetrTransformerDecoder``.

    Args:
        num_layers: how many.
        layer_cfg: of each.
        post_norm_cfg: of the norm.
        return_intermediate: whether all layers' queries are given, or the last one's.
        init_cfg: rules for initial weights, before Xavier's for all matrices.
    """
    norm_layer(post_norm_cfg)
    layers = layers_of("DetrTransformerDecoderLayer", layer_cfg, num_layers, "decoder", build)
    return Decoder(layers, post_norm_cfg, return_intermediate, started(init_cfg))
