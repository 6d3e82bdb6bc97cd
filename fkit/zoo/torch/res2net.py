"""Res2Net (Gao et al. 2019), with OpenMMLab's arguments and parameter names."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.res2net import res2_stages
from fkit.backbone.resnet import NORM, BlockPlan
from fkit.backend.torch.layers import norm_layer
from fkit.backend.torch.settled import normed
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.block import Block, convolution
from fkit.zoo.torch.resnet import ResNet

__all__ = ["LastRes2Net", "Res2Net"]


class Res2Block(Block):
    """A bottleneck whose 3x3 convolutions ``convs`` each see a part of the channels, and what the one before gave.

    Args:
        first: of its stage: then each sees its part alone.
        pools: whether the last part of a first block is pooled.
    """

    def __init__(
        self,
        plan: BlockPlan,
        avg_down: bool,
        with_cp: bool,
        conv_cfg: Any,
        norm_cfg: Any,
        zero_init: bool,
        first: bool,
        pools: bool,
    ) -> None:
        one, part, three = plan.convs
        whole = (one, part._replace(width=one.width), three)  # what plugins see
        super().__init__(plan._replace(convs=whole), avg_down, with_cp, conv_cfg, norm_cfg, zero_init)
        conv, norm = self.layers[1]
        delattr(self, conv)
        delattr(self, norm)
        self.first, self.pools, self.width, self.stride = first, pools, part.width, part.stride
        count = one.width // part.width - 1
        self.convs = nn.ModuleList(convolution(part, conv_cfg) for _ in range(count))
        self.bns = nn.ModuleList(norm_layer(norm_cfg, part.width)[1] for _ in range(count))

    def _branch(self, x: Tensor) -> Tensor:
        (conv1, norm1), _, (conv3, norm3) = self.layers
        y = self._plugged(normed(getattr(self, conv1), getattr(self, norm1), x, relu=True), 0)
        *parts, last = y.split(self.width, 1)
        outs: list[Tensor] = []
        for part, conv, norm in zip(parts, self.convs, self.bns, strict=True):
            seen = part if self.first or not outs else outs[-1] + part
            outs.append(normed(conv, norm, seen.contiguous(), relu=True))
        outs.append(F.avg_pool2d(last, 3, self.stride, 1) if self.pools else last)
        y = self._plugged(torch.cat(outs, 1), 1)
        y = self._plugged(normed(getattr(self, conv3), getattr(self, norm3), y), 2)
        return y + (x if self.downsample is None else self.downsample(x))

    def _plugged(self, x: Tensor, place: int) -> Tensor:
        for plugin in self.plugins[place]:
            x = getattr(self, plugin)(x)
        return x


class Res2Net(ResNet):
    """Res2Net, a backbone: images (N, C, H, W) to maps at strides 4, 8, 16, 32; with a deep stem, and pooling in shortcuts.

    Args:
        scales: into how many parts the channels of a block are split.
        base_width: channels of a part, a 64 of width.
        depth: 50, 101 or 152.
        style: accepted; a Res2Net strides in its 3x3, as "pytorch".
        deep_stem, avg_down: as `ResNet` has them where ``named_stem``, else accepted: such a Res2Net has both.
        named_stem: as mmpretrain has it, see `ResNet`.
        norm_eval: batch norms stay in evaluation mode.
        options: as `ResNet` has them.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        depth: int,
        scales: int = 4,
        base_width: int = 26,
        in_channels: int = 3,
        stem_channels: int | None = None,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: tuple[int, ...] = (1, 2, 2, 2),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        style: str = "pytorch",
        deep_stem: bool = True,
        avg_down: bool = True,
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = NORM,
        norm_eval: bool = True,
        dcn: Any = None,
        stage_with_dcn: tuple[bool, ...] = (False, False, False, False),
        plugins: Any = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: Any = None,
        init_cfg: Any = None,
        *,
        named_stem: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        del style
        self.deep_stem, self.named_stem = deep_stem or not named_stem, named_stem
        stem = base_channels if stem_channels is None else stem_channels
        plans = res2_stages(
            "Res2Net", scales, base_width, depth=depth, base=base_channels, stem=stem, count=num_stages, strides=strides,
            dilations=dilations, outputs=out_indices, style="pytorch", conv_cfg=conv_cfg, dcn=dcn,
            stage_with_dcn=stage_with_dcn, plugins=plugins,
        )  # fmt: skip
        self._assemble(
            plans, (in_channels, stem), out_indices, frozen_stages, norm_eval,
            init_cfg_of(pretrained, init_cfg, "Res2Net"), zero_init_residual and named_stem,
            (avg_down or not named_stem, with_cp, conv_cfg, norm_cfg),
        )  # fmt: skip

    def _block(self, plan: BlockPlan, first: bool, options: tuple[bool, bool, Any, Any], zero_init: bool) -> Block:
        pools = first and (plan.convs[1].stride > 1 or self.named_stem)
        return Res2Block(plan, *options, zero_init, first, pools)


# mmpretrain's: trained from scratch, its last stage's map
LastRes2Net = partial(Res2Net, norm_eval=False, out_indices=(3,), named_stem=True, stem_channels=64)
