"""The segmenter of experiments/nuclei trains from its files, alike on torch and on JAX, and its pictures can be drawn."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fkit.cli.main import main

FOLDER = Path(__file__).parents[2] / "experiments/nuclei"
SHORT = (
    "train_dataloader.dataset.times=1", "train_dataloader.dataset.dataset.indices=8", "train_dataloader.batch_size=4",
    "val_dataloader.dataset.indices=3", "train_cfg.max_epochs=2", "train_cfg.val_interval=2",
    "param_scheduler.total_steps=2", "default_hooks.logger.interval=1", "default_hooks.visualization.interval=1",
)  # fmt: skip


@pytest.fixture
def folder(here):
    for name in ("segmenter.py", "segmenter_flax.py", "config.py", "pyproject.toml"):
        shutil.copy(FOLDER / name, here / name)
    (here / "data").symlink_to(FOLDER / "data")
    return here


def rows(folder, mode):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["mode"] == mode]


def test_it_trains_alike_on_both_backends_and_draws(folder, capsys):
    for backend in ("torch", "jax"):
        words = ["train", "config.py", "--backend", backend, "--work-dir", backend, "--cfg-options", *SHORT]
        assert main([*words, "dtype=float64"]) == 0
    ours, theirs = ([line["loss"] for line in rows(folder / backend, "train")] for backend in ("torch", "jax"))
    assert len(ours) == 4
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    scores, others = (rows(folder / backend, "val")[-1] for backend in ("torch", "jax"))
    assert scores["mIoU"] == pytest.approx(others["mIoU"], abs=2e-3)
    assert len(list((folder / "torch/vis").iterdir())) == 3
    few = ["test_dataloader.dataset.indices=2", "test_dataloader.batch_size=2"]
    merged = []
    for backend in ("torch", "jax"):  # twelve views of two pictures
        words = ["test", "config.py", "torch", "--backend", backend, "--tta", "--out", f"{backend}.json"]
        assert main([*words, "--cfg-options", *few, "dtype=float64"]) == 0
        merged.append(json.loads((folder / f"{backend}.json").read_text()))
    assert merged[0] == pytest.approx(merged[1], rel=1e-9)
    image = sorted((FOLDER / "data/images/val").iterdir())[0]
    assert main(["infer", "config.py", "torch", str(image), "--out", "vis"]) == 0
    [row] = [json.loads(line) for line in (folder / "vis/predictions.jsonl").read_text().splitlines()]
    assert set(row["parts"]) <= {"background", "nucleus"}
    assert sum(row["parts"].values()) == pytest.approx(1)


def test_the_data_that_ship_are_whole():
    counts = {part: len(list((FOLDER / "data/images" / part).iterdir())) for part in ("train", "val")}
    assert counts == {"train": 140, "val": 30}
    for part in counts:
        names = [
            sorted(path.stem for path in (FOLDER / "data" / kind / part).iterdir()) for kind in ("images", "masks")
        ]
        assert names[0] == names[1]
