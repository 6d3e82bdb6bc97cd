"""The plans of VAN (Guo et al. 2022) and DenseNet (Huang et al. 2017)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.backbone.arch import arch_of, outputs_of
from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Dense", "VanStage", "dense_stages", "van_stages"]

_VAN_KEYS = ("embed_dims", "depths", "ffn_ratios")
_SMALL, _WIDE, _RATIOS = (32, 64, 160, 256), (64, 128, 320, 512), (8, 8, 4, 4)
_VAN = frozendict(
    {
        name: frozendict(zip(_VAN_KEYS, (widths, depths, _RATIOS), strict=True))
        for names, widths, depths in (
            (("t", "tiny"), _SMALL, (3, 3, 5, 2)),
            (("s", "small"), _WIDE, (2, 2, 4, 2)),
            (("b", "base"), _WIDE, (3, 3, 12, 3)),
            (("l", "large"), _WIDE, (3, 5, 27, 3)),
        )
        for name in names
    }
)
_BLOCK = ("act_cfg", "norm_cfg", "layer_scale_init_value")
_DENSE_KEYS = ("growth_rate", "depths", "init_channels")
_DENSE = frozendict(
    {
        name: frozendict(zip(_DENSE_KEYS, row, strict=True))
        for name, row in (
            ("121", (32, (6, 12, 24, 16), 64)),
            ("169", (32, (6, 12, 32, 32), 64)),
            ("201", (32, (6, 12, 48, 32), 64)),
            ("161", (48, (6, 12, 36, 24), 96)),
        )
    }
)


class VanStage(NamedTuple):
    """A stage of a VAN.

    Attributes:
        inner, width: channels in and out.
        hidden: of the layers a pixel.
        side, stride: of the convolution that it begins with.
        rates: of the blocks' stochastic depth.
    """

    inner: int
    width: int
    hidden: int
    side: int
    stride: int
    rates: tuple[float, ...]


def van_stages(
    arch: Any, sides: Sequence[int], channels: int, rate: float, out_indices: Any, block_cfgs: Any
) -> tuple[tuple[VanStage, ...], tuple[int, ...]]:
    """The stages of a VAN, and those whose maps are given.

    Args:
        sides: of the convolutions that the stages begin with.
        channels: of the images.
        rate: of stochastic depth, of the last block.
        block_cfgs: arguments of all blocks, which are looked at here.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> stages, outputs = van_stages("tiny", (7, 3, 3, 3), 3, 0.0, (3,), {})
        >>> stages[0].stride, len(stages[2].rates)
        (4, 5)
    """
    plan = arch_of("VAN", arch, _VAN)
    depths, widths = plan["depths"], plan["embed_dims"]
    if len(sides) != len(depths):
        raise FkitValueError(f"VAN: patch_sizes has {len(sides)} numbers for {len(depths)} stages.")
    for name in block_cfgs:
        if name not in _BLOCK:
            raise FkitTypeError(f"VAN: a block takes no argument {name!r}.", value=str(name), choices=_BLOCK)
    rates, stages, inner = iter(spread(rate, sum(depths))), list[VanStage](), channels
    for side, depth, width, ratio in zip(sides, depths, widths, plan["ffn_ratios"], strict=True):
        mine = tuple(next(rates) for _ in range(depth))
        stages.append(VanStage(inner, width, int(width * ratio), side, side // 2 + 1, mine))
        inner = width
    return tuple(stages), outputs_of("VAN", out_indices, len(depths))


class Dense(NamedTuple):
    """A stage of a DenseNet.

    Attributes:
        inner: channels in; each of ``depth`` layers adds ``growth``.
        width: channels after the transition that follows; 0: none does.
    """

    inner: int
    depth: int
    growth: int
    width: int


def dense_stages(arch: Any, factor: float, out_indices: Any) -> tuple[tuple[Dense, ...], tuple[int, ...]]:
    """The stages of a DenseNet, and those whose maps are given.

    Args:
        factor: of the channels that a transition keeps.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> stages, outputs = dense_stages("121", 0.5, -1)
        >>> [stage.inner for stage in stages], outputs
        ([64, 128, 256, 512], (3,))
    """
    plan = arch_of("DenseNet", arch, _DENSE)
    depths, growth, inner = plan["depths"], plan["growth_rate"], plan["init_channels"]
    stages: list[Dense] = []
    for i, depth in enumerate(depths):
        width = 0 if i == len(depths) - 1 else math.floor((inner + depth * growth) * factor)
        stages.append(Dense(inner, depth, growth, width))
        inner = width
    return tuple(stages), outputs_of("DenseNet", out_indices, len(depths))
