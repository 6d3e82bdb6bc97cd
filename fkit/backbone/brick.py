"""What mmcv's bricks are on both backends: what their arguments may be, and how their layers start."""

import re
from collections.abc import Mapping
from typing import Any

from frozendict import frozendict

from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = [
    "ORDER",
    "RELU",
    "axes_of",
    "check_fusion",
    "check_mode",
    "check_order",
    "context_start",
    "deformed_start",
    "dropout_of",
    "kaiming",
    "kind_and_options",
    "nonlocal_start",
    "path_drop",
    "snake",
]

ORDER = ("conv", "norm", "act")
RELU = frozendict(type="ReLU")
_OWN = ("DCN", "DCNv2")  # convolutions that draw their own weights


def check_order(order: Any) -> tuple[str, ...]:
    """The order of a convolution, its norm and its activation.

    Raises:
        FkitValueError: it is no order of these three.

    Example:
        >>> check_order(["act", "conv", "norm"])
        ('act', 'conv', 'norm')
    """
    if not isinstance(order, (list, tuple)) or sorted(map(str, order)) != sorted(ORDER):  # pyright: ignore[reportUnknownArgumentType]
        raise FkitValueError(f"ConvModule: order={order!r:.80}, but it is one of 'conv', 'norm' and 'act'.")
    return tuple(order)  # pyright: ignore[reportUnknownArgumentType]


def kaiming(conv_cfg: Mapping[str, Any] | None, act_cfg: Mapping[str, Any] | None, norm: str | None) -> Any:
    """How mmcv's ConvModule starts: Kaiming (fan out) for the convolution, 1 and 0 for the norm.

    Args:
        norm: its name, if there is one.

    Example:
        >>> rules = kaiming(None, {"type": "LeakyReLU"}, "bn")
        >>> [rule["type"] for rule in rules], rules[0]["a"]
        (['Kaiming', 'Constant'], 0.01)
    """
    rules: list[Any] = []
    if conv_cfg is None or str(conv_cfg.get("type")).rpartition(".")[2] not in _OWN:
        leaky = act_cfg is not None and str(act_cfg.get("type")) == "LeakyReLU"
        slope = float(act_cfg.get("negative_slope", 0.01)) if act_cfg is not None and leaky else 0.0
        rules.append(
            frozendict(
                type="Kaiming", a=slope, nonlinearity="leaky_relu" if leaky else "relu",
                override=frozendict(name="conv"),
            )
        )  # fmt: skip
    if norm is not None:
        rules.append(frozendict(type="Constant", val=1, override=frozendict(name=norm)))
    return tuple(rules) or None


def axes_of(conv_cfg: Mapping[str, Any] | None) -> int:
    """How many axes of positions a convolution has.

    Example:
        >>> axes_of(None), axes_of({"type": "Conv1d"}), axes_of({"type": "deconv3d"})
        (2, 1, 3)
    """
    kind = str((conv_cfg or {}).get("type", "Conv2d"))
    return 3 if kind.endswith("3d") else 1 if kind.endswith("1d") else 2


def check_mode(mode: str) -> str:
    """How a non-local block compares positions.

    Raises:
        FkitValueError: an unknown way.

    Example:
        >>> check_mode("gaussian")
        'gaussian'
    """
    modes = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")
    if mode not in modes:
        raise FkitValueError(f"NonLocal: mode={mode!r}.", value=mode, choices=modes, label="Modes")
    return mode


def nonlocal_start(mode: str, sub_sample: bool, norm: str | None, std: float, zeros: bool) -> Any:
    """How mmcv's non-local blocks start: N(0, std), and 0 for the last layer.

    Args:
        norm: the name of that layer's norm, if it has one.

    Example:
        >>> [(rule["type"], rule["override"]["name"]) for rule in nonlocal_start("gaussian", False, "bn", 0.01, True)]
        [('Normal', 'g.conv'), ('Constant', 'conv_out.bn')]
    """
    at = ".0" if sub_sample else ""
    names = (f"g{at}.conv",) if mode == "gaussian" else (f"g{at}.conv", "theta.conv", f"phi{at}.conv")
    last = frozendict(name=f"conv_out.{norm or 'conv'}")
    return (
        *(frozendict(type="Normal", std=std, override=frozendict(name=name)) for name in names),
        frozendict(type="Constant", val=0, override=last)
        if zeros
        else frozendict(type="Normal", std=std, override=last),
    )


def check_fusion(pooling: str, fusions: Any) -> None:
    """What a context block is made of.

    Raises:
        FkitValueError: an unknown pooling, or fusion, or none.
    """
    if pooling not in ("att", "avg"):
        raise FkitValueError(f"ContextBlock: pooling_type={pooling!r}.", value=str(pooling), choices=("att", "avg"))
    known = ("channel_add", "channel_mul")
    if not isinstance(fusions, (list, tuple)) or not fusions or not all(one in known for one in fusions):  # pyright: ignore[reportUnknownVariableType]
        raise FkitValueError(f"ContextBlock: fusion_types={fusions!r:.80}.", choices=known, label="Fusions")


def context_start(pooling: str, fusions: tuple[str, ...]) -> Any:
    """How mmcv's context blocks start: Kaiming (fan in) for the weights of positions, 0 for the last layers.

    Example:
        >>> [rule["override"]["name"] for rule in context_start("att", ("channel_add",))]
        ['conv_mask', 'channel_add_conv.3']
    """
    mask = frozendict(type="Kaiming", mode="fan_in", override=frozendict(name="conv_mask"))
    last = (frozendict(type="Constant", val=0, override=frozendict(name=f"{fusion}_conv.3")) for fusion in fusions)
    return (*((mask,) if pooling == "att" else ()), *last)


def deformed_start(layer: str) -> tuple[Any, ...]:
    """How mmcv's deformable convolutions start: from a kernel as it finds it, with offsets of zero.

    Args:
        layer: its class. The second version (ModulatedDeformConv2dPack) draws the kernel from U(-b, b), b = 1 / sqrt(fan_in),
            the first with sqrt(6) in place of 1.
    """
    gain = frozendict(a=5**0.5, nonlinearity="leaky_relu") if layer.startswith("Modulated") else frozendict(a=0)
    kernel = frozendict(type="Kaiming", mode="fan_in", distribution="uniform", layer=layer, **gain)
    return kernel, frozendict(type="Constant", val=0, override=frozendict(name="conv_offset"))


def kind_and_options(cfg: Any, what: str) -> tuple[str, dict[str, Any]]:
    """A layer's type by its config, without a scope, and its own arguments.

    Raises:
        FkitError: it is no config of a layer.

    Example:
        >>> kind_and_options({"type": "mmcv.ReLU", "inplace": True}, "act_cfg")
        ('ReLU', {'inplace': True})
    """
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"{what} must be a dict, found {type(cfg).__name__}.")
    options: dict[str, Any] = dict(cfg)  # pyright: ignore[reportUnknownArgumentType]
    kind = options.pop("type", None)
    if not isinstance(kind, str):
        raise FkitKeyError(f"{what} needs 'type', the name of a layer.")
    return kind.rpartition(".")[2], options


def dropout_of(cfg: Any) -> tuple[str, tuple[float, ...]]:
    """The sort of a dropout by its config, "Dropout" or "DropPath", and its rate where the config has one.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> dropout_of({"type": "DropPath", "drop_prob": 0.2})
        ('DropPath', (0.2,))
    """
    kind, options = kind_and_options(cfg, "dropout config")
    kinds = ("Dropout", "DropPath")
    if kind not in kinds:
        raise FkitValueError(f"dropout config: type={kind!r} is unknown.", value=kind, choices=kinds)
    options.pop("inplace", None)
    rates = tuple(options.pop(name) for name in ("drop_prob", "p") if name in options)
    if options or len(rates) > 1:
        raise FkitTypeError(f"dropout config: {kind} takes 'drop_prob', found {sorted(cfg)}.")
    return kind, rates


def path_drop(rate: float) -> Mapping[str, Any]:
    """The config of stochastic depth.

    Example:
        >>> dict(path_drop(0.1))
        {'type': 'DropPath', 'drop_prob': 0.1}
    """
    return frozendict(type="DropPath", drop_prob=rate)


def snake(name: str) -> str:
    """A class's name in lower case, its words parted by ``_``.

    Example:
        >>> snake("FancyBlock")
        'fancy_block'
    """
    return re.sub(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
