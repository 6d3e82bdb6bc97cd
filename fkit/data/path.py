"""Which image files a person means by words: files, folders, patterns, URLs; in a natural, stable order."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fkit.data.folder import EXTENSIONS, hidden
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitValueError
from fkit.tree.place import is_url, not_there

__all__ = ["image_paths", "natural"]

_SHOWN = 3


def image_paths(words: Iterable[str], more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The image files that words name, each once.

    Args:
        more: how the names of other files end that are taken too (".mp4").
        words: each a file, whatever its name; a folder, which stands for the images in it (none below it); a pattern that
            the shell did not expand (``*``, ``?``, ``[ab]``, and ``**`` for folders below), which stands for its matches
            that are images; or a URL (``s3://...``). What a folder or a pattern stands for is sorted, numbers in
            names by their size; words keep the order in which they came. Hidden files are none of a folder's or
            pattern's.

    Returns:
        paths. A file that is not there is among them where others are: it is for who reads it to say so.

    Raises:
        FkitFileNotFoundError: none of the files is there, or a pattern matches nothing.
        FkitValueError: no word; a folder or the matches of a pattern hold no image.
        FkitOSError: a folder cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("10.png", "9.PNG", "notes.txt"): (folder / name).touch()
        >>> [os.path.basename(path) for path in image_paths([str(folder)])]
        ['9.PNG', '10.png']
    """
    expect(words, Iterable, "`words` name image files")
    expect(more, tuple, "`more` are endings of names, in a tuple")
    endings = EXTENSIONS + more
    by_place: dict[str, str] = {}
    for word in words:
        expect(word, str, "a word names image files")
        for path in _meant(word, endings):
            by_place.setdefault(_place(path), path)
    paths = tuple(by_place.values())
    if not paths:
        raise FkitValueError("no image was named.", repair="Name image files, a folder of them, or a pattern.")
    if not any(is_url(path) or os.path.lexists(path) for path in paths):
        raise _missing(paths)
    return paths


def natural(path: str) -> tuple[Any, ...]:
    """A key that sorts paths as people do: numbers by their size, letters whatever their case.

    Example:
        >>> sorted(["b10.png", "B9.png", "a.png"], key=natural)
        ['a.png', 'B9.png', 'b10.png']
    """
    expect(path, str, "`path` is text")
    parts = re.split(r"[/\\]" if os.sep == "\\" else "/", path)
    return *(tuple(_letters_and_numbers(part)) for part in parts), (path,)


def _letters_and_numbers(part: str) -> Iterator[Any]:
    for number, piece in enumerate(re.split(r"([0-9]+)", part)):  # letters and digits in turn, letters first
        yield int(piece) if number % 2 else piece.casefold()


def _meant(word: str, endings: tuple[str, ...]) -> list[str]:
    if not word:
        raise FkitValueError("the name of an image is empty.")
    if is_url(word):
        return [word]
    path = os.path.expanduser(word)
    if os.path.isdir(path):
        return _in_folder(path, endings)
    if os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    return _matching(path, endings)


def _in_folder(folder: str, endings: tuple[str, ...]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            there = [(entry.name, entry.is_dir()) for entry in entries if not hidden(entry.name)]
    except OSError as cause:
        raise FkitOSError(f"the folder {folder} cannot be read: {cause.strerror}.") from cause
    images = [
        os.path.join(folder, name) for name, is_folder in there if not is_folder and name.lower().endswith(endings)
    ]
    if not images:
        below = any(is_folder for _, is_folder in there)
        raise FkitValueError(
            f"the folder {folder} holds no image (their names end in {', '.join(endings)}).",
            repair=f"For those in folders below it: {os.path.join(folder, '**')!r}, in quotes." if below else "",
        )
    return sorted(images, key=natural)


def _matching(pattern: str, endings: tuple[str, ...]) -> list[str]:
    matches = [path for path in glob.iglob(pattern, recursive=True) if not os.path.isdir(path)]
    if not matches:
        raise FkitFileNotFoundError(f"the pattern {pattern!r} matches no file.")
    named = [path for path in matches if path.lower().endswith(endings)]
    images = [path for path in named if not any(map(_left_behind, path.split(os.sep)))]
    if not images:
        count = "1 file, which is no image" if len(matches) == 1 else f"{len(matches)} files, and none is an image"
        raise FkitValueError(f"the pattern {pattern!r} matches {count} (their names end in {', '.join(endings)}).")
    # a link to a folder above is followed round and round: the shortest way to a file comes first, and counts
    return sorted({_place(path): path for path in sorted(images, key=len, reverse=True)}.values(), key=natural)


def _left_behind(name: str) -> bool:
    """Of patterns: names with a dot in front are left out by what expands them, unless the pattern has that dot."""
    return hidden(name) and not name.startswith(".")


def _place(path: str) -> str:
    """One text for all spellings of a name; two links to one file are two names."""
    if is_url(path):
        return path
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _missing(paths: tuple[str, ...]) -> FkitFileNotFoundError:
    first = next(iter(paths))
    if len(paths) > 1:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        return FkitFileNotFoundError(f"none of {len(paths)} images is there: {', '.join(paths[:_SHOWN])}{more}.")
    folder = os.path.dirname(first)
    lacks = "" if os.path.isdir(folder or os.curdir) else f": there is no folder {folder}"
    return not_there(first, f"the image {first} is not there{lacks}")
