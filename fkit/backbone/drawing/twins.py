"""Twins (Chu et al. 2021), as mmseg's and mmpretrain's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from frozendict import frozendict

from fkit.backbone.drawing.net import Drawing, Net, one_of
from fkit.backbone.drawing.token import attended, heads_of
from fkit.backbone.pvt import INIT
from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["PCPVT", "SVT", "LastPCPVT", "LastSVT"]

_LAYER = frozendict(type="LN")
_GELU = frozendict(type="GELU")
_KEYS = ("embed_dims", "depths", "num_heads", "patch_sizes", "strides", "mlp_ratios", "sr_ratios")


@dataclass(frozen=True)
class _Global(Drawing):
    """Attention to maps that are ``reduction`` times smaller down and across.

    Attributes:
        packed: whether the projections are those of torch's MultiheadAttention, or ``q`` and ``kv``.
    """

    heads: int
    reduction: int
    packed: bool
    bias: bool
    rates: tuple[float, float, float]
    norm_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("attn", "proj", "q", "kv", "sr", "norm")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = seen = xs[0]
        attn_drop, drop, path = self.rates
        if self.reduction > 1:
            seen = net.conv("sr", net.maps(x, xs[1]), x.shape[-1], self.reduction, self.reduction)
            seen = net.norm("norm", net.rows(seen), self.norm_cfg)
        if self.packed:
            y = net.attention("attn", x, seen, seen, self.heads, attn_drop, self.bias)
            return net.drop_path("dropout_layer", net.dropout("proj_drop", y, drop), path)
        query = heads_of(net, net.linear("q", x, x.shape[-1], self.bias), self.heads)
        both = net.linear("kv", seen, 2 * x.shape[-1], self.bias)
        key, value = (heads_of(net, both[..., part], self.heads) for part in _halves(x.shape[-1]))
        y = attended(net, "attn_drop", query, key, value, attn_drop)
        return net.drop_path("out_drop", net.dropout("proj_drop", net.linear("proj", y, x.shape[-1]), drop), path)


def _halves(width: int) -> tuple[slice, slice]:
    return slice(None, width), slice(width, None)


@dataclass(frozen=True)
class _Local(Drawing):
    """Attention inside of windows.

    Patches beside the last row and column are masked as the reference masks them, where it adds such on both sides.
    """

    heads: int
    window: int
    bias: bool
    rates: tuple[float, float, float]

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, (high, wide), side = xs[0], xs[1], self.window
        count, _, width = x.shape
        down, right = -high % side, -wide % side
        x = net.padded(x.reshape(count, high, wide, width), (0, down), (0, right))
        rows, columns = (high + down) // side, (wide + right) // side
        x = net.turned(x.reshape(count, rows, side, columns, side, width), 0, 1, 3, 2, 4, 5)
        x = x.reshape(count, rows * columns, side * side, width)
        parts = net.linear("qkv", x, 3 * width, self.bias)
        parts = parts.reshape(count, rows * columns, side * side, 3, self.heads, width // self.heads)
        query, key, value = (net.turned(parts[:, :, :, i], 0, 1, 3, 2, 4) for i in range(3))
        scores = query @ net.turned(key, 0, 1, 2, 4, 3) * (width // self.heads) ** -0.5
        if down and right:
            scores = scores + net.table(self._mask(rows, columns, down, right), scores)
        shape = scores.shape
        scores = net.dropout("attn_drop", net.softmax(scores).reshape(count, -1, side * side), self.rates[0])
        y = net.turned(scores.reshape(shape) @ value, 0, 1, 3, 2, 4)
        y = net.turned(y.reshape(count, rows, columns, side, side, width), 0, 1, 3, 2, 4, 5)
        y = y.reshape(count, rows * side, columns * side, width)[:, :high, :wide].reshape(count, high * wide, width)
        return net.dropout("proj_drop", net.linear("proj", y, width), self.rates[1])

    def _mask(self, rows: int, columns: int, down: int, right: int) -> Any:
        """What is added to scores, (windows, 1, patches, patches)."""
        side = self.window
        added = np.zeros((rows * side, columns * side))
        added[-down:], added[:, -right:] = 1, 1
        added = added.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
        return np.where(added[:, None] != added[:, :, None], -1000.0, 0.0)[:, None]


@dataclass(frozen=True)
class _Layer(Drawing):
    """Attention and a feed-forward network, each with its norm first, added to patches.

    Attributes:
        rates: of dropout of the attention and of what it gives, and of stochastic depth.
    """

    attention: Any
    hidden: int
    rates: tuple[float, float, float]
    norm_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("norm1", "attn", "norm2", "ffn")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, size = xs
        y = net.part("attn", self.attention, net.norm("norm1", x, self.norm_cfg), size)
        x = x + net.drop_path("drop_path", y, self.rates[2])
        branch = frozendict(type="DropPath", drop_prob=self.rates[2])
        y = net.ffn(
            "ffn", net.norm("norm2", x, self.norm_cfg), x, feedforward_channels=self.hidden, ffn_drop=self.rates[1],
            dropout_layer=branch, act_cfg=_GELU, add_identity=False,
        )  # fmt: skip
        return x + net.drop_path("drop_path", y, self.rates[2])


@dataclass(frozen=True)
class _Positions(Drawing):
    """Positions that follow from a patch's neighbours."""

    default: bool

    @property
    def start(self) -> Any:
        return frozendict(type="Kaiming", mode="fan_in", override=frozendict(name="proj")) if self.default else None

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.maps(*xs)
        return net.rows(net.conv("proj", x, net.width(x), 3, 1, 1, groups=net.width(x)) + x)


@dataclass(frozen=True)
class _Twins(Drawing):
    """What the four of them share."""

    order: ClassVar[tuple[str, ...]] = ("patch_embeds", "layers", "stages", "position_encodings", "norm_list",
                                     *(f"norm_after_stage{i}" for i in range(8)))  # fmt: skip
    packed: ClassVar[bool] = True

    @property
    def start(self) -> Any:
        return INIT

    def _run(self, net: Net, x: Any, each: Mapping[str, Any], windows: Any, options: Mapping[str, Any]) -> list[Any]:
        """The maps of all stages. ``each`` has what there is one of a stage, ``windows`` sides for every other layer."""
        rates, at = spread(options["drop_path_rate"], sum(each["depths"])), 0
        default, norm = (
            getattr(self, "init_cfg", None) is None and options.get("pretrained") is None,
            options["norm_cfg"],
        )
        maps: list[Any] = []
        for i, depth in enumerate(each["depths"]):
            width, heads = each["embed_dims"][i], each["num_heads"][i]
            x, size = net.patch(
                f"patch_embeds.{i}", x, width, kernel_size=each["patch_sizes"][i], stride=each["strides"][i],
                norm_cfg=norm if self.packed else _LAYER,
            )  # fmt: skip
            x = net.dropout(f"position_encoding_drops.{i}", x, options["drop_rate"])
            for j in range(depth):
                drops = (options["attn_drop_rate"], options["drop_rate"], rates[at + j])
                inner = _LAYER if self.packed else norm
                if windows and j % 2 == 0:
                    attention: Any = _Local(heads, windows[i], options["qkv_bias"], drops)
                else:
                    attention = _Global(heads, each["sr_ratios"][i], self.packed, options["qkv_bias"], drops, inner)
                layer = _Layer(attention, each["mlp_ratios"][i] * width, drops, inner)
                x = net.part(f"{'layers' if self.packed else 'stages'}.{i}.{j}", layer, x, size)
                x = x if j else net.part(f"position_encodings.{i}", _Positions(default), x, size)
            at += depth
            x = self._ended(net, i, x)
            x = net.maps(x, size)
            maps.append(x)
        return maps

    def _ended(self, net: Net, stage: int, x: Any) -> Any:
        """A stage's patches, perhaps with a norm."""
        raise NotImplementedError


@dataclass(frozen=True)
class PCPVT(_Twins):
    """Twins-PCPVT of mmseg, a backbone: images to a tuple of maps at strides 4, 8, 16 and 32.

    Attributes:
        embed_dims, patch_sizes, strides, num_heads, mlp_ratios, depths, sr_ratios: one of each a stage.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        norm_after_stage: a norm at each stage's end.

    Raises:
        FkitError: numbers of stages that do not fit together.
    """

    in_channels: int = 3
    embed_dims: tuple[int, ...] = (64, 128, 256, 512)
    patch_sizes: tuple[int, ...] = (4, 2, 2, 2)
    strides: tuple[int, ...] = (4, 2, 2, 2)
    num_heads: tuple[int, ...] = (1, 2, 4, 8)
    mlp_ratios: tuple[int, ...] = (4, 4, 4, 4)
    out_indices: tuple[int, ...] = (0, 1, 2, 3)
    qkv_bias: bool = False
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    norm_cfg: Any = _LAYER
    depths: tuple[int, ...] = (3, 4, 6, 3)
    sr_ratios: tuple[int, ...] = (8, 4, 2, 1)
    norm_after_stage: bool = False
    pretrained: Any = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(type(self).__name__, vars(self), self.windows)

    @property
    def windows(self) -> Any:
        """Sides of the windows of every other layer, if there are such."""
        return None

    def __call__(self, net: Net, *xs: Any) -> Any:
        maps = self._run(net, xs[0], vars(self), self.windows, vars(self))
        return tuple(x for i, x in enumerate(maps) if i in self.out_indices)

    def _ended(self, net: Net, stage: int, x: Any) -> Any:
        return net.norm(f"norm_list.{stage}", x, self.norm_cfg) if self.norm_after_stage else x


@dataclass(frozen=True)
class SVT(PCPVT):
    """Twins-SVT of mmseg: every other layer attends inside of windows.

    Attributes:
        windiow_sizes: sides of the windows of each stage.
    """

    embed_dims: tuple[int, ...] = (64, 128, 256)
    num_heads: tuple[int, ...] = (1, 2, 4)
    mlp_ratios: tuple[int, ...] = (4, 4, 4)
    drop_path_rate: float = 0.2
    depths: tuple[int, ...] = (4, 4, 4)
    sr_ratios: tuple[int, ...] = (4, 2, 1)
    norm_after_stage: bool = True
    windiow_sizes: tuple[int, ...] = (7, 7, 7)

    @property
    def windows(self) -> Any:
        return self.windiow_sizes


def _arch(widths: Any, depths: Any, heads: Any, ratios: Any, windows: Any = None) -> Mapping[str, Any]:
    whole: dict[str, Any] = {
        "embed_dims": widths, "depths": depths, "num_heads": heads, "patch_sizes": (4, 2, 2, 2),
        "strides": (4, 2, 2, 2), "mlp_ratios": ratios, "sr_ratios": (8, 4, 2, 1),
    }  # fmt: skip
    return frozendict(whole if windows is None else {**whole, "window_sizes": windows})


def _named(archs: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Archs by their names, and by the first letters of these."""
    return frozendict({**archs, **{name[0]: arch for name, arch in archs.items()}})


_ARCHS: Mapping[str, Mapping[str, Any]] = frozendict(
    PCPVT=_named({
        name: _arch((64, 128, 320, 512), depths, (1, 2, 5, 8), (8, 8, 4, 4))
        for name, depths in (("small", (3, 4, 6, 3)), ("base", (3, 4, 18, 3)), ("large", (3, 8, 27, 3)))
    }),
    SVT=_named({
        name: _arch(widths, depths, heads, (4, 4, 4, 4), (7, 7, 7, 7))
        for name, widths, depths, heads in (
            ("small", (64, 128, 256, 512), (2, 2, 10, 4), (2, 4, 8, 16)),
            ("base", (96, 192, 384, 768), (2, 2, 18, 2), (3, 6, 12, 24)),
            ("large", (128, 256, 512, 1024), (2, 2, 18, 2), (4, 8, 16, 32)),
        )
    }),
)  # fmt: skip


@dataclass(frozen=True)
class LastPCPVT(_Twins):
    """Twins-PCPVT of mmpretrain: the last stage's maps, unless ``out_indices`` says more.

    Attributes:
        arch: "small", "base" or "large", or a dict with embed_dims, depths, num_heads, patch_sizes, strides, mlp_ratios and
            sr_ratios.
        norm_after_stage: a norm at each stage's end; one for all, or one a stage.

    Raises:
        FkitError: another arch, or numbers of stages that do not fit together.
    """

    arch: Any
    in_channels: int = 3
    out_indices: tuple[int, ...] = (3,)
    qkv_bias: bool = False
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    norm_cfg: Any = _LAYER
    norm_after_stage: Any = False
    init_cfg: Any = None
    packed: ClassVar[bool] = False
    family: ClassVar[str] = "PCPVT"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.family, self.settings, self.windows)
        if not isinstance(self.norm_after_stage, bool) and len(self.norm_after_stage) != len(self.settings["depths"]):
            raise FkitValueError(f"{self.family}: norm_after_stage={self.norm_after_stage}: one a stage.")

    @property
    def settings(self) -> Mapping[str, Any]:
        """What there is one of a stage."""
        if isinstance(self.arch, str):
            one_of(f"{self.family}: arch", self.arch.lower(), tuple(_ARCHS[self.family]))
            return _ARCHS[self.family][self.arch.lower()]
        keys = (*_KEYS, *(("window_sizes",) if self.family == "SVT" else ()))
        if not isinstance(self.arch, Mapping) or set(cast("Mapping[str, Any]", self.arch)) != set(keys):
            raise FkitTypeError(f"{self.family}: arch={self.arch!r:.80}: a name, or a dict of {', '.join(keys)}.")
        return cast("Mapping[str, Any]", self.arch)

    @property
    def windows(self) -> Any:
        """Sides of the windows of every other layer, if there are such."""
        return self.settings.get("window_sizes")

    def __call__(self, net: Net, *xs: Any) -> Any:
        maps = self._run(net, xs[0], self.settings, self.windows, vars(self))
        return tuple(x for i, x in enumerate(maps) if i in self.out_indices)

    def _ended(self, net: Net, stage: int, x: Any) -> Any:
        has = self.norm_after_stage
        norm = has if isinstance(has, bool) else has[stage]
        return net.norm(f"norm_after_stage{stage}", x, self.norm_cfg) if norm else x


@dataclass(frozen=True)
class LastSVT(LastPCPVT):
    """Twins-SVT of mmpretrain: every other layer attends inside of windows, of ``window_sizes`` in a dict ``arch``."""

    family: ClassVar[str] = "SVT"


def _check(name: str, each: Mapping[str, Any], windows: Any) -> None:
    """Refuse rows that do not have one number a stage."""
    count = len(each["depths"])
    for key in _KEYS:
        row = each[key]
        if key in ("patch_sizes", "strides") and len(row) > count:
            continue  # the defaults have four
        if len(row) != count:
            raise FkitValueError(f"{name}: {key}={row}: one of each of the {count} stages.")
    if windows is not None and len(windows) != count:
        raise FkitValueError(f"{name}: windows of {len(windows)} stages, but there are {count}.")
