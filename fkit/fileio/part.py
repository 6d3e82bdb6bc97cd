"""Which handler and which storage: looked up in a registry, by the end of a name or by the beginning of an address."""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from frozendict import frozendict

from fkit.fileio.handler import FileHandler, adapt
from fkit.fileio.local import LocalStorage, PathLike
from fkit.fileio.storage import Storage
from fkit.registry.builtin import registry as builtin
from fkit.registry.registry import Registry
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["FileClient", "backend_args_of", "format_of", "get_file_backend", "handler_of", "parse_uri_prefix"]

_HANDLERS = "file_handlers"
_BACKENDS = "file_backends"
_NOTHING: Mapping[str, Any] = frozendict[str, Any]()


def parse_uri_prefix(uri: PathLike) -> str:
    """The prefix of an address; empty for a path. ``cluster:s3://...`` has the prefix ``s3``, as in OpenMMLab.

    Example:
        >>> parse_uri_prefix("s3://bucket/a"), parse_uri_prefix("a:s3://bucket/a"), parse_uri_prefix("data/a")
        ('s3', 's3', '')
    """
    text = os.fspath(uri)
    prefix, found, _ = text.partition("://")
    return prefix.rpartition(":")[2] if found else ""


def format_of(path: PathLike) -> str:
    """The format that the end of a path's name says, in lower case; empty where it says none.

    Example:
        >>> format_of("a/b.JSON"), format_of("zip://a.yaml::b.zip"), format_of("https://a.org/a.npz?raw=1")
        ('json', 'yaml', 'npz')
    """
    text = os.fspath(path).partition("::")[0]
    if parse_uri_prefix(text) in ("http", "https"):
        text = text.partition("?")[0].partition("#")[0]
    name = text.replace("\\", "/").rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def handler_of(file_format: str, registry: Registry | None = None, origin: str | None = None) -> FileHandler:
    """The handler of a format.

    Args:
        file_format: "json", "yaml", "npz", ...: the name under which it is registered.
        registry: where to look; None is the built-in one.
        origin: the file, for the error.

    Raises:
        FkitTypeError: none is registered for it.

    Example:
        >>> handler_of("json").decode(b"[1]")
        [1]
        >>> handler_of("jsn")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: no file handler is registered for 'jsn'.
          Did you mean 'json'? Registered: json, npy, npz, pickle, pkl, safetensors, ... (3 more: `fkit registry file_handlers`)
    """
    reg = builtin() if registry is None else registry
    if (_HANDLERS, file_format) not in reg:
        raise FkitTypeError(
            f"no file handler is registered for {file_format!r}.",
            origin=origin,
            value=file_format,
            choices=sorted(reg.names(_HANDLERS)),
            label="Registered",
            more="fkit registry file_handlers",
        )
    return adapt(reg.get(_HANDLERS, file_format)(), file_format)


def backend_args_of(backend_args: Any, file_client_args: Any) -> Mapping[str, Any]:
    """The backend's arguments, under the name of either of OpenMMLab's generations.

    Raises:
        FkitValueError: both are given.

    Example:
        >>> dict(backend_args_of(None, {"backend": "disk"}))
        {'backend': 'disk'}
    """
    if backend_args is not None and file_client_args is not None:
        raise FkitValueError('"file_client_args" and "backend_args" cannot be set at the same time.')
    given = file_client_args if backend_args is None else backend_args
    if given is None:
        return _NOTHING
    if not isinstance(given, Mapping):
        raise FkitTypeError(f"backend_args is a mapping with a key 'backend', not {given!r:.80}.")
    return given  # pyright: ignore[reportUnknownVariableType]


def get_file_backend(
    uri: PathLike | None = None, *, backend_args: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Any:
    """The storage that ``backend_args["backend"]`` names, or else the prefix of ``uri``; without one, the local disk.

    Args:
        uri: a path or an address.
        backend_args: ``backend`` and what its maker takes.
        registry: where to look; None is the built-in one. Prefixes that it lacks and fsspec knows are fsspec's.

    Raises:
        FkitKeyError: no backend of that name.
        FkitTypeError: the backend does not take one of ``backend_args``.

    Example:
        >>> get_file_backend("a.txt").name, get_file_backend("memory://a.txt").name
        ('local', 'memory')
        >>> get_file_backend("ftq://a/b.txt")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitKeyError: ftq://a/b.txt: no file backend is registered for 'ftq'.
          Registered: disk, file, http, https, lmdb, local, ... (4 more: `fkit registry file_backends`)
    """
    options: dict[str, Any] = dict(backend_args or {})
    name = options.pop("backend", None) or (parse_uri_prefix(uri) if uri is not None else None)
    if name is None:
        raise FkitValueError("neither a path nor backend_args['backend'] says which file backend to use.")
    if registry is None and not options and name in ("", "local", "disk"):
        return LocalStorage()  # what every image of a dataset asks for
    reg = builtin() if registry is None else registry
    name = name or "local"
    text = os.fspath(uri) if uri is not None else ""
    if name == "zip" and "::" in text:
        options.setdefault("path", text.partition("::")[2])
    if (_BACKENDS, name) not in reg:
        if name in importlib.import_module("fsspec").available_protocols():
            return Storage(name, frozendict[str, Any](options))
        raise FkitKeyError(
            f"no file backend is registered for {name!r}.",
            origin=text or None,
            value=name,
            choices=sorted(reg.names(_BACKENDS)),
            label="Registered",
            more="fkit registry file_backends",
        )
    maker = reg.get(_BACKENDS, name)
    try:
        return maker(**options)
    except FkitError:
        raise
    except TypeError as cause:
        raise FkitTypeError(
            f"the file backend {name!r} does not take {sorted(options)}: {cause}.", origin=text or None
        ) from cause


class FileClient:
    """mmcv's name of `get_file_backend`: ``FileClient("disk").get(path)`` reads as it did.

    Args:
        backend: the backend's name; None goes by ``prefix``, and without one is the local disk.
        prefix: the prefix of the addresses: "s3", "http", ...
        options: what the backend takes.

    Returns:
        the storage itself: making a FileClient gives no object of this class.

    Example:
        >>> FileClient("disk").name, FileClient(prefix="memory").name
        ('local', 'memory')
        >>> FileClient.infer_client(uri="memory://a.txt").name
        'memory'
    """

    def __new__(cls, backend: str | None = None, prefix: str | None = None, **options: Any) -> Any:
        return get_file_backend(backend_args={**options, "backend": backend or prefix or "local"})

    @staticmethod
    def infer_client(file_client_args: Mapping[str, Any] | None = None, uri: PathLike | None = None) -> Any:
        """The storage of an address, or that of the arguments."""
        return get_file_backend(uri, backend_args=file_client_args)

    @staticmethod
    def parse_uri_prefix(uri: PathLike) -> str | None:
        """The prefix of an address; None for a path."""
        return parse_uri_prefix(uri) or None
