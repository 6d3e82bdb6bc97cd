"""albumentations' steps: those that the kit has itself, and the package where it is installed."""

import importlib.util
import pickle
from typing import Any

import cv2
import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.array.random import generator, key
from fkit.data.transform import pixel
from fkit.data.transform.albu import Albu, Albumentation
from fkit.structures.mask import BitmapMasks
from fkit.tree.error import FkitError, FkitImportError

INSTALLED = importlib.util.find_spec("albumentations") is not None
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
RTMPOSE = [
    {"type": "Blur", "p": 0.1},
    {"type": "MedianBlur", "p": 0.1},
    {
        "type": "CoarseDropout",
        "max_holes": 1,
        "max_height": 0.4,
        "max_width": 0.4,
        "min_holes": 1,
        "min_height": 0.2,
        "min_width": 0.2,
        "p": 1.0,
    },
]
SEVERAL = [
    {"type": "RandomBrightnessContrast", "brightness_limit": [0.1, 0.3], "contrast_limit": [0.1, 0.3], "p": 0.5},
    {
        "type": "OneOf",
        "transforms": [{"type": "RGBShift", "p": 1.0}, {"type": "HueSaturationValue", "p": 1.0}],
        "p": 0.5,
    },
    {"type": "JpegCompression", "quality_lower": 85, "quality_upper": 95, "p": 0.5},
    {"type": "ChannelShuffle"},
    {"type": "GridDropout", "unit_size_min": 10, "unit_size_max": 20, "random_offset": True},
    {"type": "RandomGamma"},
]


def rng(number: int = 0) -> np.random.Generator:
    return generator(key(0, "test", number))


@pytest.mark.parametrize("steps", [RTMPOSE, SEVERAL], ids=["rtmpose", "several"])
@pytest.mark.parametrize("number", range(5))
def test_a_call_is_a_draw_and_an_apply(steps: Any, number: int):
    albu = Albumentation(steps)
    given = frozendict(img=IMAGE, gt_bboxes=np.ones((1, 4)))
    before = IMAGE.copy()
    done = albu(given, rng(number))
    assert (done["img"] == albu.apply(given, albu.draw(given, rng(number), None))["img"]).all()
    assert (before == IMAGE).all() and done["img"].shape == IMAGE.shape and done["img"].dtype == np.uint8
    again = pickle.loads(pickle.dumps(albu))
    assert again == albu and hash(again) == hash(albu) and (again(given, rng(number))["img"] == done["img"]).all()


def test_steps_are_taken_as_often_as_they_say():
    source = rng()
    step = pixel.OneOf((pixel.Blur(p=0.6), pixel.ChannelShuffle(p=0.2)), p=0.5)
    drawn = [step.decide(IMAGE, source) for _ in range(3000)]
    some = [one for one in drawn if one is not None]
    assert abs(len(some) / 3000 - 0.5) < 0.03
    assert abs(sum(which == 0 for which, _ in some) / len(some) - 0.75) < 0.04


def test_blurs_are_opencvs():
    assert (pixel.Blur().changed(IMAGE, 5) == cv2.blur(IMAGE, (5, 5))).all()
    assert (pixel.MedianBlur().changed(IMAGE, 5) == cv2.medianBlur(IMAGE, 5)).all()
    assert {pixel.Blur(blur_limit=7).drawn(IMAGE, rng(number)) for number in range(40)} == {3, 5, 7}
    assert {pixel.Blur(blur_limit=3).drawn(IMAGE, rng(number)) for number in range(9)} == {3}


def test_holes_have_the_sides_that_were_asked_for():
    step: Any = pixel.CoarseDropout(1, 0.4, 0.4, 1, 0.2, 0.2)
    for number in range(100):
        ((x1, y1, x2, y2),) = step.drawn(IMAGE, rng(number))
        assert 12 <= x2 - x1 <= 24 and 8 <= y2 - y1 <= 16 and x1 >= 0 and x2 <= 60 and y1 >= 0 and y2 <= 40
    done = step.changed(IMAGE, ((10, 5, 30, 20),))
    assert not done[5:20, 10:30].any() and (done[:5] == IMAGE[:5]).all() and (done[:, 30:] == IMAGE[:, 30:]).all()
    pixels: Any = pixel.CoarseDropout(8, 40, 40, 1, 10, 10)
    counts = {len(pixels.drawn(IMAGE, rng(number))) for number in range(200)}
    assert counts == set(range(1, 9))


def test_a_grid_leaves_as_much_as_its_ratio_says():
    step: Any = pixel.GridDropout(ratio=0.5, unit_size_min=10, unit_size_max=10)
    done = step.changed(np.full((40, 60, 3), 9, np.uint8), step.drawn(IMAGE, rng()))
    assert (done == 0).mean() == 0.25 and not done[:5, :5].any()


def test_colours_go_by_their_formulae():
    values = IMAGE.astype(np.float64)
    assert (
        pixel.RandomBrightnessContrast().changed(IMAGE, (1.1, 0.2)) == (values * 1.1 + 51).clip(0, 255).astype(np.uint8)
    ).all()
    assert (pixel.RandomGamma().changed(IMAGE, 0.9) == ((values / 255) ** 0.9 * 255).astype(np.uint8)).all()
    assert (
        pixel.RGBShift().changed(IMAGE, (10, -20, 3.5))
        == (values + np.array([10, -20, 3.5])).clip(0, 255).astype(np.uint8)
    ).all()
    assert (
        pixel.HueSaturationValue().changed(IMAGE, (0, 0, 0))
        == cv2.cvtColor(cv2.cvtColor(IMAGE, cv2.COLOR_RGB2HSV), cv2.COLOR_HSV2RGB)
    ).all()
    assert (pixel.ChannelShuffle().changed(IMAGE, (2, 0, 1)) == IMAGE[..., [2, 0, 1]]).all()
    read = cv2.imdecode(cv2.imencode(".jpg", IMAGE, (cv2.IMWRITE_JPEG_QUALITY, 90))[1], cv2.IMREAD_COLOR)
    assert (pixel.JpegCompression().changed(IMAGE, 90) == read).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Albu([{"p": 1}]), "a step is a config with 'type'"),
        (lambda: Albu([{"type": "Blur", "p": 2}]), "Blur: p = 2 is not in \\[0, 1\\]"),
        (lambda: Albu([{"type": "Blur", "p": "x"}]), "Blur: p = 'x' is text, not a number"),
        (lambda: Albu([{"type": "OneOf", "transforms": []}]), "no step that may be taken"),
        (lambda: pixel.HueSaturationValue().changed(IMAGE.astype(np.float32), (0, 0, 0)), "images of uint8"),
    ],
)
def test_wrong_arguments_are_refused(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()


EXAMPLE = {
    "transforms": [
        {"type": "ShiftScaleRotate", "shift_limit": 0.0625, "scale_limit": 0.0, "rotate_limit": 0, "interpolation": 1, "p": 0.5},
        {"type": "ChannelShuffle", "p": 0.1},
    ],
    "bbox_params": {
        "type": "BboxParams",
        "format": "pascal_voc",
        "label_fields": ["gt_bboxes_labels", "gt_ignore_flags"],
        "min_visibility": 0.0,
        "filter_lost_elements": True,
    },
    "skip_img_without_anno": True,
}  # fmt: skip


def blocks() -> Any:
    """Two bright blocks with their boxes, masks and map."""
    bitmaps = np.zeros((2, 40, 60), np.uint8)
    bitmaps[0, 5:15, 0:6] = bitmaps[1, 20:35, 30:50] = 1
    return frozendict(
        img=np.repeat(bitmaps.max(0)[..., None] * np.uint8(200), 3, -1),
        img_shape=(40, 60),
        gt_bboxes=np.array([[0, 5, 6, 15], [30, 20, 50, 35]], np.float32),
        gt_bboxes_labels=np.array([1, 2]),
        gt_ignore_flags=np.array([False, True]),
        gt_masks=BitmapMasks(bitmaps, 40, 60),
    )


def test_boxes_masks_and_labels_go_with_the_pixels():
    albu = Albu(**EXAMPLE)
    still = albu.apply(blocks(), (None, None))
    assert (still["img"] == blocks()["img"]).all()
    moved = albu.apply(blocks(), ((0.1, -0.05, 1.0, 0.0), None))
    assert moved["gt_bboxes"].tolist() == [[6, 3, 12, 13], [36, 18, 56, 33]]
    assert (moved["gt_masks"].masks.max(0) * 200 == moved["img"][..., 0])[:, 6:].all()
    gone = albu.apply(blocks(), ((-0.1, 0.0, 1.0, 0.0), None))
    assert gone["gt_bboxes"].tolist() == [[24, 20, 44, 35]] and len(gone["gt_masks"]) == 1
    assert gone["gt_bboxes_labels"].tolist() == [2] and gone["gt_ignore_flags"].tolist() == [True]
    assert albu.apply(blocks(), ((-0.9, 0.0, 1.0, 0.0), None)) is None
    turned = Albu([{"type": "ShiftScaleRotate"}], bbox_params=EXAMPLE["bbox_params"]).apply(
        blocks(), ((0, 0, 1, 90.0),)
    )
    seen = np.nonzero(turned["img"][..., 0] > 100)
    assert len(turned["gt_bboxes"]) and seen[0].size
    flips = Albu([{"type": "HorizontalFlip"}, {"type": "VerticalFlip"}], bbox_params=EXAMPLE["bbox_params"])
    both = flips.apply(blocks(), (True, True))
    assert both["gt_bboxes"].tolist() == [[54, 25, 60, 35], [10, 5, 30, 20]]
    assert (both["img"] == blocks()["img"][::-1, ::-1]).all()
    with pytest.raises(FkitError, match="the sample has boxes, and no bbox_params"):
        Albu([{"type": "HorizontalFlip"}]).apply(blocks(), (True,))


def test_segmentations_steps_see_rgb_and_maps_go_along():
    steps = [{"type": "HorizontalFlip", "p": 1.0}, {"type": "RGBShift", "p": 1.0}]
    albu = fkit.build(
        {"type": "Albu", "transforms": steps, "update_pad_shape": True}, fkit.registry(), "transforms", scope="mmseg"
    )
    given = frozendict(img=IMAGE, gt_seg_map=IMAGE[..., 0])
    done = albu.apply(given, (True, (10.0, 0.0, 0.0)))
    red = (IMAGE[:, ::-1, 2].astype(int) + 10).clip(0, 255)
    assert (done["img"][..., 2] == red).all() and (done["img"][..., :2] == IMAGE[:, ::-1, :2]).all()
    assert (done["gt_seg_map"] == IMAGE[:, ::-1, 0]).all() and done["pad_shape"] == (40, 60, 3)
    assert (albu(given, rng())["gt_seg_map"] == IMAGE[:, ::-1, 0]).all()


@pytest.mark.skipif(INSTALLED, reason="albumentations is installed")
def test_what_needs_the_package_says_so():
    with pytest.raises(FkitImportError, match=r"Albu, for GaussNoise, needs the package 'albumentations'"):
        Albu([{"type": "GaussNoise"}, {"type": "Blur"}])


@pytest.mark.skipif(not INSTALLED, reason="needs albumentations")
def test_boxes_labels_and_masks_go_with_the_package():
    bitmaps = np.zeros((2, 40, 60), np.uint8)
    bitmaps[0, 5:15, 5:20] = bitmaps[1, 20:35, 30:50] = 1
    given = frozendict(
        img=IMAGE,
        gt_bboxes=np.array([[5, 5, 20, 15], [30, 20, 50, 35]], np.float32),
        gt_bboxes_labels=np.array([1, 2]),
        gt_masks=BitmapMasks(bitmaps, 40, 60),
    )
    known = {
        "type": "BboxParams",
        "format": "pascal_voc",
        "label_fields": ["gt_bboxes_labels"],
        "filter_lost_elements": True,
    }
    flip = Albu([{"type": "HorizontalFlip", "p": 1.0}, {"type": "NoOp"}], bbox_params=known)(given, rng())
    assert np.abs(flip["gt_bboxes"] - [[40, 5, 55, 15], [10, 20, 30, 35]]).max() < 1e-3
    assert (flip["gt_masks"].masks == bitmaps[..., ::-1]).all() and (flip["img"] == IMAGE[:, ::-1]).all()
    cut = {"type": "Crop", "x_min": 0, "y_min": 0, "x_max": 25, "y_max": 20, "p": 1.0}
    left = Albu([cut], bbox_params=known)(given, rng())
    assert left["gt_bboxes_labels"].tolist() == [1] and len(left["gt_masks"]) == 1 and left["img_shape"] == (20, 25)
    noise = Albu([{"type": "GaussNoise", "p": 1.0}])
    with pytest.raises(FkitError, match="the sample has boxes, and no bbox_params"):
        noise(given, rng())
    given = frozendict(img=IMAGE)
    assert (noise(given, rng(1))["img"] == noise(given, rng(1))["img"]).all()
    assert (noise(given, rng(1))["img"] != noise(given, rng(2))["img"]).any()
    with pytest.raises(FkitError, match=r"albumentations .* has no 'Blurr'"):
        Albu([{"type": "Blurr"}])


def test_configs_build_them():
    built = fkit.build({"type": "Albumentation", "transforms": RTMPOSE}, fkit.registry(), "transforms", scope="mmpose")
    assert built == Albumentation(RTMPOSE)
