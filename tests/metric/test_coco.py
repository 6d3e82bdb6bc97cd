"""COCO's numbers: equal to a run of pycocotools by itself, in any order, split and number of processes."""

import contextlib
import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from pycocotools import mask as tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import fkit
from fkit.array.box import rescale
from fkit.metric.coco import CocoMetric
from fkit.metric.evaluator import Evaluator
from fkit.metric.lvis import LVISFixedAPMetric, LVISMetric
from fkit.structures import DataSample, InstanceData
from fkit.tree.error import FkitError, FkitValueError

NAMES = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l", "AR@100", "AR@300", "AR@1000", "AR_s@1000", "AR_m@1000", "AR_l@1000")  # fmt: skip


def annotations(seed=0, images=12):
    """An annotation file's content: gaps among ids, crowds, ignored objects, an image of none, category ids not in order."""
    rng = np.random.default_rng(seed)
    content = {
        "images": [{"id": 3 * n + 100, "file_name": f"{n}.jpg", "width": 320, "height": 240} for n in range(images)],
        "categories": [{"id": number, "name": name} for number, name in ((7, "cat"), (2, "dog"), (90, "emu"))],
        "annotations": [],
    }
    for number, image in enumerate(content["images"]):
        for place in range(0 if number == 4 else int(rng.integers(1, 9))):
            x, y = rng.uniform(0, 200, 2).round(2)
            w, h = (rng.uniform(4, 40, 2) * rng.choice([0.5, 1, 3])).round(2)
            crowd = int(place == 2)
            corners = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            rle = tools.encode(
                np.asfortranarray(
                    np.pad(np.ones((int(h) + 1, int(w) + 1), np.uint8), ((40, 240), (60, 320)))[:240, :320]
                )
            )
            content["annotations"].append({
                "id": len(content["annotations"]) + 5, "image_id": image["id"], "category_id": int(rng.choice([7, 2, 90])),
                "bbox": [x, y, w, h], "area": w * h * 0.8, "iscrowd": crowd, "ignore": int(place == 5),
                "segmentation": {"size": [240, 320], "counts": rle["counts"].decode()} if crowd else corners,
            })  # fmt: skip
    return content


def predictions(content, seed=1):
    """Made-up predictions of each image, as a model that sees it resized makes them: (image, pred_instances)."""
    rng = np.random.default_rng(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = content
        coco.createIndex()
    ids = [category["id"] for category in content["categories"]]
    for number, image in enumerate(content["images"]):
        size = image["height"], image["width"]
        factor = rng.uniform(0.4, 2.5, 2).astype(np.float32)
        truth = coco.imgToAnns[image["id"]]
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (one["bbox"] for one in truth for _ in range(2))]
        labels = [
            ids.index(one["category_id"]) if rng.random() < 0.9 else int(rng.integers(len(ids)))
            for one in truth
            for _ in range(2)
        ]
        masks = [np.roll(coco.annToMask(one), rng.integers(-2, 3, 2), (0, 1)) for one in truth for _ in range(2)]
        more = {1: 0, 3: 140}.get(number, 6)
        low = rng.uniform(0, 0.7, (more, 2)) * size[::-1]
        boxes += np.concatenate((low, low + rng.uniform(3, 90, (more, 2))), axis=1).tolist()
        labels += rng.integers(0, len(ids), more).tolist()
        for x1, y1, x2, y2 in boxes[len(masks) :]:
            mask = np.zeros(size, np.uint8)
            mask[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1] = 1
            masks.append(mask)
        if number == 6:
            boxes, labels, masks = [], [], []
        seen = (np.array(boxes).reshape(-1, 4) + rng.normal(0, 1.5, (len(boxes), 4))) * np.tile(factor, 2)
        yield image, {
            "bboxes": rescale(seen.astype(np.float32), factor), "labels": np.array(labels, np.int64),
            "scores": rng.random(len(boxes)).round(2).astype(np.float32), "masks": np.array(masks, bool).reshape(-1, *size),
        }  # fmt: skip


def batches(content, seed=1, size=3):
    """(outputs, targets, ids) a batch: predictions padded to one number, the meta among the targets."""
    rows = list(predictions(content, seed))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        most = max(len(pred["labels"]) for _, pred in part)
        real = np.arange(most) < np.array([len(pred["labels"]) for _, pred in part])[:, None]
        stacked = {
            name: [np.concatenate((pred[name], np.zeros((most - len(pred[name]), *pred[name].shape[1:]), pred[name].dtype))) for _, pred in part]
            for name in part[0][1]
        }  # fmt: skip
        same = len({(image["height"], image["width"]) for image, _ in part}) == 1
        outputs = {
            "pred_instances": {name: np.stack(v) if same or name != "masks" else v for name, v in stacked.items()},
            "valid": {"pred_instances": real},
        }
        meta = tuple({"img_id": image["id"], "ori_shape": (image["height"], image["width"])} for image, _ in part)
        yield outputs, {"meta": meta}, np.arange(start, start + len(part))


def own_run(content, folder, kind, seed=1, counts=(100, 300, 1000)):
    """pycocotools' summary of the same predictions, by its own files and calls."""
    ids = [category["id"] for category in content["categories"]]
    lines = []
    for image, pred in predictions(content, seed):
        for box, label, score, mask in zip(pred["bboxes"], pred["labels"], pred["scores"], pred["masks"], strict=True):
            x1, y1, x2, y2 = box.tolist()
            line = {"image_id": image["id"], "category_id": ids[label], "score": float(score)}
            rle = tools.encode(np.asfortranarray(mask.astype(np.uint8)))
            part = (
                {"segmentation": {**rle, "counts": rle["counts"].decode()}}
                if kind == "segm"
                else {"bbox": [x1, y1, x2 - x1, y2 - y1]}
            )
            lines.append({**line, **part})  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(lines))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "segm" if kind == "segm" else "bbox")
        evaluation.params.maxDets = list(counts)
        evaluation.params.useCats = int(kind != "proposal")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats.tolist(), strict=True))


def observed(metric, parts):
    state = metric.empty()
    for outputs, targets, ids in parts:
        state = metric.observe(state, outputs, targets, ids)
    return state


@pytest.mark.parametrize("kind", ["bbox", "segm", "proposal"])
def test_equal_to_a_run_of_pycocotools(kind, tmp_path):
    content = annotations()
    expected = own_run(content, tmp_path, kind)
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"), metric=kind, metric_items=NAMES)
    numbers = metric.compute(observed(metric, batches(content)))
    name = "coco/{}" if kind == "proposal" else f"coco/{kind}_{{}}"
    assert numbers == {name.format(key): value for key, value in expected.items()}
    assert 0.05 < numbers[name.format("mAP")] < 0.9 and numbers[name.format("AR@1000")] > numbers[name.format("mAP_m")]


def test_any_order_split_and_repeats_give_the_same_bits(tmp_path):
    content = annotations()
    (tmp_path / "truth.json").write_text(json.dumps(content))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"), metric=["bbox", "segm"], classwise=True)
    whole = metric.compute(observed(metric, batches(content)))
    singles = list(batches(content, size=1))
    several = [singles[at] for at in np.random.default_rng(0).permutation(len(singles))]
    parts = [observed(metric, several[start::3]) for start in range(3)]
    repeated = observed(metric, several[:4])
    merged = metric.merge(
        metric.merge(parts[2], metric.empty()), metric.merge(repeated, metric.merge(parts[1], parts[0]))
    )
    assert metric.compute(merged) == whole
    assert {"coco/cat_bbox_precision", "coco/emu_segm_precision"} <= set(whole)


CHILD = """
import pickle, sys
metric, parts = pickle.load(open(sys.argv[1], "rb"))
state = metric.empty()
for outputs, targets, ids in parts:
    state = metric.observe(state, outputs, targets, ids)
pickle.dump(state, open(sys.argv[1] + ".state", "wb"))
"""


def test_two_processes(tmp_path):
    content = annotations()
    (tmp_path / "truth.json").write_text(json.dumps(content))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"), metric=["bbox", "segm"])
    parts = list(batches(content))
    running = []
    for rank in range(2):
        (tmp_path / f"{rank}").write_bytes(pickle.dumps((metric, [*parts[rank::2], parts[0]])))
        running.append(subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / f"{rank}")]))
    assert [process.wait(120) for process in running] == [0, 0]
    states = [pickle.loads((tmp_path / f"{rank}.state").read_bytes()) for rank in range(2)]
    assert metric.compute(metric.merge(states[1], states[0])) == metric.compute(observed(metric, parts))


def test_truth_that_comes_with_the_batch(tmp_path):
    """Equal to the run on the file, where the areas are the boxes'."""
    content = annotations()
    for one in content["annotations"]:
        one["area"], one["ignore"] = one["bbox"][2] * one["bbox"][3], 0
    ids = [category["id"] for category in content["categories"]]
    expected = own_run(content, tmp_path, "bbox")
    metric = CocoMetric(metric_items=NAMES, metainfo={"classes": ("cat", "dog", "emu")})
    state = metric.empty()
    for outputs, targets, number in batches(content):
        meta = []
        for one in targets["meta"]:
            mine = [row for row in content["annotations"] if row["image_id"] == one["img_id"]]
            rows = tuple({"bbox": [x, y, x + w, y + h], "bbox_label": ids.index(row["category_id"]), "ignore_flag": row["iscrowd"]}
                         for row in mine for x, y, w, h in [row["bbox"]])  # fmt: skip
            meta.append({**one, "instances": rows})
        state = metric.observe(state, outputs, {"meta": tuple(meta)}, number)
    numbers = metric.compute(state)
    assert numbers == pytest.approx({f"coco/bbox_{key}": value for key, value in expected.items()}, abs=0.01)
    pairs = {
        "gt_instances": {"bboxes": np.array([[[0, 0, 9, 9.0]]]), "labels": np.array([[1]])},
        "img_id": np.array([4]),
    }
    said = {"bboxes": np.array([[0, 0, 9, 9.0]]), "labels": np.array([1]), "scores": np.array([0.5])}
    for outputs in ({"pred_instances": {key: value[None] for key, value in said.items()}}, [{"pred_instances": said}],
                    [DataSample(pred_instances=InstanceData(**said))]):  # fmt: skip
        state = metric.observe(metric.empty(), outputs, pairs, [0])
        assert metric.compute(state)["coco/bbox_AR@100"] == 1.0


def test_results_are_written_and_read_by_pycocotools(tmp_path):
    content = annotations()
    (tmp_path / "truth.json").write_text(json.dumps(content))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"), metric=["bbox", "segm"], format_only=True, outfile_prefix=str(tmp_path / "new/run"))  # fmt: skip
    assert metric.compute(observed(metric, batches(content))) == {}
    with contextlib.redirect_stdout(io.StringIO()):
        results = COCO(str(tmp_path / "truth.json")).loadRes(str(tmp_path / "new/run.segm.json"))
    count = sum(len(pred["labels"]) for _, pred in predictions(content))
    assert len(results.anns) == len(json.loads((tmp_path / "new/run.bbox.json").read_text())) == count > 200


def test_classes_of_the_data_decide_which_category_a_label_is(tmp_path):
    content = annotations()
    (tmp_path / "truth.json").write_text(json.dumps(content))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"), classwise=True)
    swapped = metric.informed({"classes": ("dog", "unicorn", "cat")})
    state = observed(metric, batches(content))
    assert "coco/unicorn_precision" not in swapped.compute(state)
    assert swapped.compute(state)["coco/cat_precision"] != metric.compute(state)["coco/cat_precision"]
    with pytest.raises(FkitValueError, match="has none of the 1 classes"):
        metric.informed({"classes": ("yeti",)}).compute(state)


def test_no_prediction_at_all_is_a_score_of_zero(tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps(annotations()))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"), metric=["bbox", "proposal_fast"])
    none = {"bboxes": np.zeros((1, 0, 4)), "labels": np.zeros((1, 0), int), "scores": np.zeros((1, 0))}
    numbers = metric.compute(metric.observe(metric.empty(), {"pred_instances": none}, {"img_id": [100]}, [0]))
    assert numbers["coco/bbox_mAP"] == numbers["coco/AR@100"] == 0.0


@pytest.mark.parametrize(("change", "words"), [
    ({"metric": "boxes"}, "CocoMetric: metric = 'boxes'"), ({"metric_items": ["mAP_5"]}, "mAP_50"),
    ({"format_only": True}, "outfile_prefix is not set"), ({"proposal_nums": "x"}, "proposal_nums"),
    ({"collect_device": "tpu"}, "collect_device"), ({"iou_thrs": ["a"]}, "iou_thrs"),
])  # fmt: skip
def test_arguments_are_checked_at_construction(change, words):
    with pytest.raises(FkitError, match=words):
        CocoMetric(**change)


def test_what_is_wrong_with_predictions_is_told(tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps(annotations()))
    metric = CocoMetric(ann_file=str(tmp_path / "truth.json"))
    one = {"bboxes": np.zeros((1, 1, 4)), "labels": np.array([[3]]), "scores": np.array([[0.5]])}

    def seen(img_id=100, **change):
        return metric.observe(metric.empty(), {"pred_instances": {**one, **change}}, {"img_id": [img_id]}, [0])

    with pytest.raises(FkitValueError, match="label 3 is none of the 3 classes"):
        metric.compute(seen())
    with pytest.raises(FkitValueError, match="the image 1 is not in"):
        metric.compute(seen(1))
    with pytest.raises(FkitValueError, match="not finite"):
        seen(bboxes=np.full((1, 1, 4), np.nan))
    with pytest.raises(FkitError, match="needs 'scores'"):
        metric.observe(metric.empty(), {"pred_instances": {"bboxes": one["bboxes"]}}, {}, [0])
    with pytest.raises(FkitError, match=r"missing\.json"):
        CocoMetric(ann_file=str(tmp_path / "missing.json")).compute(seen())


def test_a_config_names_it_and_the_evaluator_hands_on_the_meta(tmp_path):
    content = annotations()
    (tmp_path / "truth.json").write_text(json.dumps(content))
    cfg = [
        {"type": "mmdet.CocoMetric", "ann_file": str(tmp_path / "truth.json"), "backend_args": None, "prefix": "val"}
    ]
    evaluator = Evaluator.of(cfg, fkit.registry().build)
    outputs, targets, ids = next(batches(content))
    state = evaluator.observe(evaluator.empty(), outputs, targets, ids)
    assert next(iter(evaluator.compute(state))) == "val/bbox_mAP"


LVIS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR@300", "ARs@300", "ARm@300", "ARl@300")
# figures of the package lvis 0.5.3 on the same made-up annotations and predictions
RECORDED = {
    "bbox": (0.313178239086, 0.526472152351, 0.360962810298, 0.361483628655, 0.362746545674, 1.0, 0.398410885045, 0.36352337111, 0.177600461103, 0.705384615385, 0.557602339181, 0.927777777778, 1.0),
    "segm": (0.25993738516, 0.455568409962, 0.20108808403, 0.27558513054, 0.341628984411, 0.95, 0.316179332865, 0.287505422246, 0.17612740037, 0.670512820513, 0.487134502924, 0.944444444444, 1.0),
    "fixed": (0.231447326893, 0.412904623796, 0.267027728414, 0.292616085784, 0.220380746866, 1.0, 0.353156744246, 0.226613375623, 0.114571860811),
}  # fmt: skip


@pytest.fixture
def lvis():
    """Annotations of LVIS's form: no crowds, categories that are not in an image, and some that are not all annotated."""
    content = annotations(images=14)
    rng = np.random.default_rng(5)
    for category, frequency in zip(content["categories"], "rcf", strict=True):
        category["frequency"] = frequency
    for one in content["annotations"]:
        one["iscrowd"] = 0
        one.pop("ignore")
        if isinstance(one["segmentation"], dict):
            x, y, w, h = one["bbox"]
            one["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    for image in content["images"]:
        mine = {one["category_id"] for one in content["annotations"] if one["image_id"] == image["id"]}
        image["neg_category_ids"] = [c for c in (7, 2, 90) if c not in mine and rng.random() < 0.5]
        image["not_exhaustive_category_ids"] = [c for c in mine if rng.random() < 0.3]
    return content


@pytest.fixture
def file(lvis, tmp_path):
    (tmp_path / "lvis.json").write_text(json.dumps(lvis))
    return str(tmp_path / "lvis.json")


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_lvis_equal_to_its_package(kind, lvis, file):
    metric = LVISMetric(ann_file=file, metric=kind, metric_items=LVIS)
    numbers = metric.compute(observed(metric, batches(lvis)))
    assert numbers == pytest.approx({f"lvis/{kind}_{name}": value for name, value in zip(LVIS, RECORDED[kind], strict=True)}, abs=1e-11)  # fmt: skip


def test_the_best_of_each_category_over_all_images(lvis, file):
    metric = LVISFixedAPMetric(ann_file=file, topk=40)
    numbers = metric.compute(observed(metric, batches(lvis)))
    assert numbers == pytest.approx({f"lvis_fixed_ap/{name}": value for name, value in zip(LVIS, RECORDED["fixed"], strict=False)}, abs=1e-11)  # fmt: skip
    parts = [observed(metric, [part]) for part in batches(lvis)]
    assert metric.compute(metric.merge(parts[3], metric.merge(metric.merge(parts[4], parts[1]), metric.merge(parts[2], parts[0])))) == numbers  # fmt: skip


def test_lvis_needs_its_file():
    for make in (LVISFixedAPMetric, lambda: LVISMetric(metric_items=["mAP"])):
        with pytest.raises(FkitError, match=r"ann_file|AP50"):
            make()
