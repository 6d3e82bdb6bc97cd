"""flax.linen convolutions with torch's arithmetic; channels last. Fields and parameter names stay flax's."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.wording import grouped, transposed

__all__ = [
    "KERNEL",
    "Conv1d",
    "Conv2d",
    "Conv2dAdaptivePadding",
    "Conv3d",
    "ConvAWS2d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "ConvWS2d",
    "in_weight_dtype",
    "sizes",
]

Array = jax.Array

KERNEL = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""torch's ``kaiming_uniform_(a=sqrt(5))``: U(-b, b), b = 1 / sqrt(fan_in)."""


def in_weight_dtype(*arrays: Any, dtype: Any = None, inexact: bool = True) -> list[Any]:
    """Inputs, kernel and bias in the kernel's type, which is the run's compute type (flax's ``promote_dtype``)."""
    del inexact
    dtype = arrays[1].dtype if dtype is None else dtype
    return [None if array is None else jnp.asarray(array, dtype) for array in arrays]


def sizes(value: int | Sequence[int], axes: int = 2) -> tuple[int, ...]:
    """A size an axis, where one number is for all of them."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


class Conv2d(nn.Conv):
    """`nn.Conv` with torch's defaults: no padding unless it is given, and then on both sides.

    Example:
        >>> Conv2d(8, (3, 3), padding=1, strides=2).init_with_output(jax.random.key(0), jnp.ones((1, 6, 6, 4)))[0].shape
        (1, 3, 3, 8)
    """

    padding: Any = 0
    kernel_init: Any = KERNEL
    promote_dtype: Any = in_weight_dtype
    conv_general_dilated: Any = grouped
    trainable: bool = True
    torch_class: ClassVar[str] = "Conv2d"


class Conv1d(Conv2d):
    """`Conv2d` on (N, L, C), named as torch names it."""

    torch_class: ClassVar[str] = "Conv1d"


class Conv3d(Conv2d):
    """`Conv2d` on (N, D, H, W, C), named as torch names it."""

    torch_class: ClassVar[str] = "Conv3d"


def _moments(kernel: Array) -> tuple[Array, Array]:
    """Mean and unbiased variance of each filter of a kernel (h, w, I, O), (O,)."""
    return kernel.mean((0, 1, 2)), kernel.var((0, 1, 2), ddof=1)


class ConvWS2d(Conv2d):
    """A convolution whose filters have mean 0 and deviation 1 (weight standardisation, Qiao et al. 2019).

    Attributes:
        eps: is added to the deviation.
    """

    eps: float = 1e-5
    torch_class: ClassVar[str] = "ConvWS2d"

    def __call__(self, inputs: Array) -> Array:
        def standardised(*arrays: Any, dtype: Any = None, inexact: bool = True) -> list[Any]:
            mean, var = _moments(arrays[1])
            return in_weight_dtype(arrays[0], (arrays[1] - mean) / (jnp.sqrt(var) + self.eps), *arrays[2:], dtype=dtype)

        return nn.Conv.__call__(_changed(self, promote_dtype=standardised), inputs)


class ConvAWS2d(Conv2d):
    """A convolution with standardised filters, scaled and moved by the buffers ``weight_gamma`` and ``weight_beta``
    (Qiao et al. 2021, appendix)."""

    torch_class: ClassVar[str] = "ConvAWS2d"

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        shape = (self.features, 1, 1, 1)
        gamma = self.variable("buffers", "weight_gamma", jnp.ones, shape).value.reshape(-1)
        beta = self.variable("buffers", "weight_beta", jnp.zeros, shape).value.reshape(-1)

        def standardised(*arrays: Any, dtype: Any = None, inexact: bool = True) -> list[Any]:
            mean, var = _moments(arrays[1])
            kernel = gamma * ((arrays[1] - mean) / jnp.sqrt(var + 1e-5)) + beta
            return in_weight_dtype(arrays[0], kernel, *arrays[2:], dtype=dtype or arrays[1].dtype)

        return nn.Conv.__call__(_changed(self, promote_dtype=standardised), inputs)


def _changed(layer: Any, **fields: Any) -> Any:
    """A layer with other fields for one call: what it keeps stays the layer's."""
    view = copy.copy(layer)
    for name, value in fields.items():
        object.__setattr__(view, name, value)  # flax's modules are frozen
    return view


class Conv2dAdaptivePadding(Conv2d):
    """A convolution with as much padding as gives ``ceil(size / stride)`` outputs; its field ``padding`` says nothing."""

    torch_class: ClassVar[str] = "Conv2dAdaptivePadding"

    def __call__(self, inputs: Array) -> Array:
        strides, dilation = sizes(self.strides or 1), sizes(self.kernel_dilation or 1)
        pads: list[tuple[int, int]] = []
        for axis in (0, 1):
            length = inputs.shape[1 + axis]
            reach = (sizes(self.kernel_size)[axis] - 1) * dilation[axis] + 1
            lack = max((-(-length // strides[axis]) - 1) * strides[axis] + reach - length, 0)
            pads.append((lack // 2, lack - lack // 2))
        return nn.Conv.__call__(_changed(self, padding=pads), inputs)


class ConvTranspose2d(nn.ConvTranspose):
    """torch's ``ConvTranspose2d``: ``padding`` takes away what ``output_padding`` gives back at the end.

    flax's ``mask``, ``transpose_kernel`` and ``precision`` say nothing.
    """

    padding: Any = 0
    output_padding: Any = 0
    kernel_init: Any = KERNEL
    promote_dtype: Any = in_weight_dtype
    trainable: bool = True
    groups: int = 1
    torch_class: ClassVar[str] = "ConvTranspose2d"

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        size = sizes(self.kernel_size)
        dilation = sizes(self.kernel_dilation or 1, len(size))
        kernel = self.param(
            "kernel", self.kernel_init, (*size, inputs.shape[-1], self.features // self.groups), self.param_dtype
        )
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        pads = zip(size, dilation, sizes(self.padding, len(size)), sizes(self.output_padding, len(size)), strict=True)
        edges = [(step * (side - 1) - pad, step * (side - 1) - pad + more) for side, step, pad, more in pads]
        x, kernel, bias = self.promote_dtype(inputs, kernel, bias, dtype=self.dtype)
        strides = sizes(self.strides or 1, len(size))
        if self.groups == 1:
            y = transposed(x, kernel, strides, edges, dilation)
        else:
            y = self._grouped(x, kernel, lambda x, kernel: transposed(x, kernel, strides, edges, dilation))
        return y if bias is None else y + bias

    def _grouped(self, x: Array, kernel: Array, one: Callable[[Array, Array], Array]) -> Array:
        """Each group of channels by itself."""
        parts = x.reshape(*x.shape[:-1], self.groups, -1)
        kernels = kernel.reshape(*kernel.shape[:-2], self.groups, -1, kernel.shape[-1])
        y = jax.vmap(one, in_axes=(parts.ndim - 2, kernels.ndim - 3), out_axes=-2)(parts, kernels)
        return y.reshape(*y.shape[:-2], self.features)


class ConvTranspose3d(ConvTranspose2d):
    """`ConvTranspose2d` on (N, D, H, W, C), named as torch names it."""

    torch_class: ClassVar[str] = "ConvTranspose3d"
