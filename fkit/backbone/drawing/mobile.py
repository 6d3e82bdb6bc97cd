"""MobileNetV3 as mmseg has it: its last stages keep their size and are dilated."""

from dataclasses import dataclass
from typing import Any

from frozendict import frozendict

from fkit.backbone.drawing.net import NORM, Drawing, Net, chosen, one_of
from fkit.backbone.mobile import divisible

__all__ = ["SegMobileNetV3"]

_HARD = frozendict(type="HSwish")
_ADAPTIVE = frozendict(type="Conv2dAdaptivePadding")
_GATE = frozendict(type="HSigmoid", bias=3.0, divisor=6.0)
# of each block: side of the filters, channels inside and out, whether channels are weighed, the activation, the stride
_BLOCKS = frozendict(
    small=(
        (3, 16, 16, True, "ReLU", 2), (3, 72, 24, False, "ReLU", 2), (3, 88, 24, False, "ReLU", 1),
        (5, 96, 40, True, "HSwish", 2), (5, 240, 40, True, "HSwish", 1), (5, 240, 40, True, "HSwish", 1),
        (5, 120, 48, True, "HSwish", 1), (5, 144, 48, True, "HSwish", 1), (5, 288, 96, True, "HSwish", 2),
        (5, 576, 96, True, "HSwish", 1), (5, 576, 96, True, "HSwish", 1),
    ),
    large=(
        (3, 16, 16, False, "ReLU", 1), (3, 64, 24, False, "ReLU", 2), (3, 72, 24, False, "ReLU", 1),
        (5, 72, 40, True, "ReLU", 2), (5, 120, 40, True, "ReLU", 1), (5, 120, 40, True, "ReLU", 1),
        (3, 240, 80, False, "HSwish", 2), (3, 200, 80, False, "HSwish", 1), (3, 184, 80, False, "HSwish", 1),
        (3, 184, 80, False, "HSwish", 1), (3, 480, 112, True, "HSwish", 1), (3, 672, 112, True, "HSwish", 1),
        (5, 672, 160, True, "HSwish", 2), (5, 960, 160, True, "HSwish", 1), (5, 960, 160, True, "HSwish", 1),
    ),
)  # fmt: skip
# from which blocks (from 1) dilation is 2, and 4, from which channels are fewer, and the channels of the last layer
_PLACES = frozendict(small=(4, 9, 9, 576), large=(7, 13, 13, 960))


@dataclass(frozen=True)
class _Squeeze(Drawing):
    """Channels weighed by what two 1x1 convolutions make of their means."""

    def __call__(self, net: Net, *xs: Any) -> Any:
        width = net.width(xs[0])
        y = net.brick("conv1", net.pooled(xs[0]), divisible(width // 4, 8))
        return xs[0] * net.brick("conv2", y, width, act_cfg=_GATE)


@dataclass(frozen=True)
class _Inverted(Drawing):
    """Wider by a 1x1, a filter a channel, weighed, narrower by a 1x1."""

    width: int
    hidden: int
    side: int
    stride: int
    dilation: int
    weighs: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = y = xs[0]
        if self.hidden != net.width(x):
            y = net.brick(
                "expand_conv", y, self.hidden, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg
            )
        kept = self.stride == 2 and self.dilation > 1  # the size stays, and the padding is that of a stride
        y = net.brick(
            "depthwise_conv", y, self.hidden, self.side, 1 if kept else self.stride,
            self.dilation * (self.side // 2), self.dilation, groups=self.hidden,
            conv_cfg=_ADAPTIVE if self.stride == 2 else self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg,
        )  # fmt: skip
        if self.weighs:
            y = net.part("se", _Squeeze(), y)
        y = net.brick("linear_conv", y, self.width, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=None)
        return x + y if self.stride == 1 and net.width(x) == self.width else y


@dataclass(frozen=True)
class SegMobileNetV3(Drawing):
    """MobileNetV3, a backbone: images to a tuple of maps; place 0 is the first layer, the last place that after all blocks.

    Attributes:
        arch: "small" or "large".
        out_indices: which layers' maps are given.
        frozen_stages: no gradient, and norms in evaluation mode, for the first layer (0) and the blocks up to this one.
        reduction_factor: of how many times fewer channels the last blocks are.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
    """

    arch: str = "small"
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    out_indices: tuple[int, ...] = (0, 1, 12)
    frozen_stages: int = -1
    reduction_factor: int = 1
    norm_eval: bool = False
    with_cp: bool = False
    pretrained: Any = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("MobileNetV3: arch", self.arch, tuple(_BLOCKS))
        chosen(range(len(_BLOCKS[self.arch]) + 2), self.out_indices, "MobileNetV3")

    @property
    def start(self) -> Any:
        return (
            frozendict(type="Kaiming", layer="Conv2d"),
            frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
        )

    def __call__(self, net: Net, *xs: Any) -> Any:
        two, four, fewer, last = _PLACES[self.arch]
        frozen = self.frozen_stages
        x = net.brick(
            "layer0", xs[0], 16, 3, 2, 1, conv_cfg=_ADAPTIVE, norm_cfg=self.norm_cfg, act_cfg=_HARD, frozen=frozen >= 0
        )
        maps = [x]
        for at, (side, hidden, width, weighs, act, stride) in enumerate(_BLOCKS[self.arch], 1):
            by = self.reduction_factor if at >= fewer else 1
            block = _Inverted(
                width // by, hidden // by, side, stride, 4 if at >= four else 2 if at >= two else 1, weighs,
                self.conv_cfg, self.norm_cfg, frozendict(type=act),
            )  # fmt: skip
            x = net.part(f"layer{at}", block, x, frozen=frozen >= at, again=self.with_cp)
            maps.append(x)
        end = len(maps)
        maps.append(
            net.brick(
                f"layer{end}",
                x,
                last,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
                act_cfg=_HARD,
                frozen=frozen >= end,
            )
        )
        return chosen(maps, self.out_indices, "MobileNetV3")
