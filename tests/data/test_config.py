"""The shipped configs of the digits: they load, their data opens, and their words are true."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.data.dataset import Digits, ImageFiles
from fkit.data.loader import Loader, open_loader
from fkit.data.sampler import DefaultSampler
from fkit.image.io import imwrite
from fkit.metric.accuracy import Accuracy
from fkit.metric.evaluator import Evaluator
from fkit.visualize.visualizer import picture

ROOT = Path(__file__).parents[2]
CONFIGS = tuple(sorted(path.name for path in (ROOT / "configs/digits").iterdir() if path.is_file()))


def config(name: str) -> Any:
    return fkit.load_config(str(ROOT / "configs/digits" / name))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_data_opens(name: str):
    cfg, reg = config(name), fkit.registry()
    train = open_loader(cfg.train_dataloader, reg.build, cfg.seed, path="train_dataloader")
    held_out = open_loader(cfg.test_dataloader, reg.build, cfg.seed, path="test_dataloader")
    assert (train.length, held_out.length) == (23, 3)
    assert train.batch(0, 0).inputs.shape == (64, 1, 8, 8) and train.batch(0, 22).inputs.shape == (29, 1, 8, 8)
    assert Evaluator.of(cfg.val_evaluator, reg.build) == Evaluator((Accuracy(topk=(1,)),))
    assert not np.array_equal(train.batch(0, 0).inputs, train.batch(1, 0).inputs)


def test_the_three_spellings_of_mlp_are_one_config():
    assert config("mlp.py") == config("mlp.yaml") == config("mlp.json")
    assert config("mlp.py").fingerprint == config("mlp.yaml").fingerprint == config("mlp.json").fingerprint


def test_mean_and_deviation_are_those_of_the_training_split():
    values = Digits("train").arrays.images / 16
    cfg = config("convnet.py")
    assert cfg.norm_cfg.mean == [round(float(values.mean()), 4)]
    assert cfg.norm_cfg.std == [round(float(values.std()), 4)]


def test_an_image_file_becomes_what_the_shipped_digit_is(tmp_path: Path):
    """The samples of experiments/digits, and a scan as large as the originals were (32x32)."""
    digits = Digits("test")
    pipeline = [
        fkit.build(step, fkit.registry(), "transforms")
        for step in config("convnet.py").test_dataloader.dataset.pipeline
    ]
    paths = sorted((ROOT / "experiments/digits/samples").glob("*.png"))
    numbers = [int(path.stem.split("_")[1]) for path in paths]
    assert [digits[number]["gt_label"] for number in numbers] == list(range(10))
    scan = tmp_path / "scan.png"
    assert imwrite(picture(digits[5]["img"], 16).repeat(4, axis=0).repeat(4, axis=1), scan)
    files = Loader(ImageFiles([*paths, scan], pipeline), 11, DefaultSampler(shuffle=False))
    shipped = Loader(Digits("test", pipeline), 360, DefaultSampler(shuffle=False))
    want = shipped.batch(0, 0).inputs[[*numbers, 5]]
    step = 1 / 255 / 0.3759  # a grey level of the file, normalised
    assert np.abs(files.batch(0, 0).inputs - want).max() <= step
