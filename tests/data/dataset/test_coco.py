"""CocoDataset: records, filters, classes, and what is said of a file that is wrong."""

import json
from pathlib import Path

import pytest

import fkit
from fkit.data.dataset.detection import CocoDataset
from fkit.tree.error import FkitError

IMAGES = [
    {"id": 5, "file_name": "a.png", "width": 8, "height": 6},
    {"id": 2, "file_name": "b.jpg", "width": 40, "height": 30},
]
CATEGORIES = [{"id": 9, "name": "cell"}, {"id": 3, "name": "dust"}, {"id": 70, "name": "hair"}]


def box(number, image, category=9, bbox=(1, 2, 3, 4), **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(bbox),
        "area": 12,
        "iscrowd": 0,
        **more,
    }


def written(folder, annotations=None, images=IMAGES, categories=CATEGORIES, **more):
    content = {"images": images, "categories": categories, **more}
    if annotations is not None:
        content["annotations"] = annotations
    file = folder / "a.json"
    file.write_text(json.dumps(content))
    return str(file)


def cells(file, classes=("cell", "dust"), **more):
    return CocoDataset(file, metainfo={"classes": classes}, data_prefix={"img": "images/"}, **more)


def test_records(tmp_path: Path):
    masks = [[1, 1, 4, 1, 4, 4]]
    rows = [
        box(1, 2),
        box(2, 5, 3, (0, 0, 2.5, 2), segmentation=masks),
        box(3, 2, 9, iscrowd=1),
        box(4, 2, 9, ignore=1),
    ]
    rows += [box(5, 2, 70), box(6, 5, 9, (6, 4, 9, 9))]
    dataset = cells(written(tmp_path, rows))
    assert len(dataset) == 2 and [one["img_id"] for one in dataset] == [5, 2]
    assert dataset[0] == {
        "img_path": "images/a.png", "img_id": 5, "seg_map_path": None, "height": 6, "width": 8, "sample_idx": 0,
        "instances": [
            {"ignore_flag": 0, "bbox": [0, 0, 2.5, 2], "bbox_label": 1, "mask": masks},
            {"ignore_flag": 0, "bbox": [6, 4, 15, 13], "bbox_label": 0},  # over the border: it is clipped by Resize, not here
        ],
    }  # fmt: skip
    assert [(one["bbox_label"], one["ignore_flag"]) for one in dataset[1]["instances"]] == [(0, 0), (0, 1)]
    assert dataset.get_cat_ids(0) == (1, 0) and dataset.cat_ids == (9, 3) and dataset.cat2label == {9: 0, 3: 1}
    assert dataset.skipped == {}


def test_label_i_is_the_class_i_whatever_the_order_of_the_file(tmp_path: Path):
    dataset = cells(written(tmp_path, [box(1, 2, 70), box(2, 2, 9)]), ("hair", "cell"))
    assert dataset.cat_ids == (70, 9) and dataset.get_cat_ids(1) == (0, 1)


def test_the_filter_keeps_images_with_objects_that_are_large_enough(tmp_path: Path):
    images = [*IMAGES, {"id": 7, "file_name": "c.png", "width": 40, "height": 40}]
    file = written(tmp_path, [box(1, 2), box(2, 5), box(3, 7, 70)], images)
    wanted = {"filter_empty_gt": True, "min_size": 7}
    assert [one["img_id"] for one in cells(file, filter_cfg=wanted)] == [2]
    assert len(cells(file, filter_cfg=wanted, test_mode=True)) == 3
    assert [one["img_id"] for one in cells(file, filter_cfg={"filter_empty_gt": True})] == [5, 2]
    # an image whose one annotation is left out still counts as peopled, as in MMDetection
    assert len(cells(written(tmp_path, [box(1, 2, ignore=1)]), filter_cfg={"filter_empty_gt": True})) == 1


def test_a_test_set_without_annotations(tmp_path: Path):
    dataset = cells(written(tmp_path), test_mode=True)
    assert [one["instances"] for one in dataset] == [[], []]
    assert len(CocoDataset(written(tmp_path, categories=[]), test_mode=True)) == 2


WRONG = {
    "outside": (box(7, 2, bbox=(50, 0, 5, 5)), r"annotation 7: a box outside of its image \(bbox \[50, 0, 5, 5\], image 40x30\)"),
    "left of it": (box(7, 2, bbox=(-5, 0, 5, 5)), "a box outside of its image"),
    "negative": (box(7, 2, bbox=(1, 1, -5, 5)), "annotation 7: a box of a negative size"),
    "nan": (box(7, 2, bbox=(float("nan"), 1, 5, 5)), "annotation 7: a box that is not four finite numbers"),
    "infinite": (box(7, 2, bbox=(1, 1, float("inf"), 5)), "not four finite numbers"),
    "three numbers": (box(7, 2, bbox=(1, 1, 5)), "not four finite numbers"),
    "text": ({**box(7, 2), "bbox": "1 2 3 4"}, "not four finite numbers"),
    "no box": ({"id": 7, "image_id": 2, "category_id": 9}, "not four finite numbers"),
    "unknown category": (box(7, 2, 11), r"annotation 7: an unknown category \(category_id 11\)"),
    "duplicate id": (box(1, 2), "annotation 1: an annotation's id that came before"),
    "no such image": (box(7, 6), r"annotation 7: an annotation of an image that the file does not have \(image_id 6\)"),
    "no image": ({"id": 7, "category_id": 9, "bbox": [1, 1, 2, 2]}, "annotation 7: an annotation without an image_id"),
    "no mapping": ([1, 2], r"annotations\[1\]: an annotation without an image_id"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_annotation_is_an_error_or_is_skipped_and_counted(name, tmp_path: Path):
    row, text = WRONG[name]
    file = written(tmp_path, [box(1, 2), row])
    with pytest.raises(FkitError, match=text) as caught:
        cells(file)
    assert str(caught.value).startswith(file) and 'on_error="skip"' in str(caught.value)
    with pytest.warns(UserWarning, match="left out"):
        dataset = CocoDataset(
            file, metainfo={"classes": ("cell",)}, data_prefix={"img": here(tmp_path)}, on_error="skip"
        )
    assert sum(dataset.skipped.values()) == 1 and [len(one["instances"]) for one in dataset] == [0, 1]


def here(folder):
    for image in IMAGES:
        (folder / image["file_name"]).write_bytes(b"x")
    return str(folder)


WRONG_IMAGES = {
    "no name": ({"id": 6, "width": 3, "height": 3}, "image 6: an image without an id or a file_name"),
    "no size": ({"id": 6, "file_name": "c.png", "width": 0, "height": 3}, "image 6: an image of no size"),
    "duplicate": ({**IMAGES[0]}, "image 5: an image's id that came before"),
}


@pytest.mark.parametrize("name", WRONG_IMAGES)
def test_a_wrong_image_is_an_error_or_is_skipped_and_counted(name, tmp_path: Path):
    row, text = WRONG_IMAGES[name]
    file = written(tmp_path, [box(1, 2)], [*IMAGES, row])
    with pytest.raises(FkitError, match=text):
        cells(file)
    with pytest.warns(UserWarning, match="left out"):
        dataset = CocoDataset(
            file, metainfo={"classes": ("cell",)}, data_prefix={"img": here(tmp_path)}, on_error="skip"
        )
    assert len(dataset) == 2 and sum(dataset.skipped.values()) == 1


def test_image_files_that_are_not_there_or_empty_are_skipped_and_counted(tmp_path: Path):
    file = written(tmp_path, [box(1, 2)], [*IMAGES, {"id": 6, "file_name": "c.png", "width": 3, "height": 3}])
    here(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.warns(
        UserWarning, match="left out: 1 x an image file of no bytes .*; 1 x an image file that is not there"
    ) as caught:
        dataset = CocoDataset(
            file, metainfo={"classes": ("cell",)}, data_prefix={"img": str(tmp_path)}, on_error="skip"
        )
    assert len(caught) == 1 and [one["img_id"] for one in dataset] == [2]


def test_boxes_without_extent_are_left_out_and_told(tmp_path: Path):
    rows = [box(1, 2), box(2, 2, bbox=(3, 3, 0, 4)), box(3, 2, area=0)]
    with pytest.warns(
        UserWarning, match=r"2 x a box under a pixel wide or high, or an area of 0 \(first: annotation 2\)"
    ):
        dataset = cells(written(tmp_path, rows))
    assert len(dataset[1]["instances"]) == 1 and list(dataset.skipped.values()) == [2]


def test_classes_that_the_file_does_not_have(tmp_path: Path):
    file = written(tmp_path, [box(1, 2)])
    with pytest.raises(
        FkitError, match=r"it has no category 'cel'\.\n  Did you mean 'cell'\? Categories: cell, dust, hair"
    ):
        cells(file, ("cel", "dust"))
    with pytest.raises(FkitError, match="nor any of the 80 classes"):
        CocoDataset(file)
    some = CocoDataset(written(tmp_path, [box(1, 2, 4)], categories=[{"id": 4, "name": "car"}]))
    assert some.get_cat_ids(1) == (2,)  # of COCO's 80 classes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "annotations are a mapping"),
        ("{", "This is no JSON"),
        ('{"annotations": []}', "it has no 'images'"),
        ('{"images": {}}', "images is a list"),
        (
            '{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "the category id 1 comes twice",
        ),
        ('{"images": [], "categories": [3]}', r"categories\[0\] is 3"),
    ],
)
def test_files_of_another_form(text, said, tmp_path: Path):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(FkitError, match=said) as caught:
        cells(str(file))
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match=r"nowhere/a\.json"):
        cells("nowhere/a.json")
    with pytest.raises(FkitError, match="no annotation file is named"):
        cells("")


def test_proposals_segmentation_maps_and_texts(tmp_path: Path):
    file = written(tmp_path, [box(1, 2)])
    (tmp_path / "p.json").write_text(
        json.dumps({"images/a.png": {"bboxes": [[0, 0, 1, 1]]}, "images/b.jpg": {"bboxes": []}})
    )
    dataset = CocoDataset(
        "a.json", {"classes": ("cell",)}, str(tmp_path), {"img": "images", "seg": "maps"},
        proposal_file="p.json", return_classes=True,
    )  # fmt: skip
    assert dataset[0]["proposals"] == {"bboxes": [[0, 0, 1, 1]]} and dataset[0]["text"] == ("cell",)
    assert dataset[1]["seg_map_path"] == str(tmp_path / "maps" / "b.png")
    assert dataset.ann_file == file


def test_it_is_built_from_a_config(tmp_path: Path):
    cfg = {"type": "CocoDataset", "ann_file": written(tmp_path, [box(1, 2)]), "metainfo": {"classes": ["cell"]}}
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    assert isinstance(dataset, CocoDataset) and len(dataset) == 2
