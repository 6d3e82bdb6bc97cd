"""``fkit sweep CONFIG seed=0..7 optimizer.lr=1e-3,3e-3``: many runs of one config, each in a folder of its own."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fkit.cli.command import add_command, whole
from fkit.cli.main import message_of
from fkit.cli.option import add_place, add_trust, permissions
from fkit.cli.reach import open_registry, read_config
from fkit.config.change.action import add_option
from fkit.config.change.grid import is_axis, named_in, read_axis
from fkit.config.config import Config
from fkit.edge.files import Files
from fkit.edge.group import likeness, run_group
from fkit.edge.pool import Job, run_jobs
from fkit.edge.progress import Screen
from fkit.edge.sweep import Entry, entries, standing, write_summary
from fkit.edge.work import screened
from fkit.recipe.key import NAMES
from fkit.tree.error import FkitValueError

__all__ = ["add"]

_EXAMPLES = (
    ("fkit sweep digits/mlp seed=0..7 optimizer.lr=1e-3,3e-3", "16 runs, one after the other"),
    ("fkit sweep digits/mlp seed=0..7 --jobs 2", "two at a time"),
    ("fkit sweep digits/mlp seed=0..7 --vectorize", "as one vmapped program"),
)


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "sweep",
        "Train a config at each point of a grid: each an ordinary run with its own folder, a table and a picture of mean and "
        "spread at the end. Started again, it skips what is finished and goes on with the rest.",
        _EXAMPLES,
    )
    command.add_argument(
        "words",
        nargs="+",
        metavar="CONFIG KEY=VALUES",
        help="one config or several; then axes: seed=0..7 (whole numbers), optimizer.lr=1e-3,3e-3; KEY may be the end of a path",
    )
    add_option(command)
    add_trust(command)
    add_place(command)
    command.add_argument("--work-dir", metavar="DIR", help="of the sweep; default: work_dirs/NAME_OF_CONFIG_sweep")
    command.add_argument(
        "--vectorize",
        action="store_true",
        help="in this process: runs that differ in seed, optimizer numbers and schedules alone train together, as one "
        "vmapped program where that is the faster form",
    )
    command.add_argument("--jobs", type=whole, default=1, metavar="N", help="runs at a time (default 1)")
    command.add_argument(
        "--slurm",
        nargs="*",
        default=None,
        metavar="KEY=VALUE",
        help="hand the runs to Slurm as an array of jobs, with these options of sbatch: partition=gpu time=2:00:00",
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.jobs < 1:
        raise FkitValueError(f"--jobs {arguments.jobs}: at least one run at a time.")
    names = [word for word in arguments.words if not is_axis(word)]
    if not names:
        arguments.parser.refuse("`fkit sweep` needs a CONFIG before its axes.")
    configs = [(name, _config(arguments, name)) for name in names]
    axes = [named_in(configs[0][1], read_axis(word), NAMES) for word in arguments.words if is_axis(word)]
    if not axes and len(configs) == 1:
        arguments.parser.refuse("`fkit sweep` needs an axis.", "Write seed=0..7, say; `fkit train` is one run.")
    folder = Path(os.path.expanduser(arguments.work_dir or f"work_dirs/{Path(names[0]).stem}_sweep"))
    runs = entries(configs, axes, folder)
    stands = {entry.point.name: standing(entry) for entry in runs}
    left = [entry for entry in runs if stands[entry.point.name] != "finished"]
    title = f"{', '.join(names)}   {' '.join(word for word in arguments.words if is_axis(word))}"
    if len(left) < len(runs):
        sys.stderr.write(f"{len(runs) - len(left)} of {len(runs)} runs are finished already\n")
    if arguments.vectorize:
        code = _together(arguments, left, [bool(stands[entry.point.name]) for entry in left])
    else:
        jobs = [_job(arguments, entry, folder, resume=bool(stands[entry.point.name])) for entry in left]
        if arguments.slurm is not None and jobs:
            return _submit(folder, jobs, arguments.slurm, arguments.jobs)
        code = _processes(jobs, arguments.jobs)
    sys.stdout.write(f"{write_summary(folder, runs, title)}\n")
    return code


def _together(arguments: argparse.Namespace, left: Sequence[Entry], resume: Sequence[bool]) -> int:
    """The runs in this process, those that are alike together."""
    registry, groups, code = open_registry(arguments), dict[Any, list[int]](), 0
    for place, entry in enumerate(left):
        groups.setdefault(likeness(entry.cfg), []).append(place)
    with screened() as screen:
        for places in groups.values():
            cfgs, flags = [left[place].cfg for place in places], [resume[place] for place in places]
            done = run_group(cfgs, registry, screen, resume=flags)
            for place, outcome in zip(places, done.outcomes, strict=True):
                if isinstance(outcome, Exception):
                    code = 1
                    screen.say(f"{left[place].point.name}: {message_of(outcome)[0]}", "ERROR")
                elif isinstance(outcome, BaseException) or outcome.run.signal:
                    name = str(outcome) if isinstance(outcome, BaseException) else outcome.run.signal
                    return 128 + signal.Signals[name].value
    return code


def _processes(jobs: Sequence[Job], bound: int) -> int:
    """The runs as processes, at most so many at a time."""
    screen = Screen()
    try:
        codes = run_jobs(jobs, bound, _telling(screen, len(jobs)))
    finally:
        screen.close()
    return _failed(jobs, codes)


def _config(arguments: argparse.Namespace, name: str) -> Config:
    return read_config(argparse.Namespace(**{**vars(arguments), "config": name}))


def _job(arguments: argparse.Namespace, entry: Entry, folder: Path, resume: bool) -> Job:
    """``fkit train`` of a run, as a command."""
    place = [
        word for name in ("backend", "device") if (value := getattr(arguments, name)) for word in (f"--{name}", value)
    ]
    changes = [*(arguments.cfg_options or ()), *entry.point.words]
    command = (
        sys.executable, "-P", "-m", "fkit", "train", entry.config, "--work-dir", str(entry.folder), *place,
        *permissions(arguments), *(["--resume"] if resume else []), *(["--cfg-options", *changes] if changes else []),
    )  # fmt: skip
    return Job(entry.point.name or Path(entry.config).stem, command, folder / "logs" / f"{entry.folder.name}.txt")


def _telling(screen: Screen, total: int) -> Any:
    """What tells a person of the runs: a line as each ends, and a bar."""
    said: set[str] = set()
    shown = time.monotonic() - screen.seconds

    def told(codes: Mapping[str, int | None]) -> None:
        nonlocal shown
        ended = [name for name, code in codes.items() if code is not None]
        for name in ended:
            if name not in said:
                said.add(name)
                good = codes[name] == 0
                screen.say(
                    f"{name}: {'done' if good else f'ended with code {codes[name]}'}", "INFO" if good else "ERROR"
                )
        if time.monotonic() - shown >= screen.seconds:
            shown = time.monotonic()
            screen.show("sweep", len(ended), total, [name for name, code in codes.items() if code is None])

    return told


def _failed(jobs: Sequence[Job], codes: Mapping[str, int]) -> int:
    """The exit code, and what there is to say of runs that failed."""
    bad = [job for job in jobs if codes.get(job.name, 1) != 0]
    for job in bad:
        last = (
            [line for line in job.log.read_text(errors="replace").splitlines() if line.strip()][-1:]
            if job.log.exists()
            else []
        )
        sys.stderr.write(f"{job.name}: {''.join(last) or 'ended'} ({job.log})\n")
    return 1 if bad else 0


def _submit(folder: Path, jobs: Sequence[Job], options: Sequence[str], bound: int) -> int:
    """Write the array of jobs, and hand it to Slurm where that is there."""
    files = Files()
    for word in options:
        if "=" not in word:
            raise FkitValueError(f"--slurm {word}: an option of sbatch is KEY=VALUE.", repair="--slurm partition=gpu")
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{shlex.join(job.command)}\n" for job in jobs)
    files.replace(folder / "commands.txt", lines.encode())
    extra = "".join(f"#SBATCH --{word}\n" for word in options)
    most = f"%{bound}" if bound > 1 else ""
    script = (
        f"#!/bin/bash\n#SBATCH --job-name={folder.name}\n#SBATCH --array=1-{len(jobs)}{most}\n"
        f"#SBATCH --output={(folder / 'logs').resolve()}/%a.txt\n{extra}"
        f'cd {shlex.quote(os.getcwd())} && eval "$(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {shlex.quote(str((folder / "commands.txt").resolve()))})"\n'
    )
    path = folder / "sweep.sbatch"
    files.replace(path, script.encode())
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        sys.stdout.write(f"{len(jobs)} runs: sbatch {path}\n")
        sys.stderr.write("There is no sbatch on this machine: submit the script where Slurm is.\n")
        return 0
    done = subprocess.run([sbatch, str(path)], capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout)
    if done.returncode:
        raise FkitValueError(f"sbatch refuses {path}: {done.stderr.strip()}")
    sys.stderr.write("`fkit sweep` with the same words tells what has come of them.\n")
    return 0
