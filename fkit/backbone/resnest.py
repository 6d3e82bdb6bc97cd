"""The plan of a ResNeSt (Zhang et al. 2022): bottlenecks whose 3x3 convolution attends to splits of its channels."""

from typing import Any

from frozendict import frozendict

from fkit.backbone.resnet import BlockPlan, stages
from fkit.tree.error import FkitValueError

__all__ = ["inner_width", "split_stages"]

_DEPTHS = frozendict(
    {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3), 269: (3, 30, 48, 8)}
)


def split_stages(radix: int, reduction: int, **more: Any) -> tuple[tuple[BlockPlan, ...], ...]:
    """The blocks of each stage.

    Args:
        radix: how many splits there are.
        reduction: see `inner_width`.
        more: as `fkit.backbone.resnet.stages` has it.

    Raises:
        FkitError: arguments outside what is allowed, or that do not fit together.
    """
    if radix < 1 or reduction < 1:
        raise FkitValueError(f"ResNeSt: radix={radix} and reduction_factor={reduction}: at least 1.")
    return stages("ResNeSt", known=_DEPTHS, **more)


def inner_width(width: int, radix: int, reduction: int) -> int:
    """Channels inside of the attention to splits.

    Example:
        >>> inner_width(64, 2, 4), inner_width(512, 2, 4)
        (32, 256)
    """
    return max(width * radix // reduction, 32)
