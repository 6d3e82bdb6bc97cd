"""DAB-DETR (Liu et al. 2022): queries that are boxes, which each decoder layer moves; mmdet's arguments and names."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.conditional import Anchors, check_patterns, modulated
from fkit.detection.deformable import BOX_ORDER, box_waves
from fkit.detection.detr import LAYER_NORM, Said
from fkit.detection.headed import headed
from fkit.detection.query import DABDETRHead as Logic
from fkit.detection.refine import referred_rules
from fkit.zoo.torch.detr.conditional import (
    ConditionalDETR,
    ConditionalDetrTransformerDecoderLayer,
    ReferredHead,
    forget_positions,
)
from fkit.zoo.torch.detr.deformable import moved
from fkit.zoo.torch.detr.head import wide
from fkit.zoo.torch.detr.layer import DetrTransformerDecoder, DetrTransformerEncoder
from fkit.zoo.torch.detr.perceptron import Perceptron

__all__ = [
    "DABDETR",
    "DABDETRHead",
    "DABDetrTransformerDecoder",
    "DABDetrTransformerDecoderLayer",
    "DABDetrTransformerEncoder",
]

_EPS = 1e-5  # of the inverse sigmoid of boxes that a layer moves


class DABDetrTransformerDecoderLayer(ConditionalDetrTransformerDecoderLayer):
    """mmdet's DABDetrTransformerDecoderLayer: `ConditionalDetrTransformerDecoderLayer` by another name."""


class DABDetrTransformerEncoder(DetrTransformerEncoder):
    """`DetrTransformerEncoder` whose positions are multiplied with what each place says, ``query_scale``."""

    def __init__(
        self, num_layers: int, layer_cfg: Any, num_cp: int = -1, init_cfg: Any = None, *, build: Builder | None = None
    ) -> None:
        super().__init__(num_layers, layer_cfg, num_cp, init_cfg, build=build)
        self.query_scale = Perceptron((self.embed_dims,) * 3)

    def forward(
        self, query: Tensor, query_pos: Tensor | None, key_padding_mask: Tensor | None = None, **more: Any
    ) -> Tensor:
        for layer in self.layers:
            query = layer(query, query_pos * self.query_scale(query), key_padding_mask, **more)
        return query


class DABDetrTransformerDecoder(DetrTransformerDecoder):
    """`DetrTransformerDecoder` of queries that are boxes.

    Args:
        query_dim, query_scale_type, with_modulated_hw_attn: see `fkit.detection.conditional.Anchors`.
        others: as of `DetrTransformerDecoder`.
    """

    layer = "DABDetrTransformerDecoderLayer"

    def __init__(
        self,
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
    ) -> None:
        self.anchors = Anchors(query_dim, query_scale_type, with_modulated_hw_attn)
        super().__init__(num_layers, layer_cfg, post_norm_cfg, return_intermediate, init_cfg, build=build)

    def arrange(self, post_norm_cfg: Any) -> None:
        super().arrange(post_norm_cfg)
        width, anchors = self.embed_dims, self.anchors
        widths = anchors.scale_widths(width)
        self.query_scale = nn.Embedding(self.num_layers, width) if widths is None else Perceptron((width, *widths))
        self.ref_point_head = Perceptron((anchors.query_dim * width // 2, width, width))
        if anchors.with_modulated_hw_attn:
            self.ref_anchor_head = Perceptron((width, width, 2))
        if not self.layers[0].cross_attn.keep_query_pos:  # type: ignore[union-attr]
            forget_positions(self.layers)

    def forward(  # type: ignore[override]
        self, query: Tensor, query_pos: Tensor, refine: Callable[[int, Tensor], Tensor], **more: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Queries (N, Q, C) to those of each layer, (L, N, Q, C), and the boxes or places of each.

        Args:
            query_pos: (N, Q, 4 or 2) boxes or places before the sigmoid.
            refine: what a layer's queries say of boxes before the sigmoid.
            more: handed to layers.
        """
        states: list[Tensor] = []
        seen = [wide(query_pos).sigmoid()]
        boxes = seen[0]
        for at, layer in enumerate(self.layers):
            waves = box_waves(Torch(query.device), boxes, self.embed_dims // 2, BOX_ORDER[: boxes.shape[-1]])
            waves = waves.to(query.dtype)
            scaled = self._scaled(at, query, waves[..., : self.embed_dims], boxes)
            query = layer(
                query, query_pos=self.ref_point_head(waves), ref_sine_embed=scaled, is_first=not at, **more
            )  # fmt: skip
            states.append(query)
            seen.append(moved(refine(at, query), boxes, _EPS)[..., : boxes.shape[-1]])
            boxes = seen[-1].detach()
        kept = slice(None) if self.return_intermediate else slice(-1, None)
        return torch.stack([self.post_norm(state) for state in states[kept]]), tuple(seen[:-1][kept])

    def _scaled(self, at: int, query: Tensor, waves: Tensor, boxes: Tensor) -> Tensor:
        """The waves (N, Q, C) of places as a layer's queries look at them."""
        if isinstance(self.query_scale, nn.Embedding):
            waves = waves * self.query_scale.weight[at]
        elif at:
            waves = waves * self.query_scale(query)
        if not self.anchors.with_modulated_hw_attn:
            return waves
        sides = wide(self.ref_anchor_head(query)).sigmoid()
        return modulated(Torch(query.device), waves, sides, boxes).to(waves.dtype)


class DABHead(ReferredHead):
    """`ReferredHead` of three linear layers to boxes, ``fc_reg``, which move a decoder's boxes too."""

    def arrange(self) -> None:
        width = self.logic.embed_dims
        self.fc_cls = nn.Linear(width, self.logic.classes_out)
        self.fc_reg = Perceptron((width, width, width, 4))
        self.init_cfg = referred_rules(self.logic, "fc_reg.layers.2")

    def boxes(self, states: Tensor) -> Tensor:
        return wide(self.fc_reg(states))

    def refine(self, at: int, state: Tensor) -> Tensor:
        """What a layer's queries say of boxes, before the sigmoid."""
        del at
        return self.boxes(state)


DABDETRHead = partial(headed, DABHead)(Logic)


class DABDETR(ConditionalDETR):
    """mmdet's DABDETR; see `fkit.zoo.torch.detr.detector.DETR`.

    Args:
        with_random_refpoints: False.
        num_patterns: above 0, each box asks this many times, each time beginning with a learnt vector, ``patterns``.
        others: as of `DETR`.

    mode="tensor" gives for ``decoder`` the queries and the boxes of all layers.
    """

    coders = ("DABDetrTransformerEncoder", "DABDetrTransformerDecoder")

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
        with_random_refpoints: bool = False,
        num_patterns: int = 0,
        *,
        build: Builder,
    ) -> None:
        check_patterns(with_random_refpoints, num_patterns)
        self.num_patterns = num_patterns
        super().__init__(
            backbone, neck, encoder, decoder, bbox_head, positional_encoding, num_queries, train_cfg, test_cfg,
            data_preprocessor, init_cfg, build=build,
        )  # fmt: skip

    def arrange(self) -> None:
        self.query_embedding = nn.Embedding(self.num_queries, self.decoder.anchors.query_dim)
        if self.num_patterns:
            self.patterns = nn.Embedding(self.num_patterns, self.embed_dims)

    def asked(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        count = memory.shape[0]
        boxes = self.query_embedding.weight.repeat(max(self.num_patterns, 1), 1).expand(count, -1, -1)
        if not self.num_patterns:
            return memory.new_zeros(count, self.num_queries, self.embed_dims), boxes
        start = self.patterns.weight.repeat_interleave(self.num_queries, 0)
        return start.expand(count, -1, -1).to(memory.dtype), boxes

    def decoded(self, query: Tensor, query_pos: Tensor, **seen: Any) -> Said:
        return Said(*self.decoder(query, query_pos, self.bbox_head.refine, **seen))

    def shown(self, memory: Tensor, said: Said) -> dict[str, Any]:
        assert said.references is not None
        return {**super().shown(memory, said), "decoder": (said.states, torch.stack(said.references))}
