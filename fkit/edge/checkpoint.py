"""Checkpoints on disk: ``checkpoints/step_00000050/{state.safetensors, meta.json}``, atomic and checksummed.

A checkpoint is written beside, synced, and renamed into place, so a folder of its name is whole; ``latest`` names the
newest. ``meta.json`` holds the record of the run and the checksums of both files. Reading runs no code.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from fkit.edge.files import Files, place_of
from fkit.run.start import Saved, exact
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitValueError, RunError, quoted
from fkit.tree.place import not_there, refuse_url

__all__ = [
    "Found",
    "delete_checkpoint",
    "digest",
    "is_saved",
    "locate",
    "newest",
    "read_checkpoint",
    "steps",
    "successor",
    "write_checkpoint",
]

_FORMAT = 1
_ALL = "`checkpoints` is the path of the folder of all checkpoints"
_SAVED = "`saved` is what a run is saved as (fkit.run.start.save, or read_checkpoint(folder).saved)"
_STATE, _META = "state.safetensors", "meta.json"
_NAME = re.compile(r"step_(\d{8,})")


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


def folder_name(step: int) -> str:
    """``step_00000050``."""
    return f"step_{step:08d}"


def steps(checkpoints: str | os.PathLike[str]) -> tuple[int, ...]:
    """The steps that have a folder, the newest first; whole or not."""
    checkpoints = place_of(checkpoints, _ALL)
    names = (_NAME.fullmatch(entry.name) for entry in checkpoints.iterdir()) if checkpoints.is_dir() else ()
    return tuple(sorted((int(match[1]) for match in names if match), reverse=True))


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
    checkpoints = place_of(checkpoints, _ALL)
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
    body = {**meta, "format": _FORMAT, "step": step, "record": saved.record}
    body["checksums"] = {_STATE: _sum(state)}
    text = json.dumps({**body, "checksum": _sum(_canonical(body))}, indent=1)
    name = folder_name(step)
    beside, aside, place = checkpoints / f".{name}.new", checkpoints / f".{name}.old", checkpoints / name
    files.make_folder(checkpoints)
    files.remove(beside)
    files.make_folder(beside)
    files.write(beside / _STATE, state)
    files.write(beside / _META, text.encode())
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


def delete_checkpoint(checkpoints: str | os.PathLike[str], step: int, files: Files) -> None:
    """Remove a checkpoint: first its name, then its files, so that no half of it is ever found."""
    checkpoints = place_of(checkpoints, _ALL)
    expect_number(step, "step", whole=True)
    place, aside = checkpoints / folder_name(step), checkpoints / f".{folder_name(step)}.old"
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
    folder = place_of(folder, "`folder` is the path of a checkpoint, step_...")
    meta, state = _verified(folder)
    try:
        arrays: dict[str, NDArray[Any]] = load_tensors(state)
    except SafetensorError as cause:
        raise FkitValueError(f"{folder / _STATE}: {cause}.") from cause
    return Found(folder, Saved(arrays, meta["record"]), meta)


def successor(checkpoints: str | os.PathLike[str], step: int) -> int:
    """The step of the checkpoint that a run would go on from if that of ``step`` were not there: what ``latest`` names.

    Raises:
        FkitError: there is none, or it is that of ``step``, or it does not verify.
    """
    checkpoints = place_of(checkpoints, _ALL)
    expect_number(step, "step", whole=True)
    try:
        name = (checkpoints / "latest").read_text().strip()
    except OSError as cause:
        raise FkitFileNotFoundError(f"{checkpoints / 'latest'}: cannot be read: {cause.strerror}.") from cause
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) == step:
        raise FkitValueError(f"{checkpoints / 'latest'}: names {quoted(name)}.")
    _verified(checkpoints / name)
    return int(match[1])


def _verified(folder: Path) -> tuple[dict[str, Any], bytes]:
    """meta.json and the bytes of the state, both as their checksums say."""
    if not folder.is_dir():
        raise FkitFileNotFoundError(f"{folder}: there is no such checkpoint folder.")
    try:
        text, state = (folder / _META).read_bytes(), (folder / _STATE).read_bytes()
    except FileNotFoundError as cause:
        raise FkitFileNotFoundError(f"{folder}: {Path(cause.filename).name} is missing.") from cause
    meta = _meta(folder, text)
    if _sum(state) != meta["checksums"].get(_STATE):
        raise FkitValueError(f"{folder / _STATE}: does not match its checksum: it is truncated or was changed.")
    return meta, state


def is_saved(checkpoints: str | os.PathLike[str]) -> bool:
    """Whether a folder of checkpoints holds any, whole or not."""
    return bool(_candidates(place_of(checkpoints, _ALL)))


def newest(checkpoints: str | os.PathLike[str]) -> Found | None:
    """The newest checkpoint that verifies, and those that it was preferred to; None where there is none at all.

    A crash between the two renames of one step leaves the step's old folder under a hidden name: it counts too.

    Raises:
        FkitValueError: there are some, and none verifies.
    """
    checkpoints = place_of(checkpoints, _ALL)
    passed: list[tuple[str, str]] = []
    for folder in _candidates(checkpoints):
        try:
            return read_checkpoint(folder)._replace(passed=tuple(passed))
        except FkitError as error:
            passed.append((folder.name, error.what))
    if passed:
        rows = "\n  ".join(f"{name}: {why}" for name, why in passed)
        raise FkitValueError(f"{checkpoints}: no checkpoint verifies.\n  {rows}")
    return None


def _candidates(checkpoints: Path) -> list[Path]:
    rows = [(step, 1, checkpoints / folder_name(step)) for step in steps(checkpoints)]
    if checkpoints.is_dir():
        hidden = (re.fullmatch(r"\.step_(\d{8,})\.old", entry.name) for entry in checkpoints.iterdir())
        rows += [(int(match[1]), 0, checkpoints / match[0]) for match in hidden if match]
    return [folder for _, _, folder in sorted(rows, reverse=True)]


def digest(saved: Saved) -> str:
    """The fingerprint of all exact state: every array with its name, type and shape, and the exact record; hex sha256."""
    expect(saved, Saved, _SAVED)
    total = hashlib.sha256()
    for name in sorted(saved.arrays):
        array = np.asarray(saved.arrays[name], order="C")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name}\0{array.dtype.name}\0{array.shape}\0".encode() + little.tobytes())
    total.update(_canonical(exact(saved.record)))
    return total.hexdigest()


def _meta(folder: Path, text: bytes) -> dict[str, Any]:
    path = folder / _META
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise FkitValueError(f"{path}: is no JSON: it is truncated or was changed.") from cause
    if not isinstance(meta, dict):
        raise FkitValueError(f"{path}: is no checkpoint's record.")
    body: dict[str, Any] = {name: value for name, value in meta.items() if name != "checksum"}  # pyright: ignore[reportUnknownVariableType]
    if meta.get("checksum") != _sum(_canonical(body)):  # pyright: ignore[reportUnknownMemberType]
        raise FkitValueError(f"{path}: does not match its checksum: it was changed.")
    if body.get("format") != _FORMAT:
        raise FkitValueError(f"{path}: format {body.get('format')!r}, and this version reads {_FORMAT}.")
    return body


def _canonical(value: Any) -> bytes:
    return json.dumps(json.loads(json.dumps(value)), sort_keys=True, separators=(",", ":")).encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def locate(path: str | os.PathLike[str]) -> Path:
    """The checkpoint folder that a user's path means: itself, a work folder's newest, or ``checkpoints/latest``'s.

    Raises:
        FkitFileNotFoundError: it is not there, or is a folder without one.
        FkitValueError: it is a file.
        FkitOSError: a URL.
    """
    place = place_of(path, "`path` is that of a checkpoint, or of the work folder of a run")
    refuse_url(path, "a checkpoint")
    if (place / _META).is_file():
        return place
    if place.name == "latest" and place.is_file():
        return place.parent / place.read_text().strip()
    for folder in (place / "checkpoints", place):
        if steps(folder):
            checkpoint = newest(folder)
            if checkpoint is not None:
                return checkpoint.folder
    what = "Name a folder step_..., checkpoints/latest, or the work folder of a run."
    if not place.exists():
        raise not_there(place, f"{place}: is not there", what)
    if place.is_dir() and (place / "run.json").is_file():
        raise FkitFileNotFoundError(f"{place}: is the folder of a run that has saved no checkpoint yet.", repair=what)
    if place.is_dir():
        raise FkitFileNotFoundError(f"{place}: is a folder, and there is no checkpoint in it.", repair=what)
    if place.name in (_STATE, _META):
        what = f"Name its folder: {place.parent}."
    raise FkitValueError(f"{place}: is there, and is no checkpoint: one is a folder.", repair=what)
