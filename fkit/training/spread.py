"""What several runs of one config come to: mean and spread over seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fkit.training.row import Row, numbers_in
from fkit.tree.check import expect

__all__ = ["Group", "Member", "Spread", "grouped", "last_scores", "spread", "table"]

_SHOWN = 6  # scores of a table


class Member(NamedTuple):
    """A run of a sweep.

    Attributes:
        name: of its folder.
        labels: {axis: value, as it was written}.
        status: "finished", "failed", "interrupted", ...; "" where it never began.
        rows: of its metrics.jsonl.
    """

    name: str
    labels: Mapping[str, str]
    status: str
    rows: tuple[Row, ...] = ()


class Spread(NamedTuple):
    """Of some numbers: ``deviation`` is the sample's (n - 1), nan of one."""

    mean: float
    deviation: float
    low: float
    high: float
    number: int


class Group(NamedTuple):
    """Runs that differ in their seed alone.

    Attributes:
        label: what they share: "lr=1e-3"; "all" where nothing but the seed differs.
        members: the runs.
        scores: {name: `Spread`} of the last held-out scores of those that finished.
    """

    label: str
    members: tuple[Member, ...]
    scores: Mapping[str, Spread]


def spread(values: Sequence[float]) -> Spread:
    """Mean, deviation, least and greatest.

    Example:
        >>> spread([1.0, 2.0, 3.0])
        Spread(mean=2.0, deviation=1.0, low=1.0, high=3.0, number=3)
    """
    expect(values, Sequence, "`values` are numbers, in a list")
    if not values:
        return Spread(math.nan, math.nan, math.nan, math.nan, 0)
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return Spread(statistics.fmean(values), deviation, min(values), max(values), len(values))


def last_scores(rows: Sequence[Row]) -> dict[str, float]:
    """The numbers of the last line of validation; of a run without one, the losses of its last line.

    Example:
        >>> last_scores([{"step": 1, "mode": "train", "loss": 2.0, "lr": 0.1}, {"step": 1, "mode": "val", "acc": 0.5}])
        {'acc': 0.5}
    """
    expect(rows, Sequence, "`rows` are rows of metrics, in a list")
    held = [row for row in rows if row.get("mode") != "train"]
    if held:
        return numbers_in(held[-1])
    return {name: value for name, value in numbers_in(rows[-1]).items() if "loss" in name} if rows else {}


def grouped(members: Sequence[Member], over: str = "seed") -> tuple[Group, ...]:
    """The runs by what they share, in the order in which they come.

    Args:
        over: the axis that is averaged over.

    Example:
        >>> runs = [Member("a", {"seed": "0", "lr": "1"}, "finished", ({"mode": "val", "acc": 0.5},)),
        ...         Member("b", {"seed": "1", "lr": "1"}, "finished", ({"mode": "val", "acc": 0.7},))]
        >>> [(group.label, round(group.scores["acc"].mean, 3), group.scores["acc"].number) for group in grouped(runs)]
        [('lr=1', 0.6, 2)]
    """
    expect(members, Sequence, "`members` are the runs of a sweep, in a list")
    by_label: dict[str, list[Member]] = {}
    for member in members:
        expect(member, Member, "a run of a sweep is a Member")
        shared = [f"{name}={value}" for name, value in member.labels.items() if name != over]
        by_label.setdefault(", ".join(shared) or "all", []).append(member)
    return tuple(Group(label, tuple(mine), _scores(mine)) for label, mine in by_label.items())


def _scores(members: Sequence[Member]) -> dict[str, Spread]:
    ended = [last_scores(member.rows) for member in members if member.status == "finished"]
    names = dict.fromkeys(name for one in ended for name in one)
    return {name: spread([one[name] for one in ended if name in one]) for name in names}


def table(groups: Sequence[Group]) -> str:
    """The groups as lines: what they share, how many of their runs finished, and each score's mean and deviation.

    Example:
        >>> print(table(grouped([Member("a", {"seed": "0"}, "finished", ({"mode": "val", "acc": 0.5},))])))
             runs  acc
        all  1/1   0.5
    """
    expect(groups, Sequence, "`groups` are what grouped gives")
    names = list(dict.fromkeys(name for group in groups for name in group.scores))[:_SHOWN]
    lines = [["", "runs", *names]]
    for group in groups:
        done = sum(member.status == "finished" for member in group.members)
        cells = [_cell(group.scores[name]) if name in group.scores else "" for name in names]
        lines.append([group.label, f"{done}/{len(group.members)}", *cells])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cell(one: Spread) -> str:
    mean = f"{one.mean:.4g}"
    return mean if math.isnan(one.deviation) else f"{mean} ± {one.deviation:.2g}"
