"""Digests of data: of a list of files, and of arrays."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import is_array
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["digest_of_arrays", "digest_of_names", "digest_of_samples"]

_BLOCK = 1 << 20
_BLOCKS = 16  # of one array: what is larger is looked at in places


def digest_of_names(rows: Iterable[tuple[str, Any]], root: str = "") -> str:
    """A digest of a list of files and labels, in its order; hex, 32 characters.

    Args:
        rows: (path, label) each; a label is anything whose ``repr`` says what it is.
        root: the folder that the paths are told from, so that the data may move.

    Example:
        >>> digest_of_names([("/a/x.png", 0)], "/a") == digest_of_names([("/b/x.png", 0)], "/b")
        True
    """
    expect(rows, Iterable, "`rows` are pairs (path, label)")
    expect(root, str, "`root` is a folder's name")
    total = hashlib.blake2b(digest_size=16)
    start = os.path.join(root, "") if root else ""
    row: Any
    for row in rows:
        path, label = row if isinstance(row, tuple) and len(cast("tuple[Any, ...]", row)) == 2 else (None, None)
        if not isinstance(path, str):
            raise FkitTypeError(f"a row is a pair (path, label), not {quoted(row)}.")
        name = path.removeprefix(start).replace(os.sep, "/")
        total.update(f"{len(name)}:{name}={label!r};".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def digest_of_arrays(arrays: Iterable[Any]) -> str:
    """A digest of arrays: their types, shapes and bytes; hex, 32 characters.

    Of an array of more than 16 MiB sixteen blocks of 1 MiB are read, evenly spread, its first and last among them.

    Example:
        >>> digest_of_arrays([np.arange(3)]) == digest_of_arrays([np.arange(3)]) != digest_of_arrays([np.arange(4)])
        True
    """
    expect(arrays, Iterable, "`arrays` are arrays, one after the other")
    total = hashlib.blake2b(digest_size=16)
    for item in arrays:
        array = _host(item)
        total.update(f"{array.dtype.str}{array.shape};".encode())
        if array.dtype.hasobject:
            total.update(repr(array.tolist()).encode())
            continue
        if array.nbytes <= _BLOCK * _BLOCKS:
            total.update(np.ascontiguousarray(array).data)
            continue
        flat = array.reshape(-1)  # a copy only where the array is in no order
        size = max(1, _BLOCK // array.itemsize)
        for place in np.linspace(0, flat.size - size, _BLOCKS, dtype=np.int64).tolist():
            total.update(np.ascontiguousarray(flat[place : place + size]).data)
    return total.hexdigest()


def digest_of_samples(samples: Iterable[Mapping[str, Any]]) -> str:
    """A digest of what samples hold, in their order; hex, 32 characters.

    Arrays count by their bytes, ``img_path`` from the folder that holds all of them on (the data may move), numbers, text
    and containers of them by what they are; anything else by its class alone.

    Example:
        >>> one, moved, other = ([{"img_path": f"/{root}/x.png", "gt_label": k}] for root, k in (("a", 0), ("b", 0), ("b", 1)))
        >>> digest_of_samples(one) == digest_of_samples(moved) != digest_of_samples(other)
        True
    """
    expect(samples, Iterable, "`samples` are mappings, one after the other")
    total = hashlib.blake2b(digest_size=16)
    paths: list[str] = []
    for sample in samples:
        expect(sample, Mapping, "a sample is a mapping")
        for name in sorted(sample, key=str):
            if name == "img_path" and isinstance(sample[name], (str, os.PathLike)):
                paths.append(os.path.abspath(os.fspath(sample[name])))
            else:
                total.update(f"{name}=".encode("utf-8", "surrogateescape"))
                _add(total, sample[name])
        total.update(b";")
    if paths:
        folder = os.path.commonpath([os.path.dirname(path) for path in paths])
        total.update(digest_of_names(((path, None) for path in paths), folder).encode())
    return total.hexdigest()


def _add(total: Any, value: Any) -> None:
    """Put a value into a digest."""
    if isinstance(value, Mapping):
        for name in sorted(cast("Mapping[Any, Any]", value), key=str):
            total.update(f"{name!r}:".encode("utf-8", "surrogateescape"))
            _add(total, value[name])
    elif isinstance(value, (list, tuple)):
        total.update(f"[{len(cast('tuple[Any, ...]', value))}".encode())
        for item in cast("tuple[Any, ...]", value):
            _add(total, item)
    elif is_array(value) or isinstance(value, np.generic):
        total.update(digest_of_arrays((value,)).encode())
    elif value is None or isinstance(value, (bool, int, float, str, bytes)):
        total.update(f"{value!r},".encode("utf-8", "surrogateescape"))
    else:
        total.update(f"{type(value).__qualname__},".encode())


def _host(item: Any) -> NDArray[Any]:
    """An array as numpy's; of one that numpy cannot read (on a device, in bfloat16) its type and shape, as text."""
    try:
        return np.asarray(item)
    except (TypeError, ValueError, RuntimeError):
        return np.array(f"{getattr(item, 'dtype', type(item).__name__)}{tuple(getattr(item, 'shape', ()))}")
