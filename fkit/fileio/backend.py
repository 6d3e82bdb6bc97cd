"""The makers of the file backends, as the registry has them."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.fileio.local import LocalStorage, PathLike
from fkit.fileio.path import local_path
from fkit.fileio.storage import Storage
from fkit.tree.error import FkitTypeError, quoted

__all__ = [
    "file_backends",
    "http_storage",
    "lmdb_storage",
    "local_storage",
    "memory_storage",
    "s3_storage",
    "zip_storage",
]


def local_storage() -> LocalStorage:
    """The local disk.

    Example:
        >>> local_storage().join_path("a", "b.txt")
        'a/b.txt'
    """
    return LocalStorage()


def http_storage(**options: Any) -> Storage:
    """Files at ``http://`` and ``https://``; options are those of fsspec's HTTPFileSystem.

    Example:
        >>> http_storage().join_path("https://a.org/data", "b.txt")
        'https://a.org/data/b.txt'
    """
    return Storage("http", frozendict[str, Any](options))


def memory_storage() -> Storage:
    """Files in this process's memory, at ``memory://``.

    Example:
        >>> memory_storage().exists("memory://nothing-here")
        False
    """
    return Storage("memory")


def zip_storage(path: PathLike | None = None, mode: str = "r", **options: Any) -> Storage:
    """The files in a zip archive, at ``zip://inner/path::archive.zip``, or at ``inner/path`` with ``path`` given here.

    Args:
        path: the archive.
        mode: "r", "w" for a new archive, "a" to add; one that was written to is closed by ``with``.
        options: those of fsspec's ZipFileSystem.

    Example:
        >>> zip_storage().name
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: the backend 'zip' needs the archive.
          Write zip://inner/path::archive.zip, or backend_args={'backend': 'zip', 'path': 'archive.zip'}.
    """
    if path is None:
        raise FkitTypeError(
            "the backend 'zip' needs the archive.",
            repair="Write zip://inner/path::archive.zip, or backend_args={'backend': 'zip', 'path': 'archive.zip'}.",
        )
    return Storage("zip", frozendict(fo=local_path(path), mode=mode, **options), inside=True)


def s3_storage(path_mapping: Mapping[str, str] | None = None, enable_mc: bool = False, **options: Any) -> Storage:
    """Objects at ``s3://bucket/key``, by s3fs.

    Args:
        path_mapping: beginnings of paths, each to be replaced by another: ``{"data/coco/": "s3://sets/coco/"}``.
        enable_mc: taken for OpenMMLab's configs, which ask for a cache of Ceph's by it; there is none here.
        options: those of `s3fs.S3FileSystem`; an own server is ``client_kwargs={"endpoint_url": ...}``.

    Example:
        >>> s3_storage({"data/": "s3://sets/"}).mapping
        (('data/', 's3://sets/'),)
    """
    pairs: Any = {} if path_mapping is None else path_mapping
    if not isinstance(pairs, Mapping) or not all(isinstance(word, str) for pair in pairs.items() for word in pair):
        raise FkitTypeError(f"path_mapping maps beginnings of paths to others, not {quoted(path_mapping)}.")
    return Storage("s3", frozendict[str, Any](options), mapping=tuple(pairs.items()))


def lmdb_storage(db_path: PathLike, readonly: bool = True, lock: bool = False, readahead: bool = False) -> Storage:
    """The values of an lmdb database, by key: ``get("key", backend_args={"backend": "lmdb", "db_path": ...})``.

    Args:
        db_path: the database.
        readonly: whether it is only read.
        lock: whether readers lock it.
        readahead: whether the system reads ahead.

    Example:
        >>> lmdb_storage("train.lmdb").name
        'lmdb'
    """
    options = frozendict(db_path=local_path(db_path), readonly=readonly, lock=lock, readahead=readahead)
    return Storage("lmdb", options, maker="fkit.fileio.lmdb:LmdbFileSystem")


file_backends = frozendict[str, Callable[..., Any]](
    {
        "disk": local_storage,
        "file": local_storage,
        "http": http_storage,
        "https": http_storage,
        "lmdb": lmdb_storage,
        "local": local_storage,
        "memory": memory_storage,
        "petrel": s3_storage,
        "s3": s3_storage,
        "zip": zip_storage,
    }
)
"""The built-in storages by name and prefix, as the built-in registry has them."""
