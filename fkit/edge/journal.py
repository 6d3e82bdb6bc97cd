"""What a run writes line by line: metrics.jsonl and log.txt.

A line of metrics.jsonl is one JSON object: what was measured, and four keys of the kit's own before it.

    step       training iterations done
    epoch      whole passes over the training data that are done after ``step`` iterations, in every line, of an
               iteration-based run too: with 23 iterations an epoch, step 50 is in epoch 2, and so is step 46, its last
    mode       "train" or "val"
    wall_time  when the line was written: seconds since 1970 in UTC, to the millisecond (``time`` is what OpenMMLab's logs
               call the duration of a step)

All but ``wall_time`` is the same whenever a run is repeated, or stopped and resumed.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fkit.edge.files import Files, place_of
from fkit.edge.output import printable
from fkit.format.json import finite, write_json
from fkit.run.effect import WriteScalars
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["Journal", "level_number", "read_rows"]


def level_number(level: str | int) -> int:
    """A level's number, as the standard library has them: what is below the run's ``log_level`` is not shown.

    Example:
        >>> level_number("WARNING"), level_number(15)
        (30, 15)
    """
    expect(level, (str, int), "`level` is a level's name or number")
    return level if isinstance(level, int) else logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


class Journal:
    """The two files of a run's work folder that grow.

    Attributes:
        rows: lines of metrics.jsonl written so far, those of earlier processes counted in.
    """

    def __init__(self, folder: Path, files: Files, rows: int = 0) -> None:
        self._metrics = folder / "metrics.jsonl"
        self._log = folder / "log.txt"
        self._files = files
        self._encode = json.JSONEncoder(allow_nan=False).encode
        self._second = (0, "")
        self.rows = rows

    def write(self, effect: WriteScalars) -> None:
        """A line of metrics, in full precision; strict JSON, so nan and the infinities are null (log.txt says which).

        Raises:
            FkitTypeError: a value is neither a number nor a text.
        """
        row: dict[str, Any] = {
            "step": effect.step, "epoch": effect.epoch, "mode": effect.mode, "wall_time": round(time.time(), 3),
            **effect.scalars,
        }  # fmt: skip
        try:
            line = self._encode(row)
        except (TypeError, ValueError):  # numpy's scalars, and what is not finite
            numbers = {name: value.item() if hasattr(value, "item") else value for name, value in row.items()}
            line = write_json(finite(numbers), allow_nan=False)
        if self._files.append(self._metrics, f"{line}\n".encode()):
            self.rows = self._metrics.read_bytes().count(b"\n")  # of a file that somebody may have changed
        else:
            self.rows += 1

    def say(self, text: str, level: str = "INFO") -> None:
        """A line that a person reads."""
        now = int(time.time())
        if now != self._second[0]:
            self._second = now, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        self._files.append(self._log, printable(f"{self._second[1]} {level:<7} {text}\n").encode())

    def keep(self, rows: int) -> None:
        """Drop the lines beyond ``rows``: what came after the checkpoint that a run goes on from."""
        if self._metrics.exists():
            lines = self._metrics.read_bytes().splitlines(keepends=True)
            if len(lines) > rows:
                self._files.replace(self._metrics, b"".join(lines[:rows]))
            self.rows = min(rows, len(lines))
        else:
            self.rows = 0


def read_rows(path: str | Path) -> list[Mapping[str, Any]]:
    """The rows of a metrics.jsonl, null as nan; a last line that a crash cut short is left out.

    Raises:
        FkitValueError: a line before the last is no JSON.
    """
    path = place_of(path, "`path` is that of a metrics.jsonl")
    rows: list[Mapping[str, Any]] = []
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            row: dict[str, Any] = json.loads(line)
            rows.append({name: math.nan if value is None else value for name, value in row.items()})
        except (ValueError, AttributeError) as cause:
            if number == len(lines):
                break
            raise FkitValueError(f"{path}:{number}: is no JSON line.") from cause
    return rows
