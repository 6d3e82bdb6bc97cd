"""ICNet (Zhao et al. 2018) and its neck, as mmseg's."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.drawing.net import NORM, Drawing, Net, inner
from fkit.backbone.drawing.pyramid import pyramid
from fkit.backbone.resnet import INIT
from fkit.tree.error import FkitValueError

__all__ = ["ICNeck", "ICNet"]

_NORM = frozendict(type="BN", requires_grad=True)


@dataclass(frozen=True)
class ICNet(Drawing):
    """ICNet, a backbone: images to maps of three branches, at strides 8, 16 and 32.

    Attributes:
        backbone_cfg: of a ResNet with ``stem`` and four stages, whose first two see the image at half its size and whose last
            two a quarter.
        layer_channels: of its second and its fourth stage.
        light_branch_middle_channels: inside the branch at full size.
        psp_out_channels, pool_scales: of the pooling at several scales.
        out_channels: of the three branches.
    """

    backbone_cfg: Any
    in_channels: int = 3
    layer_channels: tuple[int, ...] = (512, 2048)
    light_branch_middle_channels: int = 32
    psp_out_channels: int = 512
    out_channels: tuple[int, ...] = (64, 256, 256)
    pool_scales: tuple[int, ...] = (1, 2, 3, 6)
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    act_cfg: Any = RELU
    align_corners: bool = False
    init_cfg: Any = None
    build: Any = field(default=None, kw_only=True, repr=False, compare=False)
    order: ClassVar[tuple[str, ...]] = (
        "backbone", "psp_modules", "psp_bottleneck", "conv_sub1", "conv_sub2", "conv_sub4",
    )  # fmt: skip

    @property
    def start(self) -> Any:
        return (INIT[0], frozendict(type="Constant", val=1, layer="_BatchNorm"))

    def __call__(self, net: Net, *xs: Any) -> Any:
        plain: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        fine, middle = xs[0], self.light_branch_middle_channels
        for i, width in enumerate((middle, middle, self.out_channels[0])):
            fine = net.brick(f"conv_sub1.{i}", fine, width, 3, 2, 1, **plain)

        def between(stage: int, x: Any) -> Any:
            """Windows at the edges are pooled too; half the size after the second stage."""
            if stage == 0:
                return net.max_pool(x, 3, 2, 1, ceil=True)
            return self._halved(net, x) if stage == 2 else x

        make = lambda: inner(self.build, self.backbone_cfg, "mmseg")  # noqa: E731
        maps = net.built("backbone", make, self._halved(net, xs[0]), between)
        x = maps[-1]
        scales = pyramid(
            net, "psp_modules", x, self.pool_scales, self.psp_out_channels, self.align_corners, act_cfg=self.act_cfg,
            **plain,
        )  # fmt: skip
        joined = net.cat((*scales, x))
        x = net.brick("psp_bottleneck", joined, self.psp_out_channels, 3, 1, 1, act_cfg=self.act_cfg, **plain)
        coarse = net.brick("conv_sub4", x, self.out_channels[2], **plain)
        return fine, net.brick("conv_sub2", maps[1], self.out_channels[1], **plain), coarse

    def _halved(self, net: Net, x: Any) -> Any:
        return net.resize(x, factor=0.5, align=self.align_corners)


@dataclass(frozen=True)
class _Cascade(Drawing):
    """Coarser maps and finer ones, added; and the coarser alone."""

    width: int
    align: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        coarse, fine = xs
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        coarse = net.resize(coarse, net.size(fine), align=self.align)
        coarse = net.brick("conv_low", coarse, self.width, 3, 1, 2, 2, **shared)
        return net.relu(coarse + net.brick("conv_high", fine, self.width, **shared)), coarse


@dataclass(frozen=True)
class ICNeck(Drawing):
    """ICNet's neck: maps of three branches, the finest first, to those of the coarsest and the middle one for auxiliary heads, and
    all fused.

    Attributes:
        in_channels: of the three branches.
        out_channels: of each of the maps.
    """

    in_channels: tuple[int, ...] = (64, 256, 256)
    out_channels: int = 128
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    act_cfg: Any = RELU
    align_corners: bool = False
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.in_channels) != 3:
            raise FkitValueError(f"ICNeck: in_channels={self.in_channels}: three.")

    @property
    def example(self) -> tuple[Any, ...]:
        return (tuple((width, 16 // 2**i, 16 // 2**i) for i, width in enumerate(self.in_channels)),)

    def __call__(self, net: Net, *xs: Any) -> Any:
        if len(xs[0]) != 3:
            raise FkitValueError(f"ICNeck: three maps, found {len(xs[0])}.")
        fine, middle, coarse = xs[0]
        fusion = _Cascade(self.out_channels, self.align_corners, self.conv_cfg, self.norm_cfg, self.act_cfg)
        x, one = net.part("cff_24", fusion, coarse, middle)
        x, two = net.part("cff_12", fusion, x, fine)
        return one, two, x
