"""Errors of reading and writing: whatever a library raised becomes one sentence that names the file."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager

from fkit.tree.error import (
    FkitError,
    FkitFileNotFoundError,
    FkitImportError,
    FkitOSError,
    FkitRuntimeError,
    FkitValueError,
    like,
)

__all__ = ["FkitFileExistsError", "FkitSameFileError", "told"]


class FkitFileExistsError(FkitOSError, FileExistsError):
    """A file or folder that is there already."""


class FkitSameFileError(FkitOSError, shutil.SameFileError):
    """A copy onto itself."""


@contextmanager
def told(where: str, doing: str) -> Generator[None]:
    """Turn what the body raises into one `FkitError` that names the file.

    Args:
        where: the path or address, as the user wrote it.
        doing: what was tried, as in "cannot be {doing}": "read", "written", "read as json".

    Raises:
        FkitError: of the class that a handler for the original class catches too.

    Example:
        >>> with told("notes.txt", "read"):
        ...     raise PermissionError(13, "Permission denied")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitOSError: notes.txt: cannot be read: Permission denied.
    """
    try:
        yield
    except FkitError:
        raise
    except Exception as cause:
        raise _explained(cause, where, doing) from cause


def _explained(cause: Exception, where: str, doing: str) -> FkitError:
    inner = cause.__cause__
    if isinstance(cause, FileNotFoundError) and isinstance(inner, Exception) and not _missing(inner):
        return FkitOSError(f"cannot be {doing}: {_sentence(inner)}", origin=where)  # fsspec's word for no connection
    if isinstance(cause, FileNotFoundError):
        return FkitFileNotFoundError("there is no such file or folder.", origin=where)
    if isinstance(cause, FileExistsError):
        return FkitFileExistsError("is there already.", origin=where)
    if isinstance(cause, IsADirectoryError):
        return FkitOSError(f"cannot be {doing}: it is a folder.", origin=where)
    if isinstance(cause, RecursionError):
        return FkitValueError(f"cannot be {doing}: it is nested too deeply.", origin=where)
    if isinstance(cause, NotImplementedError):
        return FkitRuntimeError(f"cannot be {doing}: its storage does not offer that.", origin=where)
    if isinstance(cause, ImportError):
        return FkitImportError(
            f"cannot be {doing}: a package is missing.",
            origin=where,
            repair=f"{cause}" or f"Install {cause.name!r}.",
        )
    kind = like(cause)
    # libraries for archives and networks have classes of their own: to whoever reads a file, they are its OSError
    return (FkitOSError if kind is FkitError else kind)(f"cannot be {doing}: {_sentence(cause)}", origin=where)


def _missing(cause: BaseException) -> bool:
    return isinstance(cause, (FileNotFoundError, KeyError)) or getattr(cause, "status", None) == 404


def _sentence(cause: Exception) -> str:
    """A cause's text as the end of a sentence: one line, one full stop."""
    own = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    lines = own.split("\n")
    text = " ".join(line.strip() for line in lines if line.strip()) or type(cause).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
