"""Mask heads: what a region's features say of the shape inside of it, with MMDetection's arguments and parameter names."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.layers import conv_layer
from fkit.catalog.build import Builder
from fkit.detection.mask import CONV, MASK_LOSS, UPSAMPLE, mask_init, mask_logic, upsampling
from fkit.zoo.torch.brick import ConvModule

__all__ = ["FCNMaskHead", "NormedConv2d"]


class NormedConv2d(nn.Conv2d):
    """A convolution of the cosine: weights and features divided by their norms.

    Args:
        tempearture: what the cosines are multiplied with; spelt as in MMDetection.
        power: of the norms.
        eps: added to them.
        norm_over_kernel: whether a weight's norm is over its channels and its kernel, or over its channels alone.
    """

    def __init__(
        self,
        *args: Any,
        tempearture: float = 20.0,
        power: float = 1.0,
        eps: float = 1e-6,
        norm_over_kernel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.tempearture, self.power, self.eps = tempearture, power, eps
        self.norm_over_kernel = norm_over_kernel

    def forward(self, input: Tensor) -> Tensor:
        axes = (1, 2, 3) if self.norm_over_kernel else (1,)
        weight = self.weight / (self.weight.norm(dim=axes, keepdim=True).pow(self.power) + self.eps)
        x = input / (input.norm(dim=1, keepdim=True).pow(self.power) + self.eps) * self.tempearture
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class FCNMaskHead(nn.Module):
    """Convolutions, an upsampling and a mask for each class, (R, C, h, w) -> (R, K, 2 h, 2 w), before the sigmoid.

    Args:
        num_convs: how many convolutions.
        roi_feat_size: not used, as in MMDetection.
        in_channels: C.
        conv_kernel_size, conv_out_channels: of the convolutions.
        num_classes: K.
        class_agnostic: one mask for all classes.
        upsample_cfg: ``type``: "deconv", "nearest", "bilinear" or None; ``scale_factor``.
        conv_cfg, norm_cfg: of the convolutions.
        predictor_cfg: the last layer: ``Conv`` or ``NormedConv2d``.
        loss_mask: config of the loss.
        init_cfg: None: the rules are MMDetection's.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__()
        self.logic = mask_logic(build, num_classes, class_agnostic, loss_mask)
        self.loss_mask = self.logic.loss_mask
        self.method, self.factor = upsampling(upsample_cfg)
        self.convs = nn.ModuleList()
        width = in_channels
        for _ in range(num_convs):
            self.convs.append(
                ConvModule(
                    width, conv_out_channels, conv_kernel_size, padding=(conv_kernel_size - 1) // 2,
                    conv_cfg=conv_cfg, norm_cfg=norm_cfg,
                )
            )  # fmt: skip
            width = conv_out_channels
        if self.method == "deconv":
            self.upsample = nn.ConvTranspose2d(width, conv_out_channels, self.factor, self.factor)
            width = conv_out_channels
        self.conv_logits = _predictor(predictor_cfg, width, self.logic.channels)
        self.init_cfg = mask_init(init_cfg, self.method == "deconv")

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the convolutions make of a region's features."""
        for conv in self.convs:
            x = conv(x)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Masks of what the convolutions made."""
        if self.method == "deconv":
            x = F.relu(self.upsample(x))
        elif self.method is not None:
            corners = None if self.method == "nearest" else False
            x = F.interpolate(x, scale_factor=float(self.factor), mode=self.method, align_corners=corners)
        return self.conv_logits(x)


def _predictor(cfg: Any, width: int, count: int) -> nn.Module:
    options = dict(cfg)
    if options.get("type") == "NormedConv2d":
        options.pop("type")
        return NormedConv2d(width, count, 1, **options)
    return conv_layer(options, width, count, 1)
