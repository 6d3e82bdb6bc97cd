"""Mask heads: what a region's features say of the shape inside of it, with MMDetection's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.conv import Conv2d, ConvTranspose2d, sizes
from fkit.backend.jax.layers import conv_layer
from fkit.backend.jax.resize import interpolate
from fkit.catalog.build import Builder
from fkit.detection.mask import CONV, MASK_LOSS, UPSAMPLE, MaskLogic, mask_init, mask_logic, upsampling
from fkit.zoo.flax.brick import ConvModule

__all__ = ["FCNMaskHead", "NormedConv2d", "fcn_mask_head"]

Array = jax.Array


class NormedConv2d(Conv2d):
    """A convolution of the cosine, with weights and features divided by their norms; see torch's twin.

    Attributes:
        tempearture: what the cosines are multiplied with; spelt as in MMDetection.
        power: of the norms.
        eps: added to them.
        norm_over_kernel: whether a weight's norm is over its channels and its kernel, or over its channels alone.
    """

    tempearture: float = 20.0
    power: float = 1.0
    eps: float = 1e-6
    norm_over_kernel: bool = False
    torch_class: ClassVar[str] = "NormedConv2d"

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        shape = (*sizes(self.kernel_size), inputs.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        x = inputs.astype(kernel.dtype)
        axes = (0, 1, 2) if self.norm_over_kernel else (2,)
        kernel = kernel / (jnp.sqrt(jnp.square(kernel).sum(axes, keepdims=True)) ** self.power + self.eps)
        x = x / (jnp.sqrt(jnp.square(x).sum(-1, keepdims=True)) ** self.power + self.eps) * self.tempearture
        y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else y


class FCNMaskHead(nn.Module):
    """Convolutions, an upsampling and a mask for each class, (R, h, w, C) -> (R, 2 h, 2 w, K), before the sigmoid.

    Attributes:
        logic: of the head.
        num_convs, conv_kernel_size, conv_out_channels, conv_cfg, norm_cfg: of the convolutions.
        method, factor: of the upsampling.
        predictor_cfg: the last layer: ``Conv`` or ``NormedConv2d``.
        init_cfg: rules for initial weights.
    """

    logic: MaskLogic
    num_convs: int = 4
    conv_kernel_size: int = 3
    conv_out_channels: int = 256
    method: str | None = "deconv"
    factor: int = 2
    conv_cfg: Any = None
    norm_cfg: Any = None
    predictor_cfg: Any = CONV
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Any:
        return self.logits(self.features(x, train))

    def features(self, x: Array, train: bool) -> Array:
        """What the convolutions make of a region's features."""
        size, wide = self.conv_kernel_size, self.conv_out_channels
        for at in range(self.num_convs):
            conv = ConvModule(
                x.shape[-1], wide, size, padding=(size - 1) // 2, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg,
                name=f"convs_{at}",
            )  # fmt: skip
            x = conv(x, train)
        return x

    def logits(self, x: Array) -> Array:
        """Masks of what the convolutions made."""
        if self.method == "deconv":
            sides = (self.factor, self.factor)
            x = nn.relu(ConvTranspose2d(self.conv_out_channels, sides, strides=sides, name="upsample")(x))
        elif self.method is not None:
            x = interpolate(x, scale_factor=float(self.factor), mode=self.method)
        options = dict(self.predictor_cfg)
        if options.get("type") == "NormedConv2d":
            options.pop("type")
            return NormedConv2d(self.logic.channels, (1, 1), **options, name="conv_logits")(x)
        return conv_layer(options)(self.logic.channels, (1, 1), name="conv_logits")(x)


def fcn_mask_head(
    num_convs: int = 4,
    roi_feat_size: Any = 14,
    in_channels: int = 256,
    conv_kernel_size: int = 3,
    conv_out_channels: int = 256,
    num_classes: int = 80,
    class_agnostic: bool = False,
    upsample_cfg: Any = UPSAMPLE,
    conv_cfg: Any = None,
    norm_cfg: Any = None,
    predictor_cfg: Any = CONV,
    loss_mask: Any = MASK_LOSS,
    init_cfg: Any = None,
    *,
    build: Builder,
    head: type[FCNMaskHead] = FCNMaskHead,
    **more: Any,
) -> FCNMaskHead:
    """The maker of `FCNMaskHead` from a config, with the arguments that torch's twin has."""
    del roi_feat_size, in_channels
    method, factor = upsampling(upsample_cfg)
    logic = mask_logic(build, num_classes, class_agnostic, loss_mask)
    rules = mask_init(init_cfg, method == "deconv")
    return head(
        logic, num_convs, conv_kernel_size, conv_out_channels, method, factor, conv_cfg, norm_cfg, predictor_cfg, rules,
        **more,
    )  # fmt: skip
