"""Where something first differs, by halves: which places to look at, as a generator that is told what was found."""

from collections.abc import Generator

from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["bisection"]


def bisection(low: int, high: int) -> Generator[int, bool, int]:
    """The first place that differs, ``low`` being one that is equal and ``high`` one that differs: at most
    ceil(log2(high - low)) places between them are looked at.

    Yields:
        a place to look at; whether it is equal is to be sent.

    Returns:
        the first place that differs, the one before it being equal.

    Raises:
        FkitValueError: ``high`` is not above ``low``.

    Example:
        >>> search, asked = bisection(0, 200), []
        >>> place = next(search)
        >>> try:
        ...     while True:
        ...         asked.append(place)
        ...         place = search.send(place < 137)
        ... except StopIteration as end:
        ...     print(end.value, asked)
        137 [100, 150, 125, 137, 131, 134, 135, 136]
    """
    for name, number in (("low", low), ("high", high)):
        expect_number(number, name, whole=True)
    if low >= high:
        raise FkitValueError(f"high = {high}: above low, which is {low}.")
    return _halves(low, high)


def _halves(low: int, high: int) -> Generator[int, bool, int]:
    while high - low > 1:
        middle = (low + high) // 2
        if (yield middle):
            low = middle
        else:
            high = middle
    return high
