"""mmcv's bricks: a convolution with its norm and activation; channels last."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import ORDER, RELU, axes_of, check_order, kaiming
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.conv import sizes
from fkit.backend.jax.layers import conv_layer, norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.small import check_channels

__all__ = ["ConvModule", "DepthwiseSeparableConvModule", "padded"]

Array = jax.Array

# OpenMMLab's word for how to pad -> numpy's
_PADS: Mapping[str, str] = frozendict(zero="constant", reflect="reflect", replicate="edge", circular="wrap")


def padded(x: Array, kind: str, padding: int | tuple[int, int]) -> Array:
    """Maps (N, H, W, C) with a margin on both sides, as mmcv's ``build_padding_layer``.

    Args:
        kind: "zero", "reflect", "replicate" or "circular".
        padding: of height and width.

    Raises:
        FkitValueError: another kind.

    Example:
        >>> padded(jnp.arange(3.0).reshape(1, 1, 3, 1), "reflect", (0, 1))[0, 0, :, 0].tolist()
        [1.0, 0.0, 1.0, 2.0, 1.0]
    """
    high, wide = sizes(padding)
    return jnp.pad(x, ((0, 0), (high, high), (wide, wide), (0, 0)), _mode(kind))


def _mode(kind: str) -> Any:
    """numpy's word for a way to pad."""
    if kind not in _PADS:
        raise FkitValueError(f"padding_mode={kind!r} is unknown.", value=kind, choices=("zeros", *_PADS))
    return _PADS[kind]


class ConvModule(nn.Module):
    """A convolution, its norm and its activation: ``conv``, ``bn`` (``gn``, ``ln``, ...) and ``activate``.

    Attributes:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: of the convolution.
        bias: "auto" has one where there is no norm.
        conv_cfg, norm_cfg, act_cfg: layers; None is an ordinary convolution, no norm, no activation.
        inplace, efficient_conv_bn_eval: change no number; taken for mmcv's configs.
        padding_mode: "zeros", "circular", "reflect" or "replicate".
        order: of "conv", "norm" and "act".
        frozen: no gradient.

    Raises:
        FkitError: an unknown layer, or an order of others than these three.

    Initial weights: Kaiming (fan out) for the convolution, 1 and 0 for the norm.
    """

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool | str = "auto"
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = RELU
    inplace: bool = True
    with_spectral_norm: bool = False
    padding_mode: str = "zeros"
    order: tuple[str, ...] = ORDER
    efficient_conv_bn_eval: bool = False
    frozen: bool = False
    starts_anew: ClassVar[bool] = True
    torch_order: ClassVar[tuple[str, ...]] = ("conv", "bn", "gn", "ln", "in", "activate")

    def __post_init__(self) -> None:
        if self.with_spectral_norm:
            raise FkitValueError("ConvModule: with_spectral_norm is for backend 'torch'.", repair="Leave it out.")
        check_order(self.order)
        conv_layer(self.conv_cfg)
        _ = self.norm_cfg is None or norm_layer(self.norm_cfg)
        _ = self.act_cfg is None or act_layer(self.act_cfg)
        _ = self.padding_mode == "zeros" or _mode(self.padding_mode)
        super().__post_init__()

    @property
    def norm_name(self) -> str | None:
        """The norm's name, or None."""
        return None if self.norm_cfg is None else norm_layer(self.norm_cfg)[0]

    @property
    def start_cfg(self) -> Any:
        """How the layers start when they are made."""
        return kaiming(self.conv_cfg, self.act_cfg, self.norm_name)

    @nn.compact
    def __call__(self, x: Array, train: bool = False, *, activate: bool = True, norm: bool = True) -> Array:
        check_channels("ConvModule", x, self.in_channels)
        for step in self.order:
            if step == "conv":
                x = self._convolved(x)
            elif step == "norm" and norm and self.norm_cfg is not None:
                short, make = norm_layer(self.norm_cfg)
                x = make(short, self.frozen)(x, train)  # pyright: ignore[reportCallIssue]
            elif step == "act" and activate and self.act_cfg is not None:
                x = act_layer(self.act_cfg)("activate")(x)
        return x

    def _convolved(self, x: Array) -> Array:
        filled = self.padding_mode != "zeros"
        x = padded(x, self.padding_mode, self.padding) if filled else x
        axes = axes_of(self.conv_cfg)
        return conv_layer(self.conv_cfg)(
            self.out_channels, sizes(self.kernel_size, axes), strides=sizes(self.stride, axes),
            padding=0 if filled else _pairs(self.padding), kernel_dilation=sizes(self.dilation, axes),
            use_bias=self.norm_cfg is None if self.bias == "auto" else bool(self.bias),
            trainable=not self.frozen, name="conv", **({} if self.groups == 1 else {"feature_group_count": self.groups}),
        )(x)  # fmt: skip


def _pairs(padding: int | tuple[int, int]) -> Any:
    """Padding as flax's convolutions take it: a number, or (before, after) an axis."""
    return padding if isinstance(padding, int) else tuple((edge, edge) for edge in padding)


class DepthwiseSeparableConvModule(nn.Module):
    """A convolution of each channel alone, ``depthwise_conv``, then one of 1x1, ``pointwise_conv`` (Howard et al. 2017).

    Attributes:
        in_channels, out_channels, kernel_size, stride, padding, dilation: of the convolutions.
        norm_cfg, act_cfg: of both, unless ``dw_norm_cfg``, ``dw_act_cfg``, ``pw_norm_cfg`` or ``pw_act_cfg`` says another.
        conv_cfg, bias, order, padding_mode: of both, as `ConvModule` has them.
    """

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    norm_cfg: Any = None
    act_cfg: Any = RELU
    dw_norm_cfg: Any = "default"
    dw_act_cfg: Any = "default"
    pw_norm_cfg: Any = "default"
    pw_act_cfg: Any = "default"
    conv_cfg: Any = None
    bias: bool | str = "auto"
    inplace: bool = True
    padding_mode: str = "zeros"
    order: tuple[str, ...] = ORDER

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width = self.in_channels
        shared: dict[str, Any] = {
            "conv_cfg": self.conv_cfg,
            "bias": self.bias,
            "padding_mode": self.padding_mode,
            "order": self.order,
        }
        x = ConvModule(
            width, width, self.kernel_size, self.stride, self.padding, self.dilation, groups=width,
            norm_cfg=self.norm_cfg if self.dw_norm_cfg == "default" else self.dw_norm_cfg,
            act_cfg=self.act_cfg if self.dw_act_cfg == "default" else self.dw_act_cfg, name="depthwise_conv", **shared,
        )(x, train)  # fmt: skip
        return ConvModule(
            width, self.out_channels, 1,
            norm_cfg=self.norm_cfg if self.pw_norm_cfg == "default" else self.pw_norm_cfg,
            act_cfg=self.act_cfg if self.pw_act_cfg == "default" else self.pw_act_cfg, name="pointwise_conv", **shared,
        )(x, train)  # fmt: skip
