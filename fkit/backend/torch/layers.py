"""Norms and convolutions by OpenMMLab's config."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["conv_layer", "norm_layer"]

# config name -> the layer's short name in a state_dict
_NORMS = (
    ("BN", "bn"),
    ("BN1d", "bn"),
    ("BN2d", "bn"),
    ("BN3d", "bn"),
    ("SyncBN", "bn"),
    ("GN", "gn"),
    ("LN", "ln"),
)
_CONVS = ("Conv1d", "Conv2d", "Conv3d", "Conv")


def norm_layer(cfg: Mapping[str, Any] | None, channels: int) -> tuple[str, nn.Module]:
    """A norm layer and its short name, as mmcv's ``build_norm_layer``.

    Args:
        cfg: ``type`` ("BN", "SyncBN", "GN", "LN", "BN1d", ...), ``requires_grad``, and the layer's own arguments
            (``eps``, ``momentum``, ``num_groups``). SyncBN is batch norm in a run of one process.
        channels: C.

    Raises:
        FkitError: the type is unknown, or an argument is unknown or missing.

    Example:
        >>> norm_layer({"type": "GN", "num_groups": 2}, 8)  # doctest: +ELLIPSIS
        ('gn', GroupNorm(2, 8, eps=1e-05, affine=True...))
    """
    options = dict(cfg or {"type": "BN"})
    kind = str(options.pop("type", "BN"))
    trainable = bool(options.pop("requires_grad", True))
    names = dict(_NORMS)
    if kind not in names:
        raise FkitValueError(f"norm_cfg.type={kind!r} is unknown.", value=kind, choices=names, label="Norms")
    if kind == "GN" and "num_groups" not in options:
        raise FkitTypeError("norm_cfg: GN needs 'num_groups'.", repair="norm_cfg=dict(type='GN', num_groups=32)")
    layer_class = {
        "BN": nn.BatchNorm2d,
        "BN1d": nn.BatchNorm1d,
        "BN2d": nn.BatchNorm2d,
        "BN3d": nn.BatchNorm3d,
        "SyncBN": nn.SyncBatchNorm,
        "GN": nn.GroupNorm,
        "LN": nn.LayerNorm,
    }[kind]
    try:
        layer = layer_class(num_channels=channels, **options) if kind == "GN" else layer_class(channels, **options)  # pyright: ignore[reportCallIssue]
    except TypeError as cause:
        raise FkitTypeError(f"norm_cfg: {cause}.") from cause
    for parameter in layer.parameters():
        parameter.requires_grad_(trainable)
    return names[kind], layer


def conv_layer(cfg: Mapping[str, Any] | None, *args: Any, **kwargs: Any) -> nn.Module:
    """A convolution by mmcv's ``conv_cfg``: None or ``dict(type="Conv2d")``.

    Raises:
        FkitValueError: another type.
    """
    options = dict(cfg or {"type": "Conv2d"})
    kind = str(options.pop("type", "Conv2d"))
    if kind not in _CONVS:
        raise FkitValueError(f"conv_cfg.type={kind!r} is not supported.", value=kind, choices=_CONVS, label="Layers")
    layer_class = {"Conv1d": nn.Conv1d, "Conv3d": nn.Conv3d}.get(kind, nn.Conv2d)
    return layer_class(*args, **kwargs, **options)
