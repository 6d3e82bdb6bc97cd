"""RTMPose's head (Jiang et al. 2023): lines of keypoints that attend to each other; channels last."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Conv2d, Linear
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.pose.attention import GAU, LINE_INIT, activation_of, drawn, gau_options, relative_places, rotated
from fkit.pose.head import Lines
from fkit.pose.line import KL, WHOLE_BN, expect_pixels, line_sizes
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = [
    "ElementScale",
    "RTMCCBlock",
    "RTMCCHead",
    "RTMWHead",
    "ScaleNorm",
    "flattened",
    "of_size",
    "rtmcc_head",
    "rtmw_head",
]

Array = jax.Array


def flattened(x: Array) -> Array:
    """Maps (N, H, W, C) as (N, C, H * W)."""
    return jnp.moveaxis(x, -1, 1).reshape(x.shape[0], x.shape[-1], -1)


def of_size(head: nn.Module, who: str, x: Array, count: int) -> Array:
    """Rows (N, K, count). The layers that take them are made of the config's size, whatever example they are made of."""
    if head.is_initializing() and x.shape[2] != count:
        return jnp.zeros((*x.shape[:2], count), x.dtype)
    expect_pixels(who, x.shape[2], count)
    return x


class ScaleNorm(nn.Module):
    """Features by their root mean square, times ``g`` (Nguyen and Salazar 2019)."""

    dim: int
    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        gain = self.param("g", nn.initializers.ones, (1,))
        total = jnp.square(x).sum(-1, keepdims=True)
        some = total > 0  # a root of 0 has no gradient
        norm = jnp.where(some, jnp.sqrt(jnp.where(some, total, 1.0)), 0.0) * self.dim**-0.5
        return x / jnp.maximum(norm, self.eps) * gain


class ElementScale(nn.Module):
    """Features times ``scale``, a number each."""

    dim: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return x * self.param("scale", nn.initializers.ones, (self.dim,))


class RTMCCBlock(nn.Module):
    """A gated attention unit (Hua et al. 2022) over keypoints (N, K, C).

    Attributes:
        num_token: K, for relative places.
        in_token_dims, out_token_dims: C before and after; the input is added, times ``res_scale``, where they are equal.
        expansion_factor: channels inside over ``in_token_dims``.
        s: of queries and keys.
        eps: of `ScaleNorm`.
        dropout_rate, drop_path: of attention, and of the branch.
        attn_type: "self-attn"; or "cross-attn" on (queries, keys, values).
        act_fn: "ReLU" or "SiLU".
        bias: whether linear layers have one.
        use_rel_bias: a learned number a relative place.
        pos_enc: rotary positions.
    """

    num_token: int
    in_token_dims: int
    out_token_dims: int
    expansion_factor: float = 2
    s: int = 128
    eps: float = 1e-5
    dropout_rate: float = 0.0
    drop_path: float = 0.0
    attn_type: str = "self-attn"
    act_fn: str = "SiLU"
    bias: bool = False
    use_rel_bias: bool = True
    pos_enc: bool = False
    torch_order: ClassVar[tuple[str, ...]] = (
        "w",
        "a",
        "b",
        "gamma",
        "beta",
        "o",
        "uv",
        "k_fc",
        "v_fc",
        "ln",
        "res_scale",
    )

    def __post_init__(self) -> None:
        activation_of(self.act_fn)
        super().__post_init__()

    @property
    def alone(self) -> bool:
        """Whether keypoints attend to themselves."""
        return self.attn_type == "self-attn"

    @property
    def start_cfg(self) -> Any:
        """How parameters start."""
        names = (("w",) if self.alone else ("a", "b")) if self.use_rel_bias else ()
        names = (*names, "gamma", "beta") if self.alone else names
        return drawn(*names) if names else None

    @nn.compact
    def __call__(self, inputs: Any, train: bool = False) -> Array:
        x = inputs if self.alone else inputs[0]
        y = self._attended(x, inputs, train)
        if self.drop_path > 0:
            y = DropPath(self.drop_path, name="drop_path")(y, train)
        if self.in_token_dims != self.out_token_dims:
            return y
        return ElementScale(self.in_token_dims, name="res_scale")(x) + y

    def _attended(self, x: Array, inputs: Any, train: bool) -> Array:
        xp, inner, s = JaxOps(), int(self.in_token_dims * self.expansion_factor), self.s
        act = nn.silu if activation_of(self.act_fn) == "SiLU" else nn.relu
        x = ScaleNorm(self.in_token_dims, self.eps, name="ln")(x)
        uv = act(Linear((2 if self.alone else 1) * inner + s, use_bias=self.bias, name="uv")(x))
        if self.alone:
            u, v, base = jnp.split(uv, [inner, 2 * inner], 2)
            gamma, beta = (self.param(name, nn.initializers.zeros, (2, s)) for name in ("gamma", "beta"))
            both = base[:, :, None] * gamma + beta
            both = rotated(xp, both) if self.pos_enc else both
            q, k = both[:, :, 0], both[:, :, 1]
        else:
            u, q = jnp.split(uv, [inner], 2)
            k = Linear(s, use_bias=self.bias, name="k_fc")(inputs[1])
            v = Linear(inner, use_bias=self.bias, name="v_fc")(inputs[2])
            q, k = (rotated(xp, one) if self.pos_enc else one for one in (q, k))
        scores = q @ k.swapaxes(1, 2)
        if self.use_rel_bias:
            scores = scores + self._bias(q.shape[1], k.shape[1])
        kernel = jnp.square(nn.relu(scores / math.sqrt(s)))
        if self.dropout_rate > 0:
            kernel = Dropout(self.dropout_rate, name="dropout")(kernel, train)
        return Linear(self.out_token_dims, use_bias=self.bias, name="o")(u * (kernel @ v))

    def _bias(self, queries: int, keys: int) -> Array:
        if self.alone:
            w = self.param("w", nn.initializers.zeros, (2 * self.num_token - 1,))
            return w[: 2 * queries - 1][relative_places(queries)][None]
        a, b = (
            rotated(
                JaxOps(), jnp.broadcast_to(self.param(name, nn.initializers.zeros, (1, self.s)), (1, count, self.s))
            )
            for name, count in (("a", queries), ("b", keys))
        )
        return a @ b.swapaxes(1, 2)


class RTMCCHead(nn.Module):
    """Lines of keypoints by a convolution, linear layers and a gated attention unit; see `rtmcc_head`.

    Attributes:
        flat, across, down: pixels of the map, and bins.
        logic: what is made of lines.
    """

    in_channels: int
    out_channels: int
    flat: int
    across: int
    down: int
    kernel_size: int
    gau_cfg: Any
    logic: Lines
    init_cfg: Any = LINE_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("final_layer", "mlp", "gau", "cls_x", "cls_y")

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Lines:
        """What is made of lines."""
        return self.logic

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> tuple[Array, Array]:
        check_channels(self.logic.name, maps[-1], self.in_channels)
        size, hidden = self.kernel_size, self.gau_cfg["hidden_dims"]
        x = Conv2d(self.out_channels, (size, size), padding=size // 2, name="final_layer")(maps[-1])
        x = ScaleNorm(self.flat, name="mlp_0")(of_size(self, self.logic.name, flattened(x), self.flat))
        x = Linear(hidden, use_bias=False, name="mlp_1")(x)
        options = gau_options(self.logic.name, self.gau_cfg)
        x = RTMCCBlock(self.out_channels, hidden, hidden, **options, name="gau")(x, train)
        return (
            Linear(self.across, use_bias=False, name="cls_x")(x),
            Linear(self.down, use_bias=False, name="cls_y")(x),
        )


def rtmcc_head(
    in_channels: int,
    out_channels: int,
    input_size: tuple[int, int],
    in_featuremap_size: tuple[int, int],
    simcc_split_ratio: float = 2.0,
    final_layer_kernel_size: int = 1,
    gau_cfg: Any = GAU,
    loss: Any = KL,
    decoder: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> RTMCCHead:
    """Lines of keypoints by a convolution, linear layers and a gated attention unit; mmpose's RTMCCHead.

    Args:
        in_channels: of the last map.
        out_channels: keypoints.
        input_size: (width, height) of the model's input.
        in_featuremap_size: (width, height) of the map.
        simcc_split_ratio: bins to a pixel of the input.
        final_layer_kernel_size: of the convolution.
        gau_cfg: ``hidden_dims``, ``s``, ``expansion_factor``, ``dropout_rate``, ``drop_path``, ``act_fn``, ``use_rel_bias``,
            ``pos_enc``.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    Returns:
        ``(maps, train)`` -> (N, K, width * ratio) and (N, K, height * ratio).
    """
    who = "RTMCCHead"
    sizes = line_sizes(who, in_channels, input_size, in_featuremap_size, simcc_split_ratio)
    gau_options(who, gau_cfg)
    logic = Lines.of(build, who, loss, decoder, ratio=simcc_split_ratio)
    rules = LINE_INIT if init_cfg is None else init_cfg
    return RTMCCHead(in_channels, out_channels, *sizes, final_layer_kernel_size, gau_cfg, logic, rules)


class RTMWHead(RTMCCHead):
    """`RTMCCHead` of two maps, the coarser one enlarged beside the finer one; see `rtmw_head`."""

    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_dec", "final_layer", "final_layer2", "mlp", "mlp2", "gau", "cls_x", "cls_y"
    )  # fmt: skip

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> tuple[Array, Array]:
        fine, coarse = maps
        check_channels(self.logic.name, coarse, self.in_channels)
        size, hidden, width = self.kernel_size, self.gau_cfg["hidden_dims"], self.in_channels
        more: dict[str, Any] = {"padding": size // 2, "norm_cfg": WHOLE_BN}
        y = ConvModule(width, self.out_channels, size, name="final_layer", **more)(coarse, train)
        first = self._line("mlp", y, self.flat, hidden // 2)
        y = ConvModule(width // 4, width // 4, size, name="conv_dec", **more)(_unshuffled(coarse), train)
        y = jnp.concatenate([y, fine], -1)
        y = ConvModule(width // 2 + width // 4, self.out_channels, size, name="final_layer2", **more)(y, train)
        x = jnp.concatenate([first, self._line("mlp2", y, 4 * self.flat, hidden // 2)], -1)
        options = gau_options(self.logic.name, self.gau_cfg)
        x = RTMCCBlock(self.out_channels, hidden, hidden, **options, name="gau")(x, train)
        return (
            Linear(self.across, use_bias=False, name="cls_x")(x),
            Linear(self.down, use_bias=False, name="cls_y")(x),
        )

    def _line(self, name: str, x: Array, count: int, width: int) -> Array:
        x = of_size(self, self.logic.name, flattened(x), count)
        return Linear(width, use_bias=False, name=f"{name}_1")(ScaleNorm(count, name=f"{name}_0")(x))


def _unshuffled(x: Array) -> Array:
    """Each four channels as 2x2 pixels."""
    count, height, width, channels = x.shape
    parts = x.reshape(count, height, width, channels // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(count, 2 * height, 2 * width, channels // 4)


def rtmw_head(
    in_channels: int,
    out_channels: int,
    input_size: tuple[int, int],
    in_featuremap_size: tuple[int, int],
    simcc_split_ratio: float = 2.0,
    final_layer_kernel_size: int = 1,
    gau_cfg: Any = GAU,
    loss: Any = KL,
    decoder: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> RTMWHead:
    """`rtmcc_head` of two maps, the coarser one enlarged beside the finer one (Jiang et al. 2024); mmpose's RTMWHead.

    Args:
        in_channels: of the coarser map; the finer one has half as many, and is twice as large.
        in_featuremap_size: (width, height) of the coarser map.
        out_channels, input_size, simcc_split_ratio, final_layer_kernel_size, gau_cfg, loss, decoder, init_cfg: see
            `rtmcc_head`.
    """
    who = "RTMWHead"
    sizes = line_sizes(who, in_channels, input_size, in_featuremap_size, simcc_split_ratio)
    gau_options(who, gau_cfg)
    logic = Lines.of(build, who, loss, decoder, ratio=simcc_split_ratio)
    rules = LINE_INIT if init_cfg is None else init_cfg
    return RTMWHead(in_channels, out_channels, *sizes, final_layer_kernel_size, gau_cfg, logic, rules)
