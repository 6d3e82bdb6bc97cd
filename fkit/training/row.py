"""Rows of metrics, as metrics.jsonl holds them, and the curves in them."""

from collections.abc import Iterable, Mapping
from typing import Any

from fkit.tree.check import expect

__all__ = ["Row", "numbers_in", "points_of"]

Row = Mapping[str, Any]

_NO_METRICS = frozenset(("step", "epoch", "mode", "wall_time", "time", "data_time", "eta", "memory", "iter"))


def numbers_in(row: Row) -> dict[str, float]:
    """What was measured: the numbers of a row but those that say where, when and how long.

    Example:
        >>> numbers_in({"step": 1, "mode": "train", "loss": 2, "time": 3.0, "note": "x"})
        {'loss': 2.0}
    """
    expect(row, Mapping, "a row of metrics is a mapping, as a line of metrics.jsonl is")
    return {
        name: float(value)
        for name, value in row.items()
        if name not in _NO_METRICS and isinstance(value, int | float) and not isinstance(value, bool)
    }


def points_of(rows: Iterable[Row]) -> dict[tuple[str, str], dict[int, float]]:
    """{(mode, name): {step: value}}; of rows of one step the last counts.

    Example:
        >>> points_of([{"step": 1, "mode": "train", "loss": 2.0}, {"step": 2, "mode": "val", "acc": 0.5}])
        {('train', 'loss'): {1: 2.0}, ('val', 'acc'): {2: 0.5}}
    """
    expect(rows, Iterable, "`rows` are rows of metrics, as metrics.jsonl holds them")
    points: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        numbers, step = numbers_in(row), row.get("step")
        if isinstance(step, int):
            for name, value in numbers.items():
                points.setdefault((str(row.get("mode", "train")), name), {})[step] = value
    return points
