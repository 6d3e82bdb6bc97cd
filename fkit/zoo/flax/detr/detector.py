"""DETR (Carion et al. 2020): a backbone, an encoder of its places, a decoder of queries; mmdet's arguments and names."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from frozendict import frozendict

from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.dense import predicted
from fkit.detection.detr import Said, check_map, check_queries, check_width, typed
from fkit.detection.image import Shapes, shapes_of
from fkit.detection.padding import padding
from fkit.detection.part import part
from fkit.structures.batch import Samples
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.detector import Detector, channels_first
from fkit.zoo.flax.position import Embedding

__all__ = ["DETR", "detr", "parts_of_detr"]

Array = jax.Array

_MODES = ("tensor", "loss", "predict")


class DETR(Detector):
    """Images to a set of objects, by a transformer; see `detr`.

    Attributes:
        bbox_head, positional_encoding, encoder, decoder: modules.
        num_queries: how many objects an image may have.
    """

    bbox_head: Any = None
    positional_encoding: Any = None
    encoder: Any = None
    decoder: Any = None
    num_queries: int = 100
    torch_order: ClassVar[tuple[str, ...]] = (
        "backbone", "neck", "bbox_head", "positional_encoding", "encoder", "decoder", "query_embedding",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_queries(type(self).__name__, self.num_queries)
        super().__post_init__()

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes."""
        return frozendict({"gt_instances.labels": self.bbox_head.logic.num_classes})

    def setup(self) -> None:
        self.query_embedding = Embedding(self.num_queries, self.encoder.embed_dims)

    def __call__(self, inputs: Any, samples: Samples | None = None, mode: str = "tensor", train: bool = False) -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        shapes = shapes_of(JaxOps(), samples, inputs)
        seen = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        maps = seen if self.neck is None else self.through_neck(seen, train)
        memory, said = self.transformed(
            maps, samples, shapes, (inputs.shape[2], inputs.shape[3]), mode == "loss", train
        )
        if mode == "loss":
            return self.bbox_head.loss(said, samples, shapes, train)
        if mode == "predict":
            return predicted(self.bbox_head.predict(said, shapes))
        parts = {"backbone": seen} if self.neck is None else {"backbone": seen, "neck": maps}
        return {**channels_first(parts), **self.shown(memory, said, train)}

    def shown(self, memory: Array, said: Said, train: bool) -> dict[str, Any]:
        """What mode="tensor" gives beside maps."""
        return {"encoder": memory, "decoder": said.states, "bbox_head": self.bbox_head(said.last(), train)}

    def transformed(
        self,
        maps: tuple[Array, ...],
        samples: Samples | None,
        shapes: Shapes,
        whole: tuple[int, int],
        learns: bool,
        train: bool,
    ) -> tuple[Array, Said]:
        """Encoded places (N, L, C), and what the decoder gives.

        Args:
            whole: (height, width) of the batch's pixels.
            learns: whether a loss is asked for.
        """
        del samples, learns
        x = maps[-1]
        count, high, wide, width = x.shape
        check_map(type(self).__name__, width, self.encoder.embed_dims)
        mask = padding(JaxOps(), shapes, whole, (high, wide))
        places = self.positional_encoding(mask, x).reshape(count, high * wide, width)
        hidden = None if mask is None else mask.reshape(count, -1)
        memory = self.encoder(x.reshape(count, high * wide, width), places, hidden, train=train)
        seen = {"key": memory, "value": memory, "key_pos": places, "key_padding_mask": hidden}
        return memory, self.decoded(*self.asked(memory), train=train, **seen)

    def asked(self, memory: Array) -> tuple[Array, Array]:
        """The queries that the decoder begins with, and their positions: (N, Q, C) each."""
        places = self.query_embedding(jnp.arange(self.num_queries)).astype(memory.dtype)
        places = jnp.broadcast_to(places, (memory.shape[0], *places.shape))
        return jnp.zeros_like(places), places

    def decoded(self, query: Array, query_pos: Array, **seen: Any) -> Said:
        """What the decoder gives.

        Args:
            seen: the encoded places, as its layers take them.
        """
        return Said(self.decoder(query, query_pos=query_pos, **seen))


def detr(
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
) -> DETR:
    """Images to a set of objects, by a transformer.

    Args:
        backbone, neck: configs; the neck's last map is encoded.
        encoder, decoder: configs of ``DetrTransformerEncoder`` and ``DetrTransformerDecoder``, without a type.
        bbox_head: config of a head of queries.
        positional_encoding: config of ``SinePositionalEncoding``, without a type.
        num_queries: how many objects an image may have.
        train_cfg, test_cfg: of the head.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        init_cfg: rules for initial weights.

    Returns:
        ``(inputs, samples, mode, train)`` as of `fkit.zoo.flax.detector.single_stage`; "tensor" gives ``backbone``, ``neck``,
        ``encoder`` (N, L, C), ``decoder`` (layers, N, Q, C) and ``bbox_head``, the logits and boxes of the last layer. What is
        padding is told by ``samples.targets["img_shape"]``.
    """
    del data_preprocessor
    kinds = ("DetrTransformerEncoder", "DetrTransformerDecoder")
    parts = parts_of_detr(
        "DETR", build, backbone, neck, encoder, decoder, bbox_head, positional_encoding, train_cfg, test_cfg, kinds
    )
    return DETR(**parts, init_cfg=init_cfg, num_queries=num_queries)


def parts_of_detr(
    name: str,
    build: Builder,
    backbone: Any,
    neck: Any,
    encoder: Any,
    decoder: Any,
    bbox_head: Any,
    positional_encoding: Any,
    train_cfg: Any,
    test_cfg: Any,
    kinds: tuple[str, str],
) -> dict[str, Any]:
    """The modules of a detector of queries, by name.

    Args:
        name: of the detector.
        kinds: the types of the encoder and the decoder.
    """
    head = part(build, "models", bbox_head, train_cfg=train_cfg, test_cfg=test_cfg)
    places = part(build, "models", typed(positional_encoding, "SinePositionalEncoding", "positional_encoding"))
    coders = {
        what: part(build, "models", typed(cfg, kind, what))
        for cfg, kind, what in ((encoder, kinds[0], "encoder"), (decoder, kinds[1], "decoder"))
    }
    check_width(name, coders["encoder"].embed_dims, 2 * places.num_feats, coders["decoder"], head)
    maps = {"backbone": part(build, "models", backbone), "neck": part(build, "models", neck)}
    return {**maps, "bbox_head": head, "positional_encoding": places, **coders}
