"""Drawings (`fkit.backbone.drawing.net`) as torch modules."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backbone.drawing.net import Drawing
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.again import without_statistics
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.attention import Attention
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import PatchEmbed
from fkit.zoo.torch.plugged import plugin_layer

__all__ = ["Drawn", "Group", "drawn"]

Size = tuple[int, int]


class Group(nn.Module):
    """Layers by their places in a list."""


class Drawn(nn.Module):
    """A drawing with its layers.

    Args:
        drawing: what is called, on maps (N, C, H, W).
        frozen: no gradient, norms in evaluation mode.
    """

    def __init__(self, drawing: Drawing, frozen: bool = False) -> None:
        super().__init__()
        self.drawing, self.frozen, self.made = drawing, frozen, False
        self.resting: tuple[str, ...] = ()  # layers that are frozen
        rules = init_cfg_of(
            getattr(drawing, "pretrained", None), getattr(drawing, "init_cfg", None), type(drawing).__name__
        )
        self.init_cfg = drawing.start if rules is None else rules

    def forward(self, *xs: Any) -> Any:
        return self.drawing(_Net(self), *xs)

    def make(self) -> "Drawn":
        """Make the layers, by a call that computes nothing."""
        with torch.no_grad():
            self(*map(_hollow, self.drawing.example))
        for part in list(self.modules()):
            if isinstance(part, Drawn):
                _sort(part)
                part.made = True
        for part in self.modules():
            for still in _still(part):
                still.requires_grad_(False)
        return self.train()  # type: ignore[return-value]

    def train(self, mode: bool = True) -> "Drawn":
        """Training mode, but for what is frozen, and for batch norms where ``norm_eval``."""
        super().train(mode and not self.frozen)
        for part in _still(self):
            part.training = False
            for layer in part.modules():
                layer.training = False
        if mode and self.drawing.still:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


def _still(part: nn.Module) -> list[nn.Module]:
    """What of a module is frozen."""
    if not isinstance(part, Drawn):
        return []
    return [part] if part.frozen else [part.get_submodule(name) for name in part.resting]


def _hollow(shape: tuple[Any, ...]) -> Any:
    """One sample's array of a shape, or a tuple of them, on the meta device."""
    if isinstance(shape[0], tuple):
        return tuple(map(_hollow, shape))
    return torch.empty(1, *shape, device="meta")


def _sort(part: Drawn) -> None:
    """Layers in the order of the drawing."""
    order = part.drawing.order
    layers = part._modules  # pyright: ignore[reportPrivateUsage]
    names = sorted(layers, key=lambda name: order.index(name) if name in order else -1)
    for name in names:
        layers[name] = layers.pop(name)


def drawn(drawing: Callable[..., Drawing]) -> Any:
    """The maker of a drawing's module, with the drawing's arguments."""

    @wraps(drawing, updated=())
    def make(*arguments: Any, **options: Any) -> Drawn:
        return Drawn(drawing(*arguments, **options)).make()

    return make


class _Net:
    """See `fkit.backbone.drawing.net.Net`."""

    __slots__ = ("owner",)

    def __init__(self, owner: Drawn) -> None:
        self.owner = owner

    @property
    def making(self) -> bool:
        return not self.owner.made

    @property
    def train(self) -> bool:
        return self.owner.training

    def _layer(self, name: str, make: Callable[[], nn.Module], frozen: bool = False) -> Callable[..., Any]:
        """The layer of a name; while layers are made, one that computes shapes alone."""
        if self.owner.made:
            return self.owner.get_submodule(name)
        *places, last = name.split(".")
        holder: nn.Module = self.owner
        for place in places:
            if place not in holder._modules:  # pyright: ignore[reportPrivateUsage]
                holder.add_module(place, Group())
            holder = holder.get_submodule(place)
        if last not in holder._modules:  # pyright: ignore[reportPrivateUsage]
            holder.add_module(last, make())
            self.owner.resting += (name,) if frozen else ()
        layer = holder.get_submodule(last)
        if isinstance(layer, Drawn) and not layer.made:
            return layer
        tensors = {key: one.to("meta") for key, one in (*layer.named_parameters(), *layer.named_buffers())}
        layer.eval()
        return lambda *xs, **more: torch.func.functional_call(layer, tensors, xs, more)

    def part(self, name: str, drawing: Drawing, *xs: Any, frozen: bool = False, again: bool = False) -> Any:
        layer: Any = self._layer(name, lambda: Drawn(drawing, frozen))
        if again and self.owner.made and torch.is_grad_enabled():
            return checkpoint(
                layer, *xs, use_reentrant=False, context_fn=lambda: (nullcontext(), without_statistics(layer))
            )
        return layer(*xs)

    def built(self, name: str, make: Callable[[], nn.Module], x: Any, *more: Any) -> Any:
        return self._layer(name, make)(x, *more)

    def conv(
        self, name: str, x: Tensor, width: int, size: Any = 1, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, cfg: Any = None, output_padding: int = 0,
        frozen: bool = False,
    ) -> Tensor:  # fmt: skip
        more = {"output_padding": output_padding} if output_padding else {}
        return self._layer(name, lambda: conv_layer(
            cfg, x.shape[1], width, size, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias,
            **more,
        ), frozen)(x)  # fmt: skip

    def norm(self, name: str, x: Tensor, cfg: Any, frozen: bool = False) -> Tensor:
        width = x.shape[-1] if cfg["type"] == "LN" else x.shape[1]
        return self._layer(name, lambda: norm_layer(cfg, width)[1], frozen)(x)

    def brick(
        self, name: str, x: Tensor, width: int, size: Any = 1, *places: Any, frozen: bool = False, **options: Any
    ) -> Tensor:
        return self._layer(name, lambda: ConvModule(x.shape[1], width, size, *places, **options), frozen)(x)

    def separable(self, name: str, x: Tensor, width: int, size: int, *places: Any, **options: Any) -> Tensor:
        return self._layer(name, lambda: DepthwiseSeparableConvModule(x.shape[1], width, size, *places, **options))(x)

    def linear(self, name: str, x: Tensor, width: int, bias: bool = True) -> Tensor:
        return self._layer(name, lambda: nn.Linear(x.shape[-1], width, bias))(x)

    def act(self, name: str, x: Tensor, cfg: Any) -> Tensor:
        return self._layer(name, lambda: act_layer(cfg))(x)

    def param(self, name: str, shape: Sequence[int], value: float = 0.0) -> Tensor:
        if self.owner.made:
            return getattr(self.owner, name)
        if name not in self.owner._parameters:  # pyright: ignore[reportPrivateUsage]
            self.owner.register_parameter(name, nn.Parameter(torch.full(tuple(shape), value)))
        return torch.empty(tuple(shape), device="meta")

    def buffer(self, name: str, array: Any) -> Tensor:
        if not self.owner.made:
            self.owner.register_buffer(name, torch.as_tensor(array))
            return torch.empty(array.shape, dtype=torch.int64, device="meta")
        return getattr(self.owner, name)

    def plugin(self, name: str, x: Tensor, cfg: Any) -> Tensor:
        return self._layer(name, lambda: plugin_layer(cfg, x.shape[1])[1])(x)

    def dropout(self, name: str, x: Tensor, rate: float, row: bool = False) -> Tensor:
        del row
        return self._layer(name, lambda: Dropout(rate))(x)

    def drop_path(self, name: str, x: Tensor, rate: float) -> Tensor:
        return self._layer(name, lambda: DropPath(rate))(x)

    def attention(
        self, name: str, query: Tensor, key: Tensor, value: Tensor, heads: int, dropout: float = 0.0, bias: bool = True
    ) -> Tensor:
        return self._layer(name, lambda: Attention(query.shape[-1], heads, dropout, bias))(query, key, value)

    def ffn(self, name: str, x: Tensor, identity: Tensor, **options: Any) -> Tensor:
        return self._layer(name, lambda: FFN(x.shape[-1], **options))(x, identity)

    def patch(self, name: str, x: Tensor, width: int, **options: Any) -> tuple[Tensor, Size]:
        return self._layer(name, lambda: PatchEmbed(x.shape[1], width, **options))(x)

    def size(self, x: Tensor) -> Size:
        return (x.shape[2], x.shape[3])

    def width(self, x: Tensor) -> int:
        return x.shape[1]

    def length(self, x: Tensor) -> int:
        return x.shape[-1]

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def gelu(self, x: Tensor) -> Tensor:
        return F.gelu(x)

    def softmax(self, x: Tensor, axis: int = -1) -> Tensor:
        return x.softmax(axis)

    def cat(self, maps: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(maps), 1)

    def split(self, x: Tensor, widths: Sequence[int]) -> Sequence[Tensor]:
        return x.split(list(widths), 1)

    def shuffle(self, x: Tensor, groups: int) -> Tensor:
        return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)

    def resize(
        self, x: Tensor, size: Size | None = None, factor: float | None = None, mode: str = "bilinear",
        align: bool | None = None,
    ) -> Tensor:  # fmt: skip
        return F.interpolate(x, size, factor, mode, align if mode == "bilinear" else None)

    def max_pool(self, x: Tensor, size: int, stride: int, padding: int = 0, ceil: bool = False) -> Tensor:
        return F.max_pool2d(x, size, stride, padding, ceil_mode=ceil)

    def avg_pool(
        self, x: Tensor, size: int, stride: int, padding: int = 0, ceil: bool = False, counts: bool = True
    ) -> Tensor:
        return F.avg_pool2d(x, size, stride, padding, ceil, counts)

    def pooled(self, x: Tensor, size: int | Size = 1) -> Tensor:
        return F.adaptive_avg_pool2d(x, size)

    def along(self, vector: Tensor) -> Tensor:
        return vector[:, None, None]

    def rows(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)

    def maps(self, x: Tensor, size: Size) -> Tensor:
        return x.transpose(1, 2).unflatten(2, size).contiguous()

    def last(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)

    def first(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2).contiguous()

    def strip(self, x: Tensor, places: slice) -> Tensor:
        return x[..., places]

    def turned(self, x: Tensor, *axes: int) -> Tensor:
        return x.permute(*axes)

    def padded(self, x: Tensor, down: Size, right: Size) -> Tensor:
        return F.pad(x, (0, 0, *right, *down))

    def joined(self, arrays: Sequence[Tensor], axis: int) -> Tensor:
        return torch.cat(list(arrays), axis)

    def each(self, x: Tensor, count: int) -> Tensor:
        return x.expand(count, *x.shape[1:])

    def table(self, array: Any, like: Tensor) -> Tensor:
        return torch.as_tensor(array).to(like)
