"""``init_cfg``: mmengine's rules for initial weights, as values that draw with numpy."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.training.inventory import Inventory
from fkit.training.pretrained import is_pretrained
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Rule", "fans", "one_rule", "rules"]

Array = NDArray[Any]

# layer -> the direct base class that a rule's ``layer`` may name as well
_FAMILY: Mapping[str, str] = frozendict(
    Conv1d="_ConvNd",
    Conv2d="_ConvNd",
    Conv3d="_ConvNd",
    ConvTranspose1d="_ConvTransposeNd",
    ConvTranspose2d="_ConvTransposeNd",
    ConvTranspose3d="_ConvTransposeNd",
    BatchNorm1d="_BatchNorm",
    BatchNorm2d="_BatchNorm",
    BatchNorm3d="_BatchNorm",
    SyncBatchNorm="_BatchNorm",
    ConvWS2d="Conv2d",
    ConvAWS2d="Conv2d",
    Conv2dAdaptivePadding="Conv2d",
    InstanceNorm1d="_InstanceNorm",
    InstanceNorm2d="_InstanceNorm",
    InstanceNorm3d="_InstanceNorm",
)

# initialiser -> its arguments and defaults beside ``bias``, ``bias_prob``, ``layer`` and ``override``
_LAWS: Mapping[str, Mapping[str, Any]] = frozendict(
    Constant=frozendict(val=None),
    Normal=frozendict(mean=0.0, std=1.0),
    TruncNormal=frozendict(mean=0.0, std=1.0, a=-2.0, b=2.0),
    Uniform=frozendict(a=0.0, b=1.0),
    Xavier=frozendict(gain=1.0, distribution="normal"),
    Kaiming=frozendict(a=0.0, mode="fan_out", nonlinearity="relu", distribution="normal"),
    Caffe2Xavier=frozendict(a=1.0, mode="fan_in", nonlinearity="leaky_relu", distribution="uniform"),
)
_SHARED = ("bias", "bias_prob", "layer", "override")


@dataclass(frozen=True)
class Rule:
    """One initialiser on the modules it is for.

    Attributes:
        type: "Constant", "Normal", "TruncNormal", "Uniform", "Xavier", "Kaiming", "Caffe2Xavier".
        options: its arguments, defaults filled in.
        bias: the value of biases, or one each; None leaves them to another rule, or to their layer.
        path: the module path it holds under; "" is the whole model.
        layers: classes, or their direct base classes, that it is for; () is every layer under ``path``.
    """

    type: str
    options: Mapping[str, Any]
    bias: float | tuple[float, ...] | None
    path: str
    layers: tuple[str, ...]

    def matches(self, path: str, layer: str) -> bool:
        """Whether the rule is for the layer of class ``layer`` at module ``path``."""
        if self.path and path != self.path and not path.startswith(self.path + "."):
            return False
        return not self.layers or layer in self.layers or _FAMILY.get(layer, "") in self.layers

    def draw(self, leaf: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Values for a layer's "weight" or "bias", float64.

        Raises:
            FkitValueError: Xavier and Kaiming on a weight with fewer than two axes.
        """
        return np.full(shape, 0.0 if self.bias is None else self.bias) if leaf == "bias" else _weight(self, shape, rng)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out of a weight in torch's layout, as ``torch.nn.init`` counts them.

    Example:
        >>> fans((8, 4, 3, 3))
        (36, 72)
    """
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def rules(inventory: Inventory) -> tuple[Rule, ...]:
    """All rules of a model in the order they are applied: a later one goes over an earlier one.

    Raises:
        FkitError: an unknown initialiser or argument, or an ``override`` of a module that is not there.
    """
    paths = {part for entry in inventory.entries for part in (entry.name, entry.name.rpartition(".")[0])}
    entries: list[Rule] = []
    for path, spec in inventory.rules:
        for one in _several(spec):
            if not is_pretrained(one):  # applied last (`fkit.training.pretrained`)
                entries += _parse(path, one, paths)
    return tuple(entries)


def one_rule(spec: Mapping[str, Any]) -> Rule:
    """The rule of one ``init_cfg`` without ``override``, for the layer that it stands with.

    Raises:
        FkitError: an unknown initialiser or argument.

    Example:
        >>> one_rule({"type": "Constant", "val": 1}).type
        'Constant'
    """
    options = dict(spec)
    layer = options.pop("layer", ())
    return _rule("init_cfg", "", options, (layer,) if isinstance(layer, str) else tuple(layer))


def _parse(path: str, spec: Any, paths: set[str]) -> list[Rule]:
    where = f"init_cfg of {path or 'the model'}"
    if not isinstance(spec, Mapping):
        raise FkitTypeError(f"{where} must be a dict or a list of dicts, found {type(spec).__name__}.")
    options: dict[str, Any] = dict(spec)  # pyright: ignore[reportUnknownArgumentType]
    overrides = options.pop("override", None)
    layer = options.pop("layer", None)
    layers = (layer,) if isinstance(layer, str) else tuple(layer or ())
    first = _rule(where, path, options, layers)
    # as in mmengine: without `layer`, only what `override` names is set
    entries = [first] if layers else []
    for override in _several(overrides):
        settings: dict[str, Any] = dict(override)
        name = settings.pop("name", None)
        if not isinstance(name, str):
            raise FkitValueError(f"{where}: an override needs 'name', the name of a module.")
        target = f"{path}.{name}" if path else name
        if not any(known == target or known.startswith(target + ".") for known in paths):
            prefix = f"{path}." if path else ""
            children = sorted({known[len(prefix) :].split(".")[0] for known in paths if known.startswith(prefix)})
            raise FkitValueError(
                f"{where}: override of {name!r}, but no such module has parameters.",
                value=name,
                choices=[child for child in children if child],
                label="Modules",
            )
        if settings and "type" not in settings:
            raise FkitValueError(f"{where}: the override of {name!r} needs 'type' beside its other arguments.")
        entries.append(_rule(where, target, settings or options, ()))
    return entries


def _several(spec: Any) -> list[Any]:
    return [spec] if isinstance(spec, Mapping) else list(spec or ())


def _rule(where: str, path: str, spec: Mapping[str, Any], layers: tuple[str, ...]) -> Rule:
    options = dict(spec)
    name = str(options.pop("type", ""))
    short = name.rpartition(".")[2].removesuffix("Init")
    if short == "Pretrained":
        raise FkitValueError(
            f"{where}: an override cannot be of type 'Pretrained'.", repair="Let the module itself have that init_cfg."
        )
    if short not in _LAWS:
        raise FkitKeyError(
            f"{where}: type={name!r} is no initialiser.", value=short, choices=_LAWS, label="Initialisers"
        )
    bias, prob = options.pop("bias", 0.0), options.pop("bias_prob", None)
    for key in options:
        if key not in _LAWS[short]:
            allowed = (*_LAWS[short], *_SHARED)
            raise FkitTypeError(
                f"{where}: {short} takes no argument {key!r}.", value=key, choices=allowed, label="Arguments"
            )
    options = {**_LAWS[short], **options}
    if short == "Constant" and options["val"] is None:
        raise FkitTypeError(f"{where}: Constant needs 'val'.")
    for key, allowed in (("distribution", ("normal", "uniform")), ("mode", ("fan_in", "fan_out"))):
        if key in options and options[key] not in allowed:
            raise FkitValueError(f"{where}: {key}={options[key]!r}.", value=str(options[key]), choices=allowed)
    # the bias whose sigmoid is `bias_prob` (focal loss, Lin et al. 2017, section 4.1)
    if prob is not None:
        bias = -math.log((1 - prob) / prob)
    elif bias is not None:
        bias = tuple(map(float, bias)) if isinstance(bias, (list, tuple)) else float(bias)
    return Rule(short, frozendict[str, Any](options), bias, path, layers)


def _weight(rule: Rule, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    spec = rule.options
    if rule.type == "Constant":
        return np.full(shape, float(spec["val"]))
    if rule.type == "Normal":
        return rng.normal(spec["mean"], spec["std"], shape)
    if rule.type == "Uniform":
        return rng.uniform(spec["a"], spec["b"], shape)
    if rule.type == "TruncNormal":
        return _truncated(rng, spec["mean"], spec["std"], spec["a"], spec["b"], shape)
    if len(shape) < 2:
        raise FkitValueError(
            f"init_cfg: {rule.type} needs a weight of two axes or more, {rule.path!r} has one {shape}."
        )
    fan_in, fan_out = fans(shape)
    if rule.type == "Xavier":  # Glorot and Bengio 2010, equation 16
        std = spec["gain"] * math.sqrt(2.0 / (fan_in + fan_out))
    else:  # He et al. 2015, equation 10
        fan = fan_in if spec["mode"] == "fan_in" else fan_out
        std = _gain(spec["nonlinearity"], spec["a"]) / math.sqrt(fan)
    if spec["distribution"] == "normal":
        return rng.normal(0.0, std, shape)
    bound = math.sqrt(3.0) * std
    return rng.uniform(-bound, bound, shape)


def _gain(nonlinearity: str, slope: float) -> float:
    gains: Mapping[str, Callable[[], float]] = {
        "relu": lambda: math.sqrt(2.0),
        "leaky_relu": lambda: math.sqrt(2.0 / (1.0 + slope**2)),
        "tanh": lambda: 5.0 / 3.0,
        "selu": lambda: 0.75,
        "sigmoid": lambda: 1.0,
        "linear": lambda: 1.0,
    }
    if nonlinearity not in gains:
        raise FkitValueError(f"init_cfg: nonlinearity={nonlinearity!r}.", value=nonlinearity, choices=gains)
    return gains[nonlinearity]()


def _truncated(
    rng: np.random.Generator, mean: float, std: float, low: float, high: float, shape: tuple[int, ...]
) -> Array:
    """N(mean, std) given that it lies in [low, high] (bounds are values, not deviations, as in ``trunc_normal_``)."""
    inside = _normal_cdf((high - mean) / std) - _normal_cdf((low - mean) / std)
    if not inside > 1e-3:
        raise FkitValueError(f"init_cfg: TruncNormal has next to no mass between a={low} and b={high}.")
    values = rng.normal(mean, std, shape)
    outside = (values < low) | (values > high)
    while outside.any():  # drawing again leaves the law of what lies inside as it is
        values[outside] = rng.normal(mean, std, int(outside.sum()))
        outside = (values < low) | (values > high)
    return values


def _normal_cdf(x: float) -> float:
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))
