"""A config trained in its work folder, by one call: what ``fkit train`` does."""

import contextlib
import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.data.source import Source
from fkit.edge.checkpoint import is_saved
from fkit.edge.data import data_record, differences
from fkit.edge.failure import is_input, write_failure
from fkit.edge.files import Files
from fkit.edge.fleet import Bystander, joined, place_in
from fkit.edge.folder import Opened, expect_folder, open_folder, run_record
from fkit.edge.follow import follow
from fkit.edge.limit import open_files
from fkit.edge.lock import hold
from fkit.edge.output import Screened
from fkit.edge.outset import outset
from fkit.edge.perform import Edge
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat
from fkit.edge.signal import Inbox
from fkit.edge.thread import chosen, threads
from fkit.fileio.weights import read_content
from fkit.recipe.settings import Settings, read
from fkit.run.course import reopened
from fkit.run.held import length_of
from fkit.run.hook.table import hook_table
from fkit.run.plan import Plan, open_data, plan
from fkit.run.resume import resumed
from fkit.run.start import begin, restore
from fkit.run.state import RunState
from fkit.training.fleet import Fleet, Told
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, RunError
from fkit.tree.frozen import EMPTY
from fkit.tree.place import refuse_url

__all__ = ["Outcome", "Ready", "run_config", "screened", "work"]


class Ready(NamedTuple):
    """What is there already of a run, in place of what its config would describe.

    Attributes:
        plan: the config, with its seed, and the processes of the run -> the plan.
        begin: the plan -> the run before its first event.
        data: the plan -> its sources.
        record: what run.json says of it beside the rest.
        background: whether its checkpoints are written in the background in any case (`fkit.edge.perform.Edge`).
    """

    plan: Callable[[Config, Fleet], Plan]
    begin: Callable[[Plan], RunState]
    data: Callable[[Plan], Mapping[str, Source]]
    record: Mapping[str, Any] = EMPTY
    background: bool = False


class Outcome(NamedTuple):
    """What came of a config in its work folder.

    Attributes:
        folder: the work folder.
        run: at its end; its ``signal`` is the name of one that ended it, or "".
        went: whether anything was done: the run may have been finished before.
        leads: whether this is the process that speaks.
    """

    folder: Path
    run: RunState
    went: bool = True
    leads: bool = True


def run_config(
    cfg: Config, registry: Registry | None = None, *, allow: str | Iterable[str] = (), name: str | None = None
) -> RunState:
    """Train a config in its work folder, validated, logged and saved on the way: ``fkit train``, as a call.

    The folder is the config's ``work_dir``, by default work_dirs/NAME_OF_CONFIG; a seed is drawn where the config has
    none. ``cfg.merge({"resume": True})`` goes on with the run that the folder holds.

    Args:
        cfg: the config.
        registry: where its parts come from; by default the built-in one.
        allow: modules that the config may import and name: see `fkit.catalog.allow`.
        name: of the work folder under ``work_dirs``, where the config names none; by default its file's.

    Returns:
        the run at its end: ``run.metrics`` are the newest scores, and ``run.signal`` is the name of a signal that ended
        it early (Ctrl-C is "SIGINT"), "" where none did. It is saved in either case.

    Raises:
        FkitError: what is wrong with the config, or what ended the run.

    Example::

        run = fkit.run_config(fkit.load_config("configs/digits/mlp.py", "train_cfg.max_epochs=3"))
        run.metrics["accuracy/top1"]
    """
    expect(cfg, Config, "`cfg` is a Config", "fkit.load_config(path) reads one, fkit.Config(mapping) makes one.")
    with screened() as screen:
        return work(cfg, registry, screen, allow=allow, name=name).run


def work(
    cfg: Config,
    registry: Registry | None,
    screen: Screen,
    *,
    allow: str | Iterable[str] = (),
    name: str | None = None,
    other_data: bool = False,
    ready: Ready | None = None,
    heard: Inbox | None = None,
) -> Outcome:
    """`run_config`, with its screen.

    Args:
        cfg, registry, allow, name: as of `run_config`.
        screen: what a person watches (`screened`).
        other_data: go on with a run though its data are others than before.
        ready: what is there already; by default the config describes all of it.
        heard: see `fkit.edge.follow.follow`.
    """
    settings = read(cfg)
    if ready is None:
        ready = Ready(lambda seeded, fleet: plan(seeded, registry, allow=allow, fleet=fleet), begin, open_data)
    if settings.work_dir is not None:
        refuse_url(settings.work_dir, "a work folder")
    folder = Path(os.path.expanduser(settings.work_dir or f"work_dirs/{_name(cfg, name)}"))
    with joined(settings) as (fleet, said), ExitStack() as stack:
        if not fleet.leads:
            screen.mute()
        note = fleet.first(lambda: _taken(folder, settings, stack))
        if settings.seed is None:
            cfg = cfg.merge({"seed": fleet.first(lambda: _seed(settings, folder))})
        cfg = _counted(cfg, settings, fleet)
        opened = fleet.first(lambda: open_folder(folder, cfg, _resumption(settings, folder)))
        begun = _begun(_Job(folder, cfg, settings, ready, other_data, fleet), opened, screen)
        if isinstance(begun, RunState):
            return Outcome(folder, begun, went=False, leads=fleet.leads)
        edge, run, data = begun
        for text in (note, said):
            if text:
                edge.note(text, "WARNING")
        return Outcome(folder, follow(edge, run, data, heard), leads=fleet.leads)


def _counted(cfg: Config, settings: Settings, fleet: Fleet) -> Config:
    """The config with as many devices as there are processes, where all are of one machine and each has one, as torch's: what goes
    on with it without a launcher starts as many. JAX's ``devices`` are those of a process."""
    place = place_in(settings.tree)
    if (
        settings.backend != "torch"
        or not fleet.several
        or place.local_world != place.world
        or settings.tree.get("parallel.devices") is not None
    ):
        return cfg
    return cfg if settings.devices == place.world else cfg.merge({"devices": place.world}, source="the launcher")


def _taken(folder: Path, settings: Settings, stack: ExitStack) -> str:
    """The folder held, and what a person should be told of it."""
    expect_folder(folder, settings.resume)
    return stack.enter_context(hold(folder))


@contextlib.contextmanager
def screened(make: Callable[..., Screen] = Screen) -> Generator[Screen]:
    """A screen for a run; what the run prints and shows never ends it.

    Args:
        make: makes it, of ``results=``.
    """
    results = Screened(sys.stdout)
    screen = make(results=results)
    with contextlib.redirect_stdout(cast("TextIO", results)):
        try:
            yield screen
        finally:
            screen.close()


class _Job(NamedTuple):
    """What is to be trained; the settings are those before a seed was drawn."""

    folder: Path
    cfg: Config
    settings: Settings
    ready: Ready
    other_data: bool
    fleet: Fleet


Begun = tuple[Edge, RunState, Mapping[str, Source]]


def _name(cfg: Config, name: str | None) -> str:
    """Of the work folder."""
    if name is None and cfg.filename is None:
        raise FkitValueError(
            "the config names no work folder, and was read from no file whose name it could have.",
            path="work_dir",
            repair="cfg.merge({'work_dir': 'work_dirs/mine'})",
        )
    return Path(cfg.filename or "").stem if name is None else name


def _begun(job: _Job, opened: Opened, screen: Screen) -> Begun | RunState:
    """The edge, the run and the data to begin with, or the run where it is finished already; what prevents it and is no
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
    if not job.fleet.leads or isinstance(error, Told):
        return
    before = opened.record or run_record(job.cfg, job.settings.backend, read(job.cfg).seed or 0, sys.argv, {})
    if not is_input(error) and before["status"] != "finished":
        write_failure(job.folder, before, error, Files())


def _built(job: _Job, opened: Opened, screen: Screen) -> Begun | RunState:
    folder, cfg, settings, ready, other_data, fleet = job
    repeats, count, limited = repeat(settings), threads(settings), open_files(settings)
    made = ready.plan(cfg, fleet)
    data = ready.data(made)
    if opened.found is not None:
        run = restore(made, opened.found.saved)
        run = run._replace(position=reopened(made.course, run.position))
        if run.position.stage == "after_run" and (opened.record or {}).get("status") == "finished":
            screen.say(f"{folder}: the run is finished already ({run.iteration} iterations); nothing to do.")
            return run._replace(status="finished")
    elif opened.foreign:
        length = length_of(data["train"], "train") or 0
        gone_on = resumed(made, read_content(opened.foreign, made.registry), length)
        run, opened = gone_on.run, opened._replace(said=(*opened.said, *gone_on.said))
    else:
        run = outset(made, ready.begin(made), screen)
    meta = opened.found.meta if opened.found is not None else EMPTY
    count = chosen(count, made.program, run.train, data["train"], passes=3, before=meta.get("threads"))
    record = run_record(cfg, made.backend, made.seed, sys.argv, made.room.environment())
    known = data_record(data)
    others = fleet.first(lambda: differences(meta.get("data"), known, other_data))
    if not fleet.leads:
        return Bystander(folder, made), run, data
    record |= {
        **repeats.record(),
        **count.record(),
        "devices": made.program.spec.devices,
        **({"processes": fleet.world} if fleet.several or "processes" in meta else {}),
        "data": known,
        **ready.record,
    }
    edge = Edge(folder, made, record, screen=screen, rows=int(meta.get("rows", 0)), background=ready.background)
    _head(edge, record)
    for line in others:
        edge.note(f"other data: {line}", "WARNING")
    for text in (*opened.said, *made.settings.notes, _drawn(settings, made.seed, meta), count.words):
        if text:
            edge.note(text, "WARNING" if "passed over" in text else "INFO")
    moved = _moved(meta, record["devices"], fleet.world)
    for text in (repeats.note, count.note, moved, limited):
        if text:
            edge.note(text, "WARNING")
    return edge, run, data


def _head(edge: Edge, record: Mapping[str, Any]) -> None:
    """What log.txt begins with: the environment, the config, and the hooks of each event. The screen stays short."""
    made = edge.plan
    rows = {
        "command": shlex.join(record["command"]),
        **record["versions"],
        "git": record["git"] or "n/a",
        "seed": made.seed,
    }
    lines = "\n".join(f"  {name}: {value}" for name, value in rows.items())
    edge.note(f"environment:\n{lines}", shown=False)
    edge.note(f"config:\n{made.config.text('python')}", shown=False)
    edge.note(f"hooks, in the order in which they are told:\n{hook_table(made.hooks, made.handlers)}", shown=False)


def _seed(settings: Settings, folder: Path) -> int:
    """A seed for a config without one: that of the run that the folder holds, or one drawn now."""
    path = folder / "run.json"
    if settings.resume and path.exists():
        try:
            return int(json.loads(path.read_text())["seed"])
        except (ValueError, KeyError, TypeError) as cause:
            raise FkitValueError(f"{path}: records no seed.") from cause
    return secrets.randbelow(2**31)


def _drawn(settings: Settings, seed: int, meta: Mapping[str, Any]) -> str:
    """What there is to say of a seed that the config does not name."""
    if settings.seed is not None:
        return ""
    how = "of the run that goes on" if meta else "drawn"
    return f"seed {seed} ({how}; --seed {seed} repeats the run)"


def _moved(meta: Mapping[str, Any], devices: int, processes: int) -> str:
    """What there is to say of a run that goes on on another number of devices."""
    was, now = meta.get("devices"), devices * processes
    if was is None or was * meta.get("processes", 1) == now:
        return ""
    was *= meta.get("processes", 1)
    return f"this run began on {was} devices and goes on on {now}: its numbers are the same but for rounding."


def _resumption(settings: Settings, folder: Path) -> bool | str:
    """What to go on from. As mmengine has it, a config with ``resume=True`` beside ``load_from`` goes on from that, until
    the folder holds checkpoints of its own; the word --resume leaves ``load_from`` what it is."""
    source, asked = settings.load_from, settings.tree.origin("resume")
    if settings.resume is not True or source is None or asked in (None, "the command line"):
        return settings.resume
    return True if is_saved(folder / "checkpoints") else source.path
