"""Channels weighed by what the whole map says of them (Hu et al. 2018); channels last."""

from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.zoo.flax.brick import ConvModule

__all__ = ["SELayer"]

Array = jax.Array

_ACTS = (RELU, frozendict(type="Sigmoid"))


class SELayer(nn.Module):
    """Each channel times a weight that the mean of all positions decides: ``conv1`` and ``conv2``, of 1x1.

    Attributes:
        in_channels: of the map.
        ratio: by how much channels are fewer inside.
        conv_cfg, norm_cfg, act_cfg: layers; a norm and an activation each, or one of each for both.
        frozen: no gradient.
    """

    in_channels: int
    ratio: float = 16
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = _ACTS
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        acts = self.act_cfg if isinstance(self.act_cfg, (tuple, list)) else (self.act_cfg, self.act_cfg)
        inner = int(self.in_channels / self.ratio)
        options: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "frozen": self.frozen}
        y = ConvModule(self.in_channels, inner, 1, act_cfg=acts[0], name="conv1", **options)(
            x.mean((1, 2), keepdims=True), train
        )
        return x * ConvModule(inner, self.in_channels, 1, act_cfg=acts[1], name="conv2", **options)(y, train)
