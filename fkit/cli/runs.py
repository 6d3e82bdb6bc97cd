"""``fkit runs [DIR]``: the runs of a folder, a line each."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fkit.cli.command import add_command
from fkit.edge.output import printable
from fkit.edge.past import Best, Entry, entries
from fkit.training.best import is_better, rule_of
from fkit.tree.error import FkitKeyError

__all__ = ["add", "table"]

_HEAD = ("run", "fingerprint", "seed", "backend", "status", "step", "best", "changed")
_SCORES = 2


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "runs",
        "List the runs in a folder and below it, the newest first: fingerprint of the config, seed, backend, how each stands, "
        "and its best scores.",
        ["fkit runs", ("fkit runs work_dirs --sort accuracy/top1", "the best first")],
    )
    command.add_argument("folder", nargs="?", default="work_dirs", metavar="DIR", help="default: work_dirs")
    command.add_argument("--sort", metavar="METRIC", help="the best of this metric first, and runs that lack it last")
    command.add_argument("--json", action="store_true", help="print one JSON object a run, a line each")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    found = entries(arguments.folder)
    if arguments.sort is not None:
        found = _sorted(found, arguments.sort)
    if not found:
        sys.stderr.write(f"{arguments.folder}: holds no run.\n")
    elif arguments.json:
        sys.stdout.write("".join(json.dumps(_object(entry)) + "\n" for entry in found))
    else:
        sys.stdout.write(table(found, Path(arguments.folder), arguments.sort))
    return 0


def table(found: Sequence[Entry], root: Path, metric: str | None = None) -> str:
    """The list, in columns; of a run that is broken its line says why.

    Args:
        found: in their order.
        root: what paths are told from.
        metric: the one that is shown; by default the first two.
    """
    rows = [_HEAD, *(_row(entry, root, metric) for entry in found)]
    widths = [max(len(row[place]) for row in rows if len(row) == len(_HEAD)) for place in range(len(_HEAD))]
    widths[0] = max(len(row[0]) for row in rows)
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows)
    return "".join(f"{printable(line)}\n" for line in lines)


def _row(entry: Entry, root: Path, metric: str | None) -> tuple[str, ...]:
    name = os.path.relpath(entry.folder, root)
    name = str(root) if name == "." else name
    if entry.trouble:
        return (name, f"broken: {entry.trouble}")
    record = entry.record
    best = [one for one in entry.best if metric in (None, one.name)][:_SCORES]
    scores = ", ".join(f"{one.name} {one.value:.4f} at {one.step}" for one in best)
    return (
        name,
        str(record.get("fingerprint", ""))[:12],
        str(record.get("seed", "")),
        str(record.get("backend", "")),
        entry.status,
        str(entry.step),
        scores or "-",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.changed)),
    )


def _object(entry: Entry) -> dict[str, Any]:
    rows = {
        "folder": str(entry.folder),
        "fingerprint": entry.record.get("fingerprint"),
        "seed": entry.record.get("seed"),
        "backend": entry.record.get("backend"),
        "status": entry.status,
        "step": entry.step,
        "best": {one.name: {"value": one.value, "step": one.step} for one in entry.best},
        "changed": entry.changed,
    }
    return {"folder": rows["folder"], "broken": entry.trouble} if entry.trouble else rows


def _sorted(found: Sequence[Entry], metric: str) -> tuple[Entry, ...]:
    """The runs by a metric, the best first.

    Raises:
        FkitKeyError: none has it.
    """
    names = tuple(dict.fromkeys(one.name for entry in found for one in entry.best))
    if metric not in names:
        raise FkitKeyError(f"--sort {metric}: no run has it.", value=metric, choices=names, label="Metrics")
    having = [(entry, one) for entry in found for one in entry.best if one.name == metric]
    rule = rule_of(metric) or "greater"
    having.sort(key=lambda pair: -pair[1].value if is_better(rule, 1.0, 0.0) else pair[1].value)
    return (*(entry for entry, _ in having), *(entry for entry in found if not _has(entry.best, metric)))


def _has(best: Sequence[Best], metric: str) -> bool:
    return any(one.name == metric for one in best)
