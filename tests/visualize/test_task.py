"""Visualizers of tasks by value: which objects are drawn, in which colour, where."""

import numpy as np

from fkit.structures import InstanceData, PixelData
from fkit.structures.sample import DetDataSample
from fkit.visualize.pose import PoseLocalVisualizer
from fkit.visualize.prediction import answers_of
from fkit.visualize.task import DetLocalVisualizer, SegLocalVisualizer

PAPER = np.full((80, 120, 3), 255, np.uint8)
META = {"classes": ("cell", "debris"), "palette": [(200, 0, 0), (0, 0, 200)]}
FOUND = {
    "bboxes": np.array([[10.0, 20.0, 50.0, 70.0], [70.0, 20.0, 110.0, 70.0]]),
    "labels": np.array([0, 1]),
    "scores": np.array([0.9, 0.2]),
}


def test_boxes_have_the_colour_of_their_class_and_weak_ones_are_left_out() -> None:
    board = DetLocalVisualizer(dataset_meta=META)
    drawn = board.add_datasample("a", PAPER, {"pred_instances": FOUND}, pred_score_thr=0.3).get_image()
    assert drawn[50, 10].argmax() == 0
    assert drawn[50, 10].min() < 60
    assert (drawn[:, 64:] == 255).all()
    everything = board.add_datasample("a", PAPER, {"pred_instances": FOUND}, pred_score_thr=0.0).get_image()
    assert everything[50, 70].argmax() == 2


def test_truth_and_prediction_stand_side_by_side() -> None:
    truth = InstanceData(bboxes=FOUND["bboxes"][:1], labels=np.array([0]))
    sample = DetDataSample(gt_instances=truth, pred_instances=InstanceData(**FOUND))
    drawn = DetLocalVisualizer(dataset_meta=META).add_datasample("a", PAPER, sample).get_image()
    assert drawn.shape[1] > 2 * PAPER.shape[1]
    assert drawn[50, 10].argmax() == 0


def test_masks_are_laid_over_their_objects() -> None:
    mask = np.zeros((1, 80, 120), bool)
    mask[0, 30:60, 20:40] = True
    truth = {"bboxes": FOUND["bboxes"][:1], "labels": np.array([0]), "masks": mask}
    drawn = DetLocalVisualizer(dataset_meta=META).add_datasample("a", PAPER, {"gt_instances": truth}).get_image()
    assert drawn[45, 30, 0] > drawn[45, 30, 2] + 50
    assert drawn[45, 46].tolist() == [255, 255, 255]


def test_a_map_of_classes_has_their_colours_and_a_legend() -> None:
    labels = np.zeros((80, 120), np.int64)
    labels[:, 60:] = 1
    labels[:10] = 255
    board = SegLocalVisualizer(dataset_meta=META)
    drawn = board.add_datasample("a", PAPER, {"gt_sem_seg": PixelData(sem_seg=labels[None])}).get_image()
    assert drawn[40, 20].argmax() == 0
    assert drawn[40, 100].argmax() == 2
    assert drawn[5, 20].tolist() == [255, 255, 255]  # 255 is no class
    assert drawn.shape[0] > 80
    assert board.add_datasample("a", PAPER, {"gt_sem_seg": labels}, with_labels=False).get_image().shape == PAPER.shape


def test_a_skeleton_joins_the_points_that_are_sure() -> None:
    board = PoseLocalVisualizer(dataset_meta={"skeleton_links": [(0, 1), (1, 2)]}, link_color=(200, 0, 0))
    points = np.array([[[10.0, 40.0], [50.0, 40.0], [100.0, 40.0]]])
    sample = {"pred_instances": {"keypoints": points, "keypoint_scores": np.array([[0.9, 0.9, 0.1]])}}
    drawn = board.add_datasample("a", PAPER, sample).get_image()
    assert drawn[40, 30].tolist()[0] > drawn[40, 30].tolist()[2] + 100
    assert drawn[40, 80].tolist() == [255, 255, 255]


def test_what_is_predicted_is_said_and_drawn_by_its_kind() -> None:
    [objects] = answers_of(
        {"pred_instances": {name: value[None] for name, value in FOUND.items()}}, "ab".__getitem__, 0.3
    )
    assert objects.words == "1 object: a 90"
    assert objects.draw(PAPER).shape == PAPER.shape
    [pose] = answers_of(
        {"pred_instances": {"keypoints": np.zeros((1, 2, 3, 2)), "keypoint_scores": np.ones((1, 2, 3))}}, str
    )
    assert pose.words == "2 poses, mean score 1.00"
    [labels] = answers_of({"pred_sem_seg": np.zeros((1, 40, 60), np.int64)}, "ab".__getitem__)
    assert labels.words == "a 100.0%"
    assert labels.draw(PAPER).shape[1] == 120


def test_places_that_pad_are_no_objects() -> None:
    outputs = {
        "pred_instances": {name: value[None] for name, value in FOUND.items()},
        "valid": {"pred_instances": np.array([[True, False]])},
    }
    [answer] = answers_of(outputs, "ab".__getitem__)
    assert len(answer.row["objects"]) == 1
