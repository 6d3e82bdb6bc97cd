"""ResNeSt (Zhang et al. 2022), with OpenMMLab's arguments and parameter names."""

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.resnest import inner_width, split_stages
from fkit.backbone.resnet import NORM, BlockPlan, Convolution
from fkit.backend.torch.layers import norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.block import Block, convolution
from fkit.zoo.torch.resnet import ResNet

__all__ = ["DetResNeSt", "LastResNeSt", "ResNeSt", "SegResNeSt", "SplitAttention"]


class SplitAttention(nn.Module):
    """A convolution to several splits, which are added by weights that a small network gives of their sum's mean: ``conv``,
    ``bn0``, ``fc1``, ``bn1``, ``fc2``.

    Args:
        conv: of one split.
        radix: how many there are.
        reduction: see `inner_width`.
    """

    def __init__(self, conv: Convolution, radix: int, reduction: int, conv_cfg: Any, norm_cfg: Any) -> None:
        super().__init__()
        self.radix, self.groups = radix, conv.groups
        inner = inner_width(conv.inner, radix, reduction)
        wide = conv._replace(width=conv.width * radix, groups=conv.groups * radix)
        self.conv = convolution(wide, conv_cfg)
        short, norm = norm_layer(norm_cfg, wide.width)
        self.add_module(f"{short}0", norm)
        self.fc1 = nn.Conv2d(conv.width, inner, 1, groups=conv.groups)
        self.add_module(f"{short}1", norm_layer(norm_cfg, inner)[1])
        self.fc2 = nn.Conv2d(inner, wide.width, 1, groups=conv.groups)
        self.names = (f"{short}0", f"{short}1")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(getattr(self, self.names[0])(self.conv(x)))
        splits = x.unflatten(1, (self.radix, -1))
        mean = splits.sum(1).mean((2, 3), keepdim=True)
        weights = self.fc2(F.relu(getattr(self, self.names[1])(self.fc1(mean))))
        if self.radix == 1:
            return x * weights.sigmoid()
        weights = weights.view(x.shape[0], self.groups, self.radix, -1).transpose(1, 2).softmax(1)
        return (weights.reshape(x.shape[0], self.radix, -1, 1, 1) * splits).sum(1)


class SplitBlock(Block):
    """A bottleneck with a `SplitAttention` in place of the 3x3; a stride is a mean after it, if ``pools``."""

    def __init__(
        self, plan: BlockPlan, options: tuple[bool, bool, Any, Any], zero_init: bool, split: tuple[int, int, bool]
    ) -> None:
        _, _, conv_cfg, norm_cfg = options
        super().__init__(plan, *options, zero_init)
        radix, reduction, pools = split
        conv, norm = self.layers[1]
        delattr(self, norm)
        inner = plan.convs[1]
        self.stride = inner.stride if pools and inner.stride > 1 else 0
        inner = inner._replace(stride=1) if self.stride else inner
        setattr(self, conv, SplitAttention(inner, radix, reduction, conv_cfg, norm_cfg))

    def _branch(self, x: Tensor) -> Tensor:
        (conv1, norm1), (conv2, _), (conv3, norm3) = self.layers
        y = self._plugged(F.relu(getattr(self, norm1)(getattr(self, conv1)(x))), 0)
        y = getattr(self, conv2)(y)
        y = F.avg_pool2d(y, 3, self.stride, 1) if self.stride else y
        y = getattr(self, norm3)(getattr(self, conv3)(self._plugged(y, 1)))
        y = self._plugged(y, 2)
        y = y if self.drop_path is None else self.drop_path(y)
        return y + (x if self.downsample is None else self.downsample(x))

    def _plugged(self, x: Tensor, place: int) -> Tensor:
        for plugin in self.plugins[place]:
            x = getattr(self, plugin)(x)
        return x


class ResNeSt(ResNet):
    """ResNeSt, a backbone: images (N, C, H, W) to maps at strides 4, 8, 16, 32; with a deep stem, and pooling in shortcuts.

    Args:
        depth: 50, 101, 152, 200 or 269.
        groups, base_width: of the 3x3, as ResNeXt has them; ``width_per_group`` is ``base_width``'s name in mmpretrain.
        radix: splits of the 3x3's channels.
        reduction_factor: of the channels inside of the attention to them.
        avg_down_stride: a mean in place of the 3x3's stride.
        stem_channels, strides, ...: as of `ResNet`.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        depth: int,
        groups: int = 1,
        base_width: int = 4,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        in_channels: int = 3,
        stem_channels: int | None = None,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: tuple[int, ...] = (1, 2, 2, 2),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        style: str = "pytorch",
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        plugins: Any = None,
        multi_grid: tuple[int, ...] | None = None,
        contract_dilation: bool = False,
        pretrained: Any = None,
        init_cfg: Any = None,
        *,
        width_per_group: int | None = None,
        named_stem: bool = False,
        drop_path_rate: float = 0.0,
    ) -> None:
        nn.Module.__init__(self)
        self.deep_stem, self.named_stem = True, named_stem
        self.split = (radix, reduction_factor, avg_down_stride)
        stem = base_channels if stem_channels is None else stem_channels
        plans = split_stages(
            radix, reduction_factor, depth=depth, stem=stem, base=base_channels, count=num_stages, strides=strides,
            dilations=dilations, outputs=out_indices, style=style, conv_cfg=conv_cfg, plugins=plugins,
            multi_grid=multi_grid, contract_dilation=contract_dilation, groups=groups,
            base_width=base_width if width_per_group is None else width_per_group, drop_path_rate=drop_path_rate,
        )  # fmt: skip
        self._assemble(
            plans, (in_channels, stem), out_indices, frozen_stages, norm_eval,
            init_cfg_of(pretrained, init_cfg, "ResNeSt"), zero_init_residual, (True, with_cp, conv_cfg, norm_cfg),
        )  # fmt: skip

    def _block(self, plan: BlockPlan, first: bool, options: tuple[bool, bool, Any, Any], zero_init: bool) -> Block:
        pooled = plan.shortcut > 1 or not self.named_stem
        return SplitBlock(plan, (pooled, *options[1:]), zero_init, self.split)


# mmdet's keeps batch norms in evaluation mode; mmseg's has a stem of 64 channels; mmpose's and mmpretrain's give the last map
DetResNeSt = partial(ResNeSt, norm_eval=True)
SegResNeSt = partial(ResNeSt, stem_channels=64)
LastResNeSt = partial(ResNeSt, stem_channels=64, out_indices=(3,), named_stem=True)
