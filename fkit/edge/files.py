"""The operations on the disk that a run makes, as a value that is passed in: a test passes one that dies at the n-th."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fkit.tree.error import RunError
from fkit.tree.place import place_of
from fkit.tree.write import atomic_write

__all__ = ["Files", "place_of"]


class Files:
    """What the edge does to files. Each call but `append` returns when the disk has it.

    Files that grow stay open from line to line; `close` lets them go.

    Raises (each of them):
        RunError: the disk is full, or refuses.
    """

    def __init__(self) -> None:
        self._ends: dict[Path, _End] = {}

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

    def append(self, path: Path, data: bytes) -> bool:
        """Add to the end of a file. What was added outlives a process that is killed.

        Returns:
            whether the file was opened for it: the first time, or because another file, or none, has its name by now
            (removed, rotated), or it has become shorter.
        """
        with _telling(path):
            end = self._ends.get(path)
            if end is not None and end.stands():
                end.add(data)
                return False
            if end is not None:
                end.close()
            self._ends[path] = end = _End(path)
            end.add(data)
            return True

    def close(self) -> None:
        """Close the files that grow; another `append` opens its file again."""
        while self._ends:
            self._ends.popitem()[1].close()

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder its name, in place of a file that has it."""
        with _telling(new):
            os.replace(old, new)

    def link(self, folder: Path, name: Path) -> None:
        """Give a folder that lies elsewhere a name."""
        with _telling(name):
            name.parent.mkdir(parents=True, exist_ok=True)
            name.symlink_to(folder, target_is_directory=True)

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


class _End:
    """The end of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = os.fspath(path), -1
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        state = os.fstat(self._file)
        self._is = (state.st_ino, state.st_dev)
        self._size = state.st_size

    def stands(self) -> bool:
        """Whether the name is still that of the open file, with all that was added."""
        try:
            state = os.stat(self._path)
        except OSError:
            return False
        return (state.st_ino, state.st_dev) == self._is and state.st_size >= self._size

    def add(self, data: bytes) -> None:
        left = len(data)
        while left:
            left -= os.write(self._file, data[-left:])
        self._size += len(data)

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    __del__ = close  # an edge that nobody closes lets go of its files in silence


@contextmanager
def _telling(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as cause:
        raise RunError(
            f"{path}: cannot be written: {cause.strerror or cause}.",
            repair="What was saved before is intact; make room (or name another --work-dir), and go on with --resume.",
        ) from cause
