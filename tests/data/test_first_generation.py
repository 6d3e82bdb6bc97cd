"""A config of mmdet 2.x, as people's notes have it, reads a COCO data set: to batches, with nothing left untranslated."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.config.config import Config, load_config
from fkit.config.dialect import translate
from fkit.data.collate import padding
from fkit.data.loader import Loader
from fkit.data.sampler import DefaultSampler
from fkit.image.io import imwrite

NOTE = Path(__file__).parents[1] / "config" / "seeds" / "000_dc5aaa941a9e13cb.txt"


def block(start: str) -> str:
    """The config of the note that begins with this line, without its indent."""
    lines = NOTE.read_text(encoding="utf-8").splitlines()
    first = next(place for place, line in enumerate(lines) if line.strip().startswith(start))
    indent = len(lines[first]) - len(lines[first].lstrip())
    last = next(place for place in range(first, len(lines)) if lines[place].strip().startswith("```"))
    return "\n".join(line[indent:] for line in lines[first:last])


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    """The note's config for instances, and its Swin's over it, on a small data set of rectangles."""
    base = block("dataset_type = 'CocoDataset'")
    base = base.replace("'data/coco/'", repr(f"{tmp_path.as_posix()}/")).replace("1333, 800", "133, 80")
    child = re.sub(r"_base_ = \[.*?\]", "_base_ = ['base.py']", block("# 각 세부 config file의 path"), flags=re.DOTALL)
    child = re.sub(r"(\d+), 1333\)", lambda size: f"{int(size[1]) // 10}, 133)", child)
    (tmp_path / "base.py").write_text(
        base
        + "\nmodel = dict(type='MaskRCNN')\noptimizer = dict(type='SGD', lr=0.1)\nlr_config = dict(policy='step', step=[8])\n"
    )
    (tmp_path / "child.py").write_text(child)
    rng = np.random.default_rng(0)
    for split in ("train2017", "val2017"):
        images: list[Any] = []
        objects: list[Any] = []
        for number in range(3):
            imwrite(rng.integers(0, 255, (60, 90, 3), np.uint8), tmp_path / split / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 90})
            for x, y in ((5, 5), (30, 20)):
                corners = [x, y, x + 40, y, x + 40, y + 30, x, y + 30]
                shape = {"bbox": [x, y, 40, 30], "area": 1200, "segmentation": [corners], "iscrowd": 0}
                objects.append({"id": len(objects) + 1, "image_id": number, "category_id": 1, **shape})
        categories = [{"id": 1, "name": "person"}]
        file = tmp_path / "annotations" / f"instances_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))
    return load_config(tmp_path / "child.py")


def test_every_step_of_the_pipelines_is_there(cfg: Config) -> None:
    new, notes = translate(cfg)
    assert not [note for note in notes if "pipeline" in note or "data" in note]
    assert new.default_scope == "mmdet"
    for split in ("train", "val", "test"):
        dataset = new[f"{split}_dataloader"].dataset
        assert set(dataset) - {"filter_cfg", "test_mode"} == {"type", "ann_file", "data_prefix", "pipeline"}
        for step in dataset.pipeline:
            assert fkit.registry().build("transforms", step, scope="mmdet") is not None


def test_its_data_are_read(cfg: Config) -> None:
    new, _ = translate(cfg)
    train = fkit.registry().build("datasets", new.train_dataloader.dataset, scope="mmdet")
    assert len(train) == 3
    sizes: set[tuple[int, ...]] = set()
    for seed in range(8):
        packed = train.pipeline(train[seed % 3], np.random.default_rng(seed))
        height, width = packed["inputs"].shape[1:]
        assert height % 32 == width % 32 == 0 and packed["inputs"].dtype == np.float32
        objects = packed["targets"]["gt_instances"]
        assert objects["masks"].shape == (len(objects["bboxes"]), height, width)
        for box, mask in zip(objects["bboxes"], objects["masks"], strict=True):  # the mask lies in its box
            rows, columns = np.nonzero(mask)
            around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(box, around, atol=2.5)
        assert objects["labels"].tolist() == [0] * len(objects["bboxes"])
        assert packed["meta"]["img_norm_cfg"]["to_rgb"] is True
        assert packed["meta"]["pad_shape"] == (height, width, 3)
        sizes.add(tuple(packed["targets"]["img_shape"].tolist()))
    assert len(sizes) > 3
    val = fkit.registry().build("datasets", new.val_dataloader.dataset, scope="mmdet")
    packed = val.pipeline(val[0], np.random.default_rng(0))
    assert packed["inputs"].shape == (3, 96, 128) and packed["meta"]["img_shape"] == (80, 120)
    assert packed["targets"].keys() == {"img_shape", "ori_shape", "scale_factor"} or not packed["targets"]


def test_its_batches_are_padded_to_the_largest_image(cfg: Config) -> None:
    loader = fkit.registry().build("datasets", translate(cfg)[0].train_dataloader.dataset, scope="mmdet")
    source = Loader(loader, 3, DefaultSampler(shuffle=False), collate=padding())
    batch = source.batch(0, 0)
    packed = [loader.pipeline(loader[place], np.random.default_rng(place)) for place in range(3)]
    assert batch.inputs.ndim == 4 and len({one["inputs"].shape for one in packed}) > 1
    valid = batch.valid["gt_instances"]
    masks = batch.targets["gt_instances"]["masks"]
    assert masks.shape == (*valid.shape, *batch.inputs.shape[2:]) and not masks[~valid].any()
