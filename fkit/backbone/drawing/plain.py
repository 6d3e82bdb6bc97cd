"""Plain vision transformers with relative positions: BEiT (Bao et al. 2022) and MAE (He et al. 2022), as mmseg's."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from frozendict import frozendict

from fkit.backbone.drawing.net import Drawing, Net, short
from fkit.backbone.drawing.token import heads_of
from fkit.backbone.patch import pair
from fkit.backbone.swin import spread
from fkit.tree.error import FkitValueError

__all__ = ["MAE", "BEiT"]

_LAYER = frozendict(type="LN")
_GELU = frozendict(type="GELU")


def _normal(name: str) -> Any:
    return frozendict(type="TruncNormal", std=0.02, override=frozendict(name=name))


@dataclass(frozen=True)
class _Attention(Drawing):
    """Attention with a learnt number a difference of places and head, and three for the class token.

    Attributes:
        split: whether queries and values have biases, and keys none; else all have.
    """

    heads: int
    window: tuple[int, int]
    split: bool
    bias: bool
    rate: float
    order: ClassVar[tuple[str, ...]] = ("q_bias", "v_bias", "relative_position_bias_table", "qkv", "proj")

    @property
    def start(self) -> Any:
        return _normal("relative_position_bias_table") if self.split else None

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        width, (high, wide) = x.shape[-1], self.window
        count = (2 * high - 1) * (2 * wide - 1) + 3
        parts = net.linear("qkv", x, 3 * width, self.bias)
        if self.split:
            query, value = net.param("q_bias", (width,)), net.param("v_bias", (width,))
            parts = parts + net.joined((query, net.table(np.zeros(width), query), value), 0)
        query, key, value = (heads_of(net, parts[..., i * width : (i + 1) * width], self.heads) for i in range(3))
        scores = (query * (width // self.heads) ** -0.5) @ net.turned(key, 0, 1, 3, 2)
        table = net.param("relative_position_bias_table", (count, self.heads))
        index = net.buffer("relative_position_index", _index(high, wide))
        bias = table[index.reshape(-1)].reshape(high * wide + 1, high * wide + 1, self.heads)
        scores = net.softmax(scores + net.turned(bias, 2, 0, 1))
        shape = scores.shape
        scores = net.dropout("attn_drop", scores.reshape(shape[0], -1, shape[-1]), self.rate)
        y = net.turned(scores.reshape(shape) @ value, 0, 2, 1, 3).reshape(x.shape)
        return net.linear("proj", y, width)


def _index(high: int, wide: int) -> Any:
    """Where in the table the number of two tokens is; the class token is the first."""
    count = (2 * high - 1) * (2 * wide - 1) + 3
    rows, columns = (grid.reshape(-1) for grid in np.meshgrid(np.arange(high), np.arange(wide), indexing="ij"))
    inner = (rows[:, None] - rows + high - 1) * (2 * wide - 1) + columns[:, None] - columns + wide - 1
    index = np.zeros((high * wide + 1,) * 2, np.int64)
    index[1:, 1:] = inner
    index[0], index[:, 0], index[0, 0] = count - 3, count - 2, count - 1
    return index


@dataclass(frozen=True)
class _Layer(Drawing):
    """Attention and a feed-forward network, each with its norm first and a learnt factor a channel."""

    attention: _Attention
    hidden: int
    count: int
    path: float
    value: float
    act_cfg: Any
    norm_cfg: Any

    @property
    def order(self) -> tuple[str, ...]:  # type: ignore[override]
        name = short(self.norm_cfg)
        return ("gamma_1", "gamma_2", f"{name}1", "attn", f"{name}2", "ffn")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x, name = xs[0], short(self.norm_cfg)
        one, two = (net.param(f"gamma_{i}", (x.shape[-1],), self.value) for i in (1, 2))
        y = net.part("attn", self.attention, net.norm(f"{name}1", x, self.norm_cfg))
        x = x + net.drop_path("drop_path", one * y, self.path)
        y = net.ffn(
            "ffn", net.norm(f"{name}2", x, self.norm_cfg), x, feedforward_channels=self.hidden, num_fcs=self.count,
            act_cfg=self.act_cfg, add_identity=False,
        )  # fmt: skip
        return x + net.drop_path("drop_path", two * y, self.path)


@dataclass(frozen=True)
class _Plain(Drawing):
    """What both of them share.

    Attributes:
        img_size: of the images, for which alone there are positions.
        out_indices: the layers whose maps are given; -1 is the last.
        drop_path_rate: of the last layer; the others' rise linearly from 0.
        patch_norm, final_norm: a norm of the patches, and after the last layer.
        norm_eval: accepted; a layer norm is the same in every mode.
        init_values: what the factors of branches begin with.
    """

    img_size: Any = 224
    patch_size: int = 16
    in_channels: int = 3
    embed_dims: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_ratio: int = 4
    out_indices: Any = -1
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    norm_cfg: Any = _LAYER
    act_cfg: Any = _GELU
    patch_norm: bool = False
    final_norm: bool = False
    num_fcs: int = 2
    norm_eval: bool = False
    pretrained: Any = None
    init_values: float = 0.1
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = ("cls_token", "pos_embed", "patch_embed", "layers", "ln1")

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not 0 <= i < self.num_layers for i in self.outputs) or self.embed_dims % self.num_heads:
            raise FkitValueError(
                f"{type(self).__name__}: out_indices={self.outputs} of {self.num_layers} layers; embed_dims={self.embed_dims} is "
                f"a multiple of num_heads={self.num_heads}."
            )

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images."""
        size = self.img_size
        return pair(size[0] if isinstance(size, tuple) and len(size) == 1 else size)  # pyright: ignore[reportUnknownArgumentType]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The layers whose maps are given."""
        if isinstance(self.out_indices, int):
            return (self.num_layers - 1 if self.out_indices == -1 else self.out_indices,)
        return tuple(self.out_indices)

    @property
    def biases(self) -> tuple[bool, bool]:
        """Whether queries and values alone have biases, and whether all have."""
        raise NotImplementedError

    @property
    def start(self) -> Any:
        return (
            frozendict(type="TruncNormal", std=0.02, layer="Linear"),
            frozendict(type="Kaiming", mode="fan_in", layer="Conv2d"),
            frozendict(type="Constant", val=1, layer="LayerNorm"), _normal("cls_token"),
        )  # fmt: skip

    @property
    def example(self) -> tuple[Any, ...]:
        return ((self.in_channels, *self.sides),)

    def __call__(self, net: Net, *xs: Any) -> Any:
        if net.size(xs[0]) != self.sides:
            raise FkitValueError(
                f"{type(self).__name__}: img_size={self.sides}, but the images have {net.size(xs[0])}."
            )
        side, width = self.patch_size, self.embed_dims
        token = net.param("cls_token", (1, 1, width))
        norm = self.norm_cfg if self.patch_norm else None
        x, size = net.patch("patch_embed", xs[0], width, kernel_size=side, stride=side, padding=0, norm_cfg=norm)
        x = self._placed(net, net.joined((net.each(token, x.shape[0]), x), 1))
        split, bias = self.biases
        attention = _Attention(self.num_heads, size, split, bias, self.attn_drop_rate)
        maps: list[Any] = []
        for i, rate in enumerate(spread(self.drop_path_rate, self.num_layers)):
            hidden = self.mlp_ratio * width
            layer = _Layer(attention, hidden, self.num_fcs, rate, self.init_values, self.act_cfg, self.norm_cfg)
            x = net.part(f"layers.{i}", layer, x)
            if i == self.num_layers - 1 and self.final_norm:
                x = net.norm(f"{short(self.norm_cfg)}1", x, self.norm_cfg)
            if i in self.outputs:
                maps.append(net.maps(x[:, 1:], size))
        return tuple(maps)

    def _placed(self, net: Net, x: Any) -> Any:
        """Tokens, perhaps with their places."""
        return x


@dataclass(frozen=True)
class BEiT(_Plain):
    """BEiT, a backbone: images to a tuple of maps at the stride of the patches.

    Attributes:
        qv_bias: whether queries and values have biases; keys have none.
    """

    qv_bias: bool = True

    @property
    def biases(self) -> tuple[bool, bool]:
        return self.qv_bias, False


@dataclass(frozen=True)
class MAE(_Plain):
    """A masked autoencoder's encoder, a backbone: `BEiT` whose tokens have learnt places besides."""

    @property
    def biases(self) -> tuple[bool, bool]:
        return False, True

    def _placed(self, net: Net, x: Any) -> Any:
        return x + net.param("pos_embed", (1, x.shape[1], self.embed_dims))
