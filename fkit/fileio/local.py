"""The local disk as a storage backend."""

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fkit.fileio.error import FkitFileExistsError, FkitSameFileError, told
from fkit.fileio.path import listing, mkdir_or_exist, symlink
from fkit.tree.error import FkitRuntimeError
from fkit.tree.write import atomic_write

__all__ = ["LocalStorage", "PathLike"]

PathLike: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class LocalStorage:
    """Files of this machine. Its methods are mmengine's backend methods; files are written whole or not at all.

    Example:
        >>> import tempfile
        >>> disk = LocalStorage()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     disk.put_text("hello", disk.join_path(folder, "new", "a.txt"))
        ...     disk.get_text(disk.join_path(folder, "new", "a.txt")), list(disk.list_dir_or_file(folder))
        ('hello', ['new'])
    """

    @property
    def name(self) -> str:
        """This backend's name."""
        return "local"

    def get(self, filepath: PathLike) -> bytes:
        """The content of a file."""
        with told(str(filepath), "read"), open(_local(filepath), "rb") as file:
            return file.read()

    def get_text(self, filepath: PathLike, encoding: str = "utf-8") -> str:
        """The content of a file as text."""
        with told(str(filepath), "read as text"):
            return self.get(filepath).decode(encoding)

    def put(self, obj: bytes, filepath: PathLike) -> None:
        """Write a file whole, making its folders."""
        path = _local(filepath)
        with told(str(filepath), "written"):
            mkdir_or_exist(os.path.dirname(path))
            atomic_write(path, bytes(obj))

    def put_text(self, obj: str, filepath: PathLike, encoding: str = "utf-8") -> None:
        """Write a text file whole, making its folders."""
        with told(str(filepath), "written as text"):
            self.put(obj.encode(encoding), filepath)

    def exists(self, filepath: PathLike) -> bool:
        """Whether there is a file or folder."""
        return os.path.exists(_local(filepath))

    def isdir(self, filepath: PathLike) -> bool:
        """Whether there is a folder."""
        return os.path.isdir(_local(filepath))

    def isfile(self, filepath: PathLike) -> bool:
        """Whether there is a file."""
        return os.path.isfile(_local(filepath))

    def join_path(self, filepath: PathLike, *filepaths: PathLike) -> str:
        """`os.path.join`."""
        return os.path.join(filepath, *filepaths)

    @contextmanager
    def get_local_path(self, filepath: PathLike) -> Generator[str]:
        """The path itself: nothing is copied."""
        yield _local(filepath)

    def copyfile(self, src: PathLike, dst: PathLike) -> str:
        """Copy a file; into ``dst`` under its own name where that is a folder. Returns the new path.

        Raises:
            FkitSameFileError: both are one file.
        """
        source, target = _local(src), _local(dst)
        if os.path.isdir(target):
            target = os.path.join(target, os.path.basename(source))
        with told(str(src), f"copied to {target}"):
            if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
                raise FkitSameFileError(f"cannot be copied to {target}: they are one file.", origin=str(src))
            mkdir_or_exist(os.path.dirname(target))
            return shutil.copy(source, target)

    def copytree(self, src: PathLike, dst: PathLike) -> str:
        """Copy a folder; returns the new path.

        Raises:
            FkitFileExistsError: ``dst`` is there already.
        """
        if os.path.exists(_local(dst)):
            raise FkitFileExistsError("is there already; a folder is copied to a new place.", origin=str(dst))
        with told(str(src), f"copied to {dst}"):
            return shutil.copytree(_local(src), _local(dst))

    def copyfile_from_local(self, src: PathLike, dst: PathLike) -> str:
        """`copyfile`: this storage is the local one."""
        return self.copyfile(src, dst)

    def copytree_from_local(self, src: PathLike, dst: PathLike) -> str:
        """`copytree`."""
        return self.copytree(src, dst)

    def copyfile_to_local(self, src: PathLike, dst: PathLike) -> str:
        """`copyfile`."""
        return self.copyfile(src, dst)

    def copytree_to_local(self, src: PathLike, dst: PathLike) -> str:
        """`copytree`."""
        return self.copytree(src, dst)

    def remove(self, filepath: PathLike) -> None:
        """Delete a file."""
        with told(str(filepath), "removed"):
            os.remove(_local(filepath))

    def rmtree(self, dir_path: PathLike) -> None:
        """Delete a folder and what is in it."""
        with told(str(dir_path), "removed"):
            shutil.rmtree(_local(dir_path))

    def copy_if_symlink_fails(self, src: PathLike, dst: PathLike) -> bool:
        """Link ``dst`` to ``src``; copy where the file system has no links. Returns whether it is a link."""
        try:
            symlink(src, dst, overwrite=False)
            return True
        except (OSError, NotImplementedError):
            with told(str(src), f"linked or copied to {dst}"):
                (self.copyfile if os.path.isfile(src) else self.copytree)(src, dst)
            return False

    def list_dir_or_file(
        self,
        dir_path: PathLike,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """The folders and files inside a folder, in order, relative to it; hidden ones (``.name``) are left out.

        Args:
            dir_path: the folder.
            list_dir: give folders.
            list_file: give files.
            suffix: give only files that end so; needs ``list_dir=False``.
            recursive: go into the folders.

        Raises:
            FkitTypeError: ``suffix`` with ``list_dir``, or one that is no string.
            FkitFileNotFoundError: there is no such folder.
        """

        def children(inner: str) -> list[tuple[str, bool]]:
            with told(str(dir_path), "listed"), os.scandir(os.path.join(_local(dir_path), inner)) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries]

        return listing(children, list_dir, list_file, suffix, recursive)

    def generate_presigned_url(self, url: str, client_method: str = "get_object", expires_in: int = 3600) -> Any:
        """Local files have no signed address.

        Raises:
            FkitRuntimeError: always.
        """
        raise FkitRuntimeError("a local file has no signed address.", origin=url)


def _local(filepath: PathLike) -> str:
    """A path of the system; ``file:///a/b`` and ``local://a`` are addresses of one."""
    path = os.fspath(filepath)
    for prefix in ("file://", "local://"):
        if path.startswith(prefix):
            return str(Path(path[len(prefix) :]))
    return path
