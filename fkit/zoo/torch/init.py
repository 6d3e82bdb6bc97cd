"""mmcv's initialisers for layers of one's own modules: ``from fkit.zoo.torch.init import kaiming_init``.

Each gives a layer its values at once, drawn from torch's generator, and leaves a rule with it (``start_cfg``), by which a
run draws them anew from its own key: so a model starts alike on every machine, and on JAX by the same rules in ``init_cfg``.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from fkit.training.rule import one_rule
from fkit.tree.check import expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "bias_init_with_prob",
    "caffe2_xavier_init",
    "constant_init",
    "kaiming_init",
    "normal_init",
    "trunc_normal_init",
    "uniform_init",
    "xavier_init",
]


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """``weight`` and ``bias`` of a layer, where it has them, to constants.

    Raises:
        FkitError: it is no module, or these are no numbers.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> constant_init(layer, 3)
        >>> layer.weight.tolist()
        [[3.0, 3.0]]
    """
    _start(module, bias, type="Constant", val=val)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """``weight`` from N(mean, std), ``bias`` to a constant.

    Raises:
        FkitError: it is no module, or these are no numbers.
    """
    _start(module, bias, type="Normal", mean=mean, std=std)


def trunc_normal_init(
    module: nn.Module, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, bias: float = 0
) -> None:
    """``weight`` from N(mean, std) between the values ``a`` and ``b``, ``bias`` to a constant.

    Raises:
        FkitError: it is no module, these are no numbers, or next to nothing lies between ``a`` and ``b``.
    """
    _start(module, bias, type="TruncNormal", mean=mean, std=std, a=a, b=b)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """``weight`` from U(a, b), ``bias`` to a constant.

    Raises:
        FkitError: it is no module, or these are no numbers.
    """
    _start(module, bias, type="Uniform", a=a, b=b)


def xavier_init(module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = "normal") -> None:
    """``weight`` by its fans (Glorot and Bengio 2010), "normal" or "uniform"; ``bias`` to a constant.

    Raises:
        FkitError: it is no module, a weight has fewer than two axes, or an argument is none.
    """
    _start(module, bias, type="Xavier", gain=gain, distribution=distribution)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: str = "normal",
) -> None:
    """``weight`` by one of its fans (He et al. 2015), "normal" or "uniform"; ``bias`` to a constant.

    Raises:
        FkitError: it is no module, a weight has fewer than two axes, or an argument is none.
    """
    _start(module, bias, type="Kaiming", a=a, mode=mode, nonlinearity=nonlinearity, distribution=distribution)


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """``weight`` as Caffe2's XavierFill: uniform, by its fan in; ``bias`` to a constant.

    Raises:
        FkitError: it is no module, or a weight has fewer than two axes.
    """
    _start(module, bias, type="Caffe2Xavier")


def bias_init_with_prob(prior_prob: float) -> float:
    """The bias whose sigmoid is a probability (Lin et al. 2017, section 4.1).

    Raises:
        FkitError: it does not lie between 0 and 1.

    Example:
        >>> round(bias_init_with_prob(0.01), 4)
        -4.5951
    """
    expect_number(prior_prob, "bias_init_with_prob: prior_prob")
    if not 0 < prior_prob < 1:
        raise FkitValueError(f"bias_init_with_prob: prior_prob={prior_prob}, but it lies between 0 and 1.")
    return -math.log((1 - prior_prob) / prior_prob)


def _start(module: Any, bias: float, **spec: Any) -> None:
    if not isinstance(module, nn.Module):
        raise FkitTypeError(f"an initialiser takes a torch module, found {type(module).__name__}.")
    for name, value in (("bias", bias), *spec.items()):
        if name not in ("type", "mode", "nonlinearity", "distribution"):
            expect_number(value, f"{spec['type']}: {name}")
    spec = {**spec, "bias": bias, "layer": getattr(module, "torch_class", type(module).__name__)}
    rule = one_rule(spec)
    rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
    for leaf in ("weight", "bias"):
        tensor = getattr(module, leaf, None)
        if isinstance(tensor, torch.Tensor):
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(rule.draw(leaf, tuple(tensor.shape), rng)))  # pyright: ignore[reportUnknownMemberType]
    module.__dict__["start_cfg"] = (*(getattr(module, "start_cfg", None) or ()), spec)
