"""Files of flax's variables: ``.safetensors``, whose names are ``params/layer1_0/conv1/kernel``, and flax's own ``.msgpack``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import serialization, traverse_util
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from fkit.fileio.operation import get
from fkit.interop.weight import flat_variables
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.tree.place import not_there, place_of
from fkit.tree.write import atomic_write

__all__ = ["load_variables", "save_variables", "variables_bytes", "variables_in"]

_ENDS = (".safetensors", ".msgpack")


def save_variables(path: str | os.PathLike[str], variables: Mapping[str, Any]) -> Path:
    """Write flax's variables into a file, whole or not at all.

    Args:
        path: ``NAME.safetensors`` or ``NAME.msgpack``.
        variables: ``{"params": {...}, "batch_stats": {...}}``.

    Raises:
        FkitError: the name ends otherwise, there are no variables, or the file cannot be written.
    """
    place = place_of(path, "`path` is that of the new file")
    atomic_write(place, variables_bytes(flat_variables(variables), place))
    return place


def load_variables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """flax's variables of a file, as numpy's arrays in nested dicts, for ``module.apply``.

    Args:
        path: what `save_variables` or ``fkit convert`` wrote.

    Raises:
        FkitError: it is not there, or no file of flax's variables.
    """
    place = place_of(path, "`path` is that of a file of flax's variables")
    if not place.is_file():
        raise not_there(place, f"{place}: is not there", "Name a file that `fkit convert` or save_variables wrote.")
    flat = variables_in(place, get(place))
    if flat is None:
        raise FkitValueError(
            f"{place}: holds no variables of flax.",
            repair="`fkit convert --to flax` makes them of a checkpoint of torch.",
        )
    return traverse_util.unflatten_dict(flat)


def variables_bytes(flat: Mapping[tuple[str, ...], NDArray[Any]], place: Path) -> bytes:
    """The bytes of a file of that name.

    Raises:
        FkitValueError: its name ends otherwise, or there are no variables.
    """
    expect(flat, Mapping, "`flat` is arrays by (collection, *path)")
    if place.suffix not in _ENDS:
        raise FkitValueError(f"{place}: is to end with .safetensors or .msgpack.")
    if not flat:
        raise FkitValueError(f"{place}: there are no variables to write.")
    if place.suffix == ".msgpack":
        return serialization.msgpack_serialize(traverse_util.unflatten_dict(dict(flat)))
    return save_tensors({"/".join(path): np.asarray(a, order="C") for path, a in flat.items()}, {"format": "flax"})


def variables_in(place: Path, data: bytes) -> dict[tuple[str, ...], NDArray[Any]] | None:
    """flax's arrays in a file's bytes, by (collection, *path); None where they are something else.

    Raises:
        FkitValueError: it ends with .msgpack and is none, or is broken.
    """
    if place.suffix == ".msgpack":
        try:
            held: Any = serialization.msgpack_restore(data)
            return flat_variables(held)
        except Exception as cause:  # msgpack has a class of errors for each fault
            raise FkitValueError(f"{place}: is no msgpack of flax's variables, or is broken: {cause}") from cause
    if data[8:10] != b'{"':
        return None
    try:
        arrays = load_tensors(data)
    except (SafetensorError, KeyError, ValueError, OverflowError, MemoryError) as cause:
        raise FkitValueError(f"{place}: is no file of safetensors, or is truncated: {cause}.") from cause
    if not arrays or not all("/" in name for name in arrays):
        return None
    return {tuple(name.split("/")): array for name, array in arrays.items()}
