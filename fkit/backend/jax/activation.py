"""Activations by OpenMMLab's config, with torch's arithmetic."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["PReLU", "act_layer"]

Array = jax.Array


class PReLU(nn.Module):
    """A ReLU that learns its slope below 0, ``weight`` (He et al. 2015): one, or one a channel (the last axis).

    Example:
        >>> PReLU().init_with_output(jax.random.key(0), jnp.array([-4.0, 2.0]))[0].tolist()
        [-1.0, 2.0]
    """

    num_parameters: int = 1
    start: float = 0.25
    torch_class: ClassVar[str] = "PReLU"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        weight = self.param("weight", nn.initializers.constant(self.start), (self.num_parameters,))
        return jnp.where(x > 0, x, weight.astype(x.dtype) * x)


def _leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    return jnp.where(x > 0, x, negative_slope * x)


def _clamp(x: Array, min: float = -1.0, max: float = 1.0) -> Array:
    return jnp.clip(x, min, max)


def _gelu(x: Array, approximate: str = "none") -> Array:
    return nn.gelu(x, approximate=approximate == "tanh")


def _hsigmoid(
    x: Array, bias: float = 3.0, divisor: float = 6.0, min_value: float = 0.0, max_value: float = 1.0
) -> Array:
    return jnp.clip((x + bias) / divisor, min_value, max_value)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return nn.elu(x, alpha)


def _mish(x: Array) -> Array:
    return x * jnp.tanh(nn.softplus(x))


# an activation, and the arguments that it takes
_ACTS: Final[Mapping[str, tuple[Callable[..., Array], tuple[str, ...]]]] = frozendict(
    ReLU=(nn.relu, ()),
    LeakyReLU=(_leaky_relu, ("negative_slope",)),
    PReLU=(nn.relu, ("num_parameters", "init")),
    ReLU6=(nn.relu6, ()),
    ELU=(_elu, ("alpha",)),
    Sigmoid=(nn.sigmoid, ()),
    Tanh=(jnp.tanh, ()),
    SiLU=(nn.silu, ()),
    GELU=(_gelu, ("approximate",)),
    Mish=(_mish, ()),
    Clamp=(_clamp, ("min", "max")),
    Clip=(_clamp, ("min", "max")),
    HSigmoid=(_hsigmoid, ("bias", "divisor", "min_value", "max_value")),
    HSwish=(nn.hard_swish, ()),
    Swish=(nn.silu, ()),
)


def act_layer(cfg: Mapping[str, Any]) -> Callable[..., Callable[[Array], Array]]:
    """The maker of an activation, as mmcv's ``build_activation_layer``: the module's name to a function of arrays.

    Args:
        cfg: ``type`` ("ReLU", "LeakyReLU", "SiLU", "HSwish", ...) and its own arguments; ``inplace`` says nothing here.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> act_layer({"type": "LeakyReLU", "negative_slope": 0.5})("activate")(jnp.array([-1.0, 1.0])).tolist()
        [-0.5, 1.0]
    """
    options = dict(cfg)
    kind = str(options.pop("type", "")).rpartition(".")[2]
    if kind not in _ACTS:
        raise FkitValueError(f"act_cfg.type={kind!r} is unknown.", value=kind, choices=_ACTS, label="Activations")
    options.pop("inplace", None)
    call, known = _ACTS[kind]
    for name in options:
        if name not in known:
            raise FkitTypeError(f"act_cfg: {kind} takes no argument {name!r}.", value=name, choices=known)

    def make(name: str) -> Callable[[Array], Array]:
        if kind == "PReLU":
            return PReLU(options.get("num_parameters", 1), options.get("init", 0.25), name=name)
        return partial(call, **options)

    return make
