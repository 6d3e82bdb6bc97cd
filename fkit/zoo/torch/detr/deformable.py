"""Deformable DETR (Zhu et al. 2021): several maps, attention at a few places of them, boxes told from references."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.deformable import box_waves, grid, inverse_sigmoid, proposals, ratios_of
from fkit.detection.detr import Asked, Said
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.padding import padding
from fkit.detection.query import DeformableDETRHead as Logic
from fkit.detection.refine import branch_rules, branches_of, detector_rules, no_norm
from fkit.structures.batch import Samples
from fkit.zoo.torch.detr.detector import DETR
from fkit.zoo.torch.detr.head import QueryHead, wide
from fkit.zoo.torch.detr.layer import (
    DetrTransformerDecoder,
    DetrTransformerDecoderLayer,
    DetrTransformerEncoder,
    DetrTransformerEncoderLayer,
)

__all__ = [
    "BranchedHead",
    "DeformableDETR",
    "DeformableDETRHead",
    "DeformableDetrTransformerDecoder",
    "DeformableDetrTransformerDecoderLayer",
    "DeformableDetrTransformerEncoder",
    "DeformableDetrTransformerEncoderLayer",
    "moved",
]

_EPS = 1e-5  # of the inverse sigmoid of references


class DeformableDetrTransformerEncoderLayer(DetrTransformerEncoderLayer):
    """`DetrTransformerEncoderLayer` of attention at a few places."""

    attends = "MultiScaleDeformableAttention"


class DeformableDetrTransformerDecoderLayer(DetrTransformerDecoderLayer):
    """`DetrTransformerDecoderLayer` whose attention to places is to a few."""

    attends = "MultiScaleDeformableAttention"


class DeformableDetrTransformerEncoder(DetrTransformerEncoder):
    """`DetrTransformerEncoder` of several maps' places."""

    layer = "DeformableDetrTransformerEncoderLayer"


class DeformableDetrTransformerDecoder(DetrTransformerDecoder):
    """`DetrTransformerDecoder` of queries that have references, without a norm."""

    layer = "DeformableDetrTransformerDecoderLayer"
    eps = _EPS

    def arrange(self, post_norm_cfg: Any) -> None:
        no_norm(post_norm_cfg)

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        query_pos: Tensor | None,
        references: Tensor,
        ratios: Tensor,
        refine: Callable[[int, Tensor], Tensor] | None = None,
        **more: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Queries (N, Q, C) to those of each layer, and the references of each and after the last.

        Args:
            references: (N, Q, 2) places or (N, Q, 4) boxes in shares of the image.
            ratios: (N, levels, 2), see `fkit.detection.deformable.ratios_of`.
            refine: what a layer's queries say of boxes before the sigmoid, by which references move; None: they stay.
            more: handed to layers.
        """
        states: list[Tensor] = []
        seen = [references]
        for at, layer in enumerate(self.layers):
            places = references[:, :, None] * ratios.repeat(1, 1, references.shape[-1] // 2)[:, None]
            query = layer(query, query_pos=query_pos, reference_points=places, **more)
            states.append(query)
            if refine is not None:
                references = moved(refine(at, query), references, self.eps).detach()
            seen.append(references)
        if not self.return_intermediate:
            return states[-1][None], tuple(seen[-2:])
        return torch.stack(states), tuple(seen)


def moved(boxes: Tensor, references: Tensor, eps: float) -> Tensor:
    """Boxes (N, Q, 4) of what a head says before the sigmoid and the references (N, Q, 2 or 4) that it says it of."""
    start = inverse_sigmoid(Torch(boxes.device), references, eps)
    beside = boxes[..., start.shape[-1] :]
    return torch.cat([boxes[..., : start.shape[-1]] + start, beside], -1).sigmoid()


class BranchedHead(QueryHead):
    """A linear layer to classes a decoder layer, ``cls_branches``, and linear layers to boxes, ``reg_branches``.

    Args:
        logic: what is made of predictions.

    ``forward(said)`` gives logits (L, N, Q, K) and boxes (L, N, Q, 4).
    """

    logic: Logic

    def arrange(self) -> None:
        logic = self.logic
        self.init_cfg = branch_rules(logic)
        made = [self._branch() for _ in range(1 if logic.share_pred_layer else logic.num_pred_layer)]
        several = made * logic.num_pred_layer if logic.share_pred_layer else made
        self.cls_branches = nn.ModuleList(classes for classes, _ in several)
        self.reg_branches = nn.ModuleList(boxes for _, boxes in several)

    def _branch(self) -> tuple[nn.Module, nn.Module]:
        width = self.logic.embed_dims
        layers: list[nn.Module] = []
        for _ in range(self.logic.num_reg_fcs):
            layers += [nn.Linear(width, width), nn.ReLU()]
        return nn.Linear(width, self.logic.classes_out), nn.Sequential(*layers, nn.Linear(width, 4))

    def forward(self, said: Said) -> tuple[Tensor, Tensor]:
        assert said.references is not None
        scores: list[Tensor] = []
        boxes: list[Tensor] = []
        for at, (state, reference) in enumerate(zip(said.states, said.references, strict=False), said.first):
            scores.append(wide(self.cls_branches[at](state)))
            boxes.append(moved(wide(self.reg_branches[at](state)), reference, _EPS))
        return torch.stack(scores), torch.stack(boxes)

    def refine(self, at: int, state: Tensor) -> Tensor:
        """What a layer's queries say of boxes, before the sigmoid."""
        return wide(self.reg_branches[at](state))


DeformableDETRHead = partial(headed, BranchedHead)(Logic)


class DeformableDETR(DETR):
    """mmdet's DeformableDETR; see `fkit.zoo.torch.detr.detector.DETR`.

    Args:
        with_box_refine: each decoder layer moves the references of the next.
        as_two_stage: queries begin at the best of what the encoder proposes.
        num_feature_levels: maps.
        others: as of `DETR`.

    mode="tensor" gives for ``decoder`` the queries and the references of all layers, and for ``bbox_head`` what all say.
    """

    coders = ("DeformableDetrTransformerEncoder", "DeformableDetrTransformerDecoder")

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
        with_box_refine: bool = False,
        as_two_stage: bool = False,
        num_feature_levels: int = 4,
        *,
        build: Builder,
    ) -> None:
        self.settings = with_box_refine, as_two_stage, num_feature_levels
        head = branches_of(bbox_head, decoder, with_box_refine, as_two_stage)
        super().__init__(
            backbone, neck, encoder, decoder, head, positional_encoding, num_queries, train_cfg, test_cfg,
            data_preprocessor, init_cfg, build=build,
        )  # fmt: skip

    def arrange(self) -> None:
        self.refines, self.two_stage, levels = self.settings
        self.init_cfg = detector_rules(self.init_cfg, self.two_stage)
        width = self.embed_dims
        self.level_embed = nn.Parameter(torch.zeros(levels, width))
        if self.two_stage:
            self.memory_trans_fc, self.memory_trans_norm = nn.Linear(width, width), nn.LayerNorm(width)
            self.pos_trans_fc, self.pos_trans_norm = nn.Linear(width * 2, width * 2), nn.LayerNorm(width * 2)
        else:
            self.query_embedding = nn.Embedding(self.num_queries, width * 2)
            self.reference_points_fc = nn.Linear(width, 2)

    def shown(self, memory: Tensor, said: Said) -> dict[str, Any]:
        assert said.references is not None
        states = (said.states, torch.stack(said.references[1:]))
        return {"encoder": memory, "decoder": states, "bbox_head": self.bbox_head(said)}

    def transformed(
        self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes, whole: tuple[int, int], learns: bool
    ) -> tuple[Tensor, Said]:
        xp, sizes = Torch(maps[0].device), tuple((x.shape[2], x.shape[3]) for x in maps)
        masks = [padding(xp, shapes, whole, size) for size in sizes]
        flat = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)
        places = torch.cat(
            [
                self.positional_encoding(mask, x).flatten(2).transpose(1, 2) + self.level_embed[level]
                for level, (mask, x) in enumerate(zip(masks, maps, strict=True))
            ],
            1,
        )
        hidden = None if masks[0] is None else torch.cat([mask.flatten(1) for mask in masks], 1)
        ratios = ratios_of(xp, masks, flat.shape[0], wide(flat))
        more = {"key_padding_mask": hidden, "spatial_shapes": sizes}
        memory = self.encoder(flat, places, reference_points=grid(xp, sizes, ratios), **more)
        asked = self.queries(memory, masks, sizes, samples, shapes, learns)
        beside = {} if asked.mask is None else {"self_attn_mask": asked.mask}
        refine = self.bbox_head.refine if self.refines else None
        states, seen = self.decoder(*asked[:3], ratios, refine, value=memory, **beside, **more)
        return memory, Said(states, seen, encoded=asked.encoded, noise=asked.noise)

    def queries(
        self, memory: Tensor, masks: Any, sizes: Any, samples: Samples | None, shapes: Shapes, learns: bool
    ) -> Asked:
        """What the decoder begins with."""
        del samples, shapes
        if not self.two_stage:
            asked = self.query_embedding.weight.expand(memory.shape[0], -1, -1).to(memory.dtype)
            query_pos, query = asked.chunk(2, -1)
            return Asked(query, query_pos, wide(self.reference_points_fc(query_pos)).sigmoid())
        scores, boxes = self.proposed(memory, masks, sizes)
        best = scores[..., 0].topk(self.num_queries, 1)[1]
        chosen = boxes.gather(1, best[..., None].expand(-1, -1, 4)).detach().sigmoid()
        waves = box_waves(Torch(memory.device), chosen, self.embed_dims // 2, range(4)).to(memory.dtype)
        query_pos, query = self.pos_trans_norm(self.pos_trans_fc(waves)).chunk(2, -1)
        return Asked(query, query_pos, chosen, (scores, boxes.sigmoid()) if learns else None)

    def proposed(self, memory: Tensor, masks: Any, sizes: Any) -> tuple[Tensor, Tensor]:
        """Logits (N, L, K) and boxes (N, L, 4) before the sigmoid, by the last branches of the head."""
        start, there = proposals(Torch(memory.device), masks, sizes, wide(memory))
        kept = self.memory_trans_norm(self.memory_trans_fc(memory.masked_fill(~there[..., None], 0)))
        last = self.bbox_head.logic.num_pred_layer - 1
        return wide(self.bbox_head.cls_branches[last](kept)), self.bbox_head.refine(last, kept) + start
