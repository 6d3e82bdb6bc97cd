"""Conditional DETR (Meng et al. 2021): attention in which places have a part of their own; mmdet's arguments and names."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.conditional import check_places
from fkit.detection.deformable import BOX_ORDER, box_waves
from fkit.detection.detr import ATTENTION, FFN, LAYER_NORM, Said, started
from fkit.detection.headed import headed
from fkit.detection.query import ConditionalDETRHead as Logic
from fkit.detection.refine import projection_rules, referred_rules
from fkit.detection.transformer import check_heads
from fkit.zoo.flax.attention import attended
from fkit.zoo.flax.detr.deformable import moved
from fkit.zoo.flax.detr.detector import DETR, parts_of_detr
from fkit.zoo.flax.detr.head import QueryHead, wide
from fkit.zoo.flax.detr.layer import Decoder, DecoderLayer, decoder_layer_of, layers_of
from fkit.zoo.flax.detr.perceptron import Perceptron

__all__ = [
    "ConditionalAttention",
    "ConditionalDETR",
    "ConditionalDETRHead",
    "ConditionalDecoder",
    "ReferredHead",
    "conditional_detr",
    "decoder",
    "decoder_layer",
]

Array = jax.Array

_KIND = "ConditionalAttention"


class ConditionalAttention(nn.Module):
    """Attention whose queries and keys are projected by content and by place, each by a layer of its own.

    Attributes:
        embed_dims: C.
        attn_drop, proj_drop: dropout of the attention, and after its projection.
        cross_attn: of queries to places: the waves of a query's place are a part of each head of their own.
        keep_query_pos: whether queries' positions are added in every layer, not in a decoder's first one alone.
        batch_first: True: arrays are (N, L, C).
        init_cfg: rules for initial weights, before those of the layer itself.

    Example:
        >>> x = jnp.ones((1, 3, 8))
        >>> ConditionalAttention(8, 2).init_with_output(jax.random.key(0), x, x, query_pos=x, key_pos=x)[0].shape
        (1, 3, 8)
    """

    embed_dims: int
    num_heads: int
    attn_drop: float = 0.0
    proj_drop: float = 0.0
    cross_attn: bool = False
    keep_query_pos: bool = False
    batch_first: bool = True
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = (
        "qcontent_proj", "qpos_proj", "kcontent_proj", "kpos_proj", "v_proj", "qpos_sine_proj", "out_proj",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_heads("ConditionalAttention", self.embed_dims, self.num_heads)
        super().__post_init__()

    @property
    def init_rules(self) -> Any:
        """Rules for initial weights."""
        return projection_rules(self.init_cfg)

    @nn.compact
    def __call__(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        query_pos: Array | None = None,
        key_pos: Array | None = None,
        attn_mask: Array | None = None,
        key_padding_mask: Array | None = None,
        ref_sine_embed: Array | None = None,
        is_first: bool = False,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """Queries (N, Q, C) to queries.

        Args:
            key, value: (N, L, C); what is None is: of ``key``, ``query``; of ``value``, ``key``.
            query_pos, key_pos: positions of queries and keys.
            ref_sine_embed: (N, Q, C) waves of queries' places, where queries attend to places.
            is_first: whether this is a decoder's first layer.
            more: what other attentions of a layer take.
        """
        del more
        check_places(self.cross_attn, query_pos, key_pos, ref_sine_embed)
        key = query if key is None else key
        value = key if value is None else value

        def linear(name: str, x: Array | None) -> Array:
            return Linear(self.embed_dims, name=name)(x)

        q, k, places = linear("qcontent_proj", query), linear("kcontent_proj", key), linear("kpos_proj", key_pos)
        if not self.cross_attn or is_first or self.keep_query_pos:
            q, k = q + linear("qpos_proj", query_pos), k + places
        if self.cross_attn:
            q, k = self._joined(q, linear("qpos_sine_proj", ref_sine_embed)), self._joined(k, places)
        drop = Dropout(self.attn_drop, name="attn_drop")
        masks = attn_mask, key_padding_mask
        y = attended(q, k, linear("v_proj", value), self.num_heads, drop, *masks, train)
        return query + Dropout(self.proj_drop, name="proj_drop")(linear("out_proj", y), train)

    def _joined(self, *parts: Array) -> Array:
        """Arrays (N, L, C), side by side in each head: (N, L, 2 C)."""
        heads = [part.reshape(*part.shape[:2], self.num_heads, -1) for part in parts]
        return jnp.concatenate(heads, -1).reshape(*parts[0].shape[:2], -1)


def decoder_layer(
    self_attn_cfg: Any = ATTENTION,
    cross_attn_cfg: Any = ATTENTION,
    ffn_cfg: Any = FFN,
    norm_cfg: Any = LAYER_NORM,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> DecoderLayer:
    """`fkit.zoo.flax.detr.layer.decoder_layer` of attention by content and places."""
    return decoder_layer_of((_KIND, _KIND), self_attn_cfg, cross_attn_cfg, ffn_cfg, norm_cfg, init_cfg, build)


class ConditionalDecoder(Decoder):
    """`Decoder` of queries that have places, ``ref_point_head``, and scales of these, ``query_scale``; see `decoder`."""

    torch_order: ClassVar[tuple[str, ...]] = (*Decoder.torch_order, "query_scale", "ref_point_head")

    @nn.compact
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query: Array, query_pos: Array, train: bool = False, **more: Any
    ) -> tuple[Array, tuple[Array, ...]]:
        """Queries (N, Q, C) to those of each layer, (L, N, Q, C), and the places (N, Q, 2) of each; ``more`` is handed to layers."""
        width, norm = self.embed_dims, norm_layer(self.post_norm_cfg)[1]("post_norm")
        scale = Perceptron((width, width), name="query_scale")
        if self.is_initializing():  # a decoder of one layer has it too
            scale(query)
        place = nn.sigmoid(wide(Perceptron((width, 2), name="ref_point_head")(query_pos)))
        waves = box_waves(JaxOps(), place, width // 2, BOX_ORDER[:2]).astype(query.dtype)
        states: list[Array] = []
        for at, layer in enumerate(self.layers):
            scaled = waves * scale(query) if at else waves
            query = layer(query, query_pos=query_pos, ref_sine_embed=scaled, is_first=not at, train=train, **more)
            states.append(query)
        wanted = states if self.return_intermediate else states[-1:]
        return jnp.stack([norm(state, train) for state in wanted]), (place,) * len(wanted)


def decoder(
    num_layers: int,
    layer_cfg: Any,
    post_norm_cfg: Any = LAYER_NORM,
    return_intermediate: bool = True,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> ConditionalDecoder:
    """`fkit.zoo.flax.detr.layer.decoder` of queries that have places, ``ref_point_head``, and scales of these, ``query_scale``."""
    norm_layer(post_norm_cfg)
    layers = layers_of("ConditionalDetrTransformerDecoderLayer", layer_cfg, num_layers, "decoder", build)
    return ConditionalDecoder(layers, post_norm_cfg, return_intermediate, started(init_cfg))


class ReferredHead(QueryHead):
    """`QueryHead` whose boxes are told from the references of each layer."""

    @property
    def init_rules(self) -> Any:
        return referred_rules(self.logic)

    def __call__(self, said: Said, train: bool = False) -> tuple[Array, Array]:
        assert said.references is not None
        boxes = moved(self.boxes(said.states, train), jnp.stack(said.references), self.logic.eps)
        return wide(self.fc_cls(said.states)), boxes


ConditionalDETRHead = partial(headed, ReferredHead)(Logic)


class ConditionalDETR(DETR):
    """mmdet's ConditionalDETR; see `conditional_detr`."""

    def decoded(self, query: Array, query_pos: Array, **seen: Any) -> Said:
        return Said(*self.decoder(query, query_pos, **seen))

    def shown(self, memory: Array, said: Said, train: bool) -> dict[str, Any]:
        assert said.references is not None
        return {**super().shown(memory, said, train), "decoder": (said.states, said.references[0])}


def conditional_detr(
    backbone: Any,
    neck: Any = None,
    encoder: Any = None,
    decoder: Any = None,
    bbox_head: Any = None,
    positional_encoding: Any = None,
    num_queries: int = 100,
    train_cfg: Any = None,
    test_cfg: Any = None,
    data_preprocessor: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> ConditionalDETR:
    """mmdet's ConditionalDETR; see `fkit.zoo.flax.detr.detector.detr`.

    mode="tensor" gives for ``decoder`` the queries of all layers, and their places.
    """
    del data_preprocessor
    kinds = ("DetrTransformerEncoder", "ConditionalDetrTransformerDecoder")
    parts = parts_of_detr(
        "ConditionalDETR", build, backbone, neck, encoder, decoder, bbox_head, positional_encoding, train_cfg, test_cfg,
        kinds,
    )  # fmt: skip
    return ConditionalDETR(**parts, init_cfg=init_cfg, num_queries=num_queries)
