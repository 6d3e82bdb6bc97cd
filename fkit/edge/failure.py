"""What ended a run, on record in its work folder."""

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fkit.edge.files import Files
from fkit.edge.journal import Journal
from fkit.tree.error import FkitError

__all__ = ["is_input", "write_failure", "write_record"]


def is_input(error: BaseException) -> bool:
    """Whether an error is about what the user gave, and not one of a run.

    Example:
        >>> is_input(FkitError("no such key")), is_input(MemoryError())
        (True, False)
    """
    return isinstance(error, FkitError) and error.exit_code == 2


def write_record(folder: Path, record: Mapping[str, Any], files: Files) -> None:
    """Write run.json."""
    files.replace(folder / "run.json", (json.dumps(record, indent=1) + "\n").encode())


def write_failure(folder: Path, record: Mapping[str, Any], error: BaseException, files: Files, said: str = "") -> None:
    """Say in run.json that a run failed, and in log.txt why and where; what the disk does not take is left out.

    Args:
        folder: of the run; made where there is none.
        record: what run.json says beside the status.
        error: what ended the run.
        said: what the log says already.
    """
    journal = Journal(folder, files)
    try:
        text = str(error) if isinstance(error, FkitError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # an error of a user's own class, whose text fails
        text = type(error).__name__
    cause = error.__cause__ if isinstance(error, FkitError) else error
    try:
        files.make_folder(folder)
        write_record(folder, {**record, "status": "failed"}, files)
        if text != said:
            journal.say(text, "ERROR")
        if cause is not None:
            journal.say("".join(traceback.format_exception(cause)).rstrip(), "ERROR")
    except FkitError:  # the error itself is what is shown
        return
