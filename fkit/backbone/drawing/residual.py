"""Residual blocks that are drawn, and the network of them that ViPNAS found (Xu et al. 2021), as mmpose's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.drawing.net import Drawing, Net, one_of, short
from fkit.backbone.resnet import INIT, NORM, BlockPlan, Convolution
from fkit.tree.error import FkitValueError

__all__ = ["Block", "Squeeze", "ViPNASResNet"]

_GATE = frozendict(type="Sigmoid")


@dataclass(frozen=True)
class Squeeze(Drawing):
    """Channels weighed by what two 1x1 convolutions make of their means."""

    ratio: float
    gate: Any = _GATE

    def __call__(self, net: Net, *xs: Any) -> Any:
        width = net.width(xs[0])
        y = net.brick("conv1", net.pooled(xs[0]), int(width / self.ratio))
        return xs[0] * net.brick("conv2", y, width, act_cfg=self.gate)


@dataclass(frozen=True)
class Block(Drawing):
    """A residual branch of convolutions ``conv1``, ``conv2``, ... and norms, added to its (perhaps downsampled) input.

    Attributes:
        avg_down: average pooling before the 1x1 of a downsampling shortcut that strides.
        attends: whether the branch's maps attend to the whole of them.
    """

    plan: BlockPlan
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    avg_down: bool = False
    attends: bool = False
    order: ClassVar[tuple[str, ...]] = (
        *(f"{kind}{i}" for i in (1, 2, 3) for kind in ("conv", "bn", "gn", "ln", "in")), "attention", "downsample",
    )  # fmt: skip

    def __call__(self, net: Net, *xs: Any) -> Any:
        y, norm = xs[0], self.norm_cfg
        for i, conv in enumerate(self.plan.convs, 1):
            y = net.conv(
                f"conv{i}", y, conv.width, conv.size, conv.stride, conv.padding, conv.dilation, conv.groups, False,
                self.conv_cfg,
            )  # fmt: skip
            y = net.norm(f"{short(norm)}{i}", y, norm)
            y = net.relu(y) if i < len(self.plan.convs) else y
        if self.attends:
            y = net.plugin("attention", y, {"type": "ContextBlock", "ratio": max(1 / 16, 16 / self.plan.width)})
        return net.relu(y + self._shortcut(net, xs[0]))

    def _shortcut(self, net: Net, x: Any) -> Any:
        stride = self.plan.shortcut
        if not stride:
            return x
        pooled = self.avg_down and stride > 1
        x = net.avg_pool(x, stride, stride, ceil=True, counts=False) if pooled else x
        at = 1 if pooled else 0
        x = net.conv(f"downsample.{at}", x, self.plan.width, 1, 1 if pooled else stride, bias=False, cfg=self.conv_cfg)
        return net.norm(f"downsample.{at + 1}", x, self.norm_cfg)


@dataclass(frozen=True)
class ViPNASResNet(Drawing):
    """ViPNAS's ResNet, a backbone that a search found: images to a tuple of maps; the last stage's, unless ``out_indices`` says
    more.

    Attributes:
        depth: 50.
        out_indices: the stages whose maps are given.
        style: "pytorch" or "caffe", where a block strides.
        deep_stem: three 3x3 convolutions in place of the one.
        avg_down: average pooling before the 1x1 of a shortcut that strides.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        zero_init_residual: accepted; no norm starts at 0.
        wid, expan, dep, ks, group, att: of the stem and of each stage: channels inside, by how much those outside are more,
            blocks, sides of filters, their groups, and whether blocks attend to the whole map.

    Raises:
        FkitError: another depth or style, or numbers that do not fit together.
    """

    depth: int
    in_channels: int = 3
    num_stages: int = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    dilations: tuple[int, ...] = (1, 1, 1, 1)
    out_indices: tuple[int, ...] = (3,)
    style: str = "pytorch"
    deep_stem: bool = False
    avg_down: bool = False
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    norm_eval: bool = False
    with_cp: bool = False
    zero_init_residual: bool = True
    wid: tuple[int, ...] = (48, 80, 160, 304, 608)
    expan: tuple[Any, ...] = (None, 1, 1, 1, 1)
    dep: tuple[Any, ...] = (None, 4, 6, 7, 3)
    ks: tuple[int, ...] = (7, 3, 5, 5, 5)
    group: tuple[Any, ...] = (None, 16, 16, 16, 16)
    att: tuple[Any, ...] = (None, True, False, True, True)
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("ViPNAS_ResNet: depth", self.depth, (50,))
        one_of("ViPNAS_ResNet: style", self.style, ("pytorch", "caffe"))
        rows = (self.wid, self.expan, self.dep, self.ks, self.group, self.att)
        if any(len(row) < self.num_stages + 1 for row in rows):
            raise FkitValueError(f"ViPNAS_ResNet: {self.num_stages} stages: one of each of them, and of the stem.")
        if {len(self.strides), len(self.dilations)} != {self.num_stages} or max(self.out_indices) >= self.num_stages:
            raise FkitValueError(
                f"ViPNAS_ResNet: {self.num_stages} stages: as many strides and dilations, no more maps."
            )

    @property
    def start(self) -> Any:
        return (frozendict(type="Normal", std=0.001, layer=("Conv2d",)), INIT[1])

    def _plans(self, inner: int, place: int) -> tuple[BlockPlan, ...]:
        """The blocks of a stage."""
        mid, plans = self.wid[place], list[BlockPlan]()
        wide = mid * self.expan[place]
        for j in range(self.dep[place]):
            stride = 1 if j else self.strides[place - 1]
            one, two = (1, stride) if self.style == "pytorch" else (stride, 1)
            convs = (
                Convolution(inner, mid, 1, one),
                Convolution(mid, mid, self.ks[place], two, self.dilations[place - 1], self.group[place]),
                Convolution(mid, wide, 1),
            )
            plans.append(BlockPlan(convs, stride if j == 0 and (stride != 1 or inner != wide) else 0))
            inner = wide
        return tuple(plans)

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, maps = net.max_pool(self._stem(net, xs[0], self.wid[0], self.ks[0]), 3, 2, 1), list[Any]()
        for i in range(1, self.num_stages + 1):
            for j, plan in enumerate(self._plans(net.width(x), i)):
                block = Block(plan, self.conv_cfg, self.norm_cfg, self.avg_down, bool(self.att[i]))
                x = net.part(f"layer{i}.{j}", block, x, frozen=i <= self.frozen_stages, again=self.with_cp)
            if i - 1 in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def _stem(self, net: Net, x: Any, width: int, side: int) -> Any:
        frozen, shared = self.frozen_stages >= 0, {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        if not self.deep_stem:
            x = net.conv("conv1", x, width, side, 2, side // 2, bias=False, cfg=self.conv_cfg, frozen=frozen)
            return net.relu(net.norm(f"{short(self.norm_cfg)}1", x, self.norm_cfg, frozen))
        for i, inside in enumerate((width // 2, width // 2, width)):
            x = net.brick(f"stem.{i}", x, inside, 3, 1 if i else 2, 1, frozen=frozen, **shared)
        return x
