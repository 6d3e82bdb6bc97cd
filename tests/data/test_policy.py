"""Policies: transforms of one magnitude, and the choices among them."""

import pickle
from typing import Any

import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.array.random import generator, key
from fkit.data.transform import colour, warp
from fkit.data.transform.compose import Compose
from fkit.data.transform.policy import AutoAugment, RandAugment
from fkit.data.transform.transform import Transform
from fkit.structures.mask import BitmapMasks, PolygonMasks
from fkit.tree.error import FkitError

COLOURS = [getattr(colour, name)() for name in colour.__all__ if name[0].isupper()]
WARPS = [getattr(warp, name)() for name in warp.__all__ if name[0].isupper()]
EVERY = (*COLOURS, *WARPS, AutoAugment(), RandAugment(), RandAugment(aug_num=5))


def sample(channels: int = 3) -> Any:
    """A bright block on black, with its box, mask, polygon and map."""
    img = np.zeros((40, 60, channels), np.uint8)
    img[10:20, 15:35] = 200
    img.setflags(write=False)
    mask = (img[..., 0] > 0).astype(np.uint8)
    return frozendict(
        img=img,
        img_shape=(40, 60),
        gt_bboxes=np.array([[15, 10, 35, 20]], np.float32),
        gt_bboxes_labels=np.array([2]),
        gt_masks=BitmapMasks(mask[None], 40, 60),
        gt_seg_map=mask,
    )


def rng(number: int = 0) -> np.random.Generator:
    return generator(key(0, "test", number))


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return a == b if isinstance(a, BitmapMasks) else bool(np.array_equal(a, b))


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("number", range(3))
def test_a_call_is_a_draw_and_an_apply(transform: Transform, number: int):
    given, before = sample(), sample()
    params = transform.draw(given, rng(number), None)
    done = transform(given, rng(number))
    assert same(transform.apply(given, params), done) and same(given, before)
    assert done["img"].shape == (40, 60, 3) and done["img"].dtype == np.uint8


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
def test_they_are_values(transform: Transform):
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform and hash(again) == hash(transform)
    with pytest.raises(AttributeError):
        transform.prob = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("transform", WARPS[1:], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("number", range(4))
def test_boxes_and_masks_go_where_the_pixels_go(transform: Transform, number: int):
    done = transform(sample(), rng(number))
    seen = (np.abs(done["img"].astype(int) - 200) < 60).all(-1)
    rows, columns = np.nonzero(seen)
    x1, y1, x2, y2 = done["gt_bboxes"][0].tolist()
    assert x1 - 1.5 <= columns.min() and columns.max() <= x2 + 1.5
    assert y1 - 1.5 <= rows.min() and rows.max() <= y2 + 1.5
    assert (seen != (done["gt_masks"].masks[0] > 0)).mean() < 0.03
    inside = done["gt_seg_map"] != 255
    assert (seen[inside] != done["gt_seg_map"][inside]).mean() < 0.03
    assert done["homography_matrix"].dtype == np.float32


def test_matrices_add_up():
    both = warp.TranslateX().apply(warp.TranslateY().apply(sample(), 0.5), 0.25)
    assert both["homography_matrix"].tolist() == [[1, 0, 15], [0, 1, 20], [0, 0, 1]]


def test_polygons_are_moved_too():
    polygon = PolygonMasks([[np.array([15.0, 10, 35, 10, 35, 20])]], 40, 60)
    done = warp.TranslateX().apply(frozendict(sample(), gt_masks=polygon), 0.1)
    assert done["gt_masks"].masks[0][0].tolist() == [21, 10, 41, 10, 41, 20]


def test_one_channel_is_moved_as_three_are():
    grey, three = (warp.Rotate().apply(sample(channels), 20.0)["img"] for channels in (1, 3))
    assert grey.shape == (40, 60, 1) and (grey[..., 0] == three[..., 0]).all()


def test_magnitudes_are_drawn_between_the_bounds_in_steps_of_a_tenth():
    source = rng()
    drawn = [colour.Color().draw({}, source, None) for _ in range(500)]
    assert min(drawn) >= 0.1 and max(drawn) <= 1.9 and all(round(one, 1) == one for one in drawn)  # type: ignore[type-var]
    turns = [warp.Rotate(prob=0.5, reversal_prob=0.25).draw({}, source, None) for _ in range(4000)]
    some = [one for one in turns if one is not None]
    assert abs(len(some) / 4000 - 0.5) < 0.03
    assert abs(sum(one > 0 for one in some) / len(some) - 0.25) < 0.04
    assert {colour.Posterize(level=5).draw({}, source, None) for _ in range(9)} == {2.0}


def test_randaugment_takes_as_many_as_it_says_each_at_most_once():
    source, some = rng(), RandAugment(aug_num=4)
    rows = [some.which(source) for _ in range(300)]
    assert all(len(set(row)) == 4 for row in rows) and {one for row in rows for one in row} == set(range(15))


def test_the_policy_of_the_paper_is_all_there():
    policies = [
        tuple((type(one).__name__, one.prob, one.level) for one in steps.steps) for steps in AutoAugment().policies
    ]  # type: ignore[attr-defined]
    assert len(policies) == 25 and all(len(row) == 2 for row in policies)
    assert policies[0] == (("Equalize", 0.8, 1), ("ShearY", 0.8, 4))
    assert policies[22] == (("Posterize", 0.8, 2), ("Solarize", 0.6, 10))


def test_configs_build_policies_of_pipelines():
    cfg = {
        "type": "AutoAugment",
        "policies": [
            [{"type": "Resize", "scale": (8, 8)}],
            [{"type": "RandomFlip", "prob": 0.5}, {"type": "Rotate", "level": 3}],
        ],
    }
    built = fkit.build(cfg, fkit.registry(), "transforms")
    assert [len(steps.steps) for steps in built.policies] == [1, 2]
    assert isinstance(built.policies[0], Compose)
    space = {"type": "RandAugment", "aug_space": [[{"type": "ColorTransform"}], [{"type": "Invert"}]], "aug_num": 1}
    assert len(fkit.build(space, fkit.registry(), "transforms").pipelines) == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: colour.Color(prob=1.5), "Color: prob = 1.5 is not in \\[0, 1\\]"),
        (lambda: colour.Color(level=11), "level = 11 is not from 0 to 10"),
        (lambda: colour.Posterize(max_mag=9), "magnitudes are from 0 to 8"),
        (lambda: colour.Solarize(min_mag=9, max_mag=8), "the least first"),
        (lambda: warp.Rotate(max_mag=200), "magnitudes are from 0 to 180"),
        (lambda: warp.Rotate(img_border_value=(1, 2)), "a number from 0 to 255, or three"),
        (lambda: warp.Rotate(img_border_value=300), "a number from 0 to 255, or three"),
        (lambda: warp.Rotate(reversal_prob=2), "reversal_prob = 2 is not in"),
        (lambda: warp.Rotate(interpolation="linear"), "interpolation = 'linear' is unknown"),
        (lambda: RandAugment(aug_num=16), "aug_num = 16 of 15 augmentations"),
        (lambda: AutoAugment([]), "AutoAugment: transforms is an empty list"),
    ],
)
def test_wrong_arguments_are_refused(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()
