"""Res2Net (Gao et al. 2019), with OpenMMLab's arguments and parameter names; channels last."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backbone.res2net import res2_stages
from fkit.backbone.resnet import BlockPlan
from fkit.backend.jax.layers import norm_layer
from fkit.zoo.flax.block import Block, convolution
from fkit.zoo.flax.plugged import plugin_layer, plugin_name
from fkit.zoo.flax.resnet import ResNet

__all__ = ["LastRes2Net", "Res2Net"]

Array = jax.Array


class Res2Block(Block):
    """A bottleneck whose 3x3 convolutions ``convs`` each see a part of the channels, and what the one before gave.

    Attributes:
        first: of its stage: then each sees its part alone.
        pools: whether the last part of a first block is pooled even without a stride.
    """

    first: bool = False
    pools: bool = False

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the parts."""
        short = norm_layer(self.norm_cfg)[0]
        plugins = (plugin_name(plugin.cfg, plugin.postfix) for plugin in self.plan.plugins)
        return ("conv1", f"{short}1", "conv3", f"{short}3", "downsample", *plugins, "convs", "bns")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        short, norm = norm_layer(self.norm_cfg)
        one, part, three = self.plan.convs
        y = norm(f"{short}1", self.frozen)(convolution(one, self.conv_cfg, self.frozen, "conv1")(x), train)
        y = self._plugged(nn.relu(y), 1, train)
        *parts, last = jnp.split(y, one.width // part.width, -1)
        outs: list[Array] = []
        for i, y in enumerate(parts):
            seen = y if self.first or not outs else outs[-1] + y
            seen = convolution(part, self.conv_cfg, self.frozen, f"convs_{i}")(seen)
            outs.append(nn.relu(norm(f"bns_{i}", self.frozen)(seen, train)))
        if self.first and (part.stride > 1 or self.pools):
            pad: Any = ((1, 1), (1, 1))
            last = nn.avg_pool(last, (3, 3), (part.stride,) * 2, pad)
        y = self._plugged(jnp.concatenate([*outs, last], -1), 2, train)
        y = norm(f"{short}3", self.frozen)(convolution(three, self.conv_cfg, self.frozen, "conv3")(y), train)
        return nn.relu(self._plugged(y, 3, train) + self._shortcut(x, train))

    def _plugged(self, x: Array, place: int, train: bool) -> Array:
        for plugin in self.plan.plugins:
            if plugin.after == place:
                x = plugin_layer(plugin.cfg, x.shape[-1], plugin.postfix, self.frozen)(x, train)
        return x


class Res2Net(ResNet):
    """Res2Net, a backbone: images (N, H, W, C) to maps at strides 4, 8, 16, 32; with a deep stem, and pooling in shortcuts.

    Attributes:
        scales: into how many parts the channels of a block are split.
        base_width: channels of a part, a 64 of width.
        depth: 50, 101 or 152.
        norm_eval: batch norms stay in evaluation mode.

    All others are as `ResNet` has them.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    scales: int = 4
    base_width: int = 26
    deep_stem: bool = True
    avg_down: bool = True
    norm_eval: bool = True
    zero_init_residual: bool = False
    block: ClassVar[Any] = Res2Block
    tells_first: ClassVar[bool] = True

    @property
    def plans(self) -> tuple[tuple[BlockPlan, ...], ...]:
        """The blocks of each stage."""
        return res2_stages(
            "Res2Net", self.scales, self.base_width, depth=self.depth, base=self.base_channels, stem=self.stem_width,
            count=self.num_stages, strides=self.strides, dilations=self.dilations, outputs=self.out_indices,
            style="pytorch", conv_cfg=self.conv_cfg, dcn=self.dcn, stage_with_dcn=self.stage_with_dcn,
            plugins=self.plugins,
        )  # fmt: skip


# mmpretrain's: trained from scratch, its last stage's map
LastRes2Net = partial(
    Res2Net, norm_eval=False, out_indices=(3,), named_stem=True, stem_channels=64, zero_init_residual=True
)
