"""DINO (Zhang et al. 2023): queries at the best of what the encoder proposes, beside some that begin near objects."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.drop import Draws
from fkit.backend.torch.layers import norm_layer
from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.deformable import BOX_ORDER, box_waves
from fkit.detection.denoise import Noise, blocked
from fkit.detection.detr import LAYER_NORM, Asked, Said
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.query import DINOHead as Logic
from fkit.detection.query import units
from fkit.detection.refine import denoising_of, dino_rules, no_norm
from fkit.detection.truth import truths
from fkit.structures.batch import Samples
from fkit.zoo.torch.detr.deformable import BranchedHead, DeformableDETR, DeformableDetrTransformerDecoder, moved
from fkit.zoo.torch.detr.head import wide
from fkit.zoo.torch.detr.perceptron import Perceptron

__all__ = ["DINO", "DINOHead", "DinoTransformerDecoder"]

DINOHead = partial(headed, BranchedHead)(Logic)


class DinoTransformerDecoder(DeformableDetrTransformerDecoder):
    """`DeformableDetrTransformerDecoder` whose positions come of references, ``ref_point_head``, and with a norm, ``norm``."""

    eps = 1e-3

    def arrange(self, post_norm_cfg: Any) -> None:
        no_norm(post_norm_cfg)
        width = self.embed_dims
        self.ref_point_head = Perceptron((width * 2, width, width))
        self.norm = norm_layer(LAYER_NORM, width)[1]

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        query_pos: Tensor | None,
        references: Tensor,
        ratios: Tensor,
        refine: Callable[[int, Tensor], Tensor] | None = None,
        **more: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As of `DeformableDetrTransformerDecoder`; a box is learnt through the layer that moved it and the next."""
        del query_pos
        assert refine is not None
        states: list[Tensor] = []
        seen = [references]
        for at, layer in enumerate(self.layers):
            places = references[:, :, None] * ratios.repeat(1, 1, 2)[:, None]
            waves = box_waves(Torch(query.device), places[:, :, 0], self.embed_dims // 2, BOX_ORDER)
            query = layer(query, query_pos=self.ref_point_head(waves.to(query.dtype)), reference_points=places, **more)
            states.append(self.norm(query))
            seen.append(moved(refine(at, query), references, self.eps))
            references = seen[-1].detach()
        return torch.stack(states), tuple(seen)


class DINO(DeformableDETR):
    """mmdet's DINO; see `fkit.zoo.torch.detr.deformable.DeformableDETR`.

    Args:
        with_box_refine, as_two_stage: True.
        dn_cfg: how queries are drawn near objects: ``label_noise_scale``, ``box_noise_scale``, ``group_cfg``.
        others: as of `DeformableDETR`.
    """

    coders = ("DeformableDetrTransformerEncoder", "DinoTransformerDecoder")

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
        dn_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        self.dn_cfg = dn_cfg
        super().__init__(
            backbone, neck, encoder, decoder, bbox_head, positional_encoding, num_queries, train_cfg, test_cfg,
            data_preprocessor, init_cfg, with_box_refine, as_two_stage, num_feature_levels, build=build,
        )  # fmt: skip

    def arrange(self) -> None:
        self.refines, self.two_stage, levels = self.settings
        self.init_cfg = dino_rules(self.init_cfg)
        width, classes = self.embed_dims, self.bbox_head.logic.num_classes
        self.denoising = denoising_of(self.dn_cfg, classes, self.refines and self.two_stage)
        self.level_embed = nn.Parameter(torch.zeros(levels, width))
        self.query_embedding = nn.Embedding(self.num_queries, width)
        self.memory_trans_fc, self.memory_trans_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.dn_query_generator = nn.ModuleDict({"label_embedding": nn.Embedding(classes, width)})
        self.key = Draws()

    def shown(self, memory: Tensor, said: Said) -> dict[str, Any]:
        assert said.references is not None
        states = (said.states, torch.stack(said.references))
        return {"encoder": memory, "decoder": states, "bbox_head": self.bbox_head(said)}

    def queries(
        self, memory: Tensor, masks: Any, sizes: Any, samples: Samples | None, shapes: Shapes, learns: bool
    ) -> Asked:
        scores, boxes = self.proposed(memory, masks, sizes)
        best = scores.amax(-1).topk(self.num_queries, 1)[1][..., None]
        chosen = boxes.gather(1, best.expand(-1, -1, 4))
        query = self.query_embedding.weight.expand(memory.shape[0], -1, -1).to(memory.dtype)
        if not learns:
            return Asked(query, None, chosen.detach().sigmoid())
        noise = self._noise(memory, samples, shapes)
        label: Tensor = self.dn_query_generator["label_embedding"](noise.label)
        near = (label * noise.real[..., None]).to(memory.dtype)
        return Asked(
            torch.cat([near, query], 1), None, torch.cat([noise.box, chosen.detach()], 1).sigmoid(),
            (scores.gather(1, best.expand(-1, -1, scores.shape[-1])), chosen.sigmoid()), noise,
            blocked(Torch(memory.device), noise.group, self.num_queries),
        )  # fmt: skip

    def _noise(self, memory: Tensor, samples: Samples | None, shapes: Shapes) -> Noise:
        xp, (key, places) = Torch(memory.device), self.key(memory)
        return self.denoising.noise(xp, key, places, truths(samples), units(xp, shapes, wide(memory)))
