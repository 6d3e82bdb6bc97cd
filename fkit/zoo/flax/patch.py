"""Images to patches, with OpenMMLab's arguments and names; channels last."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.patch import out_size, pad_of, pair
from fkit.backend.jax.layers import Linear, conv_layer, norm_layer
from fkit.tree.error import FkitValueError

__all__ = ["PatchEmbed", "PatchMerging", "adaptive_padding"]

Array = jax.Array


def adaptive_padding(x: Array, kernel_size: Any, stride: Any, dilation: Any = 1, padding: str = "corner") -> Array:
    """Zeros around images (N, H, W, C), so that windows cover them all: "corner" puts them at the right and the bottom,
    "same" on all sides.

    Raises:
        FkitValueError: another way.
    """
    if padding not in ("same", "corner"):
        raise FkitValueError(
            f"AdaptivePadding: padding={padding!r}.", value=padding, choices=("same", "corner"), label="Ways"
        )
    down, right = pad_of((x.shape[1], x.shape[2]), pair(kernel_size), pair(stride), pair(dilation))
    top, left = (down // 2, right // 2) if padding == "same" else (0, 0)
    return jnp.pad(x, ((0, 0), (top, down - top), (left, right - left), (0, 0)))


class PatchEmbed(nn.Module):
    """Images (N, H, W, C) to patches (N, L, ``embed_dims``) and their (rows, columns), by a convolution ``projection``.

    Attributes:
        padding: of the convolution, or a way of `adaptive_padding`.
        norm_cfg: of the norm after it; None is none.
        frozen: no gradient.
    """

    embed_dims: int = 768
    conv_type: str = "Conv2d"
    kernel_size: Any = 16
    stride: Any = 16
    padding: Any = "corner"
    dilation: Any = 1
    bias: bool = True
    norm_cfg: Any = None
    init_cfg: Any = None
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, tuple[int, int]]:
        kernel, dilation = pair(self.kernel_size), pair(self.dilation)
        step = pair(self.kernel_size if self.stride is None else self.stride)
        inner = (0, 0)
        if isinstance(self.padding, str):
            x = adaptive_padding(x, kernel, step, dilation, self.padding)
        else:
            inner = pair(self.padding)
        conv = conv_layer({"type": self.conv_type or "Conv2d"})
        x = conv(
            self.embed_dims, kernel, strides=step, padding=[(side, side) for side in inner], kernel_dilation=dilation,
            use_bias=self.bias, trainable=not self.frozen, name="projection",
        )(x)  # fmt: skip
        size = (x.shape[1], x.shape[2])
        x = x.reshape(x.shape[0], size[0] * size[1], -1)
        if self.norm_cfg is not None:
            x = norm_layer(self.norm_cfg)[1]("norm", self.frozen)(x, train)
        return x, size


class PatchMerging(nn.Module):
    """Patches (N, L, C) of a (rows, columns), windows of them merged into one: norm, then ``reduction``.

    A merged patch has its window's pixels of the first channel first, row by row.

    Attributes:
        stride: of windows; None is ``kernel_size``.
        padding: as `PatchEmbed`'s.
        frozen: no gradient.
    """

    out_channels: int
    kernel_size: Any = 2
    stride: Any = None
    padding: Any = "corner"
    dilation: Any = 1
    bias: bool = False
    norm_cfg: Any = frozendict(type="LN")
    init_cfg: Any = None
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, size: tuple[int, int], train: bool = False) -> tuple[Array, tuple[int, int]]:
        kernel, dilation = pair(self.kernel_size), pair(self.dilation)
        step, inner = pair(self.stride or self.kernel_size), (0, 0)
        x = x.reshape(x.shape[0], *size, -1)
        if isinstance(self.padding, str):
            x = adaptive_padding(x, kernel, step, dilation, self.padding)
        else:
            inner = pair(self.padding)
        rows, columns = after = out_size((x.shape[1], x.shape[2]), kernel, step, inner, dilation)
        count, _, _, width = x.shape
        if kernel == step and inner == (0, 0) and dilation == (1, 1):
            x = x[:, : rows * kernel[0], : columns * kernel[1]]
            x = x.reshape(count, rows, kernel[0], columns, kernel[1], width).transpose(0, 1, 3, 5, 2, 4)
        else:
            x = jax.lax.conv_general_dilated_patches(
                x, kernel, step, [(side, side) for side in inner], rhs_dilation=dilation,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )  # fmt: skip
        x = x.reshape(count, rows * columns, -1)
        if self.norm_cfg is not None:
            x = norm_layer(self.norm_cfg)[1]("norm", self.frozen)(x, train)
        return Linear(self.out_channels, use_bias=self.bias, trainable=not self.frozen, name="reduction")(x), after
