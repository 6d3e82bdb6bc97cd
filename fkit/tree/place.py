"""Paths that a user typed, and that are not there: URLs, and the nearest that is."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, nearest

__all__ = ["is_url", "near_path", "not_there", "place_of", "refuse_url"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a text is the address of something elsewhere, ``scheme://...``.

    Example:
        >>> is_url("https://x/y.pth"), is_url("s3://a/b"), is_url("C:/a"), is_url("a.pth")
        (True, True, False, False)
    """
    expect(path, (str, os.PathLike), "`path` is a path")
    return _URL.match(os.fspath(path)) is not None


def refuse_url(path: str | os.PathLike[str], what: str, origin: str | None = None) -> None:
    """Refuse a URL where a file or folder of this machine is wanted.

    Args:
        what: what it should be: "a config", "a checkpoint".
        origin: ``file:line`` that names it.

    Raises:
        FkitOSError: it is a URL.
    """
    if is_url(path):
        raise FkitOSError(
            f"{os.fspath(path)}: {what} is a file or folder of this machine, and this is a URL.",
            origin=origin,
            repair="This version downloads and uploads nothing: work on a copy here, and name that.",
        )


def not_there(path: str | os.PathLike[str], what: str, repair: str = "") -> FkitFileNotFoundError:
    """The error for a path where nothing is, with the nearest that is there.

    Args:
        what: the sentence before it, with no stop: "There is no config file a.py".
        repair: what to do, after the nearest.
    """
    near = near_path(path)
    hint = f"Did you mean {near!r}?" if near is not None else ""
    return FkitFileNotFoundError(f"{what}.", repair="\n  ".join(part for part in (hint, repair) if part))


def near_path(path: str | os.PathLike[str]) -> str | None:
    """The path nearest to one that is not there: with one name changed, the first that is missing; None where that is not.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pathlib.Path(folder, "configs").mkdir()
        ...     pathlib.Path(folder, "configs/convnet.py").touch()
        ...     os.path.relpath(near_path(f"{folder}/cofnigs/convnet.py"), folder), near_path(f"{folder}/other/a.py")
        ('configs/convnet.py', None)
    """
    expect(path, (str, os.PathLike), "`path` is a path")
    name = os.path.normpath(os.fspath(path))
    head, tail = name, ""
    with contextlib.suppress(OSError, ValueError):  # a folder that cannot be read, a name that can be none
        while head and not os.path.lexists(os.path.dirname(head) or "."):
            head, tail = os.path.dirname(head), os.path.join(os.path.basename(head), tail)
        folder, missing = os.path.split(head)
        near = nearest(missing, sorted(os.listdir(folder or ".")))
        if near is not None:
            found = os.path.join(folder, near, tail).rstrip(os.sep)
            return found if os.path.lexists(found) else None
    return None


def place_of(path: Any, what: str) -> Path:
    """A path that a user gave, as text or as a Path; ``~`` is the home folder.

    Args:
        what: the argument and what it is, for the message.

    Raises:
        FkitTypeError: it is no path.

    Example:
        >>> place_of("runs/a", "`folder` is the path of a work folder").name
        'a'
    """
    expect(path, (str, os.PathLike), what)
    return Path(os.path.expanduser(path))
