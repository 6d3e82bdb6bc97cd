"""The feed-forward network of a transformer's block, with OpenMMLab's arguments and names."""

from functools import partial
from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout, drop_layer
from fkit.backend.jax.layers import Linear
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.plugin import LayerScale

__all__ = ["FFN"]

Array = jax.Array


class FFN(nn.Module):
    """Linear layers with an activation between, ``layers.0.0`` to ``layers.1``, added to what came in: (..., C) to the same.

    Attributes:
        embed_dims, feedforward_channels: widths outside and inside.
        num_fcs: how many linear layers, at least 2.
        ffn_drop: dropout after each linear layer.
        dropout_layer: config of the dropout of the branch, "Dropout" or "DropPath"; None is none.
        add_identity: whether the input is added.
        layer_scale_init_value: above 0, the branch has a learnt factor a channel, ``gamma2.weight``, that begins with it.
        frozen: no gradient.

    Example:
        >>> FFN(4, 8).init_with_output(jax.random.key(0), jax.numpy.ones((1, 3, 4)))[0].shape
        (1, 3, 4)
    """

    embed_dims: int = 256
    feedforward_channels: int = 1024
    num_fcs: int = 2
    act_cfg: Any = frozendict(type="ReLU")
    ffn_drop: float = 0.0
    dropout_layer: Any = None
    add_identity: bool = True
    init_cfg: Any = None
    layer_scale_init_value: float = 0.0
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.num_fcs < 2:
            raise FkitValueError(f"FFN: num_fcs={self.num_fcs}: at least 2.")
        _ = act_layer(self.act_cfg), drop_layer(self.dropout_layer)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, identity: Array | None = None, train: bool = False) -> Array:
        linear, last = partial(Linear, trainable=not self.frozen), self.num_fcs - 1
        y = x.reshape(x.shape[0], -1, x.shape[-1])  # an element of tokens is counted tokens first, as on torch
        for i in range(last):
            y = linear(self.feedforward_channels, name=f"layers_{i}_0")(y)
            y = act_layer(self.act_cfg)(f"layers_{i}_1")(y)
            y = Dropout(self.ffn_drop, name=f"layers_{i}_2")(y, train)
        y = linear(self.embed_dims, name=f"layers_{last}")(y)
        y = Dropout(self.ffn_drop, name=f"layers_{last + 1}")(y, train)
        if self.layer_scale_init_value > 0:
            y = self._scaled(y)
        y = drop_layer(self.dropout_layer)("dropout_layer")(y.reshape(x.shape), train)
        return y + (x if identity is None else identity) if self.add_identity else y

    def _scaled(self, y: Array) -> Array:
        scale = self.layer_scale_init_value
        return LayerScale(self.embed_dims, scale=scale, trainable=not self.frozen, name="gamma2")(y)
