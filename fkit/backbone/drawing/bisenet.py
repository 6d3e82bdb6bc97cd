"""BiSeNet, two versions (Yu et al. 2018 and 2021), as mmseg's."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.drawing.net import NORM, Drawing, Net, chosen, inner
from fkit.backbone.resnet import INIT

__all__ = ["BiSeNetV1", "BiSeNetV2", "Refinement"]

_NORM = frozendict(type="BN", requires_grad=True)


@dataclass(frozen=True)
class Refinement(Drawing):
    """Attention of channels to their means."""

    width: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.brick("conv_layer", xs[0], self.width, 3, 1, 1, norm_cfg=NORM)
        scores = net.brick("atten_conv_layer.1", net.pooled(x), self.width, bias=False, norm_cfg=NORM, act_cfg=None)
        return x * net.sigmoid(scores)


@dataclass(frozen=True)
class _Context(Drawing):
    build: Any = field(repr=False, compare=False)
    cfg: Any
    width: int
    order: ClassVar[tuple[str, ...]] = ("backbone", "arm16", "arm32", "conv_head32", "conv_head16", "gap_conv")

    def __call__(self, net: Net, *xs: Any) -> Any:
        _, x8, x16, x32 = net.built("backbone", lambda: inner(self.build, self.cfg, "mmseg"), xs[0])
        whole = net.brick("gap_conv.1", net.pooled(x32), self.width, norm_cfg=NORM)
        y = net.part("arm32", Refinement(self.width), x32) + whole
        y32 = net.brick("conv_head32", net.resize(y, net.size(x16), mode="nearest"), self.width, 3, 1, 1, norm_cfg=NORM)
        y = net.part("arm16", Refinement(self.width), x16) + y32
        y16 = net.brick("conv_head16", net.resize(y, net.size(x8), mode="nearest"), self.width, 3, 1, 1, norm_cfg=NORM)
        return y16, y32


@dataclass(frozen=True)
class _Spatial(Drawing):
    widths: tuple[int, ...]

    def __call__(self, net: Net, *xs: Any) -> Any:
        first, *middle, last = self.widths
        x = net.brick("layer1", xs[0], first, 7, 2, 3, norm_cfg=NORM)
        for i, width in enumerate(middle, 2):
            x = net.brick(f"layer{i}", x, width, 3, 2, 1, norm_cfg=NORM)
        return net.brick(f"layer{len(self.widths)}", x, last, norm_cfg=NORM)


@dataclass(frozen=True)
class _Fusion(Drawing):
    width: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.brick("conv1", net.cat(xs), self.width, norm_cfg=NORM)
        return x * net.sigmoid(net.brick("conv_atten.0", net.pooled(x), self.width, bias=False, norm_cfg=NORM)) + x


@dataclass(frozen=True)
class BiSeNetV1(Drawing):
    """BiSeNet (Yu et al. 2018), a backbone: images to a tuple of the fused maps and two of the context path's.

    Attributes:
        backbone_cfg: of the context path's network, whose four maps are at strides 4 to 32.
        spatial_channels, context_channels: of the layers of either path.
        out_indices: of the three maps.
        align_corners, conv_cfg, norm_cfg, act_cfg: accepted; the layers are convolutions with BN and ReLU whatever they say.
        out_channels: of the fused maps.
    """

    backbone_cfg: Any
    in_channels: int = 3
    spatial_channels: tuple[int, ...] = (64, 64, 64, 128)
    context_channels: tuple[int, ...] = (128, 256, 512)
    out_indices: tuple[int, ...] = (0, 1, 2)
    align_corners: bool = False
    out_channels: int = 256
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    act_cfg: Any = RELU
    init_cfg: Any = None
    build: Any = field(default=None, kw_only=True, repr=False, compare=False)

    def __call__(self, net: Net, *xs: Any) -> Any:
        x8, x16 = net.part("context_path", _Context(self.build, self.backbone_cfg, self.context_channels[0]), xs[0])
        spatial = net.part("spatial_path", _Spatial(self.spatial_channels), xs[0])
        fused = net.part("ffm", _Fusion(self.out_channels), spatial, x8)
        return chosen((fused, x8, x16), self.out_indices, "BiSeNetV1")


@dataclass(frozen=True)
class _Detail(Drawing):
    widths: tuple[int, ...]

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        for i, width in enumerate(self.widths):
            for j in range(2 if i == 0 else 3):
                x = net.brick(f"detail_branch.{i}.{j}", x, width, 3, 1 if j else 2, 1, norm_cfg=NORM)
        return x


@dataclass(frozen=True)
class _Stem(Drawing):
    width: int
    order: ClassVar[tuple[str, ...]] = ("conv_first", "convs", "fuse_last")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.brick("conv_first", xs[0], self.width, 3, 2, 1, norm_cfg=NORM)
        left = net.brick("convs.0", x, self.width // 2, norm_cfg=NORM)
        left = net.brick("convs.1", left, self.width, 3, 2, 1, norm_cfg=NORM)
        return net.brick("fuse_last", net.cat((left, net.max_pool(x, 3, 2, 1))), self.width, 3, 1, 1, norm_cfg=NORM)


@dataclass(frozen=True)
class _Gather(Drawing):
    """Gather and expansion: wider by a filter a channel, narrower by a 1x1."""

    width: int
    ratio: int
    stride: int
    order: ClassVar[tuple[str, ...]] = ("conv1", "dwconv", "shortcut", "conv2")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        wide = net.width(x)
        hidden = wide * self.ratio
        y = net.brick("conv1", x, wide, 3, 1, 1, norm_cfg=NORM)
        if self.stride == 1:
            y = net.brick("dwconv.0", y, hidden, 3, 1, 1, groups=wide, norm_cfg=NORM)
        else:
            y = net.brick(
                "dwconv.0", y, hidden, 3, self.stride, 1, groups=wide, bias=False, norm_cfg=NORM, act_cfg=None
            )
            y = net.brick("dwconv.1", y, hidden, 3, 1, 1, groups=hidden, norm_cfg=NORM)
            x = net.separable("shortcut.0", x, self.width, 3, self.stride, 1, norm_cfg=NORM, act_cfg=None)
        y = net.brick("conv2.0", y, self.width, bias=False, norm_cfg=NORM, act_cfg=None)
        return net.relu(x + y)


@dataclass(frozen=True)
class _Embedding(Drawing):
    """Context embedding: the means of channels, added to them."""

    width: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        mean = net.norm("gap.1", net.pooled(xs[0]), NORM)
        x = xs[0] + net.brick("conv_gap", mean, self.width, norm_cfg=NORM)
        return net.brick("conv_last", x, self.width, 3, 1, 1, norm_cfg=NORM)


@dataclass(frozen=True)
class _Semantic(Drawing):
    widths: tuple[int, ...]
    ratio: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, last = net.part("stage1", _Stem(self.widths[0]), xs[0]), len(self.widths)
        maps = [x]
        for i, width in enumerate(self.widths[1:], 2):
            for j in range(4 if i == last else 2):
                x = net.part(f"stage{i}.{j}", _Gather(width, self.ratio, 1 if j else 2), x)
            maps.append(x)
        return (*maps, net.part(f"stage{last}_CEBlock", _Embedding(self.widths[-1]), x))


@dataclass(frozen=True)
class _Aggregation(Drawing):
    """Bilateral guided aggregation: each branch weighs the other."""

    width: int
    align: bool
    order: ClassVar[tuple[str, ...]] = ("detail_dwconv", "detail_down", "semantic_conv", "semantic_dwconv", "conv")

    def __call__(self, net: Net, *xs: Any) -> Any:
        fine, coarse, width = xs[0], xs[1], self.width
        plain: dict[str, Any] = {"dw_norm_cfg": NORM, "dw_act_cfg": None, "pw_norm_cfg": None, "pw_act_cfg": None}
        bare: dict[str, Any] = {"bias": False, "norm_cfg": NORM, "act_cfg": None}
        kept = net.separable("detail_dwconv.0", fine, width, 3, 1, 1, **plain)
        small = net.avg_pool(net.brick("detail_down.0", fine, width, 3, 2, 1, **bare), 3, 2, 1)
        wide = net.resize(
            net.brick("semantic_conv.0", coarse, width, 3, 1, 1, **bare), net.size(kept), align=self.align
        )
        one = kept * net.sigmoid(wide)
        two = small * net.sigmoid(net.separable("semantic_dwconv.0", coarse, width, 3, 1, 1, **plain))
        two = net.resize(two, net.size(one), align=self.align)
        return net.brick("conv", one + two, width, 3, 1, 1, norm_cfg=NORM)


@dataclass(frozen=True)
class BiSeNetV2(Drawing):
    """BiSeNetV2 (Yu et al. 2021), a backbone: images to a tuple of the aggregated maps and those of the semantic branch.

    Attributes:
        detail_channels, semantic_channels: of the stages of either branch.
        semantic_expansion_ratio: by how much the semantic branch's layers are wider inside.
        bga_channels: of the aggregated maps.
        out_indices: of the five maps.
        conv_cfg, norm_cfg, act_cfg: accepted; the layers are convolutions with BN and ReLU whatever they say.
    """

    in_channels: int = 3
    detail_channels: tuple[int, ...] = (64, 64, 128)
    semantic_channels: tuple[int, ...] = (16, 32, 64, 128)
    semantic_expansion_ratio: int = 6
    bga_channels: int = 128
    out_indices: tuple[int, ...] = (0, 1, 2, 3, 4)
    align_corners: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    act_cfg: Any = RELU
    init_cfg: Any = None

    @property
    def start(self) -> Any:
        return INIT

    def __call__(self, net: Net, *xs: Any) -> Any:
        fine = net.part("detail", _Detail(self.detail_channels), xs[0])
        *maps, last = net.part("semantic", _Semantic(self.semantic_channels, self.semantic_expansion_ratio), xs[0])
        head = net.part("bga", _Aggregation(self.bga_channels, self.align_corners), fine, last)
        return chosen((head, *maps), self.out_indices, "BiSeNetV2")
