"""The kit's own checkpoints as files: ``step_00000050/{state.safetensors, meta.json}``, read and verified; no code is run.

What a run makes of them, and how they are written, is the edge's (`fkit.edge.checkpoint`).
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitValueError
from fkit.tree.place import not_there, place_of, refuse_url

__all__ = [
    "ALL", "FORMAT", "META", "NAME", "STATE", "Shelved", "candidates", "canonical", "checksum", "folder_name", "is_saved", "locate", "named_by",
    "newest_folder", "read_folder", "steps", "verified",
]  # fmt: skip

FORMAT = 1
STATE, META = "state.safetensors", "meta.json"
ALL = "`checkpoints` is the path of the folder of all checkpoints"
NAME = re.compile(r"step_(\d{8,})")


class Shelved(NamedTuple):
    """A checkpoint's folder, read.

    Attributes:
        folder: where it lies.
        arrays: the train state, by path, in torch's names and layout.
        meta: all of meta.json.
    """

    folder: Path
    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]


def folder_name(step: int) -> str:
    """``step_00000050``."""
    return f"step_{step:08d}"


def steps(checkpoints: str | os.PathLike[str]) -> tuple[int, ...]:
    """The steps that have a folder, the newest first; whole or not."""
    checkpoints = place_of(checkpoints, ALL)
    names = (NAME.fullmatch(entry.name) for entry in checkpoints.iterdir()) if checkpoints.is_dir() else ()
    return tuple(sorted((int(match[1]) for match in names if match), reverse=True))


def read_folder(folder: str | os.PathLike[str]) -> Shelved:
    """A checkpoint's arrays and record, verified.

    Raises:
        FkitFileNotFoundError: the folder or a file of it is not there.
        FkitValueError: a file is truncated or changed, or of another format.
    """
    folder = place_of(folder, "`folder` is the path of a checkpoint, step_...")
    meta, state = verified(folder)
    try:
        return Shelved(folder, load_tensors(state), meta)
    except SafetensorError as cause:
        raise FkitValueError(f"{folder / STATE}: {cause}.") from cause


def newest_folder(checkpoints: str | os.PathLike[str]) -> tuple[Shelved, tuple[tuple[str, str], ...]] | None:
    """The newest checkpoint that verifies, and (name, why) of those that it was preferred to; None where there is none.

    A crash between the two renames of one step leaves the step's old folder under a hidden name: it counts too.

    Raises:
        FkitValueError: there are some, and none verifies.
    """
    checkpoints = place_of(checkpoints, ALL)
    passed: list[tuple[str, str]] = []
    for folder in candidates(checkpoints):
        try:
            return read_folder(folder), tuple(passed)
        except FkitError as error:
            passed.append((folder.name, error.what))
    if passed:
        rows = "\n  ".join(f"{name}: {why}" for name, why in passed)
        raise FkitValueError(f"{checkpoints}: no checkpoint verifies.\n  {rows}")
    return None


def verified(folder: Path) -> tuple[dict[str, Any], bytes]:
    """meta.json and the bytes of the state, both as their checksums say."""
    if not folder.is_dir():
        raise FkitFileNotFoundError(f"{folder}: there is no such checkpoint folder.")
    try:
        text, state = (folder / META).read_bytes(), (folder / STATE).read_bytes()
    except FileNotFoundError as cause:
        raise FkitFileNotFoundError(f"{folder}: {Path(cause.filename).name} is missing.") from cause
    meta = _meta(folder, text)
    if checksum(state) != meta["checksums"].get(STATE):
        raise FkitValueError(f"{folder / STATE}: does not match its checksum: it is truncated or was changed.")
    return meta, state


def is_saved(checkpoints: str | os.PathLike[str]) -> bool:
    """Whether a folder of checkpoints holds any, whole or not."""
    return bool(candidates(place_of(checkpoints, ALL)))


def candidates(checkpoints: Path) -> list[Path]:
    """The folders that may be checkpoints, the newest first."""
    rows = [(step, 1, checkpoints / folder_name(step)) for step in steps(checkpoints)]
    if checkpoints.is_dir():
        hidden = (re.fullmatch(r"\.step_(\d{8,})\.old", entry.name) for entry in checkpoints.iterdir())
        rows += [(int(match[1]), 0, checkpoints / match[0]) for match in hidden if match]
    return [folder for _, _, folder in sorted(rows, reverse=True)]


def _meta(folder: Path, text: bytes) -> dict[str, Any]:
    path = folder / META
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise FkitValueError(f"{path}: is no JSON: it is truncated or was changed.") from cause
    if not isinstance(meta, dict):
        raise FkitValueError(f"{path}: is no checkpoint's record.")
    body: dict[str, Any] = {name: value for name, value in meta.items() if name != "checksum"}  # pyright: ignore[reportUnknownVariableType]
    if meta.get("checksum") != checksum(canonical(body)):  # pyright: ignore[reportUnknownMemberType]
        raise FkitValueError(f"{path}: does not match its checksum: it was changed.")
    if body.get("format") != FORMAT:
        raise FkitValueError(f"{path}: format {body.get('format')!r}, and this version reads {FORMAT}.")
    return body


def canonical(value: Any) -> bytes:
    """A value of JSON as the bytes that a checksum is of: keys sorted, no blanks."""
    return json.dumps(json.loads(json.dumps(value)), sort_keys=True, separators=(",", ":")).encode()


def checksum(data: bytes) -> str:
    """sha256, in hex."""
    return hashlib.sha256(data).hexdigest()


def locate(path: str | os.PathLike[str]) -> Path:
    """The checkpoint folder that a user's path means: itself, a work folder's newest, or that which a text file beside it
    names, ``checkpoints/latest`` or ``checkpoints/best_accuracy_top1`` say.

    Raises:
        FkitFileNotFoundError: it is not there, or is a folder without one.
        FkitValueError: it is a file.
        FkitOSError: a URL.
    """
    place = place_of(path, "`path` is that of a checkpoint, or of the work folder of a run")
    refuse_url(path, "a checkpoint")
    if (place / META).is_file():
        return place
    named = named_by(place)
    if named:  # a crash while it was written again leaves it under its hidden name
        folder, aside = place.parent / named, place.parent / f".{named}.old"
        return folder if folder.is_dir() or not aside.is_dir() else aside
    for folder in (place / "checkpoints", place):
        if steps(folder):
            newest = newest_folder(folder)
            if newest is not None:
                return newest[0].folder
    what = "Name a folder step_..., checkpoints/latest (or best_...), or the work folder of a run."
    if not place.exists():
        raise not_there(place, f"{place}: is not there", what)
    if place.is_dir() and (place / "run.json").is_file():
        raise FkitFileNotFoundError(f"{place}: is the folder of a run that has saved no checkpoint yet.", repair=what)
    if place.is_dir():
        raise FkitFileNotFoundError(f"{place}: is a folder, and there is no checkpoint in it.", repair=what)
    if place.name in (STATE, META):
        what = f"Name its folder: {place.parent}."
    raise FkitValueError(f"{place}: is there, and is no checkpoint: one is a folder.", repair=what)


def named_by(file: Path) -> str:
    """The name of the checkpoint's folder that a text file beside it holds; "" where it is no such file."""
    if not file.is_file() or file.stat().st_size > 64:
        return ""
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if NAME.fullmatch(text) else ""
