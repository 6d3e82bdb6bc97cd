"""DAB-DETR (Liu et al. 2022): queries that are boxes, which each decoder layer moves; mmdet's arguments and names."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import Linear, norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.conditional import Anchors, check_patterns, modulated
from fkit.detection.deformable import BOX_ORDER, box_waves
from fkit.detection.detr import LAYER_NORM, Said, started
from fkit.detection.headed import headed
from fkit.detection.query import DABDETRHead as Logic
from fkit.detection.refine import referred_rules
from fkit.zoo.flax.detr.conditional import ConditionalDETR, ReferredHead, decoder_layer
from fkit.zoo.flax.detr.deformable import moved
from fkit.zoo.flax.detr.detector import parts_of_detr
from fkit.zoo.flax.detr.head import wide
from fkit.zoo.flax.detr.layer import Decoder, Encoder, layers_of
from fkit.zoo.flax.detr.perceptron import Perceptron
from fkit.zoo.flax.position import Embedding

__all__ = ["DABDETR", "DABDETRHead", "DABDecoder", "DABEncoder", "dab_detr", "decoder", "decoder_layer", "encoder"]

Array = jax.Array

_EPS = 1e-5  # of the inverse sigmoid of boxes that a layer moves


class DABEncoder(Encoder):
    """`Encoder` whose positions are multiplied with what each place says, ``query_scale``; see `encoder`."""

    torch_order: ClassVar[tuple[str, ...]] = ("layers", "query_scale")

    @nn.compact
    def __call__(
        self,
        query: Array,
        query_pos: Array | None,
        key_padding_mask: Array | None = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        assert query_pos is not None  # DAB-DETR gives each place its waves
        scale = Perceptron((self.embed_dims,) * 2, name="query_scale")
        for layer in self.layers:
            query = layer(query, query_pos * scale(query), key_padding_mask, train=train, **more)
        return query


def encoder(
    num_layers: int, layer_cfg: Any, num_cp: int = -1, init_cfg: Any = None, *, build: Builder | None = None
) -> DABEncoder:
    """`fkit.zoo.flax.detr.layer.encoder` whose positions are multiplied with what each place says, ``query_scale``."""
    del num_cp
    layers = layers_of("DetrTransformerEncoderLayer", layer_cfg, num_layers, "encoder", build)
    return DABEncoder(layers, started(init_cfg))


class DABDecoder(Decoder):
    """`Decoder` of queries that are boxes; see `decoder`."""

    anchors: Anchors = Anchors()
    torch_order: ClassVar[tuple[str, ...]] = (*Decoder.torch_order, "query_scale", "ref_point_head", "ref_anchor_head")

    @nn.compact
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        query: Array,
        query_pos: Array,
        refine: Callable[[int, Array], Array],
        train: bool = False,
        **more: Any,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Queries (N, Q, C) to those of each layer, (L, N, Q, C), and the boxes or places of each.

        Args:
            query_pos: (N, Q, 4 or 2) boxes or places before the sigmoid.
            refine: what a layer's queries say of boxes before the sigmoid.
            more: handed to layers.
        """
        width, norm = self.embed_dims, norm_layer(self.post_norm_cfg)[1]("post_norm")
        scaled, head = self._scale(query), Perceptron((width, width), name="ref_point_head")
        states: list[Array] = []
        seen = [nn.sigmoid(wide(query_pos))]
        boxes = seen[0]
        for at, layer in enumerate(self.layers):
            waves = box_waves(JaxOps(), boxes, width // 2, BOX_ORDER[: boxes.shape[-1]]).astype(query.dtype)
            near = scaled(at, query, waves[..., :width], boxes)
            query = layer(query, query_pos=head(waves), ref_sine_embed=near, is_first=not at, train=train, **more)
            states.append(query)
            seen.append(moved(refine(at, query), boxes, _EPS)[..., : boxes.shape[-1]])
            boxes = jax.lax.stop_gradient(seen[-1])
        kept = slice(None) if self.return_intermediate else slice(-1, None)
        return jnp.stack([norm(state, train) for state in states[kept]]), tuple(seen[:-1][kept])

    def _scale(self, query: Array) -> Callable[[int, Array, Array, Array], Array]:
        """What makes of a layer's number, its queries, the waves (N, Q, C) of their places and their boxes the waves that are
        looked at."""
        widths = self.anchors.scale_widths(self.embed_dims)
        table = scale = None
        if widths is None:
            table = Embedding(len(self.layers), self.embed_dims, name="query_scale")(jnp.arange(len(self.layers)))
        else:
            scale = Perceptron(widths, name="query_scale")
            if self.is_initializing():  # a decoder of one layer has it too
                scale(query)
        modulates = self.anchors.with_modulated_hw_attn
        sides = Perceptron((self.embed_dims, 2), name="ref_anchor_head") if modulates else None

        def scaled(at: int, query: Array, waves: Array, boxes: Array) -> Array:
            if table is not None:
                waves = waves * table[at].astype(waves.dtype)
            elif at and scale is not None:
                waves = waves * scale(query)
            if sides is None:
                return waves
            return modulated(JaxOps(), waves, nn.sigmoid(wide(sides(query))), boxes).astype(waves.dtype)

        return scaled


def decoder(
    num_layers: int,
    layer_cfg: Any,
    post_norm_cfg: Any = LAYER_NORM,
    return_intermediate: bool = True,
    init_cfg: Any = None,
    query_dim: int = 4,
    query_scale_type: str = "cond_elewise",
    with_modulated_hw_attn: bool = True,
    *,
    build: Builder | None = None,
) -> DABDecoder:
    """`fkit.zoo.flax.detr.layer.decoder` of queries that are boxes; mmdet's ``DABDetrTransformerDecoder``.

    Args:
        query_dim, query_scale_type, with_modulated_hw_attn: see `fkit.detection.conditional.Anchors`.
        others: as of `decoder` there.
    """
    anchors = Anchors(query_dim, query_scale_type, with_modulated_hw_attn)
    norm_layer(post_norm_cfg)
    layers = layers_of("DABDetrTransformerDecoderLayer", layer_cfg, num_layers, "decoder", build)
    return DABDecoder(layers, post_norm_cfg, return_intermediate, started(init_cfg), anchors)


class DABHead(ReferredHead):
    """`ReferredHead` of three linear layers to boxes, ``fc_reg``, which move a decoder's boxes too."""

    torch_order: ClassVar[tuple[str, ...]] = ("fc_cls", "fc_reg")

    @property
    def init_rules(self) -> Any:
        return referred_rules(self.logic, "fc_reg.layers.2")

    def setup(self) -> None:
        width = self.logic.embed_dims
        self.fc_cls = Linear(self.logic.classes_out)
        self.fc_reg = Perceptron((width, width, 4))

    def boxes(self, states: Array, train: bool = False) -> Array:
        del train
        return wide(self.fc_reg(states))

    def refine(self, at: int, state: Array) -> Array:
        """What a layer's queries say of boxes, before the sigmoid."""
        del at
        return self.boxes(state)


DABDETRHead = partial(headed, DABHead)(Logic)


class DABDETR(ConditionalDETR):
    """mmdet's DABDETR; see `dab_detr`.

    Attributes:
        num_patterns: how often each box asks; 0 is once, without a learnt vector to begin with.
    """

    num_patterns: int = 0
    torch_order: ClassVar[tuple[str, ...]] = (*ConditionalDETR.torch_order, "patterns")

    def setup(self) -> None:
        self.query_embedding = Embedding(self.num_queries, self.decoder.anchors.query_dim)
        if self.num_patterns:
            self.patterns = Embedding(self.num_patterns, self.encoder.embed_dims)

    def asked(self, memory: Array) -> tuple[Array, Array]:
        count, width = memory.shape[0], self.encoder.embed_dims
        boxes = jnp.tile(self.query_embedding(jnp.arange(self.num_queries)), (max(self.num_patterns, 1), 1))
        boxes = jnp.broadcast_to(boxes, (count, *boxes.shape))
        if not self.num_patterns:
            return jnp.zeros((count, self.num_queries, width), memory.dtype), boxes
        start = jnp.repeat(self.patterns(jnp.arange(self.num_patterns)), self.num_queries, 0).astype(memory.dtype)
        return jnp.broadcast_to(start, (count, *start.shape)), boxes

    def decoded(self, query: Array, query_pos: Array, **seen: Any) -> Said:
        return Said(*self.decoder(query, query_pos, self.bbox_head.refine, **seen))

    def shown(self, memory: Array, said: Said, train: bool) -> dict[str, Any]:
        assert said.references is not None
        return {**super().shown(memory, said, train), "decoder": (said.states, jnp.stack(said.references))}


def dab_detr(
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
    with_random_refpoints: bool = False,
    num_patterns: int = 0,
    *,
    build: Builder,
) -> DABDETR:
    """mmdet's DABDETR; see `fkit.zoo.flax.detr.detector.detr`.

    Args:
        with_random_refpoints: False.
        num_patterns: above 0, each box asks this many times, each time beginning with a learnt vector, ``patterns``.
        others: as of `detr`.

    mode="tensor" gives for ``decoder`` the queries and the boxes of all layers.
    """
    del data_preprocessor
    check_patterns(with_random_refpoints, num_patterns)
    kinds = ("DABDetrTransformerEncoder", "DABDetrTransformerDecoder")
    parts = parts_of_detr(
        "DABDETR", build, backbone, neck, encoder, decoder, bbox_head, positional_encoding, train_cfg, test_cfg, kinds
    )
    return DABDETR(**parts, init_cfg=init_cfg, num_queries=num_queries, num_patterns=num_patterns)
