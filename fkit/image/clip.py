"""Writing videos: from pictures, and from videos: convert, resize, cut, concatenate.

mmcv calls the ffmpeg program for these. Here OpenCV decodes every frame and encodes it again: no program is needed,
but sound is not carried over and a stream is never copied as it is. What mmcv's ``acodec``, ``log_level``,
``print_cmd`` and ``pre_options`` tell that program has no meaning here.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import count, islice, takewhile
from pathlib import Path

import cv2

from fkit.image.io import imread
from fkit.image.refuse import Image
from fkit.image.resize import imresize, rescale_size
from fkit.image.video import VideoReader, shown_progress
from fkit.tree.error import FkitOSError, FkitValueError

__all__ = ["codec", "concat_video", "convert_video", "cut_video", "frames2video", "opened_writer", "resize_video"]

_BY_SUFFIX = ((".mp4", "mp4v"), (".m4v", "mp4v"), (".mov", "mp4v"), (".avi", "XVID"), (".mkv", "XVID"))


def convert_video(
    in_file: str | Path, out_file: str | Path, vcodec: str | None = None, fps: float | None = None
) -> None:
    """Write a video again, in the container of the new suffix. Through OpenCV: without sound.

    Args:
        in_file: the video.
        out_file: where to write; its suffix names the container.
        vcodec: four letters of the codec; chosen by the suffix when None.
        fps: frames per second of the result; those of ``in_file`` when None. Frames are neither dropped nor added.

    Raises:
        FkitFileNotFoundError, FkitOSError: a file that cannot be read or written.

    Example:
        >>> import tempfile, numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> with opened_writer(folder / "in.avi", "MJPG", 10, (32, 16)) as writer:
        ...     for grey in range(0, 200, 20):
        ...         _ = writer.write(np.full((16, 32, 3), grey, np.uint8))
        >>> convert_video(folder / "in.avi", folder / "out.mp4", fps=5)
        >>> VideoReader(folder / "out.mp4").fps
        5.0
    """
    with VideoReader(in_file, cache_capacity=0) as reader:
        _write(reader, out_file, vcodec, fps or reader.fps, reader.resolution, lambda frame: frame)


def resize_video(
    in_file: str | Path,
    out_file: str | Path,
    size: tuple[int, int] | None = None,
    ratio: float | tuple[float, float] | None = None,
    keep_ar: bool = False,
    vcodec: str | None = None,
) -> None:
    """Resize every frame. Through OpenCV: encoded again, without sound; of an odd side it leaves out the last pixel.

    Args:
        in_file: the video.
        out_file: where to write.
        size: (width, height), pixels; or
        ratio: one factor, or (of width, of height); exactly one of the two.
        keep_ar: fit into ``size`` with the ratio kept; without effect on ``ratio``.
        vcodec: four letters of the codec; chosen by the suffix when None.

    Raises:
        FkitValueError: both or neither of ``size`` and ``ratio``.
        FkitFileNotFoundError, FkitOSError: a file that cannot be read or written.

    Example:
        >>> import tempfile, numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> with opened_writer(folder / "in.avi", "MJPG", 10, (32, 16)) as writer:
        ...     for grey in range(0, 200, 20):
        ...         _ = writer.write(np.full((16, 32, 3), grey, np.uint8))
        >>> resize_video(folder / "in.avi", folder / "twice.avi", ratio=2, vcodec="MJPG")
        >>> VideoReader(folder / "twice.avi").resolution
        (64, 32)
    """
    if (size is None) == (ratio is None):
        raise FkitValueError("resize_video takes exactly one of size and ratio.")
    with VideoReader(in_file, cache_capacity=0) as reader:
        if size is not None:
            target = _fitted(reader.resolution, size) if keep_ar else size
        else:
            by_width, by_height = ratio if isinstance(ratio, tuple) else (ratio or 0, ratio or 0)
            target = (int(reader.width * by_width), int(reader.height * by_height))
        _write(reader, out_file, vcodec, reader.fps, target, lambda frame: imresize(frame, target))


def cut_video(
    in_file: str | Path,
    out_file: str | Path,
    start: float | None = None,
    end: float | None = None,
    vcodec: str | None = None,
) -> None:
    """Keep the frames between two times. Through OpenCV: encoded again, without sound.

    Args:
        in_file: the video.
        out_file: where to write.
        start: seconds; from the first frame when None.
        end: seconds, exclusive; to the last frame when None.
        vcodec: four letters of the codec; chosen by the suffix when None.

    Raises:
        FkitValueError: no frame lies between the two times.
        FkitFileNotFoundError, FkitOSError: a file that cannot be read or written.

    Example:
        >>> import tempfile, numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> with opened_writer(folder / "in.avi", "MJPG", 10, (32, 16)) as writer:
        ...     for grey in range(0, 200, 20):
        ...         _ = writer.write(np.full((16, 32, 3), grey, np.uint8))
        >>> cut_video(folder / "in.avi", folder / "middle.avi", start=0.2, end=0.5, vcodec="MJPG")
        >>> len(VideoReader(folder / "middle.avi"))
        3
    """
    with VideoReader(in_file, cache_capacity=0) as reader:
        first = 0 if start is None else round(start * reader.fps)
        last = reader.frame_cnt if end is None else min(round(end * reader.fps), reader.frame_cnt)
        if not 0 <= first < last:
            raise FkitValueError(
                f"cut_video: {in_file} has no frame from {start} s to {end} s; it lasts {reader.frame_cnt / reader.fps:g} s."
            )
        reader.get_frame(first)
        frames = (reader[i] for i in range(first, last))
        _write(frames, out_file, vcodec, reader.fps, reader.resolution, lambda frame: frame)


def concat_video(video_list: Sequence[str | Path], out_file: str | Path, vcodec: str | None = None) -> None:
    """Play videos one after the other. Through OpenCV: encoded again, without sound.

    Args:
        video_list: the videos, all of one size; the first one's frames per second count.
        out_file: where to write.
        vcodec: four letters of the codec; chosen by the suffix when None.

    Raises:
        FkitValueError: no video, or videos of different sizes.
        FkitFileNotFoundError, FkitOSError: a file that cannot be read or written.

    Example:
        >>> import tempfile, numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> with opened_writer(folder / "in.avi", "MJPG", 10, (32, 16)) as writer:
        ...     for grey in range(0, 200, 20):
        ...         _ = writer.write(np.full((16, 32, 3), grey, np.uint8))
        >>> concat_video([folder / "in.avi"] * 2, folder / "both.avi", vcodec="MJPG")
        >>> len(VideoReader(folder / "both.avi"))
        20
    """
    if not video_list:
        raise FkitValueError("concat_video needs at least one video.")
    with VideoReader(video_list[0], cache_capacity=0) as first:
        fps, size = first.fps, first.resolution
    for name in islice(video_list, 1, None):
        with VideoReader(name, cache_capacity=0) as reader:
            if reader.resolution != size:
                raise FkitValueError(
                    f"concat_video: {name} is {reader.resolution}, {video_list[0]} is {size}.",
                    repair="resize_video first",
                )
    _write(_all_frames(video_list), out_file, vcodec, fps, size, lambda frame: frame)


def frames2video(
    frame_dir: str | Path,
    video_file: str | Path,
    fps: float = 30,
    fourcc: str = "XVID",
    filename_tmpl: str = "{:06d}.jpg",
    start: int = 0,
    end: int = 0,
    show_progress: bool = False,
) -> int:
    """Join numbered pictures into a video, by OpenCV.

    Args:
        frame_dir: folder of the pictures.
        video_file: where to write.
        fps: frames per second.
        fourcc: the codec's four letters ("XVID" and "MJPG" for .avi, "mp4v" for .mp4).
        filename_tmpl: name of a picture by its number.
        start: first number.
        end: one past the last number; 0: up to the first number that has no picture.
        show_progress: show a bar on standard error.

    Returns:
        How many frames were written.

    Raises:
        FkitFileNotFoundError: the first picture, or one before ``end``, is not there.
        FkitValueError: pictures of different sizes.
        FkitOSError: OpenCV cannot write such a video.

    Example:
        >>> import tempfile, numpy as np
        >>> from fkit.image.io import imwrite
        >>> folder = Path(tempfile.mkdtemp())
        >>> for i in range(3):
        ...     _ = imwrite(np.full((16, 16, 3), 80 * i, np.uint8), folder / f"{i:06d}.png")
        >>> frames2video(folder, folder / "a.avi", fourcc="MJPG", filename_tmpl="{:06d}.png")
        3
    """
    folder = Path(frame_dir)
    numbers = (
        range(start, end) if end else takewhile(lambda n: (folder / filename_tmpl.format(n)).is_file(), count(start))
    )
    paths = [folder / filename_tmpl.format(number) for number in numbers] or [folder / filename_tmpl.format(start)]
    first = imread(paths[0])
    size = (first.shape[1], first.shape[0])
    shown = shown_progress(f"writing {video_file}", len(paths), show_progress)
    with opened_writer(video_file, fourcc, fps, size) as writer, shown as advance:
        for path in paths:
            frame = imread(path)
            if frame.shape != first.shape:
                raise FkitValueError(f"{path} is {frame.shape[1]}x{frame.shape[0]}; the video is {size[0]}x{size[1]}.")
            writer.write(frame)
            advance(1)
    return len(paths)


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
def opened_writer(
    path: str | Path, fourcc: str | None, fps: float, size: tuple[int, int]
) -> Generator[cv2.VideoWriter]:
    """A writer for frames of (width, height), closed at the end of the block.

    Raises:
        FkitOSError: OpenCV cannot write such a file.

    Example:
        >>> import tempfile, numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "a.mp4"
        >>> with opened_writer(path, None, 25, (32, 16)) as writer:
        ...     _ = writer.write(np.zeros((16, 32, 3), np.uint8))
        >>> len(VideoReader(path))
        1
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


def _all_frames(names: Sequence[str | Path]) -> Iterable[Image]:
    for name in names:
        with VideoReader(name, cache_capacity=0) as reader:
            yield from reader


def _write(
    frames: Iterable[Image],
    out_file: str | Path,
    vcodec: str | None,
    fps: float,
    size: tuple[int, int],
    change: Callable[[Image], Image],
) -> None:
    with opened_writer(out_file, vcodec, fps, size) as writer:
        for frame in frames:
            writer.write(change(frame))


def _fitted(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    return rescale_size(size, min(box[0] / size[0], box[1] / size[1]))
