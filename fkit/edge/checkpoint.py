"""Checkpoints on disk: ``checkpoints/step_00000050/{state.safetensors, meta.json}``, atomic and checksummed.

A checkpoint is written beside, synced, and renamed into place, so a folder of its name is whole; ``latest`` names the
newest. ``meta.json`` holds the record of the run and the checksums of both files. Reading runs no code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save as save_tensors

from fkit.edge.files import Files
from fkit.fileio.checkpoint import (
    ALL,
    FORMAT,
    META,
    STATE,
    Shelved,
    canonical,
    checksum,
    folder_name,
    is_saved,
    locate,
    named_by,
    newest_folder,
    read_folder,
    steps,
    verified,
)  # fmt: skip
from fkit.run.start import Saved, exact
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitFileNotFoundError, RunError
from fkit.tree.place import place_of

__all__ = [
    "Found",
    "delete_checkpoint",
    "digest",
    "is_saved",
    "locate",
    "name_checkpoint",
    "newest",
    "read_checkpoint",
    "steps",
    "successor",
    "write_checkpoint",
]

_SAVED = "`saved` is what a run is saved as (fkit.run.start.save, or read_checkpoint(folder).saved)"


class Found(NamedTuple):
    """A checkpoint that was read, and the newer ones that were passed over.

    Attributes:
        folder: where it lies.
        saved: what it holds of the run.
        meta: all of meta.json.
        passed: (folder name, why), newest first.
    """

    folder: Path
    saved: Saved
    meta: Mapping[str, Any]
    passed: tuple[tuple[str, str], ...] = ()


def write_checkpoint(
    checkpoints: str | os.PathLike[str], step: int, saved: Saved, meta: Mapping[str, Any], files: Files
) -> Path:
    """Write a checkpoint so that a crash at any moment leaves the ones before it, or this one whole.

    Args:
        checkpoints: the folder of all checkpoints.
        meta: what else to record beside the run's own record (versions, config fingerprint, ...).

    Returns:
        The checkpoint's folder.

    Raises:
        RunError: a weight is not finite (nothing is written), or the disk is full.
    """
    checkpoints = place_of(checkpoints, ALL)
    expect_number(step, "step", whole=True)
    expect(saved, Saved, _SAVED)
    expect(meta, Mapping, "`meta` is a mapping of what else to record")
    for name, array in saved.arrays.items():
        if name.startswith("params/") and not np.isfinite(array).all():
            raise RunError(
                f"{name.removeprefix('params/')} is not finite after iteration {step}; no checkpoint was written.",
                repair="The checkpoints before it are sound: go on from one with another lr.",
            )
    state = save_tensors({name: np.asarray(array, order="C") for name, array in saved.arrays.items()})
    body = {**meta, "format": FORMAT, "step": step, "record": saved.record}
    body["checksums"] = {STATE: checksum(state)}
    text = json.dumps({**body, "checksum": checksum(canonical(body))}, indent=1)
    name = folder_name(step)
    beside, aside, place = checkpoints / f".{name}.new", checkpoints / f".{name}.old", checkpoints / name
    files.make_folder(checkpoints)
    files.remove(beside)
    files.make_folder(beside)
    files.write(beside / STATE, state)
    files.write(beside / META, text.encode())
    files.sync(beside)
    if place.exists():  # the same step again: the old one leaves its name only when the new one is whole
        files.remove(aside)
        files.rename(place, aside)
    files.rename(beside, place)
    files.sync(checkpoints)
    files.write(checkpoints / ".latest.new", name.encode())
    files.rename(checkpoints / ".latest.new", checkpoints / "latest")
    files.sync(checkpoints)
    files.remove(aside)
    return place


def name_checkpoint(checkpoints: str | os.PathLike[str], name: str, step: int, files: Files) -> None:
    """Give a checkpoint a name beside its folder's: a text file that holds this, whole at every moment."""
    expect(name, str, "`name` is the name of a file")
    expect_number(step, "step", whole=True)
    files.replace(place_of(checkpoints, ALL) / name, folder_name(step).encode())


def delete_checkpoint(checkpoints: str | os.PathLike[str], step: int, files: Files) -> None:
    """Remove a checkpoint: first its names, then its files, so that no half of it is ever found."""
    checkpoints = place_of(checkpoints, ALL)
    expect_number(step, "step", whole=True)
    place, aside = checkpoints / folder_name(step), checkpoints / f".{folder_name(step)}.old"
    for entry in sorted(checkpoints.iterdir()) if checkpoints.is_dir() else ():
        if entry.name != "latest" and named_by(entry) == place.name:
            files.remove(entry)
    if place.exists():
        files.remove(aside)
        files.rename(place, aside)
    files.remove(aside)


def read_checkpoint(folder: str | os.PathLike[str]) -> Found:
    """A checkpoint, verified.

    Raises:
        FkitFileNotFoundError: the folder or a file of it is not there.
        FkitValueError: a file is truncated or changed, or of another format.
    """
    return _found(read_folder(folder))


def _found(shelved: Shelved) -> Found:
    return Found(shelved.folder, Saved(shelved.arrays, shelved.meta["record"]), shelved.meta)


def successor(checkpoints: str | os.PathLike[str], step: int) -> int:
    """The step of the checkpoint that a run would go on from if that of ``step`` were not there: a later one that verifies.

    Raises:
        FkitError: there is none.
    """
    checkpoints = place_of(checkpoints, ALL)
    expect_number(step, "step", whole=True)
    error: FkitError = FkitFileNotFoundError(f"{checkpoints}: there is none after it.")
    for later in steps(checkpoints):
        if later <= step:
            break
        try:
            verified(checkpoints / folder_name(later))
        except FkitError as cause:
            error = cause
        else:
            return later
    raise error


def newest(checkpoints: str | os.PathLike[str]) -> Found | None:
    """The newest checkpoint that verifies, and those that it was preferred to; None where there is none at all.

    Raises:
        FkitValueError: there are some, and none verifies.
    """
    known = newest_folder(checkpoints)
    return None if known is None else _found(known[0])._replace(passed=known[1])


def digest(saved: Saved) -> str:
    """The fingerprint of all exact state: every array with its name, type and shape, and the exact record; hex sha256."""
    expect(saved, Saved, _SAVED)
    total = hashlib.sha256()
    for name in sorted(saved.arrays):
        array = np.asarray(saved.arrays[name], order="C")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name}\0{array.dtype.name}\0{array.shape}\0".encode() + little.tobytes())
    total.update(canonical(exact(saved.record)))
    return total.hexdigest()
