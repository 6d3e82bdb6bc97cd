"""MSCAN, the backbone of SegNeXt (Guo et al. 2022), as mmseg's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.drawing.net import Drawing, Net
from fkit.backbone.swin import spread
from fkit.tree.error import FkitValueError

__all__ = ["MSCAN"]

_NORM = frozendict(type="SyncBN", requires_grad=True)
_GELU = frozendict(type="GELU")
_LAYER = frozendict(type="LN")
# the fan of a filter a channel is that of the one filter
_FILTERS = frozendict(type="Kaiming", mode="fan_in")


@dataclass(frozen=True)
class _Inside(Drawing):
    """Filters a channel, the first of them square, the others strips."""

    sizes: tuple[Any, ...]
    paddings: tuple[Any, ...]
    default: bool

    @property
    def start(self) -> Any:
        names = ("conv0", *(f"conv{i}_{j}" for i in range(len(self.sizes) - 1) for j in (1, 2)))
        return (
            tuple(frozendict({**_FILTERS, "override": frozendict(name=name)}) for name in names)
            if self.default
            else None
        )

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        wide = net.width(x)
        first = total = net.conv("conv0", x, wide, self.sizes[0], 1, self.paddings[0], groups=wide)
        for i, ((high, across), (down, right)) in enumerate(zip(self.sizes[1:], self.paddings[1:], strict=True)):
            y = net.conv(f"conv{i}_1", first, wide, (high, across), 1, (down, right), groups=wide)
            total = total + net.conv(f"conv{i}_2", y, wide, (across, high), 1, (right, down), groups=wide)
        return net.conv("conv3", total, wide) * x


@dataclass(frozen=True)
class _Attention(Drawing):
    inside: _Inside
    act_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        y = net.act("activation", net.conv("proj_1", x, net.width(x)), self.act_cfg)
        return net.conv("proj_2", net.part("spatial_gating_unit", self.inside, y), net.width(x)) + x


@dataclass(frozen=True)
class _Mlp(Drawing):
    hidden: int
    rate: float
    act_cfg: Any
    default: bool

    @property
    def start(self) -> Any:
        return frozendict({**_FILTERS, "override": frozendict(name="dwconv")}) if self.default else None

    def __call__(self, net: Net, *xs: Any) -> Any:
        y = net.conv("fc1", xs[0], self.hidden)
        y = net.conv("dwconv", y, self.hidden, 3, 1, 1, groups=self.hidden)
        y = net.dropout("drop", net.act("act", y, self.act_cfg), self.rate)
        return net.dropout("drop", net.conv("fc2", y, net.width(xs[0])), self.rate)


@dataclass(frozen=True)
class _Block(Drawing):
    """Attention by strips and a feed-forward network, each with its norm first and a learnt factor a channel."""

    inside: _Inside
    ratio: float
    rate: float
    path: float
    act_cfg: Any
    norm_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("norm1", "attn", "drop_path", "norm2", "mlp")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        wide = net.width(x)
        one, two = (net.along(net.param(f"layer_scale_{i}", (wide,), 0.01)) for i in (1, 2))
        y = net.part("attn", _Attention(self.inside, self.act_cfg), net.norm("norm1", x, self.norm_cfg))
        x = x + net.drop_path("drop_path", one * y, self.path)
        mlp = _Mlp(int(wide * self.ratio), self.rate, self.act_cfg, self.inside.default)
        return x + net.drop_path(
            "drop_path", two * net.part("mlp", mlp, net.norm("norm2", x, self.norm_cfg)), self.path
        )


@dataclass(frozen=True)
class _Stem(Drawing):
    width: int
    norm_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.norm("proj.1", net.conv("proj.0", xs[0], self.width // 2, 3, 2, 1), self.norm_cfg)
        return net.norm("proj.4", net.conv("proj.3", net.gelu(x), self.width, 3, 2, 1), self.norm_cfg)


@dataclass(frozen=True)
class _Patches(Drawing):
    width: int
    norm_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        return net.norm("norm", net.conv("proj", xs[0], self.width, 3, 2, 1), self.norm_cfg)


@dataclass(frozen=True)
class MSCAN(Drawing):
    """MSCAN, a backbone: images to a tuple of maps at strides 4, 8, 16 and 32.

    Attributes:
        embed_dims, mlp_ratios, depths: channels of the stages, widths inside of feed-forward networks by those outside, blocks.
        drop_rate, drop_path_rate: dropout, and stochastic depth of the last block; the others' rise linearly from 0.
        attention_kernel_sizes, attention_kernel_paddings: of the square filter and of the strips.
    """

    in_channels: int = 3
    embed_dims: tuple[int, ...] = (64, 128, 256, 512)
    mlp_ratios: tuple[float, ...] = (4, 4, 4, 4)
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    depths: tuple[int, ...] = (3, 4, 6, 3)
    num_stages: int = 4
    attention_kernel_sizes: tuple[Any, ...] = (5, (1, 7), (1, 11), (1, 21))
    attention_kernel_paddings: tuple[Any, ...] = (2, (0, 3), (0, 5), (0, 10))
    act_cfg: Any = _GELU
    norm_cfg: Any = _NORM
    pretrained: Any = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(map(len, (self.embed_dims, self.mlp_ratios, self.depths))) < self.num_stages:
            raise FkitValueError(f"MSCAN: {self.num_stages} stages: as many embed_dims, mlp_ratios and depths.")
        if len(self.attention_kernel_sizes) != len(self.attention_kernel_paddings):
            raise FkitValueError("MSCAN: attention_kernel_sizes: as many attention_kernel_paddings.")

    @property
    def start(self) -> Any:
        return (frozendict(type="Constant", layer="LayerNorm", val=1), frozendict(type="Kaiming", layer="Conv2d"))

    def __call__(self, net: Net, *xs: Any) -> Any:
        rates, at, x = spread(self.drop_path_rate, sum(self.depths)), 0, xs[0]
        default = self.init_cfg is None and self.pretrained is None
        inside = _Inside(self.attention_kernel_sizes, self.attention_kernel_paddings, default)
        maps: list[Any] = []
        for i in range(self.num_stages):
            stem = (_Patches if i else _Stem)(self.embed_dims[i], self.norm_cfg)
            x = net.part(f"patch_embed{i + 1}", stem, x)
            for j in range(self.depths[i]):
                block = _Block(inside, self.mlp_ratios[i], self.drop_rate, rates[at + j], self.act_cfg, self.norm_cfg)
                x = net.part(f"block{i + 1}.{j}", block, x)
            at += self.depths[i]
            x = net.maps(net.norm(f"norm{i + 1}", net.rows(x), _LAYER), net.size(x))
            maps.append(x)
        return tuple(maps)
