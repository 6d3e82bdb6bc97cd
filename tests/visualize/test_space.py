"""Poses in space, classes below images, and the visualizers that released configs name: by value."""

import numpy as np
import pytest

import fkit
from fkit.structures import LabelData
from fkit.structures.sample import DataSample
from fkit.tree.error import FkitError
from fkit.visualize import Pose3dLocalVisualizer, UniversalVisualizer
from fkit.visualize.space import View

IMAGE = np.full((300, 200, 3), 40, np.uint8)
POSE = np.array([[[0.0, 0, 0], [0, 0, 1.5], [0.4, 0, 1.5]]])
META = {"skeleton_links": [(0, 1), (1, 2)]}


def test_a_view_turns_and_lifts_and_keeps_lengths() -> None:
    points = np.random.default_rng(0).normal(size=(5, 4, 3))
    seen = View(33, 20).project(points)
    assert np.allclose(np.linalg.norm(seen, axis=-1), np.linalg.norm(points, axis=-1))
    assert np.allclose(View(90, 0).project(np.eye(3)), [[-1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert np.allclose(View(0, 90).project(np.eye(3)), [[0, -1, 0], [1, 0, 0], [0, 0, 1]])


def test_each_pose_stands_upright_beside_its_image() -> None:
    board = Pose3dLocalVisualizer(dataset_meta=META, kpt_color=(200, 0, 0), link_color=(0, 0, 120))
    sample = {"pred_instances": {"keypoints": POSE}, "gt_instances": {"lifting_target": POSE}}
    drawn = board.add_datasample("a", IMAGE, sample).get_image()
    assert drawn.shape == (300, 200 + 2 * 306, 3)
    assert (drawn[:, :200] == IMAGE).all()
    panel = drawn[:, 206:506].astype(int)
    rows, columns = np.nonzero((panel[..., 2] > 100) & (panel[..., :2].max(axis=2) < 15))  # the links
    upright = columns[rows > rows.min() + 25]
    assert rows.max() - rows.min() > 100
    assert np.ptp(upright) < 12
    assert np.ptp(columns) > 25
    weak = {"pred_instances": {"keypoints": POSE, "keypoint_scores": np.array([[0.9, 0.9, 0.1]])}}
    alone = board.add_datasample("a", IMAGE, weak).get_image()[:, 206:].astype(int)
    _, columns = np.nonzero((alone[..., 2] > 100) & (alone[..., :2].max(axis=2) < 15))
    assert np.ptp(columns) < 12
    assert board.add_datasample("a", IMAGE, sample, num_instances=0).get_image().shape == IMAGE.shape


def test_points_of_millimetres_fit_and_those_without_a_place_are_left_out() -> None:
    board = Pose3dLocalVisualizer(dataset_meta=META, link_color=(0, 0, 120))
    large = {"pred_instances": {"keypoints": POSE * 1000 + 5000}}
    drawn = board.add_datasample("a", IMAGE, large).get_image()[:, 206:].astype(int)
    _, columns = np.nonzero((drawn[..., 2] > 100) & (drawn[..., :2].max(axis=2) < 15))
    assert 0 < columns.min() < columns.max() < 299
    lost = {"pred_instances": {"keypoints": np.full((1, 3, 3), np.nan)}}
    assert board.add_datasample("a", IMAGE, lost).get_image().shape == (300, 506, 3)
    with pytest.raises(FkitError, match=r"are \(N, K, 3\)"):
        board.add_datasample("a", IMAGE, {"pred_instances": {"keypoints": np.zeros((1, 3, 2))}})


def test_a_wrong_class_is_said_in_red_and_a_right_one_in_green() -> None:
    board = UniversalVisualizer(dataset_meta={"classes": ("cat", "dog")})
    scores = np.array([0.2, 0.8])
    right = DataSample(gt_label=LabelData(label=np.array([1])), pred_label=LabelData(label=np.array([1]), score=scores))
    wrong = {"gt_label": 0, "pred_label": 1, "pred_score": scores}
    green, red, plain = (
        board.add_datasample("a", IMAGE, one, **words).get_image()[300:].astype(int)
        for one, words in ((right, {}), (wrong, {}), (wrong, {"draw_pred": False}))
    )
    assert ((green[..., 1] - green[..., 0]) > 100).any()
    assert not ((green[..., 0] - green[..., 1]) > 100).any()
    assert ((red[..., 0] - red[..., 1]) > 100).any()
    assert not (np.ptp(plain, axis=2) > 100).any()
    assert (board.add_datasample("a", IMAGE).get_image() == IMAGE).all()


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("mmdet", "DetLocalVisualizer"), ("mmdet", "TrackLocalVisualizer"), ("mmseg", "SegLocalVisualizer"),
        ("mmpose", "PoseLocalVisualizer"), ("mmpose", "Pose3dLocalVisualizer"), ("mmpretrain", "UniversalVisualizer"),
    ],
)  # fmt: skip
def test_all_visualizers_that_released_configs_name_are_built_and_draw(scope: str, name: str) -> None:
    board = fkit.registry().build("visualizers", {"type": name, "name": "visualizer"}, scope=scope)
    assert type(board).__name__ == name
    assert (board.add_datasample("a", IMAGE).get_image() == IMAGE).all()
