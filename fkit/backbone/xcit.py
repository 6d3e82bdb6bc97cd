"""What XCiT (El-Nouby et al. 2021) is made of on both backends: its positions, and what its arguments may be."""

import math
from typing import Any

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.backbone.arch import outputs_of
from fkit.backbone.patch import pair
from fkit.tree.error import FkitValueError

__all__ = ["INIT", "check_xcit", "places", "steps"]

INIT = frozendict(type="TruncNormal", layer="Linear")
_OUT = ("raw", "featmap", "avg_featmap", "cls_token")


def places(height: int, width: int, hidden: int = 32, temperature: float = 10000.0) -> NDArray[np.float64]:
    """Sines and cosines of the rows and the columns of a grid, (height, width, 2 * hidden).

    Example:
        >>> places(2, 3).shape
        (2, 3, 64)
    """
    scale = temperature ** (2 * (np.arange(hidden) // 2) / hidden)

    def waves(count: int) -> NDArray[np.float64]:
        angles = (np.arange(1, count + 1) / (count + 1e-6) * 2 * math.pi)[:, None] / scale
        return np.stack((np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])), -1).reshape(count, hidden)

    rows, columns = waves(height), waves(width)
    grid = (height, width, hidden)
    return np.concatenate((np.broadcast_to(rows[:, None], grid), np.broadcast_to(columns[None], grid)), -1)


def steps(patch_size: int, width: int) -> tuple[int, ...]:
    """Channels of the convolutions that make patches.

    Raises:
        FkitValueError: patches of another size than 8 or 16.

    Example:
        >>> steps(16, 128)
        (16, 32, 64, 128)
    """
    if patch_size not in (8, 16):
        raise FkitValueError(f"XCiT: patch_size={patch_size}: 8 or 16.")
    return tuple(width // part for part in ((8, 4, 2, 1) if patch_size == 16 else (4, 2, 1)))


def check_xcit(
    img_size: Any, patch_size: int, out_type: str, out_indices: Any, depth: int, last: int, frozen: int
) -> tuple[int, ...]:
    """The layers whose outputs are given.

    Args:
        depth, last: how many layers there are of both kinds.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> check_xcit(224, 16, "cls_token", (-1,), 12, 2, -1)
        (13,)
    """
    steps(patch_size, 8)
    if any(side % patch_size for side in pair(img_size)):
        raise FkitValueError(f"XCiT: patch_size={patch_size} does not divide img_size={img_size!r}.")
    if out_type not in _OUT:
        raise FkitValueError(f"XCiT: out_type={out_type!r}.", value=out_type, choices=_OUT)
    outputs = outputs_of("XCiT", out_indices, depth + last)
    if out_type == "cls_token" and outputs and outputs[0] < depth:
        raise FkitValueError(f"XCiT: out_indices={out_indices!r}: the first {depth} layers have no token of the class.")
    if frozen > depth + last:
        raise FkitValueError(f"XCiT: frozen_stages={frozen}, but there are {depth + last} layers.")
    return outputs
