"""Images, annotations and proposals as arrays; what is filtered; what is packed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.data.transform.annotation import LoadAnnotations
from fkit.data.transform.compose import Compose
from fkit.data.transform.detection.annotation import (
    DetLoadAnnotations,
    FilterAnnotations,
    LoadEmptyAnnotations,
    LoadPanopticAnnotations,
    LoadProposals,
    LoadTrackAnnotations,
)
from fkit.data.transform.detection.formatting import PackDetInputs, PackReIDInputs
from fkit.data.transform.loading import (
    InferencerLoader,
    LoadImage,
    LoadImageFromFile,
    LoadImageFromNDArray,
    LoadMultiChannelImageFromFiles,
)
from fkit.data.transform.segmentation.annotation import SegLoadAnnotations
from fkit.data.transform.segmentation.formatting import PackSegInputs
from fkit.data.transform.segmentation.loading import LoadMultipleRSImageFromFile, LoadSingleRSImageFromFile
from fkit.image.io import imwrite
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitKeyError, FkitTypeError, FkitValueError

SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]
OBJECTS: list[dict[str, Any]] = [
    {"bbox": [1, 1, 5, 5], "bbox_label": 2, "ignore_flag": 0, "mask": [SQUARE]},
    {"bbox": [0, 0, 9, 7], "bbox_label": 0, "ignore_flag": 1, "mask": {"size": [8, 10], "counts": [10, 70]}},
    {"bbox": [2, 2, 4, 4], "bbox_label": 1, "ignore_flag": 0, "mask": [[1.0, 2.0]]},
]
SAMPLE: dict[str, Any] = {"img_id": 7, "height": 8, "width": 10, "instances": OBJECTS}


def picture(folder: Path, name: str = "a.png", value: int = 9) -> str:
    path = folder / name
    imwrite(np.full((8, 10, 3), (value, 1, 2), np.uint8), path)
    return str(path)


def test_an_image_is_read_in_either_order_of_channels_and_by_either_name_of_the_storage(tmp_path: Path) -> None:
    path = picture(tmp_path)
    bgr = LoadImageFromFile()({"img_path": path})
    rgb = LoadImageFromFile(channel_order="rgb", to_float32=True, file_client_args={"backend": "disk"})(
        {"img_path": path}
    )
    assert bgr is not None and rgb is not None
    assert bgr["img"].shape == (8, 10, 3) and bgr["ori_shape"] == (8, 10)
    assert rgb["img"].dtype == np.float32 and rgb["img_max"] == 255
    np.testing.assert_array_equal(rgb["img"], bgr["img"][..., ::-1])


def test_an_image_that_is_not_there_drops_the_sample_or_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"none")
    for name in ("absent.png", "b.png"):
        assert LoadImageFromFile(ignore_empty=True)({"img_path": str(tmp_path / name)}) is None
        with pytest.raises(FkitError, match=name):
            LoadImageFromFile()({"img_path": str(tmp_path / name)})
    pipeline = Compose([LoadImageFromFile(ignore_empty=True), PackDetInputs()])
    assert pipeline({"img_path": str(tmp_path / "absent.png")}) is None
    with pytest.raises(FkitFileNotFoundError, match=r"pipeline\[0\], LoadImageFromFile"):
        Compose([LoadImageFromFile()])({"img_path": "absent.png"})


def test_an_image_in_memory_is_taken_as_it_is() -> None:
    img = np.zeros((8, 10, 3), np.uint8)
    for transform in (LoadImage(), LoadImageFromNDArray(), InferencerLoader()):
        done = transform({"img": img})
        assert done is not None
        assert done["img"] is img and done["img_path"] is None and done["img_shape"] == (8, 10)
    kept = LoadImage()({"img": img, "img_path": "a.png"})
    assert kept is not None and kept["img_path"] == "a.png"


def test_one_file_a_channel(tmp_path: Path) -> None:
    paths = [picture(tmp_path, f"{at}.png", at) for at in range(2)]
    gray = LoadMultiChannelImageFromFiles(color_type="grayscale")({"img_path": paths})
    assert gray["img"].shape == (8, 10, 2)
    assert LoadMultiChannelImageFromFiles()({"img_path": paths})["img"].shape == (8, 10, 3, 2)
    imwrite(np.zeros((3, 3, 3), np.uint8), tmp_path / "small.png")
    with pytest.raises(FkitValueError, match="differ in size"):
        LoadMultiChannelImageFromFiles()({"img_path": [*paths, str(tmp_path / "small.png")]})


def test_bands_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = picture(tmp_path)
    single = LoadSingleRSImageFromFile(to_float32=False)({"img_path": path})
    assert single["img"][0, 0].tolist() == [2, 1, 9]  # red first
    double = LoadMultipleRSImageFromFile()({"img_path": path, "img_path2": picture(tmp_path, "b.png", 3)})
    assert double["img2"].dtype == np.float32 and double["img2"][0, 0].tolist() == [2, 1, 3]
    imwrite(np.zeros((3, 3, 3), np.uint8), tmp_path / "small.png")
    with pytest.raises(FkitValueError, match="differ in shape"):
        LoadMultipleRSImageFromFile()({"img_path": path, "img_path2": str(tmp_path / "small.png")})


def test_boxes_labels_and_flags_of_the_records() -> None:
    loaded = DetLoadAnnotations()(SAMPLE)
    assert loaded is not None
    assert loaded["gt_bboxes"].dtype == np.float32 and loaded["gt_bboxes"].shape == (3, 4)
    assert loaded["gt_bboxes_labels"].tolist() == [2, 0, 1]
    assert loaded["gt_ignore_flags"].tolist() == [False, True, False]
    empty = DetLoadAnnotations()({**SAMPLE, "instances": []})
    assert empty is not None
    assert empty["gt_bboxes"].shape == (0, 4) and empty["gt_ignore_flags"].shape == (0,)
    parts = LoadAnnotations(denorm_bbox=True)({**SAMPLE, "instances": [{"bbox": [0, 0, 0.5, 0.5], "bbox_label": 1}]})
    assert parts["gt_bboxes"].tolist() == [[0, 0, 5, 4]] and "gt_ignore_flags" not in parts


def test_masks_as_bitmaps_and_as_polygons_and_those_that_hold_nothing_are_ignored() -> None:
    bitmaps = LoadAnnotations(with_mask=True)(SAMPLE)
    assert bitmaps["gt_masks"].areas.tolist() == [16, 70, 0]
    assert bitmaps["gt_ignore_flags"].tolist() == [False, True, True]
    assert [one["ignore_flag"] for one in bitmaps["instances"]] == [0, 1, 1]
    assert OBJECTS[2]["ignore_flag"] == 0
    polygons = LoadAnnotations(with_mask=True, poly2mask=False)(SAMPLE)
    assert polygons["gt_masks"].areas.tolist() == [16, 0, 0]
    assert polygons["gt_ignore_flags"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("instance", "error", "message"),
    [
        ({"bbox_label": 1}, FkitKeyError, "no 'bbox'"),
        ({"bbox": [1, 2, 3], "bbox_label": 1}, FkitValueError, r"shape \(3,\), not 4"),
        (3, FkitTypeError, "`instances` is a list of mappings"),
    ],
)
def test_records_that_lack_something_are_named(instance: Any, error: type[FkitError], message: str) -> None:
    with pytest.raises(error, match=message):
        LoadAnnotations()({"instances": [instance]})


def test_a_map_with_labels_renamed_and_without_its_zero(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    imwrite(np.array([[0, 1, 2], [255, 3, 1]], np.uint8), path)
    sample = {"seg_map_path": str(path), "seg_fields": []}
    plain = SegLoadAnnotations()(sample)
    assert plain["gt_seg_map"].tolist() == [[0, 1, 2], [255, 3, 1]] and plain["seg_fields"] == ("gt_seg_map",)
    less = SegLoadAnnotations(reduce_zero_label=True)(sample)
    assert less["gt_seg_map"].tolist() == [[255, 0, 1], [255, 2, 0]]
    swapped = SegLoadAnnotations()({**sample, "label_map": {1: 2, 2: 1}})
    assert swapped["gt_seg_map"].tolist() == [[0, 2, 1], [255, 3, 2]]
    with pytest.raises(FkitValueError, match="reduce_zero_label is True of LoadAnnotations and False of the dataset"):
        SegLoadAnnotations(reduce_zero_label=True)({**sample, "reduce_zero_label": False})
    assert SegLoadAnnotations()({"img_id": 3}) == {"img_id": 3}
    assert DetLoadAnnotations(with_bbox=False, with_label=False, with_seg=True)(sample)["ignore_index"] == 255


def test_a_panoptic_picture_gives_masks_of_things_and_a_map(tmp_path: Path) -> None:
    numbers = np.array([[0, 300, 300], [7, 7, 0]])
    path = tmp_path / "panoptic.png"
    imwrite(np.stack([numbers // 65536, numbers // 256 % 256, numbers % 256], -1).astype(np.uint8), path)
    sample = {
        "seg_map_path": str(path), "ori_shape": (2, 3), "instances": [{"bbox": [1, 0, 3, 1], "bbox_label": 4}],
        "segments_info": [{"id": 300, "category": 4, "is_thing": True}, {"id": 7, "category": 11, "is_thing": False}],
    }  # fmt: skip
    done = LoadPanopticAnnotations()(sample)
    assert done["gt_seg_map"].tolist() == [[255, 4, 4], [11, 11, 255]]
    assert done["gt_masks"].masks.tolist() == [[[0, 1, 1], [0, 0, 0]]]
    assert done["gt_bboxes"].shape == (1, 4)


def test_tracks_proposals_and_images_without_objects() -> None:
    done = LoadTrackAnnotations()({"instances": [{"bbox": [1, 2, 3, 4], "bbox_label": 0, "instance_id": 5}]})
    assert done["gt_instances_ids"].tolist() == [5]
    kept = LoadProposals(2)({"proposals": {"bboxes": np.ones((3, 4)), "scores": np.array([0.9, 0.5, 0.1])}})
    assert kept["proposals"].shape == (2, 4) and kept["proposals_scores"].dtype == np.float32
    with pytest.raises(FkitValueError, match=r"not \(N, 4\)"):
        LoadProposals()({"proposals": {"bboxes": np.ones((3, 5))}})
    empty = LoadEmptyAnnotations(with_mask=True, with_seg=True)({"img_shape": (8, 10)})
    assert len(empty["gt_masks"]) == 0 and (empty["gt_seg_map"] == 255).all()


def test_objects_that_are_too_small_go_and_with_the_last_the_sample() -> None:
    sample = LoadAnnotations(with_mask=True)(SAMPLE)
    kept = FilterAnnotations(min_gt_bbox_wh=(3, 3), by_mask=True, min_gt_mask_area=20)(sample)
    assert kept is not None and kept["gt_bboxes_labels"].tolist() == [0] and len(kept["gt_masks"]) == 1
    assert FilterAnnotations(min_gt_bbox_wh=(50, 50))(sample) is None
    left = FilterAnnotations(min_gt_bbox_wh=(50, 50), keep_empty=False)(sample)
    assert left is not None and left["gt_bboxes"].shape == (0, 4) and left["gt_ignore_flags"].shape == (0,)
    with pytest.raises(FkitValueError, match="judges by nothing"):
        FilterAnnotations(by_box=False)


def test_a_detection_sample_is_packed_with_its_ignored_objects_apart() -> None:
    img = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    sample = {**LoadAnnotations(with_mask=True)(SAMPLE), "img": img, "sample_idx": 3, "scale_factor": (2.0, 1.0)}
    packed = PackDetInputs()(sample)
    np.testing.assert_array_equal(packed["inputs"], img.transpose(2, 0, 1))
    targets = packed["targets"]
    assert targets["gt_instances"]["labels"].tolist() == [2]
    assert targets["ignored_instances"]["labels"].tolist() == [0, 1]
    assert targets["gt_instances"]["masks"].shape == (1, 8, 10)
    assert targets["ori_shape"].tolist() == [8, 10] and targets["scale_factor"].tolist() == [2, 1]
    assert dict(packed["meta"]) == {"sample_idx": 3, "img_id": 7, "scale_factor": (2.0, 1.0)}
    bare = PackDetInputs(meta_keys=("img_id",))({"img": img})
    assert "gt_instances" not in bare["targets"] and bare["targets"]["img_shape"].tolist() == [8, 10]
    with pytest.raises(FkitValueError, match="differ in number"):
        PackDetInputs()({**sample, "gt_bboxes_labels": np.zeros(5, np.int64)})


def test_a_segmentation_sample_and_one_of_identities_are_packed() -> None:
    img = np.zeros((8, 10, 3), np.uint8)
    packed = PackSegInputs()({"img": img, "gt_seg_map": np.ones((8, 10), np.uint8), "reduce_zero_label": True})
    assert packed["targets"]["gt_sem_seg"].dtype == np.int64 and packed["meta"]["reduce_zero_label"] is True
    several = PackReIDInputs(meta_keys="flip")({"img": [img, img], "gt_label": [4, 5], "flip": [True, False]})
    assert several["inputs"].shape == (2, 3, 8, 10) and several["targets"]["gt_label"].tolist() == [4, 5]


def test_a_scope_has_the_annotations_of_its_package() -> None:
    registry = fkit.registry()
    kinds = {
        scope: type(registry.build("transforms", {"type": "LoadAnnotations"}, scope=scope)).__name__
        for scope in (None, "mmdet", "mmseg", "mmpretrain")
    }
    assert kinds == {
        None: "LoadAnnotations", "mmdet": "DetLoadAnnotations", "mmseg": "SegLoadAnnotations", "mmpretrain": "LoadAnnotations",
    }  # fmt: skip
