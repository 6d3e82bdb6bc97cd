"""Activations by OpenMMLab's config."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Clamp", "HSigmoid", "Swish", "act_layer"]


class Clamp(nn.Module):
    """Values below ``min`` become it, and those above ``max`` that.

    Example:
        >>> Clamp()(torch.tensor([-2.0, 0.5, 2.0])).tolist()
        [-1.0, 0.5, 1.0]
    """

    def __init__(self, min: float = -1.0, max: float = 1.0) -> None:
        super().__init__()
        self.min = min
        self.max = max

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.min, self.max)


class HSigmoid(nn.Module):
    """``(x + bias) / divisor``, kept between ``min_value`` and ``max_value`` (Howard et al. 2019).

    Example:
        >>> HSigmoid()(torch.tensor([-3.0, 0.0, 5.0])).tolist()
        [0.0, 0.5, 1.0]
    """

    def __init__(self, bias: float = 3.0, divisor: float = 6.0, min_value: float = 0.0, max_value: float = 1.0) -> None:
        super().__init__()
        if divisor == 0:
            raise FkitValueError("HSigmoid: divisor=0.")
        self.bias, self.divisor = bias, divisor
        self.min_value, self.max_value = min_value, max_value

    def forward(self, x: Tensor) -> Tensor:
        return ((x + self.bias) / self.divisor).clamp(self.min_value, self.max_value)


class Swish(nn.Module):
    """``x * sigmoid(x)`` (Ramachandran et al. 2017).

    Example:
        >>> Swish()(torch.zeros(2)).tolist()
        [0.0, 0.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


_ACTS: Final[Mapping[str, Callable[..., nn.Module]]] = frozendict(
    ReLU=nn.ReLU,
    LeakyReLU=nn.LeakyReLU,
    PReLU=nn.PReLU,
    ReLU6=nn.ReLU6,
    ELU=nn.ELU,
    Sigmoid=nn.Sigmoid,
    Tanh=nn.Tanh,
    SiLU=nn.SiLU,
    GELU=nn.GELU,
    Mish=nn.Mish,
    Clamp=Clamp,
    Clip=Clamp,
    HSigmoid=HSigmoid,
    HSwish=nn.Hardswish,
    Swish=Swish,
)
_INPLACE = ("ReLU", "LeakyReLU", "ReLU6", "ELU", "SiLU", "Mish", "HSwish")


def act_layer(cfg: Mapping[str, Any], inplace: bool = False) -> nn.Module:
    """An activation, as mmcv's ``build_activation_layer``.

    Args:
        cfg: ``type`` ("ReLU", "LeakyReLU", "SiLU", "HSwish", ...) and its own arguments.
        inplace: what ``inplace`` is where ``cfg`` does not say, for those that have it.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> act_layer({"type": "LeakyReLU", "negative_slope": 0.1})
        LeakyReLU(negative_slope=0.1)
    """
    options = dict(cfg)
    kind = str(options.pop("type", "")).rpartition(".")[2]
    if kind not in _ACTS:
        raise FkitValueError(f"act_cfg.type={kind!r} is unknown.", value=kind, choices=_ACTS, label="Activations")
    asked = options.pop("inplace", inplace)
    if kind in _INPLACE:
        options["inplace"] = asked
    try:
        return _ACTS[kind](**options)
    except TypeError as cause:
        raise FkitTypeError(f"act_cfg: {cause}.") from cause
