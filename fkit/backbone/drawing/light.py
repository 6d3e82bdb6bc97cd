"""Light networks for segmentation: CGNet (Wu et al. 2021), ERFNet (Romera et al. 2018) and Fast-SCNN (Poudel et al. 2019), as
mmseg's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.drawing.net import NORM, Drawing, Net, chosen
from fkit.backbone.drawing.pyramid import pyramid
from fkit.backbone.resnet import INIT
from fkit.tree.error import FkitValueError

__all__ = ["CGNet", "ERFNet", "FastSCNN"]

_NORM = frozendict(type="BN", requires_grad=True)
_SLOW = frozendict(type="BN", eps=1e-3)
_PRELU = frozendict(type="PReLU")


def _slopes(cfg: Any, width: int) -> Any:
    """An activation with a slope a channel, if it has one."""
    return frozendict(type="PReLU", num_parameters=width) if cfg.get("type") == "PReLU" else cfg


@dataclass(frozen=True)
class _Guided(Drawing):
    """A filter a channel near and another farther, and the whole map's means."""

    width: int
    dilation: int
    reduction: int
    down: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, wide = xs[0], self.width if self.down else self.width // 2
        size, stride, edge = (3, 2, 1) if self.down else (1, 1, 0)
        act = _slopes(self.act_cfg, wide)
        y = net.brick(
            "conv1x1", x, wide, size, stride, edge, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=act
        )
        near = net.conv("f_loc", y, wide, 3, 1, 1, groups=wide, bias=False, cfg=self.conv_cfg)
        far = net.conv("f_sur", y, wide, 3, 1, self.dilation, self.dilation, groups=wide, bias=False, cfg=self.conv_cfg)
        y = net.act("activate", net.norm("bn", net.cat((near, far)), self.norm_cfg), _slopes(_PRELU, 2 * wide))
        if self.down:
            y = net.conv("bottleneck", y, self.width, bias=False, cfg=self.conv_cfg)
        y = net.part("f_glo", _Means(self.width // self.reduction), y)
        return y if self.down else x + y


@dataclass(frozen=True)
class _Means(Drawing):
    """Channels, weighed by their means."""

    inside: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        y = net.relu(net.linear("fc.0", net.rows(net.pooled(x)), self.inside))
        y = net.sigmoid(net.linear("fc.2", y, net.width(x)))
        return x * net.maps(y, (1, 1))


@dataclass(frozen=True)
class CGNet(Drawing):
    """CGNet, a backbone: images to a tuple of maps at strides 2, 4 and 8.

    Attributes:
        num_channels: of the three stages.
        num_blocks, dilations, reductions: of the last two.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
    """

    in_channels: int = 3
    num_channels: tuple[int, ...] = (32, 64, 128)
    num_blocks: tuple[int, ...] = (3, 21)
    dilations: tuple[int, ...] = (2, 4)
    reductions: tuple[int, ...] = (8, 16)
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    act_cfg: Any = _PRELU
    norm_eval: bool = False
    with_cp: bool = False
    pretrained: Any = None
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = ("stem", "norm_prelu_0", "level1", "norm_prelu_1", "level2", "norm_prelu_2")

    @property
    def start(self) -> Any:
        return (
            frozendict(type="Kaiming", layer=("Conv2d", "Linear")), INIT[1],
            frozendict(type="Constant", val=0, layer="PReLU"),
        )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = (self.num_blocks, self.dilations, self.reductions)
        if len(self.num_channels) != 3 or any(len(one) != 2 for one in pairs):
            raise FkitValueError("CGNet: three num_channels, and two num_blocks, dilations and reductions each.")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, wide = xs[0], self.num_channels
        half = net.avg_pool(x, 3, 2, 1)
        injected = (half, net.avg_pool(half, 3, 2, 1), None)
        for i in range(3):
            x = net.brick(
                f"stem.{i}", x, wide[0], 3, 1 if i else 2, 1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg,
                act_cfg=_slopes(self.act_cfg, wide[0]),
            )  # fmt: skip
        maps = [self._joined(net, 0, (x, half))]
        for level in (1, 2):
            x = down = self._block(net, level, 0, maps[-1])
            for j in range(1, self.num_blocks[level - 1]):
                x = self._block(net, level, j, x)
            parts = (x, down, injected[1]) if level == 1 else (down, x)
            maps.append(self._joined(net, level, parts))
        return tuple(maps)

    def _joined(self, net: Net, level: int, parts: tuple[Any, ...]) -> Any:
        x = net.norm(f"norm_prelu_{level}.0", net.cat(parts), self.norm_cfg)
        return net.act(f"norm_prelu_{level}.1", x, _slopes(_PRELU, net.width(x)))

    def _block(self, net: Net, level: int, place: int, x: Any) -> Any:
        block = _Guided(
            self.num_channels[level], self.dilations[level - 1], self.reductions[level - 1], place == 0, self.conv_cfg,
            self.norm_cfg, self.act_cfg,
        )  # fmt: skip
        return net.part(f"level{level}.{place}", block, x, again=self.with_cp)


@dataclass(frozen=True)
class _Down(Drawing):
    """Half the size: a convolution with stride beside pooling."""

    width: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        y = net.conv("conv", x, self.width - net.width(x), 3, 2, 1)
        x = net.resize(net.max_pool(x, 2, 2), net.size(y), align=False)
        return net.relu(net.norm("bn", net.cat((y, x)), _SLOW))


@dataclass(frozen=True)
class _Thin(Drawing):
    """A residual block of convolutions down and across."""

    rate: float
    dilation: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = y = xs[0]
        wide = net.width(x)
        for half in (0, 1):
            step, at = (self.dilation if half else 1), 5 * half
            y = net.relu(net.conv(f"convs_layers.{at}", y, wide, (3, 1), 1, (step, 0), (step, 1)))
            y = net.conv(f"convs_layers.{at + 2}", y, wide, (1, 3), 1, (0, step), (1, step))
            y = net.norm(f"convs_layers.{at + 3}", y, _SLOW)
            y = net.dropout(f"convs_layers.{at + 4}", y, self.rate) if half else net.relu(y)
        return net.relu(x + y)


@dataclass(frozen=True)
class _Up(Drawing):
    """Twice the size, by a transposed convolution."""

    width: int

    def __call__(self, net: Net, *xs: Any) -> Any:
        deconv = frozendict(type="deconv")
        x = net.conv("conv", xs[0], self.width, 3, 2, 1, cfg=deconv, output_padding=1)
        return net.relu(net.norm("bn", x, _SLOW))


@dataclass(frozen=True)
class ERFNet(Drawing):
    """ERFNet, a backbone: images to a tuple of maps at a stride of 2.

    Attributes:
        enc_downsample_channels: of the layers that halve the size.
        enc_stage_non_bottlenecks: residual blocks after each but the first of them; of the last, a multiple of the dilations.
        enc_non_bottleneck_dilations: of the last stage's blocks, in turn.
        enc_non_bottleneck_channels, dec_upsample_channels: one a stage; the widths follow from the others.
        dec_stages_non_bottleneck, dec_non_bottleneck_channels: blocks after each layer that doubles the size, and channels.
        dropout_ratio: in the encoder's blocks.
        conv_cfg, norm_cfg, act_cfg: accepted; layers are convolutions with BN and ReLU whatever they say.
    """

    in_channels: int = 3
    enc_downsample_channels: tuple[int, ...] = (16, 64, 128)
    enc_stage_non_bottlenecks: tuple[int, ...] = (5, 8)
    enc_non_bottleneck_dilations: tuple[int, ...] = (2, 4, 8, 16)
    enc_non_bottleneck_channels: tuple[int, ...] = (64, 128)
    dec_upsample_channels: tuple[int, ...] = (64, 16)
    dec_stages_non_bottleneck: tuple[int, ...] = (2, 2)
    dec_non_bottleneck_channels: tuple[int, ...] = (64, 16)
    dropout_ratio: float = 0.1
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    act_cfg: Any = RELU
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        stages = len(self.enc_downsample_channels) - 1
        rows = (
            self.enc_stage_non_bottlenecks, self.enc_non_bottleneck_channels, self.dec_upsample_channels,
            self.dec_stages_non_bottleneck, self.dec_non_bottleneck_channels,
        )  # fmt: skip
        if stages < 1 or any(len(row) != stages for row in rows):
            raise FkitValueError(f"ERFNet: {stages} stages after the first, but another number of blocks or channels.")
        if self.enc_stage_non_bottlenecks[-1] % len(self.enc_non_bottleneck_dilations):
            raise FkitValueError("ERFNet: enc_stage_non_bottlenecks: the last is no multiple of the dilations.")

    def __call__(self, net: Net, *xs: Any) -> Any:
        first, *widths = self.enc_downsample_channels
        rows = [(1,) * count for count in self.enc_stage_non_bottlenecks]
        dilations = self.enc_non_bottleneck_dilations
        rows[-1] = tuple(dilations) * (self.enc_stage_non_bottlenecks[-1] // len(dilations))
        parts: list[Drawing] = [_Down(first)]
        for width, row in zip(widths, rows, strict=True):
            parts += [_Down(width), *(_Thin(self.dropout_ratio, dilation) for dilation in row)]
        x = xs[0]
        for i, part in enumerate(parts):
            x = net.part(f"encoder.{i}", part, x)
        parts = []
        for width, count in zip(self.dec_non_bottleneck_channels, self.dec_stages_non_bottleneck, strict=True):
            parts += [_Up(width), *(_Thin(0.0, 1) for _ in range(count))]
        for i, part in enumerate(parts):
            x = net.part(f"decoder.{i}", part, x)
        return (x,)


@dataclass(frozen=True)
class _Learned(Drawing):
    """Learning to downsample: an eighth of the size."""

    widths: tuple[int, ...]
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any
    dw_act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        first, second, last = self.widths
        x = net.brick(
            "conv", xs[0], first, 3, 2, 1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg
        )
        shared: dict[str, Any] = {"norm_cfg": self.norm_cfg, "dw_act_cfg": self.dw_act_cfg}
        return net.separable("dsconv2", net.separable("dsconv1", x, second, 3, 2, 1, **shared), last, 3, 2, 1, **shared)


@dataclass(frozen=True)
class _Inverted(Drawing):
    """Wider by a 1x1, a filter a channel, narrower by a 1x1."""

    width: int
    stride: int
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, shared = xs[0], {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        hidden = 6 * net.width(x)
        y = net.brick("conv.0", x, hidden, **shared)
        y = net.brick("conv.1", y, hidden, 3, self.stride, 1, groups=hidden, **shared)
        y = net.brick("conv.2", y, self.width, norm_cfg=self.norm_cfg, act_cfg=None)
        return x + y if self.stride == 1 and net.width(x) == self.width else y


@dataclass(frozen=True)
class _Global(Drawing):
    """Global features: inverted residual blocks, and maps pooled at several scales."""

    widths: tuple[int, ...]
    strides: tuple[int, ...]
    width: int
    align: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        for i, (width, stride) in enumerate(zip(self.widths, self.strides, strict=True), 1):
            for j in range(3):
                block = _Inverted(width, 1 if j else stride, self.norm_cfg, self.act_cfg)
                x = net.part(f"bottleneck{i}.{j}", block, x)
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        scales = pyramid(net, "ppm", x, (1, 2, 3, 6), self.widths[-1] // 4, self.align, **shared)
        return net.brick("out", net.cat((x, *scales)), self.width, 3, 1, 1, **shared)


@dataclass(frozen=True)
class _Fused(Drawing):
    """Finer and coarser maps, added."""

    width: int
    align: bool
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        fine, coarse = xs
        bare: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": None}
        x = net.resize(coarse, net.size(fine), align=self.align)
        x = net.brick("dwconv", x, self.width, 3, 1, 1, groups=self.width, **{**bare, "act_cfg": self.act_cfg})
        x = net.brick("conv_lower_res", x, self.width, **bare)
        return net.relu(net.brick("conv_higher_res", fine, self.width, **bare) + x)


@dataclass(frozen=True)
class FastSCNN(Drawing):
    """Fast-SCNN, a backbone: images to a tuple of the finer maps, the coarser, and these fused.

    Attributes:
        downsample_dw_channels, global_in_channels: of the layers that begin; the last is ``higher_in_channels`` too.
        global_block_channels, global_block_strides: of the coarser branch's three stages.
        global_out_channels: of what it gives; ``lower_in_channels`` is the same.
        fusion_out_channels: of the fused maps.
        out_indices: of the three.
        dw_act_cfg: of the filters a channel.
    """

    in_channels: int = 3
    downsample_dw_channels: tuple[int, ...] = (32, 48)
    global_in_channels: int = 64
    global_block_channels: tuple[int, ...] = (64, 96, 128)
    global_block_strides: tuple[int, ...] = (2, 2, 1)
    global_out_channels: int = 128
    higher_in_channels: int = 64
    lower_in_channels: int = 128
    fusion_out_channels: int = 128
    out_indices: tuple[int, ...] = (0, 1, 2)
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    act_cfg: Any = RELU
    align_corners: bool = False
    dw_act_cfg: Any = None
    init_cfg: Any = None

    @property
    def start(self) -> Any:
        return INIT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_in_channels != self.higher_in_channels or self.global_out_channels != self.lower_in_channels:
            raise FkitValueError("FastSCNN: higher_in_channels and lower_in_channels are what the branches give.")

    def __call__(self, net: Net, *xs: Any) -> Any:
        cfgs = (self.conv_cfg, self.norm_cfg, self.act_cfg)
        widths = (*self.downsample_dw_channels, self.global_in_channels)
        fine = net.part("learning_to_downsample", _Learned(widths, *cfgs, self.dw_act_cfg), xs[0])
        extractor = _Global(
            self.global_block_channels, self.global_block_strides, self.global_out_channels, self.align_corners, *cfgs
        )
        coarse = net.part("global_feature_extractor", extractor, fine)
        fused = net.part("feature_fusion", _Fused(self.fusion_out_channels, self.align_corners, *cfgs), fine, coarse)
        return chosen((fine, coarse, fused), self.out_indices, "FastSCNN")
