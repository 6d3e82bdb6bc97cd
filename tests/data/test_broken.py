"""Broken input, as a user meets it: an error that names file and record, or left out and counted under on_error="skip"."""

import json
import warnings

import numpy as np
import pytest

from fkit.data.dataset import BaseDataset, CocoDataset
from fkit.data.dataset.classification import CustomDataset
from fkit.data.dataset.pose import BaseCocoStyleDataset
from fkit.data.dataset.xml import VOCDataset
from fkit.data.transform.annotation import LoadAnnotations
from fkit.data.transform.loading import LoadImageFromFile
from fkit.data.transform.segmentation.annotation import SegLoadAnnotations
from fkit.image import imwrite
from fkit.tree.error import FkitError

NAN = float("nan")
GONE = object()


def both(make, words, left=None):
    """The error, and the dataset of what is left with its counts."""
    with pytest.raises(FkitError, match=words):
        make("raise")
    with pytest.warns(UserWarning, match="left out"):
        data = make("skip")
    assert sum(data.skipped.values()) == 1 and (left is None or len(data) == left)
    return data


COCO = {
    "a category that is a list": ("annotations", "category_id", [1], "annotation 1: an annotation whose ids are neither"),
    "no category": ("annotations", "category_id", GONE, "annotation 1: an annotation without a category_id"),
    "an image that is a list": ("annotations", "image_id", [1], "whose ids are neither numbers nor text"),
    "a box beyond all pictures": ("annotations", "bbox", [5, 5, 1e300, 3], "annotation 1: a box that is not four finite"),
    "a crowd in words": ("annotations", "iscrowd", "no", "annotation 1: an iscrowd that is neither 0 nor 1"),
    "an area in words": ("annotations", "area", "big", "annotation 1: an area that is no number"),
    "an area that is none": ("annotations", "area", NAN, "an area that is no number"),
    "a mask that is none": ("annotations", "segmentation", 5, "annotation 1: a mask that is neither polygons nor run lengths"),
    "points that are none": ("annotations", "segmentation", [[NAN, 1, 2, 3, 4, 5]], "a mask whose points are no finite numbers"),
    "points in words": ("annotations", "segmentation", [["a", 1, 2, 3, 4, 5]], "a mask whose points are no finite numbers"),
    "runs without a size": ("annotations", "segmentation", {"counts": [1600]}, "run lengths without a size and counts"),
    "runs that are too few": ("annotations", "segmentation", {"size": [40, 40], "counts": [5]}, "do not add up to their 40x40"),
    "runs that go back": ("annotations", "segmentation", {"size": [40, 40], "counts": [-5, 1605]}, "do not add up"),
    "a file that is a number": ("images", "file_name", 5, "image 3: an image whose id is neither"),
    "no width": ("images", "width", GONE, "image 3: an image that does not say its height and width"),
}  # fmt: skip


def coco(folder, change=None, extra=None):
    box = {"category_id": 1, "bbox": [5, 5, 9, 9], "area": 81, "iscrowd": 0, "segmentation": [[5, 5, 14, 5, 14, 14]]}
    content = {
        "images": [{"id": at, "file_name": f"{at}.png", "width": 40, "height": 40} for at in (1, 2, 3)],
        "annotations": [{"id": at, "image_id": at, **box} for at in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}, *(extra or [])],
    }
    if change is not None:
        rows, key, value, _ = change
        row = content[rows][0 if rows == "annotations" else 2]
        row.pop(key) if value is GONE else row.__setitem__(key, value)
    (folder / "a.json").write_text(json.dumps(content))
    for at in (1, 2, 3):
        imwrite(np.zeros((40, 40, 3), np.uint8), folder / f"{at}.png")
    words = dict(data_root=str(folder), data_prefix={"img": ""}, metainfo={"classes": ("cat",)})
    return lambda mode: CocoDataset("a.json", on_error=mode, **words)


@pytest.mark.parametrize("name", COCO)
def test_a_record_of_coco(name, tmp_path):
    data = both(coco(tmp_path, COCO[name]), COCO[name][3])
    assert sum(len(one["instances"]) for one in data) == (2 if COCO[name][0] == "images" else 1)


def test_a_mask_without_an_inside_is_counted_and_its_object_ignored(tmp_path):
    with pytest.warns(UserWarning, match="1 x a mask of less than three points, whose object is ignored"):
        data = coco(tmp_path, ("annotations", "segmentation", [[1, 2, 3, 4]], ""))("raise")
    assert LoadAnnotations(with_mask=True)(data[0])["gt_ignore_flags"].tolist() == [True]


def test_two_categories_of_one_name(tmp_path):
    with pytest.raises(FkitError, match="two categories are called 'cat'"):
        coco(tmp_path, extra=[{"id": 2, "name": "cat"}])("skip")


def test_an_image_of_another_size_than_its_record_says(tmp_path):
    imwrite(np.zeros((20, 40, 3), np.uint8), tmp_path / "a.png")
    sample = {"img_path": str(tmp_path / "a.png"), "height": 20, "width": 40}
    assert LoadImageFromFile()(sample)["ori_shape"] == (20, 40)
    with pytest.raises(FkitError, match=r"a.png: is 40 x 20 pixels, and its annotations say 30 x 20"):
        LoadImageFromFile()({**sample, "width": 30})
    with pytest.raises(FkitError, match="color_ignore_orientation"):
        LoadImageFromFile()({**sample, "height": 40, "width": 20})


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((8, 9), np.uint8), "the map is 9 x 8 pixels, and its image 20 x 10"),
        (np.zeros((10, 20, 3), np.uint8), "holds 3 colours a pixel"),
        (np.full((10, 20), 300, np.uint16), "holds labels from 300 to 300"),
    ],
)
def test_a_map_that_is_none_of_its_image(pixels, words, tmp_path):
    imwrite(pixels, tmp_path / "a.png")
    sample = {"seg_map_path": str(tmp_path / "a.png"), "ori_shape": (10, 20)}
    with pytest.raises(FkitError, match=words):
        SegLoadAnnotations()(sample)


def voc(folder, text, names="0\n1\n"):
    whole = "<annotation><size><width>40</width><height>40</height></size>{}</annotation>"
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "JPEGImages").mkdir(exist_ok=True)
    for at in (0, 1):
        (folder / f"JPEGImages/{at}.jpg").write_bytes(b"x")
    (folder / "Annotations/0.xml").write_text(whole.format(item()))
    (folder / "Annotations/1.xml").write_text(text if text.startswith("<html") else whole.format(text))
    (folder / "list.txt").write_text(names)
    words = dict(data_root=str(folder), metainfo={"classes": ("cat",)})
    return lambda mode: VOCDataset("list.txt", on_error=mode, **words)


def item(box=(5, 5, 15, 15), name="<name>cat</name>", hard="0"):
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object>{name}<difficult>{hard}</difficult><bndbox>{sides}</bndbox></object>"


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        (item((100, 100, 120, 120)), r"1.xml: object 0: a box outside of its image .*, image 40x40", 2),
        (item((-90, -90, -50, -50)), "a box outside of its image", 2),
        (item((1, 1, "1e300", 5)), "a box that is not four numbers", 2),
        (item(name=""), "object 0: an object without a name", 2),
        (item(hard="very"), "a difficult that is no number", 2),
        ("<html></html>", "an XML file of another form than VOC's", 1),
    ],
)
def test_an_object_of_voc(text, words, left, tmp_path):
    both(voc(tmp_path, text), words, left)


def test_a_name_twice(tmp_path):
    both(voc(tmp_path, item(), "0\n1\n0\n"), "list.txt: line 3: a name that came before", 2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (5, r"a.json: data_list\[1\]: BaseDataset: a record is a mapping"),
        ({"gt_label": 0}, r"data_list\[1\]: a record has no 'img_path'"),
        ({"img_path": 5}, r"data_list\[1\]: 'img_path' of a record is a file's name"),
        ({"img_path": "a", "gt_label": 9}, r"data_list\[1\]: a label that is none of the classes \(gt_label 9 of 2"),
        ({"img_path": "a", "gt_label": NAN}, "a label that is no whole number"),
        ({"img_path": "a", "instances": [{"bbox": [1, 2, NAN, 4], "bbox_label": 0}]}, "a box that is not finite"),
        (
            {"img_path": "a", "instances": [{"bbox": [1, 2, 3, 4], "bbox_label": 2}]},
            r"instances\[0\].bbox_label 2 of 2",
        ),
        ({"img_path": "a", "instances": [None]}, "an instance that is no mapping"),
    ],
)
def test_a_record_of_a_file_of_openmmlabs(row, words, tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"metainfo": {"classes": ["a", "b"]}, "data_list": [{"img_path": "0", "gt_label": 1}, row]})
    )
    for name in ("0", "a"):
        (tmp_path / name).write_bytes(b"x")
    both(lambda mode: BaseDataset("a.json", data_root=str(tmp_path), on_error=mode), words, 1)
    for rows in (None, {}, "abc"):
        (tmp_path / "a.json").write_text(json.dumps({"metainfo": {}, "data_list": rows}))
        with pytest.raises(FkitError, match="data_list is a list"):
            BaseDataset("a.json", data_root=str(tmp_path), on_error="skip")


def test_an_image_with_two_labels(tmp_path):
    (tmp_path / "0.png").write_bytes(b"x")
    (tmp_path / "a.txt").write_text("0.png 0\n0.png 0\n0.png 1\n")
    words = dict(data_root=str(tmp_path), ann_file="a.txt", metainfo={"classes": ("a", "b")})
    both(lambda mode: CustomDataset(on_error=mode, **words), "line 3: an image that came before with another label", 2)


@pytest.mark.parametrize(("key", "value"), [("area", "x"), ("iscrowd", "x"), ("num_keypoints", NAN)])
def test_a_person(key, value, tmp_path):
    person = {"category_id": 1, "bbox": [5, 5, 9, 9], "keypoints": [10, 10, 2] * 2, "num_keypoints": 2}
    rows = [{"id": at, "image_id": 1, **person, **({key: value} if at else {})} for at in (0, 1)]
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": 40, "height": 40}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "1.png").write_bytes(b"x")
    points = {at: dict(name=f"p{at}", id=at, color=[0, 0, 0], type="", swap="") for at in (0, 1)}
    meta = dict(dataset_name="two", keypoint_info=points, skeleton_info={}, joint_weights=[1, 1], sigmas=[1, 1])
    words = dict(data_root=str(tmp_path), metainfo=meta, data_prefix={"img": ""})
    both(
        lambda mode: BaseCocoStyleDataset("a.json", on_error=mode, **words), f"annotation 1: {key} that is no number", 1
    )
    rows[1].pop("keypoints")
    rows[1].pop(key, None)
    (tmp_path / "a.json").write_text(json.dumps(content))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        BaseCocoStyleDataset("a.json", **words)
    assert ["1 x an annotation without keypoints" in str(one.message) for one in seen] == [True]
