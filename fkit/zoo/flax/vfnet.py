"""VarifocalNet's head: a first guess of a box says where the convolutions behind it look; channels last."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.array.deform import deform_conv
from fkit.backend.jax.ops import JaxOps
from fkit.detection.headed import headed
from fkit.detection.vfnet import VFNetHead as VFNet
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.dense_head import DenseHead, Outputs, Scale, flat, names

__all__ = ["Shifted", "VFNetHead"]

Array = jax.Array


class Shifted(nn.Module):
    """A 3x3 convolution that looks where it is told; mmcv's DeformConv2d, whose layout its weight has.

    Attributes:
        width: channels, of what it takes and gives.
    """

    width: int

    @nn.compact
    def __call__(self, x: Array, offset: Array) -> Array:
        start = nn.initializers.he_uniform(in_axis=1, out_axis=0)
        weight = self.param("weight", start, (self.width, self.width, 3, 3))
        return deform_conv(JaxOps(), x, offset, None, weight.transpose(2, 3, 1, 0), padding=(1, 1))


class _VFNet(DenseHead):
    """See `fkit.detection.vfnet.VFNetHead`; outside of training there are scores and refined boxes alone."""

    def setup(self) -> None:
        super().setup()
        logic = self.logic
        width = logic.feat_channels
        self.vfnet_reg_conv = ConvModule(
            width, width, 3, padding=1, conv_cfg=logic.conv_cfg, norm_cfg=logic.norm_cfg, bias=logic.conv_bias
        )
        self.vfnet_reg_refine_dconv = Shifted(width)
        self.vfnet_cls_dconv = Shifted(width)
        for level in range(len(logic.strides)):
            setattr(self, f"scales_{level}", Scale())
            setattr(self, f"scales_refine_{level}", Scale())

    def _level(self, level: int, x: Array, train: bool) -> tuple[Array, ...]:
        logic = self.logic
        classes, sides = x, x
        for name in names(logic.plan.towers[0]):
            classes = getattr(self, name)(classes, train)
        for name in names(logic.plan.towers[1]):
            sides = getattr(self, name)(sides, train)
        layer: Any = getattr
        guess = layer(self, "vfnet_reg")(self.vfnet_reg_conv(sides, train))
        first = jnp.exp(layer(self, f"scales_{level}")(guess)) * logic.unit(level)
        offset = logic.star(JaxOps(), first, level)
        sides = nn.relu(self.vfnet_reg_refine_dconv(sides, offset))
        more = layer(self, f"scales_refine_{level}")(layer(self, "vfnet_reg_refine")(sides))
        refined = jnp.exp(more) * jax.lax.stop_gradient(first)
        scores = layer(self, "vfnet_cls")(nn.relu(self.vfnet_cls_dconv(classes, offset)))
        return (scores, first, refined) if train else (scores, refined)

    def _flat(self, outputs: Outputs) -> Outputs:
        widths = (self.logic.classes_out, 4, 4)
        return tuple(tuple(flat(x, width) for x in levels) for width, levels in zip(widths, outputs, strict=False))


VFNetHead = headed(_VFNet, VFNet)
