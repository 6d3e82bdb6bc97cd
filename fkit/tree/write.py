"""The one way a file is written whole or not at all."""

import contextlib
import os
import tempfile

__all__ = ["atomic_write"]


def atomic_write(path: str | os.PathLike[str], data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path``: beside it, synced, then renamed into place; a failure leaves what was there.

    Args:
        path: the file; its folder must exist. A link is followed, so that the link stays.
        data: the whole content.
        sync: wait until it is on the disk, so that a power cut leaves the old content or the new one; False is for
            what can be written again: a process that is killed still leaves one of the two.

    Raises:
        OSError: the folder is missing, full or read-only.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic_write(f"{folder}/a.txt", b"hello")
        ...     sorted(p.name for p in pathlib.Path(folder).iterdir())
        ['a.txt']
    """
    name: str = os.fspath(path)
    target: str = os.path.realpath(name)
    folder: str = os.path.dirname(target)
    handle, beside = tempfile.mkstemp(prefix=f".{os.path.basename(target)[:100]}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(beside, _mode(target))  # mkstemp makes files that only their owner reads
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    if sync:
        _sync_folder(folder)


def _mode(target: str) -> int:
    try:
        return os.stat(target).st_mode & 0o7777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: str) -> None:
    # a rename is on disk only when its folder is; some file systems cannot sync one
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
