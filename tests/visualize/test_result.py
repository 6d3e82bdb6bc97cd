"""``show_result``: each form of result is drawn where it says, and the picture is written whole."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fkit.image import imread
from fkit.structures import InstanceData, LabelData, PixelData
from fkit.structures.mask import bitmap_to_rle
from fkit.structures.sample import DataSample, DetDataSample
from fkit.tree.error import FkitError, FkitFileNotFoundError
from fkit.visualize import show_result

IMAGE = np.full((80, 120, 3), 255, np.uint8)
BOXES = [np.array([[10, 20, 50, 70, 0.9]]), np.array([[70, 20, 110, 70, 0.8], [70, 20, 90, 40, 0.1]])]
NAMES = {"classes": ("cell", "debris"), "palette": [(200, 0, 0), (0, 0, 200)]}


def lit(picture: np.ndarray, y: int, x: int) -> int:
    """The strongest channel, blue first; -1 of paper."""
    return -1 if (picture[y, x] > 240).all() else int(picture[y, x].argmax())


def test_boxes_of_the_first_generation_have_the_colours_of_their_classes_and_stay_bgr() -> None:
    drawn = show_result(IMAGE, BOXES, **NAMES)
    assert (lit(drawn, 50, 10), lit(drawn, 50, 70), lit(drawn, 50, 30), drawn.dtype) == (2, 0, -1, np.uint8)
    assert (show_result(IMAGE, BOXES, 0.85, **NAMES)[:, 64:] == 255).all()
    assert (IMAGE == 255).all()
    same = np.concatenate(BOXES)
    sample = DetDataSample(
        pred_instances=InstanceData(bboxes=same[:, :4], scores=same[:, 4], labels=np.array([0, 1, 1]))
    )
    assert (show_result(IMAGE, sample, **NAMES) == drawn).all()
    batch = {
        "pred_instances": {
            "bboxes": same[None, :, :4],
            "scores": np.ones((1, 3)) * same[:, 4],
            "labels": np.array([[0, 1, 1]]),
        },
        "valid": {"pred_instances": np.array([[True, True, False]])},
    }
    assert (show_result(IMAGE, batch, **NAMES) == drawn).all()


@pytest.mark.parametrize("encode", [lambda mask: mask, bitmap_to_rle], ids=["bitmap", "run lengths"])
def test_masks_are_laid_over_their_objects(encode: Any) -> None:
    mask = np.zeros((80, 120), bool)
    mask[30:60, 20:40] = True
    other = np.roll(mask, 60, axis=1)
    drawn = show_result(IMAGE, (BOXES, [[encode(mask)], [encode(other), encode(mask)]]), **NAMES)
    assert (lit(drawn, 45, 30), lit(drawn, 45, 90), lit(drawn, 45, 45)) == (2, 0, -1)


def test_a_map_of_classes_has_their_colours_and_keeps_the_size() -> None:
    labels = np.repeat([[0, 1]], 60, axis=1).repeat(80, axis=0)
    drawn = show_result(IMAGE, [labels], opacity=0.9, **NAMES)
    assert (lit(drawn, 40, 20), lit(drawn, 40, 100), drawn.shape) == (2, 0, IMAGE.shape)
    for field in ("sem_seg", "data"):  # mmdet's name of it, and mmseg's, which inference_model gives
        sample = {"pred_sem_seg": PixelData(**{field: labels[None]})}
        assert (show_result(IMAGE, sample, opacity=0.9, **NAMES) == drawn).all()
    with pytest.raises(FkitError, match=r"\(40, 60\)"):
        show_result(IMAGE, {"pred_sem_seg": labels[:40, :60]})


def test_people_have_points_and_the_links_that_are_sure() -> None:
    person = {
        "keypoints": np.array([[10, 40, 0.9], [50, 40, 0.9], [100, 40, 0.1]]),
        "bbox": np.array([5, 30, 110, 60, 0.9]),
    }
    look: dict[str, Any] = {"skeleton": [(0, 1), (1, 2)], "pose_link_color": np.array([[200, 0, 0], [0, 0, 200]])}
    drawn = show_result(IMAGE, [person], **look)
    assert (lit(drawn, 40, 30), lit(drawn, 40, 80)) == (2, -1)
    assert lit(drawn, 30, 80) == 1  # the box
    nobody = show_result(IMAGE, [], **look)
    assert (nobody == IMAGE).all()


def test_a_class_stands_below_its_image() -> None:
    results: list[Any] = [
        {"pred_label": 1, "pred_score": 0.7, "pred_class": "debris"},
        DataSample(pred_label=LabelData(label=np.array([1]), score=np.array([0.3, 0.7]))),
        {"pred_score": np.array([0.3, 0.7])},
    ]
    first, *others = (show_result(IMAGE, one, classes=NAMES["classes"]) for one in results)
    assert all((first == other).all() for other in others)
    assert first.shape[0] > 160


def test_the_picture_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    place = tmp_path / "img.png"
    cv2.imwrite(str(place), IMAGE)
    drawn = show_result(str(place), BOXES, out_file=tmp_path / "new" / "result.png", **NAMES)
    assert (imread(str(tmp_path / "new" / "result.png")) == drawn).all()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["result.png"]
    with pytest.raises(FkitFileNotFoundError, match="absent"):
        show_result(tmp_path / "absent.png", BOXES)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (3, "no result that can be drawn"),
        ([np.zeros((2, 4))], r"class 0 are \(2, 4\)"),
        ((BOXES, [[], []]), "0 masks of 3 boxes"),
        ([{"keypoints": np.zeros((3, 2))}], r"are \(K, 3\)"),
        ({"boxes": 1}, "no result that can be drawn"),
        ({"pred_instances": {"bboxes": np.zeros((2, 1, 4))}}, "predictions of 2 images"),
    ],
    ids=["number", "four", "masks", "points", "mapping", "batch"],
)
def test_what_is_no_result_is_one_clear_error(result: Any, said: str) -> None:
    with pytest.raises(FkitError, match=said):
        show_result(IMAGE, result)


def test_a_window_is_asked_for_where_there_is_none() -> None:
    words = "import numpy as np; from fkit.visualize import show_result; show_result(np.zeros((9, 9, 3), np.uint8), [], show=True)"
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    child = subprocess.run([sys.executable, "-P", "-c", words], env=env, capture_output=True, text=True, check=False)
    assert child.returncode == 1 and "imshow cannot open a window" in child.stderr
