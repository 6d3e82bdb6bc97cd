"""Reading and writing: bad files, EXIF, backends, round trips."""

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fkit.image import imfrombytes, imread, imwrite
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitOSError, FkitValueError

BAD = ("empty.jpg", "header_only.jpg", "not_an_image.jpg", "truncated.jpg", "truncated.png")


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_error_that_names_it(samples: Path, name: str, backend: str) -> None:
    with pytest.raises(FkitOSError) as caught:
        imread(samples / "bad" / name, backend=backend)
    assert str(samples / "bad" / name) in str(caught.value)
    assert "cannot be read as a picture" in str(caught.value)


def test_every_bad_file_of_the_manifest_is_covered(samples: Path) -> None:
    manifest = json.loads((samples / "manifest.json").read_text())
    bad = {Path(name).name for name in manifest if name.startswith("bad/")}
    assert bad == {*BAD, "png_named.jpg"}


def test_what_each_bad_file_suffers_from(samples: Path) -> None:
    said = {}
    for name in BAD:
        with pytest.raises(FkitError) as caught:
            imread(samples / "bad" / name)
        said[name] = str(caught.value)
    assert "it is empty" in said["empty.jpg"]
    assert "no picture format" in said["not_an_image.jpg"]
    assert "starts like a JPEG" in said["truncated.jpg"]
    assert "allow_truncated=True" in said["truncated.jpg"]
    assert "starts like a PNG" in said["truncated.png"]
    assert "allow_truncated" not in said["truncated.png"]


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
def test_a_png_under_another_extension_is_read_by_its_content(samples: Path, backend: str) -> None:
    img = imread(samples / "bad" / "png_named.jpg", backend=backend)
    np.testing.assert_array_equal(img, imread(samples / "image" / "palette.png"))


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
def test_a_truncated_jpeg_is_read_only_when_allowed(samples: Path, backend: str) -> None:
    img = imread(samples / "bad" / "truncated.jpg", backend=backend, allow_truncated=True)
    whole = imread(samples / "image" / "coffee.jpg")
    assert img.shape == whole.shape
    np.testing.assert_array_equal(img[:200], whole[:200])  # 60 % of the bytes hold the upper part
    assert np.ptp(img[-20:].reshape(-1, 3), axis=0).max() == 0  # and the rest is one grey


@pytest.mark.parametrize("cut", [1, 2, 10, 1000])
def test_a_jpeg_that_lacks_only_its_last_bytes_is_truncated_too(samples: Path, cut: int) -> None:
    content = (samples / "image" / "gray.jpg").read_bytes()
    with pytest.raises(FkitValueError, match="bytes are no picture: it starts like a JPEG but is cut short"):
        imfrombytes(content[:-cut])
    assert imfrombytes(content[:-cut], allow_truncated=True).shape == (512, 512, 3)


def test_allowing_truncation_changes_nothing_for_a_whole_file(samples: Path) -> None:
    path = samples / "image" / "coffee.jpg"
    np.testing.assert_array_equal(imread(path, allow_truncated=True), imread(path))


def test_a_header_alone_holds_no_picture_even_when_truncation_is_allowed(samples: Path) -> None:
    with pytest.raises(FkitOSError, match=r"header_only\.jpg"):
        imread(samples / "bad" / "header_only.jpg", allow_truncated=True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("backend", ["cv2", "pillow"])
def test_exif_orientation_is_applied_unless_told_otherwise(samples: Path, orientation: int, backend: str) -> None:
    path = samples / "image" / f"exif_{orientation}.jpg"
    stored = imread(path, "color_ignore_orientation", backend=backend)
    turned = (
        stored,
        stored[:, ::-1],
        stored[::-1, ::-1],
        stored[::-1],
        stored.transpose(1, 0, 2),
        stored.transpose(1, 0, 2)[:, ::-1],
        stored[::-1, ::-1].transpose(1, 0, 2),
        stored.transpose(1, 0, 2)[::-1],
    )[orientation - 1]
    np.testing.assert_array_equal(imread(path, backend=backend), turned)
    assert imread(path, backend=backend).shape == (214, 320, 3)
    np.testing.assert_array_equal(imread(path, "unchanged", backend=backend), stored)


def test_every_sample_has_the_form_that_the_manifest_tells(samples: Path) -> None:
    manifest = json.loads((samples / "manifest.json").read_text())
    seen = 0
    for name, told in manifest.items():
        path = samples / name
        if name.startswith("image/") and path.exists():
            img = imread(path, "color" if "exif_orientation" in told else "unchanged")
            assert (list(img.shape), str(img.dtype)) == (told["shape"], told["dtype"]), name
            seen += 1
    assert seen >= 15


def test_rgb_is_bgr_reversed(samples: Path) -> None:
    for name in ("coffee.jpg", "cat.png", "cmyk.jpg", "gray16.png", "coffee_lzw.tif", "exif_6.jpg"):
        bgr, rgb = imread(samples / "image" / name), imread(samples / "image" / name, channel_order="rgb")
        np.testing.assert_array_equal(rgb, bgr[..., ::-1])


def test_tifffile_gives_what_is_stored(samples: Path) -> None:
    pages = imread(samples / "image" / "three_pages.tif", backend="tifffile")
    assert pages.shape == (3, 200, 200, 3)
    np.testing.assert_array_equal(pages[0], imread(samples / "image" / "three_pages.tif", channel_order="rgb"))
    with pytest.raises(FkitOSError, match=r"coffee\.jpg.*'tifffile'"):
        imread(samples / "image" / "coffee.jpg", backend="tifffile")


def test_arguments_that_nothing_knows_are_refused(samples: Path) -> None:
    path = samples / "image" / "coffee.jpg"
    with pytest.raises(
        FkitValueError, match=r"(?s)flag = 'grayscal' is unknown.*Did you mean 'grayscale'.*Allowed: color"
    ):
        imread(path, "grayscal")
    with pytest.raises(FkitValueError, match=r"(?s)channel_order = 'rbg' is unknown.*Did you mean"):
        imread(path, channel_order="rbg")
    with pytest.raises(FkitValueError, match=r"(?s)backend = 'turbojpeg' is unknown.*Allowed: cv2, pillow, tifffile"):
        imread(path, backend="turbojpeg")
    with pytest.raises(FkitValueError, match="a number of OpenCV"):
        imread(path, 0, backend="pillow")
    with pytest.raises(TypeError, match="imread takes a path or an array; got int"):
        imread(3)


def test_a_file_that_is_not_there_and_one_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FkitFileNotFoundError, match=r"absent\.png is not there"):
        imread(tmp_path / "absent.png")
    with pytest.raises(FkitOSError, match="cannot be read"):
        imread(tmp_path)


def test_a_path_with_letters_of_other_scripts_and_spaces(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "猫 и кот.png"
    shutil.copyfile(samples / "image" / "cat.png", path)
    img = imread(path)
    assert imwrite(img, tmp_path / "neu" / "zwölf ❄.png")
    np.testing.assert_array_equal(imread(str(tmp_path / "neu" / "zwölf ❄.png")), img)


def test_a_path_with_a_scheme_goes_through_fileio(photo: np.ndarray) -> None:
    assert imwrite(photo, "memory://image/test_io.png")
    np.testing.assert_array_equal(imread("memory://image/test_io.png"), photo)


def test_the_storage_is_an_argument_under_either_name(samples: Path, tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / "a.png"
    assert imwrite(photo, path, file_client_args={"backend": "disk"})
    np.testing.assert_array_equal(imread(path, backend_args={"backend": "local"}), photo)
    with pytest.raises(FkitValueError, match="cannot be set at the same time"):
        imread(path, file_client_args={"backend": "disk"}, backend_args={"backend": "local"})


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda s: st.sampled_from([s, (*s, 3), (*s, 4)])),
    )
)
def test_png_keeps_every_bit(img: np.ndarray) -> None:
    done, content = cv2.imencode(".png", img)
    assert done
    np.testing.assert_array_equal(imfrombytes(content.tobytes(), "unchanged"), img)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_picture_are_refused_and_never_crash(content: bytes) -> None:
    with pytest.raises(FkitValueError, match="bytes are no picture"):
        imfrombytes(content)


def test_writing_where_it_cannot(photo: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(FkitValueError, match="has no suffix"):
        imwrite(photo, tmp_path / "a")
    with pytest.raises(FkitValueError, match=r"imwrite to .*a\.nope: OpenCV refuses an image of \(48, 64, 3\) uint8"):
        imwrite(photo, tmp_path / "a.nope")
    with pytest.raises(FkitOSError, match="imwrite cannot write"):
        imwrite(photo, tmp_path / "absent" / "a.png", auto_mkdir=False)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_unless_told_otherwise(photo: np.ndarray, tmp_path: Path) -> None:
    for number, word in enumerate((None, True)):
        assert imwrite(photo, tmp_path / f"new{number}" / "a.png", auto_mkdir=word)
        np.testing.assert_array_equal(imread(tmp_path / f"new{number}" / "a.png"), photo)


def test_reading_does_not_look_at_the_name(samples: Path, tmp_path: Path) -> None:
    shutil.copyfile(samples / "image" / "coffee.jpg", tmp_path / "noname")
    np.testing.assert_array_equal(imread(tmp_path / "noname"), imread(samples / "image" / "coffee.jpg"))


@pytest.mark.parametrize("flag", ["color", "grayscale"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_pillow_reads_16_bit_grey_as_opencv_does(flag: str, suffix: str, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (20, 30)).astype(np.uint16)
    imwrite(levels, tmp_path / f"a{suffix}")
    by_pillow, by_opencv = (imread(tmp_path / f"a{suffix}", flag, backend=backend) for backend in ("pillow", "cv2"))
    np.testing.assert_array_equal(by_pillow, by_opencv)
    assert by_pillow.std() > 60  # and is not white
    stored = imread(tmp_path / f"a{suffix}", "unchanged", backend="pillow")
    np.testing.assert_array_equal(stored, levels)


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("flag", ["color", "grayscale", "grayscale_ignore_orientation"])
def test_floats_have_no_range_as_bytes_and_the_repair_reads_them(samples: Path, flag: str, backend: str) -> None:
    path = samples / "image" / "gray_f32.tif"
    with pytest.raises(FkitOSError, match=r"(?s)gray_f32\.tif cannot be read as a picture.*flag='unchanged' reads"):
        imread(path, flag, backend=backend)
    assert imread(path, "unchanged", backend=backend).dtype == np.float32


def png_with(exif: bytes) -> bytes:
    """A PNG of 16 x 8 that carries an EXIF chunk."""
    png = cv2.imencode(".png", np.arange(384, dtype=np.uint16).astype(np.uint8).reshape(8, 16, 3))[1].tobytes()
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    return png[:33] + chunk + png[33:]


ORIENTED = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    "exif", [b"XX*\x00\x08\x00\x00\x00", b"II*\x00", b"", ORIENTED[:9], ORIENTED.replace(b"\x06", b"\xff")]
)
def test_damaged_exif_leaves_the_picture_as_it_is_stored(exif: bytes) -> None:
    stored = imfrombytes(png_with(exif), "unchanged")
    for backend in ("cv2", "pillow"):
        np.testing.assert_array_equal(imfrombytes(png_with(exif), backend=backend), stored)
        assert imfrombytes(png_with(ORIENTED), backend=backend).shape == (16, 8, 3)


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize(
    "content",
    [b"P6\n400000 300000\n255\n" + bytes(30), b"P6\n4 3\n255\n" + bytes(30), b"P3\n4 3\n255\n1 2 3", b"P6\n4"],
)
def test_a_cut_ppm_is_called_one(content: bytes, backend: str) -> None:
    # the first claims more pixels than Pillow opens, whose own error is no OSError
    with pytest.raises(FkitValueError, match=r"bytes are no picture: (it starts like a PNM|OpenCV says)"):
        imfrombytes(content, backend=backend)


@pytest.mark.parametrize("name", ["coffee.jpg", "cat.png", "coffee_lzw.tif", "palette.png"])
@pytest.mark.parametrize("backend", ["cv2", "pillow", "tifffile"])
def test_damaged_pictures_are_read_or_refused(samples: Path, name: str, backend: str) -> None:
    if backend == "tifffile":
        pytest.importorskip("tifffile")
    whole, rng = (samples / "image" / name).read_bytes(), np.random.default_rng(0)
    for _ in range(25):
        content = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.4 else whole)
        for place in rng.integers(0, min(len(content), 400), 6):
            content[place] = rng.integers(256)
        with contextlib.suppress(FkitError):
            imfrombytes(bytes(content), backend=backend)


HOME = """
import numpy as np
from fkit.image import VideoReader, flowread, flowwrite, frames2video, imread, imwrite
imwrite(np.full((16, 32, 3), 9, np.uint8), "~/new/000000.png")
frames2video("~/new", "~/a.avi", fourcc="MJPG", filename_tmpl="{:06d}.png", end=1)
VideoReader("~/a.avi").cvt2frames("~/frames")
flowwrite(np.ones((4, 5, 2), np.float32), "~/a.flo")
print(imread("~/new/000000.png").sum(), flowread("~/a.flo").sum(), imread("~/frames/000000.jpg").shape)
"""


def test_a_tilde_is_the_users_own_folder(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    where = tmp_path / "elsewhere"
    where.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", HOME], capture_output=True, text=True, check=False, cwd=where, env=environ
    )
    assert done.stdout.split("\n")[-2] == "13824 40.0 (16, 32, 3)", done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi", "a.flo", "elsewhere", "frames", "new"]
    assert list(where.iterdir()) == []
