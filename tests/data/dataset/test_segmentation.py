"""Segmentation datasets: names of files, classes that are some of a data set's, colours; a small folder of each form."""

from pathlib import Path

import pytest

import fkit
from fkit.data.dataset import segmentation_sets as sets
from fkit.data.dataset.segmentation import BaseCDDataset, BaseSegDataset
from fkit.tree.error import FkitError

# name -> (suffix of images, of maps, whether 0 is no class, how many classes)
FORMS = {
    "ADE20KDataset": (".jpg", ".png", True, 150),
    "BDD100KDataset": (".jpg", ".png", False, 19),
    "COCOStuffDataset": (".jpg", "_labelTrainIds.png", False, 171),
    "ChaseDB1Dataset": (".png", "_1stHO.png", False, 2),
    "CityscapesDataset": ("_leftImg8bit.png", "_gtFine_labelTrainIds.png", False, 19),
    "DRIVEDataset": (".png", "_manual1.png", False, 2),
    "DarkZurichDataset": ("_rgb_anon.png", "_gt_labelTrainIds.png", False, 19),
    "HRFDataset": (".png", ".png", False, 2),
    "ISPRSDataset": (".png", ".png", True, 6),
    "LIPDataset": (".jpg", ".png", False, 20),
    "LoveDADataset": (".png", ".png", True, 7),
    "MapillaryDataset_v1": (".jpg", ".png", False, 66),
    "MapillaryDataset_v2": (".jpg", ".png", False, 124),
    "NightDrivingDataset": ("_leftImg8bit.png", "_gtCoarse_labelTrainIds.png", False, 19),
    "PascalContextDataset": (".jpg", ".png", False, 60),
    "PascalContextDataset59": (".jpg", ".png", True, 59),
    "PascalVOCDataset": (".jpg", ".png", False, 21),
    "PotsdamDataset": (".png", ".png", True, 6),
    "REFUGEDataset": (".png", ".png", False, 3),
    "STAREDataset": (".png", ".ah.png", False, 2),
    "SynapseDataset": (".jpg", ".png", False, 9),
    "iSAIDDataset": (".png", "_instance_color_RGB.png", False, 16),
}


def filled(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return str(folder)


@pytest.mark.parametrize("name", FORMS)
def test_each_public_set_reads_its_form(name, tmp_path: Path):
    image, maps, zero, count = FORMS[name]
    filled(tmp_path, f"img/b{image}", f"img/town/a{image}", "img/b.txt", "img/other.tif")
    cfg = {"type": name, "data_root": str(tmp_path), "data_prefix": {"img_path": "img", "seg_map_path": "maps"}}
    dataset = fkit.build(cfg, fkit.registry(), "datasets")
    assert [one["img_path"] for one in dataset] == [str(tmp_path / f"img/{part}{image}") for part in ("b", "town/a")]
    assert dataset[1]["seg_map_path"] == str(tmp_path / f"maps/town/a{maps}")
    assert (
        dataset[0]["reduce_zero_label"] is zero and dataset[0]["seg_fields"] == [] and dataset[0]["label_map"] is None
    )
    known = dataset.metainfo
    assert len(known["classes"]) == len(set(known["classes"])) == count and len(known["palette"]) == count
    assert known["reduce_zero_label"] is zero and known["label_map"] is None


def test_all_of_them_are_tried():
    assert {*FORMS, "LEVIRCDDataset", "NYUDataset"} == set(sets.__all__)


def test_a_list_of_names(tmp_path: Path):
    filled(tmp_path, "img/a.jpg", "img/b.jpg")
    (tmp_path / "train.txt").write_text("b\n\n a \n")
    dataset = sets.PascalVOCDataset(
        ann_file="train.txt", data_root=str(tmp_path), data_prefix={"img_path": "img", "seg_map_path": "maps"}
    )
    assert [Path(one["seg_map_path"]).name for one in dataset] == ["b.png", "a.png"]
    with pytest.raises(FileNotFoundError, match=r"no\.txt"):
        sets.PascalVOCDataset(ann_file="no.txt", data_root=str(tmp_path))
    with pytest.raises(FkitError, match=r"PascalVOCDataset: the folder of images '.*nowhere' is not there"):
        sets.PascalVOCDataset(data_root=str(tmp_path), data_prefix={"img_path": "nowhere"})


def test_classes_that_are_some_of_the_data_sets(tmp_path: Path):
    folder = filled(tmp_path, "a_leftImg8bit.png")
    dataset = sets.CityscapesDataset(
        data_prefix={"img_path": folder, "seg_map_path": folder}, metainfo={"classes": ("car", "road")}
    )
    wanted = {label: 255 for label in range(19)} | {0: 1, 13: 0}
    assert dict(dataset.label_map) == wanted == dict(dataset[0]["label_map"])
    assert dataset.metainfo["palette"] == ((0, 0, 142), (128, 64, 128)) and dataset.metainfo["classes"] == (
        "car",
        "road",
    )
    with pytest.raises(FkitError, match=r"the class 'cra' is none of the data set's\.\n  Did you mean 'car'\?"):
        sets.CityscapesDataset(data_prefix={"img_path": folder}, metainfo={"classes": ("cra",)})


def test_colours_of_classes_that_have_none(tmp_path: Path):
    folder = filled(tmp_path, "a.jpg")
    dataset = BaseSegDataset(data_prefix={"img_path": folder}, metainfo={"classes": ["sky", "sea"]})
    assert dataset.metainfo["palette"] == ((102, 179, 92), (14, 106, 71))  # drawn by the reference's seed, 42
    assert "seg_map_path" not in dataset[0]
    with pytest.raises(FkitError, match="a palette of 1 colours for 2 classes"):
        BaseSegDataset(data_prefix={"img_path": folder}, metainfo={"classes": ["sky", "sea"], "palette": [[1, 2, 3]]})
    with pytest.raises(FkitError, match="metainfo has no 'classes'"):
        BaseSegDataset(data_prefix={"img_path": folder}, test_mode=True)


def test_maps_that_are_not_there_are_skipped_and_counted(tmp_path: Path):
    folder = filled(tmp_path, "a.jpg", "b.jpg", "c.jpg", "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    prefix = {"img_path": folder, "seg_map_path": folder}
    assert len(BaseSegDataset(data_prefix=prefix)) == 3  # what loads the map says so
    with pytest.warns(
        UserWarning, match="1 x a segmentation map of no bytes .*; 1 x a segmentation map that is not there"
    ):
        dataset = BaseSegDataset(data_prefix=prefix, on_error="skip")
    assert [Path(one["img_path"]).name for one in dataset] == ["a.jpg"]


def test_pictures_that_end_in_something_else_are_said(tmp_path: Path):
    folder = filled(tmp_path, "a.png", "in/b.png", "readme.txt")
    with pytest.raises(FkitError, match=r"ends in img_suffix='\.jpg'; 2 end in '\.png'\.\n  Set img_suffix='\.png'"):
        len(BaseSegDataset(data_prefix={"img_path": folder}))
    assert len(BaseSegDataset(data_prefix={"img_path": folder}, img_suffix=".png")) == 2
    (tmp_path / "none").mkdir()
    assert len(BaseSegDataset(data_prefix={"img_path": str(tmp_path / "none")})) == 0


def test_change_detection(tmp_path: Path):
    filled(tmp_path, "A/a.png", "B/a.png")
    prefix = {"img_path": "A", "img_path2": "B", "seg_map_path": "label"}
    record = sets.LEVIRCDDataset(data_root=str(tmp_path), data_prefix=prefix)[0]
    assert [Path(record[key]).parent.name for key in ("img_path", "img_path2", "seg_map_path")] == ["A", "B", "label"]
    assert BaseCDDataset(data_root=str(tmp_path), data_prefix=prefix, img_suffix=".png")[0]["img_path2"].endswith(
        "B/a.jpg"
    )


def test_depth(tmp_path: Path):
    filled(tmp_path, "images/office_0001.jpg", "images/moon_0002.jpg")
    rows = list(sets.NYUDataset(data_root=str(tmp_path)))
    names = sets.NYUDataset.METAINFO["classes"]
    assert [row["category_id"] for row in rows] == [-1, names.index("office")]
    assert rows[1]["depth_map_path"] == str(tmp_path / "annotations/office_0001.png") and "seg_map_path" not in rows[1]
