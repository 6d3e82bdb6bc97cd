"""Configs inside of people's notes on mmcv and mmdet (mmdet 2.x and mmengine's time): each block is read as it stands."""

import re
from pathlib import Path

import pytest

import fkit
from fkit.config.config import load_config, load_string
from fkit.config.dialect import translate
from fkit.tree.error import FkitError

SEEDS = sorted(Path(__file__).with_name("seeds").glob("*.txt"))
FENCE = re.compile(r"^( *)``` *python[ ]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks(seed: Path) -> list[str]:
    """The Python blocks of a note, without their indent."""
    found: list[str] = []
    for indent, text in FENCE.findall(seed.read_text(encoding="utf-8")):
        found.append("".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)))
    return found


def test_there_are_seeds() -> None:
    assert len(SEEDS) == 5
    assert sum(len(blocks(seed)) for seed in SEEDS) > 60


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.stem[:3])
def test_each_block_is_read_or_refused_clearly(seed: Path) -> None:
    read = 0
    for text in blocks(seed):
        try:
            cfg = load_string(text)
        except FkitError as error:
            assert error.origin is not None
            continue
        assert load_string(cfg.text("python")) == cfg
        read += 1
    assert read > 0 or seed == SEEDS[2]  # whose blocks are children without their bases, and code


def test_the_swin_config_of_mmdet_2(tmp_path: Path) -> None:
    text = next(block for block in blocks(SEEDS[0]) if "_base_ = [" in block)
    for name in ("models/mask_rcnn_swin_fpn", "datasets/coco_instance", "schedules/schedule_1x", "default_runtime"):
        file = tmp_path / "_base_" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        key = name.replace("/", "_")
        file.write_text(
            f"{key} = 1\n"
            + (
                "model = dict(type='MaskRCNN', backbone=dict(type='SwinTransformer', embed_dim=1))"
                if "mask" in name
                else ""
            )
        )
    (tmp_path / "_base_" / "schedules" / "schedule_1x.py").write_text(
        "optimizer = dict(type='SGD', lr=0.02)\nlr_config = dict(policy='step', warmup='linear', warmup_iters=500, step=[8, 11])\n"
    )
    child = tmp_path / "config.py"
    child.write_text(text, encoding="utf-8")
    cfg = load_config(child)
    assert cfg.model.type == "MaskRCNN" and cfg.model.backbone.embed_dim == 96
    assert cfg.optimizer.type == "AdamW" and "_delete_" not in cfg.optimizer
    assert cfg.lr_config.step == [27, 33] and cfg.lr_config.policy == "step"
    assert cfg.train_pipeline[3].policies[0][0].img_scale[0] == (480, 1333)
    new, notes = translate(cfg)
    assert new.optim_wrapper.optimizer.lr == 0.0001
    assert new.train_cfg.max_epochs == 36
    assert new.param_scheduler[1].milestones == [27, 33]
    assert any("optimizer_config" in note for note in notes)


def test_the_faster_rcnn_of_the_second_note() -> None:
    text = next(block for block in blocks(SEEDS[1]) if "type='FasterRCNN'" in block)
    cfg = load_string(text)
    assert cfg.model.backbone.init_cfg == fkit.Config({"type": "Pretrained", "checkpoint": "torchvision://resnet50"})
    assert cfg.model.test_cfg.rcnn.nms.iou_threshold == 0.5
    assert cfg.origin("model.backbone.depth") == "<string>.py:7"


def test_a_base_and_a_child_of_the_third_note(tmp_path: Path) -> None:
    text = next(block for block in blocks(SEEDS[2]) if "optimizer_cfg.py" in block)
    (tmp_path / "optimizer_cfg.py").write_text("optimizer = dict(type='Adam', betas=(0.9, 0.999))")
    (tmp_path / "runtime_cfg.py").write_text("device = 'cuda'")
    (tmp_path / "c.py").write_text(text)
    assert load_config(tmp_path / "c.py") == {"optimizer": {"type": "SGD", "lr": 0.01}, "device": "cuda"}
