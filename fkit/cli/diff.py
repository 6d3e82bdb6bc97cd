"""``fkit diff RUN_A RUN_B``: what two runs do not share: config, versions, data, metrics."""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

from fkit.cli.command import add_command
from fkit.cli.option import add_trust
from fkit.edge.contrast import config_changes, data_changes, run_changes, version_changes
from fkit.edge.past import Past, read_past
from fkit.edge.target import file_target
from fkit.image.io import imwrite
from fkit.run.contrast import Contrast, contrasts
from fkit.tree.name import open_name

__all__ = ["add", "report"]

_HEAD = ("metric", "steps", "differs from", "most, relatively", "last A", "last B", "best A", "best B")


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "diff",
        "Say what two runs do not share: their configs by path, with file and line; versions, devices and threads; data; and "
        "their metrics over the steps.",
        [
            "fkit diff work_dirs/a work_dirs/b",
            ("fkit diff work_dirs/a work_dirs/b --out diff.png", "with a picture of both runs' curves"),
        ],
    )
    command.add_argument("first", metavar="RUN_A", help="the work folder of a run")
    command.add_argument("second", metavar="RUN_B", help="that of another")
    command.add_argument("--out", metavar="PICTURE", help="draw the curves of both into this .png or .jpg")
    add_trust(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    first, second = (read_past(folder, arguments.trust) for folder in (arguments.first, arguments.second))
    place = None
    if arguments.out is not None:
        place = file_target(arguments.out, "--out", [past.folder / "metrics.jsonl" for past in (first, second)])
    sys.stdout.write(report(first, second, sys.stdout.isatty()))
    if place is not None:
        overlay = open_name("fkit.visualize.overlay:overlay")  # matplotlib takes half a second
        image = overlay(first.rows, second.rows, (str(first.folder), str(second.folder)))
        imwrite(image[..., ::-1], place)
        sys.stdout.write(f"picture: {place}\n")
    return 0


def report(first: Past, second: Past, colour: bool = False) -> str:
    """What two runs do not share, as a person reads it.

    Args:
        colour: for a terminal.
    """
    parts = [
        ("config", config_changes(first, second, colour).splitlines()),
        ("run", run_changes(first, second)),
        ("versions", version_changes(first, second)),
        ("data", data_changes(first, second)),
        ("metrics", _metrics(contrasts(first.rows, second.rows))),
    ]
    lines = [f"A: {first.folder}  (to step {first.end})", f"B: {second.folder}  (to step {second.end})"]
    for name, rows in parts:
        lines += [f"{name}:", *(f"  {row}" for row in rows)] if rows else [f"{name}: no difference"]
    return "\n".join(lines) + "\n"


def _metrics(rows: Sequence[Contrast]) -> list[str]:
    """The metrics that differ, in columns; and how many do not."""
    apart = [row for row in rows if row.first is not None or not row.common]
    same = len(rows) - len(apart)
    if not apart:
        return []
    cells = [_HEAD, *(_cells(row) for row in apart)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_HEAD))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [*lines, *([f"({same} more are equal at every step)"] if same else [])]


def _cells(row: Contrast) -> tuple[str, ...]:
    name = row.name if row.mode == "train" else f"{row.mode} {row.name}"
    most = f"{row.largest:.2g} at step {row.at}" if row.at is not None else "-"
    return (
        name,
        str(row.common),
        f"step {row.first}" if row.first is not None else "-",
        most,
        *map(_value, (*row.finals, *row.bests)),
    )


def _value(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"
