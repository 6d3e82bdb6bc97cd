"""A process that makes batches: deaf to the signals that end a run, gone with the process that began it, its failures told."""

import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from typing import Any, NamedTuple

from fkit.data.memory import keep_memory
from fkit.edge.output import Screened
from fkit.tree.check import expect_call
from fkit.tree.error import FkitError, RunError

__all__ = ["Failure", "attempted", "deaf", "expect_made", "settle"]

# signals that end a run, once its main process has saved it
_ENDS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Failure(NamedTuple):
    """What went wrong in a worker: told to the main process, which raises it.

    Attributes:
        error: one of the kit's own, to be raised as it is; None of others.
        what: class and message.
        trace: where it was raised.
    """

    error: FkitError | None
    what: str
    trace: str


def attempted(make: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives; a `Failure` where it raises.

    Example:
        >>> attempted(int, "7"), attempted(int, "x").what.partition(":")[0]
        (7, 'ValueError')
    """
    expect_call(make, "`make` is a function that makes a batch")
    try:
        return make(*arguments)
    except Exception as error:
        known = error if isinstance(error, FkitError) else None
        return Failure(known, f"{type(error).__name__}: {error}", traceback.format_exc())


def expect_made(answer: Any) -> Any:
    """What a worker answered.

    Raises:
        FkitError: it answered with a failure: the worker's own error, or a RunError that tells of another.

    Example:
        >>> expect_made(attempted(int, "7"))
        7
    """
    if not isinstance(answer, Failure):
        return answer
    if answer.error is not None:
        raise answer.error
    error = RunError(f"the data pipeline raised {answer.what}")
    raise error from RuntimeError(f"in a loader worker:\n{answer.trace}")


@contextmanager
def deaf() -> Generator[None]:
    """What begins inside the block is deaf to the signals that end a run, before a line of its own has run.

    SIGTERM and Ctrl-C reach a whole process group (scancel, systemd, a terminal). Processes begin with the signals that
    this thread blocks; what comes meanwhile reaches this process at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which sends no signals to groups
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    resource_tracker.ensure_running()  # a process too; its start may undo the blocking
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle(cv2_threads: int | None, _: int = 0, left: str | None = None) -> None:
    """Have this process be a worker: called in it, first of all.

    Args:
        cv2_threads: threads of OpenCV; None leaves them.
        left: a folder of the main process, which is removed here where that process ends without doing so, by kill -9 say.
    """
    keep_memory()
    if cv2_threads is not None:
        import cv2

        cv2.setNumThreads(cv2_threads)
    for number in _ENDS:  # the main process decides when the workers end
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    sys.stdout, sys.stderr = Screened(sys.stdout), Screened(sys.stderr)  # what a dataset prints never ends a run
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent, left), daemon=True).start()


def _follow(parent: Any, left: str | None) -> None:
    """End this worker when the main process has ended, by kill -9 too.

    torch's own watch looks at the parent's number, which may be the fork server's; and that lives as long as its workers.
    """
    parent.join()
    if left is not None:
        shutil.rmtree(left, ignore_errors=True)
    os._exit(1)
