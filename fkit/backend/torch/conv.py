"""Convolutions that torch.nn lacks: standardised weights, and padding that follows the size of the input."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Conv2dAdaptivePadding", "ConvAWS2d", "ConvWS2d"]


def _moments(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of each filter, (O, 1, 1, 1)."""
    flat = weight.flatten(1)
    return flat.mean(1).view(-1, 1, 1, 1), flat.var(1).view(-1, 1, 1, 1)


class ConvWS2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and deviation 1 (weight standardisation, Qiao et al. 2019).

    Args:
        eps: is added to the deviation.
    """

    torch_class: ClassVar[str] = "ConvWS2d"

    def __init__(self, *args: Any, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(*args, **options)
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:
        mean, var = _moments(self.weight)
        return self._conv_forward(input, (self.weight - mean) / (var.sqrt() + self.eps), self.bias)


class ConvAWS2d(nn.Conv2d):
    """A convolution with standardised filters, scaled and moved by the buffers ``weight_gamma`` and ``weight_beta``
    (Qiao et al. 2021, appendix)."""

    torch_class: ClassVar[str] = "ConvAWS2d"
    weight_gamma: Tensor
    weight_beta: Tensor

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_buffer("weight_gamma", torch.ones(self.out_channels, 1, 1, 1))
        self.register_buffer("weight_beta", torch.zeros(self.out_channels, 1, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        mean, var = _moments(self.weight)
        weight = self.weight_gamma * ((self.weight - mean) / (var + 1e-5).sqrt()) + self.weight_beta
        return self._conv_forward(input, weight, self.bias)


class Conv2dAdaptivePadding(nn.Conv2d):
    """A convolution with as much padding as gives ``ceil(size / stride)`` outputs; its argument ``padding`` says nothing."""

    torch_class: ClassVar[str] = "Conv2dAdaptivePadding"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)

    def forward(self, input: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (1, 0):
            length, stride = input.shape[2 + axis], self.stride[axis]
            reach = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
            lack = max((-(-length // stride) - 1) * stride + reach - length, 0)
            pads += [lack // 2, lack - lack // 2]
        return super().forward(F.pad(input, pads) if any(pads) else input)
