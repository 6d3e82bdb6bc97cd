"""Videos through a model: which files are videos, their frames in batches, and a video that grows frame by frame."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.image.video import VideoReader
from fkit.image.writer import opened_writer
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitOSError, FkitTypeError

__all__ = ["VIDEOS", "Reel", "frames_of", "is_video"]

VIDEOS = (".mp4", ".avi", ".webm", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg")
"""How the names of videos end."""

_FPS = 25.0  # of a video that does not say


def is_video(path: str) -> bool:
    """Whether a file is a video, by its name.

    Example:
        >>> is_video("street.MP4"), is_video("street.png")
        (True, False)
    """
    expect(path, str, "`path` is that of a file")
    return path.lower().endswith(VIDEOS)


def frames_of(reader: VideoReader, size: int) -> Iterator[list[NDArray[np.uint8]]]:
    """The frames of a video, (H, W, 3) uint8 BGR, so many at a time.

    Args:
        reader: of the video.
        size: frames of a batch, at most.

    Raises:
        FkitOSError: no frame can be read.
    """
    expect(reader, VideoReader, "`reader` is a video (fkit.image.VideoReader(path))")
    expect_number(size, "`size`", whole=True)
    frames, count = list[Any](), 0
    for frame in reader:
        frames.append(frame)
        count += 1
        if len(frames) == size:
            yield frames
            frames = []
    if frames:
        yield frames
    if not count:
        raise FkitOSError("no frame can be read of it.")


class Reel:
    """A video that grows frame by frame; until it is whole it has another name beside its place.

    Args:
        place: of the file, an .mp4, whose name is taken already.
        fps: frames a second; 0 where that is not known.

    Example:
        >>> import tempfile
        >>> reel = Reel(Path(tempfile.mkdtemp()) / "a.mp4", 10)
        >>> for grey in (0, 100): reel.add(np.full((16, 32, 3), grey, np.uint8))
        >>> reel.end()
        >>> len(VideoReader(reel.place))
        2
    """

    def __init__(self, place: Path, fps: float) -> None:
        expect(place, Path, "`place` is the path of a file")
        expect_number(fps, "`fps`")
        self.place = place
        self._fps = fps if 0 < fps < 1000 else _FPS
        self._part = place.with_name(f".{place.stem}.part{place.suffix}")
        self._stack = ExitStack()
        self._writer: Any = None
        self._size = (0, 0)

    def add(self, picture: NDArray[np.uint8]) -> None:
        """A frame more, (H, W, 3) uint8 RGB; all are of one size.

        Raises:
            FkitOSError: no such file can be written.
            FkitTypeError: it is of another size than those before.
        """
        expect(picture, np.ndarray, "`picture` is an array, (H, W, 3) uint8")
        height, width = picture.shape[:2]
        if self._writer is None:
            self._size = (width, height)
            self._writer = self._stack.enter_context(opened_writer(self._part, None, self._fps, self._size))
        if self._size != (width, height):
            raise FkitTypeError(
                f"the frames of a video are of one size: {self._size} pixels, and then {(width, height)}."
            )
        self._writer.write(np.ascontiguousarray(picture[..., ::-1]))

    def end(self) -> None:
        """Close the file, and give it its name."""
        self._stack.close()
        if self._writer is not None:
            os.replace(self._part, self.place)

    def drop(self) -> None:
        """Close the file, and leave nothing of it."""
        self._stack.close()
        for place in (self._part, self.place):
            place.unlink(missing_ok=True)
