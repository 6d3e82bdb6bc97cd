"""Paths and folders of the local disk."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from fkit.fileio.error import FkitFileExistsError, told
from fkit.tree.error import FkitFileNotFoundError, FkitTypeError

__all__ = [
    "check_file_exist",
    "find_vcs_root",
    "is_abs",
    "is_filepath",
    "listing",
    "mkdir_or_exist",
    "scandir",
    "symlink",
]

PathLike: TypeAlias = str | os.PathLike[str]


def is_filepath(x: Any) -> bool:
    """Whether a value is a path: a str or a Path.

    Example:
        >>> is_filepath("a.txt"), is_filepath(Path("a")), is_filepath(3)
        (True, True, False)
    """
    return isinstance(x, (str, Path))


def is_abs(path: PathLike) -> bool:
    """Whether a path needs no folder before it: an absolute one, or an address such as ``s3://bucket/x``.

    Example:
        >>> is_abs("/data/a.txt"), is_abs("s3://data/a.txt"), is_abs("data/a.txt")
        (True, True, False)
    """
    text = os.fspath(path)
    return os.path.isabs(text) or "://" in text


def check_file_exist(filename: PathLike, msg_tmpl: str = 'file "{}" does not exist') -> None:
    """Raise where there is no such file.

    Raises:
        FkitFileNotFoundError: with ``msg_tmpl`` filled in.

    Example:
        >>> check_file_exist("nowhere.txt")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitFileNotFoundError: file "nowhere.txt" does not exist
    """
    if not os.path.isfile(filename):
        raise FkitFileNotFoundError(msg_tmpl.format(os.fspath(filename)))


def mkdir_or_exist(dir_name: PathLike, mode: int = 0o777) -> None:
    """Make a folder and those it lies in; one that is there stays as it is. ``""`` is the current folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mkdir_or_exist(f"{folder}/a/b")
        ...     mkdir_or_exist(f"{folder}/a/b")
        ...     os.path.isdir(f"{folder}/a/b")
        True
    """
    if os.fspath(dir_name) == "":
        return
    with told(str(dir_name), "made"):
        try:
            os.makedirs(os.path.expanduser(dir_name), mode=mode, exist_ok=True)
        except FileExistsError as cause:
            raise FkitFileExistsError("is there already, and is no folder.", origin=str(dir_name)) from cause


def symlink(src: PathLike, dst: PathLike, overwrite: bool = True, **options: bool) -> None:
    """Make ``dst`` a link to ``src``; with ``overwrite``, in place of what link or file is there.

    Args:
        src: what the link points to, as it is written into the link.
        dst: the link.
        overwrite: replace a link or file that is there.
        options: ``target_is_directory``, for `os.symlink`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     symlink("a.txt", f"{folder}/latest")
        ...     symlink("b.txt", f"{folder}/latest")
        ...     os.readlink(f"{folder}/latest")
        'b.txt'
    """
    with told(str(dst), f"made a link to {src}"):
        if overwrite and os.path.lexists(dst):
            os.remove(dst)
        os.symlink(src, dst, **options)


def scandir(
    dir_path: PathLike,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    case_sensitive: bool = True,
) -> Iterator[str]:
    """The files in a folder, in order, relative to it. Hidden files are left out, hidden folders are gone into.

    Args:
        dir_path: the folder.
        suffix: give only files that end so, or with one of these.
        recursive: go into the folders.
        case_sensitive: whether ``.JPG`` differs from ``.jpg``.

    Raises:
        FkitTypeError: ``dir_path`` is no path, or ``suffix`` no string.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.JPG", "a.jpg", ".c.jpg", "d.txt"):
        ...         _ = Path(folder, name).write_text("")
        ...     list(scandir(folder, ".jpg", case_sensitive=False))
        ['a.jpg', 'b.JPG']
    """
    if not is_filepath(dir_path):
        raise FkitTypeError(f"`dir_path` is a str or a Path, not {dir_path!r}.")
    ends = _suffixes(suffix)
    if ends is not None and not case_sensitive:
        ends = tuple(end.lower() for end in ends)
    return _scanned(str(dir_path), "", ends, recursive, case_sensitive)


def _scanned(root: str, inner: str, ends: tuple[str, ...] | None, recursive: bool, exact: bool) -> Iterator[str]:
    with told(root, "listed"), os.scandir(os.path.join(root, inner)) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    for name, folder in found:
        path = os.path.join(inner, name)
        if folder and recursive:
            yield from _scanned(root, path, ends, recursive, exact)
        elif folder or name.startswith("."):
            continue
        elif ends is None or (name if exact else name.lower()).endswith(ends):
            yield path


def find_vcs_root(path: PathLike, markers: Iterable[str] = (".git",)) -> str | None:
    """The nearest folder from ``path`` upward that holds one of ``markers``; None where there is none.

    Example:
        >>> find_vcs_root("/", markers=("no such marker",)) is None
        True
    """
    start = Path(path).absolute()
    for folder in (start if start.is_dir() else start.parent, *start.parents):
        if any((folder / marker).exists() for marker in markers):
            return str(folder)
    return None


def listing(
    children: Callable[[str], Iterable[tuple[str, bool]]],
    list_dir: bool,
    list_file: bool,
    suffix: str | tuple[str, ...] | None,
    recursive: bool,
) -> Iterator[str]:
    """What ``list_dir_or_file`` gives, from a function that lists one folder.

    Args:
        children: for a folder relative to the root, (name, whether it is a folder) of what is in it.
        list_dir: give folders.
        list_file: give files.
        suffix: give only files that end so; needs ``list_dir=False``.
        recursive: go into the folders.

    Example:
        >>> tree = {"": [("b.txt", False), ("a", True), (".git", True)], "a": [("c.txt", False)]}
        >>> list(listing(tree.__getitem__, True, True, None, True))
        ['a', 'a/c.txt', 'b.txt']
    """
    ends = _suffixes(suffix)
    if ends is not None and list_dir:
        raise FkitTypeError("`suffix` picks among files: it needs list_dir=False.")

    def walk(inner: str) -> Iterator[str]:
        for name, folder in sorted(children(inner)):
            path = f"{inner}/{name}" if inner else name
            if name.startswith("."):
                continue
            if folder:
                if list_dir:
                    yield path
                if recursive:
                    yield from walk(path)
            elif list_file and (ends is None or name.endswith(ends)):
                yield path

    return walk("")


def _suffixes(suffix: Any) -> tuple[str, ...] | None:
    if suffix is None:
        return None
    ends = (suffix,) if isinstance(suffix, str) else suffix
    if not isinstance(ends, tuple) or not all(isinstance(end, str) for end in ends):  # pyright: ignore
        raise FkitTypeError(f"`suffix` is a str or a tuple of them, not {suffix!r}.")
    return ends  # pyright: ignore[reportUnknownVariableType]
