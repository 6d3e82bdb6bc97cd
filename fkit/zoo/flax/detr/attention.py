"""Attention at a few places of several maps (Zhu et al. 2021), with mmcv's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.ops import JaxOps
from fkit.detection.deformable import offsets, sampled, sizes_of, spots
from fkit.detection.refine import sampling_rules
from fkit.detection.transformer import check_heads

__all__ = ["MultiScaleDeformableAttention"]

Array = jax.Array


class MultiScaleDeformableAttention(nn.Module):
    """Values at places that each query names, ``sampling_offsets``, by weights that it names, ``attention_weights``.

    Attributes:
        embed_dims: C.
        num_levels: maps.
        num_points: places of each head in each map.
        im2col_step: accepted: changes no number.
        dropout: of what comes out.
        batch_first: whether arrays are (N, L, C), not (L, N, C).
        norm_cfg: accepted: there is no norm, as in mmcv.
        init_cfg: rules for initial weights, before those of the layer itself.
        value_proj_ratio: the width of values as a share of C.

    Example:
        >>> attention = MultiScaleDeformableAttention(8, 2, 1, 2, batch_first=True)
        >>> query, value, places = jnp.ones((1, 3, 8)), jnp.ones((1, 4, 8)), jnp.full((1, 3, 1, 2), 0.5)
        >>> more = {"reference_points": places, "spatial_shapes": ((2, 2),)}
        >>> attention.init_with_output(jax.random.key(0), query, value=value, **more)[0].shape
        (1, 3, 8)
    """

    embed_dims: int = 256
    num_heads: int = 8
    num_levels: int = 4
    num_points: int = 4
    im2col_step: int = 64
    dropout: float = 0.1
    batch_first: bool = False
    norm_cfg: Any = None
    init_cfg: Any = None
    value_proj_ratio: float = 1.0
    torch_order: ClassVar[tuple[str, ...]] = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")

    def __post_init__(self) -> None:
        check_heads("MultiScaleDeformableAttention", self.embed_dims, self.num_heads)
        super().__post_init__()

    @property
    def init_rules(self) -> Any:
        """Rules for initial weights."""
        return sampling_rules(self.init_cfg, offsets(self.num_heads, self.num_levels, self.num_points))

    @nn.compact
    def __call__(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        identity: Array | None = None,
        query_pos: Array | None = None,
        key_padding_mask: Array | None = None,
        reference_points: Array | None = None,
        spatial_shapes: Any = None,
        train: bool = False,
        **more: Any,
    ) -> Array:
        """Queries (N, Q, C) to queries.

        Args:
            value: (N, L, C), the maps' places one behind the other; None: the queries.
            key_padding_mask: (N, L), True for padding, whose values are 0.
            reference_points: see `fkit.detection.deformable.spots`.
            spatial_shapes: (height, width) of each map.
            more: what other attentions of a layer take.
        """
        del key, more
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.swapaxes(0, 1), value.swapaxes(0, 1)
        xp, sizes = JaxOps(), sizes_of(spatial_shapes)
        kept = Linear(int(self.embed_dims * self.value_proj_ratio), name="value_proj")(value)
        if key_padding_mask is not None:
            kept = jnp.where(key_padding_mask[..., None], 0, kept)
        shape = (*query.shape[:2], self.num_heads, self.num_levels, self.num_points)
        count = self.num_heads * self.num_levels * self.num_points
        moves = Linear(count * 2, name="sampling_offsets")(query).reshape(*shape, 2)
        weights = Linear(count, name="attention_weights")(query).reshape(*shape[:3], -1)
        places = spots(xp, reference_points, moves, sizes)
        values = kept.reshape(*kept.shape[:2], self.num_heads, -1)
        y = sampled(xp, values, sizes, places, nn.softmax(weights, -1).reshape(shape))
        y = Linear(self.embed_dims, name="output_proj")(y)
        return Dropout(self.dropout, name="dropout")(y if self.batch_first else y.swapaxes(0, 1), train) + identity
