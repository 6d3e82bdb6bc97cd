"""Storages beyond the local disk, through fsspec: http(s), memory, zip, S3-like, lmdb, and whatever else it knows."""

import glob
import importlib
import os
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from frozendict import frozendict

from fkit.fileio.error import FileErrors, FkitFileExistsError, FkitSameFileError
from fkit.fileio.local import LocalStorage, PathLike, content_of, text_of
from fkit.fileio.path import listing, local_path, path_text
from fkit.fileio.progress import progress
from fkit.tree.error import FkitFileNotFoundError, FkitTypeError, FkitValueError
from fkit.tree.name import open_name

__all__ = ["Storage"]

_LONG_BYTES = 16 << 20  # downloads from here on show their progress
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Storage:
    """A file system of fsspec behind mmengine's backend methods.

    Args:
        protocol: fsspec's name of it: "http", "memory", "s3", ...
        options: what its constructor takes.
        mapping: beginnings of paths, each to be replaced by another (mmengine's ``path_mapping``).
        inside: paths lie inside an archive, and may not leave it.
        maker: ``"module:attribute"`` of a file system that fsspec does not know.

    A storage is opened when it is first used; ``with`` closes it, which an archive that was written needs.

    Example:
        >>> memory = Storage("memory")
        >>> memory.put(b"hello", "memory://demo/a.txt")
        >>> memory.get_text("memory://demo/a.txt"), list(memory.list_dir_or_file("memory://demo"))
        ('hello', ['a.txt'])
        >>> memory.rmtree("memory://demo")
    """

    protocol: str
    options: Mapping[str, Any] = field(default_factory=frozendict)
    mapping: tuple[tuple[str, str], ...] = ()
    inside: bool = False
    maker: str = ""

    def __post_init__(self) -> None:
        if not isinstance(cast(Any, self.protocol), str) or not isinstance(cast(Any, self.options), Mapping):
            raise FkitTypeError(
                f"a storage is made of a protocol's name and a mapping of options, not of {self.protocol!r:.40} and "
                f"{self.options!r:.40}."
            )

    @cached_property
    def fs(self) -> Any:
        """The fsspec file system."""
        fsspec: Any = importlib.import_module("fsspec")
        # an archive is opened anew, not taken from fsspec's cache: the file may have changed
        options = {**self.options, "skip_instance_cache": True} if self.inside else dict(self.options)
        with FileErrors(self._source or self.protocol, "opened"):
            return open_name(self.maker)(**options) if self.maker else fsspec.filesystem(self.protocol, **options)

    def close(self) -> None:
        """Let go of what is open; an archive writes its table of contents."""
        opened = self.__dict__.pop("fs", None)
        close = getattr(opened, "close", None)
        if close is not None:
            with FileErrors(self._source or self.protocol, "closed"):
                close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "fs"}  # each process opens its own

    def __enter__(self) -> "Storage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _source(self) -> str:
        """The archive or database, which an error names in place of what is asked of it; empty where there is none."""
        return str(self.options.get("fo") or self.options.get("db_path") or "")

    @property
    def name(self) -> str:
        """The protocol."""
        return self.protocol

    def _at(self, filepath: PathLike) -> str:
        path = path_text(filepath)
        for old, new in self.mapping:
            if path.startswith(old):
                path = new + path[len(old) :]
                break
        if self.inside:
            path = _enclosed(path.removeprefix(f"{self.protocol}://").partition("::")[0], path)
        return path

    # --------------------------------------------------------------------------------------------- reading

    def get(self, filepath: PathLike) -> bytes:
        """The content of a file; a long one shows its progress."""
        with FileErrors(path_text(filepath), "read"):
            return self._read(self._at(filepath), Path(path_text(filepath)).name)

    def _read(self, path: str, label: str) -> bytes:
        try:
            with self.fs.open(path, "rb") as file:
                size = getattr(file, "size", None)
                if size is not None and size < _LONG_BYTES:
                    return file.read()
                first = file.read(_LONG_BYTES)
                if size is None and len(first) < _LONG_BYTES:
                    return first
                parts = [first]
                with progress(label, size, unit="bytes") as advance:
                    advance(len(first))
                    while part := file.read(_CHUNK_BYTES):
                        parts.append(part)
                        advance(len(part))
                return b"".join(parts)
        except KeyError as cause:  # what zipfile raises for a name that it lacks
            raise FileNotFoundError(path) from cause

    def get_text(self, filepath: PathLike, encoding: str = "utf-8") -> str:
        """The content of a file as text."""
        with FileErrors(path_text(filepath), "read as text"):
            return self.get(filepath).decode(encoding)

    def exists(self, filepath: PathLike) -> bool:
        """Whether there is a file or folder."""
        with FileErrors(path_text(filepath), "asked for"):
            return bool(self.fs.exists(self._at(filepath)))

    def isdir(self, filepath: PathLike) -> bool:
        """Whether there is a folder."""
        with FileErrors(path_text(filepath), "asked for"):
            return bool(self.fs.isdir(self._at(filepath)))

    def isfile(self, filepath: PathLike) -> bool:
        """Whether there is a file."""
        with FileErrors(path_text(filepath), "asked for"):
            return bool(self.fs.isfile(self._at(filepath)))

    def join_path(self, filepath: PathLike, *filepaths: PathLike) -> str:
        """The parts joined by ``/``."""
        parts = [path_text(part).strip("/") for part in filepaths]
        return "/".join([path_text(filepath).rstrip("/"), *parts]) if parts else path_text(filepath)

    @contextmanager
    def get_local_path(self, filepath: PathLike) -> Generator[str]:
        """A local copy of a file, deleted at the end of the ``with``."""
        data = self.get(filepath)
        handle, path = tempfile.mkstemp(suffix=Path(path_text(filepath).partition("::")[0]).suffix)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            yield path
        finally:
            Path(path).unlink(missing_ok=True)

    def list_dir_or_file(
        self,
        dir_path: PathLike,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """The folders and files inside a folder, as `LocalStorage.list_dir_or_file` gives them."""
        root = self._at(dir_path)

        def children(inner: str) -> list[tuple[str, bool]]:
            folder = "/".join(part for part in (root.rstrip("/"), inner) if part) if inner else root
            with FileErrors(path_text(dir_path), "listed"):
                if not inner and not self.fs.isdir(folder):
                    raise FileNotFoundError(folder)
                entries = self.fs.ls(folder, detail=True)
            pairs = ((str(entry["name"]).rstrip("/").rpartition("/")[2], entry["type"]) for entry in entries)
            if self.inside:
                pairs = ((_enclosed(name, f"{dir_path}: {name}"), kind) for name, kind in pairs)
            return [(name, kind == "directory") for name, kind in pairs if name]

        return listing(children, list_dir, list_file, suffix, recursive)

    def generate_presigned_url(self, url: str, client_method: str = "get_object", expires_in: int = 3600) -> str:
        """A signed address of a file, for so many seconds."""
        with FileErrors(path_text(url), "signed"):
            return str(self.fs.sign(self._at(url), expiration=expires_in, client_method=client_method))

    # --------------------------------------------------------------------------------------------- writing

    def put(self, obj: bytes, filepath: PathLike) -> None:
        """Write a file, making its folders."""
        path, content = self._at(filepath), content_of(obj, path_text(filepath))
        with FileErrors(path_text(filepath), "written"):
            folder = path.rpartition("/")[0]
            if folder and not folder.endswith(":/") and not self.inside:
                self.fs.makedirs(folder, exist_ok=True)
            self.fs.pipe_file(path, content)

    def put_text(self, obj: str, filepath: PathLike, encoding: str = "utf-8") -> None:
        """Write a text file, making its folders."""
        with FileErrors(path_text(filepath), "written as text"):
            self.put(text_of(obj, path_text(filepath)).encode(encoding), filepath)

    def remove(self, filepath: PathLike) -> None:
        """Delete a file."""
        with FileErrors(path_text(filepath), "removed"):
            if self.fs.isdir(self._at(filepath)):
                raise IsADirectoryError(path_text(filepath))
            self.fs.rm_file(self._at(filepath))

    def rmtree(self, dir_path: PathLike) -> None:
        """Delete a folder and what is in it."""
        with FileErrors(path_text(dir_path), "removed"):
            path = self._at(dir_path)
            if not glob.has_magic(path):
                self.fs.rm(path, recursive=True)
                return
            # fsspec takes [ and * for a pattern, and would delete what matches it
            files, folders = self.fs.find(path), self.fs.find(path, withdirs=True)
            for file in files:
                self.fs.rm_file(file)
            root = self.fs._strip_protocol(path)
            for folder in sorted({root, *folders} - set(files), key=len, reverse=True):
                if self.fs.exists(folder):
                    self.fs.rmdir(folder)

    # --------------------------------------------------------------------------------------------- copying

    def copyfile(self, src: PathLike, dst: PathLike) -> str:
        """Copy a file inside the storage; into ``dst`` under its own name where that is a folder."""
        source, target = self._at(src), self._into(dst, src)
        if source == self._at(target):
            raise FkitSameFileError(f"cannot be copied to {target}: they are one file.", origin=path_text(src))
        self.put(self.get(src), target)
        return target

    def copytree(self, src: PathLike, dst: PathLike) -> str:
        """Copy a folder inside the storage to a new place."""
        self._new(dst)
        for path in self._files(src):
            self.put(self.get(self.join_path(src, path)), self.join_path(dst, path))
        return path_text(dst)

    def copyfile_from_local(self, src: PathLike, dst: PathLike) -> str:
        """Copy a local file into the storage; returns its new path."""
        target = self._into(dst, src)
        self.put(LocalStorage().get(src), target)
        return target

    def copytree_from_local(self, src: PathLike, dst: PathLike) -> str:
        """Copy a local folder into the storage, to a new place."""
        self._new(dst)
        disk = LocalStorage()
        for path in disk.list_dir_or_file(src, list_dir=False, recursive=True):
            self.put(disk.get(os.path.join(path_text(src), path)), self.join_path(dst, path))
        return path_text(dst)

    def copyfile_to_local(self, src: PathLike, dst: PathLike) -> str:
        """Copy a file to the local disk; into ``dst`` under its own name where that is a folder."""
        target = local_path(dst)
        if os.path.isdir(target):
            target = os.path.join(target, _basename(src))
        LocalStorage().put(self.get(src), target)
        return target

    def copytree_to_local(self, src: PathLike, dst: PathLike) -> str:
        """Copy a folder to the local disk.

        Raises:
            FkitValueError: a name would lie outside ``dst``; nothing is written then.
        """
        names = tuple(self._files(src))
        for name in names:
            _enclosed(name, f"{src}: {name}")
        for name in names:
            LocalStorage().put(self.get(self.join_path(src, name)), os.path.join(local_path(dst), name))
        return local_path(dst)

    def copy_if_symlink_fails(self, src: PathLike, dst: PathLike) -> bool:
        """A copy: there are no links here. Returns False."""
        (self.copytree if self.isdir(src) else self.copyfile)(src, dst)
        return False

    def _files(self, folder: PathLike) -> Iterator[str]:
        if not self.isdir(folder):
            raise FkitFileNotFoundError("there is no such folder.", origin=path_text(folder))
        return self.list_dir_or_file(folder, list_dir=False, recursive=True)

    def _into(self, dst: PathLike, src: PathLike) -> str:
        return self.join_path(dst, _basename(src)) if self.isdir(dst) else path_text(dst)

    def _new(self, dst: PathLike) -> None:
        if self.exists(dst):
            raise FkitFileExistsError("is there already; a folder is copied to a new place.", origin=path_text(dst))


def _basename(path: PathLike) -> str:
    return path_text(path).partition("::")[0].rstrip("/").replace("\\", "/").rpartition("/")[2]


def _enclosed(path: str, shown: str) -> str:
    """A path that stays inside what it is relative to."""
    parts = path.replace("\\", "/").split("/")
    if ".." in parts or path.startswith(("/", "\\")) or (os.name == "nt" and ":" in parts[0]):
        raise FkitValueError("the path leaves the archive; it is refused.", origin=shown)
    return path
