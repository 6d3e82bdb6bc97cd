"""Transforms and codecs of poses: what holds whatever is drawn, whole pipelines, and what is refused."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fkit
from fkit.data.codec.hand import Hand3DHeatmap
from fkit.data.codec.heatmap import MegviiHeatmap, MSRAHeatmap, UDPHeatmap
from fkit.data.codec.person import DecoupledHeatmap
from fkit.data.codec.regression import RegressionLabel
from fkit.data.codec.simcc import SimCCLabel
from fkit.data.collate import collate
from fkit.data.transform.compose import Compose
from fkit.data.transform.pose.bottomup import BottomupRandomAffine, BottomupResize, Whirl
from fkit.data.transform.pose.box import GetBBoxCenterScale, RandomBBoxTransform, RandomHalfBody, TopdownAffine
from fkit.data.transform.pose.colour import PhotometricDistortion
from fkit.data.transform.pose.crop import BottomupRandomCrop
from fkit.data.transform.pose.flip import PoseFlip
from fkit.data.transform.pose.keypoint import KeypointConverter
from fkit.data.transform.pose.matrix import moved, truncated_normal, warp_matrix
from fkit.data.transform.pose.mix import PoseMosaic, YOLOXMixUp
from fkit.data.transform.pose.target import GenerateTarget
from fkit.data.transform.transform import Fetch, is_random
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen


def people(persons: int = 2, width: int = 64, height: int = 48, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    points = (rng.random((persons, 5, 2)) * (width - 1, height - 1)).astype(np.float32)
    return frozen(
        {
            "img": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            "img_shape": (height, width),
            "ori_shape": (height, width),
            "bbox": np.concatenate((points.min(axis=1), points.max(axis=1)), axis=1),
            "bbox_score": np.ones(persons, np.float32),
            "category_id": np.ones(persons, np.int64),
            "keypoints": points,
            "keypoints_visible": np.ones((persons, 5), np.float32),
            "area": np.full(persons, 100.0),
            "flip_indices": [0, 2, 1, 4, 3],
            "upper_body_ids": [0, 1, 2],
            "lower_body_ids": [3, 4],
        }
    )


class Samples(Fetch):
    """Raw samples by number: what a dataset has before its pipeline."""

    def __call__(self, index: int) -> Any:
        return people(1 + index % 2, 40 + index, 30 + index, seed=index)

    def __len__(self) -> int:
        return 5


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_two_flips_are_none(direction: str) -> None:
    sample = GetBBoxCenterScale()(people())
    flip = PoseFlip()
    twice = flip.apply(flip.apply(sample, direction), direction)
    for name in ("img", "bbox", "bbox_center", "keypoints"):
        np.testing.assert_allclose(twice[name], sample[name], rtol=1e-6, atol=1e-4, err_msg=name)


def test_a_box_without_change_lands_whole_on_the_input() -> None:
    matrix = warp_matrix((32, 24), (64, 48), 0.0, (128, 96))
    corners = np.array([[0.0, 0], [64, 0], [64, 48], [32, 24]])
    np.testing.assert_allclose(moved(corners, matrix), corners * 2, atol=1e-4)
    turned = moved(corners, warp_matrix((32, 24), (64, 48), 90.0, (128, 96)))
    np.testing.assert_allclose(turned[3], (64, 48), atol=1e-4)  # the centre stays
    np.testing.assert_allclose(np.linalg.norm(turned - turned[3], axis=1), np.linalg.norm(2 * (corners - corners[3]), axis=1), atol=1e-3)  # fmt: skip


def test_keypoints_lie_where_the_image_shows_them() -> None:
    dot = np.zeros((48, 64, 1), np.uint8)
    cv2.circle(dot, (40, 20), 3, 255, -1)
    sample = {
        **people(1),
        "img": dot,
        "keypoints": np.array([[[40.0, 20.0]]], np.float32),
        "bbox": np.array([[10.0, 5, 60, 40]]),
    }
    steps = Compose(
        [GetBBoxCenterScale(), RandomBBoxTransform(shift_prob=1.0, rotate_prob=1.0), TopdownAffine((96, 128))]
    )
    for seed in range(5):
        done = steps(frozen(sample), np.random.default_rng(seed))
        rows, columns = np.nonzero(done["img"][..., 0] > 128)
        if len(rows) > 20:  # not moved outside
            np.testing.assert_allclose(done["transformed_keypoints"][0, 0], (columns.mean(), rows.mean()), atol=1.0)


def test_what_is_drawn_of_a_box_is_within_its_limits_and_as_often_as_it_says() -> None:
    sample = {"bbox_center": np.zeros((4000, 2)), "bbox_scale": np.ones((4000, 2))}
    shift, factor, degrees = RandomBBoxTransform().draw(sample, np.random.default_rng(0), None)
    assert abs(shift).max() <= 0.16 and factor.min() >= 0.5 and factor.max() <= 1.5 and abs(degrees).max() <= 80
    assert abs((shift != 0).any(axis=1).mean() - 0.3) < 0.03 and abs((degrees != 0).mean() - 0.6) < 0.03
    numbers = truncated_normal(np.random.default_rng(0), (20000,))
    assert abs(numbers.std() - 0.5396) < 0.01  # the deviation of a normal cut off at one deviation


def test_a_half_of_the_body_is_taken_as_often_as_it_says() -> None:
    sample = {**people(2000), "keypoints_visible": np.ones((2000, 5))}
    half = RandomHalfBody(min_total_keypoints=5, min_lower_keypoints=2, prob=0.5, upper_prioritized_prob=0.8)
    drawn = half.draw(frozen(sample), np.random.default_rng(0), None)
    assert abs(sum(one is not None for one in drawn) / 2000 - 0.5) < 0.04
    assert abs(sum(one == [0, 1, 2] for one in drawn) / 2000 - 0.4) < 0.04
    few = {**sample, "keypoints_visible": np.tile(np.array([1, 1, 0, 0, 0.0]), (2000, 1))}
    assert set(half.draw(frozen(few), np.random.default_rng(0), None)) == {None}


@pytest.mark.parametrize(
    ("codec", "nearness"),
    [
        (MSRAHeatmap((192, 256), (48, 64), sigma=2), 3.0),
        (MSRAHeatmap((192, 256), (48, 64), sigma=2, unbiased=True), 1.0),
        (MegviiHeatmap((192, 256), (48, 64), kernel_size=11), 3.0),
        (UDPHeatmap((192, 256), (48, 64)), 2.5),
        (UDPHeatmap((192, 256), (48, 64), heatmap_type="combined"), 2.5),
        (SimCCLabel((192, 256), sigma=(4.9, 5.66)), 0.26),
        (RegressionLabel((192, 256)), 1e-4),
    ],
)
def test_what_is_encoded_is_decoded_near_to_where_it_was(codec: Any, nearness: float) -> None:
    points = (np.random.default_rng(0).random((1, 30, 2)) * (150, 210) + (20, 20)).astype(np.float32)
    encoded = codec.encode(points)
    done, scores = codec.decode(*(encoded[name] for name in codec.decoded_from))
    assert done.shape == points.shape and scores.shape == (1, 30)
    assert abs(done - points).max() <= nearness


def test_encoding_writes_to_nothing_that_it_is_given() -> None:
    sample = people(1)
    points, seen = sample["keypoints"].copy(), sample["keypoints_visible"].copy()
    for codec in (
        MSRAHeatmap((64, 48), (16, 12), sigma=2),
        UDPHeatmap((64, 48), (16, 12)),
        SimCCLabel((64, 48)),
        RegressionLabel((64, 48)),
    ):
        encoded = codec.encode(sample["keypoints"] + 500, sample["keypoints_visible"])  # outside: weights become 0
        assert not encoded["keypoint_weights"].any()
        maps = np.random.default_rng(0).random((5, 12, 16)).astype(np.float32)
        if hasattr(codec, "heatmap_size"):
            before = maps.copy()
            codec.decode(maps)
            np.testing.assert_array_equal(maps, before)
    np.testing.assert_array_equal(sample["keypoints"], points)
    np.testing.assert_array_equal(sample["keypoints_visible"], seen)


TRAIN = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomHalfBody"),
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine", input_size=(48, 64)),
    dict(type="GenerateTarget", encoder=dict(type="MSRAHeatmap", input_size=(48, 64), heatmap_size=(12, 16), sigma=2)),
    dict(type="PackPoseInputs"),
]


def coco(folder: Path, pipeline: Any, **more: Any) -> Any:
    """A dataset of 4 persons on 2 images."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image in range(2):
        cv2.imwrite(str(folder / f"{image}.png"), rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
        images.append(dict(id=image, file_name=f"{image}.png", width=120, height=90))
        for person in range(2):
            points = np.concatenate((rng.random((17, 2)) * (100, 80), np.full((17, 1), 2)), axis=1)
            row = dict(id=10 * image + person, image_id=image, category_id=1, bbox=[5, 5, 90, 70], area=3000, iscrowd=0)
            annotations.append({**row, "num_keypoints": 17, "keypoints": points.ravel().tolist()})
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name="person")])
    (folder / "a.json").write_text(json.dumps(content))
    cfg = dict(type="CocoDataset", ann_file="a.json", data_root=str(folder), pipeline=pipeline, **more)
    return fkit.registry().build("datasets", cfg, scope="mmpose")


def test_a_top_down_pipeline_gives_batches(tmp_path: Path) -> None:
    dataset = coco(tmp_path, TRAIN)
    steps = dataset.pipeline
    once, again = (
        [steps(dataset.get_data_info(n), np.random.default_rng(n)) for n in range(len(dataset))] for _ in range(2)
    )
    batch = collate(once)
    assert batch.inputs.shape == (4, 3, 64, 48)
    assert batch.targets["gt_fields"]["heatmaps"].shape == (4, 17, 16, 12)
    assert batch.targets["gt_instance_labels"]["keypoint_weights"].shape == (4, 1, 17)
    assert [meta["flip_indices"][:3] for meta in batch.meta] == [[0, 2, 1]] * 4
    for one, other in zip(once, again, strict=True):  # the same generator, the same sample
        np.testing.assert_array_equal(one["inputs"], other["inputs"])
        np.testing.assert_array_equal(
            one["targets"]["gt_fields"]["heatmaps"], other["targets"]["gt_fields"]["heatmaps"]
        )


def test_levels_of_one_target_are_stacked(tmp_path: Path) -> None:
    levels = [
        dict(type="MegviiHeatmap", input_size=(48, 64), heatmap_size=(12, 16), kernel_size=size) for size in (7, 5)
    ]
    steps = [*TRAIN[:6], dict(type="GenerateTarget", encoder=levels, multilevel=True), TRAIN[-1]]
    dataset = coco(tmp_path, steps)
    done = dataset.pipeline(dataset.get_data_info(0), np.random.default_rng(0))
    assert done["targets"]["gt_fields"]["heatmaps"].shape == (2, 17, 16, 12)


def test_a_bottom_up_pipeline_mixes_samples_read_anew(tmp_path: Path) -> None:
    load = [dict(type="LoadImage")]
    steps = [
        *load,
        dict(type="Mosaic", img_scale=(40, 40), pre_transform=load),
        dict(
            type="BottomupRandomAffine",
            input_size=(64, 64),
            transform_mode="perspective",
            bbox_keep_corner=False,
            clip_border=True,
        ),
        dict(type="YOLOXMixUp", img_scale=(64, 64), pre_transform=load),
        dict(type="FilterAnnotations", by_box=True, keep_empty=False),
        dict(type="GenerateTarget", encoder=dict(type="YOLOXPoseAnnotationProcessor", input_size=(64, 64))),
        dict(type="PackPoseInputs"),
    ]
    dataset = coco(tmp_path, steps, data_mode="bottomup")

    class Raw(Fetch):
        def __call__(self, index: int) -> Any:
            return dataset.get_data_info(index)

        def __len__(self) -> int:
            return len(dataset)

    done = [dataset.pipeline(dataset.get_data_info(0), np.random.default_rng(n), Raw()) for n in range(4)]
    for one in done:
        assert one["inputs"].shape == (3, 64, 64)
        count = len(one["targets"]["gt_instance_labels"]["labels"])
        assert one["targets"]["gt_instance_labels"]["keypoints"].shape == (count, 17, 2)
        assert not one["targets"]["gt_instance_labels"]["labels"].any()
    assert collate(done).inputs.shape == (4, 3, 64, 64)


def test_mixtures_write_to_no_sample() -> None:
    sample = people()
    before = {name: value.copy() for name, value in sample.items() if isinstance(value, np.ndarray)}
    for step in (PoseMosaic(img_scale=(40, 40)), YOLOXMixUp(img_scale=(64, 64))):
        one, other = (step(sample, np.random.default_rng(3), Samples()) for _ in range(2))
        np.testing.assert_array_equal(one["img"], other["img"])
        assert len(one["keypoints"]) == len(one["bbox"]) == len(one["category_id"]) > 2
    for name, value in before.items():
        np.testing.assert_array_equal(sample[name], value)


def test_only_codecs_that_draw_make_a_step_random() -> None:
    assert not is_random(GenerateTarget(RegressionLabel((64, 48))))
    step = GenerateTarget(DecoupledHeatmap((64, 48), (16, 12)))
    assert is_random(step)
    done = step(people(), np.random.default_rng(0))
    assert done["instance_heatmaps"].shape[1:] == (12, 16) and len(done["instance_coords"]) <= 2


def test_bottom_up_images_and_crops_go_with_their_keypoints() -> None:
    sample = people()
    plain = BottomupRandomAffine((64, 48), transform_mode="perspective").apply(sample, Whirl((0, 0), 1.0, 0.0))
    np.testing.assert_allclose(plain["keypoints"], sample["keypoints"], atol=1e-4)
    np.testing.assert_array_equal(plain["img"], sample["img"])
    crop = BottomupRandomCrop((40, 30), allow_negative_crop=True)
    window = crop.draw(sample, np.random.default_rng(0), None)
    done = crop.apply(sample, window)
    assert done["img"].shape == (30, 40, 3)
    inside = done["keypoints_visible"] > 0
    kept = done["keypoints"] + window.offset[::-1]
    assert all(any(np.allclose(point, other, atol=1e-3) for other in sample["keypoints"].reshape(-1, 2)) for point in kept[inside])  # fmt: skip
    assert BottomupResize((64, 64), resize_mode="expand", size_factor=32)(sample)["img"].shape == (64, 96, 3)


def test_photometric_distortion_draws_what_it_says() -> None:
    step = PhotometricDistortion()
    drawn = [step.draw({}, np.random.default_rng(n), None) for n in range(400)]
    assert abs(sum(one.brightness is not None for one in drawn) / 400 - 0.5) < 0.1
    assert abs(sum(one.contrast is not None for one in drawn) / 400 - 0.25) < 0.1
    assert all(one.hue is None or -18 <= one.hue < 18 for one in drawn)


HAND = np.ones((1, 4, 3))
HANDS = Hand3DHeatmap((8, 8), heatmap_size=(4, 4, 4), joint_indices=[0, 2], use_different_joint_weights=True)
PERSONS = DecoupledHeatmap((64, 48), (16, 12))
PLACES = GenerateTarget(RegressionLabel((64, 48)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TopdownAffine((0, 64)), "input_size"),
        (lambda: RandomHalfBody(prob=1.5), "prob"),
        (lambda: BottomupResize((100, 64)), "multiple of size_factor"),
        (lambda: MSRAHeatmap((64, 48), (16,), sigma=2), "heatmap_size"),
        (lambda: SimCCLabel((64, 48), smoothing_type="none"), "smoothing_type"),
        (lambda: GenerateTarget({"type": "MSRAHeatmap"}), "encoder is a codec"),
        (lambda: KeypointConverter(3, [(0, 3)]), "3 keypoints"),
        (lambda: MSRAHeatmap((64, 48), (16, 12), sigma=2).encode(np.zeros((2, 5, 2))), "one person"),
        (
            lambda: HANDS.encode(HAND, None, np.ones(4)),
            "the shape (4,), and there are 2 keypoints, those of joint_indices",
        ),
        (lambda: HANDS.encode(HAND[:, :2], None, np.ones(2)), "joint_indices has 2, and there are 2 keypoints"),
        (lambda: HANDS.encode(HAND), "needs 'dataset_keypoint_weights'"),
        (
            lambda: PERSONS.decode(np.zeros((3, 2, 12, 16)), np.ones(3)),
            "scores (N, 1), one a person, not (3, 2, 12, 16) and (3,)",
        ),
        (lambda: PERSONS.decode(np.zeros((3, 2, 12, 16)), np.ones((4, 1))), "and (4, 1)"),
        (lambda: PERSONS.decode(np.zeros((2, 12, 16)), np.ones((2, 1))), "maps (N, K, H, W)"),
        (lambda: TopdownAffine((48, 64))(GetBBoxCenterScale()(people())), "takes one person"),
        (lambda: MSRAHeatmap((64, 48), (16, 12), sigma=0), "a Gaussian's is above 0"),
        (lambda: UDPHeatmap((64, 48), (16, 12), sigma=-1.0), "a Gaussian's is above 0"),
        (
            lambda: PLACES({"keypoints": np.full((1, 2, 2), np.nan), "keypoints_visible": np.zeros((1, 2))}),
            "with keypoints_visible 0",
        ),
        (
            lambda: PLACES(
                {"keypoints": HAND[:, :2, :2], "keypoints_visible": np.ones((1, 2)), "input_size": (64, 64)}
            ),
            "RegressionLabel has input_size=(64, 48), but the input is (64, 64)",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises((FkitTypeError, FkitValueError)) as raised:
        make()
    assert words in str(raised.value)


def test_weights_go_with_the_chosen_joints_and_no_person_is_no_error() -> None:
    weighed = HANDS.encode(HAND, None, np.array([3.0, 5.0]))
    assert weighed["keypoint_weights"].tolist() == [[3, 5]]
    points, scores = PERSONS.decode(np.zeros((0, 2, 12, 16)), np.ones((0, 1)))
    assert points.shape == (0, 2, 2) and scores.shape == (0, 2)


def test_an_encoder_that_is_no_codec_is_named(tmp_path: Path) -> None:
    with pytest.raises(FkitError, match="MSRAHeatmap"):
        coco(tmp_path, [*TRAIN[:6], dict(type="GenerateTarget", encoder=dict(type="MSRAHeatmapp"))])
