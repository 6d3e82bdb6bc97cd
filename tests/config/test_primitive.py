"""The configs that ship: primitives under configs/_base_ (model, dataset, schedule, runtime), and jobs made of them."""

import json
from pathlib import Path

import pytest

import fkit

CONFIGS = Path(__file__).parents[2] / "configs"
PRIMITIVES = sorted(CONFIGS.glob("_base_/**/*.py"))
JOBS = sorted(CONFIGS.glob("[!_]*/*.py"))
# what a primitive says, in mmengine's keys or in mmcv 1.x's
OWN = {
    "models": ({"model"},),
    "datasets": ({"train_dataloader"}, {"data"}),
    "schedules": ({"optim_wrapper", "train_cfg"}, {"optimizer", "lr_config", "runner"}),
    "_base_": ({"seed"},),
}


@pytest.mark.parametrize("file", PRIMITIVES, ids=[file.stem for file in PRIMITIVES])
def test_a_primitive_is_one_file_without_bases(file: Path) -> None:
    assert "_base_ =" not in file.read_text()
    cfg = fkit.load_config(file)
    assert any(keys <= cfg.keys() for keys in OWN[file.parent.name])
    others = [fkit.load_config(other) for other in PRIMITIVES if other.parent != file.parent]
    assert not [cfg.keys() & other.keys() for other in others if cfg.keys() & other.keys()]


@pytest.mark.parametrize("file", JOBS, ids=[file.stem for file in JOBS])
def test_a_job_is_made_of_one_of_each(file: Path) -> None:
    cfg = fkit.load_config(file)
    origins = {Path(str(cfg.origin(key)).rpartition(":")[0]) for key in cfg}
    assert {origin.resolve().parent.name for origin in origins} >= {"models", "datasets", "schedules", "_base_"}


def test_the_formats_say_the_same() -> None:
    texts = [
        fkit.load_config(CONFIGS / "digits" / f"mlp{suffix}").text("canonical") for suffix in (".py", ".yaml", ".json")
    ]
    assert [json.loads(text) for text in texts] == [json.loads(texts[0])] * 3
