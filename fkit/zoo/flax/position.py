"""Positions of maps for transformers, with OpenMMLab's arguments and names; channels last."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.array.position import sine
from fkit.backend.jax.ops import JaxOps
from fkit.detection.transformer import check_grid, check_positions

__all__ = ["Embedding", "LearnedPositionalEncoding", "SinePositionalEncoding"]

Array = jax.Array


class SinePositionalEncoding(nn.Module):
    """Sines and cosines of places that are no padding; see `fkit.array.position.sine`.

    Attributes:
        num_feats: numbers an axis; a call gives twice that, of rows and columns.
        temperature, normalize, scale, eps, offset: as there.

    Called as ``(mask (N, H, W), input)`` it gives (N, H, W, 2 * num_feats) in the kind of ``input`` (N, H, W, C), or in float32.
    One of the two may be None: then there is no padding, or no input.

    Example:
        >>> SinePositionalEncoding(4).apply({}, jnp.zeros((1, 2, 3))).shape
        (1, 2, 3, 8)
    """

    num_feats: int
    temperature: float = 10000
    normalize: bool = False
    scale: float = 2 * math.pi
    eps: float = 1e-6
    offset: float = 0.0
    init_cfg: Any = None

    @nn.compact
    def __call__(self, mask: Array | None, input: Array | None = None, train: bool = False) -> Array:
        del train
        check_positions(mask, input)
        if mask is None:
            assert input is not None
            mask = jnp.zeros(input.shape[:3], jnp.bool_)
        like = "float32" if input is None else input
        return sine(
            JaxOps(), mask, like, self.num_feats, self.temperature, self.normalize, self.scale, self.eps, self.offset
        )


class Embedding(nn.Embed):
    """`nn.Embed` as a torch ``Embedding``."""

    torch_class: ClassVar[str] = "Embedding"


class LearnedPositionalEncoding(nn.Module):
    """A learnt vector a column, ``col_embed``, and one a row, ``row_embed``, one after the other.

    Attributes:
        num_feats: numbers of each; called as ``(mask (N, H, W))`` it gives (N, H, W, 2 * num_feats).
        row_num_embed, col_num_embed: how many rows and columns there may be.

    Example:
        >>> LearnedPositionalEncoding(4).init_with_output(jax.random.key(0), jnp.zeros((1, 2, 3)))[0].shape
        (1, 2, 3, 8)
    """

    num_feats: int
    row_num_embed: int = 50
    col_num_embed: int = 50
    init_cfg: Any = frozendict(type="Uniform", layer="Embedding")

    @nn.compact
    def __call__(self, mask: Array, train: bool = False) -> Array:
        del train
        count, high, wide = mask.shape
        check_grid((high, wide), (self.row_num_embed, self.col_num_embed))
        rows = Embedding(self.row_num_embed, self.num_feats, name="row_embed")(jnp.arange(high))
        columns = Embedding(self.col_num_embed, self.num_feats, name="col_embed")(jnp.arange(wide))
        shape = (count, high, wide, self.num_feats)
        return jnp.concatenate([jnp.broadcast_to(columns, shape), jnp.broadcast_to(rows[:, None], shape)], -1)
