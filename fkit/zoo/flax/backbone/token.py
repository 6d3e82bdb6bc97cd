"""What transformers over tokens are made of: attention with one projection, gated feed-forward networks, positions."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.array.resample import cubic
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.resize import interpolate
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.plugin import LayerScale

__all__ = ["SelfAttention", "SwiGLU", "attend", "normalised", "resized_places"]

Array = jax.Array


def attend(
    q: Array, k: Array, v: Array, drop: Any, train: bool, bias: Array | None = None, scale: float | None = None
) -> Array:
    """Softmax attention of (N, heads, L, C) to (N, heads, S, C), with a bias that is added to its scores."""
    scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.swapaxes(-2, -1)
    scores = nn.softmax(scores if bias is None else scores + bias, -1).astype(v.dtype)
    if drop is not None:
        scores = drop(scores.reshape(*scores.shape[:2], -1), train).reshape(scores.shape)
    return scores @ v


def normalised(x: Array) -> Array:
    """torch's ``normalize`` of the last axis: rows of length 1, but for those that are next to 0."""
    square = jnp.square(x).sum(-1, keepdims=True)
    size = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    return x / jnp.maximum(size, 1e-12)


class SelfAttention(nn.Module):
    """Attention among tokens (N, L, C): ``qkv``, ``proj``, and perhaps a factor a channel, ``gamma1.weight``.

    Attributes:
        num_heads: how many parts C falls into.
        attn_drop, proj_drop, drop_path: rates.
        qkv_bias, proj_bias: whether these have one.
        scale: above 0, what the factor begins with.
        trainable: False is no gradient.
    """

    num_heads: int
    attn_drop: float = 0.0
    proj_drop: float = 0.0
    drop_path: float = 0.0
    qkv_bias: bool = True
    proj_bias: bool = True
    scale: float = 0.0
    trainable: bool = True

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        count, length, width = x.shape
        parts = Linear(3 * width, use_bias=self.qkv_bias, trainable=self.trainable, name="qkv")(x)
        q, k, v = parts.reshape(count, length, 3, self.num_heads, -1).transpose(2, 0, 3, 1, 4)
        x = attend(q, k, v, Dropout(self.attn_drop, name="attn_drop"), train)
        x = x.transpose(0, 2, 1, 3).reshape(count, length, width)
        x = Linear(width, use_bias=self.proj_bias, trainable=self.trainable, name="proj")(x)
        x = Dropout(self.proj_drop, name="proj_drop")(x, train)
        if self.scale > 0:
            x = LayerScale(width, scale=self.scale, trainable=self.trainable, name="gamma1")(x)
        return DropPath(self.drop_path, name="out_drop")(x, train)


class SwiGLU(nn.Module):
    """A gated feed-forward network (Shazeer 2020): ``w12``, ``w3``; added to what came in. Two thirds as wide inside as it is
    told, in eights.

    Attributes:
        embed_dims, feedforward_channels: widths outside and inside.
        layer_scale_init_value: above 0, the branch has a factor a channel, ``gamma2.weight``, that begins with it.
    """

    embed_dims: int
    feedforward_channels: int
    layer_scale_init_value: float = 0.0
    trainable: bool = True
    torch_order: ClassVar[tuple[str, ...]] = ("w12", "w3", "gamma2")

    @nn.compact
    def __call__(self, x: Array, identity: Array | None = None, train: bool = False) -> Array:
        del train
        hidden = (int(self.feedforward_channels * 2 / 3) + 7) // 8 * 8
        one, two = jnp.split(Linear(2 * hidden, trainable=self.trainable, name="w12")(x), 2, -1)
        y = Linear(self.embed_dims, trainable=self.trainable, name="w3")(nn.silu(one) * two)
        if self.layer_scale_init_value > 0:
            scale = self.layer_scale_init_value
            y = LayerScale(self.embed_dims, scale=scale, trainable=self.trainable, name="gamma2")(y)
        return y + (x if identity is None else identity)


def resized_places(
    table: Array, grid: tuple[int, int], size: tuple[int, int], extra: int, mode: str = "bicubic"
) -> Array:
    """Positions (1, extra + L, C) for another grid of patches; the first ``extra`` stay.

    Raises:
        FkitValueError: the table is of no such grid.
    """
    if tuple(grid) == tuple(size):
        return table
    if table.shape[1] != extra + grid[0] * grid[1]:
        raise FkitValueError(f"{table.shape[1]} positions for {extra} tokens and a grid of {grid[0]} x {grid[1]}.")
    maps = table[:, extra:].reshape(1, *grid, -1)
    if mode == "bicubic":
        down, right = (jnp.asarray(cubic(*pair), table.dtype) for pair in zip(grid, size, strict=True))
        maps = jnp.einsum("ia,jb,nabc->nijc", down, right, maps)
    else:
        maps = interpolate(maps, size, mode=mode)
    return jnp.concatenate((table[:, :extra], maps.reshape(1, size[0] * size[1], -1)), 1)
