"""Videos: which frame is which, at random and in order; written, cut, joined and resized."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkit.image import (
    Cache,
    VideoReader,
    concat_video,
    convert_video,
    cut_video,
    frames2video,
    imread,
    imwrite,
    resize_video,
)
from fkit.image.writer import codec
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitIndexError, FkitOSError, FkitValueError

CLIPS = ("clip.mp4", "clip.avi")


def numbered(frame: np.ndarray) -> int:
    """The number that a frame of the clips carries: five squares at the lower left, bit 0 left."""
    return sum(1 << bit for bit in range(5) if frame[224, 16 + 32 * bit].mean() > 127)


def frame_at(path: Path, index: int) -> np.ndarray:
    """A frame by reading all before it: slow, and beyond doubt."""
    capture = cv2.VideoCapture(str(path))
    for _ in range(index):
        capture.grab()
    return capture.read()[1]


@pytest.mark.parametrize("name", CLIPS)
def test_any_order_gives_the_frames_that_reading_in_order_gives(samples: Path, name: str) -> None:
    path = samples / "video" / name
    with VideoReader(path, cache_capacity=3) as reader:
        for index in (29, 0, 17, 3, 4, 28, 2, 2, 10):
            np.testing.assert_array_equal(reader[index], frame_at(path, index))
            assert reader.position == index + 1


@pytest.mark.parametrize("name", CLIPS)
def test_indexing_is_that_of_a_sequence(samples: Path, name: str) -> None:
    with VideoReader(samples / "video" / name) as reader:
        frames = list(reader)
        assert len(frames) == len(reader) == reader.frame_cnt == 30
        assert (reader.width, reader.height, reader.resolution, reader.fps) == (320, 240, (320, 240), 15.0)
        np.testing.assert_array_equal(reader[-2], frames[28])
        for piece in (slice(2, 5), slice(None, None, 11), slice(8, 2, -2), slice(40, 50)):
            assert len(reader[piece]) == len(frames[piece])
            for one, other in zip(reader[piece], frames[piece], strict=True):
                np.testing.assert_array_equal(one, other)
        again = iter(reader)
        np.testing.assert_array_equal(next(again), frames[0])
        with pytest.raises(FkitIndexError, match="has frames 0 to 29; got 30"):
            reader[30]
        with pytest.raises(IndexError, match="got -31"):
            reader[-31]


def test_reading_moves_on_and_ends_with_none(samples: Path) -> None:
    reader = VideoReader(samples / "video" / "clip.avi", cache_capacity=2)
    assert reader.current_frame() is None
    first = reader.read()
    assert reader.current_frame() is first
    reader.get_frame(29)
    assert reader.read() is None
    assert reader.position == 30
    reader.close()
    assert not reader.opened


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(0, 5), max_size=20))
def test_the_cache_holds_the_last_new_keys(capacity: int, keys: list[int]) -> None:
    cache, held = Cache(capacity), []
    for key in keys:
        cache.put(key, -key)
        if key not in held:
            held = [*held, key][-capacity:]
        assert cache.size == len(held)
        assert [cache.get(k, "gone") for k in range(6)] == [-k if k in held else "gone" for k in range(6)]


def test_files_that_are_no_videos(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(FkitFileNotFoundError, match=r"absent\.mp4 is not there"):
        VideoReader(tmp_path / "absent.mp4")
    with pytest.raises(FkitOSError, match=r"not_an_image\.jpg cannot be opened as a video"):
        VideoReader(samples / "bad" / "not_an_image.jpg")
    with pytest.raises(FkitValueError, match="capacity must be 1 or more"):
        Cache(0)


def test_frames_to_files_and_back(samples: Path, tmp_path: Path) -> None:
    with VideoReader(samples / "video" / "clip.mp4") as reader:
        paths = reader.cvt2frames(tmp_path / "frames", file_start=5, filename_tmpl="f{:03d}.png", start=10, max_num=6)
        assert [path.name for path in paths] == [f"f{i:03d}.png" for i in range(5, 11)]
        np.testing.assert_array_equal(imread(paths[2]), reader[12])
        with pytest.raises(FkitValueError, match="has 30 frames; cannot start at 30"):
            reader.cvt2frames(tmp_path, start=30)
    target = tmp_path / "back.avi"
    assert frames2video(tmp_path / "frames", target, 10, "MJPG", "f{:03d}.png", start=5) == 6
    with VideoReader(target) as back:
        assert (len(back), back.fps) == (6, 10.0)
        for path, frame in zip(paths, back, strict=True):
            assert np.abs(imread(path).astype(int) - frame).mean() < 6  # JPEG frames
    with pytest.raises(FkitFileNotFoundError, match=r"f011\.png"):
        frames2video(tmp_path / "frames", target, 10, "MJPG", "f{:03d}.png", start=5, end=12)


def test_progress_is_shown_when_asked_for(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with VideoReader(samples / "video" / "clip.avi") as reader:
        reader.cvt2frames(tmp_path, max_num=3)
        frames2video(tmp_path, tmp_path / "a.avi", fourcc="MJPG")
        assert capsys.readouterr().err == ""
        reader.cvt2frames(tmp_path, max_num=3, show_progress=True)
        assert frames2video(tmp_path, tmp_path / "a.avi", fourcc="MJPG", end=3, show_progress=True) == 3
    shown = capsys.readouterr().err
    assert "clip.avi" in shown and "a.avi" in shown and "3" in shown


def test_cutting_joining_and_resizing_keep_the_right_frames(samples: Path, tmp_path: Path) -> None:
    source = samples / "video" / "clip.avi"
    cut_video(source, tmp_path / "a.avi", start=0.4, end=0.8, vcodec="MJPG")
    cut_video(source, tmp_path / "b.avi", start=1.8, vcodec="MJPG")
    concat_video([tmp_path / "a.avi", tmp_path / "b.avi"], tmp_path / "both.avi", vcodec="MJPG")
    with VideoReader(tmp_path / "both.avi") as both, VideoReader(source) as whole:
        assert [numbered(frame) for frame in both] == [*range(6, 12), 27, 28, 29]
        assert [numbered(frame) for frame in whole] == list(range(30))
    resize_video(source, tmp_path / "small.avi", size=(128, 128), keep_ar=True, vcodec="MJPG")
    resize_video(source, tmp_path / "wide.avi", ratio=(2, 0.5), vcodec="MJPG")
    convert_video(source, tmp_path / "again.mp4")
    sizes = [VideoReader(tmp_path / name).resolution for name in ("small.avi", "wide.avi", "again.mp4")]
    assert sizes == [(128, 96), (640, 120), (320, 240)]
    with pytest.raises(FkitValueError, match=r"wide\.avi is \(640, 120\)"):
        concat_video([source, tmp_path / "wide.avi"], tmp_path / "c.avi")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda source, out: cut_video(source, out, start=5), "no frame from 5 s to None s; it lasts 2 s"),
        (lambda source, out: cut_video(source, out, start=1, end=0.5), "no frame from 1 s"),
        (resize_video, "exactly one of size and ratio"),
        (lambda source, out: concat_video([], out), "at least one video"),
        (lambda source, out: convert_video(source, out, vcodec="mp"), "four letters"),
        (
            lambda source, out: convert_video(source, out.with_suffix(".xyz")),
            "(?s)no codec is known for '.xyz'.*Allowed: .mp4",
        ),
        (lambda source, out: convert_video(source.with_name("absent.avi"), out), "is not there"),
    ],
)
def test_errors_say_what_was_wrong(call, words: str, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(FkitError, match=words):
        call(samples / "video" / "clip.avi", tmp_path / "out.avi")
    assert codec("x.MP4") == "mp4v"


def test_pictures_of_different_sizes_make_no_video(tmp_path: Path) -> None:
    for i, size in enumerate([(16, 16, 3), (16, 18, 3)]):
        imwrite(np.zeros(size, np.uint8), tmp_path / f"{i:06d}.jpg")
    with pytest.raises(FkitValueError, match=r"000001\.jpg is 18x16; the video is 16x16"):
        frames2video(tmp_path, tmp_path / "a.avi", fourcc="MJPG")


def uncounted(folder: Path) -> dict[str, Path]:
    """Ten frames each, in containers that tell no number: raw JPEGs, and WebM as a browser records it."""
    frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(10)]
    raw, counted, recorded = folder / "raw.mjpeg", folder / "counted.webm", folder / "recorded.webm"
    raw.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    writer = cv2.VideoWriter(str(counted), cv2.VideoWriter.fourcc(*"VP80"), 10, (64, 48))
    for frame in frames:
        writer.write(frame)
    writer.release()
    content = counted.read_bytes()
    at = content.index(b"\x44\x89\x88")  # the duration, 8 bytes: make it an element of padding
    content = content[:at] + b"\xec\x89" + bytes(9) + content[at + 11 :]
    recorded.write_bytes(content)
    return {"raw": raw, "recorded": recorded}


@pytest.mark.parametrize("kind", ["raw", "recorded"])
def test_frames_that_no_container_counts_are_counted_by_reading(kind: str, tmp_path: Path) -> None:
    path = uncounted(tmp_path)[kind]
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) <= 0
    with VideoReader(path, cache_capacity=0) as reader:
        assert len(list(reader)) == len(reader) == reader.frame_cnt == 10
        for index in (7, 2, 9, 0, 5, -1):
            assert abs(reader[index].mean() - 20 * (index % 10)) < 4
        assert [round(frame.mean() / 20) for frame in reader[1:8:3]] == [1, 4, 7]
        assert len(reader.cvt2frames(tmp_path / "frames", start=8)) == 2
        with pytest.raises(FkitIndexError, match="has frames 0 to 9; got 10"):
            reader[10]
    cut_video(path, tmp_path / "cut.avi", end=5 / reader.fps, vcodec="MJPG")
    concat_video([path, path], tmp_path / "both.avi", vcodec="MJPG")
    assert (len(VideoReader(tmp_path / "cut.avi")), len(VideoReader(tmp_path / "both.avi"))) == (5, 20)


def test_what_is_said_of_a_video_being_written(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = samples / "video" / "clip.avi", tmp_path / "out.avi"
    calls = {
        "convert_video": lambda **words: convert_video(source, out, vcodec="MJPG", **words),
        "resize_video": lambda **words: resize_video(source, out, (64, 48), vcodec="MJPG", **words),
        "cut_video": lambda **words: cut_video(source, out, 0.4, 0.8, "MJPG", **words),
        "concat_video": lambda **words: concat_video([source], out, "MJPG", **words),
    }
    for name, call in calls.items():
        call()
        call(log_level="quiet")
        assert capsys.readouterr() == ("", "")
        call(print_cmd=True)
        said = capsys.readouterr()
        size = "64x48" if name == "resize_video" else "320x240"
        assert said.out.startswith(f"{name}: {source}") and said.out.endswith(
            f" -> {out} (MJPG, {size}, 15 frames/s)\n"
        )
        assert said.err == ""
        call(log_level="info")
        said = capsys.readouterr()
        assert said.out == "" and f"writing {out}" in said.err
        with pytest.raises(FkitValueError, match=r"(?s)log_level = 'inf' is unknown.*Did you mean 'info'\?"):
            call(log_level="inf")


def test_what_only_the_ffmpeg_program_does_is_refused(samples: Path, tmp_path: Path) -> None:
    source, out = samples / "video" / "clip.avi", tmp_path / "out.avi"
    with pytest.raises(FkitValueError, match="carries no sound over, so no acodec = 'aac'"):
        cut_video(source, out, acodec="aac")
    with pytest.raises(FkitValueError, match="carries no sound over"):
        concat_video([source], out, acodec="copy")
    with pytest.raises(FkitValueError, match="calls no ffmpeg program that would take pre_options = '-t 3'"):
        convert_video(source, out, pre_options="-t 3")
    assert not out.exists()


def test_a_video_is_not_written_onto_itself(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes((samples / "video" / "clip.avi").read_bytes())
    (tmp_path / "b").mkdir()
    for call in (convert_video, cut_video, lambda a, b: concat_video([samples / "video" / "clip.avi", a], b)):
        with pytest.raises(FkitValueError, match="while it reads it"):
            call(path, tmp_path / "b" / ".." / "a.avi")
    assert len(VideoReader(path)) == 30


def test_templates_name_each_file(tmp_path: Path) -> None:
    imwrite(np.zeros((16, 16, 3), np.uint8), tmp_path / "a.jpg")
    with pytest.raises(FkitValueError, match="gives every picture the same name"):
        frames2video(tmp_path, tmp_path / "a.avi", filename_tmpl="a.jpg")
    with pytest.raises(FkitValueError, match=r"filename_tmpl = '\{x\}.jpg' cannot name file 0"):
        frames2video(tmp_path, tmp_path / "a.avi", filename_tmpl="{x}.jpg")
