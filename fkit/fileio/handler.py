"""File handlers: a format is a pair of pure functions between bytes and values.

A format of your own is one registration::

    def parquet() -> FileHandler:
        return FileHandler(decode=read_parquet, encode=write_parquet)

    reg = fkit.registry().register("file_handlers", parquet, name="parquet")
    table = load("train.parquet", registry=reg)

OpenMMLab's handlers (classes with ``load_from_fileobj`` and ``dump_to_fileobj``) are registered the same way.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from frozendict import frozendict

from fkit.format.json import read_json, write_json
from fkit.format.yaml import read_yaml, write_yaml
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "FileHandler",
    "adapt",
    "file_handlers",
    "json_handler",
    "npy_handler",
    "npz_handler",
    "pickle_handler",
    "safetensors_handler",
    "txt_handler",
    "yaml_handler",
]


@dataclass(frozen=True, slots=True)
class FileHandler:
    """A format: two pure functions.

    Args:
        decode: ``decode(data: bytes, **options) -> value``.
        encode: ``encode(value, **options) -> bytes``, or a str where ``text`` is True.
        text: the bytes are UTF-8 text, so ``dump`` to a string gives a str.
        pickles: both functions take ``allow_pickle``, for the format can carry code.
        places: ``decode`` takes ``origin``, the file's name, so that its errors say ``file:line``.

    Raises:
        FkitTypeError: ``decode`` or ``encode`` cannot be called.

    Example:
        >>> upper = FileHandler(decode=lambda data: data.decode().upper(), encode=lambda text: text.encode(), text=True)
        >>> upper.decode(b"cat")
        'CAT'
    """

    decode: Callable[..., Any]
    encode: Callable[..., bytes | str]
    text: bool = False
    pickles: bool = False
    places: bool = False

    def __post_init__(self) -> None:
        for name, part in (("decode", self.decode), ("encode", self.encode)):
            if not callable(cast(Any, part)):
                raise FkitTypeError(f"`{name}` is a function, not {quoted(part)}.")


def adapt(part: Any, name: str) -> FileHandler:
    """A registered part as a `FileHandler`: it is one, or it is an object with OpenMMLab's three methods.

    Example:
        >>> class Words:
        ...     def load_from_fileobj(self, file): return file.read().split()
        ...     def dump_to_fileobj(self, obj, file): file.write(" ".join(obj))
        ...     def dump_to_str(self, obj): return " ".join(obj)
        >>> adapt(Words(), "words").decode(b"a b")
        ['a', 'b']
    """
    if isinstance(part, FileHandler):
        return part
    read, write = getattr(part, "load_from_fileobj", None), getattr(part, "dump_to_fileobj", None)
    if read is None or write is None:
        raise FkitTypeError(
            f"The file handler {name!r} gives a {type(part).__name__}, not a FileHandler.",
            repair="Return fkit.fileio.FileHandler(decode=..., encode=...), or an object with load_from_fileobj, "
            "dump_to_fileobj and dump_to_str.",
        )
    text = bool(getattr(part, "str_like", True))

    def decode(data: bytes, **options: Any) -> Any:
        return read(io.StringIO(data.decode("utf-8")) if text else io.BytesIO(data), **options)

    def encode(value: Any, **options: Any) -> bytes:
        if text:
            lines = io.StringIO()
            write(value, lines, **options)
            return lines.getvalue().encode("utf-8")
        file = io.BytesIO()
        write(value, file, **options)
        return file.getvalue()

    return FileHandler(decode, encode, text=text)


# --------------------------------------------------------------------------------------------------- json and yaml


def json_handler() -> FileHandler:
    """JSON. Sets, ranges and arrays are written as lists, numpy's scalars as numbers, mappings as objects.

    Options are those of `fkit.format.json.write_json`: ``indent``, ``sort_keys``, ``allow_nan=False``, ...

    Example:
        >>> json_handler().encode({"ids": range(3), "mean": np.float32(0.5)})
        '{"ids": [0, 1, 2], "mean": 0.5}'
    """
    return FileHandler(read_json, write_json, text=True, places=True)


def yaml_handler() -> FileHandler:
    """YAML: plain data and ``!!python/tuple``; any other ``!!python`` tag is refused.

    Mappings keep their order; numpy's scalars and arrays are written as numbers and lists. Options are those of
    `fkit.format.yaml.write_yaml`. ``1e-3`` is a number and ``2024-01-02`` a text, as `fkit.format.scalar` says.

    Example:
        >>> handler = yaml_handler()
        >>> handler.encode({"size": (2, 3)})
        'size: !!python/tuple [2, 3]\\n'
        >>> handler.decode(b"size: !!python/tuple [2, 3]")
        {'size': (2, 3)}
    """
    return FileHandler(read_yaml, write_yaml, text=True, places=True)


# ----------------------------------------------------------------------------------------------------------- pickle


def pickle_handler() -> FileHandler:
    """Pickle, refused unless ``allow_pickle=True``: reading one can run any code.

    Example:
        >>> handler = pickle_handler()
        >>> handler.decode(handler.encode({"a": (1, 2)}, allow_pickle=True), allow_pickle=True)
        {'a': (1, 2)}
    """
    return FileHandler(_from_pickle, _to_pickle, pickles=True)


def _from_pickle(data: bytes, *, allow_pickle: bool = False, encoding: str = "ASCII") -> Any:
    _allowed(allow_pickle)
    return pickle.loads(data, encoding=encoding)


def _to_pickle(value: Any, *, allow_pickle: bool = False, protocol: int = 2) -> bytes:
    _allowed(allow_pickle)
    return pickle.dumps(value, protocol=protocol)


def _allowed(allow_pickle: bool) -> None:
    if not allow_pickle:
        raise FkitValueError(
            "a pickle can run any code when it is read; it is refused.",
            repair="Where you trust its source, pass allow_pickle=True; json, npz and safetensors hold data only.",
        )


# ------------------------------------------------------------------------------------------------------------ arrays


def npy_handler() -> FileHandler:
    """One numpy array.

    Example:
        >>> handler = npy_handler()
        >>> handler.decode(handler.encode([1, 2]))
        array([1, 2])
    """
    return FileHandler(_from_npy, _to_npy, pickles=True)


def _from_npy(data: bytes, *, allow_pickle: bool = False) -> Any:
    array = np.load(io.BytesIO(data), allow_pickle=allow_pickle)
    if not isinstance(array, np.ndarray):
        raise FkitValueError("holds several arrays: it is an npz file.", repair='Pass file_format="npz".')
    return cast(Any, array)


def _to_npy(value: Any, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=allow_pickle)
    return file.getvalue()


def npz_handler() -> FileHandler:
    """Several numpy arrays by name: a mapping.

    Example:
        >>> handler = npz_handler()
        >>> handler.decode(handler.encode({"x": np.ones(2)}, compressed=True))
        {'x': array([1., 1.])}
    """
    return FileHandler(_from_npz, _to_npz, pickles=True)


def _from_npz(data: bytes, *, allow_pickle: bool = False) -> dict[str, Any]:
    archive = np.load(io.BytesIO(data), allow_pickle=allow_pickle)
    if isinstance(archive, np.ndarray):
        raise FkitValueError("holds one array: it is an npy file.", repair='Pass file_format="npy".')
    with archive:
        return {name: archive[name] for name in archive.files}


def _to_npz(value: Any, *, allow_pickle: bool = False, compressed: bool = False) -> bytes:
    arrays = {name: np.asarray(array) for name, array in _by_name(value, "npz").items()}
    objects = [name for name, array in arrays.items() if array.dtype == object]
    if objects and not allow_pickle:
        raise FkitValueError(f"the array {objects[0]!r} holds Python objects, which need a pickle.")
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **cast(Any, arrays))
    return file.getvalue()


def safetensors_handler() -> FileHandler:
    """Arrays by name in the safetensors format: a mapping of numpy arrays; ``metadata`` maps strings to strings.

    Example:
        >>> handler = safetensors_handler()
        >>> handler.decode(handler.encode({"w": np.ones((1, 2), np.float32)}))
        {'w': array([[1., 1.]], dtype=float32)}
    """
    return FileHandler(_from_safetensors, _to_safetensors)


def _from_safetensors(data: bytes) -> dict[str, Any]:
    from safetensors.numpy import load

    return load(data)


def _to_safetensors(value: Any, *, metadata: Mapping[str, str] | None = None) -> bytes:
    from safetensors.numpy import save

    # the library writes the memory as it lies: a strided view would come back as other numbers
    arrays = {name: np.asarray(array, order="C") for name, array in _by_name(value, "safetensors").items()}
    return save(arrays, dict(metadata) if metadata is not None else None)


def _by_name(value: Any, format: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FkitTypeError(f"{format} holds arrays by name: pass a mapping, not a {type(value).__name__}.")
    for name in cast("Mapping[Any, Any]", value):
        if not isinstance(name, str):
            raise FkitTypeError(f"{format} holds arrays by name: the key {name!r} is no string.")
    return cast("Mapping[str, Any]", value)


# -------------------------------------------------------------------------------------------------------------- text


def txt_handler() -> FileHandler:
    """Text as it is, line ends included.

    Example:
        >>> txt_handler().decode("Käse\\n".encode())
        'Käse\\n'
    """
    return FileHandler(_from_txt, _to_txt, text=True)


def _from_txt(data: bytes, *, encoding: str = "utf-8") -> str:
    return data.decode(encoding)


def _to_txt(value: Any, *, encoding: str = "utf-8") -> bytes:
    if not isinstance(value, str):
        raise FkitTypeError(f"txt holds a str, not a {type(value).__name__}.")
    return value.encode(encoding)


file_handlers = frozendict[str, FileHandler](
    {
        "json": json_handler(),
        "npy": npy_handler(),
        "npz": npz_handler(),
        "pickle": pickle_handler(),
        "pkl": pickle_handler(),
        "safetensors": safetensors_handler(),
        "txt": txt_handler(),
        "yaml": yaml_handler(),
        "yml": yaml_handler(),
    }
)
"""The built-in formats, as the built-in registry has them; looked up where no other registry is given."""
