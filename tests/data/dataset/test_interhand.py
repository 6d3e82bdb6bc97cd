"""InterHand2.6M: joints of the world as a camera sees them, and hands of which the wrist is not known."""

import json
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.data.dataset.interhand import InterHand2DDoubleDataset
from fkit.tree.error import FkitError


def filled(folder, **more):
    joints = [[10.0 * number, 5.0, 1000.0] for number in range(42)]
    image = {"id": 1, "file_name": "a.jpg", "width": 500, "height": 400, "capture": 0, "camera": "400", "frame_idx": 9}
    valid = [[1]] * 41 + [[0]]
    row = {
        "id": 3,
        "image_id": 1,
        "bbox": [1, 2, 30, 40],
        "hand_type": "interacting",
        "hand_type_valid": 1,
        "joint_valid": valid,
        **more,
    }
    turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    camera = {
        "campos": {"400": [0, 5, 500]},
        "camrot": {"400": turn},
        "focal": {"400": [50, 100]},
        "princpt": {"400": [7, 8]},
    }
    for name, content in (
        ("a.json", {"images": [image], "annotations": [row]}),
        ("camera.json", {"0": camera}),
        ("joints.json", {"0": {"9": {"world_coord": joints}}}),
        ("boxes.json", [{"annot_id": 3, "bbox": [5, 5, 1, 1]}]),
    ):
        (folder / name).write_text(json.dumps(content))
    return {
        "ann_file": "a.json",
        "camera_param_file": "camera.json",
        "joint_file": "joints.json",
        "data_root": str(folder),
    }


def test_joints_as_the_camera_sees_them(tmp_path: Path):
    cfg = {"type": "InterHand2DDoubleDataset", **filled(tmp_path), "data_prefix": {"img": "i"}}
    one = fkit.build(cfg, fkit.registry(), "datasets")[0]
    x = 10 * np.arange(42) / 500 * 50 + 7
    assert np.allclose(one["keypoints"][0], np.stack([x, np.full(42, 8.0)], axis=1)) and one["img_path"].endswith(
        "i/a.jpg"
    )
    assert one["keypoints_visible"].tolist() == [[1.0] * 21 + [0.0] * 21] and one["hand_type"].tolist() == [[1, 1]]
    assert one["bbox"].tolist() == [[1, 2, 31, 42]] and one["num_keypoints"] == 42 and one["dataset"] == "interhand3d"


def test_boxes_of_rootnet_and_what_is_wrong(tmp_path: Path):
    given = filled(tmp_path)
    dataset = InterHand2DDoubleDataset(**given, use_gt_root_depth=False, rootnet_result_file="boxes.json")
    assert dataset[0]["bbox"].tolist() == [[5, 5, 6, 6]]
    with pytest.raises(FkitError, match="wants rootnet_result_file"):
        InterHand2DDoubleDataset(**given, use_gt_root_depth=False)
    with pytest.raises(FkitError, match="joint_file is not said"):
        InterHand2DDoubleDataset(**{**given, "joint_file": ""})
    with pytest.raises(FkitError, match="annotation 3: hands of another kind than right, left or interacting"):
        InterHand2DDoubleDataset(**filled(tmp_path, hand_type="both"))
