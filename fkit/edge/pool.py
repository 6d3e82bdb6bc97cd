"""Several processes at a time, each to its end: what a sweep's runs are."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fkit.edge.signal import ending
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitOSError, FkitValueError

__all__ = ["Job", "run_jobs"]

_LOOK_SECONDS = 0.1


class Job(NamedTuple):
    """A command to run.

    Attributes:
        name: what it is called.
        command: its words.
        log: the file that takes what it prints.
    """

    name: str
    command: tuple[str, ...]
    log: Path


def run_jobs(
    jobs: Sequence[Job],
    bound: int,
    told: Callable[[Mapping[str, int | None]], None] = lambda codes: None,
    *,
    environment: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Run commands, at most ``bound`` at a time, in order, each in a session of its own.

    A signal to this process goes on to those that run, as SIGTERM, and is raised once they have ended: a run saves itself.

    Args:
        told: is told now and then: {name: exit code, or None of one that runs}, of those begun so far.
        environment: of the commands; None: this process's.

    Returns:
        {name: exit code}; of one that a signal ended 128 more than its number.

    Raises:
        FkitValueError: the bound is below 1.
        FkitOSError: a command cannot be started; those that run are ended first.
        fkit.edge.signal.Ended: a signal came.
    """
    expect_number(bound, "run_jobs: bound", whole=True)
    if bound < 1:
        raise FkitValueError(f"run_jobs: bound = {bound}: at least one at a time.")
    for job in jobs:
        expect(job, Job, "a job is a Job")
    waiting, running = list(jobs), dict[str, subprocess.Popen[bytes]]()
    codes: dict[str, int | None] = {}
    with ending():
        try:
            while waiting or running:
                while waiting and len(running) < bound:
                    job = waiting.pop(0)
                    running[job.name], codes[job.name] = _begun(job, environment), None
                for name, child in list(running.items()):
                    code = child.poll()
                    if code is not None:
                        codes[name] = code if code >= 0 else 128 - code
                        del running[name]
                told(codes)
                if running:
                    time.sleep(_LOOK_SECONDS)
        finally:
            for child in running.values():
                with contextlib.suppress(OSError):
                    child.send_signal(signal.SIGTERM)
            for child in running.values():
                child.wait()
    return {name: code for name, code in codes.items() if code is not None}


def _begun(job: Job, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    try:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            return subprocess.Popen(
                job.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=None if environment is None else dict(environment),
            )  # fmt: skip
    except OSError as cause:
        raise FkitOSError(f"{job.name}: {job.command[0]} cannot be started: {cause.strerror or cause}.") from cause
