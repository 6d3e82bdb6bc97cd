"""Deformable DETR (Zhu et al. 2021): several maps, attention at a few places of them, boxes told from references."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import LayerNorm, Linear
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.deformable import box_waves, grid, inverse_sigmoid, proposals, ratios_of
from fkit.detection.detr import ATTENTION, FFN, LAYER_NORM, Asked, Said, started
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.padding import padding
from fkit.detection.query import DeformableDETRHead as Logic
from fkit.detection.refine import branch_rules, branches_of, detector_rules, no_norm
from fkit.structures.batch import Samples
from fkit.zoo.flax.detr.detector import DETR, parts_of_detr
from fkit.zoo.flax.detr.head import QueryHead, wide
from fkit.zoo.flax.detr.layer import (
    DecoderLayer,
    Encoder,
    EncoderLayer,
    decoder_layer_of,
    encoder_layer_of,
    layers_of,
)
from fkit.zoo.flax.position import Embedding

__all__ = [
    "BranchedHead",
    "DeformableDETR",
    "DeformableDETRHead",
    "DeformableDecoder",
    "decoder",
    "decoder_layer",
    "deformable_detr",
    "encoder",
    "encoder_layer",
    "moved",
]

Array = jax.Array

_EPS = 1e-5  # of the inverse sigmoid of references
_KIND = "MultiScaleDeformableAttention"


def encoder_layer(
    self_attn_cfg: Any = ATTENTION,
    ffn_cfg: Any = FFN,
    norm_cfg: Any = LAYER_NORM,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> EncoderLayer:
    """`fkit.zoo.flax.detr.layer.encoder_layer` of attention at a few places."""
    return encoder_layer_of(_KIND, self_attn_cfg, ffn_cfg, norm_cfg, init_cfg, build)


def decoder_layer(
    self_attn_cfg: Any = ATTENTION,
    cross_attn_cfg: Any = ATTENTION,
    ffn_cfg: Any = FFN,
    norm_cfg: Any = LAYER_NORM,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> DecoderLayer:
    """`fkit.zoo.flax.detr.layer.decoder_layer` whose attention to places is to a few."""
    return decoder_layer_of(
        ("MultiheadAttention", _KIND), self_attn_cfg, cross_attn_cfg, ffn_cfg, norm_cfg, init_cfg, build
    )


def encoder(
    num_layers: int, layer_cfg: Any, num_cp: int = -1, init_cfg: Any = None, *, build: Builder | None = None
) -> Encoder:
    """`fkit.zoo.flax.detr.layer.encoder` of several maps' places."""
    del num_cp
    layers = layers_of("DeformableDetrTransformerEncoderLayer", layer_cfg, num_layers, "encoder", build)
    return Encoder(layers, started(init_cfg))


class DeformableDecoder(nn.Module):
    """Layers one after the other, ``layers``, of queries that have references; see `decoder`."""

    layers: tuple[Any, ...]
    return_intermediate: bool = True
    init_cfg: Any = None
    eps: float = _EPS

    @property
    def embed_dims(self) -> int:
        """How many channels there are."""
        return self.layers[0].embed_dims

    @nn.compact
    def __call__(
        self,
        query: Array,
        query_pos: Array | None,
        references: Array,
        ratios: Array,
        refine: Callable[[int, Array], Array] | None = None,
        train: bool = False,
        **more: Any,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Queries (N, Q, C) to those of each layer, and the references of each and after the last.

        Args:
            references: (N, Q, 2) places or (N, Q, 4) boxes in shares of the image.
            ratios: (N, levels, 2), see `fkit.detection.deformable.ratios_of`.
            refine: what a layer's queries say of boxes before the sigmoid, by which references move; None: they stay.
            more: handed to layers.
        """
        states: list[Array] = []
        seen = [references]
        for at, layer in enumerate(self.layers):
            places = references[:, :, None] * jnp.tile(ratios, (1, 1, references.shape[-1] // 2))[:, None]
            query = layer(query, query_pos=query_pos, reference_points=places, train=train, **more)
            states.append(query)
            if refine is not None:
                references = jax.lax.stop_gradient(moved(refine(at, query), references, self.eps))
            seen.append(references)
        if not self.return_intermediate:
            return states[-1][None], tuple(seen[-2:])
        return jnp.stack(states), tuple(seen)


def decoder(
    num_layers: int,
    layer_cfg: Any,
    post_norm_cfg: Any = LAYER_NORM,
    return_intermediate: bool = True,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> DeformableDecoder:
    """`fkit.zoo.flax.detr.layer.decoder` of queries that have references, without a norm."""
    no_norm(post_norm_cfg)
    layers = layers_of("DeformableDetrTransformerDecoderLayer", layer_cfg, num_layers, "decoder", build)
    return DeformableDecoder(layers, return_intermediate, started(init_cfg))


def moved(boxes: Array, references: Array, eps: float) -> Array:
    """Boxes (N, Q, 4) of what a head says before the sigmoid and the references (N, Q, 2 or 4) that it says it of."""
    start = inverse_sigmoid(JaxOps(), references, eps)
    beside = boxes[..., start.shape[-1] :]
    return nn.sigmoid(jnp.concatenate([boxes[..., : start.shape[-1]] + start, beside], -1))


class BranchedHead(QueryHead):
    """A linear layer to classes a decoder layer, ``cls_branches``, and linear layers to boxes, ``reg_branches``.

    Attributes:
        logic: what is made of predictions.

    ``__call__(said, train)`` gives logits (L, N, Q, K) and boxes (L, N, Q, 4).
    """

    torch_order: ClassVar[tuple[str, ...]] = ("cls_branches", "reg_branches")

    @property
    def init_rules(self) -> Any:
        return branch_rules(self.logic)

    @property
    def torch_aliases(self) -> Mapping[str, str]:
        """Branches that are all the first one, by torch's names."""
        several = range(1, self.logic.num_pred_layer if self.logic.share_pred_layer else 1)
        return frozendict({f"{sort}_branches.{at}": f"{sort}_branches.0" for sort in ("cls", "reg") for at in several})

    def setup(self) -> None:
        width, last = self.logic.embed_dims, 2 * self.logic.num_reg_fcs
        for at in range(1 if self.logic.share_pred_layer else self.logic.num_pred_layer):
            setattr(self, f"cls_branches_{at}", Linear(self.logic.classes_out))
            for place in range(0, last, 2):
                setattr(self, f"reg_branches_{at}_{place}", Linear(width))
            setattr(self, f"reg_branches_{at}_{last}", Linear(4))

    def __call__(self, said: Said, train: bool = False) -> tuple[Array, Array]:
        del train
        assert said.references is not None
        if self.is_initializing():  # an encoder's branches, too
            for at in range(self.logic.num_pred_layer):
                self.classes(at, said.states[0])
                self.refine(at, said.states[0])
        pairs = zip(said.states, said.references, strict=False)
        found = [
            (self.classes(at, state), moved(self.refine(at, state), reference, _EPS))
            for at, (state, reference) in enumerate(pairs, said.first)
        ]
        scores, boxes = zip(*found, strict=True)
        return jnp.stack(scores), jnp.stack(boxes)

    def classes(self, at: int, state: Array) -> Array:
        """Logits of a layer's queries."""
        return wide(getattr(self, f"cls_branches_{0 if self.logic.share_pred_layer else at}")(state))

    def refine(self, at: int, state: Array) -> Array:
        """What a layer's queries say of boxes, before the sigmoid."""
        branch, last = 0 if self.logic.share_pred_layer else at, 2 * self.logic.num_reg_fcs
        for place in range(0, last, 2):
            state = nn.relu(getattr(self, f"reg_branches_{branch}_{place}")(state))
        return wide(getattr(self, f"reg_branches_{branch}_{last}")(state))


DeformableDETRHead = partial(headed, BranchedHead)(Logic)


class DeformableDETR(DETR):
    """mmdet's DeformableDETR; see `deformable_detr`."""

    refines: bool = False
    two_stage: bool = False
    levels: int = 4
    torch_order: ClassVar[tuple[str, ...]] = (
        "level_embed", *DETR.torch_order, "memory_trans_fc", "memory_trans_norm", "pos_trans_fc", "pos_trans_norm",
        "reference_points_fc",
    )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        return detector_rules(self.init_cfg, self.two_stage)

    def setup(self) -> None:
        width = self.encoder.embed_dims
        self.level_embed = self.param("level_embed", nn.initializers.zeros, (self.levels, width))
        if self.two_stage:
            self.memory_trans_fc, self.memory_trans_norm = Linear(width), LayerNorm()
            self.pos_trans_fc, self.pos_trans_norm = Linear(width * 2), LayerNorm()
        else:
            self.query_embedding = Embedding(self.num_queries, width * 2)
            self.reference_points_fc = Linear(2)

    def shown(self, memory: Array, said: Said, train: bool) -> dict[str, Any]:
        assert said.references is not None
        states = (said.states, jnp.stack(said.references[1:]))
        return {"encoder": memory, "decoder": states, "bbox_head": self.bbox_head(said, train)}

    def transformed(
        self,
        maps: tuple[Array, ...],
        samples: Samples | None,
        shapes: Shapes,
        whole: tuple[int, int],
        learns: bool,
        train: bool,
    ) -> tuple[Array, Said]:
        xp, sizes = JaxOps(), tuple((x.shape[1], x.shape[2]) for x in maps)
        masks = [padding(xp, shapes, whole, size) for size in sizes]
        flat = jnp.concatenate([_flat(x) for x in maps], 1)
        embed = self.level_embed.astype(flat.dtype)
        pairs = zip(masks, maps, strict=True)
        places = [_flat(self.positional_encoding(mask, x)) + embed[level] for level, (mask, x) in enumerate(pairs)]
        hidden = None if masks[0] is None else jnp.concatenate([mask.reshape(mask.shape[0], -1) for mask in masks], 1)
        ratios = ratios_of(xp, masks, flat.shape[0], wide(flat))
        more = {"key_padding_mask": hidden, "spatial_shapes": sizes, "train": train}
        memory = self.encoder(flat, jnp.concatenate(places, 1), reference_points=grid(xp, sizes, ratios), **more)
        asked = self.queries(memory, masks, sizes, samples, shapes, learns, train)
        beside = {} if asked.mask is None else {"self_attn_mask": asked.mask}
        refine = self.bbox_head.refine if self.refines else None
        states, seen = self.decoder(*asked[:3], ratios, refine, value=memory, **beside, **more)
        return memory, Said(states, seen, encoded=asked.encoded, noise=asked.noise)

    def queries(
        self,
        memory: Array,
        masks: Any,
        sizes: Any,
        samples: Samples | None,
        shapes: Shapes,
        learns: bool,
        train: bool,
    ) -> Asked:
        """What the decoder begins with."""
        del samples, shapes, train
        if not self.two_stage:
            asked = self.query_embedding(jnp.arange(self.num_queries)).astype(memory.dtype)
            query_pos, query = jnp.split(jnp.broadcast_to(asked, (memory.shape[0], *asked.shape)), 2, -1)
            return Asked(query, query_pos, nn.sigmoid(wide(self.reference_points_fc(query_pos))))
        scores, boxes = self.proposed(memory, masks, sizes)
        best = JaxOps().topk(scores[..., 0], self.num_queries)[1]
        chosen = nn.sigmoid(jax.lax.stop_gradient(jnp.take_along_axis(boxes, best[..., None], 1)))
        waves = box_waves(JaxOps(), chosen, self.encoder.embed_dims // 2, range(4)).astype(memory.dtype)
        query_pos, query = jnp.split(self.pos_trans_norm(self.pos_trans_fc(waves)), 2, -1)
        return Asked(query, query_pos, chosen, (scores, nn.sigmoid(boxes)) if learns else None)

    def proposed(self, memory: Array, masks: Any, sizes: Any) -> tuple[Array, Array]:
        """Logits (N, L, K) and boxes (N, L, 4) before the sigmoid, by the last branches of the head."""
        start, there = proposals(JaxOps(), masks, sizes, wide(memory))
        kept = self.memory_trans_norm(self.memory_trans_fc(jnp.where(there[..., None], memory, 0)))
        last = self.bbox_head.logic.num_pred_layer - 1
        return self.bbox_head.classes(last, kept), self.bbox_head.refine(last, kept) + start


def _flat(x: Array) -> Array:
    """Maps (N, H, W, C) as (N, H * W, C)."""
    return x.reshape(x.shape[0], -1, x.shape[-1])


def deformable_detr(
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
    with_box_refine: bool = False,
    as_two_stage: bool = False,
    num_feature_levels: int = 4,
    *,
    build: Builder,
) -> DeformableDETR:
    """mmdet's DeformableDETR; see `fkit.zoo.flax.detr.detector.detr`.

    Args:
        with_box_refine: each decoder layer moves the references of the next.
        as_two_stage: queries begin at the best of what the encoder proposes.
        num_feature_levels: maps.
        others: as of `detr`.

    mode="tensor" gives for ``decoder`` the queries and the references of all layers, and for ``bbox_head`` what all say.
    """
    del data_preprocessor
    head = branches_of(bbox_head, decoder, with_box_refine, as_two_stage)
    kinds = ("DeformableDetrTransformerEncoder", "DeformableDetrTransformerDecoder")
    parts = parts_of_detr(
        "DeformableDETR", build, backbone, neck, encoder, decoder, head, positional_encoding, train_cfg, test_cfg, kinds
    )
    return DeformableDETR(
        **parts, init_cfg=init_cfg, num_queries=num_queries, refines=with_box_refine, two_stage=as_two_stage,
        levels=num_feature_levels,
    )  # fmt: skip
