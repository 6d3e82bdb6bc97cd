"""What differs between the records of two runs, or of a run and this machine: configs, versions, and what they were of."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.config.show.explain import difference
from fkit.data.identity import changes
from fkit.edge.past import Past
from fkit.tree.check import expect

__all__ = ["changed_rows", "config_changes", "data_changes", "run_changes", "version_changes"]

_WORDS = ("then", "now")


def changed_rows(then: Mapping[str, Any], now: Mapping[str, Any], words: tuple[str, str] = _WORDS) -> list[str]:
    """The rows that differ between two tables of versions, a line each.

    Args:
        words: what stands behind the value of the first, and of the second.

    Example:
        >>> changed_rows({"numpy": "1.26", "fkit": "0.1"}, {"numpy": "2.0", "fkit": "0.1", "jax": "0.10"})
        ['numpy: 1.26 then, 2.0 now', 'jax: nothing then, 0.10 now']
    """
    expect(then, Mapping, "`then` is a table of versions")
    expect(now, Mapping, "`now` is a table of versions")
    names = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    first, second = words
    return [f"{name}: {then.get(name, 'nothing')} {first}, {now.get(name, 'nothing')} {second}" for name in names]


def config_changes(first: Past, second: Past, colour: bool = False) -> str:
    """What differs between the configs of two runs, a line for each path and side, with file and line; but for the work
    folder, of which each has its own.

    Args:
        colour: for a terminal.
    """
    one, other = (past.cfg.pop("work_dir", None)[0] for past in _pair(first, second))
    return difference(one, other, colour)


def version_changes(first: Past, second: Past) -> list[str]:
    """What differs between the versions, devices and threads that two runs had, a line each."""
    one, other = (_table(past, "versions") for past in _pair(first, second))
    return changed_rows(one, other, (f"in {first.folder}", f"in {second.folder}"))


def run_changes(first: Past, second: Past) -> list[str]:
    """What differs beside between two runs: backend, seed, commit, how they ended, a line each."""
    names = ("backend", "seed", "git", "deterministic", "status")
    rows = [{name: past.record.get(name) for name in names} for past in _pair(first, second)]
    return changed_rows(rows[0], rows[1], (f"in {first.folder}", f"in {second.folder}"))


def data_changes(first: Past, second: Past) -> list[str]:
    """What differs between the data of two runs, a line each."""
    one, other = (_table(past, "data") for past in _pair(first, second))
    return [
        f"{name} {line}"
        for name in one
        if isinstance(one[name], dict) and isinstance(other.get(name), dict)
        for line in changes(one[name], other[name])
    ]


def _pair(first: Past, second: Past) -> tuple[Past, Past]:
    for past in (first, second):
        expect(past, Past, "a run is what it left (fkit.edge.past.read_past(folder))")
    return first, second


def _table(past: Past, name: str) -> Mapping[str, Any]:
    table = past.record.get(name)
    return cast("Mapping[str, Any]", table) if isinstance(table, dict) else {}
