"""Networks that lift keypoints to space: TCN (Pavllo et al. 2019) and DSTformer (Zhu et al. 2023), as mmpose's."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.drawing.net import Drawing, Net
from fkit.backbone.drawing.token import attended, heads_of
from fkit.backbone.resnet import INIT
from fkit.backbone.swin import spread
from fkit.tree.error import FkitValueError

__all__ = ["TCN", "DSTFormer"]

_CONV = frozendict(type="Conv1d")
_NORM = frozendict(type="BN1d")
_LAYER = frozendict(type="LN", eps=1e-6)


@dataclass(frozen=True)
class _Temporal(Drawing):
    """Two convolutions over time, added to the frames that they are about."""

    width: int
    size: int
    dilation: int
    rate: float
    causal: bool
    residual: bool
    strides: bool
    conv_cfg: Any
    norm_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, shared = xs[0], {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        stride, dilation = (self.size, 1) if self.strides else (1, self.dilation)
        y = net.brick("conv1.0", x, self.width, self.size, stride, 0, dilation, **shared)
        y = net.brick("conv2.0", self._dropped(net, y), self.width, **shared)
        y = self._dropped(net, y)
        if not self.residual:
            return y
        shift = self.size // 2 * dilation if self.causal else 0
        if self.strides:
            seen = net.strip(x, slice(shift + self.size // 2, None, self.size))
        else:
            edge = (self.size - 1) * dilation // 2
            length = net.length(x)
            seen = net.strip(x, slice(edge + shift, length - edge + shift))
        if net.width(x) != self.width:
            seen = net.conv("short_cut", seen, self.width, cfg=self.conv_cfg)
        return seen + y

    def _dropped(self, net: Net, x: Any) -> Any:
        return net.dropout("dropout", x, self.rate, row=True) if self.rate else x


@dataclass(frozen=True)
class TCN(Drawing):
    """Temporal convolutional network, a backbone: keypoints (N, C, T) of T frames to a tuple of features, one a block.

    Attributes:
        stem_channels: of all layers.
        num_blocks: one less than ``kernel_sizes``, which are odd.
        causal: frames see earlier ones alone.
        residual: whether blocks add what came in.
        use_stride_conv: strides in place of dilations, for one frame out.
        max_norm: None.
    """

    in_channels: int
    stem_channels: int = 1024
    num_blocks: int = 2
    kernel_sizes: tuple[int, ...] = (3, 3, 3)
    dropout: float = 0.25
    causal: bool = False
    residual: bool = True
    use_stride_conv: bool = False
    conv_cfg: Any = _CONV
    norm_cfg: Any = _NORM
    max_norm: float | None = None
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = ("expand_conv", "tcn_blocks")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_blocks != len(self.kernel_sizes) - 1 or any(size % 2 == 0 for size in self.kernel_sizes):
            raise FkitValueError(f"TCN: kernel_sizes={self.kernel_sizes}: odd, and one more than num_blocks.")
        if self.max_norm is not None:
            raise FkitValueError("TCN: max_norm is not supported, for it changes weights in a forward pass.")

    @property
    def start(self) -> Any:
        return INIT

    @property
    def example(self) -> tuple[Any, ...]:
        return ((self.in_channels, prod(self.kernel_sizes)),)

    def __call__(self, net: Net, *xs: Any) -> Any:
        first, *sizes = self.kernel_sizes
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        stride = first if self.use_stride_conv else 1
        x = net.brick("expand_conv", xs[0], self.stem_channels, first, stride, **shared)
        x = net.dropout("dropout", x, self.dropout, row=True) if self.dropout else x
        maps, dilation = list[Any](), first
        for i, size in enumerate(sizes):
            block = _Temporal(
                self.stem_channels, size, dilation, self.dropout, self.causal, self.residual, self.use_stride_conv,
                self.conv_cfg, self.norm_cfg,
            )  # fmt: skip
            x = net.part(f"tcn_blocks.{i}", block, x)
            maps.append(x)
            dilation *= size
        return tuple(maps)


@dataclass(frozen=True)
class _Attention(Drawing):
    """Attention among the keypoints of a frame, or of a keypoint among its frames."""

    heads: int
    bias: bool
    rates: tuple[float, float]
    temporal: bool
    order: ClassVar[tuple[str, ...]] = ("proj", "qkv")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, frames = xs
        count, points, width = x.shape
        y = net.linear("qkv", x, 3 * width, self.bias)
        if self.temporal:
            y = net.turned(y.reshape(-1, frames, points, 3 * width), 0, 2, 1, 3).reshape(-1, frames, 3 * width)
        query, key, value = (heads_of(net, y[..., i * width : (i + 1) * width], self.heads) for i in range(3))
        y = attended(net, "attn_drop", query, key, value, self.rates[0])
        if self.temporal:
            y = net.turned(y.reshape(-1, points, frames, width), 0, 2, 1, 3).reshape(count, points, width)
        return net.dropout("proj_drop", net.linear("proj", y, width), self.rates[1])


@dataclass(frozen=True)
class _Block(Drawing):
    """Attention in space and in time, in this order or the other, each with a feed-forward network after it."""

    heads: int
    ratio: float
    bias: bool
    rates: tuple[float, float, float]
    kinds: str
    order: ClassVar[tuple[str, ...]] = (
        "norm1_s", "norm1_t", "attn_s", "attn_t", "norm2_s", "norm2_t", "mlp_s", "mlp_t",
    )  # fmt: skip

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, frames = xs
        attn_drop, drop, path = self.rates
        for kind in self.kinds:
            attention = _Attention(self.heads, self.bias, (attn_drop, drop), kind == "t")
            y = net.part(f"attn_{kind}", attention, net.norm(f"norm1_{kind}", x, _LAYER), frames)
            x = x + net.drop_path("drop_path", y, path)
            y = net.norm(f"norm2_{kind}", x, _LAYER)
            y = net.gelu(net.linear(f"mlp_{kind}.0", y, int(x.shape[-1] * self.ratio)))
            y = net.dropout(f"mlp_{kind}.3", net.linear(f"mlp_{kind}.2", y, x.shape[-1]), drop)
            x = x + net.drop_path("drop_path", y, path)
        return x


@dataclass(frozen=True)
class DSTFormer(Drawing):
    """DSTformer, a backbone: keypoints (N, T, K, C) of T frames to features (N, T, K, ``feat_size``).

    In flax, where maps have their second axis last, they are (N, K, C, T), and features (N, K, ``feat_size``, T).

    Attributes:
        depth: blocks of either kind.
        num_keypoints, seq_len: K, and the most frames.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        att_fuse: whether learnt shares weigh the two kinds of blocks; else each has a half.
    """

    in_channels: int
    feat_size: int = 256
    depth: int = 5
    num_heads: int = 8
    mlp_ratio: float = 4
    num_keypoints: int = 17
    seq_len: int = 243
    qkv_bias: bool = True
    qk_scale: float | None = None
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    att_fuse: bool = True
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = (
        "temp_embed", "spat_embed", "joints_embed", "blocks_st", "blocks_ts", "norm", "attn_regress",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.qk_scale is not None or self.feat_size % self.num_heads:
            raise FkitValueError(
                f"DSTFormer: qk_scale={self.qk_scale}, feat_size={self.feat_size}: None, and a multiple of num_heads."
            )

    @property
    def start(self) -> Any:
        places = (
            frozendict(type="TruncNormal", std=0.02, override=frozendict(name=name))
            for name in ("temp_embed", "spat_embed")
        )
        return (
            frozendict(type="TruncNormal", std=0.02, layer="Linear"),
            frozendict(type="Constant", val=1, layer="LayerNorm"), *places,
        )  # fmt: skip

    @property
    def example(self) -> tuple[Any, ...]:
        return ((min(self.seq_len, 2), self.num_keypoints, self.in_channels),)

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.turned(net.last(xs[0]), 0, 3, 1, 2)  # (N, T, K, C) on both
        count, frames, points, _ = x.shape
        if frames > self.seq_len:
            raise FkitValueError(f"DSTFormer: seq_len={self.seq_len}, but there are {frames} frames.")
        width = self.feat_size
        times = net.param("temp_embed", (1, self.seq_len, 1, width))
        places = net.param("spat_embed", (1, self.num_keypoints, width))
        x = net.linear("joints_embed", x.reshape(count * frames, points, -1), width) + places
        x = (x.reshape(count, frames, points, width) + times[:, :frames]).reshape(count * frames, points, width)
        x = net.dropout("pos_drop", x, self.drop_rate)
        for i, path in enumerate(spread(self.drop_path_rate, self.depth)):
            rates = (self.attn_drop_rate, self.drop_rate, path)
            one, two = (
                net.part(
                    f"blocks_{kinds}.{i}",
                    _Block(self.num_heads, self.mlp_ratio, self.qkv_bias, rates, kinds),
                    x,
                    frames,
                )
                for kinds in ("st", "ts")
            )
            if self.att_fuse:
                share = net.softmax(net.linear(f"attn_regress.{i}", net.joined((one, two), -1), 2))
                x = one * share[..., :1] + two * share[..., 1:]
            else:
                x = (one + two) * 0.5
        x = net.norm("norm", x, _LAYER).reshape(count, frames, points, width)
        return net.first(net.turned(x, 0, 2, 3, 1))
