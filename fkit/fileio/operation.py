"""mmengine's file functions: each finds the storage of a path and calls its method of the same name."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from fkit.catalog.registry import Registry
from fkit.fileio.local import LocalStorage, PathLike
from fkit.fileio.part import get_file_backend
from fkit.fileio.path import path_text
from fkit.tree.error import FkitTypeError

__all__ = [
    "ask",
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
    "isdir",
    "isfile",
    "join_path",
    "list_dir_or_file",
    "open_storage",
    "put",
    "put_text",
    "remove",
    "rmtree",
]

Args = Mapping[str, Any] | None


def open_storage(
    uri: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> AbstractContextManager[Any]:
    """The storage of an address, closed at the end of the ``with``. For many files, open one.

    Args:
        uri: a path or an address.
        backend_args: the storage: its name under ``backend``, and what it takes; None goes by the address.
        registry: where storages are looked up; None is the built-in one.

    Example:
        >>> with open_storage("memory://a.txt") as memory:
        ...     memory.put(b"1", "memory://a.txt")
        ...     memory.get("memory://a.txt")
        b'1'
    """
    return _Opened(get_file_backend(uri, backend_args=backend_args, registry=registry))


class _Opened:
    """Closes a storage at the end of a ``with``."""

    __slots__ = ("storage",)

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    def __enter__(self) -> Any:
        return self.storage

    def __exit__(self, *_: object) -> None:
        close = getattr(self.storage, "close", None)
        if close is not None:
            close()


def ask(method: str, uri: PathLike, backend_args: Args, registry: Registry | None, *args: Any) -> Any:
    """What a method of the storage of an address answers.

    Raises:
        FkitTypeError: the storage, one of the user's own, has no such method.

    Example:
        >>> ask("exists", "memory://nowhere", None, None, "memory://nowhere")
        False
    """
    storage = get_file_backend(uri, backend_args=backend_args, registry=registry)
    if type(storage) is LocalStorage:
        return getattr(storage, method)(*args)
    with _Opened(storage):
        function = getattr(storage, method, None)
        if not callable(function):
            raise FkitTypeError(
                f"its file backend, a {type(storage).__name__}, has no method {method!r}.", origin=path_text(uri)
            )
        return function(*args)


def get(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bytes:
    """The content of a file.

    Example:
        >>> put(b"hello", "memory://get.txt")
        >>> get("memory://get.txt")
        b'hello'
    """
    return ask("get", filepath, backend_args, registry, filepath)


def get_text(
    filepath: PathLike, encoding: str = "utf-8", backend_args: Args = None, registry: Registry | None = None
) -> str:
    """The content of a text file.

    Example:
        >>> put_text("hello", "memory://get.txt")
        >>> get_text("memory://get.txt")
        'hello'
    """
    return ask("get_text", filepath, backend_args, registry, filepath, encoding)


def put(obj: bytes, filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> None:
    """Write a file, making its folders; on the local disk, whole or not at all.

    Example:
        >>> put(b"hello", "memory://put/a.txt")
        >>> get("memory://put/a.txt")
        b'hello'
    """
    ask("put", filepath, backend_args, registry, obj, filepath)


def put_text(
    obj: str, filepath: PathLike, encoding: str = "utf-8", backend_args: Args = None, registry: Registry | None = None
) -> None:
    """Write a text file, making its folders; on the local disk, whole or not at all.

    Example:
        >>> put_text("hello", "memory://put/a.txt")
        >>> get("memory://put/a.txt")
        b'hello'
    """
    ask("put_text", filepath, backend_args, registry, obj, filepath, encoding)


def exists(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bool:
    """Whether there is a file or folder.

    Example:
        >>> exists("memory://nowhere")
        False
    """
    return ask("exists", filepath, backend_args, registry, filepath)


def isdir(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bool:
    """Whether there is a folder.

    Example:
        >>> put(b"", "memory://isdir/a.txt")
        >>> isdir("memory://isdir"), isdir("memory://isdir/a.txt")
        (True, False)
    """
    return ask("isdir", filepath, backend_args, registry, filepath)


def isfile(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> bool:
    """Whether there is a file.

    Example:
        >>> put(b"", "memory://isfile/a.txt")
        >>> isfile("memory://isfile"), isfile("memory://isfile/a.txt")
        (False, True)
    """
    return ask("isfile", filepath, backend_args, registry, filepath)


def remove(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> None:
    """Delete a file.

    Example:
        >>> put(b"", "memory://remove.txt")
        >>> remove("memory://remove.txt")
        >>> exists("memory://remove.txt")
        False
    """
    ask("remove", filepath, backend_args, registry, filepath)


def rmtree(dir_path: PathLike, backend_args: Args = None, registry: Registry | None = None) -> None:
    """Delete a folder and what is in it.

    Example:
        >>> put(b"", "memory://rmtree/a/b.txt")
        >>> rmtree("memory://rmtree")
        >>> exists("memory://rmtree/a/b.txt")
        False
    """
    ask("rmtree", dir_path, backend_args, registry, dir_path)


def copyfile(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a file inside one storage; into ``dst`` under its own name where that is a folder. Returns the new path.

    Example:
        >>> put(b"1", "memory://copyfile/a.txt")
        >>> copyfile("memory://copyfile/a.txt", "memory://copyfile/b.txt")
        'memory://copyfile/b.txt'
    """
    return ask("copyfile", src, backend_args, registry, src, dst)


def copytree(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a folder inside one storage to a new place, which it returns.

    Example:
        >>> put(b"1", "memory://copytree/a/b.txt")
        >>> _ = copytree("memory://copytree/a", "memory://copytree/c")
        >>> get("memory://copytree/c/b.txt")
        b'1'
        >>> rmtree("memory://copytree")
    """
    return ask("copytree", src, backend_args, registry, src, dst)


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
    return ask("copyfile_from_local", dst, backend_args, registry, src, dst)


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
    return ask("copytree_from_local", dst, backend_args, registry, src, dst)


def copyfile_to_local(src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None) -> str:
    """Copy a file to a local path, which it returns.

    Example:
        >>> import tempfile
        >>> put(b"1", "memory://to-local.txt")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     get(copyfile_to_local("memory://to-local.txt", folder))
        b'1'
    """
    return ask("copyfile_to_local", src, backend_args, registry, src, dst)


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
    return ask("copytree_to_local", src, backend_args, registry, src, dst)


def copy_if_symlink_fails(
    src: PathLike, dst: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> bool:
    """Link ``dst`` to ``src``, or copy where there are no links. Returns whether it is a link.

    Example:
        >>> put(b"1", "memory://symlink/a.txt")
        >>> copy_if_symlink_fails("memory://symlink/a.txt", "memory://symlink/b.txt")
        False
    """
    return ask("copy_if_symlink_fails", src, backend_args, registry, src, dst)


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
    return ask("generate_presigned_url", url, backend_args, registry, url, client_method, expires_in)


def join_path(
    filepath: PathLike, *filepaths: PathLike, backend_args: Args = None, registry: Registry | None = None
) -> str:
    """The parts of a path joined, as the storage of the first writes it.

    Example:
        >>> join_path("s3://bucket", "a", "b.txt")
        's3://bucket/a/b.txt'
    """
    return ask("join_path", filepath, backend_args, registry, filepath, *filepaths)


@contextmanager
def get_local_path(filepath: PathLike, backend_args: Args = None, registry: Registry | None = None) -> Generator[str]:
    """A local path of a file: its own on the local disk, else that of a copy which is deleted after the ``with``.

    Example:
        >>> put(b"1", "memory://local.txt")
        >>> with get_local_path("memory://local.txt") as path:
        ...     get(path)
        b'1'
    """
    with open_storage(filepath, backend_args, registry) as storage, storage.get_local_path(filepath) as path:
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
    with open_storage(dir_path, backend_args, registry) as storage:
        yield from storage.list_dir_or_file(dir_path, list_dir, list_file, suffix, recursive)
