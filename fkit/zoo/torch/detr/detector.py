"""DETR (Carion et al. 2020): a backbone, an encoder of its places, a decoder of queries; mmdet's arguments and names."""

from collections.abc import Mapping
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.dense import predicted
from fkit.detection.detr import Said, check_map, check_queries, check_width, typed
from fkit.detection.image import Shapes, shapes_of
from fkit.detection.padding import padding
from fkit.detection.part import part
from fkit.structures.batch import Samples
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.detector import Detector

__all__ = ["DETR"]

_MODES = ("tensor", "loss", "predict")


class DETR(Detector):
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

    ``forward(inputs, samples, mode)``: as of `fkit.zoo.torch.detector.SingleStageDetector`; "tensor" gives ``backbone``,
    ``neck``, ``encoder`` (N, L, C), ``decoder`` (layers, N, Q, C) and ``bbox_head``, the logits and boxes of the last layer.
    What is padding is told by ``samples.targets["img_shape"]``.
    """

    coders = ("DetrTransformerEncoder", "DetrTransformerDecoder")

    def __init__(
        self,
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
    ) -> None:
        super().__init__(backbone, neck, None, init_cfg, build)
        del data_preprocessor
        check_queries(type(self).__name__, num_queries)
        self.bbox_head = part(build, "models", bbox_head, train_cfg=train_cfg, test_cfg=test_cfg)
        places = typed(positional_encoding, "SinePositionalEncoding", "positional_encoding")
        self.positional_encoding = part(build, "models", places)
        self.encoder = part(build, "models", typed(encoder, self.coders[0], "encoder"))
        self.decoder = part(build, "models", typed(decoder, self.coders[1], "decoder"))
        self.num_queries, self.embed_dims = num_queries, self.encoder.embed_dims
        places = 2 * self.positional_encoding.num_feats
        check_width(type(self).__name__, self.embed_dims, places, self.decoder, self.bbox_head)
        self.arrange()

    def arrange(self) -> None:
        """Make the layers beside the coders."""
        self.query_embedding = nn.Embedding(self.num_queries, self.embed_dims)

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes."""
        return frozendict({"gt_instances.labels": self.bbox_head.logic.num_classes})

    def forward(self, inputs: Tensor, samples: Samples | None = None, mode: str = "tensor") -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        shapes = shapes_of(Torch(inputs.device), samples, inputs)
        parts = {} if mode != "tensor" else self.raw(inputs, samples)
        maps = parts.get("neck", parts["backbone"]) if parts else self.extract_feat(inputs)
        memory, said = self.transformed(maps, samples, shapes, (inputs.shape[2], inputs.shape[3]), mode == "loss")
        if mode == "loss":
            return self.bbox_head.loss(said, samples, shapes)
        if mode == "predict":
            return predicted(self.bbox_head.predict(said, shapes))
        return {**parts, **self.shown(memory, said)}

    def shown(self, memory: Tensor, said: Said) -> dict[str, Any]:
        """What mode="tensor" gives beside maps."""
        return {"encoder": memory, "decoder": said.states, "bbox_head": self.bbox_head(said.last())}

    def transformed(
        self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes, whole: tuple[int, int], learns: bool
    ) -> tuple[Tensor, Said]:
        """Encoded places (N, L, C), and what the decoder gives.

        Args:
            whole: (height, width) of the batch's pixels.
            learns: whether a loss is asked for.
        """
        del samples, learns
        x = maps[-1]
        check_map(type(self).__name__, x.shape[1], self.embed_dims)
        mask = padding(Torch(x.device), shapes, whole, (x.shape[2], x.shape[3]))
        places = self.positional_encoding(mask, x).flatten(2).transpose(1, 2)
        hidden = None if mask is None else mask.flatten(1)
        memory = self.encoder(x.flatten(2).transpose(1, 2), places, hidden)
        seen = {"key": memory, "value": memory, "key_pos": places, "key_padding_mask": hidden}
        return memory, self.decoded(*self.asked(memory), **seen)

    def asked(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The queries that the decoder begins with, and their positions: (N, Q, C) each."""
        places = self.query_embedding.weight.expand(memory.shape[0], -1, -1).to(memory.dtype)
        return torch.zeros_like(places), places

    def decoded(self, query: Tensor, query_pos: Tensor, **seen: Any) -> Said:
        """What the decoder gives.

        Args:
            seen: the encoded places, as its layers take them.
        """
        return Said(self.decoder(query, query_pos=query_pos, **seen))
