"""Norms and convolutions by OpenMMLab's config."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.conv import Conv2dAdaptivePadding, ConvAWS2d, ConvWS2d
from fkit.backend.torch.deform import DeformConv2dPack, ModulatedDeformConv2dPack
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["LayerNorm2d", "conv_layer", "norm_layer"]


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of maps (N, C, H, W).

    Example:
        >>> LayerNorm2d(4).normalized_shape
        (4,)
    """

    torch_class: ClassVar[str] = "LayerNorm"

    def __init__(self, num_channels: int, **options: Any) -> None:
        super().__init__(num_channels, **options)

    def forward(self, input: Tensor) -> Tensor:
        channels_last = input.permute(0, 2, 3, 1)
        return F.layer_norm(channels_last, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


# config name -> (the layer's short name in a state_dict, the layer)
_NORMS: Final[Mapping[str, tuple[str, Any]]] = frozendict(
    BN=("bn", nn.BatchNorm2d),
    BN1d=("bn", nn.BatchNorm1d),
    BN2d=("bn", nn.BatchNorm2d),
    BN3d=("bn", nn.BatchNorm3d),
    SyncBN=("bn", nn.SyncBatchNorm),
    MMSyncBN=("bn", nn.SyncBatchNorm),
    GN=("gn", nn.GroupNorm),
    LN=("ln", nn.LayerNorm),
    LN2d=("ln", LayerNorm2d),
    IN=("in", nn.InstanceNorm2d),
    IN1d=("in", nn.InstanceNorm1d),
    IN2d=("in", nn.InstanceNorm2d),
    IN3d=("in", nn.InstanceNorm3d),
)
_CONVS: Final[Mapping[str, Callable[..., nn.Module]]] = frozendict(
    Conv1d=nn.Conv1d,
    Conv2d=nn.Conv2d,
    Conv3d=nn.Conv3d,
    Conv=nn.Conv2d,
    ConvWS=ConvWS2d,
    ConvAWS=ConvAWS2d,
    Conv2dAdaptivePadding=Conv2dAdaptivePadding,
    ConvTranspose2d=nn.ConvTranspose2d,
    deconv=nn.ConvTranspose2d,
    ConvTranspose3d=nn.ConvTranspose3d,
    deconv3d=nn.ConvTranspose3d,
    DCN=DeformConv2dPack,
    DCNv2=ModulatedDeformConv2dPack,
)


def norm_layer(cfg: Mapping[str, Any] | None, channels: int) -> tuple[str, nn.Module]:
    """A norm layer and its short name, as mmcv's ``build_norm_layer``.

    Args:
        cfg: ``type`` ("BN", "SyncBN", "GN", "LN", "IN", ...), ``requires_grad``, and the layer's own arguments
            (``eps``, ``momentum``, ``num_groups``). SyncBN is batch norm in a run of one process.
        channels: C.

    Raises:
        FkitError: the type is unknown, or an argument is unknown or missing.

    Example:
        >>> norm_layer({"type": "GN", "num_groups": 2}, 8)  # doctest: +ELLIPSIS
        ('gn', GroupNorm(2, 8, eps=1e-05, affine=True...))
    """
    options = dict(cfg or {"type": "BN"})
    kind = str(options.pop("type", "BN")).rpartition(".")[2]
    trainable = bool(options.pop("requires_grad", True))
    if kind not in _NORMS:
        raise FkitValueError(f"norm_cfg.type={kind!r} is unknown.", value=kind, choices=_NORMS, label="Norms")
    if kind == "GN" and "num_groups" not in options:
        raise FkitTypeError("norm_cfg: GN needs 'num_groups'.", repair="norm_cfg=dict(type='GN', num_groups=32)")
    short, layer_class = _NORMS[kind]
    options.setdefault("eps", 1e-5)
    try:
        layer = layer_class(num_channels=channels, **options) if kind == "GN" else layer_class(channels, **options)  # pyright: ignore[reportCallIssue]
    except TypeError as cause:
        raise FkitTypeError(f"norm_cfg: {cause}.") from cause
    for parameter in layer.parameters():
        parameter.requires_grad_(trainable)
    return short, layer


def conv_layer(cfg: Mapping[str, Any] | None, *args: Any, **kwargs: Any) -> nn.Module:
    """A convolution by mmcv's ``conv_cfg``: None is ``dict(type="Conv2d")``; it may hold arguments of the layer.

    Raises:
        FkitError: the type is unknown, or an argument.
    """
    options = dict(cfg or {"type": "Conv2d"})
    kind = str(options.pop("type", "Conv2d")).rpartition(".")[2]
    if kind not in _CONVS:
        raise FkitValueError(f"conv_cfg.type={kind!r} is not supported.", value=kind, choices=_CONVS, label="Layers")
    try:
        return _CONVS[kind](*args, **kwargs, **options)
    except TypeError as cause:
        raise FkitTypeError(f"conv_cfg: {cause}.") from cause
