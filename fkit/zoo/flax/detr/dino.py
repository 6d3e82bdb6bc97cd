"""DINO (Zhang et al. 2023): queries at the best of what the encoder proposes, beside some that begin near objects."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.drop import Draws
from fkit.backend.jax.layers import LayerNorm, Linear, norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.deformable import BOX_ORDER, box_waves
from fkit.detection.denoise import Denoising, blocked
from fkit.detection.detr import LAYER_NORM, Asked, Said, started
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.query import DINOHead as Logic
from fkit.detection.query import units
from fkit.detection.refine import branches_of, denoising_of, dino_rules, no_norm
from fkit.detection.truth import truths
from fkit.structures.batch import Samples
from fkit.zoo.flax.detr.deformable import BranchedHead, DeformableDecoder, DeformableDETR, moved
from fkit.zoo.flax.detr.detector import parts_of_detr
from fkit.zoo.flax.detr.head import wide
from fkit.zoo.flax.detr.layer import layers_of
from fkit.zoo.flax.detr.perceptron import Perceptron
from fkit.zoo.flax.position import Embedding

__all__ = ["DINO", "DINOHead", "DinoDecoder", "decoder", "dino"]

Array = jax.Array

_EPS = 1e-3

DINOHead = partial(headed, BranchedHead)(Logic)


class DinoDecoder(DeformableDecoder):
    """Layers whose positions come of references, ``ref_point_head``, and a norm of what each gives, ``norm``; see `decoder`."""

    eps: float = _EPS
    torch_order: ClassVar[tuple[str, ...]] = ("layers", "ref_point_head", "norm")

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
        """As of `DeformableDecoder`; a box is learnt through the layer that moved it and the next."""
        del query_pos
        assert refine is not None
        width = self.embed_dims
        head, norm = Perceptron((width, width), name="ref_point_head"), norm_layer(LAYER_NORM)[1]("norm")
        states: list[Array] = []
        seen = [references]
        for at, layer in enumerate(self.layers):
            places = references[:, :, None] * jnp.tile(ratios, (1, 1, 2))[:, None]
            waves = box_waves(JaxOps(), places[:, :, 0], width // 2, BOX_ORDER).astype(query.dtype)
            query = layer(query, query_pos=head(waves), reference_points=places, train=train, **more)
            states.append(norm(query, train))
            seen.append(moved(refine(at, query), references, self.eps))
            references = jax.lax.stop_gradient(seen[-1])
        return jnp.stack(states), tuple(seen)


def decoder(
    num_layers: int,
    layer_cfg: Any,
    post_norm_cfg: Any = LAYER_NORM,
    return_intermediate: bool = True,
    init_cfg: Any = None,
    *,
    build: Builder | None = None,
) -> DinoDecoder:
    """`fkit.zoo.flax.detr.deformable.decoder` whose positions come of references, ``ref_point_head``, and with a ``norm``."""
    no_norm(post_norm_cfg)
    layers = layers_of("DeformableDetrTransformerDecoderLayer", layer_cfg, num_layers, "decoder", build)
    return DinoDecoder(layers, return_intermediate, started(init_cfg))


class Labels(nn.Module):
    """A vector a class, ``label_embedding``.

    Attributes:
        count, width: of classes and of vectors.
    """

    count: int
    width: int

    @nn.compact
    def __call__(self, labels: Array) -> Array:
        return Embedding(self.count, self.width, name="label_embedding")(labels)


class DINO(DeformableDETR):
    """mmdet's DINO; see `dino`.

    Attributes:
        denoising: what queries near objects are drawn by.
    """

    denoising: Denoising | None = None
    torch_order: ClassVar[tuple[str, ...]] = (*DeformableDETR.torch_order, "dn_query_generator")

    @property
    def init_rules(self) -> Any:
        return dino_rules(self.init_cfg)

    def setup(self) -> None:
        width, classes = self.encoder.embed_dims, self.bbox_head.logic.num_classes
        self.level_embed = self.param("level_embed", nn.initializers.zeros, (self.levels, width))
        self.query_embedding = Embedding(self.num_queries, width)
        self.memory_trans_fc, self.memory_trans_norm = Linear(width), LayerNorm()
        self.dn_query_generator = Labels(classes, width)
        self.key = Draws()

    def shown(self, memory: Array, said: Said, train: bool) -> dict[str, Any]:
        assert said.references is not None
        states = (said.states, jnp.stack(said.references))
        return {"encoder": memory, "decoder": states, "bbox_head": self.bbox_head(said, train)}

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
        assert self.denoising is not None
        if self.is_initializing():
            self.key(memory)
            self.dn_query_generator(jnp.zeros((1,), jnp.int32))
        scores, boxes = self.proposed(memory, masks, sizes)
        best = JaxOps().topk(scores.max(-1), self.num_queries)[1][..., None]
        chosen = jnp.take_along_axis(boxes, best, 1)
        query = self.query_embedding(jnp.arange(self.num_queries)).astype(memory.dtype)
        query = jnp.broadcast_to(query, (memory.shape[0], *query.shape))
        start = jax.lax.stop_gradient(chosen)
        if not learns:
            return Asked(query, None, nn.sigmoid(start))
        key, places = self.key(memory, train)
        noise = self.denoising.noise(JaxOps(), key, places, truths(samples), units(JaxOps(), shapes, wide(memory)))
        near = (self.dn_query_generator(noise.label) * noise.real[..., None]).astype(memory.dtype)
        return Asked(
            jnp.concatenate([near, query], 1), None, nn.sigmoid(jnp.concatenate([noise.box, start], 1)),
            (jnp.take_along_axis(scores, best, 1), nn.sigmoid(chosen)), noise,
            blocked(JaxOps(), noise.group, self.num_queries),
        )  # fmt: skip


def dino(
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
    dn_cfg: Any = None,
    *,
    build: Builder,
) -> DINO:
    """mmdet's DINO; see `fkit.zoo.flax.detr.deformable.deformable_detr`.

    Args:
        with_box_refine, as_two_stage: True.
        dn_cfg: how queries are drawn near objects: ``label_noise_scale``, ``box_noise_scale``, ``group_cfg``.
        others: as of `deformable_detr`.
    """
    del data_preprocessor
    head = branches_of(bbox_head, decoder, with_box_refine, as_two_stage)
    parts = parts_of_detr(
        "DINO", build, backbone, neck, encoder, decoder, head, positional_encoding, train_cfg, test_cfg,
        ("DeformableDetrTransformerEncoder", "DinoTransformerDecoder"),
    )  # fmt: skip
    drawn = denoising_of(dn_cfg, parts["bbox_head"].logic.num_classes, with_box_refine and as_two_stage)
    return DINO(
        **parts, init_cfg=init_cfg, num_queries=num_queries, refines=True, two_stage=True, levels=num_feature_levels,
        denoising=drawn,
    )  # fmt: skip
