"""Reading and writing: bad files, EXIF, backends, round trips."""

import json
import shutil
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


def test_reading_does_not_look_at_the_name(samples: Path, tmp_path: Path) -> None:
    shutil.copyfile(samples / "image" / "coffee.jpg", tmp_path / "noname")
    np.testing.assert_array_equal(imread(tmp_path / "noname"), imread(samples / "image" / "coffee.jpg"))
