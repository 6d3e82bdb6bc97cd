"""What a run left in its work folder, read; and the runs that a folder holds."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from fkit.config.config import Config, load_config
from fkit.edge.checkpoint import Found, read_checkpoint, steps
from fkit.edge.journal import read_rows
from fkit.edge.lock import is_alive
from fkit.fileio.checkpoint import folder_name
from fkit.run.replay import Kept
from fkit.training.best import is_better, rule_of
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitValueError
from fkit.tree.frozen import EMPTY
from fkit.tree.place import not_there, place_of, refuse_url

__all__ = ["Best", "Entry", "Past", "bests", "entries", "read_past"]

Row = Mapping[str, Any]
_LEFT_OUT = frozenset(("checkpoints", "vis", "vis_data"))  # of a run's folder: no run begins below them


class Past(NamedTuple):
    """A run that was.

    Attributes:
        folder: its work folder.
        cfg: its config.py.
        record: its run.json.
        rows: its metrics.jsonl.
        steps: of its checkpoints, rising.
    """

    folder: Path
    cfg: Config
    record: Mapping[str, Any]
    rows: tuple[Row, ...]
    steps: tuple[int, ...]

    @property
    def end(self) -> int:
        """The last step of which anything is on record."""
        known = [row["step"] for row in self.rows if isinstance(row.get("step"), int)]
        return max((*known, *self.steps), default=0)

    def found(self, step: int) -> Found:
        """The checkpoint of a step.

        Raises:
            FkitError: there is none, or it does not verify.
        """
        if step not in self.steps:
            known = ", ".join(map(str, self.steps)) or "none"
            raise FkitFileNotFoundError(
                f"{self.folder}: has no checkpoint of step {step}.", repair=f"There are: {known}."
            )
        return read_checkpoint(self.folder / "checkpoints" / folder_name(step))

    def kept(self, step: int) -> Kept | None:
        """The checkpoint of a step, to compare with; None where it does not verify."""
        try:
            found = self.found(step)
        except FkitError:
            return None
        return Kept(found.saved, bool(found.meta.get("weights_only")), found.meta)


def read_past(folder: str | os.PathLike[str], trust: bool = False) -> Past:
    """What a run left in its work folder.

    Args:
        trust: whether its config may be one that is code.

    Raises:
        FkitFileNotFoundError: there is no run.
        FkitError: a file of it is broken.
    """
    place = place_of(folder, "`folder` is the work folder of a run")
    refuse_url(folder, "a work folder")
    if not place.exists():
        raise not_there(place, f"{place}: is not there", "Name the work folder of a run; `fkit runs` lists them.")
    if not (place / "run.json").is_file():
        raise FkitFileNotFoundError(
            f"{place}: holds no run (there is no run.json).", repair="`fkit runs DIR` lists the runs below a folder."
        )
    record = _record(place / "run.json")
    if not (place / "config.py").is_file():
        raise FkitFileNotFoundError(f"{place / 'config.py'}: is missing, so nobody knows what the run was.")
    cfg = load_config(str(place / "config.py"), trust=trust)
    rows = tuple(read_rows(place / "metrics.jsonl"))
    return Past(place, cfg, record, rows, tuple(sorted(steps(place / "checkpoints"))))


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record: Any = json.loads(path.read_text())
    except (ValueError, OSError, RecursionError) as cause:
        raise FkitValueError(f"{path}: is no JSON: it is truncated or was changed.") from cause
    if not isinstance(record, dict) or "status" not in record:
        raise FkitValueError(f"{path}: is not the record of a run.")
    return cast("Mapping[str, Any]", record)


class Best(NamedTuple):
    """The best value of a metric, and its step."""

    name: str
    value: float
    step: int


def bests(rows: tuple[Row, ...]) -> tuple[Best, ...]:
    """The best of each held-out metric whose name says what is better; else of a run's losses, the last.

    Example:
        >>> bests(({"step": 1, "mode": "val", "accuracy/top1": 0.5}, {"step": 2, "mode": "val", "accuracy/top1": 0.25}))
        (Best(name='accuracy/top1', value=0.5, step=1),)
    """
    expect(rows, tuple, "`rows` are rows of metrics, as read_rows gives them")
    found: dict[str, Best] = {}
    for row in rows:
        expect(row, Mapping, "a row of metrics is a mapping")
        if row.get("mode") == "train" or not isinstance(row.get("step"), int):
            continue
        for name, value in row.items():
            rule = None if name in ("step", "epoch", "mode", "wall_time") else rule_of(name)
            if rule is None or not isinstance(value, int | float) or not math.isfinite(value):
                continue
            if name not in found or is_better(rule, value, found[name].value):
                found[name] = Best(name, float(value), row["step"])
    if not found:
        last = next((row for row in reversed(rows) if row.get("mode") == "train" and "loss" in row), EMPTY)
        if isinstance(last.get("loss"), int | float):
            return (Best("loss", float(last["loss"]), int(last["step"])),)
    return tuple(found.values())


class Entry(NamedTuple):
    """A run as a line of a list.

    Attributes:
        folder: its work folder.
        changed: when its run.json was written last: seconds since 1970.
        record: its run.json; nothing where that is broken.
        status: as it stands: a run whose process has gone without a word was "killed".
        step: the last on record.
        best: its best scores.
        trouble: what of it is broken.
    """

    folder: Path
    changed: float
    record: Mapping[str, Any] = EMPTY
    status: str = ""
    step: int = 0
    best: tuple[Best, ...] = ()
    trouble: str = ""


def entries(root: str | os.PathLike[str]) -> tuple[Entry, ...]:
    """The runs in a folder and below it, the newest first; a broken one is an entry that says so.

    Raises:
        FkitFileNotFoundError: the folder is not there.
        FkitValueError: it is a file.
    """
    place = place_of(root, "`root` is the path of a folder")
    refuse_url(root, "a folder of runs")
    if not place.exists():
        raise not_there(place, f"{place}: is not there", "Name a folder that holds runs.")
    if not place.is_dir():
        raise FkitValueError(f"{place}: is no folder.", repair="Name a folder that holds runs.")
    found = [_entry(folder) for folder in _folders(place)]
    return tuple(sorted(found, key=lambda entry: (-entry.changed, str(entry.folder))))


def _folders(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        if "run.json" in files:
            yield Path(folder)
            names[:] = [name for name in names if name not in _LEFT_OUT]
        names.sort()


def _entry(folder: Path) -> Entry:
    changed = 0.0
    try:
        changed = (folder / "run.json").stat().st_mtime
        record = _record(folder / "run.json")
        rows = tuple(read_rows(folder / "metrics.jsonl"))
        known = steps(folder / "checkpoints")
    except (FkitError, OSError, ValueError) as error:
        what = error.what if isinstance(error, FkitError) else str(error)
        return Entry(folder, changed, trouble=what.removeprefix(f"{folder}{os.sep}"))
    status = str(record["status"])
    if status == "running" and not is_alive(folder):
        status = "killed"
    step = max((*(row["step"] for row in rows if isinstance(row.get("step"), int)), *known), default=0)
    return Entry(folder, changed, record, status, step, bests(rows))
