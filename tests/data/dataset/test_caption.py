"""Images with texts: a small file of each form."""

import json
from pathlib import Path

import pytest

import fkit
from fkit.data.dataset.caption import COCOVQA, COCOCaption, COCORetrieval, Flickr30kCaption, NoCaps
from fkit.tree.error import FkitError


def written(folder, content, name="a.json"):
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


def test_captions_of_coco(tmp_path: Path):
    file = written(tmp_path, [{"image": "val2014/COCO_val2014_000000184613.jpg", "caption": "a child"}])
    cfg = {"type": "COCOCaption", "ann_file": file, "data_prefix": {"img_path": "images"}}
    record = fkit.build(cfg, fkit.registry(), "datasets")[0]
    path = "images/val2014/COCO_val2014_000000184613.jpg"
    assert record == {"image_id": "000000184613", "img_path": path, "gt_caption": "a child", "sample_idx": 0}
    with pytest.raises(FkitError, match="record 0: a record without an image or a caption"):
        COCOCaption(written(tmp_path, [{"image": "a.jpg"}]))
    with pytest.raises(FkitError, match="it holds a dict, and not a list"):
        COCOCaption(written(tmp_path, {}))


def test_images_to_be_described(tmp_path: Path):
    content = {"images": [{"id": 3, "file_name": "x.jpg"}], "annotations": [{"id": 1, "image_id": 3}]}
    assert NoCaps(written(tmp_path, content), data_prefix="i")[0]["img_path"] == "i/x.jpg"
    content["annotations"][0]["image_id"] = 4
    with pytest.raises(FkitError, match="annotation 1: an annotation of an image that the file does not have"):
        NoCaps(written(tmp_path, content))


def test_captions_of_flickr(tmp_path: Path):
    sentences = [{"raw": "one", "sentid": 0}, {"raw": "two", "sentid": 1}]
    images = [
        {"imgid": number, "filename": f"{number}.jpg", "split": split, "sentences": sentences}
        for number, split in ((0, "val"), (1, "test"))
    ]
    dataset = Flickr30kCaption(written(tmp_path, {"images": images}), data_prefix="i", split="test")
    assert [(one["image_id"], one["gt_caption"], one["img_path"]) for one in dataset] == [
        (1, "one", "i/1.jpg"),
        (1, "two", "i/1.jpg"),
    ]
    with pytest.raises(FkitError, match="split = 'tset' is unknown"):
        Flickr30kCaption("a.json", split="tset")


def test_retrieval(tmp_path: Path):
    images = [{"id": number, "coco_url": f"http://images.cocodataset.org/val2017/{number}.jpg"} for number in (7, 5)]
    rows = [
        {"id": 40 + place, "image_id": number, "caption": text}
        for place, (number, text) in enumerate([(5, "a"), (7, "b"), (5, "c")])
    ]
    file = written(tmp_path, {"images": images, "annotations": rows})
    train, test = COCORetrieval(file, data_prefix="i"), COCORetrieval(file, data_prefix="i", test_mode=True)
    assert [(one["text"], one["text_id"], one["image_id"], one["image_ori_id"], one["ori_id"]) for one in train] == [
        ("a", 0, 1, 5, 40), ("b", 1, 0, 7, 41), ("c", 2, 1, 5, 42),
    ]  # fmt: skip
    assert [(one["text"], one["gt_text_id"], one["gt_image_id"]) for one in test] == [
        (["b"], [1], [0]),
        (["a", "c"], [0, 2], [1, 1]),
    ]
    assert test[0]["img_path"] == "i/val2017/7.jpg"


def test_questions(tmp_path: Path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/COCO_val2014_000000000042.jpg").write_text("x")
    question = {"image_id": 42, "question": "Is it?", "question_id": 420}
    written(tmp_path, {"questions": [question]}, "q.json")
    answers = [{"answer": text} for text in ("yes", "no", "yes", "yes")]
    written(tmp_path, {"annotations": [{"question_id": 420, "answers": answers, "answer_type": "yes/no"}]})
    given = {"data_root": str(tmp_path), "data_prefix": "images", "question_file": "q.json"}
    one = COCOVQA("a.json", **given)[0]
    assert (
        one["gt_answer"] == ["yes", "no"] and one["gt_answer_weight"] == [0.75, 0.25] and one["answer_type"] == "yes/no"
    )
    assert (
        one["img_path"] == str(tmp_path / "images/COCO_val2014_000000000042.jpg")
        and "gt_answer" not in COCOVQA(**given)[0]
    )
    written(tmp_path, {"questions": [{**question, "image_id": 1}]}, "q.json")
    with pytest.raises(FkitError, match=r"question 420: a question about an image that is not there \(image_id 1\)"):
        COCOVQA("a.json", **given)
