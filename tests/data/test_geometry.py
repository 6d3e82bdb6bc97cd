"""Transforms that move the picture and what lies on it: what no book records."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from frozendict import frozendict
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.array.random import generator, key
from fkit.data.transform.canvas import Expand, Expansion, RandomCenterCropPad, RandomShift
from fkit.data.transform.crop import CenterCrop, Crop, MinIoURandomCrop, RandomCrop, centres_inside
from fkit.data.transform.erase import CutOut, RandomErasing
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.formatting import channels_first
from fkit.data.transform.grey import RandomGrayscale
from fkit.data.transform.pad import Pad
from fkit.data.transform.photometry import Normalize
from fkit.data.transform.resize import FixScaleResize, FixShapeResize, Resize, SegRescale
from fkit.data.transform.scale import RandomChoiceResize, RandomResize, ResizeShortestEdge
from fkit.data.transform.transform import Transform, is_random
from fkit.image.photometry import imnormalize
from fkit.structures.mask import BitmapMasks, PolygonMasks
from fkit.tree.error import FkitError

HEIGHT, WIDTH = 24, 32
EVERY = (
    Resize((20, 30)),
    Resize(scale_factor=1.5, keep_ratio=True),
    FixScaleResize((40, 30), keep_ratio=True),
    FixShapeResize(40, 40, keep_ratio=True, pad_val=7),
    SegRescale(0.5),
    RandomFlip(0.9, ["horizontal", "vertical", "diagonal"], swap_seg_labels=[(0, 1)]),
    Pad(size_divisor=7),
    Pad(pad_to_square=True, pad_val={"img": [1, 2, 3], "seg": 9, "masks": 1}),
    CenterCrop((20, 40), auto_pad=True),
    RandomCrop((16, 12)),
    RandomCrop((0.5, 0.6), "relative_range", allow_negative_crop=True, recompute_bbox=True),
    RandomCrop((8, 20), "absolute_range", bbox_clip_border=False),
    MinIoURandomCrop(),
    Expand(seg_ignore_label=255),
    CutOut((1, 3), [(3, 4), (5, 2)]),
    CutOut(2, cutout_ratio=(0.2, 0.3), fill_in=(1, 2, 3)),
    RandomErasing((1, 4), (0.1, 0.4), squared=False, bbox_erased_thr=0.5),
    RandomGrayscale(0.5, keep_channels=True),
    RandomResize((40, 30), (0.5, 1.5), keep_ratio=True),
    RandomResize([(20, 10), (40, 30)]),
    RandomChoiceResize([(20, 10), (40, 30)], keep_ratio=True),
    ResizeShortestEdge(10, max_size=12),
    Normalize([1, 2, 3], [4, 5, 6]),
)


def sample(polygons: bool = False) -> Any:
    """Three objects whose boxes are those of their masks."""
    img = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint64).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
    boxes = np.array([[2, 3, 10, 12], [11, 5, 30, 20], [0, 14, 8, 24]], np.float32)
    masks = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = 1
    corners = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes.tolist()]
    seg = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 5).astype(np.uint8)
    for array in (img, boxes, masks, seg):
        array.setflags(write=False)
    return frozendict(
        img=img,
        gt_bboxes=boxes,
        gt_bboxes_labels=np.array([0, 1, 2]),
        gt_ignore_flags=np.array([False, False, True]),
        gt_masks=PolygonMasks(corners, HEIGHT, WIDTH) if polygons else BitmapMasks(masks, HEIGHT, WIDTH),
        gt_seg_map=seg,
        gt_keypoints=np.concatenate((boxes.reshape(3, 2, 2), np.ones((3, 2, 1), np.float32)), 2),
    )


def rng(number: int = 0) -> np.random.Generator:
    return generator(key(0, "test", number))


def same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return bool(a == b) if isinstance(a, BitmapMasks | PolygonMasks) else bool(np.array_equal(a, b))


def name_of(transform: Transform) -> str:
    return type(transform).__name__


@pytest.mark.parametrize("transform", EVERY, ids=name_of)
@pytest.mark.parametrize("number", range(3))
def test_a_call_is_a_draw_and_an_apply_and_leaves_what_it_was_given(transform: Transform, number: int):
    before = sample()
    params = transform.draw(before, rng(number), None)
    assert same(transform.apply(before, params), transform(sample(), rng(number)))
    assert same(before, sample())


@pytest.mark.parametrize("transform", EVERY, ids=name_of)
def test_they_are_values(transform: Transform):
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform and hash(again) == hash(transform) and repr(again) == repr(transform)
    assert same(again(sample(), rng()), transform(sample(), rng()))


@pytest.mark.parametrize("transform", [one for one in EVERY if not isinstance(one, SegRescale | CutOut)], ids=name_of)
@pytest.mark.parametrize("number", range(4))
def test_all_that_lies_on_the_picture_goes_along(transform: Transform, number: int):
    """The masks' and the maps' size is the picture's, and there is a mask, a label and a flag for each box."""
    done = transform(sample(), rng(number))
    if done is None:
        assert isinstance(transform, RandomCrop)
        return
    shape = done["img"].shape[:2]
    assert done.get("img_shape", shape) == shape == done["gt_seg_map"].shape[:2]
    assert (done["gt_masks"].height, done["gt_masks"].width) == shape
    rows = {
        len(done[name]) for name in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_masks", "gt_keypoints")
    }
    assert len(rows) == 1 and done["gt_bboxes"].dtype == np.float32


@pytest.mark.parametrize("polygons", [False, True])
def test_a_shift_moves_masks_and_keypoints_with_their_boxes(polygons: bool):
    without = {name: value for name, value in sample(polygons).items() if name != "gt_seg_map"}
    done = RandomShift(1.0, filter_thr_px=9).apply(without, (-5, 3))
    assert done["gt_bboxes_labels"].tolist() == [1] and done["gt_bboxes"].tolist() == [[6, 8, 25, 23]]
    assert done["gt_masks"].get_bboxes().tolist() == [[6, 8, 25, 23]]
    assert done["gt_keypoints"].tolist() == [[[6, 8, 1], [25, 23, 1]]]
    assert (done["img"][3:, :-5] == sample()["img"][:-3, 5:]).all() and not done["img"][:3].any()
    with pytest.raises(FkitError, match="no rule for gt_seg_map"):
        RandomShift().apply(sample(), (1, 1))


MOVING = (Resize((64, 48)), RandomFlip(1.0, "diagonal"), RandomCrop((20, 16)), CenterCrop(20), Expand(prob=1.0))


@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("transform", MOVING, ids=name_of)
@pytest.mark.parametrize("number", range(4))
def test_boxes_stay_those_of_their_masks(transform: Transform, polygons: bool, number: int):
    given_ = sample(polygons)
    if isinstance(transform, Expand):
        transform = replace(transform, seg_ignore_label=255)
    done = transform(given_, rng(number))
    wide = (done["gt_bboxes"][:, 2:] > done["gt_bboxes"][:, :2]).all(1)
    assert np.abs(done["gt_masks"].get_bboxes() - done["gt_bboxes"])[wide].max() <= 1e-4


@pytest.mark.parametrize("transform", [one for one in EVERY if is_random(one)], ids=name_of)
def test_those_that_draw_say_that_they_need_a_generator(transform: Transform):
    with pytest.raises(FkitError, match=f"{name_of(transform)} draws, and was given no rng"):
        transform(sample())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from(["absolute", "absolute_range", "relative", "relative_range"]))
def test_a_crop_is_inside_and_of_the_size_that_was_asked_for(number: int, kind: str):
    size = (10, 14) if kind.startswith("absolute") else (0.4, 0.7)
    crop = RandomCrop(size, kind).draw(sample(), rng(number), None)
    assert 0 <= crop.top <= HEIGHT - crop.height and 0 <= crop.left <= WIDTH - crop.width
    least, largest = {
        "absolute": ((14, 10), (14, 10)),
        "absolute_range": ((10, 10), (14, 14)),
        "relative": ((17, 13), (17, 13)),
        "relative_range": ((10, 22), (24, 32)),
    }[kind]
    assert least[0] <= crop.height <= largest[0] and least[1] <= crop.width <= largest[1]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_ssds_crop_holds_a_centre_and_its_sides_their_ratio(number: int):
    transform = MinIoURandomCrop((0.1, 0.3), 0.3)
    crop = transform.draw(sample(), rng(number), None)
    if crop is None:
        return
    box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    assert box[2] <= WIDTH and box[3] <= HEIGHT and crop.height >= 7 and crop.width >= 9
    assert centres_inside(sample()["gt_bboxes"], box).any()
    assert len(transform.apply(sample(), crop)["gt_bboxes"]) == centres_inside(sample()["gt_bboxes"], box).sum()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_what_is_drawn_lies_on_the_picture_or_the_canvas(number: int):
    source = rng(number)
    for one in CutOut((1, 4), [(3, 4), (50, 2)]).draw(sample(), source, None):
        assert 0 <= one[0] <= one[2] <= WIDTH and 0 <= one[1] <= one[3] <= HEIGHT
    for one in RandomErasing((1, 4), (0.1, 1.0)).draw(sample(), source, None):
        assert 0 <= one[0] <= one[2] <= WIDTH and 0 <= one[1] <= one[3] <= HEIGHT
    expansion = Expand(prob=1.0, ratio_range=(1, 3)).draw(sample(), source, None)
    assert expansion is not None
    assert expansion.left + WIDTH <= WIDTH * expansion.ratio and expansion.top + HEIGHT <= HEIGHT * expansion.ratio
    right, down = RandomShift(1.0, 5).draw(sample(), source, None) or (9, 9)
    assert -5 <= right < 5 and -5 <= down < 5
    wide, high = RandomResize([(20, 30), (40, 10)]).draw(sample(), source, None)
    assert 20 <= wide <= 40 and 10 <= high <= 30
    wide, high = RandomResize((100, 50), (0.5, 2.0)).draw(sample(), source, None)
    assert 50 <= wide <= 200 and abs(wide - 2 * high) <= 2
    assert RandomChoiceResize([(1, 2), (3, 4)]).draw(sample(), source, None) in (0, 1)


def test_probabilities_are_kept():
    source = rng()
    shares = {
        "grey": np.mean([RandomGrayscale(0.3).draw(sample(), source, None) for _ in range(2000)]),
        "expand": np.mean([Expand(prob=0.3).draw(sample(), source, None) is not None for _ in range(2000)]),
        "shift": np.mean([RandomShift(0.3).draw(sample(), source, None) is not None for _ in range(2000)]),
    }
    assert all(abs(share - 0.3) < 0.04 for share in shares.values()), shares


def test_a_crop_without_objects_drops_the_sample():
    nowhere = Crop(0, 20, 4, 4)
    assert RandomCrop((4, 4)).apply(sample(), nowhere) is None
    left = RandomCrop((4, 4), allow_negative_crop=True).apply(sample(), nowhere)
    assert left["gt_bboxes"].shape == (0, 4) and len(left["gt_masks"]) == 0 and left["gt_masks"].width == 4


def test_the_homography_says_where_a_pixel_went():
    done: Any = sample()
    for step, params in (
        (Resize((64, 48)), None),
        (RandomFlip(), "horizontal"),
        (RandomCrop((20, 20)), Crop(5, 6, 20, 20)),
    ):
        done = step.apply(done, params)
    corner = done["homography_matrix"] @ (10.0, 12.0, 1.0)  # the first box's far corner
    assert corner[:2].tolist() == [64 - 20 - 6, 24 - 5]


def test_maps_of_seg_fields_go_by_the_nearest_pixel_in_their_dtype():
    seg = np.array([[0, 70000], [3, 4]])
    given_ = {"img": np.zeros((2, 2, 3), np.uint8), "gt_edge_map": seg, "seg_fields": ["gt_edge_map"]}
    done = Pad((6, 4)).apply(RandomFlip().apply(Resize((4, 4))(given_), "horizontal"), None)["gt_edge_map"]
    assert done.dtype == seg.dtype and done[0].tolist() == [70000, 70000, 0, 0, 255, 255]


def test_normalising_is_mmcvs_to_the_last_digits_for_bytes_and_floats():
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    img = sample()["img"]
    for picture in (img, img.astype(np.float32), img[2:9, 3:20], img[:, ::-1]):
        done = Normalize(mean, std)({"img": picture})["img"]
        np.testing.assert_allclose(done, imnormalize(np.ascontiguousarray(picture), mean, std), rtol=0, atol=1e-6)
    five = np.ones((2, 2, 5), np.uint8)
    assert Normalize([1] * 5, [2] * 5)({"img": five})["img"].tolist() == np.zeros((2, 2, 5)).tolist()
    assert Normalize([1.0], [2.0])({"img": five[..., 0]})["img"].shape == (2, 2)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_flips_and_packing_are_those_of_numpy_whatever_the_dtype(dtype: str, channels: int):
    img = (np.arange(5 * 7 * channels).reshape(5, 7, channels) % 251).astype(dtype)
    for picture in (img, img[1:4, 2:6]):
        for direction, view in (
            ("horizontal", picture[:, ::-1]),
            ("vertical", picture[::-1]),
            ("diagonal", picture[::-1, ::-1]),
        ):
            done = RandomFlip().apply({"img": picture}, direction)["img"]
            assert done.dtype == img.dtype and np.array_equal(done, view) and done.flags.c_contiguous
        assert np.array_equal(channels_first(picture), picture.transpose(2, 0, 1))


def test_padding_nothing_copies_nothing():
    given_ = sample()
    assert (
        Pad(size_divisor=8)(given_)["img"] is given_["img"] and Resize((WIDTH, HEIGHT))(given_)["img"] is given_["img"]
    )


def test_a_transform_that_resizes_is_named_by_the_registry_or_given():
    reg = fkit.registry()
    cfg = {"type": "RandomChoiceResize", "scales": [8, 10], "resize_type": "ResizeShortestEdge", "max_size": 20}
    resize = reg.build("transforms", cfg, scope="mmdet")
    assert resize.apply(sample(), 1)["img"].shape == (10, 13, 3)
    direct = RandomResize((8, 8), (1, 2), resize_type=FixScaleResize, keep_ratio=True)
    assert direct.apply(sample(), (16, 12))["img"].shape == (12, 16, 3)
    with pytest.raises(FkitError, match="takes no argument 'keep_ration'"):
        RandomResize((8, 8), (1, 2), keep_ration=True)
    with pytest.raises(FkitError, match=r"keep_ration.*\n.*Did you mean 'keep_ratio'"):
        reg.build("transforms", {"type": "RandomResize", "scale": (8, 8), "ratio_range": (1, 2), "keep_ration": True})
    with pytest.raises(FkitError, match="which a registry knows"):
        RandomResize((8, 8), (1, 2), resize_type="ResizeEdge")


class Older:
    """A user's own, as OpenMMLab's are written: it is told its scale before it is called."""

    def __init__(self, scale: Any) -> None:
        self.scale = scale

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "img": np.zeros((self.scale[1], self.scale[0], 3), np.uint8)}


def test_one_of_a_users_own_is_told_its_scale():
    with pytest.warns(UserWarning, match="Older has no draw and apply"):
        resize = RandomResize((8, 8), (1, 2), resize_type=Older)
    assert [resize.apply(sample(), (wide, 5))["img"].shape for wide in (4, 9)] == [(5, 4, 3), (5, 9, 3)]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Pad, "one of size and size_divisor"),
        (lambda: Pad(size=(4, 4), pad_to_square=True), "excludes pad_to_square"),
        (lambda: Pad(size_divisor=2, pad_val={"image": 1}), "Allowed: img, seg, masks"),
        (lambda: Pad(size_divisor=2, padding_mode="edges"), "Did you mean 'edge'"),
        (lambda: Resize(scale_factor=(1, 0)), "no positive factor"),
        (lambda: FixShapeResize(0, 4), "no \\(width, height\\)"),
        (lambda: RandomFlip(swap_seg_labels=[(1, 2, 3)]), "no pair of labels"),
        (lambda: CenterCrop(4, pad_cfg={"type": "Resize"}), "pads by 'Pad'"),
        (lambda: RandomCrop((4, 4), "absolut"), "Did you mean 'absolute'"),
        (lambda: RandomCrop((0.5, 1.5), "relative"), "parts above 0, at most 1"),
        (lambda: RandomCrop((9, 4), "absolute_range"), "is no range"),
        (lambda: MinIoURandomCrop(min_crop_size=0), "is not in \\(0, 1\\]"),
        (lambda: Expand(ratio_range=(0.5, 2)), "as large as the picture"),
        (lambda: Expand().apply(sample(), Expansion(2.0, 0, 0)), "seg_ignore_label is not given"),
        (lambda: RandomShift(prob=2), "prob is in \\[0, 1\\]"),
        (lambda: CutOut(1), "one of cutout_shape and cutout_ratio"),
        (lambda: CutOut((3, 1), (2, 2)), "no number, or \\(least, most\\)"),
        (lambda: RandomErasing(1, 2.0), "no part of a side"),
        (lambda: RandomErasing(1, 0.5).apply(sample(True), ((0, 0, 2, 2),)), "poly2mask=True"),
        (lambda: RandomGrayscale(color_format="gray"), "color_format = 'gray' is unknown"),
        (
            lambda: RandomGrayscale(1, channel_weights=(1, 1)).apply(sample(), True),
            "2 channel_weights for an image of 3",
        ),
        (lambda: RandomResize((4, 4)), "ratio_range is not given"),
        (lambda: RandomResize((4, 4), (2, 1)), "no \\(least, largest\\) factor"),
        (lambda: RandomChoiceResize([]), "empty list"),
        (lambda: ResizeShortestEdge(0), "no \\(width, height\\)"),
        (lambda: RandomCenterCropPad((4, 4)), "takes mean, std and to_rgb"),
        (lambda: Resize(4)({"img": "a.png"}), "not an array \\(H, W, C\\)"),
        (lambda: Resize(4)({"image": 1}), "has no 'img'"),
        (lambda: Resize(4)({"img": np.zeros((4, 4)), "gt_bboxes": [[1, 2]]}), "of x1 y1 x2 y2"),
    ],
)
def test_what_is_wrong_is_said(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()
