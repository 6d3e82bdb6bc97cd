"""ResNeSt (Zhang et al. 2022), with OpenMMLab's arguments and parameter names; channels last."""

from functools import partial
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.backbone.resnest import inner_width, split_stages
from fkit.backbone.resnet import BlockPlan, Convolution
from fkit.backend.jax.drop import DropPath
from fkit.backend.jax.layers import Conv2d, norm_layer
from fkit.zoo.flax.block import Block, convolution
from fkit.zoo.flax.plugged import plugin_layer, plugin_name
from fkit.zoo.flax.resnet import ResNet

__all__ = ["DetResNeSt", "LastResNeSt", "ResNeSt", "SegResNeSt", "SplitAttention"]

Array = jax.Array


class SplitAttention(nn.Module):
    """A convolution to several splits, which are added by weights that a small network gives of their sum's mean: ``conv``,
    ``bn0``, ``fc1``, ``bn1``, ``fc2``.

    Attributes:
        conv_plan: of one split.
        radix: how many there are.
        reduction: see `inner_width`.
    """

    conv_plan: Convolution
    radix: int
    reduction: int
    conv_cfg: Any
    norm_cfg: Any
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        kept: dict[str, Any] = {"trainable": not self.frozen}
        plan, radix = self.conv_plan, self.radix
        (short, norm), groups = norm_layer(self.norm_cfg), plan.groups
        inner = inner_width(plan.inner, radix, self.reduction)
        wide = plan._replace(width=plan.width * radix, groups=groups * radix)
        first: Any = norm(f"{short}0", self.frozen)
        x = nn.relu(first(convolution(wide, self.conv_cfg, self.frozen, "conv")(x), train))
        splits = x.reshape(*x.shape[:3], radix, -1)
        mean = splits.sum(3).mean((1, 2), keepdims=True)
        mean = Conv2d(inner, (1, 1), feature_group_count=groups, name="fc1", **kept)(mean)
        second: Any = norm(f"{short}1", self.frozen)
        mean = nn.relu(second(mean, train))
        weights = Conv2d(wide.width, (1, 1), feature_group_count=groups, name="fc2", **kept)(mean)
        if radix == 1:
            return x * nn.sigmoid(weights)
        weights = nn.softmax(weights.reshape(x.shape[0], groups, radix, -1).swapaxes(1, 2), 1)
        return (weights.reshape(x.shape[0], 1, 1, radix, -1) * splits).sum(3)


class SplitBlock(Block):
    """A bottleneck with a `SplitAttention` in place of the 3x3; a stride is a mean after it, if ``split`` says so."""

    split: tuple[int, int, bool] = (2, 4, True)

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the parts."""
        short = norm_layer(self.norm_cfg)[0]
        plugins = (plugin_name(plugin.cfg, plugin.postfix) for plugin in self.plan.plugins)
        return ("conv1", f"{short}1", "conv2", "conv3", f"{short}3", "downsample", *plugins)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        short, norm = norm_layer(self.norm_cfg)
        one, two, three = self.plan.convs
        radix, reduction, pools = self.split
        stride = two.stride if pools and two.stride > 1 else 0
        first: Any = norm(f"{short}1", self.frozen)
        y = nn.relu(first(convolution(one, self.conv_cfg, self.frozen, "conv1")(x), train))
        y = self._plugged(y, 1, train)
        options = (radix, reduction, self.conv_cfg, self.norm_cfg, self.frozen)
        y = SplitAttention(two._replace(stride=1) if stride else two, *options, name="conv2")(y, train)
        pad: Any = ((1, 1), (1, 1))
        y = nn.avg_pool(y, (3, 3), (stride, stride), pad) if stride else y
        y = self._plugged(y, 2, train)
        last: Any = norm(f"{short}3", self.frozen)
        y = self._plugged(last(convolution(three, self.conv_cfg, self.frozen, "conv3")(y), train), 3, train)
        y = DropPath(self.plan.rate, name="drop_path")(y, train) if self.plan.rate else y
        return nn.relu(y + self._shortcut(x, train))

    def _plugged(self, x: Array, place: int, train: bool) -> Array:
        for plugin in self.plan.plugins:
            if plugin.after == place:
                x = plugin_layer(plugin.cfg, x.shape[-1], plugin.postfix, self.frozen)(x, train)
        return x


class ResNeSt(ResNet):
    """ResNeSt, a backbone: images (N, H, W, C) to maps at strides 4, 8, 16, 32; with a deep stem, and pooling in shortcuts.

    Attributes:
        depth: 50, 101, 152, 200 or 269.
        groups, base_width: of the 3x3, as ResNeXt has them; ``width_per_group`` is ``base_width``'s name in mmpretrain.
        radix: splits of the 3x3's channels.
        reduction_factor: of the channels inside of the attention to them.
        avg_down_stride: a mean in place of the 3x3's stride.

    All others are as `ResNet` has them.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    radix: int = 2
    reduction_factor: int = 4
    avg_down_stride: bool = True
    width_per_group: int | None = None
    deep_stem: bool = True
    avg_down: bool = True
    tells_first: ClassVar[bool] = False

    @property
    def block(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The blocks, which know their splits."""
        return partial(SplitBlock, split=(self.radix, self.reduction_factor, self.avg_down_stride))

    @property
    def plans(self) -> tuple[tuple[BlockPlan, ...], ...]:
        """The blocks of each stage."""
        return split_stages(
            self.radix, self.reduction_factor, depth=self.depth, stem=self.stem_width, base=self.base_channels,
            count=self.num_stages, strides=self.strides, dilations=self.dilations, outputs=self.out_indices,
            style=self.style, conv_cfg=self.conv_cfg, plugins=self.plugins, multi_grid=self.multi_grid,
            contract_dilation=self.contract_dilation, groups=self.groups,
            base_width=self.base_width if self.width_per_group is None else self.width_per_group,
            drop_path_rate=self.drop_path_rate,
        )  # fmt: skip


# mmdet's keeps batch norms in evaluation mode; mmseg's has a stem of 64 channels; mmpose's and mmpretrain's give the last map
DetResNeSt = partial(ResNeSt, norm_eval=True)
SegResNeSt = partial(ResNeSt, stem_channels=64)
LastResNeSt = partial(ResNeSt, stem_channels=64, out_indices=(3,), named_stem=True)
