"""Sizes of patches and of what is padded to hold them."""

from typing import Any

from fkit.tree.error import FkitTypeError

__all__ = ["out_size", "pad_of", "pair"]


def pair(value: Any) -> tuple[int, int]:
    """(height, width) of a number for both, or of two numbers.

    Raises:
        FkitTypeError: it is neither.

    Example:
        >>> pair(3), pair((1, 2))
        ((3, 3), (1, 2))
    """
    if isinstance(value, int):
        return value, value
    if isinstance(value, (tuple, list)) and len(value) == 2:  # pyright: ignore[reportUnknownArgumentType]
        return int(value[0]), int(value[1])  # pyright: ignore[reportUnknownArgumentType]
    raise FkitTypeError(f"a size is a number, or two numbers (height, width), found {value!r:.80}.")


def pad_of(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    """Rows and columns of zeros that make windows begin at every stride and lie inside.

    Example:
        >>> pad_of((15, 17), (16, 16), (16, 16), (1, 1))
        (1, 15)
    """
    high, wide = (
        max((-(-length // step) - 1) * step + (side - 1) * gap + 1 - length, 0)
        for length, side, step, gap in zip(size, kernel, stride, dilation, strict=True)
    )
    return high, wide


def out_size(
    size: Any,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    adaptive: bool = False,
) -> Any:
    """How many windows there are down and across images of a (height, width); None of None.

    Args:
        adaptive: the images are padded by `pad_of` first.

    Example:
        >>> out_size((15, 17), (16, 16), (16, 16), adaptive=True)
        (1, 2)
    """
    if size is None:
        return None
    more = pad_of(size, kernel, stride, dilation) if adaptive else (0, 0)
    return tuple(
        (length + extra + 2 * pad - gap * (side - 1) - 1) // step + 1
        for length, extra, pad, gap, side, step in zip(size, more, padding, dilation, kernel, stride, strict=True)
    )
