"""Optical flow: files, quantising, warping, colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fkit.image import (
    dequantize_flow,
    flow2rgb,
    flow_from_bytes,
    flow_warp,
    flowread,
    flowwrite,
    imwrite,
    make_color_wheel,
    quantize_flow,
    sparse_flow_from_bytes,
)
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitOSError

FLOWS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(2)), elements=st.floats(-4, 4, width=32)
)


@settings(max_examples=30, deadline=None)
@given(FLOWS)
def test_a_flow_file_keeps_every_bit(tmp_path_factory: pytest.TempPathFactory, flow: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("flow") / "a.flo"
    flowwrite(flow, path)
    np.testing.assert_array_equal(flowread(path), flow)
    assert path.read_bytes()[:4] == b"PIEH"


@given(FLOWS, st.sampled_from([0.5, 5.0]))
def test_quantising_loses_half_a_level_at_most(flow: np.ndarray, max_val: float) -> None:
    dx, dy = quantize_flow(flow, max_val, norm=False)
    back = dequantize_flow(dx, dy, max_val, denorm=False)
    assert dx.dtype == dy.dtype == np.uint8
    assert np.abs(back - np.clip(flow, -max_val, max_val)).max() <= max_val / 255 * 1.001


@pytest.mark.parametrize("axis", [0, 1])
def test_a_quantised_flow_is_a_grey_picture_of_both_parts(axis: int, tmp_path: Path) -> None:
    flow = np.random.default_rng(0).uniform(-1, 1, (10, 20, 2)).astype(np.float32)
    flowwrite(flow, tmp_path / "a.png", quantize=True, concat_axis=axis, max_val=0.1)
    assert cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED).shape == ((20, 20), (10, 40))[axis]
    back = flowread(tmp_path / "a.png", quantize=True, concat_axis=axis, max_val=0.1)
    assert np.abs(back - flow)[..., 0].max() <= 0.1 * 20 / 255 * 1.01


@given(st.integers(-3, 3), st.integers(-3, 3), st.sampled_from(["nearest", "bilinear"]))
def test_warping_by_whole_pixels_fetches_them(dx: int, dy: int, mode: str) -> None:
    img = np.random.default_rng(0).random((9, 11, 2))
    out = flow_warp(img, np.broadcast_to(np.array([dx, dy], np.float64), (9, 11, 2)), -1, mode)
    for y in range(9):
        for x in range(11):
            inside = 0 <= x + dx < 10 and 0 <= y + dy < 8
            expected = img[y + dy, x + dx] if inside else np.full(2, -1.0)
            np.testing.assert_allclose(out[y, x], expected, atol=1e-5)


def test_warping_between_pixels_weighs_them() -> None:
    img = np.array([[[0.0], [10.0], [0.0]], [[100.0], [110.0], [0.0]], [[0.0], [0.0], [0.0]]])
    flow = np.zeros((3, 3, 2))
    flow[0, 0] = (0.25, 0.5)
    assert flow_warp(img, flow, 0, "bilinear")[0, 0, 0] == pytest.approx(0.25 * 10 + 0.5 * 100, abs=1e-3)
    flow[0, 0] = (np.nan, 0)
    assert flow_warp(img, flow, 7)[0, 0, 0] == 7


def test_colours_tell_direction_and_length() -> None:
    flow = np.array([[[-1, 0], [1, 0], [0, 0], [0.5, 0], [np.nan, 0], [1e9, 0]]], np.float32)
    left, right, rest, half, unknown, huge = flow2rgb(flow)[0]
    wheel = make_color_wheel()
    np.testing.assert_allclose(right, wheel[0], atol=1e-6)
    assert not np.allclose(left, right)
    np.testing.assert_array_equal(rest, 1)
    np.testing.assert_allclose(half, (right + 1) / 2, atol=1e-6)
    assert unknown.max() == huge.max() == 0


@given(st.lists(st.integers(1, 20), min_size=6, max_size=6))
def test_a_wheel_starts_red_and_passes_each_corner(bins: list[int]) -> None:
    wheel = make_color_wheel(bins)
    assert wheel.shape == (sum(bins), 3)
    corners = np.cumsum([0, *bins[:-1]])
    np.testing.assert_array_equal(wheel[corners], [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])


def test_a_sparse_flow_tells_where_it_is_known() -> None:
    packed = np.zeros((3, 4, 3), np.uint16)
    packed[1, 2] = (1, 2**15 - 32, 2**15 + 640)  # BGR: valid, dy, dx
    flow, valid = sparse_flow_from_bytes(cv2.imencode(".png", packed)[1].tobytes())
    assert flow[1, 2].tolist() == [10.0, -0.5]
    assert valid.sum() == 1 == valid[1, 2]


def test_files_and_bytes_that_are_no_flow(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(FkitOSError, match=r"cat\.png is no flow file: A \.flo file opens with b'PIEH'"):
        flowread(samples / "image" / "cat.png")
    with pytest.raises(FkitOSError, match=r"cat\.png is no quantised flow: \(300, 451, 3\) uint8"):
        flowread(samples / "image" / "cat.png", quantize=True)
    with pytest.raises(FkitFileNotFoundError, match="is not there"):
        flowread(tmp_path / "absent.flo")
    imwrite(np.zeros((3, 4), np.uint8), tmp_path / "odd.png")
    with pytest.raises(FkitOSError, match="does not split into dx and dy"):
        flowread(tmp_path / "odd.png", quantize=True)
    with pytest.raises(FkitError, match="too short for 100 x 100 vectors"):
        flow_from_bytes(b"PIEH" + np.array([100, 100], "<i4").tobytes() + bytes(80))
    with pytest.raises(FkitError, match="are no picture, so no sparse flow"):
        sparse_flow_from_bytes(b"")
    with pytest.raises(FkitError, match=r"flowread takes a flow \(H, W, 2\); got \(3, 4, 3\)"):
        flowread(np.zeros((3, 4, 3)))
    with pytest.raises(FkitError, match=r"interpolate_mode = 'cubic' is unknown"):
        flow_warp(np.zeros((3, 4, 3)), np.zeros((3, 4, 2)), interpolate_mode="cubic")
    with pytest.raises(FkitError, match="of the flow's size"):
        flow_warp(np.zeros((3, 5, 3)), np.zeros((3, 4, 2)))
    with pytest.raises(FkitError, match="six numbers of steps; got 2"):
        make_color_wheel([1, 2])


@given(st.binary(max_size=40))
def test_any_bytes_are_a_flow_or_an_error(content: bytes) -> None:
    for content in (content, b"PIEH" + content):
        try:
            flow = flow_from_bytes(content)
        except FkitError:
            continue
        assert flow.ndim == 3 and flow.shape[2] == 2


def test_a_flow_of_float64_has_colours_of_float64() -> None:
    flow = np.random.default_rng(0).normal(0, 3, (7, 9, 2))
    fine, coarse = flow2rgb(flow), flow2rgb(flow.astype(np.float32))
    assert (fine.dtype, coarse.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(fine, coarse, atol=1e-5)
    assert flowread(flow) is flow


def test_quantised_parts_may_keep_a_channel_axis() -> None:
    dx, dy = quantize_flow(np.random.default_rng(0).normal(0, 0.1, (7, 9, 2)))
    np.testing.assert_array_equal(dequantize_flow(dx[..., None], dy[..., None]), dequantize_flow(dx, dy))
    with pytest.raises(FkitError, match=r"two \(H, W\) of one shape"):
        dequantize_flow(dx[..., None], dy)
