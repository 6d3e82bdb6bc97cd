"""The plans of LeViT (Graham et al. 2021) and TinyViT (Wu et al. 2022), and the places of their attentions' biases."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.backbone.arch import arch_of, outputs_of
from fkit.backbone.patch import pair
from fkit.backbone.swin import spread
from fkit.tree.error import FkitValueError

__all__ = ["LeStage", "TinyStage", "levit_stages", "offsets", "tiny_stages"]

_LEVIT_KEYS = ("embed_dims", "num_heads", "depths", "key_dims")
_LEVIT = frozendict(
    {
        name: frozendict(zip(_LEVIT_KEYS, row, strict=True))
        for name, row in (
            ("128s", ((128, 256, 384), (4, 6, 8), (2, 3, 4), (16,) * 3)),
            ("128", ((128, 256, 384), (4, 8, 12), (4, 4, 4), (16,) * 3)),
            ("192", ((192, 288, 384), (3, 5, 6), (4, 4, 4), (32,) * 3)),
            ("256", ((256, 384, 512), (4, 6, 8), (4, 4, 4), (32,) * 3)),
            ("384", ((384, 512, 768), (6, 9, 12), (4, 4, 4), (32,) * 3)),
        )
    }
)
_TINY_KEYS = ("channels", "num_heads", "depths")
_TINY = frozendict(
    {
        name: frozendict(zip(_TINY_KEYS, (*row, (2, 2, 6, 2)), strict=True))
        for name, row in (
            ("5m", ((64, 128, 160, 320), (2, 4, 5, 10))),
            ("11m", ((64, 128, 256, 448), (2, 4, 8, 14))),
            ("21m", ((96, 192, 384, 576), (3, 6, 12, 18))),
        )
    }
)


def offsets(side: int, stride: int = 1) -> tuple[NDArray[np.int64], int]:
    """Which bias a pair of pixels has, by how far they are apart down and across, and how many biases there are.

    Args:
        side: of a square of pixels that are attended to.
        stride: of the pixels that attend; 1: all.

    Returns:
        (P, side * side) numbers, in the order in which distances come first, and their count.

    Example:
        >>> offsets(2)[0].tolist()
        [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
        >>> offsets(3, 2)[0].shape, offsets(3, 2)[1]
        ((4, 9), 9)
    """
    if side < 1 or stride < 1:
        raise FkitValueError(f"offsets: side={side}, stride={stride}: at least 1.")
    known: dict[tuple[int, int], int] = {}
    points = list(itertools.product(range(side), repeat=2))
    rows = [
        [known.setdefault((abs(y - v), abs(x - u)), len(known)) for v, u in points]
        for y, x in itertools.product(range(0, side, stride), repeat=2)
    ]
    return np.array(rows, np.int64), len(known)


class LeStage(NamedTuple):
    """A stage of a LeViT.

    Attributes:
        inner, width: channels in and out; other than ``width``, the stage begins with attention to fewer pixels.
        before: rows of pixels that come in.
        side: rows of pixels.
        key, heads: channels of an attention's keys, and of how many heads.
        shrinking: heads of the attention to fewer pixels; 0: there is none.
        depth: how many attentions follow.
    """

    inner: int
    width: int
    before: int
    side: int
    key: int
    heads: int
    shrinking: int
    depth: int


def levit_stages(
    arch: Any, img_size: int, patch_size: int, out_indices: Any
) -> tuple[tuple[LeStage, ...], tuple[int, ...]]:
    """The stages of a LeViT, and those whose maps are given.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> stages, outputs = levit_stages("128s", 224, 16, -1)
        >>> [stage.side for stage in stages], stages[1].shrinking
        ([14, 7, 4], 8)
    """
    plan = arch_of("LeViT", arch, _LEVIT)
    side, stages = img_size // patch_size, list[LeStage]()
    inner = plan["embed_dims"][0]
    for i, (width, heads, depth, key) in enumerate(zip(*(plan[name] for name in _LEVIT_KEYS), strict=True)):
        after = side if i == 0 else (side - 1) // 2 + 1
        stages.append(LeStage(inner, width, side, after, key, heads, inner // key if i else 0, depth))
        inner, side = width, after
    return tuple(stages), outputs_of("LeViT", out_indices, len(stages))


class TinyStage(NamedTuple):
    """A stage of a TinyViT.

    Attributes:
        width, after: channels inside, and after it; the last stage changes none.
        heads: of its attentions; 0: its blocks are convolutions.
        window: side of the windows.
        size: rows and columns of pixels.
        rates: of the blocks' stochastic depth.
    """

    width: int
    after: int
    heads: int
    window: int
    size: tuple[int, int]
    rates: tuple[float, ...]


def tiny_stages(
    arch: Any, img_size: Any, windows: Sequence[int], rate: float, out_indices: Any
) -> tuple[tuple[TinyStage, ...], tuple[int, ...]]:
    """The stages of a TinyViT, and those whose outputs are given.

    Args:
        windows: sides of the stages' windows.
        rate: of stochastic depth, of the last block.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> stages, outputs = tiny_stages("5m", 224, (7, 7, 14, 7), 0.0, -1)
        >>> [stage.size for stage in stages], stages[0].heads
        ([(56, 56), (28, 28), (14, 14), (7, 7)], 0)
    """
    plan = arch_of("TinyViT", arch, _TINY)
    widths, depths, (high, wide) = plan["channels"], plan["depths"], pair(img_size)
    if len(windows) != len(widths) or min(windows) < 1:
        raise FkitValueError(
            f"TinyViT: window_size={windows!r:.80}: a number from 1 on for each of {len(widths)} stages."
        )
    rates, stages, last = iter(spread(rate, sum(depths))), list[TinyStage](), len(widths) - 1
    for i, (width, heads, depth) in enumerate(zip(widths, plan["num_heads"], depths, strict=True)):
        if width % heads:
            raise FkitValueError(f"TinyViT: {width} channels of stage {i} do not fall into {heads} heads.")
        size = (high // 4 // 2**i, wide // 4 // 2**i)
        mine = tuple(next(rates) for _ in range(depth))
        stages.append(TinyStage(width, widths[min(i + 1, last)], heads if i else 0, windows[i], size, mine))
    return tuple(stages), outputs_of("TinyViT", out_indices, len(stages))
