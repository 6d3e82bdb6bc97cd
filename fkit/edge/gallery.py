"""A folder of pictures and of the rows that say what was predicted of them; nothing that is there is written over."""

import contextlib
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fkit.edge.files import place_of
from fkit.format.json import finite, write_json
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitOSError, RunError
from fkit.tree.write import atomic_write

__all__ = ["ROWS", "Gallery", "picture_name", "picture_place"]

ROWS = "predictions.jsonl"

_LONGEST = 200  # bytes of a name; most systems allow 255, and a number may follow


def picture_name(image: str, number: int = 1, ending: str = ".png") -> str:
    """The name of the picture of an image file: ``3.png`` of ``3.jpg``, and ``3_2.png`` where that is taken.

    Example:
        >>> picture_name("photos/3.jpg"), picture_name("s3://bucket/3.jpg", 2)
        ('3.png', '3_2.png')
    """
    expect(image, str, "`image` is the path of an image")
    expect(ending, str, "`ending` is that of a name")
    stem = Path(image).stem.encode("utf-8", "surrogateescape")[:_LONGEST].decode("utf-8", "ignore") or "image"
    return f"{stem}{ending}" if number == 1 else f"{stem}_{number}{ending}"


def picture_place(name: str, step: int) -> Path:
    """Where below a folder a run's picture lies; each slash of its name makes a folder, and none leads out.

    Example:
        >>> picture_place("val/digit 3", 40).as_posix(), picture_place("../a:b", 1).as_posix()
        ('val/digit 3_40.png', 'a_b_1.png')
    """
    expect(name, str, "`name` is that of a picture")
    expect_number(step, "`step`", whole=True)
    words = ["".join("_" if c in '\\:*?"<>|' or not c.isprintable() else c for c in word) for word in name.split("/")]
    *above, last = [word.encode()[:_LONGEST].decode("utf-8", "ignore") for word in words if word.strip(". ")] or [
        "image"
    ]
    return Path(*above) / f"{last}_{step}.png"


class Gallery:
    """Writes pictures, and a row for each image, into a folder, which is made when the first is there.

    A name that is taken, by whatever file, is not written over: the picture gets the next number. Rows are added to
    ``predictions.jsonl``, each whole, so that those of an earlier call stay and one that is interrupted leaves whole lines.

    Args:
        folder: where.

    Raises (each call):
        RunError: the disk is full, or refuses.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = place_of(folder, "`folder` is the path of a folder")
        self._rows = -1
        self._numbers: dict[str, int] = {}

    def hang(self, image: str, data: bytes) -> Path:
        """Write the picture of an image file.

        Args:
            image: its path, which the picture is named for.
            data: an encoded PNG.

        Returns:
            where it is.
        """
        return self.keep(picture_name(image), data)

    def keep(self, name: str, data: bytes) -> Path:
        """Write a file under a name, or with a number where that is taken: ``coco_2.json``.

        Returns:
            where it is.
        """
        expect(data, bytes, "`data` are the bytes of a file")
        place = self.claim(name)
        self._write(place, data)
        return place

    def claim(self, name: str) -> Path:
        """Take a name, or it with a number: an empty file is there then.

        Returns:
            where it is.
        """
        expect(name, str, "`name` is that of a file")
        stem, _, ending = name.rpartition(".")
        for number in itertools.count(self._numbers.get(name, 1)):
            place = self.folder / (name if number == 1 else f"{stem}_{number}.{ending}")
            if self._claim(place):
                self._numbers[name] = number + 1
                return place
        raise AssertionError("numbers do not end")

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row; its numbers that are not finite become null."""
        expect(row, Mapping, "`row` is a mapping of what was predicted")
        place = self.folder / ROWS
        try:
            if self._rows < 0:
                self._make()
                self._rows = _open_end(place)
            line = (write_json(finite(dict(row))) + "\n").encode()
            while line:  # at once, as a rule
                line = line[os.write(self._rows, line) :]
        except OSError as cause:
            raise _refused(place, cause) from cause

    def close(self) -> None:
        """Let the file of rows go."""
        rows, self._rows = self._rows, -1
        if rows >= 0:
            os.close(rows)

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise FkitOSError(f"{self.folder}: no folder can be made there: {cause.strerror}.") from cause

    def _claim(self, place: Path) -> bool:
        """Take a name, if it is free: the system says, which knows what names are one to it, and what others take."""
        self._make()
        try:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            return False
        except OSError as cause:
            raise _refused(place, cause) from cause
        return True

    def _write(self, place: Path, data: bytes) -> None:
        try:
            atomic_write(place, data, sync=False)
        except BaseException as cause:
            with contextlib.suppress(OSError):
                place.unlink()
            if isinstance(cause, OSError):
                raise _refused(place, cause) from cause
            raise


def _open_end(place: Path) -> int:
    """The end of a file of lines, which begins a line."""
    handle = os.open(place, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    size = os.fstat(handle).st_size
    if size:
        os.lseek(handle, size - 1, os.SEEK_SET)
        if os.read(handle, 1) != b"\n":  # a call that a power cut ended
            os.write(handle, b"\n")
    return handle


def _refused(place: Path, cause: OSError) -> RunError:
    return RunError(
        f"{place}: cannot be written: {cause.strerror or cause}.", repair="What was written before is intact."
    )
