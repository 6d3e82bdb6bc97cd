"""Load and dump: a value from a file and back, by the format's handler and the address's storage."""

import inspect
import io
import os
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from fkit.catalog.registry import Registry
from fkit.fileio.error import FileErrors, file_error
from fkit.fileio.handler import FileHandler
from fkit.fileio.local import LocalStorage, PathLike
from fkit.fileio.operation import ask
from fkit.fileio.part import backend_args_of, format_of, get_file_backend, handler_of
from fkit.fileio.path import local_path, path_text
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted

__all__ = ["dump", "dumps", "fopen", "load", "loads"]

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
    where = backend_args_of(backend_args, file_client_args)
    if isinstance(file, (bytes, bytearray, memoryview)) or (file_format is not None and _is_content(file)):
        return loads(file, _named(file_format, _STRING), registry=registry, allow_pickle=allow_pickle, **options)
    if isinstance(file, (str, os.PathLike)):
        path = path_text(file)
        format = _format(path, file_format)
        handler = handler_of(format, registry, path)
        data = ask("get", path, where, registry, path)
        return _decode(handler, data, path, format, allow_pickle, options)
    if not hasattr(file, "read"):
        raise FkitTypeError(f"`file` is a path, an open file or bytes, not a {type(file).__name__}.")
    name = str(getattr(file, "name", "<open file>"))
    format = _named(file_format, name)
    handler = handler_of(format, registry, name)
    with FileErrors(name, "read"):
        data = file.read()
        if isinstance(data, str) and handler.text:
            data = data.encode()
    if not isinstance(data, bytes):
        raise FkitTypeError(f"{format} is no text: open the file with mode 'rb'.", origin=name)
    return _decode(handler, data, name, format, allow_pickle, options)


def loads(
    content: str | bytes | bytearray | memoryview,
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
        fkit.tree.error.FkitValueError: <string>:1: This is no JSON: Expecting property name enclosed in double quotes, at \
column 2.
    """
    format = _named(file_format, _STRING)
    if not isinstance(content, (str, bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"the content is a str or bytes, not a {type(content).__name__}.")
    handler = handler_of(format, registry)
    with FileErrors(_STRING, f"read as {format}"):
        data = content.encode() if isinstance(content, str) else bytes(content)
    return _decode(handler, data, _STRING, format, allow_pickle, options)


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
        path = path_text(file)
        format = _format(path, file_format)
        content = _encode(handler_of(format, registry, path), obj, path, format, allow_pickle, options)
        ask("put", path, where, registry, _bytes(content, path, format), path)
        return None
    if not hasattr(file, "write"):
        raise FkitTypeError(f"`file` is a path, an open file or None, not a {type(file).__name__}.")
    name = str(getattr(file, "name", "<open file>"))
    format = _named(file_format, name)
    handler = handler_of(format, registry, name)
    content = _encode(handler, obj, name, format, allow_pickle, options)
    with FileErrors(name, "written"):
        if not isinstance(file, io.TextIOBase) and "b" in getattr(file, "mode", "b"):
            file.write(_bytes(content, name, format))
        elif handler.text:
            file.write(_text(content, name, format))
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
    format = _named(file_format, _STRING)
    handler = handler_of(format, registry)
    content = _encode(handler, obj, _STRING, format, allow_pickle, options)
    return _text(content, _STRING, format) if handler.text else content


def fopen(
    filepath: PathLike,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> IO[Any]:
    """A file, opened: Python's ``open`` for a path, ``~`` written out, and for reading at an address too.

    `dump` and `put` write a file whole or not at all, which an open one is not.

    Args:
        filepath: a path or an address.
        mode: as for ``open``.
        buffering: as for ``open``.
        encoding: of text; None is UTF-8.
        errors: as for ``open``.
        newline: as for ``open``.
        backend_args: as in `load`.
        registry: as in `load`.

    Raises:
        FkitFileNotFoundError: there is no such file.
        FkitValueError: a mode that there is not, or writing at an address.

    Example:
        >>> dump("cat\\ndog\\n", "memory://fopen.txt")
        >>> with fopen("memory://fopen.txt") as file:
        ...     file.readlines()
        ['cat\\n', 'dog\\n']
    """
    name = path_text(filepath)
    binary = isinstance(cast(Any, mode), str) and "b" in mode
    encoding = "utf-8" if encoding is None and not binary else encoding
    storage = get_file_backend(name, backend_args=backend_args, registry=registry)
    if isinstance(storage, LocalStorage):
        with FileErrors(name, "opened"):
            return open(local_path(name), mode, buffering, encoding, errors, newline)
    if mode not in ("r", "rt", "rb"):
        raise FkitValueError(
            f"an address is opened for reading alone, not with the mode {mode!r:.40}.",
            origin=name,
            repair="Write it whole, by dump, put or put_text.",
        )
    with FileErrors(name, "opened"):
        content = io.BytesIO(ask("get", name, backend_args, registry, name))
        return content if binary else io.TextIOWrapper(content, encoding, errors, newline)


def _is_content(file: Any) -> bool:
    return isinstance(file, str) and (file.startswith(("{", "[", '"')) or "\n" in file)


def _format(path: str, file_format: str | None) -> str:
    return format_of(path) if file_format is None else _named(file_format, path)


def _named(file_format: Any, where: str) -> str:
    if file_format is None:
        raise FkitTypeError("file_format must be specified: there is no path that ends with one.", origin=where)
    if not isinstance(file_format, str):
        raise FkitTypeError(f"file_format is a str such as 'json', not {quoted(file_format)}.", origin=where)
    return file_format.lower()


def _decode(
    handler: FileHandler, data: bytes, name: str, format: str, allow_pickle: bool, options: dict[str, Any]
) -> Any:
    if handler.pickles:
        options["allow_pickle"] = allow_pickle
    if handler.places:
        options["origin"] = name
    return _call(handler.decode, data, name, "read as", format, options)


def _encode(
    handler: FileHandler, obj: Any, name: str, format: str, allow_pickle: bool, options: dict[str, Any]
) -> bytes | str:
    if handler.pickles:
        options["allow_pickle"] = allow_pickle
    return _call(handler.encode, obj, name, "written as", format, options)


def _call(
    function: Callable[..., Any], value: Any, name: str, action: str, format: str, options: Mapping[str, Any]
) -> Any:
    try:
        return function(value, **options)
    except Exception as cause:
        if isinstance(cause, TypeError):
            _check_options(function, name, f"{action} {format}", options)
        if not isinstance(cause, FkitError):
            raise file_error(cause, name, f"{action} {format}") from cause
        if cause.origin is None:  # a handler does not know what file its bytes are of
            cause.origin = name
        raise


def _bytes(content: bytes | str, name: str, format: str) -> bytes:
    if isinstance(content, bytes):
        return content
    with FileErrors(name, f"written as {format}"):
        return content.encode()


def _text(content: bytes | str, name: str, format: str) -> str:
    if isinstance(content, str):
        return content
    with FileErrors(name, f"written as {format}"):
        return content.decode()


def _check_options(function: Callable[..., Any], name: str, action: str, options: Mapping[str, Any]) -> None:
    """Say which option a handler does not take, where that was the mistake."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ("origin", "allow_pickle")]
    for option in options:
        if option not in (*names, "origin", "allow_pickle"):
            raise FkitTypeError(
                f"cannot be {action}: there is no option {option!r}.",
                origin=name,
                value=option,
                choices=names,
                label="Options",
            ) from None
