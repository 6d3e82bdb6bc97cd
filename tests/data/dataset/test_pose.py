"""Pose datasets: records of instances and of images, detections, and each public set's form by a small file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.data.dataset import pose_forms as forms
from fkit.data.dataset import pose_sets as sets
from fkit.data.dataset.combined import CombinedDataset
from fkit.data.dataset.facts import Facts, names_of_facts
from fkit.data.dataset.keypoints import pose_metainfo
from fkit.data.dataset.mpii import MpiiDataset, MpiiTrbDataset
from fkit.data.transform.transform import Transform
from fkit.tree.error import FkitError

IMAGES = [
    {"id": 4, "file_name": "a.jpg", "width": 100, "height": 80},
    {"id": 7, "file_name": "b.jpg", "width": 50, "height": 50},
]


def person(number, image, count=17, **more):
    points = np.arange(3 * count).reshape(count, 3) % 40
    points[:, 2] = [2, 1, 0][: count and 3] * (count // 3) + [2] * (count % 3)
    row = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [10, 20, 30, 200],
        "keypoints": points.ravel().tolist(),
    }
    return {**row, "num_keypoints": 9, "iscrowd": 0, "area": 50.0, "segmentation": [[1, 2, 3, 4, 5, 6]], **more}


def written(folder, annotations, images=IMAGES, name="a.json"):
    file = folder / name
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]})
    )
    return str(file)


def test_instances(tmp_path: Path):
    row = person(3, 4)
    crowd, blind, flat = person(4, 4, iscrowd=1), person(5, 7, num_keypoints=0), person(6, 7, keypoints=[0] * 51)
    dataset = sets.CocoPoseDataset(written(tmp_path, [row, crowd, blind, flat]), data_prefix={"img": "img"})
    assert len(dataset) == 1
    one = dataset[0]
    points = np.array(row["keypoints"], np.float32).reshape(1, 17, 3)
    assert (
        one["bbox"].tolist() == [[10, 20, 40, 79]]
        and one["bbox"].dtype == np.float32
        and one["bbox_score"].tolist() == [1]
    )
    assert (one["keypoints"] == points[..., :2]).all() and (
        one["keypoints_visible"] == np.minimum(points[..., 2], 1)
    ).all()
    assert (one["img_id"], one["id"], one["img_path"], one["num_keypoints"], float(one["area"])) == (
        4,
        3,
        "img/a.jpg",
        9,
        50,
    )
    assert one["raw_ann_info"] == row and one["dataset_name"] == "coco" and one["flip_indices"][:3] == [0, 2, 1]
    assert (
        one["dataset_keypoint_weights"].shape == (17,)
        and one["upper_body_ids"][-1] == 10
        and one["skeleton_links"][0] == (15, 13)
    )
    assert dataset.metainfo["CLASSES"] == ({"id": 1, "name": "person"},) and dataset.metainfo["num_keypoints"] == 17


def test_images(tmp_path: Path):
    rows = [person(3, 4), person(4, 4, iscrowd=1), person(5, 4)]
    dataset = sets.CocoPoseDataset(written(tmp_path, rows), data_mode="bottomup")
    assert len(dataset) == 1
    one = dataset[0]
    assert one["keypoints"].shape == (3, 17, 2) and one["bbox"].shape == (3, 4) and one["area"].shape == (3,)
    assert one["id"] == [3, 4, 5] and one["iscrowd"] == [0, 1, 0] and one["invalid_segs"] == [[[1, 2, 3, 4, 5, 6]]]
    assert one["segmentation"] == [[1, 2, 3, 4, 5, 6]] * 3 and one["img_id"] == 4
    tested = sets.CocoPoseDataset(written(tmp_path, rows), data_mode="bottomup", test_mode=True)
    assert [(one["img_id"], one["id"]) for one in tested] == [(4, [3, 4, 5]), (7, [])] and tested[1][
        "raw_ann_info"
    ] is None


def test_detections_in_place_of_boxes(tmp_path: Path):
    file = written(tmp_path, [person(3, 4)])
    found = [
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4, 9], "score": 0.9},
        {"image_id": 4, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.2},
    ]
    (tmp_path / "boxes.json").write_text(
        json.dumps([*found, {"image_id": 4, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}])
    )
    given = {"data_root": str(tmp_path), "bbox_file": "boxes.json", "test_mode": True}
    dataset = sets.CocoPoseDataset("a.json", **given)
    assert [one["bbox"].tolist() for one in dataset] == [[[1, 2, 4, 6]], [[0, 0, 5, 5]]] and dataset[0][
        "img_shape"
    ] == (50, 50)
    assert dataset[0]["keypoints"].shape == (1, 17, 2) and dataset[1]["id"] == 1 and file
    assert len(sets.CocoPoseDataset("a.json", filter_cfg={"bbox_score_thr": 0.3}, **given)) == 1
    whole = {**given, "bbox_file": str(tmp_path / "boxes.json")}  # as released configs say it, with data_root before it
    assert sets.CocoPoseDataset("a.json", **whole)[1]["bbox"].tolist() == [[0, 0, 5, 5]]
    with pytest.raises(FkitError, match="bbox_file is for data_mode='topdown' and test_mode=True"):
        sets.CocoPoseDataset("a.json", **{**given, "test_mode": False})
    (tmp_path / "boxes.json").write_text(json.dumps([{**found[0], "image_id": 99}]))
    with pytest.raises(FkitError, match=r"detection 0: a detection of an image that the file does not have \(99\)"):
        sets.CocoPoseDataset("a.json", **given)


def test_wrong_annotations(tmp_path: Path):
    wrong = {
        r"annotation 9: keypoints that are not 17 times x, y, v \(9 numbers\)": person(9, 4, keypoints=[1] * 9),
        "annotation 9: a box that is not four finite numbers": person(9, 4, bbox=[0, 0, -1, 4]),
        "annotation 9: keypoints that are not 17": person(9, 4, keypoints=["x"] * 51),
        r"keypoints that are not 17 times x, y, v \(\[nan, ": person(9, 4, keypoints=[float("nan"), 1, 0] * 17),
        "annotation 9: a keypoint whose v is below 0": person(9, 4, keypoints=[1, 1, -1] * 17),
        "an annotation of an image that the file does not have": person(9, 5),
    }
    (tmp_path / "a.jpg").write_bytes(b"x")
    for said, row in wrong.items():
        file = written(tmp_path, [person(3, 4), row])
        with pytest.raises(FkitError, match=said):
            sets.CocoPoseDataset(file)
        with pytest.warns(UserWarning, match="left out"):
            dataset = sets.CocoPoseDataset(file, data_prefix={"img": str(tmp_path)}, on_error="skip")
        assert len(dataset) == 1 and sum(dataset.skipped.values()) == 1
    with pytest.warns(UserWarning, match="1 x a box without extent in its image"):
        assert len(sets.CocoPoseDataset(written(tmp_path, [person(9, 4, bbox=[300, 0, 4, 4])]))) == 0
    with pytest.raises(FkitError, match="data_mode = 'topdwon' is unknown"):
        sets.CocoPoseDataset(data_mode="topdwon")


PLAIN = [name for name in sets.__all__ if name != "CocoPoseDataset"]


@pytest.mark.parametrize("name", PLAIN)
def test_each_set_of_cocos_form(name, tmp_path: Path):
    kind = getattr(sets, name)
    count = pose_metainfo(kind.METAINFO)["num_keypoints"]
    cfg = {"type": name, "ann_file": written(tmp_path, [person(3, 4, count)]), "data_prefix": {"img": "img/"}}
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    assert (
        type(dataset) is kind
        and dataset[0]["keypoints"].shape == (1, count, 2)
        and dataset[0]["img_path"] == "img/a.jpg"
    )
    assert len(dataset[0]["flip_indices"]) == count and len(dataset.metainfo["sigmas"]) in (0, count)


@pytest.mark.parametrize("name", names_of_facts("pose"))
def test_facts_of_keypoints(name):
    known = pose_metainfo(Facts(f"pose/{name}"))
    flips, count = np.array(known["flip_indices"]), known["num_keypoints"]
    assert (
        flips[flips] == np.arange(count)
    ).all() or name == "deepfashion2"  # in the reference one point's partner has none
    assert (
        known["keypoint_colors"].shape == (count, 3)
        and len(known["skeleton_link_colors"]) == known["num_skeleton_links"]
    )
    assert all(0 <= one < count and 0 <= other < count for one, other in known["skeleton_links"])
    assert pose_metainfo(known) is known


def test_metainfo_of_files(tmp_path: Path):
    file = written(tmp_path, [person(3, 4, 26)])
    halpe = sets.HalpeDataset(file, metainfo={"from_file": "configs/_base_/datasets/halpe26.py"})
    assert halpe.metainfo["num_keypoints"] == 26 and replace(halpe, test_mode=True).metainfo["num_keypoints"] == 26
    points = "{0: dict(name='a', swap='b'), 1: dict(name='b', swap='a')}"
    (tmp_path / "own.py").write_text(
        f"dataset_info = dict(dataset_name='own', keypoint_info={points}, skeleton_info={{0: dict(link=('a', 'b'))}}, joint_weights=[1, 2], sigmas=[])"
    )
    own = sets.CocoPoseDataset(written(tmp_path, [person(3, 4, 2)]), metainfo={"from_file": str(tmp_path / "own.py")})
    assert own.metainfo["flip_pairs"] == ((1, 0), (0, 1)) and own[0]["dataset_keypoint_weights"].tolist() == [1, 2]
    with pytest.raises(FkitError, match=r"the kit knows no keypoints of 'halpe27'.\n  Did you mean 'halpe26'"):
        sets.HalpeDataset(file, metainfo={"from_file": "configs/_base_/datasets/halpe27.py"})
    with pytest.raises(KeyError, match="metainfo of keypoints has no 'skeleton_info'"):
        sets.HalpeDataset(file, metainfo={"dataset_name": "x", "keypoint_info": {}})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"keypoint_info": {0: {"name": "a", "swap": "b"}, 1: {"name": "b"}}},
            "the swap of 'a' is 'b', and that of 'b' is 'b'",
        ),
        ({"keypoint_info": {0: {"name": "a"}, 1: {"name": "a"}}}, "two keypoints are called 'a'"),
        (
            {"keypoint_info": {0: {"name": "a", "color": [0, 1]}, 1: {"name": "b"}}},
            "is not three numbers from 0 to 255",
        ),
        ({"skeleton_info": {0: {"link": ("a", "c")}}}, "'c' is no keypoint"),
        ({"skeleton_info": {0: {"link": ("a", "b", "a")}}}, "joins no two keypoints"),
        ({"sigmas": [0.1, 0.0]}, "sigmas is .*, and each is above 0"),
        ({"joint_weights": [1.0, -1.0]}, "joint_weights is .*, and each is at least 0"),
    ],
)
def test_metainfo_that_contradicts_itself(changes, words):
    known = dict(
        dataset_name="t", keypoint_info={0: {"name": "a"}, 1: {"name": "b"}}, skeleton_info={0: {"link": ("a", "b")}}
    )
    assert pose_metainfo({**known, "joint_weights": [1.0, 1.0], "sigmas": [0.1, 0.1]})["flip_indices"] == (0, 1)
    with pytest.raises(FkitError, match=words):
        pose_metainfo({**known, "joint_weights": [1.0, 1.0], "sigmas": [0.1, 0.1], **changes})


def test_whole_bodies(tmp_path: Path):
    parts = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    numbers = {key: np.tile([3.0, 4.0, 0.3], count).tolist() for key, count in parts.items()}
    boxes = {"face_box": [20, 20, 500, 5], "lefthand_box": [1, 2, 3, 400], "righthand_box": [5, 5, 2, 2]}
    valid = {"face_valid": True, "lefthand_valid": True, "righthand_valid": False}
    file = written(
        tmp_path,
        [person(3, 4, **numbers, **boxes, **valid), person(5, 7, **numbers, **boxes, **{key: False for key in valid})],
    )
    for kind in (forms.CocoWholeBodyDataset, forms.UBody2dDataset):
        whole = kind(file)
        assert whole[0]["keypoints"].shape == (1, 133, 2) and whole[0]["keypoints_visible"][0, -1] == 1
    face = forms.CocoWholeBodyFaceDataset(file)
    assert (
        len(face) == 1
        and face[0]["bbox"].tolist() == [[20, 20, 99, 25]]
        and face[0]["keypoints_visible"].max() == np.float32(0.3)
    )
    hands = forms.CocoWholeBodyHandDataset(file)
    assert (
        len(hands) == 1 and hands[0]["bbox"].tolist() == [[1, 2, 4, 402]] and hands[0]["id"] == 0
    )  # not cut to the image
    assert hands[0]["num_keypoints"] == 21 and hands[0]["img_id"] == 4


@pytest.mark.parametrize(
    ("kind", "count"),
    [(forms.WFLWDataset, 98), (forms.Face300WDataset, 68), (forms.Face300VWDataset, 68), (forms.AFLWDataset, 19)],
)
def test_boxes_by_centre_and_scale(kind, count, tmp_path: Path):
    row = person(3, 4, count, center=[50, 40], scale=0.1, box_size=12.5)
    dataset = kind(written(tmp_path, [row]), test_mode=True)
    assert np.allclose(dataset[0]["bbox"], [[40, 30, 60, 50]]) and np.allclose(dataset[0]["bbox_scale"], 20)
    assert dataset[0]["bbox_center"].tolist() == [[50, 40]] and ("box_size" in dataset[0]) == (
        kind is forms.AFLWDataset
    )


@pytest.mark.parametrize(
    ("kind", "side", "count"),
    [(forms.FreiHandDataset, 224, 21), (forms.LocustDataset, 160, 35), (forms.ZebraDataset, 160, 9)],
)
def test_boxes_that_are_the_image(kind, side, count, tmp_path: Path):
    assert kind(written(tmp_path, [person(3, 4, count)]))[0]["bbox"].tolist() == [[0, 0, side, side]]


def test_other_forms(tmp_path: Path):
    jhmdb = forms.JhmdbDataset(written(tmp_path, [person(3, 4, 15)]))
    plain = np.array(person(3, 4, 15)["keypoints"]).reshape(15, 3)
    assert jhmdb[0]["bbox"].tolist() == [[9, 19, 39, 79]] and (jhmdb[0]["keypoints"][0] == plain[:, :2] - 1).all()
    assert float(jhmdb[0]["area"]) == pytest.approx(30 * 60 * 0.53)
    art = forms.HumanArt21Dataset(written(tmp_path, [person(3, 4, keypoints_21=person(1, 1, 21)["keypoints"])]))
    assert art[0]["keypoints"].shape == (1, 21, 2)
    hand = forms.PanopticHand2DDataset(written(tmp_path, [person(3, 4, 21, head_size=62.1)]))
    assert hand[0]["head_size"] == 62.1
    cfg = {"type": "mmpose.DeepFashionDataset", "subset": "upper", "ann_file": written(tmp_path, [person(3, 4, 6)])}
    clothes = fkit.build(cfg, fkit.registry(), "datasets")
    assert clothes.metainfo["num_keypoints"] == 6 and clothes[0]["dataset_name"] == "deepfashion_upper"
    with pytest.raises(FkitError, match="subset = 'uper' is unknown"):
        forms.DeepFashionPoseDataset(subset="uper")
    assert (
        type(fkit.build({"type": "mmpose.CocoDataset", "ann_file": written(tmp_path, [])}, fkit.registry(), "datasets"))
        is sets.CocoPoseDataset
    )


def test_mpii(tmp_path: Path):
    joints = [[number, number + 1.0] for number in range(16)]
    row = {
        "image": "015601864.jpg",
        "center": [594.0, 257.0],
        "scale": 3.0,
        "joints": joints,
        "joints_vis": [1] * 15 + [0],
    }
    (tmp_path / "val.json").write_text(json.dumps([row, {**row, "center": [-1, -1]}]))
    io = pytest.importorskip("scipy.io")
    heads = np.array([[[0, 0], [3, 4]], [[1, 1], [7, 9]]], np.float32)
    io.savemat(tmp_path / "heads.mat", {"headboxes_src": heads.transpose(1, 2, 0)})
    dataset = MpiiDataset(
        "val.json", data_root=str(tmp_path), data_prefix={"img": "i"}, headbox_file="heads.mat", test_mode=True
    )
    one = dataset[0]
    assert (
        one["img_id"] == 15601864
        and one["bbox_scale"].tolist() == [[600, 600]]
        and one["bbox_center"].tolist() == [[593, 301]]
    )
    assert (
        one["bbox"].tolist() == [[293, 1, 893, 601]]
        and one["keypoints"][0].tolist() == joints
        and one["img_path"].endswith("i/015601864.jpg")
    )
    assert one["head_size"] == pytest.approx(3.0) and dataset[1]["head_size"] == pytest.approx(6.0)
    assert dataset[1]["bbox_center"].tolist() == [[-2, -2]] and dataset[1]["keypoints_visible"].tolist() == [
        row["joints_vis"]
    ]
    (tmp_path / "val.json").write_text(json.dumps([row, {**row, "joints": joints[:3]}, {"image": "1.jpg"}]))
    with pytest.raises(FkitError, match="record 1: joints that are not 16"):
        MpiiDataset("val.json", data_root=str(tmp_path))
    with pytest.raises(KeyError, match=r"is no \.mat file"):
        MpiiDataset("val.json", headbox_file="a.json", test_mode=True)


def test_mpii_trb(tmp_path: Path):
    rows = [
        person(number, 4, 40, center=[50, 40], scale=0.1, num_joints=7, headbox=[[1, 2], [3, 4]]) for number in (5, 3)
    ]
    dataset = MpiiTrbDataset(written(tmp_path, rows))
    assert (
        [one["id"] for one in dataset] == [3, 5]
        and dataset[0]["num_keypoints"] == 7
        and dataset[0]["headbox"].shape == (2, 2)
    )


class Mark(Transform):
    def __init__(self, text):
        self.text = text

    def apply(self, sample, params):
        return {**sample, "marks": (*sample.get("marks", ()), self.text)}


def combined(folder, **more):
    few, many = (
        written(folder, [person(number, 4) for number in range(1, count)], name=f"{count}.json") for count in (4, 11)
    )
    parts = [sets.CocoPoseDataset(few, pipeline=[Mark("few")]), sets.OCHumanDataset(many, pipeline=[Mark("many")])]
    return CombinedDataset(
        {"from_file": "configs/_base_/datasets/coco_wholebody.py"}, parts, pipeline=[Mark("all")], **more
    )


def test_combination(tmp_path: Path):
    dataset = combined(tmp_path)
    assert len(dataset) == 13 and dataset.lens == (3, 10) and dataset.metainfo["num_keypoints"] == 133
    first, last = (dataset.pipeline(dataset[place], np.random.default_rng(0)) for place in (0, -1))
    assert (
        first["marks"] == ("few", "all") and last["marks"] == ("many", "all") and (first["id"], last["id"]) == (1, 10)
    )
    assert (
        len(first["flip_indices"]) == 133 == len(first["dataset_keypoint_weights"]) and first["dataset_name"] == "coco"
    )
    assert replace(dataset, test_mode=True).pipeline == dataset.pipeline and last["sample_idx"] == 12


def test_combination_by_ratios(tmp_path: Path):
    dataset = combined(tmp_path, sample_ratio_factor=[2, 0.3])
    assert dataset.lens == (6, 3) and len(dataset) == 9 and dataset.pipeline.random
    assert [one["id"] for one in dataset] == [one["id"] for one in dataset]  # raw samples are the same at every call
    seen = [
        {dataset.pipeline(dataset[place], np.random.default_rng(seed))["id"] for seed in range(60)}
        for place in range(9)
    ]
    assert set.union(*seen[:6]) == {1, 2, 3} and set.union(*seen[6:]) == set(range(1, 11))
    assert seen[6].isdisjoint(seen[8])  # each stands for a stretch of its own
    rng = [np.random.default_rng(5) for _ in range(3)]
    drawn = dataset.pipeline.draw(dataset[7], rng[0], None)
    assert dataset.pipeline.apply(dataset[7], drawn)["id"] == dataset.pipeline(dataset[7], rng[1])["id"]
    with pytest.raises(FkitError, match="1 numbers in sample_ratio_factor for 2 datasets"):
        combined(tmp_path, sample_ratio_factor=[1])
