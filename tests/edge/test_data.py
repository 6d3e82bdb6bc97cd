"""A run that goes on finds the data of before, or says what differs."""

import json

import numpy as np
import pytest
from PIL import Image

import fkit
from fkit.cli.main import main
from fkit.data.dataset import read_digits
from fkit.edge.checkpoint import newest
from tests.run.small import config


@pytest.fixture
def place(tmp_path):
    """Three folders of six digits, a config that reads them, and a run of one epoch."""
    digits = read_digits("train")
    for label in range(3):
        (tmp_path / f"data/{label}").mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(digits.labels == label)[:6]):
            write(tmp_path / f"data/{label}/{number}.png", digits.images[index, ..., 0])
    steps = [
        dict(type="LoadImageFromFile", color_type="grayscale"),
        dict(type="Resize", scale=(8, 8), interpolation="area"),
        dict(type="ToUnit"),
        dict(type="PackInputs"),
    ]
    loader = dict(
        _delete_=True, batch_size=6, dataset=dict(type="ImageFolder", data_root=str(tmp_path / "data"), pipeline=steps)
    )
    cfg = config(val_dataloader=loader, train_dataloader=loader, param_scheduler=dict(_delete_=True, type="ConstantLR"))
    cfg.dump(tmp_path / "cfg.py")
    return tmp_path


def write(path, image):
    Image.fromarray((image * 15).astype(np.uint8)).save(path)


def train(place, epochs, *words):
    cfg = str(place / "cfg.py")
    return main(
        ["train", cfg, "--work-dir", str(place / "run"), *words, "--cfg-options", f"train_cfg.max_epochs={epochs}"]
    )


def test_data_are_on_record(place):
    assert train(place, 1) == 0
    record = json.loads((place / "run/run.json").read_text())["data"]
    assert record["train"]["samples"] == 18 and record["train"]["classes"] == ["0", "1", "2"]
    assert newest(place / "run/checkpoints").meta["data"] == record


@pytest.mark.parametrize(
    ("harm", "want"),
    [
        ("fewer", "train samples: 18 -> 17"),
        ("more classes", "train classes: '3' is new"),
        ("other names", "val the samples are others, as many as before"),
    ],
)
def test_other_data_are_an_error_that_shows_the_difference(harm, want, place, capsys):
    assert train(place, 1) == 0
    if harm == "fewer":
        (place / "data/2/5.png").unlink()
    elif harm == "more classes":
        (place / "data/3").mkdir()
        write(place / "data/3/0.png", np.zeros((8, 8)))
    else:
        (place / "data/2/5.png").rename(place / "data/2/another.png")
    capsys.readouterr()
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    assert train(place, 2, "--resume") == 2
    err = capsys.readouterr().err
    assert "the data are others than those that the run began with:\n" in err and f"  {want}" in err
    assert "--other-data" in err and "Traceback" not in err
    assert before == {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    assert train(place, 2, "--resume", "--other-data") == 0
    assert f"other data: {want}" in capsys.readouterr().err
    assert train(place, 3, "--resume") == 0, "from here on they are the run's"


def test_the_same_data_are_no_difference(place):
    assert train(place, 1) == 0
    assert train(place, 2, "--resume") == 0
    assert fkit.load_config(place / "run/config.py").train_cfg.max_epochs == 2
