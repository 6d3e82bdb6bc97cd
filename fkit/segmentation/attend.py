"""What heads with attention compute beside their layers: cells of a lattice, and which weights are between two positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["KERNEL_INIT", "UPDATOR", "expect_plain", "expect_stages", "grid", "psa_places", "shrunk", "zero_start"]

UPDATOR = frozendict(type="KernelUpdator", in_channels=256, feat_channels=64, out_channels=256)
_XAVIER = frozendict(type="Xavier", layer=("Linear", "Conv2d"), distribution="uniform")
KERNEL_INIT = (
    (_XAVIER,),
    (_XAVIER, frozendict(type="Normal", std=0.01, override=frozendict(name="fc_mask"))),
)
"""How a head of kernels starts: without and with ``kernel_init``."""


def expect_plain(name: str, argument: str, scales: Sequence[int]) -> None:
    """Refuses queries that are reduced: the reference cannot bring them back either.

    Raises:
        FkitValueError: a scale is not 1.

    Example:
        >>> expect_plain("OCRHead", "scale", (1,))
    """
    if any(scale != 1 for scale in scales):
        raise FkitValueError(f"{name}: {argument}={tuple(scales)}, but queries keep their size: 1.")


def expect_stages(num_stages: int, heads: Any) -> None:
    """Refuses another number of heads than of stages.

    Raises:
        FkitTypeError: there are more or fewer, or it is no list.

    Example:
        >>> expect_stages(1, [{"type": "KernelUpdateHead"}])
    """
    if not isinstance(heads, (list, tuple)) or len(heads) != num_stages:  # pyright: ignore[reportUnknownArgumentType]
        raise FkitTypeError(
            f"IterativeDecodeHead: num_stages={num_stages} takes a list of as many kernel_update_heads."
        )


def zero_start(zero: bool) -> Any:
    """How an attention's last projection starts: at 0 where it is a plain convolution.

    Example:
        >>> zero_start(False) is None
        True
    """
    return frozendict(type="Constant", val=0, override=frozendict(name="out_project")) if zero else None


def grid(
    size: tuple[int, int], cell: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """A picture in whole cells.

    Returns:
        (rows, height of a cell), (columns, width of a cell), and what pads the picture: top, bottom, left, right.

    Example:
        >>> grid((5, 8), (4, 4))
        ((2, 4), (2, 4), (1, 2, 0, 0))
    """
    rows, columns = (-(-side // step) for side, step in zip(size, cell, strict=True))
    high, wide = rows * cell[0] - size[0], columns * cell[1] - size[1]
    return (rows, cell[0]), (columns, cell[1]), (high // 2, high - high // 2, wide // 2, wide - wide // 2)


def shrunk(size: tuple[int, int], factor: int, align_corners: bool) -> tuple[tuple[int, int], bool]:
    """The reduced size of a map, and whether corners are aligned on the way: where neither side is a multiple.

    Example:
        >>> shrunk((97, 97), 2, False), shrunk((64, 64), 2, True)
        (((49, 49), True), ((32, 32), False))
    """
    if factor == 1:
        return size, align_corners
    if size[0] % factor and size[1] % factor:
        return ((size[0] - 1) // factor + 1, (size[1] - 1) // factor + 1), True
    return (size[0] // factor, size[1] // factor), False


def psa_places(xp: Ops, size: tuple[int, int], mask: tuple[int, int], like: Any) -> tuple[Any, Any]:
    """Which of a position's weights, of its neighbourhood, is for each position.

    Args:
        size: (height, width) of the map.
        mask: of the neighbourhood, whose middle is the position.
        like: an array whose kind ``inside`` takes.

    Returns:
        (P, P) whole numbers, [seen, seeing] of P = height x width; and 1 where the seen is inside, else 0.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> places, inside = psa_places(Numpy(), (1, 3), (1, 3), np.zeros(1))
        >>> places.tolist(), inside[0].tolist()
        ([[1, 0, 0], [2, 1, 0], [0, 2, 1]], [1.0, 1.0, 0.0])
    """
    rows, columns = (np.arange(size[0] * size[1]) // size[1], np.arange(size[0] * size[1]) % size[1])
    down = rows[:, None] - rows[None] + (mask[0] - 1) // 2
    right = columns[:, None] - columns[None] + (mask[1] - 1) // 2
    inside = (down >= 0) & (down < mask[0]) & (right >= 0) & (right < mask[1])
    places = np.where(inside, down * mask[1] + right, 0)
    return xp.asarray(places, "int64"), xp.asarray(inside.astype(np.float64), like)
