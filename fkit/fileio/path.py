"""Paths and folders of the local disk."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from fkit.fileio.error import FileErrors, FkitFileExistsError
from fkit.tree.error import FkitFileNotFoundError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "check_file_exist",
    "find_vcs_root",
    "is_abs",
    "is_filepath",
    "listing",
    "local_path",
    "mkdir_or_exist",
    "path_text",
    "scandir",
    "symlink",
]

PathLike: TypeAlias = str | os.PathLike[str]


def path_text(path: Any) -> str:
    """A path as text.

    Raises:
        FkitTypeError: neither a str nor a Path.

    Example:
        >>> path_text(Path("a/b"))
        'a/b'
        >>> path_text(3)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: A path is a str or a Path, not 3.
    """
    if type(path) is str:
        return path
    text: Any = path if isinstance(path, str) else getattr(path, "__fspath__", None)
    if callable(text):
        text = os.fspath(path)
    if not isinstance(text, str):
        raise FkitTypeError(f"A path is a str or a Path, not {quoted(path)}.")
    return text


def local_path(path: Any) -> str:
    """A path of this machine's disk, ``~`` written out; ``file:///a/b`` and ``local://a`` are addresses of one.

    Example:
        >>> local_path("file:///a/b"), local_path("~") == os.path.expanduser("~")
        ('/a/b', True)
    """
    text = path_text(path)
    if "://" in text:
        text = text.removeprefix("file://").removeprefix("local://")
    return os.path.expanduser(text) if text.startswith("~") else text


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
    text = path_text(path)
    return os.path.isabs(os.path.expanduser(text)) or "://" in text


def check_file_exist(filename: PathLike, msg_tmpl: str = 'file "{}" does not exist') -> None:
    """Raise where there is no such file.

    Raises:
        FkitFileNotFoundError: with ``msg_tmpl`` filled in.
        FkitValueError: ``msg_tmpl`` has another place than ``{}``.

    Example:
        >>> check_file_exist("nowhere.txt")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitFileNotFoundError: file "nowhere.txt" does not exist
    """
    text = path_text(filename)
    if os.path.isfile(local_path(text)):
        return
    if not isinstance(msg_tmpl, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`msg_tmpl` is a str, not {quoted(msg_tmpl)}.")
    try:
        message = msg_tmpl.format(text)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise FkitValueError(f"`msg_tmpl` has the one place {{}} for the path, not {quoted(msg_tmpl)}.") from None
    raise FkitFileNotFoundError(message)


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
    text = path_text(dir_name)
    if text == "":
        return
    with FileErrors(text, "made"):
        try:
            os.makedirs(local_path(text), mode=mode, exist_ok=True)
        except FileExistsError as cause:
            raise FkitFileExistsError("is there already, and is no folder.", origin=text) from cause


def symlink(src: PathLike, dst: PathLike, overwrite: bool = True, *, target_is_directory: bool = False) -> None:
    """Make ``dst`` a link to ``src``; with ``overwrite``, in place of what link or file is there.

    Args:
        src: what the link points to, as it is written into the link.
        dst: the link.
        overwrite: replace a link or file that is there.
        target_is_directory: whether ``src`` is a folder, which Windows asks for.

    Raises:
        FkitFileExistsError: something is there already: with ``overwrite``, what is neither a link nor a file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     symlink("a.txt", f"{folder}/latest")
        ...     symlink("b.txt", f"{folder}/latest")
        ...     os.readlink(f"{folder}/latest")
        'b.txt'
    """
    source, link = os.path.expanduser(path_text(src)), local_path(dst)
    with FileErrors(path_text(dst), f"made a link to {source}"):
        if overwrite and os.path.lexists(link):
            if not os.path.islink(link) and not os.path.isfile(link):
                raise FkitFileExistsError(
                    f"cannot be made a link to {source}: it is there already, and is neither a link nor a file.",
                    origin=path_text(dst),
                )
            os.remove(link)
        os.symlink(source, link, target_is_directory=target_is_directory)


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
    return _scan(local_path(dir_path), "", ends, recursive, case_sensitive)


def _scan(root: str, inner: str, ends: tuple[str, ...] | None, recursive: bool, exact: bool) -> Iterator[str]:
    with FileErrors(root, "listed"), os.scandir(os.path.join(root, inner)) as entries:
        names = sorted((entry.name, entry.is_dir()) for entry in entries)
    for name, folder in names:
        path = os.path.join(inner, name)
        if folder and recursive:
            yield from _scan(root, path, ends, recursive, exact)
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
    names: Any = (markers,) if isinstance(markers, str) else markers
    names = tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in names):
        raise FkitTypeError(f"`markers` is a list of names, not {quoted(markers)}.")
    start = Path(local_path(path)).absolute()
    for folder in (start if start.is_dir() else start.parent, *start.parents):
        if any((folder / name).exists() for name in names):
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
