"""Load and dump: a value from a file and back, by the format's handler and the address's storage."""

import io
import os
from collections.abc import Callable, Mapping
from typing import Any

from fkit.fileio.error import told
from fkit.fileio.handler import FileHandler
from fkit.fileio.local import PathLike
from fkit.fileio.operation import held
from fkit.fileio.part import backend_args_of, format_of, handler_of
from fkit.registry.registry import Registry
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

__all__ = ["dict_from_file", "dump", "dumps", "list_from_file", "load", "loads"]

_STRING = "<string>"


def load(
    file: Any,
    file_format: str | None = None,
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    allow_pickle: bool = False,
    **options: Any,
) -> Any:
    """Read a value from a file.

    Args:
        file: a path or an address (``s3://...``, ``zip://inner.json::archive.zip``), an open file, or bytes. With
            ``file_format``, a str that begins with ``{``, ``[`` or ``"``, or that has several lines, is the content.
        file_format: "json", "yaml", "pickle", "npy", "npz", "safetensors", "txt", or a format of your own; None takes
            what the end of the path says. An open file needs it.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: the storage: its name under ``backend``, and what it takes; None goes by the address.
        registry: where handlers and storages are looked up; None is the built-in one.
        allow_pickle: whether a pickle may be read, which can run any code.
        options: what the format's handler takes.

    Raises:
        FkitFileNotFoundError: there is no such file.
        FkitTypeError: the format is unknown, or its handler does not take an option.
        FkitError: the file cannot be read; the message names it.

    Example:
        >>> load(b"a: [1, 2]", file_format="yaml")
        {'a': [1, 2]}
        >>> load("missing.json")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitFileNotFoundError: missing.json: there is no such file or folder.
    """
    where, given = backend_args_of(backend_args, file_client_args), allow_pickle
    if isinstance(file, (bytes, bytearray, memoryview)) or (file_format is not None and _is_content(file)):
        text: Any = file  # pyright: ignore[reportUnknownVariableType]
        return loads(text, _named(file_format, _STRING), registry=registry, allow_pickle=given, **options)
    if isinstance(file, (str, os.PathLike)):
        path: PathLike = file  # pyright: ignore[reportUnknownVariableType]
        handler = handler_of(_format(path, file_format), registry, str(path))
        with held(path, where, registry) as storage:
            data: bytes = storage.get(path)
        return _decoded(handler, data, str(path), _format(path, file_format), given, options)
    if not hasattr(file, "read"):
        raise FkitTypeError(f"`file` is a path, an open file or bytes, not a {type(file).__name__}.")
    name = str(getattr(file, "name", "<open file>"))
    format = _named(file_format, name)
    handler = handler_of(format, registry, name)
    with told(name, "read"):
        found: Any = file.read()
    if isinstance(found, str) and not handler.text:
        raise FkitTypeError(f"{format} is no text: open the file with mode 'rb'.", origin=name)
    return _decoded(handler, found.encode() if isinstance(found, str) else found, name, format, given, options)


def loads(
    content: str | bytes,
    file_format: str,
    *,
    registry: Registry | None = None,
    allow_pickle: bool = False,
    **options: Any,
) -> Any:
    """Read a value from a string, or from bytes.

    Example:
        >>> loads('{"a": 1}', "json")
        {'a': 1}
        >>> loads("{", "json")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: <string>: cannot be read as json: Expecting property name enclosed in double \
quotes: line 1 column 2 (char 1).
    """
    data = content.encode() if isinstance(content, str) else bytes(content)
    return _decoded(handler_of(file_format, registry), data, _STRING, file_format, allow_pickle, options)


def dump(
    obj: Any,
    file: Any = None,
    file_format: str | None = None,
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    allow_pickle: bool = False,
    **options: Any,
) -> Any:
    """Write a value to a file, whole or not at all; or give it as a string.

    Args:
        obj: the value.
        file: a path or an address, or an open file; None gives the content: a str, or bytes for formats that are no text.
        file_format: as in `load`; None needs a path.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: as in `load`.
        registry: as in `load`.
        allow_pickle: whether a pickle may be written.
        options: what the format's handler takes: ``indent`` for JSON, ``sort_keys``, ``compressed`` for npz, ...

    Raises:
        FkitValueError: neither ``file`` nor ``file_format`` is given.
        FkitTypeError: the format is unknown, or the value has no form in it.

    Example:
        >>> dump({"a": (1, 2)}, file_format="json")
        '{"a": [1, 2]}'
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dump({"a": (1, 2)}, f"{folder}/new/a.yaml")
        ...     load(f"{folder}/new/a.yaml")
        {'a': (1, 2)}
    """
    where = backend_args_of(backend_args, file_client_args)
    if file is None:
        if file_format is None:
            raise FkitValueError("file_format must be specified since file is None.")
        return dumps(obj, file_format, registry=registry, allow_pickle=allow_pickle, **options)
    if isinstance(file, (str, os.PathLike)):
        path: PathLike = file  # pyright: ignore[reportUnknownVariableType]
        format = _format(path, file_format)
        data = _encoded(handler_of(format, registry, str(path)), obj, str(path), format, allow_pickle, options)
        with held(path, where, registry) as storage:
            storage.put(data, path)
        return None
    if not hasattr(file, "write"):
        raise FkitTypeError(f"`file` is a path, an open file or None, not a {type(file).__name__}.")
    name = str(getattr(file, "name", "<open file>"))
    format = _named(file_format, name)
    handler = handler_of(format, registry, name)
    data = _encoded(handler, obj, name, format, allow_pickle, options)
    with told(name, "written"):
        if not isinstance(file, io.TextIOBase) and "b" in getattr(file, "mode", "b"):
            file.write(data)
        elif handler.text:
            file.write(data.decode())
        else:
            raise FkitTypeError(f"{format} is no text: open the file with mode 'wb'.", origin=name)


def dumps(
    obj: Any, file_format: str, *, registry: Registry | None = None, allow_pickle: bool = False, **options: Any
) -> str | bytes:
    """A value as a str, or as bytes for formats that are no text.

    Example:
        >>> dumps({"a": 1}, "yaml")
        'a: 1\\n'
    """
    handler = handler_of(file_format, registry)
    data = _encoded(handler, obj, _STRING, file_format, allow_pickle, options)
    return data.decode() if handler.text else data


def list_from_file(
    filename: PathLike,
    prefix: str = "",
    offset: int = 0,
    max_num: int = 0,
    encoding: str = "utf-8",
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> list[str]:
    """The lines of a text file.

    Args:
        filename: a path or an address.
        prefix: put before each line.
        offset: how many lines are left out at the beginning.
        max_num: how many lines are read at most; 0 reads all.
        encoding: the file's.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: as in `load`.
        registry: as in `load`.

    Example:
        >>> with held("memory://names.txt") as memory:
        ...     memory.put_text("cat\\ndog\\nfox\\n", "memory://names.txt")
        >>> list_from_file("memory://names.txt", prefix="a ", offset=1)
        ['a dog', 'a fox']
    """
    with held(filename, backend_args_of(backend_args, file_client_args), registry) as storage:
        text: str = storage.get_text(filename, encoding)
    # as files are read in text mode: \r\n and \r end lines too, and an empty last line is none
    lines = io.StringIO(text, newline=None).readlines()
    end = offset + max_num if max_num > 0 else None
    return [prefix + line.rstrip("\n\r") for line in lines[offset:end]]


def dict_from_file(
    filename: PathLike,
    key_type: Callable[[str], Any] = str,
    encoding: str = "utf-8",
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> dict[Any, str | list[str]]:
    """The lines of a text file as a mapping: the first word of each is the key, the others are the value.

    Args:
        filename: a path or an address.
        key_type: makes a key of the first word.
        encoding: the file's.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: as in `load`.
        registry: as in `load`.

    Returns:
        {key: the one other word, or the list of them}.

    Raises:
        FkitValueError: a line has fewer than two words, or a key that ``key_type`` refuses.

    Example:
        >>> with held("memory://map.txt") as memory:
        ...     memory.put_text("1 cat\\n2 dog fox", "memory://map.txt")
        >>> dict_from_file("memory://map.txt", key_type=int)
        {1: 'cat', 2: ['dog', 'fox']}
    """
    lines = list_from_file(
        filename, encoding=encoding, backend_args=backend_args, file_client_args=file_client_args, registry=registry
    )
    found: dict[Any, str | list[str]] = {}
    for number, line in enumerate(lines, 1):
        key, *values = line.split() or [""]
        if not values:
            raise FkitValueError(f"a key and a value were expected, found {line!r:.80}.", origin=f"{filename}:{number}")
        with told(f"{filename}:{number}", "read"):
            found[key_type(key)] = values[0] if len(values) == 1 else values
    return found


def _is_content(file: Any) -> bool:
    return isinstance(file, str) and (file.startswith(("{", "[", '"')) or "\n" in file)


def _format(path: PathLike, file_format: str | None) -> str:
    return (file_format or format_of(path)).lower()


def _named(file_format: str | None, where: str) -> str:
    if file_format is None:
        raise FkitTypeError("file_format must be specified: there is no path that ends with one.", origin=where)
    return file_format.lower()


def _decoded(
    handler: FileHandler, data: bytes, name: str, format: str, allow_pickle: bool, options: Mapping[str, Any]
) -> Any:
    if handler.pickles:
        options = {**options, "allow_pickle": allow_pickle}
    return _called(handler.decode, data, name, f"read as {format}", options)


def _encoded(
    handler: FileHandler, obj: Any, name: str, format: str, allow_pickle: bool, options: Mapping[str, Any]
) -> bytes:
    if handler.pickles:
        options = {**options, "allow_pickle": allow_pickle}
    return _called(handler.encode, obj, name, f"written as {format}", options)


def _called(function: Callable[..., Any], value: Any, name: str, doing: str, options: Mapping[str, Any]) -> Any:
    try:
        with told(name, doing):
            return function(value, **options)
    except FkitError as error:
        if error.origin is None:  # a handler does not know what file its bytes are of
            error.origin = name
        raise
