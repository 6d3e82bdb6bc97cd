"""One run at a time in a work folder: a lock that the system lets go of when its process ends, however it ends."""

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from fkit.edge.files import place_of
from fkit.tree.check import expect_call
from fkit.tree.error import FkitError, FkitOSError, FkitValueError, RunError, is_full

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["LOCK", "flock", "hold", "is_alive"]

LOCK = ".lock"
"""The file of a work folder that its run holds; it names who does."""

_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)  # NFS says the last
_OTHER = "Name another --work-dir."
_TRIES = 100  # against others that begin and end at the same moment


def flock(handle: int) -> None:
    """Lock an open file for this process alone, at once.

    Raises:
        OSError: EAGAIN, where another process holds it; any other, where this system or this disk knows no locks.
    """
    if fcntl is None:
        raise OSError(errno.ENOTSUP, "this system has no flock")
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def hold(folder: str | os.PathLike[str], take: Callable[[int], None] = flock) -> Generator[str]:
    """Hold a work folder while the context lasts; it is made where there is none, and taken away again if it stays empty.

    What is held is a lock of the system on an open file, so that a process that is killed lets go of it; no process that
    this one starts inherits the file. On NFS the server keeps the lock, for all its clients. Where a disk or a system knows
    no locks, the file's words decide: a run of this machine that has ended is passed over, any other is believed to live;
    only two runs that begin in the very same moment are not told apart there.

    Args:
        folder: the work folder.
        take: locks an open file; a test passes one that cannot.

    Yields:
        what a person should be told of it, or "".

    Raises:
        FkitValueError: another run holds the folder; says which.
        FkitOSError: no folder can be made there, or no file written.
        RunError: the disk is full.
    """
    folder = place_of(folder, "`folder` is the path of a work folder")
    expect_call(take, "`take` is a function that locks an open file")
    with _telling(folder):
        fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    handle = -1
    try:
        handle, note = _open(folder, take)
        yield note
    finally:
        if handle >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
                os.unlink(folder / LOCK)  # while nobody else can hold it
            os.close(handle)
        for path in fresh:
            with contextlib.suppress(OSError, ValueError):  # it is not empty, mostly
                path.rmdir()


def is_alive(folder: str | os.PathLike[str]) -> bool:
    """Whether a run holds a folder, as far as its lock's words say, which is looked at and not taken: one of this machine
    whose process has ended does not.

    Example:
        >>> is_alive("nothing/there")
        False
    """
    place = place_of(folder, "`folder` is the path of a work folder")
    try:
        words: Any = json.loads((place / LOCK).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # one that has just begun, or that belongs to somebody else
        return True
    return not (isinstance(words, dict) and _is_here(words) and _has_ended(words))  # pyright: ignore[reportUnknownArgumentType]


def _open(folder: Path, take: Callable[[int], None]) -> tuple[int, str]:
    """The lock's open file, held, and what there is to say."""
    for _ in range(_TRIES):
        with _telling(folder), contextlib.suppress(FileNotFoundError):  # one that ends takes its empty folder away
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)  # no process started from here gets it
            try:
                note = _take(folder, handle, take)
                if os.path.samestat(os.stat(folder / LOCK), os.fstat(handle)):
                    _sign(handle)
                    return handle, note
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # it was that of one that has just ended
    raise FkitOSError(f"{folder}: no folder can be made there: no such place.", repair=_OTHER)


def _take(folder: Path, handle: int, take: Callable[[int], None]) -> str:
    try:
        take(handle)
    except OSError as cause:
        if cause.errno in _HELD:
            raise _held(folder, _holder(handle, 20)) from cause
        holder = _holder(handle, 1)
        if holder and not (_is_here(holder) and _has_ended(holder)):
            raise _held(folder, holder, f" If it does not live any more, remove {folder / LOCK}.") from cause
        return f"{folder}: this disk knows no locks ({cause.strerror}): see that no second run writes there."
    return ""


def _sign(handle: int) -> None:
    """Say in the file who holds it."""
    words = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    with contextlib.suppress(OSError):  # a full disk: it is held without the words
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, (json.dumps(words) + "\n").encode())


def _holder(handle: int, looks: int) -> Mapping[str, Any]:
    """Who holds it, as far as the file says; one that has just begun has a moment to say it."""
    for look in range(looks):
        if look:
            time.sleep(0.01)
        with contextlib.suppress(OSError, ValueError):
            os.lseek(handle, 0, os.SEEK_SET)
            words: Any = json.loads(os.read(handle, 4096))
            if isinstance(words, dict):
                return words  # pyright: ignore[reportUnknownVariableType]
    return {}


def _held(folder: Path, holder: Mapping[str, Any], more: str = "") -> FkitValueError:
    if holder:
        who = f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"
        if _is_here(holder) and _has_ended(holder):
            who += ", which has ended, and a process that it began lives on"
    else:
        who = "a process that has not said which"
    return FkitValueError(
        f"{folder}: another run is going on there ({who}).",
        repair=f"Wait for its end, or name another --work-dir.{more}",
    )


def _is_here(holder: Mapping[str, Any]) -> bool:
    return holder.get("host") == socket.gethostname()


def _has_ended(holder: Mapping[str, Any]) -> bool:
    if os.name == "nt":  # where the signal 0 is Ctrl-C
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return False


@contextlib.contextmanager
def _telling(folder: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as cause:
        if isinstance(cause, FkitError):
            raise
        why = getattr(cause, "strerror", None) or cause
        if is_full(cause):
            raise RunError(f"{folder}: cannot be written: {why}.", repair=f"Make room. {_OTHER}") from cause
        what = "no file can be written" if os.path.isdir(folder) else "no folder can be made"
        raise FkitOSError(f"{folder}: {what} there: {why}.", repair=_OTHER) from cause
