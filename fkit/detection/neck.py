"""What necks of both backends share: how they begin, and what their arguments may be."""

from collections.abc import Mapping, Sequence
from typing import Any

from frozendict import frozendict

from fkit.tree.error import FkitValueError

__all__ = ["check_ssd", "dilated_start", "ssd_rules"]

_SSD = (
    frozendict(type="Xavier", distribution="uniform", layer="Conv2d"),
    frozendict(type="Constant", val=1, layer="BatchNorm2d"),
)


def check_ssd(
    maps: Sequence[int], levels: Sequence[int], strides: Sequence[int], paddings: Sequence[int]
) -> tuple[int, ...]:
    """The channels of the last map and of each extra level of SSD's neck.

    Raises:
        FkitValueError: the levels do not go with the maps, the strides or the paddings.

    Example:
        >>> check_ssd((8, 16), (8, 16, 16, 8), (2, 1), (1, 0))
        (16, 16, 8)
    """
    count = len(levels) - len(maps)
    if count < 1 or tuple(levels[: len(maps)]) != tuple(maps):
        raise FkitValueError(
            f"SSDNeck: out_channels={tuple(levels)}, but they are in_channels={tuple(maps)} and more.",
        )
    if not len(strides) == len(paddings) == count:
        raise FkitValueError(
            f"SSDNeck: {len(strides)} level_strides and {len(paddings)} level_paddings for {count} extra levels."
        )
    return tuple(levels[len(maps) - 1 :])


def ssd_rules(init_cfg: Any, scale: float | None) -> Any:
    """SSD's rules for initial weights, with that of its first norm.

    Example:
        >>> [rule["type"] for rule in ssd_rules(None, 20.0)]
        ['Xavier', 'Constant', 'Constant']
    """
    rules: tuple[Any, ...] = (
        _SSD if init_cfg is None else (init_cfg,) if isinstance(init_cfg, Mapping) else tuple(init_cfg)
    )
    first = frozendict(type="Constant", val=scale, override=frozendict(name="l2_norm"))
    return (*rules, first) if scale else rules


def dilated_start(count: int, dilations: Sequence[int]) -> Any:
    """How YOLOF's encoder starts: Caffe2's Xavier for its first convolutions, N(0, 0.01) for those of blocks.

    Raises:
        FkitValueError: there are fewer dilations than blocks.

    Example:
        >>> [rule["type"] for rule in dilated_start(2, (2, 4))]
        ['Caffe2Xavier', 'Normal']
    """
    if len(dilations) < count:
        raise FkitValueError(f"DilatedEncoder: {len(dilations)} block_dilations for {count} blocks.")
    inner = tuple(frozendict(name=f"dilated_encoder_blocks.{i}.conv{j}.conv") for i in range(count) for j in (1, 2, 3))
    first = (frozendict(name="lateral_conv"), frozendict(name="fpn_conv"))
    return (frozendict(type="Caffe2Xavier", override=first), frozendict(type="Normal", std=0.01, override=inner))
