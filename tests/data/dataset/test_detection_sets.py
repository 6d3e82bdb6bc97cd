"""Detection data sets by their forms: VOC's XML, LVIS, Objects365, Cityscapes, CrowdHuman, panoptic, texts; a small file of each."""

import json
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.data.dataset import detection_sets as sets
from fkit.data.dataset.detection import CocoDataset
from fkit.data.dataset.grounding import Flickr30kDataset, MDETRStyleRefCocoDataset, ODVGDataset
from fkit.data.dataset.panoptic import ADE20KPanopticDataset, CocoPanopticDataset
from fkit.data.dataset.xml import VOCDataset, WIDERFaceDataset, XMLDataset
from fkit.image.io import imwrite
from fkit.tree.error import FkitError


def box(number, image, category, bbox=(1, 2, 3, 4), **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox), "area": 12, **more}


def written(folder, annotations, images, categories, name="a.json"):
    file = folder / name
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(file)


def image(number, name="a.jpg", **more):
    return {"id": number, "file_name": name, "width": 50, "height": 40, **more}


def named(facts, first=1):
    return [{"id": first + place, "name": name} for place, name in enumerate(facts["classes"])]


def xml(folder, name, *objects, size=(50, 40), more=""):
    sides = ("xmin", "ymin", "xmax", "ymax")
    rows = "".join(
        f"<object><name>{label}</name><difficult>{hard}</difficult><bndbox>"
        + "".join(f"<{side}>{number}</{side}>" for side, number in zip(sides, corners, strict=True))
        + "</bndbox></object>"
        for label, hard, corners in objects
    )
    sized = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    file = folder / "Annotations" / f"{name}.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<annotation>{more}{sized}{rows}</annotation>")


def test_voc(tmp_path: Path):
    root = tmp_path / "VOC2007"
    xml(root, "1", ("dog", 0, (2, 3, 10, 20)), ("cat", 1, (1, 1, 5.6, 5)), ("ufo", 0, (1, 1, 2, 2)))
    xml(root, "2")
    (root / "train.txt").write_text("1\n2\n")
    cfg = {
        "type": "VOCDataset",
        "ann_file": "VOC2007/train.txt",
        "data_root": str(tmp_path),
        "data_prefix": {"sub_data_root": "VOC2007/"},
    }
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    names = dataset.metainfo["classes"]
    assert dataset.metainfo["dataset_type"] == "VOC2007" and len(names) == 20
    assert dataset[0]["instances"] == [
        {"ignore_flag": 0, "bbox": [1, 2, 9, 19], "bbox_label": names.index("dog")},
        {"ignore_flag": 1, "bbox": [0, 0, 4, 4], "bbox_label": names.index("cat")},
    ]
    assert (dataset[0]["width"], dataset[0]["height"]) == (50, 40) and dataset[0]["img_path"] == str(
        root / "JPEGImages/1.jpg"
    )
    small = fkit.build(
        {**cfg, "filter_cfg": {"filter_empty_gt": True, "bbox_min_size": 10}}, fkit.registry(), "datasets"
    )
    assert len(small) == 1 and [one["ignore_flag"] for one in small[0]["instances"]] == [1, 1]
    assert (
        len(VOCDataset(str(root / "train.txt"), data_prefix={"sub_data_root": str(root)}, filter_cfg={"min_size": 41}))
        == 0
    )


def test_sizes_of_images_that_no_xml_says(tmp_path: Path):
    xml(tmp_path, "1", ("a", 0, (1, 1, 3, 3)), size=None)
    (tmp_path / "JPEGImages").mkdir()
    assert imwrite(np.zeros((7, 9, 3), np.uint8), tmp_path / "JPEGImages/1.jpg")
    (tmp_path / "t.txt").write_text("1")
    dataset = XMLDataset(str(tmp_path / "t.txt"), {"classes": ("a",)}, data_prefix={"sub_data_root": str(tmp_path)})
    assert (dataset[0]["height"], dataset[0]["width"]) == (7, 9)
    with pytest.raises(FkitError, match="metainfo has no 'classes'"):
        XMLDataset(str(tmp_path / "t.txt"))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda root: (root / "Annotations/2.xml").write_text("<annotation>"), r"2\.xml: a file that is no XML"),
        (lambda root: (root / "Annotations/2.xml").unlink(), r"2\.xml"),
        (lambda root: xml(root, "2", size=(0, 4)), "an image of no size"),
        (lambda root: xml(root, "2", ("a", 0, (9, 1, 3, "x"))), r"2\.xml: object 0: a box that is not four numbers"),
        (lambda root: xml(root, "2", ("a", 0, (9, 1, 3, 3))), "a box of a negative size"),
        (lambda root: xml(root, "2", ("a", 0, ("nan", 1, 3, 3))), "a box that is not four numbers"),
    ],
)
def test_broken_xml(broken, said, tmp_path: Path):
    (tmp_path / "JPEGImages").mkdir()
    for name in "12":
        xml(tmp_path, name, ("a", 0, (1, 1, 3, 3)))
        (tmp_path / f"JPEGImages/{name}.jpg").write_text("x")
    broken(tmp_path)
    (tmp_path / "t.txt").write_text("1\n2")
    arguments = (str(tmp_path / "t.txt"), {"classes": ("a",)}, "", {"sub_data_root": str(tmp_path)})
    with pytest.raises(FkitError, match=said):
        XMLDataset(*arguments)
    with pytest.warns(UserWarning, match="left out: 1 x"):
        dataset = XMLDataset(*arguments, on_error="skip")
    assert sum(dataset.skipped.values()) == 1 and dataset[0]["img_id"] == "1"


def test_wider_face(tmp_path: Path):
    xml(tmp_path, "0_x", ("face", 0, (2, 3, 10, 20)), more="<folder>0--Parade</folder>")
    (tmp_path / "train.txt").write_text("0_x\n")
    dataset = WIDERFaceDataset("train.txt", data_root=str(tmp_path), data_prefix={"img": ""})
    assert dataset[0]["instances"][0]["bbox"] == [2, 3, 10, 20] and dataset[0]["img_path"] == str(
        tmp_path / "0--Parade/0_x.jpg"
    )


def test_lvis(tmp_path: Path):
    facts = sets.LVISV1Dataset.METAINFO
    url = "http://images.cocodataset.org/train2017/000000391895.jpg"
    rows = [{"id": 1, "coco_url": url, "width": 50, "height": 40}]
    dataset = sets.LVISV1Dataset(
        written(tmp_path, [box(1, 1, 1203)], rows, named(facts)[::-1]), data_prefix={"img": "coco/"}
    )
    assert (
        dataset[0]["img_path"] == "coco/train2017/000000391895.jpg"
        and dataset.get_cat_ids(0) == (1202,)
        and len(facts["classes"]) == 1203
    )
    old = sets.LVISV05Dataset.METAINFO
    file = written(tmp_path, [box(1, 1, 1)], [image(1, "COCO_val2014_000000000042.jpg")], named(old))
    assert sets.LVISV05Dataset(file)[0]["img_path"] == "000000000042.jpg" and len(old["classes"]) == 1230
    with pytest.raises(FkitError, match="2 categories, and LVIS has 1203"):
        sets.LVISV1Dataset(written(tmp_path, [], rows, named(facts)[:2]))
    two = sets.LVISV1Dataset(
        written(tmp_path, [box(1, 1, 2)], rows, named(facts)[:2]), metainfo={"classes": facts["classes"][1:2]}
    )
    assert two.get_cat_ids(0) == (0,)


@pytest.mark.parametrize("kind", [sets.Objects365V1Dataset, sets.Objects365V2Dataset])
def test_objects365(kind, tmp_path: Path):
    rows = [image(1, "images/v1/patch6/objects365_v1_00320532.jpg"), image(2, "images/v2/patch9/b.jpg")]
    dataset = kind(written(tmp_path, [box(1, 2, 365)], rows, named(kind.METAINFO)[::-1]))
    assert dataset.get_cat_ids(-1) == (364,) and len(dataset.metainfo["classes"]) == 365
    if kind is sets.Objects365V2Dataset:
        assert [one["img_path"] for one in dataset] == ["patch9/b.jpg"]  # the other is a broken file
    else:
        assert len(dataset) == 2


def test_cityscapes_without_a_single_object_is_filtered(tmp_path: Path):
    rows = [box(1, 1, 24, iscrowd=1), box(2, 2, 24), box(3, 2, 24, iscrowd=1)]
    file = written(tmp_path, rows, [image(1), image(2), image(3)], [{"id": 24, "name": "person"}])
    cfg = {"type": "CityscapesDataset", "_scope_": "mmdet", "ann_file": file, "filter_cfg": {"filter_empty_gt": True}}
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    assert type(dataset) is sets.DetCityscapesDataset and [one["img_id"] for one in dataset] == [2]
    assert dataset.metainfo["classes"][:2] == ("person", "rider")


@pytest.mark.parametrize(
    ("kind", "count"), [(sets.DeepFashionDataset, 15), (sets.DetiSAIDDataset, 16), (CocoDataset, 80)]
)
def test_sets_of_cocos_form(kind, count, tmp_path: Path):
    dataset = kind(written(tmp_path, [box(1, 1, 2)], [image(1)], named(kind.METAINFO)))
    assert len(dataset.metainfo["classes"]) == count and dataset.get_cat_ids(0) == (1,)


def test_v3det(tmp_path: Path):
    (tmp_path / "names.txt").write_text("ant\nbee\n")
    written(tmp_path, [box(1, 1, 7)], [image(1)], [{"id": 7, "name": "bee"}, {"id": 8, "name": "ant"}])
    dataset = sets.V3DetDataset("a.json", data_root=str(tmp_path), label_file="names.txt")
    assert dataset.metainfo["classes"] == ("ant", "bee") and dataset.get_cat_ids(0) == (1,)


def test_crowdhuman(tmp_path: Path):
    boxes = {"fbox": [1, 2, 10, 20], "hbox": [2, 3, 4, 5], "vbox": [1, 2, 8, 9]}
    rows = [{"tag": "person", **boxes}, {"tag": "mask", **boxes}, {"tag": "person", **boxes, "extra": {"ignore": 1}}]
    (tmp_path / "annotation_val.odgt").write_text(json.dumps({"ID": "x,1", "gtboxes": rows}) + "\n")
    (tmp_path / "id_hw_val.json").write_text(json.dumps({"x,1": [40, 50]}))
    dataset = sets.CrowdHumanDataset("annotation_val.odgt", data_root=str(tmp_path), data_prefix={"img": "Images"})
    one = dataset[0]
    assert (one["height"], one["width"]) == (40, 50) and one["img_path"] == str(tmp_path / "Images/x,1.jpg")
    assert [(row["bbox_label"], row["ignore_flag"]) for row in one["instances"]] == [(0, 0), (-1, 1), (-1, 1)]
    assert one["instances"][0]["bbox"] == [1, 2, 11, 22] and one["instances"][0]["vbox"] == [1, 2, 9, 11]
    (tmp_path / "annotation_val.odgt").write_text('{"ID": "x,1"}\n')
    with pytest.raises(FkitError, match="line 1: a line of another form"):
        sets.CrowdHumanDataset("annotation_val.odgt", data_root=str(tmp_path))


def test_panoptic(tmp_path: Path):
    categories = [{"id": 1, "name": "person", "isthing": 1}, {"id": 187, "name": "sky-other-merged", "isthing": 0}]
    segments = [
        {"id": 10, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0},
        {"id": 11, "category_id": 187, "bbox": [0, 0, 50, 20], "area": 900, "iscrowd": 0},
        {"id": 12, "category_id": 1, "bbox": [5, 5, 9, 9], "area": 30, "iscrowd": 1},
    ]
    rows = [
        {"image_id": 1, "file_name": "a.png", "segments_info": segments},
        {"image_id": 2, "file_name": "b.png", "segments_info": segments[1:2]},
    ]
    file = written(tmp_path, rows, [image(1), image(2, "b.jpg")], categories)
    prefix = {"img": "images/", "seg": "panoptic/"}
    dataset = CocoPanopticDataset(file, data_prefix=prefix)
    names = dataset.metainfo["classes"]
    sky = names.index("sky-other-merged")
    one = dataset[0]
    assert one["segments_info"] == [
        {"id": 10, "category": 0, "is_thing": True}, {"id": 11, "category": sky, "is_thing": False}, {"id": 12, "category": 0, "is_thing": False},
    ]  # fmt: skip
    assert [row["bbox"] for row in one["instances"]] == [[1, 2, 4, 6]] and one["seg_map_path"] == "panoptic/a.png"
    assert len(names) == 133 and len(dataset.metainfo["thing_classes"]) == 80
    kept = CocoPanopticDataset(file, data_prefix=prefix, filter_cfg={"filter_empty_gt": True, "min_size": 32})
    assert [row["img_id"] for row in kept] == [1]
    assert len(ADE20KPanopticDataset.METAINFO["thing_classes"]) == 100
    segments[0]["category_id"] = 5
    with pytest.raises(FkitError, match=r"segment 10 of image 1: an unknown category \(category_id 5\)"):
        CocoPanopticDataset(written(tmp_path, rows, [image(1), image(2)], categories))


def test_boxes_of_classes_and_of_phrases(tmp_path: Path):
    found = {"filename": "a.jpg", "height": 40, "width": 50, "detection": {"instances": [
        {"bbox": [1, 2, 9, 9], "label": 1, "category": "dog"}, {"bbox": [60, 2, 69, 9], "label": 0, "category": "cat"}]}}  # fmt: skip
    (tmp_path / "od.jsonl").write_text(json.dumps(found) + "\n")
    (tmp_path / "names.json").write_text('{"0": "cat", "1": "dog"}')
    given = {"data_root": str(tmp_path), "data_prefix": {"img": "i"}}
    with pytest.warns(UserWarning, match="1 x a box under a pixel wide or high, or outside of its image"):
        one = ODVGDataset("od.jsonl", label_map_file="names.json", **given)[0]
    assert one["instances"] == [{"ignore_flag": 0, "bbox": [1, 2, 9, 9], "bbox_label": 1}]
    assert (
        one["text"] == {"0": "cat", "1": "dog"}
        and one["dataset_mode"] == "OD"
        and one["img_path"] == str(tmp_path / "i/a.jpg")
    )
    regions = [
        {"bbox": [[1, 2, 9, 9], [3, 3, 5, 5]], "phrase": "two dogs", "tokens_positive": [[0, 8]]},
        {"bbox": [1, 1, 4, 4], "phrase": "a cat", "tokens_positive": [[13, 18]]},
    ]
    row = {
        "filename": "a.jpg",
        "height": 40,
        "width": 50,
        "grounding": {"caption": "two dogs and a cat", "regions": regions},
    }
    (tmp_path / "vg.jsonl").write_text(json.dumps(row) + "\n")
    one = ODVGDataset("vg.jsonl", **given)[0]
    assert [box["bbox_label"] for box in one["instances"]] == [0, 0, 1] and one["text"] == "two dogs and a cat"
    assert one["phrases"][1] == {"phrase": "a cat", "tokens_positive": [[13, 18]]} and one["dataset_mode"] == "VG"
    (tmp_path / "vg.jsonl").write_text('{"filename": "a.jpg"}\n')
    with pytest.raises(FkitError, match="line 1: a line of another form"):
        ODVGDataset("vg.jsonl", **given)


def test_captions(tmp_path: Path):
    spans = [[[0, 5]], [[10, 15]]]
    more = {"caption": "a dog and a cat", "dataset_name": "refcoco", "tokens_positive_eval": spans}
    rows = [box(1, 4, 1, iscrowd=0, phrase_ids=9), box(2, 4, 1, iscrowd=0, phrase_ids=3)]
    file = written(tmp_path, rows, [image(4, **more), image(2, **more)], [{"id": 1, "name": "object"}])
    one = MDETRStyleRefCocoDataset(file, data_prefix={"img": "i/"})[0]
    assert (
        one["text"] == "a dog and a cat"
        and one["dataset_mode"] == "refcoco"
        and one["instances"][0]["bbox"] == [1, 2, 4, 6]
    )
    flickr = Flickr30kDataset(file, data_prefix={"img": "i/"})
    assert (
        [row["img_id"] for row in flickr] == [2, 4]
        and flickr[1]["phrase_ids"] == [1, 0]
        and flickr[1]["phrases"] == ["a dog", "a cat"]
    )
