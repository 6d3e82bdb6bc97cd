"""``fkit browse``: sheets of what a pipeline gives, and an overview; what is wrong in the data is said on the pictures."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fkit
from fkit.cli.browse import config_names
from fkit.cli.main import main
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.photometry import Normalize, ToUnit
from fkit.recipe.source import open_source
from fkit.visualize.stage import Stage, class_counts, stages
from fkit.visualize.strip import draw_stage, strip

IMAGE = np.full((60, 80, 3), 200, np.uint8)


def boxed(boxes: list[list[float]]) -> dict[str, Any]:
    labels = np.zeros(len(boxes), np.int64)
    return {"img": IMAGE, "gt_bboxes": np.array(boxes, np.float32), "gt_bboxes_labels": labels}


def test_a_sheet_a_sample_and_an_overview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["browse", "configs/digits/convnet.py", "--out", str(tmp_path / "a"), "--part", "val", "--number", "2"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "val_000000.png",
        "val_000359.png",
        "val_overview.png",
    ]
    assert said.out.startswith(f"{tmp_path}/a/val_overview.png: 24 of 360 samples")
    assert sum(int(line.split()[0]) for line in said.out.splitlines()[1:]) == 24
    assert main(words) == 0  # nothing is written over
    assert len(list((tmp_path / "a").iterdir())) == 6


def test_it_shows_what_a_run_of_that_seed_sees() -> None:
    dataset = fkit.Dataset.of([{"img": IMAGE, "gt_label": 0}] * 4, pipeline=[RandomFlip(prob=0.5), ToUnit()])
    first, again, other = (stages(dataset, 1, seed) for seed in (3, 3, 4))
    assert [stage.name for stage in first] == ["as it lies", "RandomFlip", "ToUnit"]
    assert first[1].note == again[1].note
    draws = {stages(dataset, place, 3)[1].note for place in range(4)} | {other[1].note}
    assert draws == {"", "horizontal"}


def test_steps_that_mix_are_shown_one_by_one_by_the_names_of_the_config(tmp_path: Path) -> None:
    config = tmp_path / "mosaic.py"
    config.write_text(
        "default_scope = 'mmdet'\n"
        "steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]\n"
        "mixing = [dict(type='Mosaic', img_scale=(40, 40)), dict(type='PackDetInputs')]\n"
        "inner = dict(type='DigitBoxes', split='test', pipeline=steps)\n"
        "train_dataloader = dict(batch_size=1, dataset=dict(type='MultiImageMixDataset', dataset=inner, pipeline=mixing),"
        " sampler=dict(type='DefaultSampler', shuffle=False))\n"
    )
    cfg = fkit.load_config(config)
    dataset: Any = open_source(cfg, None, "train").dataset
    shown = stages(dataset, 0, name_of=config_names(fkit.registry(), "mmdet"))
    assert [one.name for one in shown[1:]] == ["LoadImageFromFile", "LoadAnnotations", "Mosaic", "PackDetInputs"]
    assert shown[3].note.startswith("3 more samples, centre ")
    assert strip(shown, dataset.metainfo, columns=3, side_px=60).shape[1] == 3 * 72 + 12


def test_bytes_as_floats_and_normalised_images_look_as_the_file_does() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    whole, floats = ({"img": image}, {"img": image.astype(np.float32)})
    normalised = Normalize(mean=[120.0, 110, 100], std=[60.0, 58, 57], to_rgb=True)(floats)
    first, *others = (draw_stage(Stage("s", "", one), {}, lines=1) for one in (whole, floats, normalised))
    assert all(np.abs(first.astype(int) - other).max() <= 1 for other in others)


def test_a_step_that_drops_the_sample_is_the_last() -> None:
    def nothing(results: dict[str, Any]) -> None:
        return None

    with pytest.warns(UserWarning, match="no draw and apply"):
        dataset = fkit.Dataset.of([{"img": IMAGE}], pipeline=[nothing, ToUnit()])
    steps = stages(dataset, 0)
    assert [stage.sample is None for stage in steps] == [False, True]
    assert draw_stage(steps[1], {}).shape[2] == 3


@pytest.mark.parametrize(
    ("boxes", "red"),
    [([[10, 10, 40, 40]], False), ([[10, 10, 140, 40]], True), ([[30, 10, 10, 40]], True)],
    ids=["whole", "outside", "inside out"],
)
def test_boxes_that_are_none_of_the_image_are_counted_in_red(boxes: list[list[float]], red: bool) -> None:
    drawn = draw_stage(Stage("as it lies", "", boxed(boxes)), {"palette": [(0, 0, 255)]})
    found = ((drawn == (200, 30, 30)) | (np.abs(drawn.astype(int) - (200, 30, 30)) < 40)).all(axis=2)
    assert bool(found.any()) is red


def test_maps_points_and_labels_are_drawn() -> None:
    meta = {"classes": ("a", "b"), "palette": [(255, 0, 0), (0, 255, 0)]}
    of_map = draw_stage(Stage("s", "", {"img": IMAGE, "gt_seg_map": np.ones((60, 80), np.uint8)}), meta)
    assert of_map[60, 110].argmax() == 1
    points = {"img": IMAGE, "keypoints": np.array([[[10, 10], [60, 50]]]), "keypoints_visible": np.ones((1, 2))}
    assert (
        draw_stage(Stage("s", "", points), {"skeleton_links": [(0, 1)]})
        != draw_stage(Stage("s", "", {"img": IMAGE}), {})
    ).any()
    assert class_counts([{"gt_label": 1}, {"gt_label": 1}, {"gt_label": 0}], meta["classes"]) == [("b", 2), ("a", 1)]


def test_the_colours_of_a_picture_are_those_of_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "red.png")
    cv2.imwrite(path, np.full((60, 80, 3), (0, 0, 255), np.uint8))
    drawn = draw_stage(Stage("as it lies", "", {"img_path": path}), {})
    assert drawn[-5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--number", "0"], "--number 0: at least 1"), (["--part", "tset"], "--part"), ([], "--out")],
    ids=["number", "part", "out"],
)
def test_wrong_words_end_with_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = [] if not words else ["--out", str(tmp_path / "b")]
    assert main(["browse", "configs/digits/convnet.py", *out, *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_points_follow_the_image_that_a_step_cut_out() -> None:
    points = {
        "img": IMAGE,
        "keypoints": np.array([[[70.0, 50.0]]]),
        "keypoints_visible": np.ones((1, 1)),
        "bbox": np.array([[0, 0, 9, 9]]),
    }
    cut = {**points, "transformed_keypoints": np.array([[[20.0, 20.0]]])}
    whole, moved = (draw_stage(Stage("s", "", one), {}) for one in (points, cut))
    plain = draw_stage(Stage("s", "", {"img": IMAGE}), {})
    places = [np.argwhere((one != plain).any(axis=2)).mean(axis=0) for one in (whole, moved)]
    assert abs(places[1][1] - 102) < 5  # x = 20 of 80, on a picture of 420
    assert places[0][1] < 80
    unseen = {**points, "keypoints_visible": np.zeros((1, 1))}
    unseen.pop("bbox")
    assert (draw_stage(Stage("s", "", unseen), {}) == plain).all()
    packed = {"inputs": IMAGE.transpose(2, 0, 1), "targets": {"gt_instances": {"keypoints": points["keypoints"]}}}
    shown = draw_stage(Stage("s", "", {**packed, "meta": {"input_center": (1, 1)}}), {})
    assert (shown[-60:] == plain[-60:]).all()


def test_a_raw_samples_map_is_read(tmp_path: Path) -> None:
    for name, value in (("a.png", 200), ("m.png", 1)):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80), value, np.uint8))
    sample = {"img_path": str(tmp_path / "a.png"), "seg_map_path": str(tmp_path / "m.png")}
    drawn = draw_stage(Stage("as it lies", "", sample), {"palette": [(255, 0, 0), (0, 255, 0)]})
    assert drawn[60, 40].argmax() == 1
