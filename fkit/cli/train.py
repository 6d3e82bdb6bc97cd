"""``fkit train CONFIG``: from a config to a trained model, in a work folder."""

import argparse
import contextlib
import json
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import fkit
from fkit.catalog.registry import Registry
from fkit.cli.command import add_command, whole
from fkit.cli.option import add_config, add_place, permissions
from fkit.cli.reach import open_registry, read_config
from fkit.config.config import Config
from fkit.edge.checkpoint import locate, read_checkpoint
from fkit.edge.data import data_record, differences
from fkit.edge.failure import is_input, write_failure
from fkit.edge.files import Files
from fkit.edge.folder import Opened, expect_folder, open_folder, run_record
from fkit.edge.follow import follow
from fkit.edge.limit import open_files
from fkit.edge.lock import hold
from fkit.edge.output import Screened
from fkit.edge.perform import Edge
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat
from fkit.edge.thread import chosen, threads
from fkit.recipe.settings import Settings, read
from fkit.run.course import reopened
from fkit.training.ema import averages
from fkit.training.weight import fit
from fkit.tree.error import FkitValueError, RunError
from fkit.tree.frozen import EMPTY
from fkit.tree.place import refuse_url

__all__ = ["add", "train"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "train",
        "Train a model from a config, in a work folder.",
        [
            "fkit train configs/digits/convnet.py --work-dir work_dirs/a --cfg-options train_cfg.max_epochs=5",
            ("fkit train configs/digits/convnet.py --work-dir work_dirs/a --resume", "go on with it"),
        ],
    )
    add_config(command)
    add_place(command)
    command.add_argument("--work-dir", metavar="DIR", help="default: work_dirs/NAME_OF_CONFIG")
    command.add_argument(
        "--seed", type=whole, metavar="N", help="default: the config's, else one is drawn and recorded"
    )
    command.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=None,
        metavar="PATH",
        help="go on with the run in the work folder, or from PATH",
    )
    command.add_argument(
        "--other-data", action="store_true", help="with --resume: go on though the data are others than before"
    )
    command.add_argument("--load-from", metavar="PATH", help="begin with the weights of a checkpoint")
    command.add_argument("--devices", type=whole, metavar="N", help="number of devices (one, in this version)")
    command.add_argument(
        "--launcher",
        choices=("none", "pytorch", "slurm", "mpi"),
        metavar="NAME",
        help="none, pytorch, slurm or mpi (one process, in this version)",
    )
    command.add_argument("--amp", action="store_true", help="compute in bfloat16; parameters stay float32")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    cfg = read_config(arguments)
    if arguments.devices not in (None, 1):
        raise FkitValueError(f"--devices {arguments.devices}: this version trains on one device.")
    changes: dict[str, Any] = {}
    for name in ("work_dir", "seed", "load_from", "launcher", "resume"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name)
    if arguments.amp:
        changes["dtype"] = "bfloat16"
    cfg, name = cfg.merge(changes, source="the command line") if changes else cfg, Path(arguments.config).stem
    return train(cfg, name, open_registry(arguments), arguments.other_data, permissions(arguments))


def train(cfg: Config, name: str, registry: Registry, other_data: bool = False, allowed: Sequence[str] = ()) -> int:
    """Train in the config's work folder; `fkit.train` with an edge around it.

    Args:
        name: of the work folder under ``work_dirs``, where the config names none.
        registry: where the config's parts come from.
        other_data: go on with a run though its data are others than before.
        allowed: words of the command line that the commands it names at the end need too.

    Returns:
        0 when the run ended, 130, 143 or 129 when a signal ended it; the state is saved.
    """
    settings = read(cfg)
    if settings.work_dir is not None:
        refuse_url(settings.work_dir, "a work folder")
    folder = Path(os.path.expanduser(settings.work_dir or f"work_dirs/{name}"))
    results = Screened(sys.stdout)  # what a run prints and shows never ends it
    screen = Screen(results=results)
    expect_folder(folder, settings.resume)
    with contextlib.redirect_stdout(cast("TextIO", results)), hold(folder) as note:
        try:
            cfg = _seeded(cfg, settings, folder)
            opened = open_folder(folder, cfg, settings.resume)
            begun = _begun(_Job(folder, cfg, settings, registry, other_data), opened, screen)
            if begun is None:
                return 0
            edge, run, data = begun
            if note:
                edge.note(note, "WARNING")
            run = follow(edge, run, data)
            if run.signal:
                screen.say(_curves(folder))
                return 128 + signal.Signals[run.signal].value
            screen.say(_next(folder, allowed))
            screen.close()
            sys.stdout.write(_closing(folder, run))
            sys.stdout.flush()
            edge.close()
            return 0
        finally:
            screen.close()


class _Job(NamedTuple):
    """What is to be trained; the settings are those before a seed was drawn."""

    folder: Path
    cfg: Config
    settings: Settings
    registry: Registry
    other_data: bool


def _begun(job: _Job, opened: Opened, screen: Screen) -> tuple[Edge, Any, Any] | None:
    """The edge, the run and the data to begin with, or None where the run is finished already; what prevents it and is no
    wrong input is on record."""
    try:
        return _built(job, opened, screen)
    except SystemExit as cause:
        error = RunError(f"a part of the run called sys.exit({cause.code!r}) while it was built.")
        error.__cause__ = cause
        _record(job, opened, error)
        raise error from cause
    except Exception as error:
        _record(job, opened, error)
        raise


def _record(job: _Job, opened: Opened, error: Exception) -> None:
    before = opened.record or run_record(job.cfg, job.settings.backend, read(job.cfg).seed or 0, sys.argv, {})
    if not is_input(error) and before["status"] != "finished":
        write_failure(job.folder, before, error, Files())


def _built(job: _Job, opened: Opened, screen: Screen) -> tuple[Edge, Any, Any] | None:
    folder, cfg, settings, registry, other_data = job
    repeats, count, limited = repeat(settings), threads(settings), open_files(settings)
    plan = fkit.plan(cfg, registry)
    if opened.found is not None:
        run = fkit.restore(plan, opened.found.saved)
        run = run._replace(position=reopened(plan.course, run.position))
        if run.position.stage == "after_run" and (opened.record or {}).get("status") == "finished":
            screen.say(f"{folder}: the run is finished already ({run.iteration} iterations); nothing to do.")
            return None
    else:
        run = fkit.begin(plan)
        if settings.load_from is not None:
            run = _loaded(plan, run, settings.load_from, screen)
    data = fkit.open_data(plan)
    meta = opened.found.meta if opened.found is not None else EMPTY
    count = chosen(count, plan.program, run.train, data["train"], passes=3, before=meta.get("threads"))
    record = run_record(cfg, plan.backend, plan.seed, sys.argv, plan.room.environment())
    record |= {**repeats.record(), **count.record(), "data": data_record(data)}
    edge = Edge(folder, plan, record, screen=screen, rows=int(meta.get("rows", 0)))
    for line in differences(meta.get("data"), record["data"], other_data):
        edge.note(f"other data: {line}", "WARNING")
    for text in (*opened.said, *plan.settings.notes, _drawn(settings, plan.seed, meta), count.words):
        if text:
            edge.note(text, "WARNING" if "passed over" in text else "INFO")
    for text in (repeats.note, count.note, limited):
        if text:
            edge.note(text, "WARNING")
    return edge, run, data


def _closing(folder: Path, run: Any) -> str:
    """The last line: what came out, and where its curves are."""
    scores = ", ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())
    return f"{folder}: {run.iteration} iterations; {scores or 'no validation'}; {_curves(folder)}\n"


def _curves(folder: Path) -> str:
    path = folder / "curves.png"
    return f"curves in {path}" if path.exists() else "no curves: nothing was measured"


def _next(folder: Path, allowed: Sequence[str]) -> str:
    """What may be done with a run that has ended."""
    use = shlex.join((str(folder / "config.py"), str(folder), *allowed))
    return f"next: fkit test {use}, or fkit infer {use} IMAGE"


def _seeded(cfg: Config, settings: Settings, folder: Path) -> Config:
    """The config with a seed: its own, the one of the run that the folder holds, or one drawn now."""
    if settings.seed is not None:
        return cfg
    path = folder / "run.json"
    if settings.resume and path.exists():
        try:
            return cfg.merge({"seed": int(json.loads(path.read_text())["seed"])})
        except (ValueError, KeyError, TypeError) as cause:
            raise FkitValueError(f"{path}: records no seed.") from cause
    return cfg.merge({"seed": secrets.randbelow(2**31)})


def _drawn(settings: Settings, seed: int, meta: Mapping[str, Any]) -> str:
    """What there is to say of a seed that the config does not name."""
    if settings.seed is not None:
        return ""
    how = "of the run that goes on" if meta else "drawn"
    return f"seed {seed} ({how}; --seed {seed} repeats the run)"


def _loaded(plan: Any, run: Any, path: str, screen: Any) -> Any:
    saved = read_checkpoint(locate(path)).saved.arrays
    arrays = {name.split("/", 1)[1]: array for name, array in saved.items() if name.startswith(("params/", "buffers/"))}
    average = averages(saved)
    if average:
        screen.say(f"{path}: the moving average of its weights is what the run begins with")
        arrays |= average
    report = fit(plan.program.inventory, arrays, strict=False, bare=True).report()
    if report:
        screen.say(f"{path}: not all weights fit.\n  {report}", "WARNING")
    return run._replace(train=plan.program.load(run.train, arrays, strict=False))
