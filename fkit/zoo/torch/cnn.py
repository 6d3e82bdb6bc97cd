"""mmcv.cnn's builders and blocks under their names, for models of one's own: ``from fkit.zoo.torch.cnn import ConvModule``."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.brick import kind_and_options, snake
from fkit.backend.torch.activation import Clamp, HSigmoid, Swish, act_layer
from fkit.backend.torch.conv import Conv2dAdaptivePadding, ConvAWS2d, ConvWS2d
from fkit.backend.torch.drop import Dropout, DropPath, drop_layer
from fkit.backend.torch.layers import LayerNorm2d, conv_layer, norm_layer
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.torch.attention import MultiheadAttention
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule, pad_layer
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import AdaptivePadding, PatchEmbed, PatchMerging
from fkit.zoo.torch.plugged import PLUGINS
from fkit.zoo.torch.plugin import ContextBlock, LayerScale, NonLocal1d, NonLocal2d, NonLocal3d, Scale
from fkit.zoo.torch.position import LearnedPositionalEncoding, SinePositionalEncoding
from fkit.zoo.torch.transformer import (
    BaseTransformerLayer,
    TransformerLayerSequence,
    build_attention,
    build_feedforward_network,
    build_positional_encoding,
    build_transformer_layer,
    build_transformer_layer_sequence,
)

__all__ = [
    "FFN",
    "AdaptivePadding",
    "BaseTransformerLayer",
    "Clamp",
    "ContextBlock",
    "Conv2dAdaptivePadding",
    "ConvAWS2d",
    "ConvModule",
    "ConvWS2d",
    "DepthwiseSeparableConvModule",
    "DropPath",
    "Dropout",
    "HSigmoid",
    "LayerNorm2d",
    "LayerScale",
    "LearnedPositionalEncoding",
    "MultiheadAttention",
    "NonLocal1d",
    "NonLocal2d",
    "NonLocal3d",
    "PatchEmbed",
    "PatchMerging",
    "PixelShufflePack",
    "Scale",
    "SinePositionalEncoding",
    "Swish",
    "TransformerLayerSequence",
    "build_activation_layer",
    "build_attention",
    "build_conv_layer",
    "build_dropout",
    "build_feedforward_network",
    "build_norm_layer",
    "build_padding_layer",
    "build_plugin_layer",
    "build_positional_encoding",
    "build_transformer_layer",
    "build_transformer_layer_sequence",
    "build_upsample_layer",
    "fuse_conv_bn",
    "is_norm",
]

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)  # pyright: ignore[reportPrivateUsage]
_BATCH = nn.modules.batchnorm._BatchNorm  # pyright: ignore[reportPrivateUsage]


class PixelShufflePack(nn.Module):
    """A convolution, ``upsample_conv``, whose channels become ``scale_factor`` x ``scale_factor`` pixels (Shi et al. 2016).

    Example:
        >>> PixelShufflePack(4, 2, 2, 3)(torch.zeros(1, 4, 3, 3)).shape
        torch.Size([1, 2, 6, 6])
    """

    def __init__(self, in_channels: int, out_channels: int, scale_factor: int, upsample_kernel: int) -> None:
        super().__init__()
        self.scale_factor = scale_factor
        self.upsample_conv = nn.Conv2d(
            in_channels, out_channels * scale_factor**2, upsample_kernel, padding=(upsample_kernel - 1) // 2
        )
        self.start_cfg = {"type": "Xavier", "distribution": "uniform", "override": {"name": "upsample_conv"}}

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.upsample_conv(x), self.scale_factor)


def build_conv_layer(cfg: Mapping[str, Any] | None, *args: Any, **kwargs: Any) -> nn.Module:
    """A convolution by ``conv_cfg``; None is an ordinary one.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_conv_layer({"type": "Conv1d"}, 4, 8, 3)
        Conv1d(4, 8, kernel_size=(3,), stride=(1,))
    """
    if cfg is not None:
        kind_and_options(cfg, "conv_cfg")
    return conv_layer(cfg, *args, **kwargs)


def build_norm_layer(cfg: Mapping[str, Any], num_features: int, postfix: int | str = "") -> tuple[str, nn.Module]:
    """A norm by ``norm_cfg``, and the name that it has in a module.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_norm_layer({"type": "BN"}, 8, postfix=1)[0]
        'bn1'
    """
    kind_and_options(cfg, "norm_cfg")
    short, layer = norm_layer(cfg, num_features)
    return f"{short}{postfix}", layer


def build_activation_layer(cfg: Mapping[str, Any]) -> nn.Module:
    """An activation by ``act_cfg``.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_activation_layer({"type": "ReLU6"})
        ReLU6()
    """
    kind_and_options(cfg, "act_cfg")
    return act_layer(cfg)


def build_padding_layer(cfg: Mapping[str, Any], padding: int | tuple[int, int]) -> nn.Module:
    """A layer that pads maps: ``type`` "zero", "reflect", "replicate" or "circular".

    Raises:
        FkitError: another type.

    Example:
        >>> build_padding_layer({"type": "reflect"}, 2)
        ReflectionPad2d((2, 2, 2, 2))
    """
    kind, options = kind_and_options(cfg, "padding config")
    if options:
        raise FkitTypeError(f"padding config: {kind} takes no argument {next(iter(options))!r}.")
    return pad_layer(kind, padding)


def build_upsample_layer(cfg: Mapping[str, Any], *args: Any, **kwargs: Any) -> nn.Module:
    """A layer that enlarges maps: ``type`` "nearest" or "bilinear" (``scale_factor``), "deconv" or "pixel_shuffle".

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_upsample_layer({"type": "bilinear", "scale_factor": 2})
        Upsample(scale_factor=2.0, mode='bilinear')
    """
    kind, options = kind_and_options(cfg, "upsample_cfg")
    if kind in ("deconv", "ConvTranspose2d", "deconv3d", "ConvTranspose3d"):
        return conv_layer(cfg, *args, **kwargs)
    kinds: Mapping[str, Any] = {"nearest": nn.Upsample, "bilinear": nn.Upsample, "pixel_shuffle": PixelShufflePack}
    if kind not in kinds:
        raise FkitValueError(f"upsample_cfg.type={kind!r} is unknown.", value=kind, choices=(*kinds, "deconv"))
    mode = {} if kind == "pixel_shuffle" else {"mode": kind}
    return _made(kinds[kind], "upsample_cfg", args, {**kwargs, **options, **mode})


def build_plugin_layer(cfg: Mapping[str, Any], postfix: int | str = "", **kwargs: Any) -> tuple[str, nn.Module]:
    """A block inside of a network, and the name that it has there; ``type`` may be a class of one's own.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_plugin_layer({"type": "ContextBlock", "ratio": 0.25}, postfix="_0", in_channels=8)[0]
        'context_block_0'
    """
    options = dict(cfg) if isinstance(cfg, Mapping) else {}  # pyright: ignore[reportUnnecessaryIsInstance]
    own = options.pop("type", None)
    if isinstance(own, type):
        short, layer = str(getattr(own, "_abbr_", snake(own.__name__))), own
    else:
        kind, options = kind_and_options(cfg, "plugin")
        if kind not in PLUGINS:
            raise FkitValueError(f"plugin: type={kind!r} is unknown.", value=kind, choices=PLUGINS, label="Plugins")
        short, layer = PLUGINS[kind]
    return f"{short}{postfix}", _made(layer, "plugin", (), {**kwargs, **options})


def build_dropout(cfg: Mapping[str, Any]) -> nn.Module:
    """Dropout by ``type`` "Dropout" or "DropPath", with ``drop_prob``; its draws are the run's own.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_dropout({"type": "DropPath", "drop_prob": 0.2})
        DropPath(rate=0.2)
    """
    kind_and_options(cfg, "dropout config")
    return drop_layer(cfg)


def is_norm(layer: Any, exclude: type | tuple[type, ...] | None = None) -> bool:
    """Whether a layer is a batch, instance, group or layer norm, but none of the classes in ``exclude``.

    Raises:
        FkitTypeError: ``exclude`` is no class.

    Example:
        >>> is_norm(nn.BatchNorm2d(2)), is_norm(nn.LayerNorm(2), exclude=nn.LayerNorm)
        (True, False)
    """
    without: tuple[Any, ...] = exclude if isinstance(exclude, tuple) else () if exclude is None else (exclude,)
    if not all(isinstance(one, type) for one in without):
        raise FkitTypeError(f"is_norm: exclude={exclude!r:.80}: a class, or a tuple of classes.")
    return isinstance(layer, _NORMS) and not isinstance(layer, without)


def fuse_conv_bn(module: nn.Module) -> nn.Module:
    """A copy of a module for prediction, in which each batch norm that follows a 2-D convolution is part of it.

    Raises:
        FkitTypeError: it is no module.

    Example:
        >>> fuse_conv_bn(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))[1]
        Identity()
    """
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"fuse_conv_bn takes a torch module, found {type(module).__name__}.")
    fused = copy.deepcopy(module)
    for part in list(fused.modules()):
        last: tuple[str, nn.Conv2d] | None = None
        for name, child in list(part.named_children()):
            if isinstance(child, nn.Conv2d):
                last = name, child
            elif isinstance(child, _BATCH) and last is not None:
                _fuse(last[1], child)
                part.add_module(name, nn.Identity())
                last = None
    return fused


def _fuse(conv: nn.Conv2d, norm: Any) -> None:
    """Put a norm's scale and shift into the convolution before it."""
    with torch.no_grad():
        ones = torch.ones_like(norm.running_var)
        factor = (ones if norm.weight is None else norm.weight) / torch.sqrt(norm.running_var + norm.eps)
        bias = norm.running_mean * 0 if conv.bias is None else conv.bias
        shift = 0 if norm.bias is None else norm.bias
        conv.weight = nn.Parameter(conv.weight * factor.view(-1, 1, 1, 1))
        conv.bias = nn.Parameter((bias - norm.running_mean) * factor + shift)


def _made(layer: Any, where: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> nn.Module:
    try:
        return layer(*args, **options)
    except TypeError as cause:
        raise FkitTypeError(f"{where}: {cause}.") from cause
