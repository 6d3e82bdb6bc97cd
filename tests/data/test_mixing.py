"""Mosaic, mix-up, copy-paste, the affine transform after them, and their colours: by values and by laws."""

import pickle
from typing import Any

import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.array.random import generator, key
from fkit.data.transform.affine import RandomAffine
from fkit.data.transform.compose import Compose
from fkit.data.transform.distortion import Distortion, PhotoMetricDistortion, YOLOXHSVRandomAug
from fkit.data.transform.mixup import CachedMixUp, Mixture, MixUp
from fkit.data.transform.mosaic import CachedMosaic, Mosaic, Tiles
from fkit.data.transform.paste import CopyPaste, Pasted
from fkit.data.transform.transform import Transform, is_random
from fkit.structures.mask import BitmapMasks, PolygonMasks
from fkit.tree.error import FkitError

MIXED = (
    Mosaic((40, 30)),
    CachedMosaic((40, 30), prob=0.5),
    MixUp((50, 40)),
    CachedMixUp((50, 40), prob=0.5),
    CopyPaste(max_num_pasted=4, mask_occluded_thr=5),
)
ALONE = (
    RandomAffine(border=(-4, -3)),
    PhotoMetricDistortion(),
    YOLOXHSVRandomAug(),
)


def sample(number: int = 0, masks: bool = True) -> Any:
    """Two bright blocks on grey; where they are depends on the number."""
    img = np.full((36, 48, 3), 10 + number, np.uint8)
    boxes = np.array([[4, 6, 14, 16], [20 + number, 12, 40 + number, 30]], np.float32)
    bitmaps = np.zeros((2, 36, 48), np.uint8)
    for mask, (x1, y1, x2, y2), grey in zip(bitmaps, boxes.astype(int).tolist(), (150, 240), strict=True):
        mask[y1:y2, x1:x2] = 1
        img[y1:y2, x1:x2] = grey
    img.setflags(write=False)
    known = {"gt_masks": BitmapMasks(bitmaps, 36, 48)} if masks else {}
    return frozendict(
        img=img,
        img_shape=(36, 48),
        sample_idx=number,
        gt_bboxes=boxes,
        gt_bboxes_labels=np.array([0, 1 + number]),
        gt_ignore_flags=np.array([False, True]),
        **known,
    )


class Others:
    def __len__(self) -> int:
        return 5

    def __call__(self, index: int) -> Any:
        return sample(index)


def rng(number: int = 0) -> np.random.Generator:
    return generator(key(0, "test", number))


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return a == b if isinstance(a, BitmapMasks) else bool(np.array_equal(a, b))


@pytest.mark.parametrize("transform", (*MIXED, *ALONE), ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("number", range(4))
def test_a_call_is_a_draw_and_an_apply(transform: Transform, number: int):
    given, before = (sample(masks=not isinstance(transform, RandomAffine)) for _ in range(2))
    params = transform.draw(given, rng(number), Others())
    done = transform(given, rng(number), Others())
    assert same(transform.apply(given, params), done) and same(given, before)
    assert is_random(transform) and done["img"].ndim == 3
    assert len(done["gt_bboxes"]) == len(done["gt_bboxes_labels"]) == len(done["gt_ignore_flags"])


@pytest.mark.parametrize("transform", (*MIXED, *ALONE), ids=lambda one: type(one).__name__)
def test_they_are_values(transform: Transform):
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform and hash(again) == hash(transform)
    with pytest.raises(AttributeError):
        transform.prob = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("transform", MIXED, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("number", range(6))
def test_masks_lie_in_their_boxes(transform: Transform, number: int):
    done = transform(sample(), rng(number), Others())
    masks, boxes = done["gt_masks"], done["gt_bboxes"]
    assert len(masks) == len(boxes) and (masks.height, masks.width) == done["img"].shape[:2] == done["img_shape"]
    around = masks.get_bboxes()
    for one, box, mask in zip(around, boxes, masks, strict=True):
        if mask.sum() > 30:
            assert np.abs(one - box).max() < 4, (one, box)


def test_a_mosaic_shows_four_about_its_centre():
    tile = [sample(number) for number in range(4)]
    done = Mosaic((48, 36), pad_val=0).apply(tile[0], Tiles(tuple(tile[1:]), (40, 30)))
    assert done["img"].shape == (72, 96, 3)
    corners = [(28, 36), (28, 42), (50, 2), (50, 50)]
    assert [int(done["img"][row, column, 0]) for row, column in corners] == [10, 11, 12, 13]
    assert not done["img"][66:].any() and not done["img"][:, 88:].any()
    assert done["gt_bboxes_labels"].tolist() == [0, 1, 0, 2, 0, 3, 0, 4]
    assert done["gt_bboxes"][2].tolist() == [44, 0, 54, 10]  # 40 to the right, 6 up
    assert done["sample_idx"] == 0


def test_an_object_outside_of_the_mosaic_is_left_out():
    tile = sample()
    done = Mosaic((48, 36)).apply(tile, Tiles((tile,) * 3, (24, 36)))
    assert done["gt_bboxes_labels"].tolist() == [1, 0, 1, 1, 0, 1]  # the left block of the two on the left is outside
    clipped = done["gt_bboxes"]
    assert clipped.min() >= 0 and clipped[:, 2].max() <= 96
    loose = Mosaic((48, 36), bbox_clip_border=False).apply(tile, Tiles((tile,) * 3, (24, 36)))["gt_bboxes"]
    assert loose[:, 0].min() < 0


def test_polygons_are_mixed_as_bitmaps_are():
    square = np.array([4.0, 6, 14, 6, 14, 16, 4, 16])
    tile = frozendict(sample(), gt_masks=PolygonMasks(((square,), (square + 20,)), 36, 48))  # type: ignore[call-overload]
    done = Mosaic((48, 36)).apply(tile, Tiles((tile,) * 3, (48, 36)))
    assert len(done["gt_masks"]) == 8 and done["gt_masks"].masks[2][0].tolist() == (square + [48, 0] * 4).tolist()


def test_mixup_is_the_mean_of_the_two():
    one, other = sample(0), sample(4)
    done = MixUp((48, 36)).apply(one, Mixture(other, 1.0, False, (0, 0)))
    assert (done["img"] == ((one["img"].astype(int) + other["img"]) // 2)).all()
    assert done["gt_bboxes_labels"].tolist() == [0, 1, 0, 5]
    turned = MixUp((48, 36)).apply(one, Mixture(other, 1.0, True, (0, 0)))
    assert turned["gt_bboxes"][2].tolist() == [34, 6, 44, 16]
    assert (turned["gt_masks"].masks[2] == other["gt_masks"].masks[0][:, ::-1]).all()
    large = MixUp((48, 36)).apply(one, Mixture(other, 2.0, False, (10, 5)))
    assert large["gt_bboxes"][2].tolist() == [0, 7, 18, 27]


def test_mixup_tries_until_a_sample_has_boxes():
    class Bare(Others):
        def __call__(self, index: int) -> Any:
            one = sample(index)
            return one if index == 3 else frozendict(one, gt_bboxes=np.zeros((0, 4), np.float32))  # type: ignore[call-overload]

    drawn = [MixUp((48, 36), max_iters=60).draw(sample(), rng(number), Bare()) for number in range(5)]
    assert all(one is not None and one.other["sample_idx"] == 3 for one in drawn)
    assert any(MixUp((48, 36), max_iters=1).draw(sample(), rng(number), Bare()) is None for number in range(9))
    assert same(MixUp().apply(sample(), None), sample())


def test_what_is_pasted_hides_what_was_there():
    under, over = sample(0), sample(4)
    done = CopyPaste(bbox_occluded_thr=0, mask_occluded_thr=150).apply(under, Pasted(over, (1,)))
    assert done["img"].dtype == np.uint8 and done["img"][20, 30, 0] == 240 and done["img"][0, 0, 0] == 10
    assert done["gt_bboxes_labels"].tolist() == [0, 5]  # 72 pixels of the second are left: it goes
    assert done["gt_ignore_flags"].tolist() == [False, True]
    more = CopyPaste(bbox_occluded_thr=0, mask_occluded_thr=50).apply(under, Pasted(over, (1,)))
    assert more["gt_bboxes_labels"].tolist() == [0, 1, 5] and more["gt_bboxes"][1].tolist() == [20, 12, 24, 30]
    assert CopyPaste().apply(under, Pasted(over, ())) is under
    boxes = CopyPaste(paste_by_box=True).apply(sample(0, masks=False), Pasted(sample(4, masks=False), (0,)))
    assert boxes["gt_masks"].areas.tolist()[-1] == 100


def test_an_affine_matrix_moves_boxes_as_it_moves_pixels():
    shift = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1]], np.float32)
    done = RandomAffine(border_val=(0, 0, 0)).apply(sample(masks=False), shift)
    assert (done["img"][:33, 5:] == sample()["img"][3:, :43]).all() and not done["img"][33:].any()
    assert done["gt_bboxes"].tolist() == [[9, 3, 19, 13], [25, 9, 45, 27]]
    away = np.array([[1, 0, -20], [0, 1, 0], [0, 0, 1]], np.float32)
    assert RandomAffine().apply(sample(masks=False), away)["gt_bboxes_labels"].tolist() == [1]
    cut = RandomAffine(border=(-8, -6)).apply(sample(masks=False), np.eye(3, dtype=np.float32))
    assert cut["img_shape"] == (24, 32) and cut["gt_bboxes"].max() <= 32
    with pytest.raises(FkitError, match="RandomAffine moves boxes, and no masks"):
        RandomAffine().apply(sample(), shift)


def test_affine_draws_stay_within_their_limits():
    still = RandomAffine(0.0, 0.0, (1.0, 1.0), 0.0)
    assert np.allclose(still.draw(sample(), rng(), None), np.eye(3))
    for number in range(50):
        matrix = RandomAffine(0.0, 0.1, (0.5, 1.5), 0.0).draw(sample(), rng(number), None)
        assert 0.5 <= matrix[0, 0] <= 1.5 and abs(matrix[0, 2]) <= 4.8 + 1e-5 and abs(matrix[1, 2]) <= 3.6 + 1e-5


def test_colours_are_drawn_half_of_the_time():
    source = rng()
    drawn = [PhotoMetricDistortion().draw({}, source, None) for _ in range(2000)]
    for part in ("brightness", "contrast", "saturation", "hue", "channels"):
        assert abs(sum(getattr(one, part) is None for one in drawn) / 2000 - 0.5) < 0.04
    assert abs(sum(one.contrast_last for one in drawn) / 2000 - 0.5) < 0.04
    shifts = np.array([YOLOXHSVRandomAug().draw({}, source, None) for _ in range(2000)])
    assert np.abs(shifts).max(0).tolist() <= [5, 30, 30]
    assert abs((shifts[:, 1] == 0).mean() - 0.5) < 0.06


def test_distortions_do_what_they_say():
    img = np.arange(75, dtype=np.uint8).reshape(5, 5, 3) + 50
    nothing = Distortion(None, None, False, None, None, None)

    def done(**part: Any) -> Any:
        return PhotoMetricDistortion().apply({"img": img}, nothing._replace(**part))["img"]

    assert np.abs(done() - img).max() < 1e-3 and done().dtype == np.float32
    assert np.abs(done(brightness=7.0) - img - 7).max() < 1e-3
    assert np.abs(done(contrast=1.5) - img * 1.5).max() < 1e-3
    assert np.abs(done(channels=(2, 1, 0)) - img[..., ::-1]).max() < 1e-3
    assert np.ptp(done(saturation=0.0), axis=-1).max() < 1e-3
    assert np.abs(done(hue=360.0) - img).max() < 1e-2


def test_a_mosaic_then_mixup_chain_is_made_of_mosaics():
    chain = Compose([Mosaic((24, 18)), CachedMixUp((48, 36))])
    done = chain(sample(), rng(), Others())
    assert done["img"].shape == (36, 48, 3) and len(done["gt_bboxes"]) > 8


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mosaic((640,)), "img_scale = \\(640,\\) is no \\(width, height\\)"),
        (lambda: Mosaic(prob=2), "Mosaic: prob = 2 is not in"),
        (lambda: Mosaic(center_ratio_range=(1.5, 0.5)), "is not \\(the least, the greatest\\)"),
        (lambda: CachedMosaic(max_cached_images=3), "CachedMosaic: max_cached_images = 3: at least 4"),
        (lambda: CachedMixUp(max_cached_images=1), "at least 2"),
        (lambda: MixUp(ratio_range=(0, 1)), "factors are above 0"),
        (lambda: MixUp(max_iters=0), "max_iters = 0: at least 1"),
        (lambda: RandomAffine(scaling_ratio_range=(0, 1)), "factors are above 0"),
        (lambda: RandomAffine(max_translate_ratio=2), "is not in \\[0, 1\\]"),
        (lambda: RandomAffine(border=(-24, 0)).draw(sample(), rng(), None), "leaves nothing of an image of 36 x 48"),
        (lambda: CopyPaste(max_num_pasted=0), "max_num_pasted = 0: at least 1"),
        (lambda: CopyPaste().apply(sample(masks=False), Pasted(sample(), (0,))), "has no 'gt_masks'"),
        (
            lambda: fkit.build({"type": "InstaBoost", "hflag": True}, fkit.registry(), "transforms"),
            "InstaBoost needs the package",
        ),
        (lambda: PhotoMetricDistortion(hue_delta=-1), "hue_delta = -1 is below 0"),
        (lambda: YOLOXHSVRandomAug().apply({"img": np.zeros((2, 2, 3), np.float32)}, (0, 0, 0)), "is float32 of shape"),
        (lambda: Mosaic()(sample(), rng()), "Mosaic mixes samples, and was given no fetch"),
        (lambda: Mosaic((4, 4)).apply({**sample(), "gt_seg_map": 1}, Tiles((), (4, 4))), "and no gt_seg_map"),
    ],
)
def test_wrong_arguments_are_refused(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()


def test_images_of_two_sizes_are_not_pasted():
    small = frozendict(sample(1), img=np.zeros((9, 9, 3), np.uint8))  # type: ignore[call-overload]
    with pytest.raises(FkitError, match="do not lie on one another"):
        CopyPaste().apply(sample(), Pasted(small, (0,)))


def test_configs_build_them():
    cfg = {"type": "mmdet.Mosaic", "img_scale": (640, 640), "pad_val": 114.0}
    assert fkit.build(cfg, fkit.registry(), "transforms") == Mosaic()


def test_what_fills_may_be_one_number_a_channel():
    other = Mixture({**sample(1), "img": np.full((9, 20, 3), 80, np.uint8)}, 1.0, False, (0, 0))
    one, three = (
        CachedMixUp((48, 36), pad_val=fill).apply(sample(), other)["img"] for fill in (114.0, [114, 114, 114])
    )
    assert (one == three).all()
    assert (CachedMixUp((48, 36), pad_val=(0, 114, 0)).apply(sample(), other)["img"] != one).any()
