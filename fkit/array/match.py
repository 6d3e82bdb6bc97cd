"""The matching of least total cost, by shortest augmenting paths: with fixed shapes and loops that pass through jit.

The one form runs on numpy and, where values are not at hand, inside of a compiled step; of equal costs it takes the same
on each.
"""

from typing import Any

__all__ = ["matched", "partners"]

_MOST = 1e30


def partners(xp: Any, cost: Any, rows: Any) -> Any:
    """Which row each column is matched to.

    Args:
        xp: the operations of the array's library.
        cost: (R, C). One that is not a number, or beyond 1e30, is 1e30: what costs so is matched last.
        rows: (R,) bool, the rows that take part.

    Returns:
        (C,) the row, -1 for a column of none. As many are matched as can be.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> partners(Numpy(), np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]]), np.array([True, True])).tolist()
        [1, 0, -1]
    """
    lib = xp.lib
    count, width = cost.shape
    if not count or not width:
        return xp.full((width,), -1, "int64")
    # else no way to a column would be the shortest
    cost = lib.where(lib.isnan(cost), _MOST, lib.clip(cost, -_MOST, _MOST))
    cost = lib.where(rows[:, None], cost, 0)
    if count <= width:
        column = matched(xp, cost, rows)
        place = xp.arange(width)
        hit = (column[:, None] == place) & rows[:, None]
        return lib.where(hit.any(0), xp.argmax(xp.cast(hit, "int32"), 0), -1)
    # more rows than columns: each column takes one, a row that takes no part at a cost that no other exceeds
    far = (lib.amax(cost) - lib.amin(cost) + 1) * (width + 1)
    row = matched(xp, lib.where(rows[:, None], cost, far).T, xp.full((width,), True, "bool"))
    return lib.where(xp.take(rows, row), row, -1)


def matched(xp: Any, cost: Any, rows: Any) -> Any:
    """(R,) the column of each row that takes part, all different, at the least total cost; R <= C."""
    count, width = cost.shape
    start = (
        xp.arange(1)[0],
        xp.full((count,), 0, cost),
        xp.full((width,), 0, cost),
        xp.full((width,), -1, "int64"),
        xp.full((count,), -1, "int64"),
    )

    def step(state: Any) -> Any:
        row, by_row, by_column, row_of, column_of = state
        taken = xp.take(rows, row[None])[0]
        least, shortest, path, seen_rows, seen, sink = _path(xp, cost, row, taken, by_row, by_column, row_of)
        gained = least - xp.take(shortest, xp.lib.clip(column_of, 0, None))
        here = xp.arange(count) == row
        by_row = xp.lib.where(seen_rows & ~here & taken, by_row + gained, by_row)
        by_row = xp.lib.where(here & taken, by_row + least, by_row)
        by_column = xp.lib.where(seen & taken, by_column - (least - shortest), by_column)
        row_of, column_of = _turned(xp, path, row, sink, taken, row_of, column_of)
        return row + 1, by_row, by_column, row_of, column_of

    return xp.loop(lambda state: state[0] < count, step, start)[4]


def _path(xp: Any, cost: Any, row: Any, taken: Any, by_row: Any, by_column: Any, row_of: Any) -> tuple[Any, ...]:
    """The shortest way from a row to a column that is free: its length, that to each column, the row before each column,
    the rows and columns passed, and the column."""
    lib, endless = xp.lib, float("inf")
    count, width = cost.shape
    rows, columns = xp.arange(count), xp.arange(width)
    free = row_of < 0
    start = (
        row,
        xp.full((), 0, cost),
        xp.full((width,), endless, cost),
        xp.full((width,), -1, "int64"),
        xp.full((count,), False, "bool"),
        xp.full((width,), False, "bool"),
        lib.where(taken, -1, 0) + 0 * row,
    )

    def step(state: Any) -> Any:
        at, least, shortest, path, seen_rows, seen, sink = state
        reduced = least + xp.take(cost, at[None])[0] - xp.take(by_row, at[None])[0] - by_column
        nearer = ~seen & (reduced < shortest)
        shortest, path = lib.where(nearer, reduced, shortest), lib.where(nearer, at, path)
        left = lib.where(seen, endless, shortest)
        ahead = lib.where(free, left, endless)
        least = lib.amin(left)
        column = lib.where(lib.amin(ahead) == least, xp.argmax(-ahead, 0), xp.argmax(-left, 0))
        before = xp.take(row_of, column[None])[0]
        sink = lib.where(before < 0, column, sink)
        return (
            lib.where(before < 0, at, before),
            least,
            shortest,
            path,
            seen_rows | (rows == at),
            seen | (columns == column),
            sink,
        )

    _, least, shortest, path, seen_rows, seen, sink = xp.loop(lambda state: state[6] < 0, step, start)
    return least, shortest, path, seen_rows, seen, sink


def _turned(xp: Any, path: Any, row: Any, sink: Any, taken: Any, row_of: Any, column_of: Any) -> tuple[Any, Any]:
    """The matching after the way from ``row`` to the column ``sink`` has been turned round."""
    rows, columns = xp.arange(column_of.shape[0]), xp.arange(row_of.shape[0])

    def step(state: Any) -> Any:
        column, row_of, column_of, _ = state
        before = xp.take(path, column[None])[0]
        row_of = xp.lib.where(columns == column, before, row_of)
        after = xp.take(column_of, before[None])[0]
        column_of = xp.lib.where(rows == before, column, column_of)
        return after, row_of, column_of, before == row

    return xp.loop(lambda state: ~state[3], step, (sink, row_of, column_of, ~taken))[1:3]
