"""SCNet (Liu et al. 2020): a ResNet whose bottlenecks calibrate one half of their channels, with mmpose's parameter names;
channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backbone.resnet import Convolution
from fkit.backend.jax.layers import norm_layer
from fkit.backend.jax.resize import interpolate
from fkit.pose.plan import expect_bottlenecks
from fkit.zoo.flax.block import Block, convolution
from fkit.zoo.flax.resnet import ResNet

__all__ = ["SCBlock", "SCConv", "SCNet"]

Array = jax.Array


class SCConv(nn.Module):
    """A 3x3 convolution times what a coarser view of the map says, and another."""

    width: int
    stride: int
    conv_cfg: Any
    norm_cfg: Any
    frozen: bool

    def _layer(self, x: Array, name: str, at: int, stride: int, train: bool) -> Array:
        conv = Convolution(self.width, self.width, 3, stride)
        x = convolution(conv, self.conv_cfg, self.frozen, f"{name}_{at}")(x)
        return norm_layer(self.norm_cfg)[1](f"{name}_{at + 1}", self.frozen)(x, train)  # pyright: ignore[reportCallIssue]

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        coarse = self._layer(nn.avg_pool(x, (4, 4), (4, 4)), "k2", 1, 1, train)
        weight = nn.sigmoid(x + interpolate(coarse, x.shape[1:3]))
        return nn.relu(self._layer(self._layer(x, "k3", 0, 1, train) * weight, "k4", 0, self.stride, train))


class SCBlock(Block):
    """A bottleneck of two halves, one by a 3x3 convolution, ``k1``, one by `SCConv`; see `Block`."""

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the parts."""
        short = norm_layer(self.norm_cfg)[0]
        return (*(f"{kind}{i}" for i in (1, 2, 3) for kind in ("conv", short)), "downsample", "k1", "scconv")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        plan, (short, norm) = self.plan, norm_layer(self.norm_cfg)
        half, stride = plan.width // 8, plan.convs[0].stride * plan.convs[1].stride

        def layer(x: Array, width: int, names: tuple[str, str], size: int = 1, step: int = 1) -> Array:
            conv = Convolution(x.shape[-1], width, size, step)
            x = convolution(conv, self.conv_cfg, self.frozen, names[0])(x)
            return norm(names[1], self.frozen)(x, train)  # pyright: ignore[reportCallIssue]

        one = nn.relu(layer(x, half, ("conv1", f"{short}1")))
        one = nn.relu(layer(one, half, ("k1_0", "k1_1"), 3, stride))
        two = nn.relu(layer(x, half, ("conv2", f"{short}2")))
        two = SCConv(half, stride, self.conv_cfg, self.norm_cfg, self.frozen, name="scconv")(two, train)
        y = layer(jnp.concatenate([one, two], -1), plan.width, ("conv3", f"{short}3"))
        return nn.relu(y + self._shortcut(x, train))


class SCNet(ResNet):
    """SCNet, a backbone: images (N, H, W, C) to the last stage's map, at stride 32; see `ResNet`.

    Attributes:
        depth: 50 or 101.
    """

    stem_channels: int | None = 64
    out_indices: tuple[int, ...] = (3,)
    named_stem: bool = True
    block: ClassVar[Any] = SCBlock

    def __post_init__(self) -> None:
        expect_bottlenecks("SCNet", self.depth, (50, 101))
        super().__post_init__()
