"""Sums of gradients that each process of a run holds for itself, until their mean moves the parameters.

A saved state has their mean under the slots' name, which is what a run on another number of processes goes on from, and beside
it each process's own, ``NAME@RANK``, so that as many go on to the same bits.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fkit.training.phase import Part
from fkit.tree.check import expect, expect_number

__all__ = ["own", "waiting"]

_OWN = re.compile(r"slots/(.+)@(\d+)/(.+)")


def waiting(parts: Iterable[Part], iteration: int) -> tuple[str, ...]:
    """The names of the slots that hold sums for a later step, after so many steps.

    Args:
        parts: the phases.
        iteration: steps done.
    """
    expect_number(iteration, "`iteration`", whole=True)
    rows = ((part, *part.sums) for part in parts if part.sums is not None)
    turns = ((name, each.due, -(-iteration // part.phase.every), part.total) for part, name, each in rows)
    return tuple(name for name, due, count, total in turns if due is not None and count and not due(count - 1, total))


def own(arrays: Mapping[str, Any], rank: int, world: int) -> dict[str, Any]:
    """The arrays of a saved state as one process begins with them: its own sums, where as many had saved theirs, else
    their mean.

    Args:
        arrays: by path.
        rank, world: its number, of how many.

    Example:
        >>> saved = {"slots/sum/a": 2.0, "slots/sum@0/a": 1.0, "slots/sum@1/a": 3.0}
        >>> own(saved, 1, 2), own(saved, 0, 1)
        ({'slots/sum/a': 3.0}, {'slots/sum/a': 2.0})
    """
    expect(arrays, Mapping, "`arrays` are a mapping of paths to arrays, as program.collect gives them")
    found = {path: match for path in arrays if (match := _OWN.fullmatch(path))}
    ranks = {int(match[2]) for match in found.values()}
    mine = {path: array for path, array in arrays.items() if path not in found}
    if len(ranks) == world:
        mine |= {f"slots/{match[1]}/{match[3]}": arrays[path] for path, match in found.items() if int(match[2]) == rank}
    return mine
