"""Evaluators, predictions kept in files, several data sets, panoptic quality."""

import json

import numpy as np
import pytest

import fkit
from fkit.fileio import load
from fkit.image import imwrite
from fkit.metric.accuracy import Accuracy
from fkit.metric.dump import DumpDetResults, DumpResults, evaluate
from fkit.metric.evaluator import Evaluator, MultiDatasetsEvaluator, get_metric_value, sample_ids, truth
from fkit.metric.panoptic import CocoPanopticMetric
from fkit.metric.segmentation import IoUMetric
from fkit.metric.voc import VOCMetric
from fkit.structures import Batch, ClsDataSample
from fkit.tree.error import FkitError


def scores(count=10, classes=3):
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(classes), count), rng.integers(0, classes, count)


def test_several_metrics_and_the_same_name_twice():
    said, labels = scores()
    evaluator = Evaluator((Accuracy(), Accuracy(topk=2, prefix="b")))
    state = evaluator.observe(evaluator.empty(), {"pred_score": said}, {"gt_label": labels}, range(10))
    assert list(evaluator.compute(state)) == ["accuracy/top1", "b/top2"]
    twice = Evaluator((Accuracy(), Accuracy()))
    with pytest.raises(FkitError, match="two metrics give 'accuracy/top1'"):
        twice.compute(twice.observe(twice.empty(), {"pred_score": said}, {"gt_label": labels}, range(10)))


def test_a_number_by_its_name_or_the_end_of_it():
    numbers = {"coco/bbox_mAP": 1.0, "voc/mAP": 2.0, "b/mAP": 3.0, "loss": 4.0}
    assert get_metric_value("bbox_mAP", numbers) == 1.0 and get_metric_value("voc/mAP", numbers) == 2.0
    assert get_metric_value("loss", numbers) == 4.0
    for name, words in (("mAP", "'voc/mAP' or 'b/mAP'"), ("coco/mAP", "no metric"), ("bbox", "no metric")):
        with pytest.raises(FkitError, match=words):
            get_metric_value(name, numbers)


def test_metrics_learn_the_classes_of_the_data_and_see_the_meta():
    evaluator = Evaluator((IoUMetric(), Accuracy(metainfo={"classes": ("x",)}))).informed({"classes": ("a", "b")})
    assert [metric.classes for metric in evaluator.metrics] == [("a", "b"), ("x",)]
    batch = Batch(np.zeros((2, 1)), {"gt_label": np.array([0, 1])}, meta=({"sample_idx": 4}, {"sample_idx": 7}))
    assert truth(batch)["meta"][1]["sample_idx"] == 7 and sample_ids(batch, 0).tolist() == [4, 7]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_predictions_from_a_file_give_the_numbers_of_the_run(chunk, tmp_path):
    said, labels = scores()
    evaluator = Evaluator((Accuracy(topk=(1, 2)), DumpResults(str(tmp_path / "new/all.pkl"))))
    parts = [evaluator.observe(evaluator.empty(), {"pred_score": said[at]}, {"gt_label": labels[at]}, at) for at in (np.array([7, 8, 9]), np.arange(8))]  # fmt: skip
    numbers = evaluator.compute(evaluator.merge(*parts))
    again = evaluate(
        tmp_path / "new/all.pkl", [{"type": "Accuracy", "topk": (1, 2)}], chunk_size=chunk, allow_pickle=True
    )
    assert again == numbers and len(load(tmp_path / "new/all.pkl", allow_pickle=True)) == 10
    with pytest.raises(FkitError, match="allow_pickle"):
        evaluate(tmp_path / "new/all.pkl", Accuracy())


def test_predictions_as_elements_with_packed_targets():
    said, labels = scores()
    samples = [ClsDataSample().set_pred_score(row) for row in said]
    packed = [{"inputs": None, "targets": {"gt_label": int(label)}, "meta": {"img_path": "a.jpg"}} for label in labels]
    assert evaluate(samples, Accuracy(), packed)["accuracy/top1"] == np.mean(said.argmax(1) == labels)
    with pytest.raises(FkitError, match="10 predictions and 9 targets"):
        evaluate(samples, Accuracy(), packed[1:])


def test_detections_are_kept_small(tmp_path):
    sample = {"pred_instances": {"bboxes": np.zeros((1, 4)), "labels": np.zeros(1, int), "scores": np.ones(1), "masks": np.ones((1, 40, 50), bool)},
              "gt_instances": {"bboxes": np.zeros((1, 4))}, "ori_shape": (40, 50)}  # fmt: skip
    metric = DumpDetResults(str(tmp_path / "det.pickle"))
    assert metric.compute(metric.observe(metric.empty(), [sample], {}, [3])) == {}
    kept = load(tmp_path / "det.pickle", allow_pickle=True)[0]
    assert (
        kept["pred_instances"]["masks"][0]["size"] == [40, 50]
        and "gt_instances" not in kept
        and kept["sample_idx"] == 3
    )
    with pytest.raises(FkitError, match=r"\.pkl"):
        DumpResults("a.json")


def test_a_metric_for_each_of_several_data_sets():
    cfg = {
        "type": "mmdet.MultiDatasetsEvaluator",
        "metrics": [{"type": "Accuracy"}, {"type": "VOCMetric", "eval_mode": "area"}],
        "dataset_prefixes": ["a", "b"],
    }
    evaluator = Evaluator.of(cfg, fkit.registry().build).informed({"cumulative_sizes": [2, 3]})
    assert isinstance(evaluator, MultiDatasetsEvaluator) and isinstance(evaluator.metrics[1], VOCMetric)
    box = {"bboxes": np.array([[0, 0, 4, 4.0]]), "labels": np.array([0]), "scores": np.array([0.5])}
    rows = [
        {"pred_label": 1, "gt_label": 1},
        {"pred_label": 0, "gt_label": 1},
        {"pred_instances": box, "gt_instances": box},
    ]
    state = evaluator.observe(evaluator.empty(), rows, {}, np.arange(3))
    assert evaluator.compute(state) == {"a/accuracy/top1": 0.5, "b/pascal_voc/mAP": 1.0, "b/pascal_voc/AP50": 1.0}
    with pytest.raises(FkitError, match="2 metrics for 3 data sets"):
        one = Evaluator.of(cfg, fkit.registry().build).informed({"cumulative_sizes": [2, 3, 9]})
        one.observe(one.empty(), rows, {}, np.arange(3))


def panoptic():
    """20 pixels a row: thing 11 (cat) 8 px, thing 12 (cat) 4, stuff 13 (sky) 5, nothing 3; and a crowd of cats in the second."""
    first = np.array([[11] * 8 + [12] * 4 + [13] * 5 + [0] * 3])
    second = np.array([[21] * 10 + [22] * 6 + [0] * 4])
    segments = [[(11, 1, 0), (12, 1, 0), (13, 5, 0)], [(21, 1, 1), (22, 5, 0)]]
    said = [
        np.array([[1000] * 6 + [2000] * 5 + [1] * 6 + [2] * 3]),
        np.array([[1000] * 8 + [2] * 2 + [1] * 5 + [3000] * 5]),
    ]
    return (first, second), segments, said


def test_panoptic_quality_by_hand(tmp_path):
    """First: 1000 hits 11 (6 of 8 px, IoU 6/8), 2000 hits none (2 of 11, 3 of 12: IoU 3/6), so 12 is missed and 2000 false;
    sky 5/6. Second: 1000 lies in the crowd: not counted; sky 5/6; 3000: 1 px of sky, 4 of nothing: not counted."""
    maps, segments, said = panoptic()
    content = {
        "images": [{"id": 5}, {"id": 6}], "categories": [{"id": 1, "name": "cat", "isthing": 1}, {"id": 5, "name": "sky", "isthing": 0}],
        "annotations": [{"image_id": at + 5, "file_name": f"{at}.png", "segments_info": [{"id": a, "category_id": b, "iscrowd": c, "area": 0} for a, b, c in rows]} for at, rows in enumerate(segments)],
    }  # fmt: skip
    (tmp_path / "panoptic.json").write_text(json.dumps(content))
    for at, one in enumerate(maps):
        imwrite(np.stack((one * 0, one * 0, one), axis=-1).astype(np.uint8), tmp_path / f"{at}.png")
    metric = CocoPanopticMetric(ann_file=str(tmp_path / "panoptic.json"), seg_prefix=str(tmp_path), classwise=True)
    state = metric.empty()
    for at in (1, 0):
        state = metric.observe(
            state,
            {"pred_panoptic_seg": said[at][None]},
            {"meta": ({"img_id": at + 5, "img_path": f"x/{at}.jpg"},)},
            [at],
        )
    cat, sky = (0.75 / 2, 0.75, 0.5), (5 / 6, 5 / 6, 1.0)
    expected = {name: (a + b) / 2 for name, a, b in zip(("PQ", "SQ", "RQ"), cat, sky, strict=True)}
    expected |= {f"{name}_th": value for name, value in zip(("PQ", "SQ", "RQ"), cat, strict=True)} | {
        f"{name}/cat": value for name, value in zip(("PQ", "SQ", "RQ"), cat, strict=True)
    }
    expected |= {f"{name}_st": value for name, value in zip(("PQ", "SQ", "RQ"), sky, strict=True)} | {
        f"{name}/sky": value for name, value in zip(("PQ", "SQ", "RQ"), sky, strict=True)
    }
    assert metric.compute(state) == pytest.approx({f"coco_panoptic/{name}": value for name, value in expected.items()})
    given = CocoPanopticMetric(metainfo={"classes": ("cat", "sky"), "thing_classes": ("cat",)}, classwise=True)
    state = given.empty()
    for at in (0, 1):
        rows = tuple({"id": a, "category": {1: 0, 5: 1}[b], "is_thing": b == 1 and not c} for a, b, c in segments[at])
        state = given.observe(
            state,
            {"pred_panoptic_seg": said[at][None]},
            {"gt_panoptic_seg": maps[at][None], "meta": ({"segments_info": rows},)},
            [at],
        )
    assert given.compute(state) == metric.compute(observed_again(metric, said))


def observed_again(metric, said):
    parts = [
        metric.observe(
            metric.empty(),
            {"pred_panoptic_seg": said[at][None]},
            {"meta": ({"img_id": at + 5, "img_path": f"x/{at}.jpg"},)},
            [at],
        )
        for at in (0, 1, 1)
    ]
    return metric.merge(parts[2], metric.merge(parts[1], parts[0]))
