"""What is said of a sample as a line of JSON, arrays with it: small ones as numbers that a person reads, others packed."""

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.format.json import read_json, write_json
from fkit.structures.content import host, is_array
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["read_line", "write_line"]

_SHOWN = 256  # numbers of an array that are written as such
_KINDS = "biufc"


def write_line(row: Mapping[str, Any]) -> bytes:
    """A mapping of arrays, numbers and text, nested as it may be, as one line with its end.

    Raises:
        FkitTypeError: a value has no form in JSON.

    Example:
        >>> write_line({"sample_idx": 3, "scores": np.array([0.5, 1.0], np.float32)})
        b'{"sample_idx": 3, "scores": {"array": "float32", "shape": [2], "values": [0.5, 1.0]}}\\n'
    """
    expect(row, Mapping, "`row` is a mapping")
    return (write_json(_plain(row)) + "\n").encode()


def read_line(line: bytes, place: str = "the line") -> dict[str, Any]:
    """What `write_line` wrote: arrays to the bit and of their type, tuples as lists.

    Args:
        place: where it stands, for messages.

    Raises:
        FkitValueError: it is no line of these.

    Example:
        >>> read_line(write_line({"scores": np.array([0.5, np.inf], np.float32)}))
        {'scores': array([0.5, inf], dtype=float32)}
    """
    expect(line, (bytes, str), "`line` is a line")
    try:
        value = read_json(line)
    except FkitValueError as error:
        what = error.what.removesuffix(".")
        raise FkitValueError(f"{place}: was changed ({what}).") from error
    if not isinstance(value, dict):
        raise FkitValueError(f"{place}: is {quoted(value)}, not what is predicted of a sample.")
    try:
        return {key: _value(part) for key, part in cast("dict[str, Any]", value).items()}
    except (TypeError, ValueError, KeyError, OverflowError, MemoryError, zlib.error) as cause:
        raise FkitValueError(f"{place}: an array is damaged ({type(cause).__name__}: {quoted(str(cause))}).") from cause


def _plain(value: Any) -> Any:
    if is_array(value):
        return _packed(np.asarray(host(value)))
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in cast("list[Any]", value)]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise FkitTypeError(
        f"{quoted(value)} has no form in a file of predictions.",
        repair="Let the model predict arrays, numbers and text, in mappings and lists.",
    )


def _packed(array: NDArray[Any]) -> Any:
    if array.dtype.kind not in _KINDS:
        return _plain(array.tolist())
    head = {"array": array.dtype.name, "shape": list(array.shape)}
    if array.size <= _SHOWN and array.dtype.kind != "c" and bool(np.isfinite(array).all()):
        return {**head, "values": array.tolist()}
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return {**head, "zlib": base64.b64encode(zlib.compress(data, 1)).decode()}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(part) for part in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    node = cast("dict[str, Any]", value)
    if node.keys() not in ({"array", "shape", "values"}, {"array", "shape", "zlib"}):
        return {key: _value(part) for key, part in node.items()}
    dtype = np.dtype(str(node["array"]))
    shape = tuple(int(size) for size in node["shape"])
    if dtype.kind not in _KINDS or min(shape, default=0) < 0:
        raise ValueError(f"an array of {node['array']}, {shape}")
    if "values" in node:
        return np.array(node["values"], dtype).reshape(shape)
    size = math.prod(shape) * dtype.itemsize
    data = zlib.decompressobj().decompress(base64.b64decode(node["zlib"], validate=True), size + 1)
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=False)
