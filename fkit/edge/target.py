"""Where a command's results go: looked at before the work begins, so that it is not done for nothing."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fkit.edge.files import place_of
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitOSError, FkitValueError
from fkit.tree.place import refuse_url

__all__ = ["file_target", "folder_target", "kept"]


def file_target(path: str | os.PathLike[str], name: str, inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The file that a result goes into; a pipe or a device will do.

    Args:
        path: the file; one that is there is written anew.
        name: of the option, for messages.
        inputs: files that the command reads.

    Raises:
        FkitFileNotFoundError: its folder is not there.
        FkitOSError: it is a folder, or no file can be written there.
        FkitValueError: it is one of the inputs.

    Example:
        >>> file_target("nothere/a.json", "--out")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitFileNotFoundError: --out nothere/a.json: the folder nothere is not there.
          Make it, or name another file.
    """
    expect(name, str, "`name` is the option's")
    place = place_of(path, f"{name} is the path of a file")
    refuse_url(path, f"what {name} names")
    if os.path.isdir(place) or os.fspath(path).endswith(os.sep):
        raise FkitOSError(f"{name} {path}: is a folder.", repair=f"Name a file: {name} {place / 'scores.json'}, say.")
    if os.path.exists(place) and not os.path.isfile(place):
        if not os.access(place, os.W_OK):
            raise FkitOSError(f"{name} {path}: cannot be written.", repair="Name another file, or allow it.")
        return place
    folder = place.parent
    if not os.path.lexists(folder):
        raise FkitFileNotFoundError(
            f"{name} {path}: the folder {folder} is not there.", repair="Make it, or name another file."
        )
    if not os.path.isdir(folder):
        raise FkitOSError(f"{name} {path}: {folder} is no folder.", repair="Name another file.")
    _try(folder, f"{name} {path}: no file can be written in {folder}")
    kept((place,), inputs, f"{name} {path}")
    return place


def folder_target(path: str | os.PathLike[str], name: str) -> Path:
    """The folder that results go into, which is made when the first is there.

    Raises:
        FkitOSError: it is no folder, or none can be made there, or no file can be written in it.

    Example:
        >>> folder_target(os.devnull, "--out")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitOSError: --out /dev/null: is no folder.
          Name a folder.
    """
    expect(name, str, "`name` is the option's")
    place = place_of(path, f"{name} is the path of a folder")
    refuse_url(path, f"what {name} names")
    there = next((one for one in (place, *place.parents) if os.path.lexists(one)), Path())
    if not os.path.isdir(there):
        what = "is no folder" if there == place else f"{there} is no folder"
        raise FkitOSError(f"{name} {path}: {what}.", repair="Name a folder.")
    what = "no file can be written there" if there == place else f"no folder can be made in {there}"
    _try(there, f"{name} {path}: {what}")
    return place


def kept(targets: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]], name: str) -> None:
    """Refuse to write onto what is read: files are compared, whatever they are called.

    Args:
        name: of the option, with its value, for the message.

    Raises:
        FkitValueError: a target is an input.
    """
    expect(targets, Iterable, "`targets` are paths")
    expect(inputs, Iterable, "`inputs` are paths")
    several, targets = tuple(inputs), tuple(targets)
    for path in (*several, *targets):
        expect(path, (str, os.PathLike), "a target and an input are the paths of files")
    known = {identity: path for path in several if (identity := _identity(path)) is not None}
    for target in targets:
        identity = _identity(target)
        path = None if identity is None else known.get(identity)
        if path is not None:
            same = "" if os.fspath(path) == os.fspath(target) else f", which is the file {path},"
            raise _onto(name, target, same)


def _onto(name: str, target: Any, same: str) -> FkitError:
    return FkitValueError(
        f"{name}: {target}{same} would be written onto, and it is one of the files that are read.",
        repair="Name another place; nothing was written.",
    )


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # it is not there, or no name of a file
        return None
    return state.st_dev, state.st_ino


def _try(folder: Path, what: str) -> None:
    """Whether a folder takes files; the system is asked by a file without a name, for its modes do not say all."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as cause:
        raise FkitOSError(f"{what}: {cause.strerror}.", repair="Name another place, or allow it.") from cause
