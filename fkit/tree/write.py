"""The one way a file is written whole or not at all."""

import contextlib
import os
import re
import stat
from collections.abc import Generator
from typing import IO

from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitValueError

__all__ = ["atomic_file", "atomic_write"]

# an open file of a process: whatever kind of file it is, who opened it goes on with that very one
_OPENED = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")


def atomic_write(path: str | os.PathLike[str], data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path``: beside it, synced, then renamed into place; a failure leaves what was there.

    Where ``path`` is no regular file but a pipe or a device (``/dev/null``, ``/dev/stdout``), it is written into, and
    stays what it is.

    Args:
        path: the file; its folder must exist. A link is followed, so that the link stays.
        data: the whole content.
        sync: wait until it is on the disk, so that a power cut leaves the old content or the new one; False is for
            what can be written again: a process that is killed still leaves one of the two.

    Raises:
        FkitOSError: the folder is missing, full or read-only (`FkitFileNotFoundError` where it is missing), or the path
            is a folder, a socket or a disk. Its ``errno`` and ``strerror`` are those of the system.
        FkitTypeError: ``data`` are no bytes.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic_write(f"{folder}/a.txt", b"hello")
        ...     sorted(p.name for p in pathlib.Path(folder).iterdir())
        ['a.txt']
    """
    expect(path, (str, os.PathLike), "`path` is the path of a file")
    expect(data, (bytes, bytearray, memoryview), "`data` are bytes", repair="text.encode() gives those of a text.")
    with _telling(os.fspath(path)), atomic_file(path, sync=sync) as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], *, sync: bool = True) -> Generator[IO[bytes]]:
    """A file to write into, piece by piece, which has its name when all is written; as `atomic_write`.

    Where what is inside raises, nothing is left of it.

    Args:
        path, sync: as of `atomic_write`.

    Example:
        >>> import pathlib, tempfile
        >>> place = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_file(place) as file:
        ...     _ = file.write(b"hello")
        ...     place.exists()
        False
        >>> place.read_bytes()
        b'hello'
    """
    expect(path, (str, os.PathLike), "`path` is the path of a file")
    name: str = os.fspath(path)
    with _telling(name):
        known = _stat(name)
        if known is not None and not _is_replaced(name, known.st_mode):
            opened = _written_into(name, known.st_mode)
        else:  # a link stays a link; what stands above it is the system's to follow
            target = os.path.realpath(name) if os.path.islink(name) else name
            opened = _replaced(target, None if known is None else stat.S_IMODE(known.st_mode), sync)
        file = opened.__enter__()
    try:
        yield file
    except BaseException as error:
        with contextlib.suppress(OSError):  # what was raised first is what is told
            opened.__exit__(type(error), error, error.__traceback__)
        raise
    with _telling(name):
        opened.__exit__(None, None, None)


@contextlib.contextmanager
def _telling(name: str) -> Generator[None]:
    """Errors of the system, told of the file."""
    try:
        yield
    except FileNotFoundError as cause:
        if isinstance(cause, FkitFileNotFoundError):
            raise
        raise _told(FkitFileNotFoundError, name, cause) from cause
    except OSError as cause:
        if isinstance(cause, FkitOSError):
            raise
        raise _told(FkitOSError, name, cause) from cause
    except FkitValueError:
        raise
    except ValueError as cause:  # a name with a zero byte
        raise FkitValueError(f"{name!r} is no path of a file: {cause}.") from cause


def _stat(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None


def _told(kind: type[FkitOSError | FkitFileNotFoundError], name: str, cause: OSError) -> OSError:
    error = kind(f"{name}: cannot be written: {cause.strerror or cause}.")
    error.errno, error.strerror, error.filename = cause.errno, cause.strerror, name
    return error


def _is_replaced(name: str, mode: int) -> bool:
    return stat.S_ISREG(mode) and not _OPENED.fullmatch(os.path.abspath(name))


@contextlib.contextmanager
def _written_into(name: str, mode: int) -> Generator[IO[bytes]]:
    for is_kind, word in ((stat.S_ISDIR, "a folder"), (stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a disk")):
        if is_kind(mode):
            raise FkitOSError(f"{name}: cannot be written: it is {word}.", repair="Name a file.")
    # at the end: where a shell sent the output to a file, there is text in it already
    with os.fdopen(os.open(name, os.O_WRONLY | os.O_APPEND), "wb") as file:
        yield file


@contextlib.contextmanager
def _replaced(target: str, mode: int | None, sync: bool) -> Generator[IO[bytes]]:
    folder, last = os.path.split(target)
    beside = os.path.join(folder, f".{last[:100]}.{os.urandom(6).hex()}.tmp")
    # the system takes the process's umask from these bits: asking for the umask would set it, for all threads
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            fresh = stat.S_IMODE(os.fstat(handle).st_mode)
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None and mode != fresh:
            os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    if sync:
        _sync_folder(folder or os.curdir)


def _sync_folder(folder: str) -> None:
    # a rename is on disk only when its folder is; some file systems cannot sync one
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
