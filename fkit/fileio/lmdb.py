"""An lmdb database as an fsspec file system: keys are paths, ``/`` in a key makes folders."""

import importlib
import io
from typing import Any, cast

import fsspec  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["LmdbFileSystem"]

_Parent: Any = cast(Any, fsspec).AbstractFileSystem


class LmdbFileSystem(_Parent):
    """The values of an lmdb database.

    Args:
        db_path: the database: a folder, or one file.
        readonly: whether it is only read.
        lock: whether readers lock it.
        readahead: whether the system reads ahead.
        map_size: bytes it may grow to when it is written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fs = LmdbFileSystem(f"{folder}/a.lmdb", readonly=False, skip_instance_cache=True)
        ...     fs.pipe_file("images/1.jpg", b"...")
        ...     print(fs.cat_file("images/1.jpg"), fs.ls("images", detail=False))
        ...     fs.close()
        b'...' ['images/1.jpg']
    """

    protocol = "lmdb"
    root_marker = ""
    cachable = False

    def __init__(
        self,
        db_path: str,
        readonly: bool = True,
        lock: bool = False,
        readahead: bool = False,
        map_size: int = 1 << 40,
        **options: Any,
    ) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        lmdb: Any = importlib.import_module("lmdb")
        try:
            self.env = lmdb.open(
                db_path, readonly=readonly, lock=lock or not readonly, readahead=readahead, map_size=map_size
            )
        except lmdb.Error as cause:
            missing = "No such file" in str(cause)
            raise (FileNotFoundError(db_path) if missing else OSError(str(cause))) from None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("lmdb://").strip("/")

    def close(self) -> None:
        """Close the database."""
        self.env.close()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The value of a key, or a part of it."""
        with self.env.begin(write=False) as reading:
            value = reading.get(self._strip_protocol(path).encode())
        if value is None:
            raise FileNotFoundError(path)
        return bytes(value)[start:end]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        if mode != "rb":
            raise NotImplementedError(mode)
        return io.BytesIO(self.cat_file(path))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Write a key."""
        with self.env.begin(write=True) as writing:
            if not writing.put(self._strip_protocol(path).encode(), value, overwrite=mode == "overwrite"):
                raise FileExistsError(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing: folders are parts of keys."""

    def rm_file(self, path: str) -> None:
        """Delete a key."""
        with self.env.begin(write=True) as writing:
            if not writing.delete(self._strip_protocol(path).encode()):
                raise FileNotFoundError(path)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Delete a key, or all in a folder."""
        for key in self.find(path) if recursive else [path]:
            self.rm_file(key)

    def rmdir(self, path: str) -> None:
        """Nothing: a folder without keys is none."""

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """The kind and size of what is at a path."""
        path = self._strip_protocol(path)
        with self.env.begin(write=False) as reading:
            value = reading.get(path.encode()) if path else None
            if value is not None:
                return {"name": path, "size": len(value), "type": "file"}
            cursor = reading.cursor()
            prefix = f"{path}/".encode() if path else b""
            if not path or (cursor.set_range(prefix) and bytes(cursor.key()).startswith(prefix)):
                return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What lies in a folder."""
        path = self._strip_protocol(path)
        if self.info(path)["type"] == "file":
            return [self.info(path) if detail else path]
        entries: dict[str, dict[str, Any]] = {}
        prefix = f"{path}/".encode() if path else b""
        with self.env.begin(write=False) as reading:
            cursor = reading.cursor()
            more = cursor.set_range(prefix) if prefix else cursor.first()
            while more and bytes(cursor.key()).startswith(prefix):
                name, folder, _rest = bytes(cursor.key())[len(prefix) :].decode().partition("/")
                full = f"{path}/{name}" if path else name
                kind, size = ("directory", 0) if folder else ("file", len(cursor.value()))
                entries[full] = {"name": full, "size": size, "type": kind}
                if folder:  # past all that lies in it: "0" is the character after "/"
                    more = cursor.set_range(prefix + name.encode() + b"0")
                else:
                    more = cursor.next()
        return list(entries.values()) if detail else list(entries)
