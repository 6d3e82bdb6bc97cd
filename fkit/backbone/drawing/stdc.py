"""STDC networks (Fan et al. 2021), as mmseg's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.drawing.bisenet import Refinement
from fkit.backbone.drawing.net import NORM, Drawing, Net, inner, one_of
from fkit.tree.error import FkitValueError

__all__ = ["STDCContextPathNet", "STDCNet"]

# strides of the modules of each stage
_STAGES: Mapping[str, tuple[tuple[int, ...], ...]] = frozendict(
    STDCNet1=((2, 1), (2, 1), (2, 1)), STDCNet2=((2, 1, 1, 1), (2, 1, 1, 1, 1), (2, 1, 1))
)
_FUSION = frozendict(in_channels=512, out_channels=256, scale_factor=4)


@dataclass(frozen=True)
class _Module(Drawing):
    """Short-term dense concatenation: what each of several convolutions gives, side by side."""

    width: int
    stride: int
    norm_cfg: Any
    act_cfg: Any
    count: int
    fusion: str
    order: ClassVar[tuple[str, ...]] = ("layers", "downsample", "skip")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        adds, down = self.fusion == "add", self.stride == 2
        one = net.brick("layers.0.0" if adds and down else "layers.0", x, self.width // 2, norm_cfg=self.norm_cfg)
        y = one
        if down:
            y = self._filters(net, "layers.0.1" if adds else "downsample", one)
            one = y if adds else net.avg_pool(one, 3, 2, 1)
        outs = [one]
        for i in range(1, self.count):
            width = self.width // 2 ** (i + (i < self.count - 1))
            y = net.brick(f"layers.{i}", y, width, 3, 1, 1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
            outs.append(y)
        if not adds:
            return net.cat(outs)
        if down:
            x = net.brick("skip.1", self._filters(net, "skip.0", x), self.width, norm_cfg=self.norm_cfg, act_cfg=None)
        return net.cat(outs) + x

    def _filters(self, net: Net, name: str, x: Any) -> Any:
        wide = net.width(x)
        return net.brick(name, x, wide, 3, 2, 1, groups=wide, norm_cfg=self.norm_cfg, act_cfg=None)


@dataclass(frozen=True)
class STDCNet(Drawing):
    """STDC, a backbone: images to a tuple of maps at strides 8, 16 and 32.

    Attributes:
        stdc_type: "STDCNet1" or "STDCNet2".
        channels: of the five stages.
        bottleneck_type: "cat", or "add" to add a module's input to what it gives.
        num_convs: of a module.
        with_final_conv: a 1x1 after the last stage.

    Raises:
        FkitError: another type, or channels of other than five stages.
    """

    stdc_type: str
    in_channels: int
    channels: tuple[int, ...]
    bottleneck_type: str
    norm_cfg: Any
    act_cfg: Any
    num_convs: int = 4
    with_final_conv: bool = False
    pretrained: Any = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("STDCNet: stdc_type", self.stdc_type, tuple(_STAGES))
        one_of("STDCNet: bottleneck_type", self.bottleneck_type, ("add", "cat"))
        if len(self.channels) != 5 or self.num_convs < 2:
            raise FkitValueError(
                f"STDCNet: channels={self.channels}, num_convs={self.num_convs}: five channels, and at least two."
            )

    def __call__(self, net: Net, *xs: Any) -> Any:
        shared: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        x = net.brick("stages.0", xs[0], self.channels[0], 3, 2, 1, **shared)
        x = net.brick("stages.1", x, self.channels[1], 3, 2, 1, **shared)
        maps: list[Any] = []
        for i, strides in enumerate(_STAGES[self.stdc_type], 2):
            for j, stride in enumerate(strides):
                module = _Module(
                    self.channels[i], stride, self.norm_cfg, self.act_cfg, self.num_convs, self.bottleneck_type
                )
                x = net.part(f"stages.{i}.{j}", module, x)
            maps.append(x)
        if self.with_final_conv:
            maps[-1] = net.brick("final_conv", maps[-1], max(1024, self.channels[-1]), **shared)
        return tuple(maps)


@dataclass(frozen=True)
class _Fusion(Drawing):
    width: int
    factor: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.brick("conv0", net.cat(xs), self.width, norm_cfg=NORM)
        y = net.brick("attention.1", net.pooled(x), self.width // self.factor, bias=False)
        y = net.brick("attention.2", y, self.width, bias=False, act_cfg=None)
        return x * net.sigmoid(y) + x


@dataclass(frozen=True)
class STDCContextPathNet(Drawing):
    """A context path over an STDC network, a backbone: images to a tuple of its finest maps, two of the path's and the fused.

    Attributes:
        backbone_cfg: of the STDC network.
        last_in_channels: of its last two maps, the last first.
        out_channels: of the path's maps.
        ffm_cfg: ``out_channels`` and ``scale_factor`` of the fusion; its ``in_channels`` follow.
        upsample_mode, align_corners: how maps are brought to a finer size.
    """

    backbone_cfg: Any
    last_in_channels: tuple[int, ...] = (1024, 512)
    out_channels: int = 128
    ffm_cfg: Any = _FUSION
    upsample_mode: str = "nearest"
    align_corners: bool | None = None
    norm_cfg: Any = NORM
    init_cfg: Any = None
    build: Any = field(default=None, kw_only=True, repr=False, compare=False)
    order: ClassVar[tuple[str, ...]] = ("backbone", "arms", "convs", "conv_avg", "ffm")

    def __call__(self, net: Net, *xs: Any) -> Any:
        maps = net.built("backbone", lambda: inner(self.build, self.backbone_cfg, "mmseg"), xs[0])
        above = net.brick("conv_avg", net.pooled(maps[-1]), self.out_channels, norm_cfg=self.norm_cfg)
        above = self._finer(net, above, maps[-1])
        outs: list[Any] = []
        for i in range(len(self.last_in_channels)):
            y = net.part(f"arms.{i}", Refinement(self.out_channels), maps[-1 - i]) + above
            y = self._finer(net, y, maps[-2 - i])
            above = net.brick(f"convs.{i}", y, self.out_channels, 3, 1, 1, norm_cfg=self.norm_cfg)
            outs.append(above)
        fusion = _Fusion(self.ffm_cfg["out_channels"], self.ffm_cfg.get("scale_factor", 4))
        return (maps[0], *outs, net.part("ffm", fusion, maps[0], outs[1]))

    def _finer(self, net: Net, x: Any, like: Any) -> Any:
        return net.resize(x, net.size(like), mode=self.upsample_mode, align=self.align_corners)
