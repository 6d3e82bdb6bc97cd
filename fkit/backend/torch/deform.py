"""Deformable convolutions as layers, under mmcv's names and with its parameters, in plain operations."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fkit.array.deform import deform_conv
from fkit.backbone.brick import deformed_start
from fkit.backend.torch.ops import Torch
from fkit.tree.error import FkitValueError

__all__ = ["DeformConv2dPack", "ModulatedDeformConv2dPack"]

Size = int | tuple[int, int]


class _Deformable(nn.Module):
    """A deformable convolution that tells its offsets from its input by a convolution of its own, ``conv_offset``."""

    starts_anew: ClassVar[bool] = True
    numbers: ClassVar[int]  # that a place of the kernel needs
    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
        dilation: Size = 1, groups: int = 1, deform_groups: int = 1, bias: bool = True, deformable_groups: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.deform_groups = deform_groups if deformable_groups is None else deformable_groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation = _pair(padding), _pair(dilation)
        if in_channels % groups or out_channels % groups or in_channels % self.deform_groups:
            raise FkitValueError(
                f"{in_channels} and {out_channels} channels are not whole groups: {groups}, deformed {self.deform_groups}."
            )
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)
        places = self.deform_groups * math.prod(self.kernel_size)
        self.conv_offset = nn.Conv2d(
            in_channels, places * self.numbers, self.kernel_size, self.stride, self.padding, self.dilation
        )
        nn.init.zeros_(self.conv_offset.weight)
        if self.conv_offset.bias is not None:
            nn.init.zeros_(self.conv_offset.bias)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        said = self.conv_offset(x).permute(0, 2, 3, 1)
        places = self.deform_groups * math.prod(self.kernel_size)
        mask = said[..., 2 * places :].sigmoid() if self.numbers == 3 else None
        out = deform_conv(
            Torch(x.device), x.permute(0, 2, 3, 1), said[..., : 2 * places], mask, self.weight.permute(2, 3, 1, 0),
            self.stride, self.padding, self.dilation, self.groups, self.deform_groups,
        )  # fmt: skip
        return (out if self.bias is None else out + self.bias.to(out.dtype)).permute(0, 3, 1, 2)


class DeformConv2d(_Deformable):
    """Version 1: offsets; no bias."""

    numbers = 2

    def __init__(self, *args: Any, bias: bool = False, im2col_step: int = 32, **options: Any) -> None:
        del im2col_step  # how many images mmcv's operator takes at once
        if bias:
            raise FkitValueError("DCN has no bias.", repair="bias=False, or type='DCNv2'")
        super().__init__(*args, bias=False, **options)


class DeformConv2dPack(DeformConv2d):
    """mmcv's ``DCN``.

    Example:
        >>> layer = DeformConv2dPack(4, 8, 3, padding=1)
        >>> [name for name, _ in layer.named_parameters()], tuple(layer(torch.ones(1, 4, 5, 5)).shape)
        (['weight', 'conv_offset.weight', 'conv_offset.bias'], (1, 8, 5, 5))
    """

    torch_class: ClassVar[str] = "DeformConv2dPack"

    @property
    def start_cfg(self) -> Any:
        """How the layer starts when it is made."""
        return deformed_start("DeformConv2dPack")


class ModulatedDeformConv2d(_Deformable):
    """Version 2: offsets, and how much each place of the kernel counts."""

    numbers = 3


class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    """mmcv's ``DCNv2``.

    Example:
        >>> layer = ModulatedDeformConv2dPack(4, 8, 3, padding=1, deform_groups=2)
        >>> tuple(layer.conv_offset.weight.shape), tuple(layer(torch.ones(1, 4, 5, 5)).shape)
        ((54, 4, 3, 3), (1, 8, 5, 5))
    """

    torch_class: ClassVar[str] = "ModulatedDeformConv2dPack"

    @property
    def start_cfg(self) -> Any:
        """How the layer starts when it is made."""
        return deformed_start("ModulatedDeformConv2dPack")


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
