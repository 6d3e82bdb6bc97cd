"""The feed-forward network of a transformer's block, with OpenMMLab's arguments and names."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear
from fkit.tree.error import FkitValueError

__all__ = ["FFN", "activation"]

Array = jax.Array


def activation(cfg: Any) -> Callable[[Array], Array]:
    """The activation of an ``act_cfg``.

    Raises:
        FkitValueError: its type is unknown.
    """
    kind = str(cfg.get("type", "ReLU"))
    kinds = {"GELU": partial(nn.gelu, approximate=False), "ReLU": nn.relu, "SiLU": nn.silu, "Swish": nn.silu}
    if kind not in kinds:
        raise FkitValueError(f"act_cfg.type={kind!r} is not supported.", value=kind, choices=kinds, label="Activations")
    return kinds[kind]


class FFN(nn.Module):
    """Two linear layers with an activation between, ``layers.0.0`` and ``layers.1``, added to what came in.

    Attributes:
        feedforward_channels: width inside.
        ffn_drop: dropout after each linear layer.
        drop_path: stochastic depth of the branch.
        frozen: no gradient.
    """

    feedforward_channels: int
    ffn_drop: float = 0.0
    drop_path: float = 0.0
    act_cfg: Any = frozendict(type="GELU")
    add_identity: bool = True
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, identity: Array | None = None, train: bool = False) -> Array:
        linear = partial(Linear, trainable=not self.frozen)
        y = x.reshape(x.shape[0], -1, x.shape[-1])  # an element of tokens is counted tokens first, as on torch
        y = activation(self.act_cfg)(linear(self.feedforward_channels, name="layers_0_0")(y))
        y = Dropout(self.ffn_drop, name="layers_0_2")(y, train)
        y = linear(x.shape[-1], name="layers_1")(y)
        y = Dropout(self.ffn_drop, name="layers_2")(y, train)
        y = DropPath(self.drop_path, name="dropout_layer")(y.reshape(x.shape), train)
        return y + (x if identity is None else identity) if self.add_identity else y
