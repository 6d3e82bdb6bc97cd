"""The operations on the disk that a run makes, as a value that is passed in: a test passes one that dies at the n-th."""

import os
import shutil
from pathlib import Path

from fkit.tree.error import RunError

__all__ = ["Files"]


class Files:
    """What the edge does to files. Each call returns when the disk has it."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above it."""
        path.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file and sync it.

        Raises:
            RunError: the disk is full, or refuses.
        """
        try:
            with open(path, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:
            raise _refused(path, cause) from cause

    def append(self, path: Path, data: bytes) -> None:
        """Add to the end of a file.

        Raises:
            RunError: the disk is full, or refuses.
        """
        try:
            with open(path, "ab") as file:
                file.write(data)
        except OSError as cause:
            raise _refused(path, cause) from cause

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder its name, in place of a file that has it."""
        try:
            os.replace(old, new)
        except OSError as cause:
            raise _refused(new, cause) from cause

    def sync(self, folder: Path) -> None:
        """Wait until the disk has the names in a folder."""
        if os.name == "nt":  # Windows opens no folders, and syncs names with their files
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder and all in it; what is not there is no error."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _refused(path: Path, cause: OSError) -> RunError:
    return RunError(
        f"{path}: cannot be written: {cause.strerror or cause}.",
        repair="What was saved before is intact; make room (or name another --work-dir), and go on with --resume.",
    )
