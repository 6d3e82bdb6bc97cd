"""The operations on the disk that a run makes, as a value that is passed in: a test passes one that dies at the n-th."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fkit.tree.error import RunError
from fkit.tree.write import atomic_write

__all__ = ["Files"]


class Files:
    """What the edge does to files. Each call but `append` returns when the disk has it.

    Raises (each of them):
        RunError: the disk is full, or refuses.
    """

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above it."""
        with _telling(path):
            path.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file and sync it."""
        with _telling(path), open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, in place of one that is there."""
        with _telling(path):
            atomic_write(path, data)

    def append(self, path: Path, data: bytes) -> None:
        """Add to the end of a file."""
        with _telling(path), open(path, "ab") as file:
            file.write(data)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder its name, in place of a file that has it."""
        with _telling(new):
            os.replace(old, new)

    def sync(self, folder: Path) -> None:
        """Wait until the disk has the names in a folder."""
        if os.name == "nt":  # Windows opens no folders, and syncs names with their files
            return
        with _telling(folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder and all in it; what is not there is no error."""
        with _telling(path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def _telling(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as cause:
        raise RunError(
            f"{path}: cannot be written: {cause.strerror or cause}.",
            repair="What was saved before is intact; make room (or name another --work-dir), and go on with --resume.",
        ) from cause
