"""Metrics of keypoints on batches as a loader makes them: what a dataset says goes all the way to the number."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fkit
from fkit.data.collate import collate
from fkit.metric.evaluator import Evaluator, truth
from fkit.metric.keypoint import AUC, EPE, NME, PCKAccuracy
from fkit.metric.oks import oks, oks_nms, soft_oks_nms
from fkit.metric.pose_coco import PoseCocoMetric
from fkit.tree.error import FkitError

TOPDOWN = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=(48, 64)),
    dict(type="PackPoseInputs"),
]
BOTTOMUP = [dict(type="LoadImage"), dict(type="BottomupResize", input_size=(64, 64)), dict(type="PackPoseInputs")]


def dataset_of(folder: Path, pipeline: Any, mode: str) -> Any:
    """3 images with 1, 2 and 3 persons far from each other."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image in range(3):
        cv2.imwrite(str(folder / f"{image}.png"), np.zeros((400, 900, 3), np.uint8))
        images.append(dict(id=image, file_name=f"{image}.png", width=900, height=400))
        for person in range(image + 1):
            where = rng.random((17, 2)) * (180, 300) + (20 + 290 * person, 40)
            points = np.concatenate((where, np.full((17, 1), 2)), axis=1).round(1)
            low, high = where.min(axis=0), where.max(axis=0)
            box = [*low.tolist(), *(high - low).tolist()]
            row = dict(id=10 * image + person, image_id=image, category_id=1, bbox=box, area=box[2] * box[3], iscrowd=0)
            annotations.append({**row, "num_keypoints": 17, "keypoints": points.ravel().tolist()})
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name="person")])
    (folder / "a.json").write_text(json.dumps(content))
    cfg = dict(type="CocoDataset", ann_file="a.json", data_root=str(folder), data_mode=mode, pipeline=pipeline)
    return fkit.registry().build("datasets", {**cfg, "test_mode": True}, scope="mmpose")


def scored(metrics: Any, dataset: Any, off: float = 0.0) -> dict[str, float]:
    """The numbers of predictions that are the truth, ``off`` pixels to the right, in one batch."""
    samples = [dataset.pipeline(dataset.get_data_info(n), np.random.default_rng(0)) for n in range(len(dataset))]
    batch = collate(samples)
    known = batch.targets["gt_instances"]
    points = known["keypoints"] + np.array((off, 0))
    said = {"keypoints": points, "keypoint_scores": np.ones(points.shape[:3]), "bbox_scores": np.ones(points.shape[:2])}
    outputs = {"pred_instances": said, "valid": {"pred_instances": batch.valid["gt_instances"]}}
    evaluator = Evaluator(tuple(metrics)).informed(dataset.metainfo)
    state = evaluator.observe(evaluator.empty(), outputs, truth(batch), np.arange(len(samples)), batch.valid)
    return evaluator.compute(evaluator.merge(state, state))


def test_top_down_predictions_that_are_right(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    dataset = dataset_of(tmp_path, TOPDOWN, "topdown")
    metrics = (PCKAccuracy(thr=0.05), PoseCocoMetric(str(tmp_path / "a.json"), score_mode="bbox"))
    numbers = scored(metrics, dataset)
    assert numbers["PCK"] == 1.0 and numbers["coco/AP"] == pytest.approx(1.0) and numbers["coco/AR"] == 1.0
    off = scored(metrics, dataset, off=40.0)
    assert off["PCK"] == 0.0 and off["coco/AP"] < 0.5
    assert scored((PoseCocoMetric(score_mode="bbox"),), dataset)["coco/AP"] == pytest.approx(
        1.0
    )  # the truth in the samples


def test_bottom_up_predictions_that_are_right(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    dataset = dataset_of(tmp_path, BOTTOMUP, "bottomup")
    for file in (None, str(tmp_path / "a.json")):
        numbers = scored((PoseCocoMetric(file, score_mode="bbox", nms_mode="none"),), dataset)
        assert numbers["coco/AP"] == pytest.approx(1.0) and numbers["coco/AR"] == 1.0


def test_results_are_written_as_coco_reads_them(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, TOPDOWN, "topdown")
    metric = PoseCocoMetric(format_only=True, outfile_prefix=str(tmp_path / "out" / "r"))
    assert scored((metric,), dataset) == {}
    rows = json.loads((tmp_path / "out" / "r.keypoints.json").read_text())
    assert len(rows) == 6 and len(rows[0]["keypoints"]) == 51 and {row["image_id"] for row in rows} == {0, 1, 2}


def test_who_is_alike_is_kept_once() -> None:
    points = np.array([[[0.0, 0], [10, 10]], [[0.1, 0], [10, 10]], [[500, 0], [510, 10]]])
    areas, scores, sigmas = np.full(3, 100.0), np.array([0.5, 0.9, 0.1]), np.array([0.1, 0.1])
    assert oks(points[0], points, 100.0, areas, sigmas)[[0, 2]].round(6).tolist() == [1.0, 0.0]
    assert oks_nms(points, areas, scores, sigmas, 0.9) == [1, 2]
    assert sorted(soft_oks_nms(points, areas, scores, sigmas, 0.9)) == [0, 1, 2]


@pytest.mark.parametrize("metric", [EPE(), AUC(), PCKAccuracy(), NME("keypoint_distance", keypoint_indices=[0, 1])])
def test_nobody_seen_is_told_and_what_is_no_number_is_no_score(metric: Any) -> None:
    truth = {
        "keypoints": np.zeros((1, 1, 3, 2)),
        "keypoints_visible": np.zeros((1, 1, 3)),
        "bboxes": np.array([[[0, 0, 9, 9.0]]]),
    }
    said = {"pred_instances": {"keypoints": np.full((1, 1, 3, 2), np.nan), "keypoint_scores": np.ones((1, 1, 3))}}
    with pytest.warns(UserWarning, match="no keypoint of 1 samples is visible: its numbers say nothing"):
        metric.compute(metric.observe(metric.empty(), said, {"gt_instances": truth}, [0]))
    with pytest.raises(FkitError, match="keypoints that are predicted are no finite numbers"):
        metric.observe(metric.empty(), said, {"gt_instances": {**truth, "keypoints_visible": np.ones((1, 1, 3))}}, [0])


def test_what_is_not_known_is_asked_for() -> None:
    truth = {"keypoints": np.zeros((1, 1, 3, 2)), "keypoints_visible": np.ones((1, 1, 3))}
    said = {"pred_instances": {"keypoints": np.zeros((1, 1, 3, 2)), "keypoint_scores": np.ones((1, 1, 3))}}
    for metric, words in ((NME("keypoint_distance"), "keypoint_indices"), (PCKAccuracy(), "bboxes"), (PoseCocoMetric(), "raw_ann_info")):  # fmt: skip
        with pytest.raises(FkitError, match=words):
            metric.compute(metric.observe(metric.empty(), said, {"gt_instances": truth}, [0]))
