"""Errors of reading and writing: whatever a library raised becomes one sentence that names the file."""

import shutil
from types import TracebackType

from fkit.tree.error import (
    FkitError,
    FkitFileNotFoundError,
    FkitImportError,
    FkitOSError,
    FkitRuntimeError,
    FkitValueError,
    like,
)

__all__ = ["FileErrors", "FkitFileExistsError", "FkitSameFileError", "file_error"]


class FkitFileExistsError(FkitOSError, FileExistsError):
    """A file or folder that is there already."""


class FkitSameFileError(FkitOSError, shutil.SameFileError):
    """A copy onto itself."""


class FileErrors:
    """Turn what the body of a ``with`` raises into one `FkitError` that names the file.

    Args:
        where: the path or address, as the user wrote it.
        action: what was tried, as in "cannot be {action}": "read", "written", "read as json".

    Raises:
        FkitError: of the class that a handler for the original class catches too.

    Example:
        >>> with FileErrors("notes.txt", "read"):
        ...     raise PermissionError(13, "Permission denied")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitOSError: notes.txt: cannot be read: Permission denied.
    """

    __slots__ = ("action", "where")

    def __init__(self, where: str, action: str) -> None:
        self.where = where
        self.action = action

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(cause, Exception) and not isinstance(cause, FkitError):
            raise file_error(cause, self.where, self.action) from cause


def file_error(cause: Exception, where: str, action: str) -> FkitError:
    """The `FkitError` of an exception that some library raised about a file; see `FileErrors`.

    Example:
        >>> print(file_error(ValueError("no number"), "a.txt:3", "read"))
        a.txt:3: cannot be read: no number.
    """
    inner = cause.__cause__
    if isinstance(cause, FileNotFoundError) and isinstance(inner, Exception) and not _missing(inner):
        return FkitOSError(f"cannot be {action}: {_sentence(inner)}", origin=where)  # fsspec's word for no connection
    if isinstance(cause, FileNotFoundError):
        return FkitFileNotFoundError("there is no such file or folder.", origin=where)
    if isinstance(cause, FileExistsError):
        return FkitFileExistsError("is there already.", origin=where)
    if isinstance(cause, IsADirectoryError):
        return FkitOSError(f"cannot be {action}: it is a folder.", origin=where)
    if isinstance(cause, RecursionError):
        return FkitValueError(f"cannot be {action}: it is nested too deeply.", origin=where)
    if isinstance(cause, NotImplementedError):
        return FkitRuntimeError(f"cannot be {action}: its storage does not offer that.", origin=where)
    if isinstance(cause, ImportError):
        return FkitImportError(
            f"cannot be {action}: a package is missing.",
            origin=where,
            repair=f"{cause}" or f"Install {cause.name!r}.",
        )
    kind = FkitValueError if type(cause) is LookupError else like(cause)  # an encoding that there is not
    # libraries for archives and networks have classes of their own: to whoever reads a file, they are its OSError
    return (FkitOSError if kind is FkitError else kind)(f"cannot be {action}: {_sentence(cause)}", origin=where)


def _missing(cause: BaseException) -> bool:
    return isinstance(cause, (FileNotFoundError, KeyError)) or getattr(cause, "status", None) == 404


def _sentence(cause: Exception) -> str:
    """A cause's text as the end of a sentence: one line, one full stop."""
    lines = (cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)).split("\n")
    text = " ".join(line.strip() for line in lines if line.strip()) or type(cause).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
