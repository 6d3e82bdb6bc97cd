"""Which of equal numbers are among the greatest, as C++'s standard library chooses them.

``torch.topk`` on a CPU is ``std::partial_sort`` of a row where it is at least 64 times as long as what is asked for, else
``std::nth_element``, both of libstdc++. Which of several equal numbers get the last places follows from how these two move
numbers about: one keeps a heap, the other partitions around medians of three. Here is the same on arrays of fixed shapes, in
loops that pass through jit; where no numbers are equal at the limit, the loops do not turn.
"""

from typing import Any

__all__ = ["topmost"]

_LONG = 64  # so many times what is asked for: a heap


def topmost(xp: Any, a: Any, count: int, valid: Any = None) -> Any:
    """Where the greatest of (n,) numbers are, in no order: (count,).

    Args:
        xp: the operations of the array's library.
        a: no NaN among them.
        count: at most n.
        valid: (n,) bool, which of them there are; where these are fewer than ``count``, some of the others too.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> sorted(topmost(Numpy(), np.array([2.0, 1.0, 2.0, 3.0, 2.0]), 2).tolist())
        [2, 3]
    """
    size, places = a.shape[0], None
    many = xp.full((), size, "int32")
    if valid is not None:
        places = xp.order(xp.cast(valid, "int32"), descending=True)
        many = xp.cast(xp.cast(valid, "int32").sum(), many)
        a = xp.lib.where(xp.arange(size, "int32") < many, xp.take(a, places), -float("inf"))
    top, index = xp.topk(a, count)
    if 0 < count < size:
        tied = (xp.cast(a >= top[-1], "int32").sum() > count) & (many > count)
        long = many >= count * _LONG
        if count * _LONG <= size:
            index = xp.lib.where(tied & long, xp.cast(_heaped(xp, a, count, tied & long), index), index)
        if count * _LONG > size or valid is not None:
            index = xp.lib.where(tied & ~long, xp.cast(_parted(xp, a, count, many, tied & ~long), index), index)
    return index if places is None else xp.cast(xp.take(places, index), index)


def _heaped(xp: Any, a: Any, count: int, wanted: Any) -> Any:
    """The heap at the end of ``std::partial_sort``: its root is the least, and what is greater takes the root's place."""
    lib, places = xp.lib, xp.arange(a.shape[0], "int32")

    def entering(at: Any, root: Any) -> tuple[Any, Any]:
        found = (places >= at) & (a > root)
        return xp.cast(xp.argmax(found, 0), places), found.any()

    def sunk(state: Any) -> Any:
        part, at, _, values, index = state  # first every part from the last on is made a heap, and then numbers enter
        making = part >= 0
        root = lib.clip(part, 0, None)
        value, place = lib.where(making, values[root], a[at]), lib.where(making, index[root], at)
        values, index = _sunk(xp, values, index, root, value, place)
        at, more = entering(lib.where(making, count, at + 1), values[0])
        return part - 1, at, (part > 0) | more, values, index

    first, start = xp.full((), (count - 2) // 2, "int32"), xp.full((), 0, "int32")
    # a heap of one number is made as it is
    first, start = (first, start) if count > 1 else (first - 1, entering(places[1], a[0])[0])
    more = wanted if count > 1 else wanted & entering(places[1], a[0])[1]
    return xp.loop(lambda state: state[2] & wanted, sunk, (first, start, more, a[:count], places[:count]))[4]


def _sunk(xp: Any, values: Any, index: Any, root: Any, value: Any, place: Any) -> tuple[Any, Any]:
    """A heap in which the root of a part gives way to a number: lesser children go up, to where the number is no more than
    its own."""
    lib, size = xp.lib, values.shape[0]
    places = xp.arange(size, "int32")
    left, right = (lib.clip(2 * places + at, None, size - 1) for at in (1, 2))  # an only child is both
    lesser = lib.where(xp.take(values, right) > xp.take(values, left), left, right)
    hole, source, goes = root, places, root == root
    for _ in range(size.bit_length() - 1):
        child = lesser[hole]
        goes = goes & (2 * hole + 1 < size) & ~(values[child] > value)
        source = lib.where(goes & (places == hole), child, source)
        hole = lib.where(goes, child, hole)
    here = places == hole
    return lib.where(here, value, xp.take(values, source)), lib.where(here, place, xp.take(index, source))


def _parted(xp: Any, a: Any, count: int, many: Any, wanted: Any) -> Any:
    """The first places after ``std::nth_element``. (From some depth on it would sort by a heap, so that no row takes it too
    long; numbers of which it gets there are made for it.)"""
    places = xp.arange(a.shape[0], "int32")

    def parted(state: Any) -> Any:
        first, last, values, index = state
        order = _median_first(xp, values, first, last)
        moved, cut = _partition(xp, xp.take(values, order), first, last)
        order, left = xp.take(order, moved), cut < count
        first, last = xp.lib.where(left, cut, first), xp.lib.where(left, last, cut)
        return first, last, xp.take(values, order), xp.take(index, order)

    state = (xp.full((), 0, "int32"), many, a, places)
    first, last, values, index = xp.loop(lambda state: (state[1] - state[0] > 3) & wanted, parted, state)
    far = float("inf")
    values = xp.lib.where(places < first, far, xp.lib.where(places < last, values, -far))
    return xp.take(index, xp.topk(values, count)[1])  # the last three are sorted, equal ones as they stand


def _median_first(xp: Any, values: Any, first: Any, last: Any) -> Any:
    """An order in which the median of the second, the middle and the last is in the first place."""
    where, places = xp.lib.where, xp.arange(values.shape[0], "int32")
    a, b, c = first + 1, first + (last - first) // 2, last - 1
    ab, bc, ac = (values[one] > values[other] for one, other in ((a, b), (b, c), (a, c)))
    median = where(ab, where(bc, b, where(ac, c, a)), where(ac, a, where(bc, c, b)))
    return where(places == first, median, where(places == median, first, places))


def _partition(xp: Any, values: Any, first: Any, last: Any) -> tuple[Any, Any]:
    """An order in which what is greater than the pivot, which is in the first place, goes before what is less; and where the
    second part begins. From both ends, what is on the wrong side changes places, pair by pair, until the ends meet."""
    lib, size = xp.lib, values.shape[0]
    places, pivot = xp.arange(size, "int32"), values[first]
    lefts = (places > first) & (places < last) & ~(values > pivot)
    rights = (places >= first) & (places < last) & ~(pivot > values)
    left_rank = lib.cumsum(xp.cast(lefts, "int32"), 0) - 1
    right_rank = lib.cumsum(xp.cast(rights, "int32"), 0)
    right_rank = right_rank[-1] - right_rank
    left = xp.put(xp.full((size,), size, "int32"), lib.where(lefts, left_rank, size), places)
    right = xp.put(xp.full((size,), -1, "int32"), lib.where(rights, right_rank, size), places)
    swaps = left < right
    order = xp.put(places, lib.where(swaps, left, size), right)
    order = xp.put(order, lib.where(swaps, right, size), left)
    pairs = xp.cast(swaps, "int32").sum()
    met = lib.where(pairs > 0, right[lib.clip(pairs - 1, 0, None)], size)
    return order, xp.cast(lib.minimum(left[lib.clip(pairs, None, size - 1)], met), places)
