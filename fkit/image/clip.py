"""Videos to videos: convert, resize, cut, concatenate.

mmcv calls the ffmpeg program for these. Here OpenCV decodes every frame and encodes it again: no program is needed,
but sound is not carried over and a stream is never copied as it is.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from fkit.image.refuse import Image
from fkit.image.resize import imresize, rescale_size
from fkit.image.video import VideoReader
from fkit.image.writer import opened_writer
from fkit.tree.error import FkitValueError

__all__ = ["concat_video", "convert_video", "cut_video", "resize_video"]


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
    """Resize every frame. Through OpenCV: encoded again, without sound.

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
