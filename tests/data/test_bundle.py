"""The last steps of both generations give the same; views of one image."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.data.collate import collate
from fkit.data.transform.bundle import Collect, DefaultFormatBundle, ToDataContainer
from fkit.data.transform.compose import Compose
from fkit.data.transform.detection.formatting import PackDetInputs
from fkit.data.transform.formatting import ImageToTensor, PackInputs, ToTensor, Transpose, channels_first
from fkit.data.transform.segmentation.formatting import PackSegInputs
from fkit.data.transform.transform import Transform
from fkit.data.transform.views import TestTimeAug
from fkit.structures.mask import BitmapMasks
from fkit.structures.views import views_of
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

IMG = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
SAMPLE: dict[str, Any] = {
    "img": IMG, "img_path": "a.jpg", "img_id": 7, "img_shape": (8, 10), "ori_shape": (16, 20), "scale_factor": (0.5, 0.5),
    "flip": False, "flip_direction": None, "gt_bboxes": np.arange(12, dtype=np.float32).reshape(3, 4),
    "gt_bboxes_labels": np.array([2, 0, 1]), "gt_ignore_flags": np.array([False, True, False]),
    "gt_masks": BitmapMasks(np.ones((3, 8, 10), np.uint8), 8, 10), "gt_seg_map": np.ones((8, 10), np.uint8),
    "proposals": np.zeros((2, 4), np.float32), "proposals_scores": np.ones(2, np.float32), "gt_label": 4,
}  # fmt: skip


def same(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if hasattr(value, "keys"):
            same(value, other[key])
        else:
            np.testing.assert_array_equal(value, other[key], err_msg=key)


def test_detection_is_packed_the_same_by_both_generations() -> None:
    keys = ["img", "gt_bboxes", "gt_labels", "gt_bboxes_ignore", "gt_masks", "gt_semantic_seg", "proposals"]
    old = Compose([DefaultFormatBundle(img_to_float=False), Collect(keys)])(SAMPLE)
    new = PackDetInputs()(SAMPLE)
    np.testing.assert_array_equal(old["inputs"], new["inputs"])
    same(old["targets"], new["targets"])
    assert old["meta"]["filename"] == "a.jpg" and old["meta"]["img_id"] == 7
    assert old["meta"]["pad_shape"] == (8, 10, 3) and old["meta"]["img_norm_cfg"]["to_rgb"] is False


def test_segmentation_and_classification_are_packed_the_same_by_both_generations() -> None:
    old = Compose([DefaultFormatBundle(), Collect(["img", "gt_semantic_seg"])])(SAMPLE)
    new = PackSegInputs()(SAMPLE)
    assert old["inputs"].dtype == np.float32
    np.testing.assert_array_equal(old["inputs"], new["inputs"])
    same(old["targets"], new["targets"])
    steps = [ImageToTensor(["img"]), ToTensor(["gt_label"]), Collect(["img", "gt_label"])]
    packed = Compose(steps)(SAMPLE)
    np.testing.assert_array_equal(packed["inputs"], IMG.transpose(2, 0, 1))
    assert dict(packed["targets"]) == dict(PackInputs()(SAMPLE)["targets"]) == {"gt_label": 4}


def test_only_what_is_named_is_collected_and_what_is_not_there_is_named() -> None:
    bundled = DefaultFormatBundle()(SAMPLE)
    packed = Collect(["img", "gt_bboxes"], meta_keys=("flip",))(bundled)
    assert packed["targets"].keys() == {
        "gt_instances", "ignored_instances", "img_shape", "ori_shape", "scale_factor",
    }  # fmt: skip
    assert packed["targets"]["gt_instances"].keys() == {"bboxes"}
    assert packed["meta"].keys() == {"img_id", "img_path", "flip"}
    with pytest.raises(FkitKeyError, match="the sample has no 'target'"):
        Collect(["img", "target"])(bundled)
    with pytest.raises(FkitTypeError, match="Collect: keys is a list of names, not the str 'img'"):
        Collect("img")
    assert ToDataContainer()(SAMPLE) is SAMPLE
    with pytest.raises(FkitKeyError, match="'gt_keypoints'"):
        ToDataContainer([{"key": "gt_keypoints"}])(SAMPLE)


def test_numbers_and_lists_become_arrays() -> None:
    sample = {"a": {"b": [1, 2], "c": 0.5}, "d": 3, "e": IMG}
    done = ToTensor(["a.b", "a.c", "d", "e"])(sample)
    assert done["a"]["b"].tolist() == [1, 2] and done["a"]["c"].dtype == np.float32
    assert done["d"].shape == (1,) and done["d"].dtype == np.int64 and done["e"] is IMG
    with pytest.raises(FkitKeyError, match=r"'a\.x'"):
        ToTensor(["a.x"])(sample)
    with pytest.raises(FkitTypeError, match="no number and no list of numbers"):
        ToTensor(["d"])({"d": "three"})
    assert Transpose(["e"], [2, 0, 1])(sample)["e"].shape == (3, 8, 10)
    with pytest.raises(FkitValueError, match="each axis once"):
        Transpose(["e"], [2, 0, 0])


class Times(Transform):
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def apply(self, sample: Any, params: Any) -> Any:
        return {**sample, "img": sample["img"] * self.factor}


class Nothing(Transform):
    def apply(self, sample: Any, params: Any) -> Any:
        return None


def test_each_view_takes_one_of_each_list() -> None:
    several = TestTimeAug([[Times(1), Times(2)], [Times(10), Times(100), Times(1000)], [PackInputs()]])
    views = several({"img": np.ones((2, 2, 3))})["views"]
    assert [int(view["inputs"].max()) for view in views] == [10, 100, 1000, 20, 200, 2000]
    assert not several.random and len(several.branches) == 6
    batch = collate([several({"img": np.ones((2, 2, 3))})] * 2)
    assert [view.inputs.shape for view in views_of(batch)] == [(2, 3, 2, 2)] * 6
    with pytest.raises(FkitValueError, match=r"as many views each, and at least one, not \[1, 6\]"):
        collate([several({"img": np.ones((2, 2, 3))}), {"inputs": np.ones((3, 2, 2))}])
    with pytest.raises(FkitValueError, match="a test image keeps all of its views"):
        TestTimeAug([[Nothing()]])({"img": IMG})
    with pytest.raises(FkitValueError, match="there would be no view"):
        TestTimeAug([[Times(1)], []])


def test_views_draw_from_the_generator_and_can_be_drawn_first() -> None:
    cfg = {
        "type": "MultiScaleFlipAug", "scales": [(4, 4), (6, 6)], "allow_flip": True, "flip_direction": ["horizontal", "vertical"],
        "transforms": [{"type": "PackInputs"}],
    }  # fmt: skip
    built = fkit.registry().build("transforms", cfg)
    params = built.draw(SAMPLE, np.random.default_rng(3), None)
    views = built.apply(SAMPLE, params)["views"]
    assert [view["inputs"].shape[1:] for view in views] == [(3, 4)] * 3 + [(5, 6)] * 3
    assert [view["meta"]["flip_direction"] for view in views] == [None, "horizontal", "vertical"] * 2
    called = built(SAMPLE, np.random.default_rng(3))["views"]
    for one, other in zip(views, called, strict=True):
        np.testing.assert_array_equal(one["inputs"], other["inputs"])
    single = fkit.registry().build("transforms", {"type": "MultiScaleFlipAug", "transforms": []})
    assert len(single(SAMPLE)["views"]) == 1


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64", "bool"]
)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_channels_come_first_whatever_the_image_is_made_of(dtype: str, channels: int) -> None:
    img = np.random.default_rng(0).integers(0, 200, (7, 5, channels)).astype(dtype)
    for view in (img, img[:, ::-1], img[..., ::-1], img[1:4, 1:3], img[:0]):
        done = channels_first(view)
        assert done.dtype == img.dtype and done.flags.c_contiguous
        np.testing.assert_array_equal(done, view.transpose(2, 0, 1))
