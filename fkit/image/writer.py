"""Opening OpenCV's video writer, so that what it cannot do is an error and not an empty file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from fkit.tree.error import FkitOSError, FkitValueError

__all__ = ["codec", "opened_writer"]

_BY_SUFFIX = ((".mp4", "mp4v"), (".m4v", "mp4v"), (".mov", "mp4v"), (".avi", "XVID"), (".mkv", "XVID"))


def codec(path: str | Path, fourcc: str | None = None) -> str:
    """The four letters of a codec: those given, else those that suit the suffix.

    Example:
        >>> codec("a.mp4"), codec("a.avi", "MJPG")
        ('mp4v', 'MJPG')
    """
    suffix = Path(path).suffix.lower()
    letters = fourcc or next((known for ending, known in _BY_SUFFIX if ending == suffix), None)
    if letters is None:
        choices = [ending for ending, _ in _BY_SUFFIX]
        raise FkitValueError(
            f"{path}: no codec is known for {suffix!r}.", choices=choices, repair="name a codec of four letters"
        )
    if len(letters) != 4:
        raise FkitValueError(f"A codec has four letters, such as 'mp4v' or 'MJPG'; got {letters!r}.")
    return letters


@contextmanager
def opened_writer(path: str | Path, fourcc: str | None, fps: float, size: tuple[int, int]) -> Iterator[cv2.VideoWriter]:
    """A writer for frames of (width, height), closed at the end of the block.

    Raises:
        FkitOSError: OpenCV cannot write such a file.
    """
    letters = codec(path, fourcc)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(letters[0], letters[1], letters[2], letters[3]), fps, size
    )
    if not writer.isOpened():
        raise FkitOSError(
            f"OpenCV cannot write {path} with codec {letters!r}, {size[0]}x{size[1]}, {fps} frames a second."
        )
    try:
        yield writer
    finally:
        writer.release()
