"""What a drawing is drawn with: layers by name, and the operations on maps that both backends have.

A drawing is a value, a frozen dataclass of a config's arguments, that is called as ``drawing(net, x)``: the first call makes
the layers that it names, every call computes with them. So the names of parameters, their order and the arithmetic stand in
one place, and the twins of two backends cannot differ in them.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self, cast

from frozendict import frozendict

from fkit.backbone.brick import ORDER, RELU
from fkit.tree.error import FkitValueError

__all__ = ["NORM", "Drawing", "Net", "chosen", "inner", "one_of", "short"]

Size = tuple[int, int]

NORM = frozendict(type="BN")
_SHORT = frozendict(BN="bn", SyncBN="bn", MMSyncBN="bn", BN1d="bn", BN2d="bn", BN3d="bn", GN="gn", LN="ln", LN2d="ln",
                    IN="in", IN1d="in", IN2d="in", IN3d="in")  # fmt: skip


class Net(Protocol):
    """The layers of one module, and operations on maps: (N, C, H, W) on torch, (N, H, W, C) in flax.

    A layer's name is torch's, with places of lists after a dot (``"stages.0"``); the first call with a name makes the layer.
    Tokens are (N, L, C) on both.

    Attributes:
        making: whether this call makes the layers: what is named though nothing calls it is called then.
        train: whether this is training mode.
    """

    @property
    def making(self) -> bool: ...

    @property
    def train(self) -> bool: ...

    def part(self, name: str, drawing: Any, *xs: Any, frozen: bool = False, again: bool = False) -> Any:
        """What a drawing makes of arrays, with layers of its own; ``frozen``: no gradient and norms in evaluation mode;
        ``again``: computed again in the backward pass."""
        ...

    def built(self, name: str, make: Any, x: Any, *more: Any) -> Any:
        """What a module of the backend, which ``make()`` gives, makes of maps; ``more`` is what it takes besides."""
        ...

    def conv(
        self,
        name: str,
        x: Any,
        width: int,
        size: int | Size = 1,
        stride: int | Size = 1,
        padding: int | Size = 0,
        dilation: int | Size = 1,
        groups: int = 1,
        bias: bool = True,
        cfg: Any = None,
        output_padding: int = 0,
        frozen: bool = False,
    ) -> Any:
        """A convolution to ``width`` channels; ``frozen``: no gradient."""
        ...

    def norm(self, name: str, x: Any, cfg: Any, frozen: bool = False) -> Any:
        """A norm of maps, or of tokens where it is a layer norm; ``frozen``: no gradient, and in evaluation mode."""
        ...

    def brick(
        self,
        name: str,
        x: Any,
        width: int,
        size: int | Size = 1,
        stride: int | Size = 1,
        padding: int | Size = 0,
        dilation: int | Size = 1,
        groups: int = 1,
        bias: bool | str = "auto",
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = RELU,
        order: tuple[str, ...] = ORDER,
        padding_mode: str = "zeros",
        frozen: bool = False,
    ) -> Any:
        """mmcv's ConvModule; ``frozen``: no gradient, its norm in evaluation mode."""
        ...

    def separable(
        self, name: str, x: Any, width: int, size: int, stride: int = 1, padding: int = 0, **options: Any
    ) -> Any:
        """mmcv's DepthwiseSeparableConvModule."""
        ...

    def linear(self, name: str, x: Any, width: int, bias: bool = True) -> Any:
        """A linear layer on the last axis of tokens."""
        ...

    def act(self, name: str, x: Any, cfg: Any) -> Any:
        """An activation."""
        ...

    def param(self, name: str, shape: Sequence[int], value: float = 0.0) -> Any:
        """A parameter that starts as one number."""
        ...

    def buffer(self, name: str, array: Any) -> Any:
        """A buffer that holds a numpy array of whole numbers."""
        ...

    def plugin(self, name: str, x: Any, cfg: Any) -> Any:
        """A layer that stands inside of residual blocks, by its config."""
        ...

    def dropout(self, name: str, x: Any, rate: float, row: bool = False) -> Any:
        """Dropout, whose elements are counted as torch's maps are laid out; ``row``: of (N, C, L) on torch, (N, L, C) in
        flax, not of tokens."""
        ...

    def drop_path(self, name: str, x: Any, rate: float) -> Any:
        """Stochastic depth."""
        ...

    def attention(
        self, name: str, query: Any, key: Any, value: Any, heads: int, dropout: float = 0.0, bias: bool = True
    ) -> Any:
        """torch's MultiheadAttention of tokens."""
        ...

    def ffn(self, name: str, x: Any, identity: Any, **options: Any) -> Any:
        """mmcv's FFN of tokens, with its arguments."""
        ...

    def patch(self, name: str, x: Any, width: int, **options: Any) -> tuple[Any, Size]:
        """Maps to tokens and their (rows, columns), by a convolution; mmcv's PatchEmbed."""
        ...

    def size(self, x: Any) -> Size:
        """Height and width of maps."""
        ...

    def width(self, x: Any) -> int:
        """Channels of maps."""
        ...

    def length(self, x: Any) -> int:
        """Of the last axis of maps that is not of channels."""
        ...

    def relu(self, x: Any) -> Any: ...

    def sigmoid(self, x: Any) -> Any: ...

    def gelu(self, x: Any) -> Any: ...

    def softmax(self, x: Any, axis: int = -1) -> Any: ...

    def cat(self, maps: Sequence[Any]) -> Any:
        """Maps one after the other along their channels."""
        ...

    def split(self, x: Any, widths: Sequence[int]) -> Sequence[Any]:
        """The inverse of `cat`."""
        ...

    def shuffle(self, x: Any, groups: int) -> Any:
        """Channels in another order: the first of each group, the second of each, ..."""
        ...

    def resize(
        self,
        x: Any,
        size: Size | None = None,
        factor: float | None = None,
        mode: str = "bilinear",
        align: bool | None = None,
    ) -> Any:
        """torch's ``interpolate``."""
        ...

    def max_pool(self, x: Any, size: int, stride: int, padding: int = 0, ceil: bool = False) -> Any: ...

    def avg_pool(
        self, x: Any, size: int, stride: int, padding: int = 0, ceil: bool = False, counts: bool = True
    ) -> Any:
        """``counts``: whether zeros of the padding are part of a mean."""
        ...

    def pooled(self, x: Any, size: int | Size = 1) -> Any:
        """Adaptive average pooling."""
        ...

    def along(self, vector: Any) -> Any:
        """A number a channel, (C,), in a shape that maps can be multiplied with."""
        ...

    def rows(self, x: Any) -> Any:
        """Maps to tokens, (N, H * W, C)."""
        ...

    def maps(self, x: Any, size: Size) -> Any:
        """The inverse of `rows`."""
        ...

    def last(self, x: Any) -> Any:
        """Maps as (N, H, W, C)."""
        ...

    def first(self, x: Any) -> Any:
        """The inverse of `last`."""
        ...

    def strip(self, x: Any, places: slice) -> Any:
        """A part of the last axis of maps that is not of channels."""
        ...

    def turned(self, x: Any, *axes: int) -> Any:
        """An array with its axes in this order."""
        ...

    def padded(self, x: Any, down: Size, right: Size) -> Any:
        """(N, H, W, C) with zeros before and after the rows, and the columns."""
        ...

    def joined(self, arrays: Sequence[Any], axis: int) -> Any:
        """Arrays one after the other along an axis."""
        ...

    def each(self, x: Any, count: int) -> Any:
        """An array (1, ...) for each of so many samples, (count, ...)."""
        ...

    def table(self, array: Any, like: Any) -> Any:
        """A numpy array of constants, of the type of another array."""
        ...


class Drawing:
    """What drawings have; each is a frozen dataclass besides, whose lists become tuples.

    Attributes:
        order: names of layers in the order of torch's ``state_dict``, where that is not the order of calls; those that are not
            named go before.
        start: rules for initial weights, where there is no ``init_cfg``.
        example: the shapes of torch's arrays, a sample's, that a first call takes; a tuple of them is a tuple of arrays.
        still: whether batch norms are always in evaluation mode.
    """

    order: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, _tuples(cast("list[Any]", value)))

    @property
    def start(self) -> Any:
        return None

    @property
    def example(self) -> tuple[Any, ...]:
        return ((getattr(self, "in_channels", 3), 64, 64),)

    @property
    def still(self) -> bool:
        return bool(getattr(self, "norm_eval", False))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself, for it is a value."""
        return self

    def __call__(self, net: Net, *xs: Any) -> Any:
        """What the network makes of arrays."""
        raise NotImplementedError


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, cast("list[Any]", value))) if isinstance(value, (list, tuple)) else value


def inner(build: Any, cfg: Any, scope: str) -> Any:
    """A network inside of another, by its config: in a package's scope where the config is in none.

    Args:
        build: what a maker is given, `fkit.catalog.build.Builder`.
    """
    return build("models", cfg) if getattr(build, "scoped", False) else build("models", cfg, _scope_=scope)


def short(cfg: Any) -> str:
    """The short name of a norm in a ``state_dict``.

    Raises:
        FkitValueError: another type.

    Example:
        >>> short({"type": "SyncBN"})
        'bn'
    """
    kind = str(cfg["type"]).rpartition(".")[2]
    if kind not in _SHORT:
        raise FkitValueError(f"norm_cfg.type={kind!r} is unknown.", value=kind, choices=_SHORT, label="Norms")
    return _SHORT[kind]


def chosen(maps: Sequence[Any], places: Any, what: str) -> tuple[Any, ...]:
    """The maps at some places.

    Raises:
        FkitValueError: there is none at a place.

    Example:
        >>> chosen("abc", (0, 2), "Net")
        ('a', 'c')
    """
    wanted = (places,) if isinstance(places, int) else tuple(places)
    if any(not -len(maps) <= place < len(maps) for place in wanted):
        raise FkitValueError(f"{what}: out_indices={wanted}, but there are {len(maps)} maps.")
    return tuple(maps[place] for place in wanted)


def one_of(what: str, value: Any, choices: Sequence[Any]) -> Any:
    """A value that is one of a few.

    Raises:
        FkitValueError: it is another.

    Example:
        >>> one_of("Net: mode", "add", ("add", "cat"))
        'add'
    """
    if value not in choices:
        raise FkitValueError(f"{what}={value!r:.80}.", value=str(value), choices=[str(one) for one in choices])
    return value
