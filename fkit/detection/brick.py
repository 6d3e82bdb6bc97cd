"""What mmcv's ConvModule is on both backends: the order of its layers, and their initial weights."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict

from fkit.tree.error import FkitValueError

__all__ = ["ORDER", "RELU", "check_order", "kaiming"]

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
