"""Which handler and which storage, by the end of a name or by the beginning of an address; and how to add one's own.

Nothing is registered globally. A format or a storage of one's own goes into a registry, which is a value, and that is
passed where it is used::

    reg = register_handler(fkit.registry(), Parquet, "parquet")
    reg = register_backend(reg, "ceph", Ceph, prefixes="ceph")
    table = load("ceph://tables/train.parquet", registry=reg)
"""

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from frozendict import frozendict

from fkit.catalog.registry import Registry
from fkit.fileio.backend import file_backends
from fkit.fileio.handler import FileHandler, adapt, file_handlers
from fkit.fileio.local import LocalStorage, PathLike
from fkit.fileio.path import path_text
from fkit.fileio.storage import Storage
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "FileClient",
    "backend_args_of",
    "format_of",
    "get_file_backend",
    "handler_of",
    "parse_uri_prefix",
    "register_backend",
    "register_handler",
]

_HANDLERS = "file_handlers"
_BACKENDS = "file_backends"
_NOTHING: Mapping[str, Any] = frozendict[str, Any]()
_DISK = LocalStorage()


def parse_uri_prefix(uri: PathLike) -> str:
    """The prefix of an address; empty for a path. ``cluster:s3://...`` has the prefix ``s3``, as in OpenMMLab.

    Example:
        >>> parse_uri_prefix("s3://bucket/a"), parse_uri_prefix("a:s3://bucket/a"), parse_uri_prefix("data/a")
        ('s3', 's3', '')
    """
    prefix, colon, _ = path_text(uri).partition("://")
    return prefix.rpartition(":")[2] if colon else ""


def format_of(path: PathLike) -> str:
    """The format that the end of a path's name says, in lower case; empty where it says none.

    Example:
        >>> format_of("a/b.JSON"), format_of("zip://a.yaml::b.zip"), format_of("https://a.org/a.npz?raw=1")
        ('json', 'yaml', 'npz')
    """
    text = path_text(path).partition("::")[0]
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
          A format of your own: register_handler, and pass registry=.
    """
    if registry is None:
        handler = file_handlers.get(file_format)
        if handler is not None:
            return handler
    elif (_HANDLERS, file_format) in _registry(registry):
        return adapt(registry.get(_HANDLERS, file_format)(), file_format)
    raise FkitTypeError(
        f"no file handler is registered for {file_format!r}.",
        origin=origin,
        value=file_format,
        choices=sorted(file_handlers if registry is None else registry.names(_HANDLERS)),
        label="Registered",
        more="fkit registry file_handlers",
        repair="" if registry is not None else "A format of your own: register_handler, and pass registry=.",
    )


def backend_args_of(backend_args: Any, file_client_args: Any) -> Mapping[str, Any]:
    """The backend's arguments, under the name of either of OpenMMLab's generations.

    Raises:
        FkitValueError: both are given.

    Example:
        >>> dict(backend_args_of(None, {"backend": "disk"}))
        {'backend': 'disk'}
    """
    if backend_args is None and file_client_args is None:
        return _NOTHING
    if backend_args is not None and file_client_args is not None:
        raise FkitValueError('"file_client_args" and "backend_args" cannot be set at the same time.')
    options = file_client_args if backend_args is None else backend_args
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise FkitTypeError(f"backend_args is a mapping with a key 'backend', not {quoted(options)}.")
    return options


def get_file_backend(
    uri: PathLike | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    enable_singleton: bool = False,
    registry: Registry | None = None,
) -> Any:
    """The storage that ``backend_args["backend"]`` names, or else the prefix of ``uri``; without one, the local disk.

    Args:
        uri: a path or an address.
        backend_args: ``backend`` and what its maker takes.
        enable_singleton: taken for OpenMMLab's code: storages are values, and to share one is to pass it on.
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
    text = "" if uri is None else path_text(uri)
    if (
        uri is not None
        and (backend_args is None or backend_args is _NOTHING)
        and registry is None
        and "://" not in text
    ):
        return _DISK  # what every image of a dataset asks for
    options = dict(backend_args_of(backend_args, None))
    name = options.pop("backend", None)
    if name is None:
        if uri is None:
            raise FkitValueError("neither a path nor backend_args['backend'] says which file backend to use.")
        name = parse_uri_prefix(text) or "local"
    elif not isinstance(name, str):
        raise FkitTypeError(f"backend_args['backend'] is the name of a file backend, not {quoted(name)}.")
    if name == "zip" and "::" in text:
        options.setdefault("path", text.partition("::")[2])
    maker = _maker(name, text, registry)
    if maker is None:
        return Storage(name, frozendict[str, Any](options))
    try:
        storage = maker(**options)
    except FkitError:
        raise
    except TypeError as cause:
        raise FkitTypeError(
            f"the file backend {name!r} does not take {sorted(options)}: {cause}.", origin=text or None
        ) from cause
    return storage


def _maker(name: str, uri: str, registry: Registry | None) -> Any:
    """What makes the storages of a name; None where fsspec does."""
    if registry is None:
        maker = file_backends.get(name)
        if maker is not None:
            return maker
    elif (_BACKENDS, name) in _registry(registry):
        return registry.get(_BACKENDS, name)
    if name in importlib.import_module("fsspec").available_protocols():
        return None
    raise FkitKeyError(
        f"no file backend is registered for {name!r}.",
        origin=uri or None,
        value=name,
        choices=sorted(file_backends if registry is None else registry.names(_BACKENDS)),
        label="Registered",
        more="fkit registry file_backends",
    )


def _registry(registry: Any) -> Registry:
    if not isinstance(registry, Registry):
        raise FkitTypeError(f"`registry` is a fkit.Registry or None, not {quoted(registry)}.")
    return registry


def register_handler(
    registry: Registry, handler: Any, file_formats: str | list[str], *, force: bool = False
) -> Registry:
    """A registry that also has a file handler; pass it on as ``load(path, registry=...)``.

    Args:
        registry: the registry to begin with, as `fkit.registry` gives it; it stays as it is.
        handler: a `FileHandler`, or a class or function that makes one; OpenMMLab's handlers, classes with
            ``load_from_fileobj``, ``dump_to_fileobj`` and ``dump_to_str``, are taken as they are.
        file_formats: the ends of the names of its files, without a dot: one or several.
        force: take the place of a format that is there.

    Raises:
        FkitKeyError: a format is there already.
        FkitTypeError: ``registry`` is none, as in OpenMMLab's ``@register_handler("txt")``; ``handler`` makes nothing.

    Example:
        >>> words = FileHandler(lambda data: data.decode().split(), lambda value: " ".join(value).encode(), text=True)
        >>> reg = register_handler(Registry(), words, ["words", "wds"])
        >>> handler_of("wds", reg).decode(b"a b")
        ['a', 'b']
    """
    _want_registry(registry, "register_handler(reg, Handler, 'txt')", "load(path, registry=reg)")
    maker = partial(_same, handler) if isinstance(handler, FileHandler) else handler
    if not callable(maker):
        raise FkitTypeError(
            f"`handler` is a FileHandler, or a class or function that makes one, not {quoted(handler)}."
        )
    names = [file_formats] if isinstance(file_formats, str) else file_formats
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):  # pyright: ignore
        raise FkitTypeError(f"`file_formats` is a str or a list of them, not {quoted(file_formats)}.")
    return registry.register(
        _HANDLERS, maker, name=tuple(name.removeprefix(".").lower() for name in names), replace=bool(force)
    )


def register_backend(
    registry: Registry, name: str, backend: Any, *, force: bool = False, prefixes: str | list[str] | None = None
) -> Registry:
    """A registry that also has a storage; pass it on as ``load(path, registry=...)``.

    Args:
        registry: the registry to begin with, as `fkit.registry` gives it; it stays as it is.
        name: the name under ``backend`` in ``backend_args``, and a prefix of addresses (``name://...``).
        backend: a class or function that makes the storage: an object with the methods that are used of it (``get``,
            ``get_text``, ``put``, ...), as OpenMMLab's backends have them.
        force: take the place of a backend that is there.
        prefixes: other prefixes of its addresses.

    Raises:
        FkitKeyError: the name or a prefix is there already.
        FkitTypeError: ``registry`` is none, as in OpenMMLab's ``@register_backend("my")``; a name is no str.

    Example:
        >>> class Shout:
        ...     def get_text(self, filepath, encoding="utf-8"): return filepath.upper()
        >>> reg = register_backend(Registry(), "shout", Shout, prefixes=["loud"])
        >>> get_file_backend("loud://a", registry=reg).get_text("loud://a")
        'LOUD://A'
    """
    _want_registry(registry, "register_backend(reg, 'my', Backend)", "get(path, registry=reg)")
    if not callable(backend):
        raise FkitTypeError(f"`backend` is a class or a function that makes the storage, not {quoted(backend)}.")
    others = [prefixes] if isinstance(prefixes, str) else [] if prefixes is None else prefixes
    if not isinstance(others, (list, tuple)) or not all(isinstance(word, str) for word in (name, *others)):  # pyright: ignore
        raise FkitTypeError(f"a backend's name and prefixes are str, not {quoted(name)} and {quoted(prefixes)}.")
    names = dict.fromkeys((name, *(prefix.removesuffix("://") for prefix in others)))
    return registry.register(_BACKENDS, backend, name=tuple(names), replace=bool(force))


def _want_registry(registry: Any, call: str, use: str) -> None:
    if not isinstance(registry, Registry):
        raise FkitTypeError(
            f"nothing is registered globally: the first argument is a registry, not {quoted(registry)}.",
            repair=f"Write reg = fkit.registry(), reg = {call}, and then {use}.",
        )


def _same(handler: FileHandler) -> FileHandler:
    return handler


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
    def register_backend(name: str, backend: Any = None, force: bool = False, prefixes: Any = None) -> Any:
        """Nothing is registered globally.

        Raises:
            FkitTypeError: always; the message says what to write.
        """
        raise FkitTypeError(
            f"the backend {name!r:.80} cannot be registered in FileClient: nothing is registered globally.",
            repair="Write reg = fkit.fileio.register_backend(fkit.registry(), name, backend), and pass registry=reg.",
        )

    @staticmethod
    def parse_uri_prefix(uri: PathLike) -> str | None:
        """The prefix of an address; None for a path."""
        return parse_uri_prefix(uri) or None
