"""What differs between two runs, as lines that a person reads: shared by the commands that compare runs."""

import math
from collections.abc import Iterable, Sequence

from fkit.run.compare import Change, Difference
from fkit.run.replay import RowChange

__all__ = ["named", "noted", "plural", "said_changes", "said_row"]

_SHOWN = 5  # of a kind


def plural(count: int, word: str) -> str:
    """A number of things.

    Example:
        >>> plural(1, "line"), plural(2, "line")
        ('1 line', '2 lines')
    """
    return f"{count} {word}{'' if count == 1 else 's'}"


def named(rows: Sequence[Difference], sides: tuple[str, str]) -> list[str]:
    """Differences of a state, an indented line each: of each kind the largest, and how many more there are.

    Args:
        rows: as `fkit.run.compare.differing` gives them.
        sides: what the first and the second are called.
    """
    kinds: dict[str, list[Difference]] = {}
    for row in rows:
        kinds.setdefault(row.name.partition("/")[0], []).append(row)
    shown = [row for group in kinds.values() for row in group[:_SHOWN]]
    width = max((len(row.name) for row in shown), default=0)
    lines: list[str] = []
    for kind, group in kinds.items():
        lines += [f"    {row.name:<{width}}  {_size(row)}{_sided(row.words, sides)}" for row in group[:_SHOWN]]
        if len(group) > _SHOWN:
            lines.append(f"    ... and {len(group) - _SHOWN} more of {kind}/")
    return lines


def _size(row: Difference) -> str:
    return "" if math.isinf(row.largest) else f"at most {row.largest:.3g} apart, "


def _sided(words: str, sides: tuple[str, str]) -> str:
    return words.replace("only the first", f"only the {sides[0]}").replace("only the second", f"only the {sides[1]}")


def said_row(row: RowChange, sides: tuple[str, str]) -> list[str]:
    """A line of metrics that differs."""
    return [f"  metrics.jsonl, step {row.step} ({row.mode}):", *said_changes(row.changes, sides)]


def said_changes(changes: Iterable[Change], sides: tuple[str, str]) -> list[str]:
    """Numbers that differ, an indented line each."""
    rows = list(changes)
    lines = [
        f"    {change.name}: {_value(change.first)} {sides[0]}, {_value(change.second)} {sides[1]}"
        for change in rows[: 2 * _SHOWN]
    ]
    return lines + ([f"    ... and {len(rows) - 2 * _SHOWN} more"] if len(rows) > 2 * _SHOWN else [])


def _value(value: object) -> str:
    return "nothing" if value is None else repr(value)


def noted(notes: Iterable[str]) -> list[str]:
    """What is other than it was beside: an indented line each."""
    return [f"  {note}" for note in notes]
