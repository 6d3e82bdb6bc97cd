"""Drawings (`fkit.backbone.drawing.net`) as flax.linen modules; channels last."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backbone.brick import axes_of
from fkit.backbone.drawing.net import Drawing
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.conv import sizes
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear, conv_layer, norm_layer
from fkit.backend.jax.naming import flax_path
from fkit.backend.jax.resize import adaptive_avg_pool, interpolate
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.flax.attention import Attention
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.patch import PatchEmbed
from fkit.zoo.flax.plugged import plugin_layer

__all__ = ["Drawn", "drawn"]

Array = jax.Array
Size = tuple[int, int]


class Drawn(nn.Module):
    """A drawing with its layers.

    Attributes:
        drawing: what is called, on maps (N, H, W, C).
        frozen: no gradient, norms in evaluation mode.
    """

    drawing: Drawing
    frozen: bool = False

    @property
    def init_cfg(self) -> Any:
        """The drawing's rules for initial weights."""
        given, own = (getattr(self.drawing, word, None) for word in ("pretrained", "init_cfg"))
        rules = init_cfg_of(given, own, type(self.drawing).__name__)
        return self.drawing.start if rules is None else rules

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the layers."""
        return self.drawing.order

    @nn.compact
    def __call__(self, x: Any, train: bool = False, still: bool = False, *more: Any) -> Any:
        return self.drawing(_Net(self, train and not self.frozen, still or self.drawing.still), x, *more)


def drawn(drawing: Callable[..., Drawing]) -> Any:
    """The maker of a drawing's module, with the drawing's arguments."""

    @wraps(drawing, updated=())
    def make(*arguments: Any, **options: Any) -> Drawn:
        return Drawn(drawing(*arguments, **options))

    return make


class _Net:
    """See `fkit.backbone.drawing.net.Net`.

    Args:
        still: whether batch norms are in evaluation mode.
    """

    __slots__ = ("called", "moving", "owner", "still", "train")

    def __init__(self, owner: Drawn, train: bool, still: bool) -> None:
        self.owner, self.train, self.still, self.moving = owner, train, still, train and not still
        self.called: dict[str, Any] = {}

    @property
    def making(self) -> bool:
        return self.owner.is_initializing()

    def _layer(self, name: str, make: Callable[[str], Any]) -> Any:
        """The layer of a name, one for all calls with it."""
        if name not in self.called:
            self.called[name] = make("".join(flax_path(name)))
        return self.called[name]

    def part(self, name: str, drawing: Drawing, *xs: Any, frozen: bool = False, again: bool = False) -> Any:
        frozen = frozen or self.owner.frozen
        make: Any = nn.remat(Drawn, static_argnums=(2, 3)) if again else Drawn
        layer = self._layer(name, lambda one: make(drawing, frozen, name=one))
        return layer(xs[0], self.train, self.still, *xs[1:])

    def built(self, name: str, make: Callable[[], Any], x: Any, *more: Any) -> Any:
        return self._layer(name, lambda one: make().clone(parent=self.owner, name=one))(x, self.train, *more)

    def conv(
        self, name: str, x: Array, width: int, size: Any = 1, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, cfg: Any = None, output_padding: int = 0,
        frozen: bool = False,
    ) -> Array:  # fmt: skip
        axes = axes_of(cfg)
        more: dict[str, Any] = {} if groups == 1 else {"feature_group_count": groups}
        if output_padding:
            more["output_padding"] = output_padding
        edges = padding if isinstance(padding, int) else tuple((edge, edge) for edge in padding)
        make = partial(
            conv_layer(cfg), width, sizes(size, axes), strides=sizes(stride, axes), padding=edges,
            kernel_dilation=sizes(dilation, axes), use_bias=bias, trainable=not (self.owner.frozen or frozen), **more,
        )  # fmt: skip
        return self._layer(name, lambda one: make(name=one))(x)

    def norm(self, name: str, x: Array, cfg: Any, frozen: bool = False) -> Array:
        layer: Any = self._layer(name, lambda one: norm_layer(cfg)[1](one, self.owner.frozen or frozen))
        return layer(x, self.moving and not frozen)

    def brick(
        self, name: str, x: Array, width: int, size: Any = 1, *places: Any, frozen: bool = False, **options: Any
    ) -> Array:
        frozen, inner = frozen or self.owner.frozen, x.shape[-1]
        layer: Any = self._layer(
            name, lambda one: ConvModule(inner, width, size, *places, frozen=frozen, name=one, **options)
        )
        return layer(x, self.moving and not frozen)

    def separable(self, name: str, x: Array, width: int, size: int, *places: Any, **options: Any) -> Array:
        inner = x.shape[-1]
        layer: Any = self._layer(
            name, lambda one: DepthwiseSeparableConvModule(inner, width, size, *places, name=one, **options)
        )
        return layer(x, self.moving)

    def linear(self, name: str, x: Array, width: int, bias: bool = True) -> Array:
        frozen = self.owner.frozen
        return self._layer(name, lambda one: Linear(width, use_bias=bias, trainable=not frozen, name=one))(x)

    def act(self, name: str, x: Array, cfg: Any) -> Array:
        return self._layer(name, act_layer(cfg))(x)

    def param(self, name: str, shape: Sequence[int], value: float = 0.0) -> Array:
        return self.owner.param(name, nn.initializers.constant(value), tuple(shape))

    def buffer(self, name: str, array: Any) -> Array:
        return self.owner.variable("constants", name, lambda: jnp.asarray(array)).value

    def plugin(self, name: str, x: Array, cfg: Any) -> Array:
        width, frozen = x.shape[-1], self.owner.frozen
        layer: Any = self._layer(name, lambda one: plugin_layer(cfg, width, frozen=frozen, name=one))
        return layer(x, self.moving)

    def dropout(self, name: str, x: Array, rate: float, row: bool = False) -> Array:
        layer: Any = self._layer(name, lambda one: Dropout(rate, name=one))
        return layer(x[:, :, None], self.train)[:, :, 0] if row else layer(x, self.train)

    def drop_path(self, name: str, x: Array, rate: float) -> Array:
        return self._layer(name, lambda one: DropPath(rate, name=one))(x, self.train)

    def attention(
        self, name: str, query: Array, key: Array, value: Array, heads: int, dropout: float = 0.0, bias: bool = True
    ) -> Array:
        layer = self._layer(name, lambda one: Attention(query.shape[-1], heads, dropout, bias, name=one))
        return layer(query, key, value, train=self.train)

    def ffn(self, name: str, x: Array, identity: Array, **options: Any) -> Array:
        return self._layer(name, lambda one: FFN(x.shape[-1], name=one, **options))(x, identity, self.train)

    def patch(self, name: str, x: Array, width: int, **options: Any) -> tuple[Array, Size]:
        layer: Any = self._layer(name, lambda one: PatchEmbed(width, frozen=self.owner.frozen, name=one, **options))
        return layer(x, self.moving)

    def size(self, x: Array) -> Size:
        return (x.shape[1], x.shape[2])

    def width(self, x: Array) -> int:
        return x.shape[-1]

    def length(self, x: Array) -> int:
        return x.shape[-2]

    def relu(self, x: Array) -> Array:
        return nn.relu(x)

    def sigmoid(self, x: Array) -> Array:
        return nn.sigmoid(x)

    def gelu(self, x: Array) -> Array:
        return nn.gelu(x, approximate=False)

    def softmax(self, x: Array, axis: int = -1) -> Array:
        return nn.softmax(x, axis)

    def cat(self, maps: Sequence[Array]) -> Array:
        return jnp.concatenate(list(maps), -1)

    def split(self, x: Array, widths: Sequence[int]) -> Sequence[Array]:
        places = [sum(widths[: i + 1]) for i in range(len(widths) - 1)]
        return jnp.split(x, places, -1)

    def shuffle(self, x: Array, groups: int) -> Array:
        return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)

    def resize(
        self, x: Array, size: Size | None = None, factor: float | None = None, mode: str = "bilinear",
        align: bool | None = None,
    ) -> Array:  # fmt: skip
        return interpolate(x, size, factor, mode, align)

    def max_pool(self, x: Array, size: int, stride: int, padding: int = 0, ceil: bool = False) -> Array:
        edges: Any = _edges(x, size, stride, padding, ceil)
        return nn.max_pool(x, (size, size), (stride, stride), edges)

    def avg_pool(
        self, x: Array, size: int, stride: int, padding: int = 0, ceil: bool = False, counts: bool = True
    ) -> Array:
        edges: Any = _edges(x, size, stride, padding, ceil)
        return nn.avg_pool(x, (size, size), (stride, stride), edges, count_include_pad=counts)

    def pooled(self, x: Array, size: int | Size = 1) -> Array:
        return adaptive_avg_pool(x, sizes(size))

    def along(self, vector: Array) -> Array:
        return vector

    def rows(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1, x.shape[-1])

    def maps(self, x: Array, size: Size) -> Array:
        return x.reshape(x.shape[0], *size, -1)

    def last(self, x: Array) -> Array:
        return x

    def first(self, x: Array) -> Array:
        return x

    def strip(self, x: Array, places: slice) -> Array:
        return x[..., places, :]

    def turned(self, x: Array, *axes: int) -> Array:
        return x.transpose(*axes)

    def padded(self, x: Array, down: Size, right: Size) -> Array:
        return jnp.pad(x, ((0, 0), down, right, (0, 0)))

    def joined(self, arrays: Sequence[Array], axis: int) -> Array:
        return jnp.concatenate(list(arrays), axis)

    def each(self, x: Array, count: int) -> Array:
        return jnp.broadcast_to(x, (count, *x.shape[1:]))

    def table(self, array: Any, like: Array) -> Array:
        return jnp.asarray(array, like.dtype)


def _edges(x: Array, size: int, stride: int, padding: int, ceil: bool) -> tuple[Size, Size]:
    """The padding of a pooling, with what windows reach beyond where sizes are rounded up."""

    def edge(length: int) -> Size:
        count = (length + 2 * padding - size) // stride + 1
        if ceil:
            count = -(-(length + 2 * padding - size) // stride) + 1
            count -= (count - 1) * stride >= length + padding  # no window begins in the padding
        return padding, max((count - 1) * stride + size - length - padding, padding)

    return edge(x.shape[1]), edge(x.shape[2])
