"""Conditional DETR (Meng et al. 2021): attention in which places have a part of their own; mmdet's arguments and names."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.ops import Torch
from fkit.detection.conditional import check_places
from fkit.detection.deformable import BOX_ORDER, box_waves
from fkit.detection.detr import Said
from fkit.detection.headed import headed
from fkit.detection.query import ConditionalDETRHead as Logic
from fkit.detection.refine import projection_rules, referred_rules
from fkit.detection.transformer import check_heads
from fkit.zoo.torch.attention import attended
from fkit.zoo.torch.detr.deformable import moved
from fkit.zoo.torch.detr.detector import DETR
from fkit.zoo.torch.detr.head import QueryHead, wide
from fkit.zoo.torch.detr.layer import DetrTransformerDecoder, DetrTransformerDecoderLayer
from fkit.zoo.torch.detr.perceptron import Perceptron

__all__ = [
    "ConditionalAttention",
    "ConditionalDETR",
    "ConditionalDETRHead",
    "ConditionalDetrTransformerDecoder",
    "ConditionalDetrTransformerDecoderLayer",
    "ReferredHead",
    "forget_positions",
]


class ConditionalAttention(nn.Module):
    """Attention whose queries and keys are projected by content and by place, each by a layer of its own.

    Args:
        embed_dims: C.
        attn_drop, proj_drop: dropout of the attention, and after its projection.
        cross_attn: of queries to places: the waves of a query's place are a part of each head of their own.
        keep_query_pos: whether queries' positions are added in every layer, not in a decoder's first one alone.
        batch_first: True: arrays are (N, L, C).
        init_cfg: rules for initial weights, before those of the layer itself.

    Example:
        >>> x = torch.ones(1, 3, 8)
        >>> ConditionalAttention(8, 2)(x, x, query_pos=x, key_pos=x).shape
        torch.Size([1, 3, 8])
    """

    qcontent_proj: nn.Linear
    qpos_proj: nn.Linear | None
    kcontent_proj: nn.Linear
    kpos_proj: nn.Linear
    v_proj: nn.Linear

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        cross_attn: bool = False,
        keep_query_pos: bool = False,
        batch_first: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        check_heads("ConditionalAttention", embed_dims, num_heads)
        del batch_first
        self.init_cfg = projection_rules(init_cfg)
        self.embed_dims, self.num_heads = embed_dims, num_heads
        self.cross_attn, self.keep_query_pos = cross_attn, keep_query_pos
        self.attn_drop, self.proj_drop = Dropout(attn_drop), Dropout(proj_drop)
        for name in ("qcontent_proj", "qpos_proj", "kcontent_proj", "kpos_proj", "v_proj"):
            self.add_module(name, nn.Linear(embed_dims, embed_dims))
        if cross_attn:
            self.qpos_sine_proj = nn.Linear(embed_dims, embed_dims)
        self.out_proj = nn.Linear(embed_dims, embed_dims)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        ref_sine_embed: Tensor | None = None,
        is_first: bool = False,
        **more: Any,
    ) -> Tensor:
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
        q, k, places = self.qcontent_proj(query), self.kcontent_proj(key), self.kpos_proj(key_pos)
        if not self.cross_attn or is_first or self.keep_query_pos:
            assert self.qpos_proj is not None
            q, k = q + self.qpos_proj(query_pos), k + places
        if self.cross_attn:
            q, k = self._joined(q, self.qpos_sine_proj(ref_sine_embed)), self._joined(k, places)
        y = attended(q, k, self.v_proj(value), self.num_heads, self.attn_drop, attn_mask, key_padding_mask)
        return query + self.proj_drop(self.out_proj(y))

    def _joined(self, *parts: Tensor) -> Tensor:
        """Arrays (N, L, C), side by side in each head: (N, L, 2 C)."""
        return torch.cat([part.unflatten(-1, (self.num_heads, -1)) for part in parts], -1).flatten(2)


class ConditionalDetrTransformerDecoderLayer(DetrTransformerDecoderLayer):
    """`DetrTransformerDecoderLayer` of attention by content and places."""

    attends = "ConditionalAttention"
    attends_itself = "ConditionalAttention"


def forget_positions(layers: Any) -> None:
    """Take away what all layers but the first do not ask: the projection of queries' positions."""
    for layer in layers[1:]:
        layer.cross_attn.qpos_proj = None


class ConditionalDetrTransformerDecoder(DetrTransformerDecoder):
    """`DetrTransformerDecoder` of queries that have places, ``ref_point_head``, and scales of these, ``query_scale``."""

    layer = "ConditionalDetrTransformerDecoderLayer"

    def arrange(self, post_norm_cfg: Any) -> None:
        super().arrange(post_norm_cfg)
        width = self.embed_dims
        self.query_scale = Perceptron((width, width, width))
        self.ref_point_head = Perceptron((width, width, 2))
        forget_positions(self.layers)

    def forward(  # type: ignore[override]
        self, query: Tensor, query_pos: Tensor, **more: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Queries (N, Q, C) to those of each layer, (L, N, Q, C), and the places (N, Q, 2) of each; ``more`` is handed to layers."""
        place = wide(self.ref_point_head(query_pos)).sigmoid()
        waves = box_waves(Torch(query.device), place, self.embed_dims // 2, BOX_ORDER[:2]).to(query.dtype)
        states: list[Tensor] = []
        for at, layer in enumerate(self.layers):
            scaled = waves * self.query_scale(query) if at else waves
            query = layer(query, query_pos=query_pos, ref_sine_embed=scaled, is_first=not at, **more)
            states.append(query)
        wanted = states if self.return_intermediate else states[-1:]
        return torch.stack([self.post_norm(state) for state in wanted]), (place,) * len(wanted)


class ReferredHead(QueryHead):
    """`QueryHead` whose boxes are told from the references of each layer."""

    logic: Logic

    def arrange(self) -> None:
        super().arrange()
        self.init_cfg = referred_rules(self.logic)

    def forward(self, said: Said) -> tuple[Tensor, Tensor]:
        assert said.references is not None
        boxes = moved(self.boxes(said.states), torch.stack(said.references), self.logic.eps)
        return wide(self.fc_cls(said.states)), boxes


ConditionalDETRHead = partial(headed, ReferredHead)(Logic)


class ConditionalDETR(DETR):
    """mmdet's ConditionalDETR; see `fkit.zoo.torch.detr.detector.DETR`.

    mode="tensor" gives for ``decoder`` the queries of all layers, and their places.
    """

    coders = ("DetrTransformerEncoder", "ConditionalDetrTransformerDecoder")

    def decoded(self, query: Tensor, query_pos: Tensor, **seen: Any) -> Said:
        return Said(*self.decoder(query, query_pos, **seen))

    def shown(self, memory: Tensor, said: Said) -> dict[str, Any]:
        assert said.references is not None
        return {**super().shown(memory, said), "decoder": (said.states, said.references[0])}
