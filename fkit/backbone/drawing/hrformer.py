"""HRFormer (Yuan et al. 2021), as mmpose's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from frozendict import frozendict

from fkit.backbone.drawing.hourglass import START
from fkit.backbone.drawing.net import Drawing, Net, short
from fkit.backbone.drawing.residual import Block
from fkit.backbone.drawing.token import heads_of
from fkit.backbone.hrnet import HRStage, hr_stages, transition
from fkit.backbone.patch import pair
from fkit.backbone.resnet import NORM, Convolution
from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["HRFormer"]

_LAYER = frozendict(type="LN", eps=1e-6)
_GELU = frozendict(type="GELU")
_KEYS = ("num_heads", "window_sizes", "mlp_ratios")


@dataclass(frozen=True)
class _Windowed(Drawing):
    """Attention inside of a window, with a learnt number a difference of places and head."""

    heads: int
    window: tuple[int, int]
    places: bool

    @property
    def start(self) -> Any:
        return frozendict(type="TruncNormal", std=0.02, override=frozendict(name="relative_position_bias_table"))

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, mask = xs
        width, (high, wide) = x.shape[-1], self.window
        scale = (width // self.heads) ** -0.5
        parts = net.linear("qkv", x, 3 * width)
        query, key, value = (heads_of(net, parts[..., i * width : (i + 1) * width], self.heads) for i in range(3))
        scores = (query * scale) @ net.turned(key, 0, 1, 3, 2)
        if self.places:
            table = net.param("relative_position_bias_table", ((2 * high - 1) * (2 * wide - 1), self.heads))
            index = net.buffer("relative_position_index", _index(high, wide))
            bias = table[index.reshape(-1)].reshape(high * wide, high * wide, self.heads)
            scores = scores + net.turned(bias, 2, 0, 1)
        if mask is not None:
            shape = scores.shape
            scores = scores.reshape(-1, mask.shape[0], *shape[1:]) + net.table(mask[:, None, None], scores)
            scores = scores.reshape(shape)
        y = net.turned(net.softmax(scores) @ value, 0, 2, 1, 3)
        return net.linear("proj", y.reshape(x.shape), width)


def _index(high: int, wide: int) -> Any:
    """Where in the table the number of two places of a window is, (places, places)."""
    steps = (np.arange(high)[:, None] * (2 * wide - 1) + np.arange(wide)).reshape(1, -1)
    return np.ascontiguousarray((steps + steps.T)[:, ::-1])


@dataclass(frozen=True)
class _Local(Drawing):
    """Windows of maps with zeros around."""

    heads: int
    window: tuple[int, int]
    places: bool
    masks: bool

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, (high, wide), (down, across) = xs[0], xs[1], self.window
        count, _, width = x.shape
        rows, columns = -(-high // down), -(-wide // across)
        more, right = rows * down - high, columns * across - wide
        top, left = more // 2, right // 2
        x = net.padded(x.reshape(count, high, wide, width), (top, more - top), (left, right - left))
        x = net.turned(x.reshape(count, rows, down, columns, across, width), 0, 1, 3, 2, 4, 5)
        mask = None
        if self.masks and more and right:
            mask = np.pad(np.zeros((high, wide)), ((top, more - top), (left, right - left)), constant_values=-np.inf)
            mask = mask.reshape(rows, down, columns, across).transpose(0, 2, 1, 3).reshape(-1, down * across)
        inner = _Windowed(self.heads, self.window, self.places)
        x = net.part("attn", inner, x.reshape(-1, down * across, width), mask)
        x = net.turned(x.reshape(count, rows, columns, down, across, width), 0, 1, 3, 2, 4, 5)
        x = x.reshape(count, rows * down, columns * across, width)[:, top : top + high, left : left + wide]
        return x.reshape(count, high * wide, width)


@dataclass(frozen=True)
class _Cross(Drawing):
    """A feed-forward network that sees its neighbours."""

    hidden: int
    norm_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("fc1", "norm1", "dw3x3", "norm2", "fc2", "norm3")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = net.maps(*xs)
        width = net.width(x)
        x = net.gelu(net.norm("norm1", net.conv("fc1", x, self.hidden), self.norm_cfg))
        x = net.conv("dw3x3", x, self.hidden, 3, 1, 1, groups=self.hidden)
        x = net.gelu(net.norm("norm2", x, self.norm_cfg))
        return net.rows(net.gelu(net.norm("norm3", net.conv("fc2", x, width), self.norm_cfg)))


@dataclass(frozen=True)
class _Layer(Drawing):
    """Attention in windows and a feed-forward network, each with its norm first, added to maps."""

    local: _Local
    ratio: float
    path: float
    norm_cfg: Any
    layer_cfg: Any
    order: ClassVar[tuple[str, ...]] = ("norm1", "attn", "norm2", "ffn")

    def __call__(self, net: Net, *xs: Any) -> Any:
        size, x = net.size(xs[0]), net.rows(xs[0])
        y = net.part("attn", self.local, net.norm("norm1", x, self.layer_cfg), size)
        x = x + net.drop_path("drop_path", y, self.path)
        ffn = _Cross(int(x.shape[-1] * self.ratio), self.norm_cfg)
        y = net.part("ffn", ffn, net.norm("norm2", x, self.layer_cfg), size)
        return net.maps(x + net.drop_path("drop_path", y, self.path), size)


@dataclass(frozen=True)
class _Module(Drawing):
    """Branches of layers, and each branch's maps with those of all others added to them."""

    stage: HRStage
    layers: tuple[tuple[_Layer, ...], ...]
    outputs: int
    mode: str
    align: bool | None
    conv_cfg: Any
    norm_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        maps: list[Any] = []
        for i, (x, row) in enumerate(zip(xs, self.layers, strict=True)):
            for k, layer in enumerate(row):
                x = net.part(f"branches.{i}.{k}", layer, x)
            maps.append(x)
        if len(maps) == 1:
            return tuple(maps)
        outs: list[Any] = []
        for i in range(self.outputs):
            parts = [x if i == j else self._path(net, x, j, i) for j, x in enumerate(maps)]
            outs.append(net.relu(sum(parts[1:], parts[0])))
        return tuple(outs)

    def _path(self, net: Net, x: Any, source: int, target: int) -> Any:
        name, widths, norm = f"fuse_layers.{target}.{source}", self.stage.widths, self.norm_cfg
        if source > target:
            x = net.norm(f"{name}.1", net.conv(f"{name}.0", x, widths[target], bias=False, cfg=self.conv_cfg), norm)
            return net.resize(x, factor=2 ** (source - target), mode=self.mode, align=self.align)
        inside, steps = widths[source], target - source
        for k in range(steps):
            last = k == steps - 1
            x = net.conv(f"{name}.{k}.0", x, inside, 3, 2, 1, groups=inside, bias=False, cfg=self.conv_cfg)
            x = net.norm(f"{name}.{k}.1", x, norm)
            x = net.conv(f"{name}.{k}.2", x, widths[target] if last else inside, bias=False, cfg=self.conv_cfg)
            x = net.norm(f"{name}.{k}.3", x, norm)
            x = x if last else net.relu(x)
        return x


@dataclass(frozen=True)
class HRFormer(Drawing):
    """HRFormer, a backbone: images to a tuple of maps at a stride of 4, or of all strides where ``stage4`` says so.

    Attributes:
        extra: ``stage1`` as HRNet's; ``stage2`` to ``stage4`` with ``num_heads``, ``window_sizes`` and ``mlp_ratios`` of the
            branches besides; ``drop_path_rate``; ``with_rpe``, ``with_pad_mask`` and ``upsample``, if they are there.
        transformer_norm_cfg: of attention and feed-forward networks.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute the first stage's blocks in the backward pass to save memory.
        zero_init_residual: accepted; no norm of these blocks starts at 0.
        frozen_stages: -1.

    Raises:
        FkitError: a word of ``extra`` is missing, or its numbers do not fit together.
    """

    extra: Any
    in_channels: int = 3
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    transformer_norm_cfg: Any = _LAYER
    norm_eval: bool = False
    with_cp: bool = False
    zero_init_residual: bool = False
    frozen_stages: int = -1
    init_cfg: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.stages
        if self.frozen_stages != -1:
            raise FkitValueError(
                f"HRFormer: frozen_stages={self.frozen_stages} is not supported.", repair="Leave it out."
            )

    @property
    def start(self) -> Any:
        return START

    @property
    def stages(self) -> tuple[HRStage, ...]:
        """The four stages; a layer of attention is as wide as what it gets."""
        if not isinstance(self.extra, Mapping):
            raise FkitTypeError(f"HRFormer: extra={self.extra!r:.60}: a dict.")
        whole = dict(cast("Mapping[str, Any]", self.extra))
        for name in ("stage2", "stage3", "stage4"):
            cfg = whole.get(name)
            if not isinstance(cfg, Mapping):
                continue
            stage = dict(cast("Mapping[str, Any]", cfg))
            if stage.get("block") != "HRFORMERBLOCK" or any(key not in stage for key in _KEYS):
                raise FkitTypeError(f"HRFormer: extra.{name}: a block 'HRFORMERBLOCK' with {', '.join(_KEYS)}.")
            if any(len(stage[key]) != stage.get("num_branches") for key in _KEYS):
                raise FkitValueError(f"HRFormer: extra.{name}: one of each of {', '.join(_KEYS)} a branch.")
            whole[name] = {**stage, "block": "BASIC"}
        return hr_stages(whole)

    def __call__(self, net: Net, *xs: Any) -> Any:
        first, *others = self.stages
        x, norm = xs[0], self.norm_cfg
        for i in (1, 2):
            x = net.conv(f"conv{i}", x, 64, 3, 2, 1, bias=False, cfg=self.conv_cfg)
            x = net.relu(net.norm(f"{short(norm)}{i}", x, norm))
        for k, plan in enumerate(first.branch(0, 64)):
            x = net.part(f"layer1.{k}", Block(plan, self.conv_cfg, norm), x, again=self.with_cp)
        maps, widths, at = [x], first.widths[:1], 0
        depths = [stage.blocks[0] * stage.modules for stage in others]
        rates = spread(self.extra["drop_path_rate"], sum(depths))
        whole = self.extra["stage4"].get("multiscale_output", False)
        for number, (stage, depth) in enumerate(zip(others, depths, strict=True), 2):
            maps = self._entered(net, number - 1, maps, transition(widths, stage.widths))
            for k in range(stage.modules):
                start = at + k * stage.blocks[0]
                last = number == 4 and not whole and k == stage.modules - 1
                module = self._module(stage, self.extra[f"stage{number}"], rates[start:], 1 if last else len(maps))
                maps = list(net.part(f"stage{number}.{k}", module, *maps))
            at, widths = at + depth, stage.widths
        return tuple(maps)

    def _module(self, stage: HRStage, cfg: Any, rates: Sequence[float], outputs: int) -> _Module:
        rows: list[tuple[_Layer, ...]] = []
        for i, count in enumerate(stage.blocks):
            side = pair(cfg["window_sizes"][i])
            local = _Local(
                cfg["num_heads"][i], side, self.extra.get("with_rpe", True), self.extra.get("with_pad_mask", False)
            )
            ratio, layer = cfg["mlp_ratios"][i], self.transformer_norm_cfg
            rows.append(tuple(_Layer(local, ratio, rates[k], self.norm_cfg, layer) for k in range(count)))
        finer = self.extra.get("upsample", {"mode": "bilinear", "align_corners": False})
        mode, align = finer["mode"], finer.get("align_corners")
        return _Module(stage, tuple(rows), outputs, mode, align, self.conv_cfg, self.norm_cfg)

    def _entered(self, net: Net, number: int, maps: list[Any], rows: tuple[tuple[Convolution, ...], ...]) -> list[Any]:
        """What each branch of a stage begins with."""
        outs: list[Any] = []
        for i, row in enumerate(rows):
            old = i < len(maps)
            x = maps[i] if old and not row else maps[-1]
            for k, conv in enumerate(row):
                name = f"transition{number}.{i}" + ("" if old else f".{k}")
                x = net.conv(f"{name}.0", x, conv.width, 3, conv.stride, 1, bias=False, cfg=self.conv_cfg)
                x = net.relu(net.norm(f"{name}.1", x, self.norm_cfg))
            outs.append(x)
        return outs
