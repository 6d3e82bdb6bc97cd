"""Transforms of mmseg's and mmpretrain's own: what their draws keep to, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from frozendict import frozendict
from PIL import Image

import fkit
from fkit.array.random import generator, key
from fkit.data.collate import Collate
from fkit.data.transform.classification import crop, mask, picture, step, tone, views
from fkit.data.transform.classification.policy import AutoAugment, RandAugment
from fkit.data.transform.compose import Compose
from fkit.data.transform.crop import Crop
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.segmentation import distortion, erase, level, mosaic, turn
from fkit.data.transform.segmentation import map as maps
from fkit.data.transform.segmentation.crop import RandomCrop, largest_share
from fkit.data.transform.transform import Fetch, Transform
from fkit.tree.error import FkitError

EVERY = (
    AutoAugment("imagenet"),
    RandAugment("timm_increasing", 3, 9, 0.5),
    RandAugment("simple_increasing", 2, 6, "inf"),
    crop.RandomCrop(50, padding=2, pad_if_needed=True),
    crop.RandomResizedCrop(16),
    crop.EfficientNetRandomCrop(16),
    crop.RandomResizedCropAndInterpolationWithTwoPic(16, 8, interpolation="random"),
    tone.ColorJitter(0.4, 0.4, 0.4, 0.2),
    tone.RandomErasing(1.0, mode="rand"),
    tone.RandomErasing(1.0, mode="rand", fill_std=30),
    mask.SimMIMMaskGenerator(96, 16),
    mask.BEiTMaskGenerator(14, 75, 16),
    views.MultiView([[crop.RandomResizedCrop(8), RandomFlip(0.5)]], 2),
    RandomCrop(20, cat_max_ratio=0.75),
    distortion.PhotoMetricDistortion(),
    erase.RandomCutOut(0.8, (1, 4), cutout_ratio=[(0.1, 0.2)], seg_fill_in=9),
    mosaic.RandomMosaic(0.8, img_scale=(30, 40)),
    turn.RandomRotate(0.8, 20.0),
    turn.RandomRotFlip(0.5, 0.9),
    maps.RandomDepthMix(0.8),
)
IDS = [type(one).__name__ for one in EVERY]


class Others(Fetch):
    def __call__(self, index: int) -> Any:
        return sample(index)

    def __len__(self) -> int:
        return 5


def sample(number: int = 0) -> Any:
    """Noise of 40 x 60, a map of three labels, and a depth map; nothing may be written to."""
    source = np.random.default_rng(number)
    img = source.integers(0, 256, (40, 60, 3), np.uint8)
    seg = np.repeat(np.uint8([0, 1, 255]), (30, 20, 10))[None].repeat(40, 0)
    depth = source.random((40, 60)).astype(np.float32)
    for array in (img, seg, depth):
        array.setflags(write=False)
    return frozendict(img=img, img_shape=(40, 60), gt_seg_map=seg, seg_fields=("gt_seg_map",), gt_depth_map=depth)


def rng(number: int) -> np.random.Generator:
    return generator(key(0, "test", number))


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(np.array_equal(a, b))


@pytest.mark.parametrize("transform", EVERY, ids=IDS)
def test_a_call_is_a_draw_and_an_apply_and_the_same_again(transform: Transform):
    seen: list[Any] = []
    for number in range(8):
        given = sample()
        params = transform.draw(given, rng(number), Others())
        done = transform(given, rng(number), Others())
        assert same(transform.apply(given, params), done) and same(given, sample())
        seen.append(done)
    assert any(not same(seen[0], one) for one in seen[1:])  # it does draw


@pytest.mark.parametrize("number", range(20))
def test_mmsegs_crop_is_one_that_no_class_fills_where_there_is_any(number: int):
    found = RandomCrop((20, 24), cat_max_ratio=0.75).draw(sample(), rng(number), None)
    assert 0 <= found.top <= 20 and 0 <= found.left <= 36 and found[2:] == (20, 24)
    piece = sample()["gt_seg_map"][found.top : found.top + 20, found.left : found.left + 24]
    assert largest_share(piece) < 0.75  # 10 tries of which about 2 in 5 fit: none fails among these


def test_largest_share_counts_the_same_for_every_kind_of_number():
    for seg in (sample()["gt_seg_map"], sample()["gt_seg_map"][:, 20:], sample()["gt_seg_map"][:, :5]):
        assert largest_share(seg) == largest_share(seg.astype(np.int64))
    assert largest_share(sample()["gt_seg_map"]) == pytest.approx(0.6)
    assert largest_share(sample()["gt_seg_map"][:, 50:]) == 1.0


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (7, 300), (300, 7)])
@pytest.mark.parametrize("kind", [crop.RandomResizedCrop, crop.EfficientNetRandomCrop])
def test_pieces_lie_in_the_picture_and_in_the_ranges(kind: Any, shape: tuple[int, int]):
    given = {"img": np.zeros((*shape, 3), np.uint8)}
    fallback = kind(16, max_attempts=0).draw(given, rng(0), None)
    for number in range(40):
        piece = kind(16, crop_ratio_range=(0.2, 0.7)).draw(given, rng(number), None)
        assert piece.top >= 0 and piece.left >= 0
        assert piece.top + piece.height <= shape[0] and piece.left + piece.width <= shape[1]
        if piece != fallback:
            slack = piece.height + piece.width  # of rounding to whole pixels
            assert 0.2 * shape[0] * shape[1] - slack <= piece.height * piece.width <= 0.7 * shape[0] * shape[1] + slack
            assert (piece.width - 0.5) / (piece.height + 0.5) <= 4 / 3 and (piece.width + 0.5) / (
                piece.height - 0.5
            ) >= 3 / 4


@pytest.mark.parametrize("number", range(5))
def test_masks_have_the_number_of_patches_asked_for(number: int):
    assert mask.BEiTMaskGenerator((10, 12), 40, 4, 20)({}, rng(number))["mask"].sum() == 40
    done = mask.SimMIMMaskGenerator(96, 16, 4, 0.55)({}, rng(number))["mask"]
    assert done.shape == (24, 24) and done.sum() == 16 * 20  # 55 % of 36, rounded up, each of 4 x 4


def test_steps_are_done_as_often_as_their_probability_says_and_half_of_them_the_other_way():
    turned = step.ColorTransform(magnitude_range=(0, 0.9), magnitude_level=5, magnitude_std=1.0, prob=0.25)
    drawn = [turned.draw({}, rng(number), None) for number in range(2000)]
    sizes = np.array([one for one in drawn if one is not None])
    assert len(sizes) / 2000 == pytest.approx(0.25, abs=0.04) and (sizes < 0).mean() == pytest.approx(0.5, abs=0.08)
    assert abs(sizes).mean() == pytest.approx(0.45, abs=0.02) and abs(sizes).std() == pytest.approx(0.09, abs=0.02)
    free = step.Solarize(magnitude_range=(256, 0), magnitude_std="inf", prob=1.0)
    assert np.mean([free.draw({}, rng(number), None) for number in range(500)]) == pytest.approx(128, abs=12)


def test_policies_of_the_registry_take_hparams_and_other_transforms():
    cfg = {
        "type": "RandAugment",
        "policies": [{"type": "Rotate", "magnitude_range": (0, 30), "pad_val": 7}, {"type": "Shear", "magnitude_range": (0, 1)}, {"type": "RandomFlip", "prob": 1.0}],
        "num_policies": 4,
        "magnitude_level": 3,
        "hparams": {"pad_val": (1, 2, 3), "interpolation": "bilinear"},
    }  # fmt: skip
    made = fkit.registry().build("transforms", cfg, scope="mmpretrain")
    rotate, shear, flip = (one.steps[0] for one in made.pipelines)
    assert (rotate.pad_val, rotate.interpolation, rotate.magnitude_level) == (7, "bilinear", 3)
    assert shear.pad_val == (1, 2, 3) and isinstance(flip, RandomFlip)
    chosen = {which for number in range(20) for which in [made.draw(sample(), rng(number), None).which]}
    assert all(len(which) == 4 for which in chosen)  # the same one again by chance, of three


def test_names_that_packages_share_are_found_by_scope():
    registry = fkit.registry()
    for scope in ("mmdet", "mmseg", "mmpretrain"):
        made = registry.build("transforms", {"type": "RandomCrop", "crop_size": (8, 8)}, scope=scope)
        assert {"mmdet": "transform.crop", "mmseg": "segmentation.crop", "mmpretrain": "classification.crop"}[
            scope
        ] in type(made).__module__
    assert (
        type(registry.build("transforms", {"type": "mmseg.PhotoMetricDistortion"})) is distortion.PhotoMetricDistortion
    )


def test_several_pictures_of_a_sample_are_a_batch_each():
    steps = [
        {"type": "MultiView", "num_views": [2, 1], "transforms": [[{"type": "RandomResizedCrop", "scale": 8}], [{"type": "ResizeEdge", "scale": 6}]]},
        {"type": "PackInputs"},
    ]  # fmt: skip
    pipeline = fkit.registry().build("transforms", {"type": "Compose", "transforms": steps}, scope="mmpretrain")
    packed = [pipeline({**sample(at), "gt_label": at}, rng(at)) for at in range(3)]
    batch = Collate()(packed)
    assert [one.shape for one in batch.inputs] == [(3, 3, 8, 8), (3, 3, 8, 8), (3, 3, 6, 9)]
    np.testing.assert_array_equal(batch.inputs[2][1], packed[1]["inputs"][2])
    with pytest.raises(FkitError, match="how many pictures"):
        Collate()([packed[0], {**packed[1], "inputs": packed[1]["inputs"][:2]}])


def test_several_tasks_are_packed_and_collated_each():
    cfg = {
        "type": "PackMultiTaskInputs",
        "multi_task_fields": ["gt_label", "gt_score"],
        "task_handlers": {"age": {"type": "PackInputs", "algorithm_keys": ["weight"]}},
    }
    pack = fkit.registry().build("transforms", cfg, scope="mmpretrain")
    rows = [
        {"img": sample(at)["img"], "sample_idx": at, "weight": 0.5, "gt_label": {"kind": at, "age": 7}, "gt_score": {"kind": np.float32([at, 1])}}
        for at in range(2)
    ]  # fmt: skip
    batch = Collate()([pack(row) for row in rows])
    assert batch.inputs.shape == (2, 3, 40, 60) and [one["sample_idx"] for one in batch.meta] == [0, 1]
    assert batch.targets["kind"]["gt_label"].tolist() == [0, 1] and batch.targets["age"]["weight"].tolist() == [
        0.5,
        0.5,
    ]
    assert batch.targets["kind"]["gt_score"].tolist() == [[0, 1], [1, 1]] and "gt_score" not in batch.targets["age"]
    with pytest.raises(FkitError, match="gt_label is a mapping of tasks"):
        pack({**rows[0], "gt_label": 3})


def test_pictures_of_pillow_are_cut_and_resized_by_pillow():
    picture_of = Image.fromarray(sample()["img"])
    for way in ("bicubic", 3):
        crop_of = picture.MAERandomResizedCrop(16, interpolation=way)
        drawn = crop_of.draw({"img": picture_of}, rng(0), None)
        done = crop_of.apply({"img": picture_of}, drawn)["img"]
        top, left, high, wide = drawn
        piece = Image.fromarray(np.ascontiguousarray(sample()["img"][top : top + high, left : left + wide]))
        np.testing.assert_array_equal(done, piece.resize((16, 16), Image.Resampling.BICUBIC))
    there = picture.NumpyToPIL(to_rgb=True)(sample())
    np.testing.assert_array_equal(picture.PILToNumpy(to_bgr=True)(there)["img"], sample()["img"])


def test_labels_of_any_kind_go_along():
    seg = sample()["gt_seg_map"]
    for transform, params in (
        (turn.RandomRotate(1.0, 20.0), 13.0),
        (turn.RandomRotFlip(), turn.Spin(None, 1, 0)),
        (RandomCrop(8), Crop(1, 2, 8, 8)),
    ):
        narrow, wide = (transform.apply({**sample(), "gt_seg_map": seg.astype(kind)}, params) for kind in ("u1", "i8"))
        assert wide["gt_seg_map"].dtype == np.int64
        np.testing.assert_array_equal(narrow["gt_seg_map"], wide["gt_seg_map"])


def test_pictures_of_two_dates_are_one():
    both = maps.ConcatCDInput()({**sample(), "img2": sample(1)["img"]})
    assert both["img"].shape == (40, 60, 6) and "img2" not in both
    np.testing.assert_array_equal(both["img"][..., 3:], sample(1)["img"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RandAugment("tim_increasing", 2, 9), "timm_increasing"),
        (lambda: AutoAugment([[{"type": "Foo"}]]), "'Foo' is a name, which a registry knows"),
        (lambda: RandAugment("timm_increasing", 0, 9), "num_policies = 0"),
        (step.Solarize, "takes one of thr and magnitude_range"),
        (lambda: step.Solarize(3, magnitude_range=(0, 1)), "takes one of thr and magnitude_range"),
        (lambda: mask.BEiTMaskGenerator(14, 190), "mask at most 169"),
        (lambda: mask.SimMIMMaskGenerator(100, 32), "no divisor"),
        (lambda: RandomCrop((0, 4)), r"no \(height, width\)"),
        (lambda: RandomCrop(8, cat_max_ratio=0.7).draw({"img": sample()["img"]}, rng(0), None), "gt_seg_map"),
        (lambda: level.Rerange()({"img": np.zeros((2, 2, 3))}), "no range"),
        (lambda: level.RGB2Gray()({"img": np.zeros((2, 2))}), "3 weights"),
        (lambda: distortion.PhotoMetricDistortion()({"img": np.zeros((2, 2, 3))}, rng(0)), "uint8 of three channels"),
        (lambda: picture.PILToNumpy()(sample()), "no picture of Pillow's"),
        (lambda: fkit.registry().build("transforms", {"type": "torchvision/Resize", "size": 3}), "not built by name"),
        (lambda: views.MultiView([[RandomFlip(0.5)]], [1, 2]), "one number a pipeline"),
        (lambda: crop.RandomResizedCrop(8, crop_ratio_range=(0.9, 0.1)), "least, the greatest"),
        (lambda: Compose([views.ApplyToList([RandomFlip(0.5)], "img", [])])({"img": []}, rng(0)), "empty list"),
    ],
)
def test_what_is_wrong_is_said(make: Any, says: str):
    with pytest.raises(FkitError, match=says):
        make()
