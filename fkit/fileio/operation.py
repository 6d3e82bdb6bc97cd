"""mmengine's file functions: each finds the storage of a path and calls its method of the same name."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fkit.fileio.local import PathLike
from fkit.fileio.part import get_file_backend
from fkit.registry.registry import Registry

__all__ = [
    "copy_if_symlink_fails",
    "copyfile",
    "copyfile_from_local",
    "copyfile_to_local",
    "copytree",
    "copytree_from_local",
    "copytree_to_local",
    "exists",
    "generate_presigned_url",
    "get",
    "get_local_path",
    "get_text",
    "held",
    "isdir",
    "isfile",
    "join_path",
    "list_dir_or_file",
    "put",
    "put_text",
    "remove",
    "rmtree",
]

Args = Mapping[str, Any] | None


@contextmanager
def held(uri: PathLike, backend_args: Args = None, registry: Registry | None = None) -> Generator[Any]:
    """The storage of an address, closed at the end of the ``with``. For many files, hold one.

    Example:
        >>> with held("memory://a.txt") as memory:
        ...     memory.put(b"1", "memory://a.txt")
        ...     memory.get("memory://a.txt")
        b'1'
    """
    storage = get_file_backend(uri, backend_args=backend_args, registry=registry)
    try:
        yield storage
    finally:
        close = getattr(storage, "close", None)
        if close is not None:
            close()


def get(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bytes:
    """The content of a file.

    Example:
        >>> put(b"hello", "memory://get.txt")
        >>> get("memory://get.txt")
        b'hello'
    """
    with held(filepath, backend_args, registry) as storage:
        return storage.get(filepath)


def get_text(
    filepath: PathLike, encoding: str = "utf-8", backend_args: Args = None, registry: Registry | None = None
) -> str:
    """The content of a text file.

    Example:
        >>> put_text("hello", "memory://get.txt")
        >>> get_text("memory://get.txt")
        'hello'
    """
    with held(filepath, backend_args, registry) as storage:
        return storage.get_text(filepath, encoding)


def put(obj: bytes, filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> None:
    """Write a file, making its folders; on the local disk, whole or not at all.

    Example:
        >>> put(b"hello", "memory://put/a.txt")
        >>> get("memory://put/a.txt")
        b'hello'
    """
    with held(filepath, backend_args, registry) as storage:
        storage.put(obj, filepath)


def put_text(
    obj: str, filepath: PathLike, encoding: str = "utf-8", backend_args: Args = None, registry: Registry | None = None
) -> None:
    """Write a text file, making its folders; on the local disk, whole or not at all.

    Example:
        >>> put_text("hello", "memory://put/a.txt")
        >>> get("memory://put/a.txt")
        b'hello'
    """
    with held(filepath, backend_args, registry) as storage:
        storage.put_text(obj, filepath, encoding)


def exists(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bool:
    """Whether there is a file or folder.

    Example:
        >>> exists("memory://nowhere")
        False
    """
    with held(filepath, backend_args, registry) as storage:
        return storage.exists(filepath)


def isdir(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bool:
    """Whether there is a folder.

    Example:
        >>> put(b"", "memory://isdir/a.txt")
        >>> isdir("memory://isdir"), isdir("memory://isdir/a.txt")
        (True, False)
    """
    with held(filepath, backend_args, registry) as storage:
        return storage.isdir(filepath)


def isfile(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bool:
    """Whether there is a file.

    Example:
        >>> put(b"", "memory://isfile/a.txt")
        >>> isfile("memory://isfile"), isfile("memory://isfile/a.txt")
        (False, True)
    """
    with held(filepath, backend_args, registry) as storage:
        return storage.isfile(filepath)


def remove(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> None:
    """Delete a file.

    Example:
        >>> put(b"", "memory://remove.txt")
        >>> remove("memory://remove.txt")
        >>> exists("memory://remove.txt")
        False
    """
    with held(filepath, backend_args, registry) as storage:
        storage.remove(filepath)


def rmtree(dir_path: PathLike, backend_args: Args = None, registry: Registry | None = None) -> None:
    """Delete a folder and what is in it.

    Example:
        >>> put(b"", "memory://rmtree/a/b.txt")
        >>> rmtree("memory://rmtree")
        >>> exists("memory://rmtree/a/b.txt")
        False
    """
    with held(dir_path, backend_args, registry) as storage:
        storage.rmtree(dir_path)


def copyfile(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a file inside one storage; into ``dst`` under its own name where that is a folder. Returns the new path.

    Example:
        >>> put(b"1", "memory://copyfile/a.txt")
        >>> copyfile("memory://copyfile/a.txt", "memory://copyfile/b.txt")
        'memory://copyfile/b.txt'
    """
    with held(src, backend_args, registry) as storage:
        return storage.copyfile(src, dst)


def copytree(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a folder inside one storage to a new place, which it returns.

    Example:
        >>> put(b"1", "memory://copytree/a/b.txt")
        >>> _ = copytree("memory://copytree/a", "memory://copytree/c")
        >>> get("memory://copytree/c/b.txt")
        b'1'
        >>> rmtree("memory://copytree")
    """
    with held(src, backend_args, registry) as storage:
        return storage.copytree(src, dst)


def copyfile_from_local(
    src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> str:
    """Copy a local file to an address, which it returns.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     put(b"1", f"{folder}/a.txt")
        ...     copyfile_from_local(f"{folder}/a.txt", "memory://from-local.txt")
        'memory://from-local.txt'
    """
    with held(dst, backend_args, registry) as storage:
        return storage.copyfile_from_local(src, dst)


def copytree_from_local(
    src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> str:
    """Copy a local folder to an address, which it returns.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     put(b"1", f"{folder}/a.txt")
        ...     copytree_from_local(folder, "memory://from-local-tree")
        'memory://from-local-tree'
        >>> rmtree("memory://from-local-tree")
    """
    with held(dst, backend_args, registry) as storage:
        return storage.copytree_from_local(src, dst)


def copyfile_to_local(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a file to a local path, which it returns.

    Example:
        >>> import tempfile
        >>> put(b"1", "memory://to-local.txt")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     get(copyfile_to_local("memory://to-local.txt", folder))
        b'1'
    """
    with held(src, backend_args, registry) as storage:
        return storage.copyfile_to_local(src, dst)


def copytree_to_local(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a folder to a local path, which it returns; a name that would leave it is refused.

    Example:
        >>> import tempfile
        >>> put(b"1", "memory://to-local/a.txt")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     get(copytree_to_local("memory://to-local", f"{folder}/b") + "/a.txt")
        b'1'
        >>> rmtree("memory://to-local")
    """
    with held(src, backend_args, registry) as storage:
        return storage.copytree_to_local(src, dst)


def copy_if_symlink_fails(
    src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> bool:
    """Link ``dst`` to ``src``, or copy where there are no links. Returns whether it is a link.

    Example:
        >>> put(b"1", "memory://symlink/a.txt")
        >>> copy_if_symlink_fails("memory://symlink/a.txt", "memory://symlink/b.txt")
        False
    """
    with held(src, backend_args, registry) as storage:
        return storage.copy_if_symlink_fails(src, dst)


def generate_presigned_url(
    url: str,
    client_method: str = "get_object",
    expires_in: int = 3600,
    backend_args: Args = None,
    registry: Registry | None = None,
) -> str:
    """A signed address of a file, for ``expires_in`` seconds, where the storage has such.

    Example:
        >>> generate_presigned_url("a.txt")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitRuntimeError: a.txt: a local file has no signed address.
    """
    with held(url, backend_args, registry) as storage:
        return storage.generate_presigned_url(url, client_method, expires_in)


def join_path(
    filepath: PathLike, *filepaths: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> str:
    """The parts of a path joined, as the storage of the first writes it.

    Example:
        >>> join_path("s3://bucket", "a", "b.txt")
        's3://bucket/a/b.txt'
    """
    with held(filepath, backend_args, registry) as storage:
        return storage.join_path(filepath, *filepaths)


@contextmanager
def get_local_path(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> Generator[str]:
    """A local path of a file: its own on the local disk, else that of a copy which is deleted after the ``with``.

    Example:
        >>> put(b"1", "memory://local.txt")
        >>> with get_local_path("memory://local.txt") as path:
        ...     get(path)
        b'1'
    """
    with held(filepath, backend_args, registry) as storage, storage.get_local_path(filepath) as path:
        yield str(path)


def list_dir_or_file(
    dir_path: PathLike,
    list_dir: bool = True,
    list_file: bool = True,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    backend_args: Args = None,
    registry: Registry | None = None,
) -> Iterator[str]:
    """The folders and files in a folder, in order, relative to it; hidden ones (``.name``) are left out.

    Args:
        dir_path: the folder.
        list_dir: give folders.
        list_file: give files.
        suffix: give only files that end so; needs ``list_dir=False``.
        recursive: go into the folders.
        backend_args: as in `load`.
        registry: as in `load`.

    Raises:
        FkitTypeError: ``suffix`` with ``list_dir``.

    Example:
        >>> put(b"", "memory://list/a/b.txt")
        >>> list(list_dir_or_file("memory://list", recursive=True))
        ['a', 'a/b.txt']
        >>> rmtree("memory://list")
    """
    with held(dir_path, backend_args, registry) as storage:
        yield from storage.list_dir_or_file(dir_path, list_dir, list_file, suffix, recursive)
