"""Encoding frames into a video file, by OpenCV, and what is said meanwhile."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2

from fkit.image.argument import finite, local, pair, text, whole
from fkit.image.refuse import Image, one_of
from fkit.image.video import shown_progress
from fkit.tree.error import FkitOSError, FkitValueError

__all__ = ["Target", "codec", "opened_writer", "write"]

# what ffmpeg's -loglevel takes, from silent to chatty
_LOG_LEVELS = ("quiet", "panic", "fatal", "error", "warning", "info", "verbose", "debug", "trace")
_BY_SUFFIX = ((".mp4", "mp4v"), (".m4v", "mp4v"), (".mov", "mp4v"), (".avi", "XVID"), (".mkv", "XVID"))


class Target(NamedTuple):
    """A video to write, and what is said of it meanwhile."""

    function: str
    path: str | Path
    vcodec: str | None
    fps: float
    size: tuple[int, int]
    total: int  # frames
    source: str
    log_level: str
    print_cmd: bool


def codec(path: str | Path, fourcc: str | None = None) -> str:
    """The four letters of a codec: those given, else those that suit the suffix.

    Example:
        >>> codec("a.mp4"), codec("a.avi", "MJPG")
        ('mp4v', 'MJPG')
    """
    suffix = Path(path).suffix.lower()
    letters = "" if fourcc is None else text("codec", "fourcc", fourcc)
    letters = letters or next((known for ending, known in _BY_SUFFIX if ending == suffix), "")
    if not letters:
        choices = [ending for ending, _ in _BY_SUFFIX]
        raise FkitValueError(
            f"{path}: no codec is known for {suffix!r}.", choices=choices, repair="name a codec of four letters"
        )
    if len(letters) != 4 or not letters.isascii():
        raise FkitValueError(f"A codec has four letters, such as 'mp4v' or 'MJPG'; got {letters!r}.")
    return letters


@contextmanager
def opened_writer(
    path: str | Path, fourcc: str | None, fps: float, size: tuple[int, int]
) -> Generator[cv2.VideoWriter]:
    """A writer for frames of (width, height), closed at the end of the block.

    Raises:
        FkitValueError: no four letters, no size, no rate.
        FkitOSError: OpenCV cannot write such a file.

    Example:
        >>> import tempfile, numpy as np
        >>> from fkit.image import VideoReader
        >>> path = Path(tempfile.mkdtemp()) / "a.mp4"
        >>> with opened_writer(path, None, 25, (32, 16)) as writer:
        ...     _ = writer.write(np.zeros((16, 32, 3), np.uint8))
        >>> len(VideoReader(path))
        1
    """
    name = local("opened_writer", "path", path)
    letters, rate = codec(name, fourcc), float(finite("opened_writer", "fps", fps))
    wide, high = (whole("opened_writer", "size", side, 1) for side in pair("opened_writer", "size", size))
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise FkitOSError(f"OpenCV cannot write {name}: {cause}.") from cause
    four = cv2.VideoWriter.fourcc(letters[0], letters[1], letters[2], letters[3])
    writer = cv2.VideoWriter(name, four, rate, (wide, high))
    if not writer.isOpened():
        raise FkitOSError(f"OpenCV cannot write {name} with codec {letters!r}, {wide}x{high}, {fps} frames a second.")
    try:
        yield writer
    finally:
        writer.release()


def write(frames: Iterable[Image], target: Target, change: Callable[[Image], Image] | None = None) -> None:
    """Encode frames, each changed on its way.

    Raises:
        FkitValueError: an unknown log level.
        FkitOSError: OpenCV cannot write such a file.

    Example:
        >>> import tempfile, numpy as np
        >>> target = Target("f", tempfile.mkdtemp() + "/a.avi", "MJPG", 10, (32, 16), 2, "frames", "quiet", False)
        >>> write([np.zeros((16, 32, 3), np.uint8)] * 2, target)
    """
    one_of(target.function, "log_level", target.log_level, _LOG_LEVELS)
    wide, high = target.size
    if target.print_cmd:
        letters = codec(target.path, target.vcodec)
        print(
            f"{target.function}: {target.source} -> {target.path} ({letters}, {wide}x{high}, {target.fps:g} frames/s)"
        )
    show = _LOG_LEVELS.index(target.log_level) >= _LOG_LEVELS.index("info")
    shown = shown_progress(f"writing {target.path}", target.total, show)
    with opened_writer(target.path, target.vcodec, target.fps, target.size) as writer, shown as advance:
        for frame in frames:
            writer.write(frame if change is None else change(frame))
            advance(1)
