"""A convolution and the batch norm after it, where the norm's statistics rest: what a detector's backbone trains with.

The norm is then a scale and a shift of each channel, and its scale's gradient follows from the gradient of the
convolution's kernel: with ``y = scale * (conv(x) - mean) / std + shift``, the sum over places of ``dy * conv(x)`` is that of
``kernel * d kernel``. So the map between the two, of which autograd would keep one a layer, is not kept.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["added", "normed", "rectified"]

_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


def normed(conv: nn.Module, norm: nn.Module, x: Tensor, relu: bool = False) -> Tensor:
    """``norm(conv(x))``, and a ReLU of it, to the last bit; gradients are those but for rounding.

    Args:
        conv, norm: layers of any kind. An ordinary convolution without a bias and a batch norm in evaluation mode are, where
            a gradient may be asked for, taken as one; others, and these under autocast or a compiler, are called in turn.
        x: (N, C, H, W).
        relu: whether there is one.

    Example:
        >>> conv, norm = nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3).eval()
        >>> x = torch.rand(1, 2, 4, 4)
        >>> bool((normed(conv, norm, x, relu=True) == norm(conv(x)).relu()).all())
        True
    """
    if not _fits(conv, norm, x):
        y = norm(conv(x))
        return y if not relu else F.relu(y) if _watched(norm) else rectified(y)
    layer: Any = conv
    stats: Any = norm
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    values = (layer.weight, stats.weight, stats.bias, stats.running_mean, stats.running_var)
    return _Normed.apply(x, *values, stats.eps, relu, geometry)  # type: ignore[no-any-return]


def rectified(x: Tensor) -> Tensor:
    """The ReLU of a map that nobody else holds: written over it where no gradient is asked for.

    Example:
        >>> rectified(torch.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    return x.relu_() if _free() else F.relu(x)


def added(x: Tensor, y: Tensor) -> Tensor:
    """A map that nobody else holds and another: written over the first where no gradient is asked for.

    Example:
        >>> added(torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 1.0])).tolist()
        [0.0, 3.0]
    """
    return x.add_(y) if _free() and x.shape == y.shape and x.dtype == y.dtype else x + y


def _free() -> bool:
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling() or _transformed())


def _fits(conv: nn.Module, norm: nn.Module, x: Tensor) -> bool:
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return False
    if type(conv) is not nn.Conv2d or type(norm) not in _NORMS or norm.training:
        return False
    stats: Any = norm
    plain = conv.bias is None and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    if not plain or stats.weight is None or stats.running_var is None or _watched(conv) or _watched(norm):
        return False
    if torch.is_autocast_enabled(x.device.type) or _transformed():
        return False
    return any(tensor.requires_grad for tensor in (x, conv.weight, stats.weight, stats.bias))


def _watched(layer: Any) -> bool:
    """Whether someone sees what goes into a layer or comes out, or has put another forward in."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(hooks) or "forward" in vars(layer)


def _transformed() -> bool:
    """Whether this runs inside of torch.func's functions, which take derivatives of operators in ways of their own."""
    return torch._C._are_functorch_transforms_active()  # pyright: ignore[reportPrivateUsage]


class _Normed(torch.autograd.Function):
    """See `normed`."""

    @staticmethod
    def forward(
        x: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float, relu: bool,
        geometry: tuple[Any, ...],
    ) -> Tensor:  # fmt: skip
        y = F.batch_norm(F.conv2d(x, kernel, None, *geometry), mean, var, weight, bias, eps=eps)
        return y.relu_() if relu else y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.eps, ctx.relu, ctx.geometry = inputs
        ctx.save_for_backward(*tensors, *((output,) if ctx.relu else ()))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:  # type: ignore[override]
        x, kernel, weight, _, mean, var, *outputs = ctx.saved_tensors
        if outputs:
            dy = torch.ops.aten.threshold_backward(dy, outputs[0], 0)
        wants = ctx.needs_input_grad
        rate = torch.rsqrt(var + ctx.eps)
        scale = (weight * rate)[:, None, None, None]
        scaled = kernel * scale
        total = dy.sum((0, 2, 3)) if wants[2] or wants[3] else None
        stride, padding, dilation, groups = ctx.geometry
        dx, raw, _ = torch.ops.aten.convolution_backward(
            dy, x, scaled, None, stride, padding, dilation, False, (0, 0), groups,
            (wants[0], wants[1] or wants[2], False),
        )  # fmt: skip
        d_weight = d_kernel = None
        again = torch.is_grad_enabled()  # this is differentiated itself: nothing is written over then
        if wants[2]:
            product = raw * kernel if again else torch.mul(raw, kernel, out=scaled)
            d_weight = rate * (product.sum((1, 2, 3)) - mean * total)
        if wants[1]:
            d_kernel = raw * scale if again else raw.mul_(scale)
        return dx, d_kernel, d_weight, total if wants[3] else None, None, None, None, None, None
