"""mmcv.cnn's builders and blocks under their names, for flax models of one's own; channels last."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
from flax import linen as nn

from fkit.backbone.brick import kind_and_options, snake
from fkit.backend.jax.activation import PReLU, act_layer
from fkit.backend.jax.conv import Conv2dAdaptivePadding, ConvAWS2d, ConvWS2d
from fkit.backend.jax.drop import Dropout, DropPath, drop_layer
from fkit.backend.jax.layers import conv_layer, norm_layer
from fkit.backend.jax.naming import kind_of
from fkit.backend.jax.resize import interpolate
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.flax.attention import MultiheadAttention
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule, padded
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.patch import PatchEmbed, PatchMerging
from fkit.zoo.flax.plugged import PLUGINS
from fkit.zoo.flax.plugin import ContextBlock, LayerScale, NonLocal1d, NonLocal2d, NonLocal3d, Scale
from fkit.zoo.flax.position import LearnedPositionalEncoding, SinePositionalEncoding
from fkit.zoo.flax.transformer import (
    build_attention,
    build_feedforward_network,
    build_positional_encoding,
    build_transformer_layer,
    build_transformer_layer_sequence,
    transformer_layer,
    transformer_layers,
)

__all__ = [
    "FFN",
    "ContextBlock",
    "Conv2dAdaptivePadding",
    "ConvAWS2d",
    "ConvModule",
    "ConvWS2d",
    "DepthwiseSeparableConvModule",
    "DropPath",
    "Dropout",
    "LayerScale",
    "LearnedPositionalEncoding",
    "MultiheadAttention",
    "NonLocal1d",
    "NonLocal2d",
    "NonLocal3d",
    "PReLU",
    "PatchEmbed",
    "PatchMerging",
    "Scale",
    "SinePositionalEncoding",
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
    "is_norm",
    "transformer_layer",
    "transformer_layers",
]

Array = jax.Array


def build_conv_layer(cfg: Mapping[str, Any] | None, *args: Any, **kwargs: Any) -> nn.Module:
    """A convolution by ``conv_cfg``, with flax's arguments (features, kernel size, ...); None is an ordinary one.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_conv_layer(None, 8, (3, 3), padding=1).features
        8
    """
    if cfg is not None:
        kind_and_options(cfg, "conv_cfg")
    return _made(conv_layer(cfg), "conv_cfg", args, kwargs)


def build_norm_layer(cfg: Mapping[str, Any], postfix: int | str = "") -> tuple[str, nn.Module]:
    """A norm by ``norm_cfg``, which bears the name that it has in a module.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_norm_layer({"type": "BN"}, postfix=1)[0]
        'bn1'
    """
    kind_and_options(cfg, "norm_cfg")
    short, make = norm_layer(cfg)
    return f"{short}{postfix}", make(name=f"{short}{postfix}")


def build_activation_layer(cfg: Mapping[str, Any], name: str = "activate") -> Callable[[Array], Array]:
    """An activation by ``act_cfg``; ``name`` is that of its module if it has parameters.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_activation_layer({"type": "ReLU6"})(jax.numpy.array([-1.0, 7.0])).tolist()
        [0.0, 6.0]
    """
    kind_and_options(cfg, "act_cfg")
    return act_layer(cfg)(name)


def build_padding_layer(cfg: Mapping[str, Any], padding: int | tuple[int, int]) -> Callable[[Array], Array]:
    """A function that pads maps (N, H, W, C): ``type`` "zero", "reflect", "replicate" or "circular".

    Raises:
        FkitError: another type.

    Example:
        >>> build_padding_layer({"type": "zero"}, 2)(jax.numpy.ones((1, 2, 2, 1))).shape
        (1, 6, 6, 1)
    """
    kind, options = kind_and_options(cfg, "padding config")
    if options:
        raise FkitTypeError(f"padding config: {kind} takes no argument {next(iter(options))!r}.")
    kinds = ("zero", "reflect", "replicate", "circular")
    if kind not in kinds:
        raise FkitValueError(f"padding config: type={kind!r} is unknown.", value=kind, choices=kinds)
    return partial(padded, kind=kind, padding=padding)


def build_upsample_layer(cfg: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """What enlarges maps (N, H, W, C): ``type`` "nearest" or "bilinear" (a function), or "deconv" (a module).

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_upsample_layer({"type": "nearest", "scale_factor": 2})(jax.numpy.ones((1, 2, 2, 1))).shape
        (1, 4, 4, 1)
    """
    kind, options = kind_and_options(cfg, "upsample_cfg")
    if kind in ("deconv", "ConvTranspose2d", "deconv3d", "ConvTranspose3d"):
        return _made(conv_layer(cfg), "upsample_cfg", args, kwargs)
    if kind not in ("nearest", "bilinear"):
        raise FkitValueError(
            f"upsample_cfg.type={kind!r} is unknown.", value=kind, choices=("nearest", "bilinear", "deconv")
        )
    known = ("size", "scale_factor", "align_corners")
    options = {**kwargs, **options}
    for name in options:
        if name not in known:
            raise FkitTypeError(f"upsample_cfg: {kind} takes no argument {name!r}.", value=name, choices=known)
    return partial(interpolate, mode=kind, **options)


def build_plugin_layer(cfg: Mapping[str, Any], postfix: int | str = "", **kwargs: Any) -> tuple[str, nn.Module]:
    """A block inside of a network, which bears the name that it has there; ``type`` may be a class of one's own.

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
    name = f"{short}{postfix}"
    return name, _made(layer, "plugin", (), {**kwargs, **options, "name": name})


def build_dropout(cfg: Mapping[str, Any]) -> Any:
    """Dropout by ``type`` "Dropout" or "DropPath", with ``drop_prob``; its draws are the run's own.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> build_dropout({"type": "DropPath", "drop_prob": 0.2}).rate
        0.2
    """
    kind_and_options(cfg, "dropout config")
    return drop_layer(cfg)(None)


def is_norm(layer: Any, exclude: type | tuple[type, ...] | None = None) -> bool:
    """Whether a layer is a batch, instance, group or layer norm, but none of the classes in ``exclude``.

    Raises:
        FkitTypeError: ``exclude`` is no class.

    Example:
        >>> is_norm(nn.LayerNorm()), is_norm(nn.LayerNorm(), exclude=nn.LayerNorm)
        (True, False)
    """
    without: tuple[Any, ...] = exclude if isinstance(exclude, tuple) else () if exclude is None else (exclude,)
    if not all(isinstance(one, type) for one in without):
        raise FkitTypeError(f"is_norm: exclude={exclude!r:.80}: a class, or a tuple of classes.")
    return kind_of(layer) == "norm" and not isinstance(layer, without)


def _made(layer: Any, where: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    try:
        return layer(*args, **options)
    except TypeError as cause:
        raise FkitTypeError(f"{where}: {cause}.") from cause
