"""The plans of backbones of several stages: residual layers, and what hourglasses and stacked pyramids are made of."""

from collections.abc import Sequence

from fkit.tree.error import FkitValueError

__all__ = ["expect_bottlenecks", "expect_counts", "residuals"]


def expect_bottlenecks(who: str, depth: int, depths: Sequence[int]) -> None:
    """Refuse another depth.

    Raises:
        FkitValueError: it is none of them.
    """
    if depth not in depths:
        raise FkitValueError(f"{who}: depth={depth!r}, but it is one of {tuple(depths)}.")


def expect_counts(who: str, **numbers: tuple[int, int]) -> None:
    """Refuse numbers below their least.

    Raises:
        FkitValueError: one is.

    Example:
        >>> expect_counts("MSPN", num_units=(4, 2))
    """
    for name, (value, least) in numbers.items():
        if value < least:
            raise FkitValueError(f"{who}: {name}={value!r}, but it is {least} or more.")


def residuals(inner: int, width: int, count: int, stride: int = 1, first: bool = True) -> list[tuple[int, int, int]]:
    """Channels in and out and the stride of each block of a layer, of which the first changes them, or the last.

    Example:
        >>> residuals(8, 16, 2, stride=2), residuals(8, 16, 2, first=False)
        ([(8, 16, 2), (16, 16, 1)], [(8, 8, 1), (8, 16, 1)])
    """
    if first:
        return [(inner if i == 0 else width, width, stride if i == 0 else 1) for i in range(count)]
    last = count - 1
    return [(inner, width if i == last else inner, stride if i == last else 1) for i in range(count)]
