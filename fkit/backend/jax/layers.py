"""flax.linen layers with torch's arithmetic; channels last. Fields and parameter names stay flax's.

Each has ``trainable``: False keeps its parameters as they are. Kernels and biases that the engine hands over in
bfloat16 decide the type that a layer computes in.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax import conv as convolution
from fkit.backend.jax.conv import KERNEL, Conv2d, in_weight_dtype
from fkit.backend.jax.deform import DeformConv2dPack, ModulatedDeformConv2dPack
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "BatchNorm",
    "BatchNorm1d",
    "BatchNorm3d",
    "Conv2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "Linear",
    "SyncBatchNorm",
    "avg_pool",
    "conv_layer",
    "counting",
    "max_pool",
    "norm_layer",
]

Array = jax.Array


class Linear(nn.Dense):
    """`nn.Dense` as a torch ``Linear``."""

    kernel_init: Any = KERNEL
    promote_dtype: Any = in_weight_dtype
    trainable: bool = True
    torch_class: ClassVar[str] = "Linear"


class BatchNorm(nn.Module):
    """Batch normalisation with torch's semantics (``torch.nn.BatchNorm2d``); the last axis holds channels.

    The statistics take one pass over the data (`_moments`), the running variance is the unbiased one, and ``momentum``
    is the weight of the new value; None averages over all batches. Under a sharded jit the statistics are those of the
    global batch, so that this is SyncBN too.
    """

    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True
    trainable: bool = True
    torch_class: ClassVar[str] = "BatchNorm2d"

    @nn.compact
    def __call__(self, x: Array, train: bool = False, valid: Array | None = None) -> Array:
        dtype, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        axes = tuple(range(x.ndim - 1))
        scale, bias = _affine(self, x.shape[-1]) if self.affine else (None, None)
        running = self._running(x.shape[-1]) if self.track_running_stats else None
        if running is None or train:
            count: Any = x.size // x.shape[-1]
            if valid is None:
                mean, var = (part.reshape(-1) for part in _moments(x, axes, 0))
            else:
                mean, var, count = _counted(x, axes, valid)
            if running is not None and not self.is_initializing():
                self._move(running, mean, var, count)
        else:
            mean, var = running[0].value, running[1].value
        factor = jax.lax.rsqrt(var + self.eps)
        if scale is not None and bias is not None:  # the scale first: fewer passes over x, forward and backward
            return ((x - mean) * (factor * scale) + bias).astype(dtype)
        return ((x - mean) * factor).astype(dtype)

    def _running(self, width: int) -> tuple[Any, Any, Any]:
        """The variables of the running mean and variance, and of the number of batches."""
        mean = self.variable("batch_stats", "mean", jnp.zeros, (width,))
        var = self.variable("batch_stats", "var", jnp.ones, (width,))
        return mean, var, self.variable("batch_stats", "num_batches_tracked", jnp.zeros, (), jnp.int32)

    def _move(self, running: tuple[Any, Any, Any], batch_mean: Array, batch_var: Array, size: Any) -> None:
        """Move the running statistics on by those of this batch of ``size`` values a channel."""
        mean, var, count = running
        batch_mean = jax.lax.stop_gradient(batch_mean)
        batch_var = jax.lax.stop_gradient(batch_var) * _unbiased(size)
        count.value = count.value + 1
        share = self.momentum if self.momentum is not None else 1.0 / count.value.astype(batch_var.dtype)
        mean.value = (1 - share) * mean.value + share * batch_mean
        var.value = (1 - share) * var.value + share * batch_var


def _unbiased(size: Any) -> Any:
    """What a variance over so many values is multiplied with."""
    return size / (max(size - 1, 1) if isinstance(size, int) else jnp.maximum(size - 1, 1))


def _counted(x: Array, axes: tuple[int, ...], valid: Array) -> tuple[Array, Array, Array]:
    """The mean and the variance of a channel over the valid ones of (R, ..., C), and of how many values they are."""
    rows = valid.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    count = jnp.maximum(rows.sum(), 1) * (x.size // x.shape[-1] // x.shape[0])
    mean = (x * rows).sum(axes) / count
    return mean, (jnp.square(x - mean) * rows).sum(axes) / count, count


def counting(valid: Array) -> AbstractContextManager[None]:
    """Within it, batch norms take their statistics of those rows (R, ..., C) alone that are valid, (R,) bool.

    Example:
        >>> with counting(jnp.array([True, False])):
        ...     y, _ = BatchNorm().init_with_output(jax.random.key(0), jnp.array([[1.0], [9.0]]), train=True)
        >>> float(y[0, 0])
        0.0
    """

    def called(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, BatchNorm) and context.method_name == "__call__":
            kwargs = {**kwargs, "valid": valid}
        return call(*args, **kwargs)

    return nn.intercept_methods(called)


class BatchNorm1d(BatchNorm):
    """`BatchNorm` on (N, C) or (N, L, C), named as torch names it."""

    torch_class: ClassVar[str] = "BatchNorm1d"


class BatchNorm3d(BatchNorm):
    """`BatchNorm` on (N, D, H, W, C), named as torch names it."""

    torch_class: ClassVar[str] = "BatchNorm3d"


class SyncBatchNorm(BatchNorm):
    """`BatchNorm` under the name that ``norm_cfg=dict(type='SyncBN')`` gives it."""

    torch_class: ClassVar[str] = "SyncBatchNorm"


class GroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018) with torch's epsilon; the last axis holds channels."""

    num_groups: int
    eps: float = 1e-5
    affine: bool = True
    trainable: bool = True
    torch_class: ClassVar[str] = "GroupNorm"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        width = x.shape[-1]
        dtype, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        grouped = x.reshape(*x.shape[:-1], self.num_groups, width // self.num_groups)
        mean, var = _moments(grouped, (*range(1, grouped.ndim - 2), grouped.ndim - 1), grouped.ndim - 1)
        y = ((grouped - mean) * jax.lax.rsqrt(var + self.eps)).reshape(x.shape)
        if self.affine:
            scale, bias = _affine(self, width)
            y = y * scale + bias
        return y.astype(dtype)


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016) of the last axis, with torch's epsilon."""

    eps: float = 1e-5
    elementwise_affine: bool = True
    trainable: bool = True
    torch_class: ClassVar[str] = "LayerNorm"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        dtype, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        moved = x - x.mean(-1, keepdims=True)
        y = moved * jax.lax.rsqrt(jnp.square(moved).mean(-1, keepdims=True) + self.eps)
        if self.elementwise_affine:
            scale, bias = _affine(self, x.shape[-1])
            y = y * scale + bias
        return y.astype(dtype)


class InstanceNorm2d(nn.Module):
    """Normalisation of each channel of each sample (Ulyanov et al. 2016); the last axis holds channels, no statistics are
    kept."""

    eps: float = 1e-5
    affine: bool = False
    trainable: bool = True
    torch_class: ClassVar[str] = "InstanceNorm2d"

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        dtype, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, var = _moments(x, tuple(range(1, x.ndim - 1)), 1)
        y = (x - mean) * jax.lax.rsqrt(var + self.eps)
        if self.affine:
            scale, bias = _affine(self, x.shape[-1])
            y = y * scale + bias
        return y.astype(dtype)


class InstanceNorm1d(InstanceNorm2d):
    """`InstanceNorm2d` on (N, L, C), named as torch names it."""

    torch_class: ClassVar[str] = "InstanceNorm1d"


class InstanceNorm3d(InstanceNorm2d):
    """`InstanceNorm2d` on (N, D, H, W, C), named as torch names it."""

    torch_class: ClassVar[str] = "InstanceNorm3d"


def _moments(x: Array, axes: tuple[int, ...], over: int) -> tuple[Array, Array]:
    """Mean and variance over ``axes``, which stay with length 1, in one pass over ``x``.

    The mean of the squares less the square of the mean cancels where the mean is large beside the deviation; so both
    are taken of ``x`` less a value out of its midst, the mean over axis ``over`` at the first place of the other axes,
    on which the variance does not depend, nor its gradient.
    """
    corner = x[tuple(slice(0, 1) if axis in axes and axis != over else slice(None) for axis in range(x.ndim))]
    centre = jax.lax.stop_gradient(corner.mean(over, keepdims=True))
    moved = x - centre
    mean = moved.mean(axes, keepdims=True)
    var = jnp.maximum(jnp.square(moved).mean(axes, keepdims=True) - jnp.square(mean), 0.0)
    return centre + mean, var


def _affine(layer: nn.Module, width: int) -> tuple[Array, Array]:
    return layer.param("scale", nn.initializers.ones, (width,)), layer.param("bias", nn.initializers.zeros, (width,))


def max_pool(x: Array, size: int, stride: int | None = None, padding: int = 0) -> Array:
    """torch's ``max_pool2d`` on (N, H, W, C): explicit padding (never "SAME"), whole windows only."""
    pad: Any = ((padding, padding),) * 2
    return nn.max_pool(x, (size, size), (stride or size,) * 2, pad)


def avg_pool(x: Array, size: int) -> Array:
    """torch's ``avg_pool2d(size, size, ceil_mode=True, count_include_pad=False)`` on (N, H, W, C)."""
    pad: Any = tuple((0, -edge % size) for edge in x.shape[1:3])
    return nn.avg_pool(x, (size, size), (size, size), pad, count_include_pad=False)


# config name -> (the layer's short name in a state_dict, the layer)
_NORMS: Mapping[str, tuple[str, Any]] = frozendict(
    BN=("bn", BatchNorm),
    BN1d=("bn", BatchNorm1d),
    BN2d=("bn", BatchNorm),
    BN3d=("bn", BatchNorm3d),
    SyncBN=("bn", SyncBatchNorm),
    MMSyncBN=("bn", SyncBatchNorm),
    GN=("gn", GroupNorm),
    LN=("ln", LayerNorm),
    LN2d=("ln", LayerNorm),
    IN=("in", InstanceNorm2d),
    IN1d=("in", InstanceNorm1d),
    IN2d=("in", InstanceNorm2d),
    IN3d=("in", InstanceNorm3d),
)
_CONVS: Mapping[str, Any] = frozendict(
    Conv1d=convolution.Conv1d,
    Conv2d=Conv2d,
    Conv3d=convolution.Conv3d,
    Conv=Conv2d,
    ConvWS=convolution.ConvWS2d,
    ConvAWS=convolution.ConvAWS2d,
    Conv2dAdaptivePadding=convolution.Conv2dAdaptivePadding,
    ConvTranspose2d=convolution.ConvTranspose2d,
    deconv=convolution.ConvTranspose2d,
    ConvTranspose3d=convolution.ConvTranspose3d,
    deconv3d=convolution.ConvTranspose3d,
    DCN=DeformConv2dPack,
    DCNv2=ModulatedDeformConv2dPack,
)


def norm_layer(cfg: Mapping[str, Any] | None) -> tuple[str, Callable[..., nn.Module]]:
    """A norm layer's short name and its maker, as mmcv's ``build_norm_layer``.

    Args:
        cfg: ``type`` ("BN", "SyncBN", "GN", "LN", "IN", ...), ``requires_grad``, and the layer's own arguments (``eps``,
            ``momentum``, ``num_groups``). Under a jit over many devices BN is SyncBN.

    Raises:
        FkitError: the type is unknown, or an argument is unknown or missing.

    Example:
        >>> short, make = norm_layer({"type": "GN", "num_groups": 2})
        >>> short, make(name="gn1").num_groups
        ('gn', 2)
    """
    options = dict(cfg or {"type": "BN"})
    kind = str(options.pop("type", "BN")).rpartition(".")[2]
    trainable = bool(options.pop("requires_grad", True))
    if kind not in _NORMS:
        raise FkitValueError(f"norm_cfg.type={kind!r} is unknown.", value=kind, choices=_NORMS, label="Norms")
    short, layer = _NORMS[kind]
    if kind == "GN" and "num_groups" not in options:
        raise FkitTypeError("norm_cfg: GN needs 'num_groups'.", repair="norm_cfg=dict(type='GN', num_groups=32)")
    known = [name for name in layer.__dataclass_fields__ if name not in ("parent", "name", "trainable")]
    for name in options:
        if name not in known:
            raise FkitTypeError(f"norm_cfg: {kind} takes no argument {name!r}.", value=name, choices=known)

    def make(name: str, frozen: bool = False) -> nn.Module:
        return layer(**options, trainable=trainable and not frozen, name=name)

    return short, make


def conv_layer(cfg: Mapping[str, Any] | None) -> Callable[..., nn.Module]:
    """The maker of a convolution by mmcv's ``conv_cfg``: None is ``dict(type="Conv2d")``.

    Raises:
        FkitValueError: another type.
    """
    options = dict(cfg or {"type": "Conv2d"})
    kind = str(options.pop("type", "Conv2d")).rpartition(".")[2]
    if kind not in _CONVS:
        raise FkitValueError(f"conv_cfg.type={kind!r} is not supported.", value=kind, choices=_CONVS, label="Layers")
    return partial(_CONVS[kind], **options)
