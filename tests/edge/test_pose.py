"""Poses of people in an image, each given by a box; by mmpose's names."""

import numpy as np
import pytest

import fkit
from fkit.edge.pose import inference_top_down_pose_model, init_pose_model, vis_pose_result
from fkit.structures import PoseDataSample
from fkit.tree.error import FkitError

SIZE = (48, 32)
CODEC = dict(type="MSRAHeatmap", input_size=SIZE, heatmap_size=(12, 8), sigma=1)
POINTS = ("nose", "left", "right")
METAINFO = dict(
    dataset_name="faces",
    keypoint_info={
        place: dict(
            name=name, id=place, color=[0, 0, 255], type="", swap={"left": "right", "right": "left"}.get(name, "")
        )
        for place, name in enumerate(POINTS)
    },
    skeleton_info={0: dict(link=("left", "right"), id=0, color=[0, 255, 0])},
    joint_weights=[1.0] * 3,
    sigmas=[0.05] * 3,
)
CONFIG = dict(
    default_scope="mmpose",
    device="cpu",
    seed=3,
    data_preprocessor=dict(type="PoseDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
    model=dict(
        type="TopdownPoseEstimator",
        backbone=dict(type="ResNet", depth=18, base_channels=8, norm_cfg=dict(type="BN"), out_indices=(1,)),
        head=dict(
            type="HeatmapHead",
            in_channels=16,
            out_channels=3,
            deconv_out_channels=(8,),
            deconv_kernel_sizes=(4,),
            decoder=CODEC,
        ),
        test_cfg=dict(flip_test=True, flip_mode="heatmap"),
    ),
    test_dataloader=dict(
        batch_size=2,
        dataset=dict(
            type="CocoDataset",
            data_mode="topdown",
            ann_file="none.json",
            metainfo=METAINFO,
            pipeline=[
                dict(type="LoadImage"),
                dict(type="GetBBoxCenterScale", padding=1.0),
                dict(type="TopdownAffine", input_size=SIZE),
                dict(type="PackPoseInputs"),
            ],
        ),
    ),
)
BOXES = np.float32([[10, 10, 58, 42], [30, 20, 78, 52]])


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)


@pytest.fixture(scope="module", params=["torch", "jax"])
def model(request):
    return init_pose_model(fkit.Config(CONFIG), backend=request.param)


def test_the_pose_of_a_box_is_that_of_what_is_cut_out(model, image):
    first, second = fkit.inference_topdown(model, image, BOXES)
    assert isinstance(first, PoseDataSample) and first.pred_instances.keypoints.shape == (1, 3, 2)
    x, y = BOXES[1][:2].astype(int)
    cut = image[y : y + 32, x : x + 48]
    [alone] = fkit.inference_topdown(model, cut)  # all of it is one box
    np.testing.assert_allclose(
        alone.pred_instances.keypoints + BOXES[1][:2], second.pred_instances.keypoints, atol=1e-3
    )
    sides = np.concatenate([BOXES[:, :2], BOXES[:, 2:] - BOXES[:, :2]], 1)
    again = fkit.inference_topdown(model, image, sides, "xywh", batch_size=1)
    for one, other in zip(again, (first, second), strict=True):
        np.testing.assert_allclose(one.pred_instances.keypoints, other.pred_instances.keypoints, atol=1e-3)
    assert fkit.inference_topdown(model, image, np.zeros((0, 4))) == []


def test_the_first_generation_s_words(model, image, tmp_path):
    people = [{"bbox": [*box, score], "track_id": 7} for box, score in zip(BOXES, (0.9, 0.2), strict=True)]
    results, nothing = inference_top_down_pose_model(model, image, people, bbox_thr=0.3, format="xyxy")
    assert nothing == [] and [one["track_id"] for one in results] == [7] and results[0]["keypoints"].shape == (3, 3)
    samples = fkit.inference_topdown(model, image, BOXES)
    np.testing.assert_allclose(results[0]["keypoints"][:, :2], samples[0].pred_instances.keypoints[0], atol=1e-5)
    drawn = vis_pose_result(model, image, results, kpt_score_thr=-1.0, out_file=tmp_path / "a.png")
    assert drawn.shape == image.shape and (drawn != image).any() and (tmp_path / "a.png").exists()
    assert (vis_pose_result(model, image, samples[:1], kpt_score_thr=-1.0) == drawn).mean() > 0.9
    unsure = [{**results[0], "keypoints": results[0]["keypoints"] * [1, 1, 1e-9]}]  # of a model that knows nothing yet
    alike = vis_pose_result(model, image, unsure, kpt_score_thr=-1.0) == drawn
    assert alike.all() and (vis_pose_result(model, image, unsure) != drawn).any()
    assert inference_top_down_pose_model(model, image, []) == ([], [])


def test_wrong_words_are_said(model, image):
    for boxes, words, text in (
        (np.zeros((2, 3)), {}, r"boxes are \(N, 4\)"),
        (BOXES, {"bbox_format": "xyz"}, "bbox_format="),
        ("none", {}, r"boxes are \(N, 4\)"),
        ([[1, 2, 9, 9], [1, 2, float("nan"), 4]], {}, r"box 1 is .*: x1, y1, x2, y2 are finite"),
        ([[8, 8, 4, 5]], {}, "Boxes x, y, width, height are bbox_format='xywh'"),
        ([[8, 8, -4, 5]], {"bbox_format": "xywh"}, "x1 at most x2"),
    ):
        with pytest.raises(FkitError, match=text):
            fkit.inference_topdown(model, image, boxes, **words)
    with pytest.raises(FkitError, match="init_model makes one"):
        fkit.inference_topdown("model", image)
    with pytest.raises(FkitError, match="a person has no 'bbox'"):
        inference_top_down_pose_model(model, image, [{"box": [1, 2, 3, 4]}])
    with pytest.raises(FkitError, match="keypoints alone are returned"):
        inference_top_down_pose_model(model, image, return_heatmap=True)
