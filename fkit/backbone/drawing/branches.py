"""Networks of branches that keep their resolution: DDRNet (Hong et al. 2021) and PIDNet (Xu et al. 2023), as mmseg's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.drawing.net import NORM, Drawing, Net
from fkit.backbone.drawing.pyramid import DAPPM, PAPPM

__all__ = ["DDRNet", "PIDNet"]

_NORM = frozendict(type="BN", requires_grad=True)
_RELU = frozendict(type="ReLU", inplace=True)
_INIT = (
    frozendict(type="Kaiming", layer="Conv2d"),
    frozendict(type="Constant", val=1, layer="BatchNorm2d"),
)


@dataclass(frozen=True)
class _Block(Drawing):
    """A residual block: two 3x3, or, of four times the width, a bottleneck.

    Attributes:
        width: inside.
        named: whether the shortcut's layers have names (mmcv's ConvModule), or places.
        ends: whether a ReLU follows.
    """

    width: int
    stride: int
    wide: bool
    shortcut: bool
    named: bool
    ends: bool
    norm_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("conv1", "conv2", "conv3", "downsample")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, norm = xs[0], self.norm_cfg
        width = self.width * (2 if self.wide else 1)
        if self.wide:
            y = net.brick("conv1", x, self.width, norm_cfg=NORM)
            y = net.brick("conv2", y, self.width, 3, self.stride, 1, norm_cfg=NORM)
            y = net.brick("conv3", y, width, norm_cfg=NORM, act_cfg=None)
        else:
            y = net.brick("conv1", x, width, 3, self.stride, 1, norm_cfg=NORM)
            y = net.brick("conv2", y, width, 3, 1, 1, norm_cfg=NORM, act_cfg=None)
        if self.shortcut and self.named:
            x = net.brick("downsample", x, width, 1, self.stride, norm_cfg=norm, act_cfg=None)
        elif self.shortcut:
            x = net.norm("downsample.1", net.conv("downsample.0", x, width, 1, self.stride, bias=False), norm)
        return net.relu(x + y) if self.ends else x + y


@dataclass(frozen=True)
class _Branched(Drawing):
    in_channels: int = 3
    channels: int = 64
    ppm_channels: int = 96

    def _layer(
        self, net: Net, name: str, x: Any, width: int, count: int, stride: int = 1, wide: bool = False, cfg: Any = NORM
    ) -> Any:
        """A row of blocks, of which the last has no ReLU but a first one of two 3x3."""
        named = isinstance(self, PIDNet)
        for j in range(count):
            shortcut = j == 0 and (stride != 1 or net.width(x) != width * (2 if wide else 1))
            ends = not wide if j == 0 else j < count - 1
            block = _Block(width, 1 if j else stride, wide, shortcut, named, ends, cfg)
            x = net.part(f"{name}.{j}", block, x)
        return x

    def _stem(self, net: Net, x: Any, count: int, norm: Any, act: Any) -> Any:
        width = self.channels
        x = net.brick("stem.0", x, width, 3, 2, 1, norm_cfg=norm, act_cfg=act)
        x = net.brick("stem.1", x, width, 3, 2, 1, norm_cfg=norm, act_cfg=act)
        x = net.relu(self._layer(net, "stem.2", x, width, count, cfg=norm))
        return net.relu(self._layer(net, "stem.4", x, width * 2, count, 2, cfg=norm))


@dataclass(frozen=True)
class DDRNet(_Branched):
    """Deep dual-resolution network, a backbone: images to maps at a stride of 8; in training a tuple with the finer branch's.

    Attributes:
        channels: of the stem; other layers have multiples of it.
        ppm_channels: of a scale of the pyramid.
    """

    channels: int = 32
    ppm_channels: int = 128
    align_corners: bool = False
    norm_cfg: Any = _NORM
    act_cfg: Any = _RELU
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = (
        "stem", "context_branch_layers", "compression_1", "down_1", "compression_2", "down_2", "spatial_branch_layers",
        "spp",
    )  # fmt: skip

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, wide, norm = xs[0], self.channels, self.norm_cfg
        bare: dict[str, Any] = {"norm_cfg": norm, "act_cfg": None}
        size = (net.size(x)[0] // 8, net.size(x)[1] // 8)
        x = self._stem(net, x, 2, norm, self.act_cfg)
        coarse = self._layer(net, "context_branch_layers.0", x, wide * 4, 2, 2, cfg=norm)
        fine = self._layer(net, "spatial_branch_layers.0", x, wide * 2, 2, cfg=norm)
        more = net.brick("compression_1", net.relu(coarse), wide * 2, **bare)
        coarse = coarse + net.brick("down_1", net.relu(fine), wide * 4, 3, 2, 1, **bare)
        fine = early = fine + net.resize(more, size, align=self.align_corners)
        coarse = self._layer(net, "context_branch_layers.1", net.relu(coarse), wide * 8, 2, 2, cfg=norm)
        fine = self._layer(net, "spatial_branch_layers.1", net.relu(fine), wide * 2, 2, cfg=norm)
        more = net.brick("compression_2", net.relu(coarse), wide * 2, **bare)
        down = net.brick("down_2.0", net.relu(fine), wide * 4, 3, 2, 1, norm_cfg=norm, act_cfg=self.act_cfg)
        coarse = coarse + net.brick("down_2.1", down, wide * 8, 3, 2, 1, **bare)
        fine = fine + net.resize(more, size, align=self.align_corners)
        fine = self._layer(net, "spatial_branch_layers.2", net.relu(fine), wide * 2, 1, wide=True, cfg=norm)
        coarse = self._layer(net, "context_branch_layers.2", net.relu(coarse), wide * 8, 1, 2, True, cfg=norm)
        coarse = net.part("spp", DAPPM(self.ppm_channels, wide * 4), coarse)
        out = fine + net.resize(coarse, size, align=self.align_corners)
        return (early, out) if net.train else out


@dataclass(frozen=True)
class _Guided(Drawing):
    """Finer maps and coarser ones, mixed by how like they are at a place."""

    width: int
    order: ClassVar[tuple[str, ...]] = ("f_i", "f_p")

    def __call__(self, net: Net, *xs: Any) -> Any:
        fine, coarse = xs
        size = net.size(fine)
        one = net.resize(net.brick("f_i", coarse, self.width, norm_cfg=NORM, act_cfg=None), size, align=False)
        two = net.brick("f_p", fine, self.width, norm_cfg=NORM, act_cfg=None)
        share = net.first(net.sigmoid(net.last(one * two).sum(-1)[..., None]))
        return share * net.resize(coarse, size, align=False) + (1 - share) * fine


@dataclass(frozen=True)
class _Bag(Drawing):
    """Details and context, of which the boundary decides which counts."""

    width: int
    light: bool
    norm_cfg: Any
    act_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("f_p", "f_i")

    def __call__(self, net: Net, *xs: Any) -> Any:
        detail, context, edge = xs
        share = net.sigmoid(edge)
        if not self.light:
            y, order = share * detail + (1 - share) * context, ("norm", "act", "conv")
            return net.brick("conv", y, self.width, 3, 1, 1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg, order=order)
        bare: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": None}
        one = net.brick("f_p", (1 - share) * context + detail, self.width, **bare)
        return one + net.brick("f_i", context + share * detail, self.width, **bare)


@dataclass(frozen=True)
class PIDNet(_Branched):
    """PIDNet, a backbone: images to maps at a stride of 8; in training a tuple of the detail branch's, these and the boundary
    branch's.

    Attributes:
        channels: of the stem; other layers have multiples of it.
        ppm_channels: of a scale of the pyramid.
        num_stem_blocks, num_branch_blocks: blocks of a layer; 2 of the stem are the small network.
    """

    num_stem_blocks: int = 2
    num_branch_blocks: int = 3
    align_corners: bool = False
    norm_cfg: Any = NORM
    act_cfg: Any = _RELU
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = (
        "stem", "i_branch_layers", "p_branch_layers", "compression_1", "compression_2", "pag_1", "pag_2",
        "d_branch_layers", "diff_1", "diff_2", "spp", "dfm",
    )  # fmt: skip

    @property
    def start(self) -> Any:
        return _INIT

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, wide, norm = xs[0], self.channels, self.norm_cfg
        size, small = (net.size(x)[0] // 8, net.size(x)[1] // 8), self.num_stem_blocks == 2
        x = self._stem(net, x, self.num_stem_blocks, norm, self.act_cfg)
        context = net.relu(self._layer(net, "i_branch_layers.0", x, wide * 4, self.num_branch_blocks, 2, cfg=norm))
        detail = self._layer(net, "p_branch_layers.0", x, wide * 2, self.num_stem_blocks, cfg=norm)
        edge = self._single(net, "d_branch_layers.0", x, wide if small else wide * 2)
        detail = early = self._guided(net, 1, detail, context)
        edge = edge + self._difference(net, 1, context, wide if small else wide * 2, size)
        context = net.relu(
            self._layer(net, "i_branch_layers.1", context, wide * 8, self.num_branch_blocks, 2, cfg=norm)
        )
        detail = self._layer(net, "p_branch_layers.1", net.relu(detail), wide * 2, self.num_stem_blocks, cfg=norm)
        edge = net.relu(edge)
        if small:
            edge = self._layer(net, "d_branch_layers.1", edge, wide, 1, wide=True, cfg=norm)
        else:
            edge = self._single(net, "d_branch_layers.1", edge, wide * 2)
        detail = self._guided(net, 2, detail, context)
        edge = outline = edge + self._difference(net, 2, context, wide * 2, size)
        context = self._layer(net, "i_branch_layers.2", context, wide * 8, 2, 2, True, cfg=norm)
        detail = self._layer(net, "p_branch_layers.2", net.relu(detail), wide * 2, 1, wide=True, cfg=norm)
        edge = self._layer(net, "d_branch_layers.2", net.relu(edge), wide * 2, 1, wide=True, cfg=norm)
        context = net.part("spp", (PAPPM if small else DAPPM)(self.ppm_channels, wide * 4), context)
        context = net.resize(context, size, align=self.align_corners)
        out = net.part("dfm", _Bag(wide * 4, small, norm, self.act_cfg), detail, context, edge)
        return (early, out, outline) if net.train else out

    def _single(self, net: Net, name: str, x: Any, width: int) -> Any:
        block = _Block(width, 1, False, net.width(x) != width, True, False, self.norm_cfg)
        return net.part(name, block, x)

    def _guided(self, net: Net, place: int, detail: Any, context: Any) -> Any:
        narrow = net.brick(
            f"compression_{place}", context, self.channels * 2, bias=False, norm_cfg=self.norm_cfg, act_cfg=None
        )
        return net.part(f"pag_{place}", _Guided(self.channels), detail, narrow)

    def _difference(self, net: Net, place: int, context: Any, width: int, size: tuple[int, int]) -> Any:
        y = net.brick(f"diff_{place}", context, width, 3, 1, 1, bias=False, norm_cfg=self.norm_cfg, act_cfg=None)
        return net.resize(y, size, align=self.align_corners)
