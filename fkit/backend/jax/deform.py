"""Deformable convolutions as layers, under mmcv's names and with its parameters, in plain operations; channels last."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.array.deform import deform_conv
from fkit.backbone.brick import deformed_start
from fkit.backend.jax.conv import Conv2d, sizes
from fkit.backend.jax.ops import JaxOps
from fkit.tree.error import FkitValueError

__all__ = ["DeformConv2dPack", "ModulatedDeformConv2dPack"]

Array = jax.Array


class _Deformable(Conv2d):
    """A deformable convolution that tells its offsets from its input by a convolution of its own, ``conv_offset``.

    Attributes:
        deform_groups: parts of the channels that have offsets of their own; ``deformable_groups`` is its older name.
    """

    deform_groups: int = 1
    deformable_groups: int | None = None
    kernel_init: Any = nn.initializers.he_uniform()
    starts_anew: ClassVar[bool] = True
    numbers: ClassVar[int]  # that a place of the kernel needs

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        groups = self.deform_groups if self.deformable_groups is None else self.deformable_groups
        channels, size = inputs.shape[-1], sizes(self.kernel_size)
        if channels % self.feature_group_count or self.features % self.feature_group_count or channels % groups:
            raise FkitValueError(
                f"{channels} and {self.features} channels are not whole groups: {self.feature_group_count}, deformed {groups}."
            )
        stride, dilation = sizes(self.strides or 1), sizes(self.kernel_dilation or 1)
        padding = sizes(self.padding)
        kernel = self.param("kernel", self.kernel_init, (*size, channels // self.feature_group_count, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else None
        places = groups * math.prod(size)
        said = Conv2d(
            places * self.numbers, size, strides=stride, padding=[(pad, pad) for pad in padding], kernel_dilation=dilation,
            kernel_init=nn.initializers.zeros, trainable=self.trainable, name="conv_offset",
        )(inputs)  # fmt: skip
        mask = jax.nn.sigmoid(said[..., 2 * places :]) if self.numbers == 3 else None
        x = jnp.asarray(inputs, kernel.dtype)
        out = deform_conv(
            JaxOps(), x, said[..., : 2 * places], mask, kernel, _two(stride), _two(padding), _two(dilation),
            self.feature_group_count, groups,
        )  # fmt: skip
        return out if bias is None else out + bias


class DeformConv2d(_Deformable):
    """Version 1: offsets; no bias."""

    use_bias: bool = False
    im2col_step: int = 32  # how many images mmcv's operator takes at once
    numbers = 2

    def __post_init__(self) -> None:
        if self.use_bias:
            raise FkitValueError("DCN has no bias.", repair="bias=False, or type='DCNv2'")
        super().__post_init__()


class DeformConv2dPack(DeformConv2d):
    """mmcv's ``DCN``.

    Example:
        >>> layer = DeformConv2dPack(8, (3, 3), padding=1)
        >>> out, kept = layer.init_with_output(jax.random.key(0), jnp.ones((1, 5, 5, 4)))
        >>> out.shape, sorted(kept["params"])
        ((1, 5, 5, 8), ['conv_offset', 'kernel'])
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
        >>> layer = ModulatedDeformConv2dPack(8, (3, 3), padding=1)
        >>> out, kept = layer.init_with_output(jax.random.key(0), jnp.ones((1, 5, 5, 4)))
        >>> out.shape, kept["params"]["conv_offset"]["kernel"].shape
        ((1, 5, 5, 8), (3, 3, 4, 27))
    """

    torch_class: ClassVar[str] = "ModulatedDeformConv2dPack"

    @property
    def start_cfg(self) -> Any:
        """How the layer starts when it is made."""
        return deformed_start("ModulatedDeformConv2dPack")


def _two(size: tuple[int, ...]) -> tuple[int, int]:
    return size[0], size[1]
