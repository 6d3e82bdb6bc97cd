"""Networks that shuffle channels or were searched for phones: ShuffleNet, two versions (Zhang et al. 2018, Ma et al. 2018), and
ViPNAS's MobileNetV3 (Xu et al. 2021), as mmpose's and mmpretrain's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.drawing.hourglass import START
from fkit.backbone.drawing.net import NORM, Drawing, Net, one_of
from fkit.backbone.drawing.residual import Squeeze
from fkit.backbone.mobile import divisible
from fkit.backbone.resnet import INIT
from fkit.tree.error import FkitValueError

__all__ = ["GroupedUnit", "ShuffleNetV1", "ShuffleNetV2", "ShuffleUnit", "ViPNASMobileNetV3"]

_INIT = (
    frozendict(type="Normal", std=0.01, layer=("Conv2d",)),
    frozendict({**INIT[1], "bias": 0.0001}),
)
# groups -> channels of the stages
_GROUPED: Mapping[int, tuple[int, ...]] = frozendict(
    {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960), 4: (272, 544, 1088), 8: (384, 768, 1536)}
)
# factor -> channels of the stages and of the last layer
_WIDENED: Mapping[float, tuple[int, ...]] = frozendict(
    {0.5: (48, 96, 192, 1024), 1.0: (116, 232, 464, 1024), 1.5: (176, 352, 704, 1024), 2.0: (244, 488, 976, 2048)}
)
_BLOCKS = (4, 8, 4)


@dataclass(frozen=True)
class _Shuffling(Drawing):
    """What both versions share.

    Attributes:
        widen_factor: of channels.
        out_indices: the stages whose maps are given.
        frozen_stages: no gradient, and norms in evaluation mode, for the first layer (0) and the stages up to this one.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
    """

    widen_factor: float = 1.0
    out_indices: tuple[int, ...] = (2,)
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    act_cfg: Any = RELU
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = None

    @property
    def start(self) -> Any:
        return _INIT

    @property
    def layers(self) -> tuple[Any, ...]:
        """Configs of layers."""
        return self.conv_cfg, self.norm_cfg, self.act_cfg

    def _check(self, stages: int) -> None:
        if any(not 0 <= i < stages for i in self.out_indices) or not -1 <= self.frozen_stages < stages:
            raise FkitValueError(
                f"{type(self).__name__}: out_indices={self.out_indices}, frozen_stages={self.frozen_stages}, but there are "
                f"{stages} stages."
            )

    def _begun(self, net: Net, x: Any, width: int) -> Any:
        conv, norm, act = self.layers
        frozen = self.frozen_stages >= 0
        x = net.brick("conv1", x, width, 3, 2, 1, conv_cfg=conv, norm_cfg=norm, act_cfg=act, frozen=frozen)
        return net.max_pool(x, 3, 2, 1)


@dataclass(frozen=True)
class GroupedUnit(Drawing):
    """Grouped 1x1 convolutions around a filter a channel."""

    width: int
    groups: int
    first: bool
    joins: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, inside = xs[0], self.width // 4
        width = self.width - net.width(x) if self.joins else self.width
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        groups = 1 if self.first else self.groups
        y = net.brick("g_conv_1x1_compress", x, inside, groups=groups, act_cfg=self.act_cfg, **shared)
        stride = 2 if self.joins else 1
        y = net.brick("depthwise_conv3x3_bn", y, inside, 3, stride, 1, groups=inside, act_cfg=None, **shared)
        y = net.shuffle(y, self.groups) if self.groups > 1 else y
        y = net.brick("g_conv_1x1_expand", y, width, groups=self.groups, act_cfg=None, **shared)
        if self.joins:
            return net.cat((net.avg_pool(x, 3, 2, 1), net.act("act", y, self.act_cfg)))
        return net.act("act", x + y, self.act_cfg)


@dataclass(frozen=True)
class ShuffleNetV1(_Shuffling):
    """ShuffleNet, a backbone: images to a tuple of maps.

    Attributes:
        groups: of the 1x1 convolutions: 1, 2, 3, 4 or 8.
    """

    groups: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("ShuffleNetV1: groups", self.groups, tuple(_GROUPED))
        self._check(3)

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, maps = self._begun(net, xs[0], int(24 * self.widen_factor)), list[Any]()
        for i, (width, count) in enumerate(zip(_GROUPED[self.groups], _BLOCKS, strict=True)):
            wide = divisible(width * self.widen_factor, 8)
            for j in range(count):
                unit = GroupedUnit(wide, self.groups, i == 0 and j == 0, j == 0, *self.layers)
                x = net.part(f"layers.{i}.{j}", unit, x, frozen=i < self.frozen_stages, again=self.with_cp)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)


@dataclass(frozen=True)
class ShuffleUnit(Drawing):
    """Half of the channels as they are, half through a filter a channel between 1x1 convolutions; or, where it strides, all of
    them through either branch."""

    width: int
    stride: int
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, half = xs[0], self.width // 2
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        if self.stride > 1:
            wide = net.width(x)
            y = net.brick("branch1.0", x, wide, 3, self.stride, 1, groups=wide, act_cfg=None, **shared)
            y = net.brick("branch1.1", y, half, act_cfg=self.act_cfg, **shared)
        else:
            y, x = net.split(x, (half, half))
        x = net.brick("branch2.0", x, half, act_cfg=self.act_cfg, **shared)
        x = net.brick("branch2.1", x, half, 3, self.stride, 1, groups=half, act_cfg=None, **shared)
        return net.shuffle(net.cat((y, net.brick("branch2.2", x, half, act_cfg=self.act_cfg, **shared))), 2)


@dataclass(frozen=True)
class ShuffleNetV2(_Shuffling):
    """ShuffleNetV2, a backbone: images to a tuple of maps; place 3 is the last layer.

    ``widen_factor`` is 0.5, 1.0, 1.5 or 2.0.
    """

    out_indices: tuple[int, ...] = (3,)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("ShuffleNetV2: widen_factor", self.widen_factor, tuple(_WIDENED))
        self._check(4)

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, maps = self._begun(net, xs[0], 24), list[Any]()
        *widths, last = _WIDENED[self.widen_factor]
        for i, (width, count) in enumerate(zip(widths, _BLOCKS, strict=True)):
            for j in range(count):
                unit = ShuffleUnit(width, 1 if j else 2, *self.layers)
                x = net.part(f"layers.{i}.{j}", unit, x, frozen=i < self.frozen_stages, again=self.with_cp)
            maps.append(x)
        conv, norm, act = self.layers
        maps.append(net.brick("layers.3", x, last, conv_cfg=conv, norm_cfg=norm, act_cfg=act))
        return tuple(x for i, x in enumerate(maps) if i in self.out_indices)


@dataclass(frozen=True)
class _Inverted(Drawing):
    """Wider by a 1x1, filters of groups of channels, weighed, narrower by a 1x1."""

    width: int
    hidden: int
    side: int
    stride: int
    groups: int
    weighs: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = y = xs[0]
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        if self.hidden != self.width:
            y = net.brick("expand_conv", y, self.hidden, act_cfg=self.act_cfg, **shared)
        y = net.brick(
            "depthwise_conv", y, self.hidden, self.side, self.stride, self.side // 2, groups=self.groups,
            act_cfg=self.act_cfg, **shared,
        )  # fmt: skip
        if self.weighs:
            y = net.part("se", Squeeze(4, frozendict(type="HSigmoid", bias=1.0, divisor=2.0)), y)
        y = net.brick("linear_conv", y, self.width, act_cfg=None, **shared)
        return x + y if self.stride == 1 and net.width(x) == self.width else y


@dataclass(frozen=True)
class ViPNASMobileNetV3(Drawing):
    """ViPNAS's MobileNetV3, a backbone that a search found: images to a tuple of the last maps.

    Attributes:
        wid, expan, dep, ks, group, att, stride, act: of the first layer and of each stage: channels, by how much those inside
            are more, blocks, sides of filters, their groups, whether channels are weighed, strides and activations.
        frozen_stages: no gradient, and norms in evaluation mode, for the first layer (0) and the blocks up to this one.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
    """

    wid: tuple[int, ...] = (16, 16, 24, 40, 80, 112, 160)
    expan: tuple[Any, ...] = (None, 1, 5, 4, 5, 5, 6)
    dep: tuple[Any, ...] = (None, 1, 4, 4, 4, 4, 4)
    ks: tuple[int, ...] = (3, 3, 7, 7, 5, 7, 5)
    group: tuple[Any, ...] = (None, 8, 120, 20, 100, 280, 240)
    att: tuple[Any, ...] = (None, True, True, False, True, True, True)
    stride: tuple[int, ...] = (2, 1, 2, 2, 2, 1, 2)
    act: tuple[str, ...] = ("HSwish", "ReLU", "ReLU", "ReLU", "HSwish", "HSwish", "HSwish")
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    frozen_stages: int = -1
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = (self.expan, self.dep, self.ks, self.group, self.att, self.stride, self.act)
        if any(len(row) != len(self.wid) for row in rows):
            raise FkitValueError(f"ViPNAS_MobileNetV3: {len(self.wid)} of wid: as many of each of the others.")

    @property
    def start(self) -> Any:
        return START

    def __call__(self, net: Net, *xs: Any) -> Any:
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        x = net.brick(
            "conv1", xs[0], self.wid[0], self.ks[0], self.stride[0], self.ks[0] // 2, frozen=self.frozen_stages >= 0,
            act_cfg={"type": self.act[0]}, **shared,
        )  # fmt: skip
        number = 0
        for i in range(1, len(self.wid)):
            for j in range(self.dep[i]):
                number += 1
                block = _Inverted(
                    self.wid[i], self.wid[i] * self.expan[i], self.ks[i], 1 if j else self.stride[i], self.group[i],
                    bool(self.att[i]), self.conv_cfg, self.norm_cfg, frozendict(type=self.act[i]),
                )  # fmt: skip
                x = net.part(f"layer{number}", block, x, frozen=number <= self.frozen_stages, again=self.with_cp)
        return (x,)
