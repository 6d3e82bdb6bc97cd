"""Batch norm over the samples of all processes, in plain operations: on gloo and nccl, in any compute type."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

__all__ = ["process_mean", "synchronised"]

_HALVES = (torch.bfloat16, torch.float16)


def synchronised(module: nn.Module, every: bool = False) -> nn.Module:
    """The module, whose layers named SyncBN take their statistics over all processes; their parameters and buffers are what
    they were.

    Args:
        every: batch norm of any other name too.
    """
    for part in module.modules():
        plain = isinstance(part, _BatchNorm) and type(part).forward is _BatchNorm.forward
        if isinstance(part, nn.SyncBatchNorm) or (every and plain):
            object.__setattr__(part, "forward", _Synchronised(part))
    return module


def process_mean(value: Tensor) -> Tensor:
    """The mean of an array over all processes, without a gradient; of one process it is the array.

    Example:
        >>> process_mean(torch.tensor([2.0])).tolist()
        [2.0]
    """
    if not (dist.is_available() and dist.is_initialized()):
        return value
    total = value.detach() / dist.get_world_size()
    dist.all_reduce(total)
    return total


class _Sum(torch.autograd.Function):
    """The sum over processes; the gradient of what all of them make of it is a sum over them too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad


class _Synchronised:
    """The forward of a batch norm; copied with the layer it is of."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __call__(self, x: Tensor) -> Tensor:
        part = self.part
        if not part.training:
            return _BatchNorm.forward(part, x)
        wide = x.float() if x.dtype in _HALVES else x
        mean, var, count = _moments(wide)
        if part.track_running_stats and part.running_mean is not None:
            with torch.no_grad():
                part.num_batches_tracked.add_(1)
                momentum = part.momentum
                rate: Any = 1.0 / part.num_batches_tracked if momentum is None else momentum
                part.running_mean.mul_(1 - rate).add_(rate * mean)
                part.running_var.mul_(1 - rate).add_(rate * var * (count / (count - 1).clamp(min=1)))
        shape = (1, -1, *(1,) * (x.dim() - 2))
        scale = torch.rsqrt(var + part.eps)
        if part.affine:
            scale = scale * part.weight
        y = (wide - mean.view(shape)) * scale.view(shape)
        return (y + part.bias.view(shape) if part.affine else y).to(x.dtype)


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of each channel over all processes, and of how many numbers.

    Each process tells its own mean, sum of squares about it, and number, in its row of one sum; they are put together as Chan,
    Golub and LeVeque do ("Updating Formulae", 1979), which loses nothing where the mean is large.
    """
    axes = [axis for axis in range(x.dim()) if axis != 1]
    mean = x.mean(axes)
    squares = (x - mean.view(1, -1, *(1,) * (x.dim() - 2))).square().sum(axes)
    count = mean.new_full((1,), x.numel() / x.shape[1])
    rows = mean.new_zeros(dist.get_world_size(), 2 * len(mean) + 1)
    own = torch.cat([mean, squares, count])
    place = torch.zeros_like(rows[:, :1])
    place[dist.get_rank()] = 1
    whole: Tensor = _Sum.apply(place * own)  # pyright: ignore[reportAssignmentType]
    means, sums, counts = whole.split([len(mean), len(mean), 1], 1)
    total = counts.sum()
    middle = (means * counts).sum(0) / total
    var = (sums.sum(0) + (counts * (means - middle).square()).sum(0)) / total
    return middle, var, total.detach()
