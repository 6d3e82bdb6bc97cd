"""Layers that stand inside of residual blocks, by config."""

from collections.abc import Mapping
from typing import Any, Final

from frozendict import frozendict
from torch import nn

from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.general_attention import GeneralizedAttention
from fkit.zoo.torch.plugin import ContextBlock, NonLocal2d
from fkit.zoo.torch.squeeze import SELayer

__all__ = ["PLUGINS", "plugin_layer"]

# config name -> the layer's short name in a state_dict, and the layer
PLUGINS: Final[Mapping[str, tuple[str, Any]]] = frozendict(
    ContextBlock=("context_block", ContextBlock),
    ConvModule=("conv_block", ConvModule),
    GeneralizedAttention=("gen_attention_block", GeneralizedAttention),
    NonLocal2d=("nonlocal_block", NonLocal2d),
    SELayer=("se_layer", SELayer),
)


def plugin_layer(cfg: Mapping[str, Any], channels: int, postfix: Any = "") -> tuple[str, nn.Module]:
    """A plugin's name and the layer, as mmcv's ``build_plugin_layer``.

    Args:
        cfg: ``type`` ("ContextBlock", "ConvModule", "GeneralizedAttention", "NonLocal2d", "SELayer") and the layer's arguments.
        channels: of the maps it gets.
        postfix: what its name ends in.

    Raises:
        FkitError: another type, or an argument that the layer does not take.

    Example:
        >>> plugin_layer({"type": "ContextBlock", "ratio": 0.25}, 8, 1)[0]
        'context_block1'
    """
    options: dict[str, Any] = {"in_channels": channels, **cfg}
    kind = str(options.pop("type", "")).rpartition(".")[2]
    if kind not in PLUGINS:
        raise FkitValueError(f"plugins: cfg.type={kind!r} is unknown.", value=kind, choices=PLUGINS, label="Plugins")
    short, layer = PLUGINS[kind]
    try:
        return f"{short}{postfix}", layer(**options)
    except TypeError as cause:
        raise FkitTypeError(f"plugins: {kind}: {cause}.") from cause
