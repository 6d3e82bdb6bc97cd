"""The local disk as a storage backend."""

import contextlib
import errno
import io
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from fkit.fileio.error import FileErrors, FkitFileExistsError, FkitSameFileError, file_error
from fkit.fileio.path import listing, local_path, mkdir_or_exist, path_text, symlink
from fkit.tree.error import FkitRuntimeError, FkitTypeError
from fkit.tree.write import atomic_write

__all__ = ["LocalStorage", "PathLike", "content_of", "text_of"]

PathLike: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class LocalStorage:
    """Files of this machine. Its methods are mmengine's backend methods.

    A file is written whole or not at all, whenever the process is killed; it is not waited for until the disk has it.

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
        path = local_path(filepath)
        try:
            with io.FileIO(path) as file:
                return file.readall()
        except Exception as cause:
            raise file_error(cause, path_text(filepath), "read") from cause

    def get_text(self, filepath: PathLike, encoding: str = "utf-8") -> str:
        """The content of a file as text."""
        with FileErrors(path_text(filepath), "read as text"):
            return self.get(filepath).decode(encoding)

    def put(self, obj: bytes, filepath: PathLike) -> None:
        """Write a file whole, making its folders."""
        path, content = local_path(filepath), content_of(obj, path_text(filepath))
        with FileErrors(path_text(filepath), "written"):
            try:
                atomic_write(path, content, sync=False)
            except OSError as cause:
                if cause.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                mkdir_or_exist(os.path.dirname(path))
                atomic_write(path, content, sync=False)

    def put_text(self, obj: str, filepath: PathLike, encoding: str = "utf-8") -> None:
        """Write a text file whole, making its folders."""
        with FileErrors(path_text(filepath), "written as text"):
            self.put(text_of(obj, path_text(filepath)).encode(encoding), filepath)

    def exists(self, filepath: PathLike) -> bool:
        """Whether there is a file or folder."""
        return os.path.exists(local_path(filepath))

    def isdir(self, filepath: PathLike) -> bool:
        """Whether there is a folder."""
        return os.path.isdir(local_path(filepath))

    def isfile(self, filepath: PathLike) -> bool:
        """Whether there is a file."""
        return os.path.isfile(local_path(filepath))

    def join_path(self, filepath: PathLike, *filepaths: PathLike) -> str:
        """`os.path.join`."""
        return os.path.join(path_text(filepath), *map(path_text, filepaths))

    @contextmanager
    def get_local_path(self, filepath: PathLike) -> Generator[str]:
        """The path itself: nothing is copied."""
        yield local_path(filepath)

    def copyfile(self, src: PathLike, dst: PathLike) -> str:
        """Copy a file; into ``dst`` under its own name where that is a folder. Returns the new path.

        Raises:
            FkitSameFileError: both are one file.
        """
        source, target = local_path(src), local_path(dst)
        if os.path.isdir(target):
            target = os.path.join(target, os.path.basename(source))
        with FileErrors(path_text(src), f"copied to {target}"):
            if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
                raise FkitSameFileError(f"cannot be copied to {target}: they are one file.", origin=path_text(src))
            mkdir_or_exist(os.path.dirname(target))
            return _copy_whole(source, target)

    def copytree(self, src: PathLike, dst: PathLike) -> str:
        """Copy a folder; returns the new path.

        Raises:
            FkitFileExistsError: ``dst`` is there already.
        """
        if os.path.exists(local_path(dst)):
            raise FkitFileExistsError("is there already; a folder is copied to a new place.", origin=path_text(dst))
        with FileErrors(path_text(src), f"copied to {dst}"):
            return shutil.copytree(local_path(src), local_path(dst))

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
        with FileErrors(path_text(filepath), "removed"):
            os.remove(local_path(filepath))

    def rmtree(self, dir_path: PathLike) -> None:
        """Delete a folder and what is in it."""
        with FileErrors(path_text(dir_path), "removed"):
            shutil.rmtree(local_path(dir_path))

    def copy_if_symlink_fails(self, src: PathLike, dst: PathLike) -> bool:
        """Link ``dst`` to ``src``; copy where the file system has no links. Returns whether it is a link."""
        try:
            symlink(src, dst, overwrite=False)
            return True
        except (OSError, NotImplementedError):
            with FileErrors(path_text(src), f"linked or copied to {dst}"):
                (self.copytree if self.isdir(src) else self.copyfile)(src, dst)
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
            with (
                FileErrors(path_text(dir_path), "listed"),
                os.scandir(os.path.join(local_path(dir_path), inner)) as entries,
            ):
                return [(entry.name, entry.is_dir()) for entry in entries]

        return listing(children, list_dir, list_file, suffix, recursive)

    def generate_presigned_url(self, url: str, client_method: str = "get_object", expires_in: int = 3600) -> Any:
        """Local files have no signed address.

        Raises:
            FkitRuntimeError: always.
        """
        raise FkitRuntimeError("a local file has no signed address.", origin=path_text(url))


def content_of(value: Any, where: str) -> bytes:
    """The bytes that a storage is asked to write.

    Raises:
        FkitTypeError: a value that is none.

    Example:
        >>> content_of(bytearray(b"1"), "a.bin")
        b'1'
    """
    if type(value) is bytes:
        return value
    if isinstance(value, io.BytesIO):
        return value.getvalue()
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise FkitTypeError(
            f"a file is written of bytes, not of a {type(value).__name__}.",
            origin=where,
            repair="Write text by put_text, and other values by dump.",
        )
    return bytes(value)


def text_of(value: Any, where: str) -> str:
    """The text that a storage is asked to write.

    Raises:
        FkitTypeError: a value that is none.
    """
    if not isinstance(value, str):
        raise FkitTypeError(
            f"a text file is written of a str, not of a {type(value).__name__}.",
            origin=where,
            repair="Write bytes by put, and other values by dump.",
        )
    return value


def _copy_whole(source: str, target: str) -> str:
    """Copy a file with its permissions, whole or not at all; into what is no regular file (a device), its content."""
    if os.path.exists(target) and not os.path.isfile(target):
        with open(source, "rb") as reading, open(target, "wb") as writing:
            shutil.copyfileobj(reading, writing)
        return target
    place = os.path.realpath(target)
    handle, beside = tempfile.mkstemp(prefix=".copy.", suffix=".tmp", dir=os.path.dirname(place))
    try:
        os.close(handle)
        shutil.copy(source, beside)
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    return target
