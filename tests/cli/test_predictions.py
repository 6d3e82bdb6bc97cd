"""Predictions kept in a file by `fkit test --predictions`, and scored from there, or from files of others, by `--from`."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import fkit
from fkit.cli.main import main
from fkit.edge.predictions import score_predictions
from fkit.fileio import load
from fkit.image import imwrite
from fkit.metric.kept import first_line, last_line, read_rows, row_line
from fkit.structures.coco import bitmap_to_rle
from fkit.tree.error import FkitError

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
SHORT = ["train_cfg.max_epochs=1", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]
SIZE = 40


def command(capsys, *words):
    """(exit code, standard output, standard error)."""
    capsys.readouterr()
    return main(["test", *map(str, words)]), *capsys.readouterr()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A file of predictions, and the scores of the test that wrote it."""
    folder = tmp_path_factory.mktemp("kept")
    assert main(["train", CONVNET, "--work-dir", str(folder / "work"), "--cfg-options", *SHORT]) == 0
    words = ["--predictions", str(folder / "said.jsonl"), "--out", str(folder / "scores.json")]
    assert main(["test", CONVNET, str(folder / "work"), *words]) == 0
    return folder / "said.jsonl", load(folder / "scores.json")


def test_predictions_are_kept_while_testing_and_scored_without_a_model(kept, capsys, tmp_path):
    file, scores = kept
    rows = list(read_rows(file))
    assert [row["sample_idx"] for row in rows] == list(range(360)) and rows[7]["pred_score"].dtype == np.float32
    other = tmp_path / "cfg.py"
    other.write_text(f"_base_ = {CONVNET!r}\nmodel = dict(_delete_=True, type='NotBuilt')\n")
    code, out, err = command(capsys, other, "--from", file, "--out", tmp_path / "again.json")
    assert (code, err) == (0, "") and out.startswith("accuracy/top1 0.") and load(tmp_path / "again.json") == scores
    assert fkit.evaluate(rows, {"type": "Accuracy"}, [{"gt_label": row["pred_label"]} for row in rows]) == {
        "accuracy/top1": 1.0
    }


LINES = {
    "cut off in a line": (lambda lines: [*lines[:9], lines[9][:50]], "is cut off"),
    "cut off after one": (lambda lines: lines[:10], "is cut off"),
    "a sample twice": (lambda lines: [*lines[:5], lines[2], *lines[5:]], ":6: has sample_idx 1 a second time"),
    "a sample less": (lambda lines: [*lines[:5], *lines[6:]], "says that it ends after 360 samples, and has 359"),
    "a sample less, and so said": (lambda lines: [*lines[:5], *lines[6:-1], last_line(359)], "no prediction of the sample with sample_idx 4"),
    "another number": (lambda lines: [line.replace(b'idx": 7,', b'idx": 700,') for line in lines], "sample with sample_idx 7"),
    "other data": (lambda lines: [lines[0].replace(b"360", b"361"), *lines[1:]], "samples: 361 -> 360"),
    "other classes": (lambda lines: [lines[0].replace(b'"9"', b'"x"'), *lines[1:]], "'x' is gone, '9' is new"),
    "no line of JSON": (lambda lines: [*lines[:5], b"abc\n", *lines[6:]], ":6: is no prediction of a sample"),
    "an array that is none": (lambda lines: [*lines[:5], lines[5].replace(b"[10]", b"[11]"), *lines[6:]], ":6: an array is damaged"),
    "objects": (lambda lines: [*lines[:5], lines[5].replace(b"float32", b"object"), *lines[6:]], ":6: an array is damaged"),
    "later": (lambda lines: [lines[0].replace(b'"version": 1', b'"version": 2'), *lines[1:]], "is of version 2"),
    "something after the end": (lambda lines: [*lines, lines[3]], "says that it ends after 360 samples, and has more"),
    "another number of classes": (lambda lines: [lines[0].replace(b'"classes"', b'"c"'), row_line({"sample_idx": 0, "pred_score": np.ones(3)}), *lines[2:]], "scores of 3 classes"),
    "nothing": (lambda lines: [], "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_a_file_that_is_wrong_is_one_clear_error(name, kept, capsys, tmp_path):
    change, words = LINES[name]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"".join(change(kept[0].read_bytes().splitlines(keepends=True))))
    code, out, err = command(capsys, CONVNET, "--from", file)
    assert (code, out) == (2, "") and words in err and str(file) in err and "Traceback" not in err


def test_words_that_exclude_each_other(kept, capsys, tmp_path, here):
    file = kept[0]
    for words, said in (
        ([], "needs CHECKPOINT, or --from FILE"),
        (["work", "--from", file], "there is no CHECKPOINT"),
        (["--from", file, "--weights", "ema"], "there is no --weights"),
        (["--from", "a.jsonl"], "a.jsonl: is not there"),
        (["--from", CONVNET], "is no file of predictions that is read"),
        (["--from", file, "--eval", "mIoU"], "can be told what to measure: Accuracy"),
        ([file.parent / "work", "--predictions", "a.pkl"], "Say --predictions a.jsonl"),
        ([file.parent / "work", "--predictions", "no/a.jsonl"], "the folder no is not there"),
    ):
        code, out, err = command(capsys, CONVNET, *words)
        assert (code, out) == (2, "") and said in err, err
    code, out, err = command(capsys, CONVNET, file.parent / "work", "--predictions", "/dev/full")
    assert (code, out) == (1, "") and "/dev/full: cannot be written: No space left on device" in err


@pytest.fixture
def cells(tmp_path):
    """(config, boxes by image id) of a set of COCO's form: category ids with gaps, an image without objects."""
    (tmp_path / "images").mkdir()
    boxes = {5: [[2, 3, 10, 12], [20, 8, 9, 9]], 3: [], 9: [[4, 4, 30, 30], [1, 1, 6, 6], [10, 20, 12, 8]]}
    rows = [(image, box, (7, 2)[at % 2]) for image, several in boxes.items() for at, box in enumerate(several)]
    content = {
        "images": [{"id": image, "file_name": f"{image}.png", "width": SIZE, "height": SIZE} for image in boxes],
        "annotations": [{"id": at + 1, "image_id": image, "bbox": box, "category_id": number, "area": box[2] * box[3], "iscrowd": 0,
                         "segmentation": dict(bitmap_to_rle(mask(box)))} for at, (image, box, number) in enumerate(rows)],
        "categories": [{"id": 7, "name": "red"}, {"id": 2, "name": "white"}],
    }  # fmt: skip
    (tmp_path / "all.json").write_text(json.dumps(content))
    for image in boxes:
        imwrite(np.full((SIZE, SIZE, 3), image, np.uint8), tmp_path / f"images/{image}.png")
    dataset = dict(
        type="CocoDataset", ann_file="all.json", data_root=str(tmp_path), data_prefix=dict(img="images/"), test_mode=True,
        metainfo=dict(classes=("red", "white")), pipeline=[dict(type="LoadImageFromFile"), dict(type="PackDetInputs")],
    )  # fmt: skip
    cfg = fkit.Config(
        dict(
            default_scope="mmdet", seed=0, model=dict(type="NotBuilt"), test_dataloader=dict(batch_size=2, dataset=dataset),
            test_evaluator=dict(type="CocoMetric", ann_file=str(tmp_path / "all.json"), metric=["bbox", "segm"]),
        )
    )  # fmt: skip
    return cfg, boxes


def mask(box):
    x, y, w, h = box
    whole = np.zeros((SIZE, SIZE), bool)
    whole[y : y + h, x : x + w] = True
    return whole


def said(boxes):
    """What a detector says of each image: its boxes, one a little off, and their masks."""
    rows = []
    for image, several in boxes.items():
        xywh = np.array(several, np.float32).reshape(-1, 4) + np.float32([0.5, 0, 0, 0])
        group = {
            "bboxes": np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
            "scores": np.linspace(0.9, 0.4, len(several)).astype(np.float32),
            "labels": np.arange(len(several)) % 2,
            "masks": np.array([mask(box) for box in several]).reshape(-1, SIZE, SIZE),
        }
        rows.append({"sample_idx": len(rows), "img_id": image, "pred_instances": group, "ori_shape": (SIZE, SIZE)})
    return rows


def test_the_same_predictions_in_every_form_give_the_same_numbers(cells, tmp_path):
    cfg, boxes = cells
    rows = said(boxes)
    want = score_predictions(cfg, kept_file(tmp_path, rows))
    assert want["coco/bbox_mAP"] > 0.5 and want["coco/segm_mAP"] == pytest.approx(1.0)
    coded = [{**row, "pred_instances": {**row["pred_instances"], "masks": [
        {"size": [SIZE, SIZE], "counts": bitmap_to_rle(one)["counts"].encode()} for one in row["pred_instances"]["masks"]]}} for row in rows]  # fmt: skip
    of_mmengine = [
        {
            "img_id": row["img_id"],
            "gt_instances": {"bboxes": torch.zeros(1, 4)},
            "pred_instances": {
                key: torch.from_numpy(part) if isinstance(part, np.ndarray) else part
                for key, part in row["pred_instances"].items()
            },
        }
        for row in coded
    ]
    of_mmdet = [second(row) for row in coded]
    for name, content in (("engine", of_mmengine), ("turned", of_mmengine[::-1]), ("second", of_mmdet)):
        for protocol in (2, 5):
            file = tmp_path / f"{name}.pkl"
            file.write_bytes(pickle.dumps(content, protocol=protocol))
            assert score_predictions(cfg, file) == want, name
    # COCO's own: as the metric writes them, which gives no number then
    only = cfg.merge({"test_evaluator.format_only": True, "test_evaluator.outfile_prefix": str(tmp_path / "out")})
    assert score_predictions(only, tmp_path / "engine.pkl") == {}
    assert score_predictions(cfg, tmp_path / "out.segm.json") == pytest.approx(want, abs=1e-6)
    bare = score_predictions(cfg, tmp_path / "out.bbox.json", measures=["bbox"])
    assert bare == pytest.approx({name: value for name, value in want.items() if "bbox" in name}, abs=1e-6)


def kept_file(folder, rows):
    file = folder / "kept.jsonl"
    file.write_bytes(first_line({}) + b"".join(map(row_line, rows)) + last_line(len(rows)))
    return file


def second(row):
    """A sample as MMDetection 2 has it: boxes with scores of each class, and masks of each class."""
    group = row["pred_instances"]
    table = np.concatenate([group["bboxes"], group["scores"][:, None]], axis=1)
    places = [np.flatnonzero(group["labels"] == label) for label in range(2)]
    return [table[at] for at in places], [[group["masks"][one] for one in at] for at in places]


FORMS = {
    "of fewer": (lambda rows: rows[1:], "samples: 2 -> 3"),
    "of another number of classes": (lambda rows: [(boxes[:1], masks[:1]) for boxes, masks in rows], "boxes of 1 classes, and the data set has 2"),
    "of masks alone": (lambda rows: [(boxes, [masks[0][:1], []]) for boxes, masks in rows], "boxes and"),
    "of nothing known": (lambda rows: ["a", "b", "c"], "is no prediction"),
    "of none": (lambda rows: [], "not a list of what is predicted"),
    "of code": (lambda rows: [print], "needs builtins.print, which is not known here"),
    "of an image that is another's": (lambda rows: [{"img_id": at, "pred_instances": {}} for at in (4, 3, 9)], "no prediction of the sample with img_id 5"),
    "of one twice": (lambda rows: [{"img_id": at, "pred_instances": {}} for at in (5, 3, 5)], "has img_id 5 twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_pickle_that_is_wrong_is_one_clear_error(name, cells, tmp_path):
    cfg, boxes = cells
    change, words = FORMS[name]
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(change([second(row) for row in said(boxes)])))
    with pytest.raises(FkitError, match=words):
        score_predictions(cfg, file)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(FkitError, match=r"truncated|damaged|empty"):
        score_predictions(cfg, file)


ROW = {"image_id": 5, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([ROW, {**ROW, "image_id": 77}], "predictions of 1 samples that the data set has not: img_id 77"),
        ([ROW, {**ROW, "category_id": 1}], r"\[1\] is of category_id 1, which is none"),
        ([ROW, {**ROW, "bbox": [1, 2]}], r"\[1\]: bbox is \[x, y, w, h\]"),
        ([{**ROW, "score": "high"}], "'high' is no number"),
        ([{"image_id": 5}], r"\[0\] has no 'category_id'"),
        ({"images": []}, "is an annotation file; results of COCO's are"),
        ("text", "results of COCO's are"),
    ],
)
def test_results_that_are_none_of_cocos(content, words, cells, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FkitError, match=words):
        score_predictions(cells[0], tmp_path / "a.json", measures=["bbox"])


def test_classes_and_maps_of_the_first_generation(tmp_path, here):
    for at, label in enumerate((0, 1, 1)):
        imwrite(np.full((4, 6, 3), at, np.uint8), f"img/{at}.png")
        imwrite(np.full((4, 6), label, np.uint8), f"ann/{at}.png")
    pipeline = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), dict(type="PackSegInputs")]
    pictures = dict(type="BaseSegDataset", data_prefix=dict(img_path="img", seg_map_path="ann"), img_suffix=".png",
                    metainfo=dict(classes=("a", "b")), pipeline=pipeline)  # fmt: skip
    cfg = fkit.Config(
        dict(default_scope="mmseg", test_dataloader=dict(batch_size=1, dataset=pictures), test_evaluator=dict(type="IoUMetric"))
    )  # fmt: skip
    Path("maps.pkl").write_bytes(pickle.dumps([np.full((4, 6), one) for one in (0, 1, 0)]))
    assert score_predictions(cfg, "maps.pkl")["aAcc"] == pytest.approx(2 / 3)
    assert set(score_predictions(cfg, "maps.pkl", measures=["mDice"])) == {"aAcc", "mDice", "mAcc"}
    with pytest.raises(FkitError, match="mIoX"):
        score_predictions(cfg, "maps.pkl", measures=["mIoX"])
    digits = fkit.load_config(CONVNET)
    labels = [sample["gt_label"] for sample in fkit.data.dataset.Digits("test")]
    Path("classes.pkl").write_bytes(pickle.dumps({"class_scores": list(np.eye(10)[labels]), "pred_label": labels}))
    Path("scores.pkl").write_bytes(pickle.dumps(list(np.eye(10)[labels])))
    for file in ("classes.pkl", "scores.pkl"):
        assert score_predictions(digits, file) == {"accuracy/top1": 1.0}
