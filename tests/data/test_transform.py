"""Transforms: draw decides, apply does, nothing else is touched."""

import pickle
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frozendict import frozendict
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.array.random import generator, key
from fkit.data.transform.compose import Compose
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.foreign import Foreign, as_transform
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.loading import LoadImageFromFile
from fkit.data.transform.photometry import Normalize, ToUnit
from fkit.data.transform.resize import Resize
from fkit.data.transform.transform import Transform, is_random
from fkit.data.transform.turn import ShiftScaleRotate, Turn
from fkit.image.io import imwrite
from fkit.tree.error import FkitError, FkitKeyError

IMAGE = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)
EVERY = (
    Resize(scale=(4, 4)),
    Resize(scale_factor=0.5, interpolation="area"),
    RandomFlip(0.7, ["horizontal", "vertical", "diagonal"]),
    ShiftScaleRotate(0.1, 0.1, 10),
    ToUnit(),
    Normalize([1, 2, 3], [4, 5, 6], to_rgb=True),
    PackInputs(),
    Compose([RandomFlip(0.5), ShiftScaleRotate(0.2), PackInputs()]),
)


def sample(**more: Any) -> Any:
    img = IMAGE.copy()
    img.setflags(write=False)
    return frozendict(img=img, gt_label=3, sample_idx=0, **more)


def rng(number: int = 0) -> np.random.Generator:
    return generator(key(0, "test", number))


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return bool(np.array_equal(a, b))


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("number", range(4))
def test_a_call_is_a_draw_and_an_apply(transform: Transform, number: int):
    params = transform.draw(sample(), rng(number), None)
    assert same(transform.apply(sample(), params), transform(sample(), rng(number)))


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
def test_transforms_are_values(transform: Transform):
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform and hash(again) == hash(transform)
    assert same(again(sample(), rng()), transform(sample(), rng()))
    with pytest.raises(AttributeError):
        transform.scale = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
def test_the_input_stays_as_it_is(transform: Transform):
    given_, before = sample(), sample()
    transform(given_, rng())
    assert same(given_, before)


def test_only_those_that_draw_need_an_rng():
    drawing = [type(one).__name__ for one in EVERY if is_random(one)]
    assert drawing == ["RandomFlip", "ShiftScaleRotate", "Compose"]
    assert not is_random(Compose([ToUnit(), PackInputs()]))
    with pytest.raises(FkitError, match="RandomFlip draws, and was given no rng"):
        RandomFlip(0.5)(sample())


def test_flip_turns_the_axes_it_names():
    flip = RandomFlip(1.0)
    assert (flip.apply(sample(), "horizontal")["img"] == IMAGE[:, ::-1]).all()
    assert (flip.apply(sample(), "vertical")["img"] == IMAGE[::-1]).all()
    assert (flip.apply(sample(), "diagonal")["img"] == IMAGE[::-1, ::-1]).all()
    left = flip.apply(sample(), None)
    assert left["flip"] is False and left["flip_direction"] is None and (left["img"] == IMAGE).all()


def test_flip_draws_with_the_probabilities_given():
    flip = RandomFlip([0.5, 0.25], ["horizontal", "vertical"])
    source = rng()
    drawn = [flip.draw(sample(), source, None) for _ in range(4000)]
    assert abs(drawn.count("horizontal") / 4000 - 0.5) < 0.03
    assert abs(drawn.count("vertical") / 4000 - 0.25) < 0.03


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RandomFlip(0.5, "horizontl"), "Did you mean 'horizontal'"),
        (lambda: RandomFlip([0.7, 0.6], ["horizontal", "vertical"]), "their sum at most 1"),
        (lambda: RandomFlip([0.7], ["horizontal", "vertical"]), "1 probabilities for 2 directions"),
        (Resize, "one of scale and scale_factor"),
        (lambda: Resize(scale=(0, 4)), "is no \\(width, height\\)"),
        (lambda: Resize(scale=4, interpolation="linear"), "Resize: interpolation = 'linear' is unknown"),
        (lambda: ShiftScaleRotate(-0.1), "limits are not negative"),
        (lambda: ShiftScaleRotate(prob=2), "is not in \\[0, 1\\]"),
        (lambda: Normalize([1, 2], [1]), "mean has 2 numbers and std 1"),
        (lambda: Normalize([1], [0]), "each is above 0"),
        (lambda: LoadImageFromFile(color_type="gray"), "Did you mean 'grayscale'"),
    ],
)
def test_bad_arguments_are_refused_at_once(make: Any, said: str):
    with pytest.raises(ValueError, match=said):
        make()


def test_resize_keeps_the_ratio_where_asked():
    wide = Resize(scale=(12, 8), keep_ratio=True)(sample())
    assert wide["img"].shape == (11, 8, 3)  # 8 high and 6 wide, times 4/3
    assert wide["img_shape"] == (11, 8) and wide["scale_factor"] == (8 / 6, 11 / 8)
    one = Resize(scale=3)({"img": np.ones((6, 6, 1), np.float32)})["img"]
    assert one.shape == (3, 3, 1) and one.dtype == np.float32


def test_shift_moves_by_whole_pixels_exactly():
    img = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    moved = ShiftScaleRotate(0.25).apply({"img": img}, Turn(0.25, -0.25, 1, 0))["img"]
    assert (moved[:3, 1:] == img[1:, :3]).all() and not moved[3].any() and not moved[:, 0].any()


def test_a_quarter_turn_is_clockwise_about_the_centre():
    img = np.arange(25, dtype=np.float32).reshape(5, 5, 1)
    turned = ShiftScaleRotate().apply({"img": img}, Turn(0, 0, 1, 90))["img"]
    assert np.abs(turned - np.rot90(img, -1)).max() < 0.1


@settings(deadline=None)
@given(number=st.integers(0, 10**6), shift=st.floats(0, 0.5), scale=st.floats(0, 0.9), turn=st.floats(0, 180))
def test_draws_stay_within_the_limits(number: int, shift: float, scale: float, turn: float):
    drawn = ShiftScaleRotate(shift, scale, turn).draw({}, rng(number), None)
    assert drawn is not None
    assert max(abs(drawn.right), abs(drawn.down)) <= shift
    assert abs(drawn.factor - 1) <= scale + 1e-12 and abs(drawn.degrees) <= turn


def test_to_unit_goes_by_the_range_that_the_sample_states():
    full = np.full((2, 2, 1), 16, np.uint8)
    assert ToUnit()({"img": full, "img_max": 16})["img"].max() == 1
    assert ToUnit()({"img": full})["img"].max() == np.float32(16) * np.float32(1 / 255)
    assert ToUnit()({"img": full.astype(np.float32)})["img"].max() == 16


def test_normalize_is_float32_in_the_order_of_the_answer():
    done = Normalize([1.0, 2.0, 3.0], [2.0, 4.0, 8.0], to_rgb=True)(sample())["img"]
    want = (IMAGE[..., ::-1].astype(np.float64) - [1, 2, 3]) / [2, 4, 8]
    assert done.dtype == np.float32 and np.abs(done - want).max() < 1e-5
    with pytest.raises(FkitError, match="the image has 3 channels and mean 1 numbers"):
        Normalize([1.0], [1.0])(sample())


def test_pack_keeps_the_sample_number_whatever_else():
    packed = PackInputs(algorithm_keys=["weight"], meta_keys=("img_path",))(sample(weight=0.5, img_path="a.png"))
    assert packed["inputs"].shape == (3, 8, 6) and packed["inputs"].flags.c_contiguous
    assert dict(packed["targets"]) == {"gt_label": 3, "weight": 0.5}
    assert dict(packed["meta"]) == {"sample_idx": 0, "img_path": "a.png"}


def test_load_reads_files_and_leaves_memory_alone(tmp_path: Path):
    path = tmp_path / "a.png"
    assert imwrite(IMAGE, path)
    loaded = LoadImageFromFile()({"img_path": str(path)})
    assert (loaded["img"] == IMAGE).all() and loaded["ori_shape"] == (8, 6) and loaded["img_max"] == 255
    assert LoadImageFromFile(color_type="grayscale", to_float32=True)({"img_path": path})["img"].shape == (8, 6, 1)
    digit = sample()
    assert LoadImageFromFile()(digit) is digit
    deep = tmp_path / "deep.png"
    assert imwrite(np.full((2, 2), 40000, np.uint16), deep)
    assert LoadImageFromFile(color_type="unchanged")({"img_path": deep})["img_max"] == 65535


def test_load_names_a_bad_file(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        LoadImageFromFile()({"img_path": tmp_path / "absent.png"})
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(FkitError, match=r"empty\.png"):
        LoadImageFromFile()({"img_path": tmp_path / "empty.png"})


def test_compose_names_the_step_that_failed():
    with pytest.raises(FkitKeyError) as caught:
        Compose([ToUnit(), PackInputs(algorithm_keys=["box"])])(sample())
    assert (
        str(caught.value)
        == "pipeline[1], PackInputs: the sample has no 'box'; it has img, gt_label, sample_idx, img_max."
    )


@dataclass(frozen=True)
class Divide(Transform):
    by: int = 0

    def apply(self, sample: Any, params: Any) -> Any:
        return {**sample, "gt_label": 1 // self.by}


def test_a_failure_keeps_its_cause():
    with pytest.raises(FkitError, match=r"pipeline\[0\], Divide: ZeroDivisionError") as caught:
        Compose([Divide()])(sample())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_step_that_is_no_transform_is_refused():
    with pytest.raises(FkitError, match=r"is the config .* not a transform"):
        Compose([{"type": "ToUnit"}])
    with pytest.raises(FkitError, match="is 3, which cannot be called"):
        as_transform(3)


class Jitter:
    """As OpenMMLab's users write them: draws from the globals, changes what it is given."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        results["img"] += np.uint8(1)
        results["noise"] = (np.random.rand(), random.random())
        return results


def test_a_foreign_transform_draws_from_the_key_and_leaves_the_globals():
    with pytest.warns(UserWarning, match="Jitter has no draw and apply"):
        pipeline = Compose([Jitter()])
    np.random.seed(5)
    random.seed(5)
    want = (np.random.rand(), random.random())
    np.random.seed(5)
    random.seed(5)
    one, other, third = (pipeline(sample(), rng(number)) for number in (1, 1, 2))
    assert one["noise"] == other["noise"] != third["noise"]
    assert (one["img"] == IMAGE + 1).all()
    assert (np.random.rand(), random.random()) == want


def test_a_foreign_transform_drops_a_sample_by_none_and_is_named_for_anything_else():
    with pytest.warns(UserWarning):
        pipeline = Compose([Foreign(lambda results: None)])
    assert pipeline(sample(), rng()) is None
    with pytest.warns(UserWarning):
        pipeline = Compose([Foreign(lambda results: 3)])
    with pytest.raises(FkitError, match="it returned 3, not a dict"):
        pipeline(sample(), rng())


def test_the_registry_builds_pipelines():
    cfg = {"type": "Digits", "split": "test", "pipeline": [{"type": "ToUnit"}, {"type": "PackInputs"}]}
    built = fkit.build(cfg, fkit.registry(), "datasets")
    assert built.pipeline.steps == (ToUnit(), PackInputs())
    with pytest.raises(FkitError, match=r"pipeline.*1.*shift_limt"):
        fkit.build(
            {"type": "Digits", "pipeline": [{"type": "ToUnit"}, {"type": "ShiftScaleRotate", "shift_limt": 1}]},
            fkit.registry(),
            "datasets",
        )
