"""Layers that torch.nn lacks, and layers by OpenMMLab's config: dropout of the run's own bits, norms, convolutions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.array.random import keep
from fkit.backend.torch.ops import Torch
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Dropout", "conv_layer", "norm_layer"]

# config name -> the layer's short name in a state_dict
_NORMS = (
    ("BN", "bn"),
    ("BN1d", "bn"),
    ("BN2d", "bn"),
    ("BN3d", "bn"),
    ("SyncBN", "bn"),
    ("GN", "gn"),
)
_BLOCK = 1 << 15  # elements
_CONVS = ("Conv1d", "Conv2d", "Conv3d", "Conv")


class Dropout(nn.Module):
    """Element-wise dropout whose mask is decided by a key and each element's place: equal on every backend.

    The key is an argument of the step: the engine puts this layer's own, ``fold(step key, tag(path))``, into the
    buffer ``key``, which is no part of the state. Called outside an engine, the key is (0, 0).

    Args:
        rate: the share of elements that become 0; what is kept is scaled by ``1 / (1 - rate)``.

    Attributes:
        masks: "counter", or "backend" for torch's own generator (the engine sets what the spec says).
    """

    key: Tensor

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise FkitValueError(f"a dropout rate lies in [0, 1), found {rate}.")
        self.rate = rate
        self.masks = "counter"
        self.register_buffer("key", torch.zeros(2, dtype=torch.int32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if self.masks == "backend":
            return F.dropout(x, self.rate, True)
        return x * (self._kept(x) * (1.0 / (1.0 - self.rate)))

    def _kept(self, x: Tensor) -> Tensor:
        """1 where an element is kept, else 0."""
        xp, key, count = Torch(x.device), (self.key[0], self.key[1]), x.numel()
        if count <= _BLOCK or x.device.type != "cpu" or torch.compiler.is_compiling():
            return keep(xp, xp.words(0, x.shape), key, self.rate).to(x.dtype)
        # a block at a time: the mixer's many passes then stay in the processor's cache, which takes half the time
        mask = torch.empty(count, dtype=x.dtype)
        for start in range(0, count, _BLOCK):
            size = min(_BLOCK, count - start)
            mask[start : start + size] = keep(xp, xp.words(start, (size,)), key, self.rate)
        return mask.view(x.shape)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def norm_layer(cfg: Mapping[str, Any] | None, channels: int) -> tuple[str, nn.Module]:
    """A norm layer and its short name, as mmcv's ``build_norm_layer``.

    Args:
        cfg: ``type`` ("BN", "SyncBN", "GN", "BN1d", ...), ``requires_grad``, and the layer's own arguments
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
