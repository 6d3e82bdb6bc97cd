"""Reading videos frame by frame."""

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import cv2

from fkit.fileio.progress import progress
from fkit.image.argument import local, text, whole
from fkit.image.io import imwrite
from fkit.image.refuse import Image, form
from fkit.tree.error import FkitFileNotFoundError, FkitIndexError, FkitOSError, FkitTypeError, FkitValueError

__all__ = ["Cache", "VideoReader", "numbered", "shown_progress"]


class Cache:
    """The last few values by key: first in, first out; neither a lookup nor a repeated ``put`` renews an entry.

    Args:
        capacity: how many values it holds, 1 or more.

    Example:
        >>> cache = Cache(2)
        >>> for key in "abc":
        ...     cache.put(key, key.upper())
        >>> cache.get("a", "gone"), cache.get("c"), cache.size
        ('gone', 'C', 2)
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = whole("Cache", "capacity", capacity, 1)
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()

    @property
    def capacity(self) -> int:
        """How many values it holds at most."""
        return self._capacity

    @property
    def size(self) -> int:
        """How many values it holds now."""
        return len(self._entries)

    def put(self, key: Hashable, val: Any) -> None:
        """Keep ``val`` under a new key, dropping the oldest when full; a key that is there stays as it is."""
        if _key(key) in self._entries:
            return
        if len(self._entries) >= self._capacity:
            self._entries.popitem(last=False)
        self._entries[key] = val

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value of ``key``, or ``default``."""
        return self._entries.get(_key(key), default)


def _key(key: Hashable) -> Hashable:
    try:
        hash(key)
    except TypeError as cause:
        raise FkitTypeError(f"Cache: a key must be hashable; got {form(key)}.") from cause
    return key


class VideoReader:
    """A video as a sequence of frames: ``len``, ``[i]``, ``[-1]``, ``[2:9:3]``, iteration, ``read``.

    It holds an open capture, a position and a cache, so, unlike the rest of ``fkit.image``, it is no value: one
    reader serves one thread, and ``close`` (or a ``with`` block) frees the file. Frames are (H, W, 3) uint8 BGR;
    those that come from the cache are shared: copy one before writing into it.

    Args:
        filename: the video's path, ``~`` being the user's own folder (or a URL that OpenCV's FFmpeg opens).
        cache_capacity: how many decoded frames to keep, first in first out; 0 keeps none.

    Raises:
        FkitFileNotFoundError: no such file.
        FkitOSError: a file that OpenCV cannot open as a video.

    Example:
        >>> import tempfile, numpy as np
        >>> from fkit.image import opened_writer
        >>> path = Path(tempfile.mkdtemp()) / "a.avi"
        >>> with opened_writer(path, "MJPG", 10, (32, 16)) as writer:
        ...     for grey in (0, 100, 200):
        ...         _ = writer.write(np.full((16, 32, 3), grey, np.uint8))
        >>> with VideoReader(path) as reader:
        ...     [round(frame.mean(), -1) for frame in reader], reader[-1].shape, len(reader[:2]), reader.position
        ([np.float64(0.0), np.float64(100.0), np.float64(200.0)], (16, 32, 3), 2, 2)
    """

    def __init__(self, filename: str | Path, cache_capacity: int = 10) -> None:
        name = local("VideoReader", "filename", filename)
        if "://" not in name and not Path(name).is_file():
            raise FkitFileNotFoundError(f"{name} is not there.")
        self._name = name
        self._capture = cv2.VideoCapture(name)
        self._cache = Cache(cache_capacity) if whole("VideoReader", "cache_capacity", cache_capacity) > 0 else None
        self._position = 0
        self._width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self._height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if not self._capture.isOpened() or self._width <= 0 or self._height <= 0:
            raise FkitOSError(f"{name} cannot be opened as a video.")
        self._fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        # a raw stream, or a recording of a browser, tells no number of frames, and cannot be sought in either
        self._frame_cnt = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._seekable = self._frame_cnt > 0
        self._fourcc = int(self._capture.get(cv2.CAP_PROP_FOURCC))

    @property
    def vcap(self) -> cv2.VideoCapture:
        """OpenCV's capture."""
        return self._capture

    @property
    def opened(self) -> bool:
        """Whether the file is open."""
        return self._capture.isOpened()

    @property
    def width(self) -> int:
        """Of a frame, pixels."""
        return self._width

    @property
    def height(self) -> int:
        """Of a frame, pixels."""
        return self._height

    @property
    def resolution(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self._width, self._height

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._fps

    @property
    def frame_cnt(self) -> int:
        """How many frames the container says it has; where it says nothing they are counted, once, by reading.

        Raises:
            FkitOSError: a stream of a URL that says nothing: it may have no end.
        """
        if self._frame_cnt <= 0:
            if "://" in self._name:
                raise FkitOSError(f"{self._name} does not say how many frames it has.", repair="iterate over it")
            self._frame_cnt = _counted(self._name)
        return self._frame_cnt

    @property
    def fourcc(self) -> int:
        """The codec's four letters as one number."""
        return self._fourcc

    @property
    def position(self) -> int:
        """Index of the frame that ``read`` gives next."""
        return self._position

    def read(self) -> Image | None:
        """The frame at the position, which moves on by one; None at the end."""
        frame = self._cache.get(self._position) if self._cache else None
        if frame is None:
            frame = self._decoded()
            if frame is None:
                return None
            if self._cache:
                self._cache.put(self._position, frame)
        self._position += 1
        return frame

    def get_frame(self, frame_id: int) -> Image:
        """The frame of an index in 0..len - 1; the position is behind it afterwards.

        Raises:
            FkitIndexError: an index outside the video.
            FkitOSError: a frame that cannot be decoded.
        """
        at = whole("get_frame", "frame_id", frame_id)
        if not 0 <= at < self.frame_cnt:
            raise FkitIndexError(f"{self._name} has frames 0 to {self.frame_cnt - 1}; got {frame_id}.")
        self._position = at
        frame = self.read()
        if frame is None:
            raise FkitOSError(f"Frame {frame_id} of {self._name} cannot be decoded.")
        return frame

    def current_frame(self) -> Image | None:
        """The frame read last, as long as the cache holds it; None before the first."""
        return self._cache.get(self._position - 1) if self._cache and self._position else None

    def cvt2frames(
        self,
        frame_dir: str | Path,
        file_start: int = 0,
        filename_tmpl: str = "{:06d}.jpg",
        start: int = 0,
        max_num: int = 0,
        show_progress: bool = False,
    ) -> list[Path]:
        """Write frames as pictures.

        Args:
            frame_dir: folder, made if missing.
            file_start: number of the first file.
            filename_tmpl: name of a file by its number.
            start: index of the first frame.
            max_num: how many; 0: to the end.
            show_progress: show a bar on standard error.

        Returns:
            The paths written.

        Raises:
            FkitValueError: a start outside the video, or a template that names no file.
            FkitOSError: a file that cannot be written.
        """
        folder = Path(local("cvt2frames", "frame_dir", frame_dir))
        whole("cvt2frames", "file_start", file_start)
        if not 0 <= whole("cvt2frames", "start", start) < max(self.frame_cnt, 1):
            raise FkitValueError(f"{self._name} has {self.frame_cnt} frames; cannot start at {start}.")
        limited = whole("cvt2frames", "max_num", max_num) > 0
        stop = min(start + max_num, self.frame_cnt) if limited else self.frame_cnt
        paths: list[Path] = []
        self._position = start
        with shown_progress(f"reading {self._name}", stop - start, show_progress) as advance:
            for number in range(file_start, file_start + stop - start):
                frame = self.read()
                if frame is None:  # some containers count more frames than they hold
                    break
                paths.append(folder / numbered("cvt2frames", filename_tmpl, number))
                imwrite(frame, paths[-1])
                advance(1)
        return paths

    def close(self) -> None:
        """Free the file."""
        self._capture.release()

    def __len__(self) -> int:
        return self.frame_cnt

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | list[Image]:
        if isinstance(index, slice):
            try:
                places = range(*index.indices(self.frame_cnt))
            except (TypeError, ValueError) as cause:
                raise FkitTypeError(f"VideoReader: {index} is no slice of whole numbers: {cause}.") from cause
            return [self.get_frame(i) for i in places]
        at = whole("VideoReader", "index", index)
        if not -self.frame_cnt <= at < self.frame_cnt:
            raise FkitIndexError(f"{self._name} has frames 0 to {self.frame_cnt - 1}; got {index}.")
        return self.get_frame(at % self.frame_cnt)

    def __iter__(self) -> Iterator[Image]:
        self._position = 0
        return self

    def __next__(self) -> Image:
        frame = self.read()
        if frame is None:
            raise StopIteration
        return frame

    next = __next__

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decoded(self) -> Image | None:
        """Decode the frame at the position, seeking when the capture stands elsewhere."""
        place = round(self._capture.get(cv2.CAP_PROP_POS_FRAMES))
        if place != self._position:
            if self._seekable:
                self._capture.set(cv2.CAP_PROP_POS_FRAMES, self._position)
            elif place > self._position:
                self._capture.open(self._name)
            # some containers seek to a key frame before it only: read on up to the frame
            for _ in range(self._position - round(self._capture.get(cv2.CAP_PROP_POS_FRAMES))):
                self._capture.grab()
        good, frame = self._capture.read()
        return frame if good else None


def _counted(name: str) -> int:
    """How many frames can be read."""
    capture, number = cv2.VideoCapture(name), 0
    while capture.grab():
        number += 1
    capture.release()
    return number


def numbered(function: str, filename_tmpl: str, number: int) -> str:
    """The name of a file by its number.

    Example:
        >>> numbered("frames2video", "{:06d}.jpg", 7)
        '000007.jpg'
    """
    try:
        return text(function, "filename_tmpl", filename_tmpl).format(number)
    except (IndexError, KeyError, ValueError, AttributeError) as cause:
        raise FkitValueError(
            f"{function}: filename_tmpl = {filename_tmpl!r} cannot name file {number}: {cause}.",
            repair="write it like '{:06d}.jpg'",
        ) from cause


@contextmanager
def shown_progress(label: str, total: int, show: bool) -> Generator[Callable[[int], None]]:
    """The kit's progress bar, or nothing at all; the body calls what it is given with the number of frames done.

    Example:
        >>> with shown_progress("reading", 2, show=False) as advance:
        ...     advance(2)
    """
    if not show:
        yield lambda done: None
        return
    with progress(label, total, unit="frames") as advance:
        yield advance
