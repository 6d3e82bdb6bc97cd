"""Layers that stand inside of residual blocks, by config."""

from collections.abc import Mapping
from typing import Any, Final

from flax import linen as nn
from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.general_attention import GeneralizedAttention
from fkit.zoo.flax.plugin import ContextBlock, NonLocal2d
from fkit.zoo.flax.squeeze import SELayer

__all__ = ["PLUGINS", "plugin_layer", "plugin_name"]

# config name -> the layer's short name in a state_dict, and the layer
PLUGINS: Final[Mapping[str, tuple[str, Any]]] = frozendict(
    ContextBlock=("context_block", ContextBlock),
    ConvModule=("conv_block", ConvModule),
    GeneralizedAttention=("gen_attention_block", GeneralizedAttention),
    NonLocal2d=("nonlocal_block", NonLocal2d),
    SELayer=("se_layer", SELayer),
)


def plugin_name(cfg: Mapping[str, Any], postfix: Any = "") -> str:
    """A plugin's name.

    Raises:
        FkitValueError: another type.

    Example:
        >>> plugin_name({"type": "ContextBlock", "ratio": 0.25}, 1)
        'context_block1'
    """
    return f"{_known(cfg)[0]}{postfix}"


def plugin_layer(
    cfg: Mapping[str, Any], channels: int, postfix: Any = "", frozen: bool = False, name: str | None = None
) -> nn.Module:
    """A plugin, as mmcv's ``build_plugin_layer`` makes it.

    Args:
        cfg: ``type`` ("ContextBlock", "ConvModule", "GeneralizedAttention", "NonLocal2d", "SELayer") and the layer's arguments.
        channels: of the maps it gets.
        postfix: what its name ends in.
        frozen: no gradient.
        name: in place of that name.

    Raises:
        FkitError: another type, or an argument that the layer does not take.
    """
    layer = _known(cfg)[1]
    options: dict[str, Any] = {"in_channels": channels, **cfg}
    kind = options.pop("type")
    if frozen:
        if "frozen" not in layer.__dataclass_fields__:
            raise FkitValueError(f"plugins: {kind} in a frozen stage is not supported.", repair="Leave that stage out.")
        options["frozen"] = True
    try:
        return layer(**options, name=name or plugin_name(cfg, postfix))
    except TypeError as cause:
        raise FkitTypeError(f"plugins: {kind}: {cause}.") from cause


def _known(cfg: Mapping[str, Any]) -> tuple[str, Any]:
    kind = str(cfg.get("type", "")).rpartition(".")[2]
    if kind not in PLUGINS:
        raise FkitValueError(f"plugins: cfg.type={kind!r} is unknown.", value=kind, choices=PLUGINS, label="Plugins")
    return PLUGINS[kind]
