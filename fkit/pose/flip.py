"""What a mirrored picture says, as of the picture itself: sides are exchanged, and keypoints with their partners."""

from typing import Any, Final

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.tree.error import FkitValueError

__all__ = ["flip_coordinates", "flip_lines", "flip_maps", "swapped"]

_GROUPS: Final = frozendict(heatmap=1, udp_combined=3, offset=2)


def swapped(xp: Ops, a: Any, partners: Any) -> Any:
    """Rows (N, K, ...) exchanged by ``partners`` (N, K).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> swapped(Numpy(), np.array([[[1.0], [2.0]]]), np.array([[1, 0]])).tolist()
        [[[2.0], [1.0]]]
    """
    if partners.shape[1] != a.shape[1]:
        raise FkitValueError(f"flip_indices are {partners.shape[1]}, but the head predicts {a.shape[1]} keypoints.")
    index = xp.cast(partners, "int64").reshape(*partners.shape, *(1 for _ in a.shape[2:]))
    return xp.take_along(a, index, 1)


def flip_maps(xp: Ops, maps: Any, partners: Any, mode: str = "heatmap", shift: bool = False) -> Any:
    """Maps (N, C, H, W) of mirrored pictures.

    Args:
        partners: (N, K).
        mode: "heatmap", a map a keypoint; "udp_combined", a disc and two offsets; "offset", two offsets. The offset across is
            negated.
        shift: by a pixel to the right, which the network's stride is worth.

    Raises:
        FkitValueError: an unknown mode, or other keypoints.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> flip_maps(Numpy(), np.array([[[[1.0, 2, 3]], [[4.0, 5, 6]]]]), np.array([[1, 0]]), shift=True).tolist()
        [[[[6.0, 6.0, 5.0]], [[3.0, 3.0, 2.0]]]]
    """
    if mode not in _GROUPS:
        raise FkitValueError(f"flip_mode={mode!r}.", value=mode, choices=tuple(_GROUPS), label="Modes")
    group = _GROUPS[mode]
    count, channels, height, width = maps.shape
    done = xp.flipped(maps, (3,))
    # offsets of "offset" stand by keypoint, as combined ones do
    done = swapped(xp, done.reshape(count, channels // group, group, height, width), partners)
    if group > 1:
        across = {3: 1, 2: 0}[group]
        parts = [-done[:, :, at] if at == across else done[:, :, at] for at in range(group)]
        done = xp.lib.stack(parts, axis=2)
    done = done.reshape(count, channels, height, width)
    return xp.lib.concat([done[..., :1], done[..., :-1]], axis=3) if shift else done


def flip_lines(xp: Ops, lines: tuple[Any, Any], partners: Any) -> tuple[Any, Any]:
    """Lines across and down (N, K, W) of mirrored pictures.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> line = np.array([[[1.0, 2], [3.0, 4]]])
        >>> [one.tolist() for one in flip_lines(Numpy(), (line, line), np.array([[1, 0]]))]
        [[[[4.0, 3.0], [2.0, 1.0]]], [[[3.0, 4.0], [1.0, 2.0]]]]
    """
    across, down = (swapped(xp, line, partners) for line in lines)
    return xp.flipped(across, (2,)), down


def flip_coordinates(xp: Ops, points: Any, partners: Any, shift: bool, width: int) -> Any:
    """Coordinates (N, K, D) of mirrored pictures, in parts of their sides.

    Args:
        shift: by a pixel to the left.
        width: of the pictures.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> flip_coordinates(Numpy(), np.array([[[0.25, 0.5]]]), np.array([[0]]), True, 4).tolist()
        [[[0.5, 0.5]]]
    """
    x = 1.0 - points[..., :1]
    x = x - 1.0 / width if shift else x
    return swapped(xp, xp.lib.concat([x, points[..., 1:]], axis=2), partners)
