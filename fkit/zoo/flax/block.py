"""The residual block of ResNet and its kin; channels last."""

from functools import partial
from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.resnet import NORM, BlockPlan, Convolution
from fkit.backend.jax.drop import DropPath
from fkit.backend.jax.layers import avg_pool, conv_layer, norm_layer
from fkit.zoo.flax.plugged import plugin_layer, plugin_name

__all__ = ["Block", "convolution"]

Array = jax.Array


class Block(nn.Module):
    """A residual branch of convolutions ``conv1``, ``conv2``, ... and norms ``bn1``, ..., added to its (perhaps downsampled)
    input.

    Attributes:
        plan: what it is made of.
        avg_down: average pooling before the 1x1 of a downsampling shortcut.
        frozen: no gradient, norms in evaluation mode.
        zero_init: the last norm starts at 0.
    """

    plan: BlockPlan
    avg_down: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    frozen: bool = False
    zero_init: bool = False

    @property
    def init_cfg(self) -> Any:
        """The rule of the last norm, with which a block starts as the identity (Goyal et al. 2017, section 5.1)."""
        if not self.zero_init:
            return None
        last = f"{norm_layer(self.norm_cfg)[0]}{len(self.plan.convs)}"
        return frozendict(type="Constant", val=0, override=frozendict(name=last))

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the parts: plugins come last."""
        short = norm_layer(self.norm_cfg)[0]
        convs = [f"{kind}{i}" for i in range(1, len(self.plan.convs) + 1) for kind in ("conv", short)]
        return (*convs, "downsample", *(plugin_name(plugin.cfg, plugin.postfix) for plugin in self.plan.plugins))

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        short, norm = norm_layer(self.norm_cfg)
        y = x
        for i, conv in enumerate(self.plan.convs, 1):
            y = norm(f"{short}{i}", self.frozen)(convolution(conv, self.conv_cfg, self.frozen, f"conv{i}")(y), train)
            y = nn.relu(y) if i < len(self.plan.convs) else y
            for plugin in self.plan.plugins:
                if plugin.after == i:
                    y = plugin_layer(plugin.cfg, conv.width, plugin.postfix, self.frozen)(y, train)
        if self.plan.rate:
            y = DropPath(self.plan.rate, name="drop_path")(y, train)
        return nn.relu(y + self._shortcut(x, train))

    def _shortcut(self, x: Array, train: bool) -> Array:
        """What the branch is added to."""
        norm = norm_layer(self.norm_cfg)[1]
        if self.plan.shortcut:
            at = 1 if self.avg_down else 0  # the pooling layer takes the first place of the Sequential
            x = avg_pool(x, self.plan.shortcut) if self.avg_down else x
            stride = 1 if self.avg_down else self.plan.shortcut
            conv = Convolution(self.plan.inner, self.plan.width, 1, stride)
            x = convolution(conv, self.conv_cfg, self.frozen, f"downsample_{at}")(x)
            x = norm(f"downsample_{at + 1}", self.frozen)(x, train)
        return x


def convolution(conv: Convolution, conv_cfg: Any, frozen: bool, name: str) -> nn.Module:
    """A convolution without a bias."""
    make = partial(conv_layer(conv_cfg if conv.cfg is None else conv.cfg), use_bias=False)
    return make(
        conv.width, (conv.size, conv.size), strides=conv.stride, padding=conv.padding, kernel_dilation=conv.dilation,
        feature_group_count=conv.groups, trainable=not frozen, name=name,
    )  # fmt: skip
