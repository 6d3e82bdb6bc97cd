"""Small backbones: a ConvNet and an MLP."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import Conv2d, Linear, max_pool, norm_layer
from fkit.tree.error import FkitValueError

__all__ = ["MLP", "ConvNet"]

Array = jax.Array


class ConvNet(nn.Module):
    """Stages of 3x3 convolution, norm, ReLU and 2x2 max pooling, then dropout.

    Attributes:
        in_channels: C of the images.
        channels: of each stage.
        norm_cfg: the norm layer.
        dropout: rate after the last stage.
        out_indices: stages whose maps are given; None is the last.
        init_cfg: rules for initial weights.

    Gives a tuple of (N, H / 2**(i+1), W / 2**(i+1), channels[i]). Names: ``conv1``, ``bn1``, ``conv2``, ...
    """

    in_channels: int = 1
    channels: tuple[int, ...] = (32, 64)
    norm_cfg: Any = frozendict(type="BN")
    dropout: float = 0.25
    out_indices: tuple[int, ...] | None = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        if not self.channels or not all(0 <= i < len(self.channels) for i in self.out_indices or ()):
            raise FkitValueError(f"ConvNet: out_indices={self.out_indices}, but there are {len(self.channels)} stages.")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        short, norm = norm_layer(self.norm_cfg)
        last = len(self.channels)
        stages = (last - 1,) if self.out_indices is None else tuple(self.out_indices)
        check_channels("ConvNet", x, self.in_channels)
        maps: list[Array] = []
        for i, width in enumerate(self.channels, 1):
            x = Conv2d(width, (3, 3), padding=1, use_bias=False, name=f"conv{i}")(x)
            x = nn.relu(norm(name=f"{short}{i}")(x, train))
            x = max_pool(x, 2)
            if i == last:
                x = Dropout(self.dropout, name="drop")(x, train)
            if i - 1 in stages:
                maps.append(x)
        return tuple(maps)


class MLP(nn.Module):
    """Linear layers with ReLU over the flattened input (C, H, W order), each followed by dropout.

    Attributes:
        in_channels: elements of a sample, C * H * W.
        hidden: widths.
        dropout: rate after each layer.
        init_cfg: rules for initial weights.

    Gives a tuple with (N, hidden[-1]). Names: ``fc1``, ``drop1``, ``fc2``, ...
    """

    in_channels: int
    hidden: tuple[int, ...] = (64,)
    dropout: float = 0.0
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        x = jnp.moveaxis(x, -1, 1).reshape(x.shape[0], -1)
        check_channels("MLP", x, self.in_channels)
        for i, width in enumerate(self.hidden, 1):
            x = nn.relu(Linear(width, name=f"fc{i}")(x))
            x = Dropout(self.dropout, name=f"drop{i}")(x, train)
        return (x,)


def check_channels(name: str, x: Array, expected: int) -> None:
    """flax infers input widths; the config states them, and a mismatch is the user's mistake."""
    if x.shape[-1] != expected:
        raise FkitValueError(f"{name}: in_channels={expected}, but the inputs have {x.shape[-1]}.")
