"""A sweep's folder: a run's folder for each config, and what came of all of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fkit.config.change.grid import Axis, Point, grid
from fkit.config.config import Config, load_config
from fkit.edge.board import png
from fkit.edge.files import Files, place_of
from fkit.edge.folder import comparable
from fkit.edge.journal import read_rows
from fkit.format.json import finite, write_json
from fkit.recipe.settings import read
from fkit.training.spread import Group, Member, grouped, last_scores, table
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitValueError
from fkit.visualize.spread import spreads

__all__ = ["Entry", "entries", "member_of", "standing", "write_summary"]

_FOLDER = "`folder` is the path of a sweep's folder"


class Entry(NamedTuple):
    """A run of a sweep.

    Attributes:
        config: the file that it is of, as it was named.
        cfg: its config, whole.
        point: what of it changes.
        folder: its work folder.
    """

    config: str
    cfg: Config
    point: Point
    folder: Path


def entries(configs: Sequence[tuple[str, Config]], axes: Sequence[Axis], folder: str | Path) -> tuple[Entry, ...]:
    """The runs of a sweep: each config at each point. All are read, so that a wrong one is told before the first begins.

    Args:
        configs: (its name, the config), one or several; several are one more axis, "config".
        axes: see `fkit.config.change.grid`.
        folder: of the sweep.

    Raises:
        FkitError: a config is wrong at a point, or two configs have one name.
    """
    folder = place_of(folder, _FOLDER)
    stems = [Path(name).stem for name, _ in configs]
    if len(set(stems)) < len(stems):
        raise FkitValueError(f"two configs of a sweep have one name: {', '.join(stems)}.", repair="Rename one.")
    points = grid(axes) if axes else (Point("", (), {}, {}),)
    found: list[Entry] = []
    for (config, cfg), stem in zip(configs, stems, strict=True):
        for point in points:
            if len(configs) > 1:
                name = f"{stem},{point.name}" if point.name else stem
                point = point._replace(name=name, labels={"config": stem, **point.labels})
            place = folder / (point.name or stem)
            changes = {**point.changes, "work_dir": str(place)}
            merged = cfg.merge(changes, source=" ".join(point.words) or "the sweep")
            try:
                read(merged)
            except FkitError as error:
                error.origin = error.origin or " ".join(point.words)
                raise
            found.append(Entry(config, merged, point, place))
    return tuple(found)


def standing(entry: Entry) -> str:
    """How a run of a sweep stands: "finished", "begun" (there is something to go on with), or "" where nothing is there.

    A finished run counts where it is of this very config, its length too.
    """
    record = _record(entry.folder)
    if not record:
        return ""
    if record.get("status") != "finished":
        return "begun"
    cfg = entry.cfg
    if read(cfg).seed is None and isinstance(record.get("seed"), int):
        cfg = cfg.merge({"seed": record["seed"]})
    try:
        then = load_config(str(entry.folder / "config.py"))
    except FkitError:
        return "begun"
    same = comparable(then) == comparable(cfg) and then.get("train_cfg") == cfg.get("train_cfg")
    return "finished" if same else "begun"


def member_of(entry: Entry) -> Member:
    """What a run of a sweep has come to."""
    expect(entry, Entry, "a run of a sweep is an Entry")
    try:
        rows = tuple(read_rows(entry.folder / "metrics.jsonl"))
    except FkitValueError:
        rows = ()
    return Member(entry.point.name, entry.point.labels, str(_record(entry.folder).get("status", "")), rows)


def write_summary(folder: str | Path, runs: Sequence[Entry], title: str) -> str:
    """Write sweep.json (each run, its scores, its folder) and sweep.png, and give the table of means and spreads.

    Args:
        folder: of the sweep.
        title: of the picture.

    Returns:
        the table, and the names of what was written.
    """
    folder, files = place_of(folder, _FOLDER), Files()
    members = [member_of(entry) for entry in runs]
    groups = grouped(members)
    rows = [
        {
            "name": member.name, "folder": str(entry.folder), **({"labels": dict(member.labels)} if member.labels else {}),
            "words": list(entry.point.words), "status": member.status or "not begun", "fingerprint": _record(entry.folder).get("fingerprint"),
            "scores": last_scores(member.rows),
        }
        for member, entry in zip(members, runs, strict=True)
    ]  # fmt: skip
    files.replace(folder / "sweep.json", f"{write_json(finite({'runs': rows}), indent=1, allow_nan=False)}\n".encode())
    said = [table(groups), f"each run: {folder / 'sweep.json'}"]
    drawn = _drawn(groups)
    if drawn:
        files.replace(folder / "sweep.png", png(spreads(drawn, title)))
        said.append(f"curves: {folder / 'sweep.png'}")
    return "\n".join(said)


def _drawn(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """The rows of the groups that have any."""
    found = {group.label: [member.rows for member in group.members if member.rows] for group in groups}
    return {label: rows for label, rows in found.items() if rows}


def _record(folder: Path) -> dict[str, Any]:
    try:
        record: Any = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}  # pyright: ignore[reportUnknownVariableType]
