"""Writing videos: from pictures, and from videos: convert, resize, cut, concatenate.

mmcv calls the ffmpeg program for these. Here OpenCV decodes every frame and encodes it again: no program is needed,
but sound is not carried over and a stream is never copied as it is, so mmcv's ``acodec`` and ``pre_options`` are
refused. ``log_level`` takes that program's words: from "info" on the kit's progress bar is shown on standard error.
``print_cmd`` prints one line that says what is read and written.
"""

from collections.abc import Iterable, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from fkit.image.argument import finite, local, pair, text, whole
from fkit.image.io import imread
from fkit.image.refuse import Image, form, is_a
from fkit.image.resize import imresize, rescale_size
from fkit.image.video import VideoReader, numbered, shown_progress
from fkit.image.writer import Target, opened_writer, write
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["concat_video", "convert_video", "cut_video", "frames2video", "resize_video"]


def convert_video(
    in_file: str | Path,
    out_file: str | Path,
    print_cmd: bool = False,
    pre_options: str = "",
    *,
    vcodec: str | None = None,
    fps: float | None = None,
    log_level: str = "error",
) -> None:
    """Write a video again, in the container of the new suffix. Through OpenCV: without sound.

    Args:
        in_file: the video.
        out_file: where to write; its suffix names the container.
        print_cmd: print what is read and written, one line.
        pre_options: options of the ffmpeg program, which is not called: must be "".
        vcodec: four letters of the codec; chosen by the suffix when None.
        fps: frames per second of the result; those of ``in_file`` when None. Frames are neither dropped nor added.
        log_level: a level of ffmpeg's; from "info" on a progress bar is shown on standard error.

    Raises:
        FkitValueError: options of ffmpeg, an unknown log level, or ``out_file`` the same as ``in_file``.
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
    if text("convert_video", "pre_options", pre_options):
        raise FkitValueError(f"convert_video calls no ffmpeg program that would take pre_options = {pre_options!r}.")
    rate = None if fps is None else finite("convert_video", "fps", fps)
    with _opened("convert_video", in_file, out_file) as reader:
        target = Target(
            "convert_video",
            out_file,
            vcodec,
            rate or reader.fps,
            reader.resolution,
            reader.frame_cnt,
            str(in_file),
            log_level,
            print_cmd,
        )
        write(reader, target)


def resize_video(
    in_file: str | Path,
    out_file: str | Path,
    size: tuple[int, int] | None = None,
    ratio: float | tuple[float, float] | None = None,
    keep_ar: bool = False,
    log_level: str = "error",
    print_cmd: bool = False,
    *,
    vcodec: str | None = None,
) -> None:
    """Resize every frame. Through OpenCV: encoded again, without sound; of an odd side it leaves out the last pixel.

    Args:
        in_file: the video.
        out_file: where to write.
        size: (width, height), pixels; or
        ratio: one factor, or (of width, of height); exactly one of the two.
        keep_ar: fit into ``size`` with the ratio kept; without effect on ``ratio``.
        log_level: a level of ffmpeg's; from "info" on a progress bar is shown on standard error.
        print_cmd: print what is read and written, one line.
        vcodec: four letters of the codec; chosen by the suffix when None.

    Raises:
        FkitValueError: both or neither of ``size`` and ``ratio``, an unknown log level, or ``out_file`` the same as
            ``in_file``.
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
    if size is None:
        sides = pair("resize_video", "ratio", ratio if is_a(ratio, tuple) else (ratio, ratio))
    else:
        sides = pair("resize_video", "size", size)
    with _opened("resize_video", in_file, out_file) as reader:
        if size is None:
            wide, high = (
                int(side * finite("resize_video", "ratio", factor))
                for side, factor in zip(reader.resolution, sides, strict=True)
            )
        else:
            wide, high = _fitted(reader.resolution, sides) if keep_ar else (int(sides[0]), int(sides[1]))
        if wide < 1 or high < 1:
            raise FkitValueError(f"resize_video: a video of {wide}x{high} has no pixels.")
        target = Target(
            "resize_video",
            out_file,
            vcodec,
            reader.fps,
            (wide, high),
            reader.frame_cnt,
            str(in_file),
            log_level,
            print_cmd,
        )
        write(reader, target, lambda frame: imresize(frame, (wide, high)))


def cut_video(
    in_file: str | Path,
    out_file: str | Path,
    start: float | None = None,
    end: float | None = None,
    vcodec: str | None = None,
    acodec: str | None = None,
    log_level: str = "error",
    print_cmd: bool = False,
) -> None:
    """Keep the frames between two times. Through OpenCV: encoded again, without sound.

    Args:
        in_file: the video.
        out_file: where to write.
        start: seconds; from the first frame when None.
        end: seconds, exclusive; to the last frame when None.
        vcodec: four letters of the codec; chosen by the suffix when None.
        acodec: a codec of sound, which is not carried over: must be None.
        log_level: a level of ffmpeg's; from "info" on a progress bar is shown on standard error.
        print_cmd: print what is read and written, one line.

    Raises:
        FkitValueError: no frame lies between the two times; a codec of sound, an unknown log level, or ``out_file``
            the same as ``in_file``.
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
    _check_silent("cut_video", acodec)
    since = None if start is None else finite("cut_video", "start", start)
    until = None if end is None else finite("cut_video", "end", end)
    with _opened("cut_video", in_file, out_file) as reader:
        first = 0 if since is None else round(since * reader.fps)
        last = reader.frame_cnt if until is None else min(round(until * reader.fps), reader.frame_cnt)
        if not 0 <= first < last:
            seconds = reader.frame_cnt / (reader.fps or 1)
            raise FkitValueError(
                f"cut_video: {in_file} has no frame from {start} s to {end} s; it lasts {seconds:g} s."
            )
        reader.get_frame(first)
        frames = (reader[i] for i in range(first, last))
        source = f"{in_file}, frames {first} to {last - 1}"
        write(
            frames,
            Target(
                "cut_video", out_file, vcodec, reader.fps, reader.resolution, last - first, source, log_level, print_cmd
            ),
        )


def concat_video(
    video_list: Sequence[str | Path],
    out_file: str | Path,
    vcodec: str | None = None,
    acodec: str | None = None,
    log_level: str = "error",
    print_cmd: bool = False,
) -> None:
    """Play videos one after the other. Through OpenCV: encoded again, without sound.

    Args:
        video_list: the videos, all of one size; the first one's frames per second count.
        out_file: where to write.
        vcodec: four letters of the codec; chosen by the suffix when None.
        acodec: a codec of sound, which is not carried over: must be None.
        log_level: a level of ffmpeg's; from "info" on a progress bar is shown on standard error.
        print_cmd: print what is read and written, one line.

    Raises:
        FkitValueError: no video, or videos of different sizes; a codec of sound, an unknown log level, or ``out_file``
            one of the videos.
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
    _check_silent("concat_video", acodec)
    if not is_a(video_list, list, tuple):
        raise FkitTypeError(f"concat_video: video_list must be a list of paths; got {form(video_list)}.")
    if not video_list:
        raise FkitValueError("concat_video needs at least one video.")
    with _opened("concat_video", video_list[0], out_file) as first:
        fps, size, total = first.fps, first.resolution, first.frame_cnt
    for name in islice(video_list, 1, None):
        with _opened("concat_video", name, out_file) as reader:
            total += reader.frame_cnt
            if reader.resolution != size:
                raise FkitValueError(
                    f"concat_video: {name} is {reader.resolution}, {video_list[0]} is {size}.",
                    repair="resize_video first",
                )
    source = " + ".join(str(name) for name in video_list)
    target = Target("concat_video", out_file, vcodec, fps, size, total, source, log_level, print_cmd)
    write(_all_frames(video_list), target)


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
        FkitValueError: pictures of different sizes, or a template that names no file.
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
    folder = Path(local("frames2video", "frame_dir", frame_dir))
    whole("frames2video", "start", start)

    def path_of(number: int) -> Path:
        return folder / numbered("frames2video", filename_tmpl, number)

    first = imread(path_of(start))
    if path_of(start) == path_of(start + 1):
        raise FkitValueError(f"frames2video: filename_tmpl = {filename_tmpl!r} gives every picture the same name.")
    stop = whole("frames2video", "end", end) or next(n for n in count(start) if not path_of(n).is_file())
    if stop <= start:
        raise FkitValueError(f"frames2video: no picture lies between start = {start} and end = {end}.")
    size = (first.shape[1], first.shape[0])
    shown = shown_progress(f"writing {video_file}", stop - start, show_progress)
    with opened_writer(video_file, fourcc, fps, size) as writer, shown as advance:
        for path in map(path_of, range(start, stop)):
            frame = imread(path)
            if frame.shape != first.shape:
                raise FkitValueError(f"{path} is {frame.shape[1]}x{frame.shape[0]}; the video is {size[0]}x{size[1]}.")
            writer.write(frame)
            advance(1)
    return stop - start


def _all_frames(names: Sequence[str | Path]) -> Iterable[Image]:
    for name in names:
        with VideoReader(name, cache_capacity=0) as reader:
            yield from reader


def _opened(function: str, in_file: str | Path, out_file: str | Path) -> VideoReader:
    """A reader of ``in_file``, which must not be what is written."""
    source, target = local(function, "in_file", in_file), local(function, "out_file", out_file)
    if Path(source).resolve() == Path(target).resolve():
        raise FkitValueError(f"{function} would write onto {target} while it reads it.", repair="name another file")
    return VideoReader(source, cache_capacity=0)


def _check_silent(function: str, acodec: Any) -> None:
    if acodec is not None:
        raise FkitValueError(f"{function} carries no sound over, so no acodec = {acodec!r}.", repair="leave acodec out")


def _fitted(size: tuple[int, int], box: tuple[float, float]) -> tuple[int, int]:
    return rescale_size(size, min(box[0] / size[0], box[1] / size[1]))
