"""mmcv's bricks: a convolution with its norm and activation."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import ORDER, RELU, check_order, kaiming
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.backend.torch.settled import normed
from fkit.tree.error import FkitValueError

__all__ = ["ConvModule", "DepthwiseSeparableConvModule", "pad_layer"]

_PADS: Final[Mapping[str, Callable[[Any], nn.Module]]] = frozendict(
    zero=nn.ZeroPad2d, reflect=nn.ReflectionPad2d, replicate=nn.ReplicationPad2d, circular=nn.CircularPad2d
)


def pad_layer(kind: str, padding: int | tuple[int, int]) -> nn.Module:
    """A layer that pads maps on both sides, as mmcv's ``build_padding_layer``.

    Args:
        kind: "zero", "reflect", "replicate" or "circular".
        padding: of height and width.

    Raises:
        FkitValueError: another kind.

    Example:
        >>> pad_layer("reflect", (1, 2))
        ReflectionPad2d((2, 2, 1, 1))
    """
    if kind not in _PADS:
        raise FkitValueError(f"padding_mode={kind!r} is unknown.", value=kind, choices=("zeros", *_PADS))
    high, wide = (padding, padding) if isinstance(padding, int) else padding
    return _PADS[kind]((wide, wide, high, high))


class ConvModule(nn.Module):
    """A convolution, its norm and its activation: ``conv``, ``bn`` (``gn``, ``ln``, ...) and ``activate``.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: of the convolution.
        bias: "auto" has one where there is no norm.
        conv_cfg, norm_cfg, act_cfg: layers; None is an ordinary convolution, no norm, no activation.
        inplace: whether the activation may write over its input, if that is a layer's before it.
        with_spectral_norm: the convolution's weight by its largest singular value.
        padding_mode: "zeros", "circular", "reflect" or "replicate".
        order: of "conv", "norm" and "act".
        efficient_conv_bn_eval: changes nothing, for it is so always; taken for mmcv's configs.

    Raises:
        FkitError: an unknown layer, or an order of others than these three.

    Initial weights: Kaiming (fan out) for the convolution, 1 and 0 for the norm.
    """

    starts_anew: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool | str = "auto",
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = RELU,
        inplace: bool = True,
        with_spectral_norm: bool = False,
        padding_mode: str = "zeros",
        order: tuple[str, ...] = ORDER,
        efficient_conv_bn_eval: bool = False,
    ) -> None:
        super().__init__()
        del efficient_conv_bn_eval
        self.order = check_order(order)
        biased = norm_cfg is None if bias == "auto" else bool(bias)
        padded = padding_mode != "zeros"
        self.padding_layer = pad_layer(padding_mode, padding) if padded else None
        conv = conv_layer(
            conv_cfg, in_channels, out_channels, kernel_size, stride=stride, padding=0 if padded else padding,
            dilation=dilation, groups=groups, bias=biased,
        )  # fmt: skip
        self.conv = nn.utils.spectral_norm(conv) if with_spectral_norm else conv
        self.norm_name: str | None = None
        if norm_cfg is not None:
            width = out_channels if self.order.index("norm") > self.order.index("conv") else in_channels
            self.norm_name, norm = norm_layer(norm_cfg, width)
            self.add_module(self.norm_name, norm)
        # an activation that comes first would write over the caller's maps
        self.activate = None if act_cfg is None else act_layer(act_cfg, inplace and self.order[0] != "act")
        self.start_cfg = kaiming(conv_cfg, act_cfg, self.norm_name)

    @property
    def norm(self) -> nn.Module | None:
        """The norm, or None."""
        return None if self.norm_name is None else getattr(self, self.norm_name)

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        layer = self.norm if norm else None
        joined = layer is not None and "conv norm" in " ".join(self.order)
        for step in self.order:
            if step == "conv":
                x = x if self.padding_layer is None else self.padding_layer(x)
                x = normed(self.conv, layer, x) if layer is not None and joined else self.conv(x)
            elif step == "norm":
                x = x if layer is None or joined else layer(x)
            elif activate and self.activate is not None:
                x = self.activate(x)
        return x


class DepthwiseSeparableConvModule(nn.Module):
    """A convolution of each channel alone, ``depthwise_conv``, then one of 1x1, ``pointwise_conv`` (Howard et al. 2017).

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation: of the convolutions.
        norm_cfg, act_cfg: of both, unless ``dw_norm_cfg``, ``dw_act_cfg``, ``pw_norm_cfg`` or ``pw_act_cfg`` says another.
        options: further arguments of both, as `ConvModule` has them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        norm_cfg: Any = None,
        act_cfg: Any = RELU,
        dw_norm_cfg: Any = "default",
        dw_act_cfg: Any = "default",
        pw_norm_cfg: Any = "default",
        pw_act_cfg: Any = "default",
        **options: Any,
    ) -> None:
        super().__init__()
        if "groups" in options:
            raise FkitValueError("DepthwiseSeparableConvModule: groups are the channels.", repair="Leave groups out.")
        self.depthwise_conv = ConvModule(
            in_channels, in_channels, kernel_size, stride, padding, dilation, groups=in_channels,
            norm_cfg=norm_cfg if dw_norm_cfg == "default" else dw_norm_cfg,
            act_cfg=act_cfg if dw_act_cfg == "default" else dw_act_cfg, **options,
        )  # fmt: skip
        self.pointwise_conv = ConvModule(
            in_channels, out_channels, 1,
            norm_cfg=norm_cfg if pw_norm_cfg == "default" else pw_norm_cfg,
            act_cfg=act_cfg if pw_act_cfg == "default" else pw_act_cfg, **options,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise_conv(self.depthwise_conv(x))
