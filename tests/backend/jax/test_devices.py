"""Several devices share a step: the numbers of one, to rounding; resume, donation, feeding, and what is refused.

JAX counts the devices of the CPU when it starts, so that each test is a process of its own with four of them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fkit

ROOT = Path(__file__).parents[3]
FOUR = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}


def child(*words, code=0, **options):
    done = subprocess.run(
        [sys.executable, "-P", "-m", *words], env={**os.environ, **FOUR}, capture_output=True, text=True, check=False, **options
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    return done


def computed(what):
    """What `tests.backend.jax.sharing` says, in a process with four devices."""
    return json.loads(child("tests.backend.jax.sharing", what).stdout.splitlines()[-1])


def test_two_and_four_devices_train_as_one_does():
    far = computed("losses")
    assert far["float64"]["logs"] < 1e-10 and far["float64"]["state"] < 1e-10
    assert far["float32"]["logs"] < 1e-5


def test_averages_clipping_accumulation_and_moments_are_those_of_one_device():
    far = computed("parts")
    assert far["logs"] < 1e-10 and far["state"] < 1e-10


def test_a_run_goes_on_to_the_same_bits_and_on_another_number_of_devices():
    assert computed("resumes") < 1e-10


def test_a_step_is_donated_and_compiled_once():
    computed("steps")


def test_a_batch_without_equal_parts_is_said_once():
    (said,) = computed("odd")
    assert said.startswith("a training batch of 2 samples has no equal parts for 4 devices")


def test_batches_sent_ahead_are_split_already():
    computed("fed")


def test_how_many_devices_there_are_and_what_is_refused():
    many, one, twice, none, parts = computed("counts")
    assert "devices = 9, and JAX has 4 here (cpu)" in many
    assert "XLA_FLAGS=--xla_force_host_platform_device_count=9" in many
    assert "device = 'cpu:1' is one" in one and "device='cpu'" in one
    assert "devices = 2 and parallel.devices = 4 are one value" in twice
    assert "device = 'cuda' is not there for JAX" in none
    assert "global_batch_size = 16 has no equal parts for 3 devices" in parts


CONFIG = """
model = dict(
    type="ImageClassifier",
    backbone=dict(type="ConvNet", in_channels=1, channels=(4,)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=4),
)
steps = [dict(type="ToUnit"), dict(type="PackInputs")]
train_dataloader = dict({batch}, num_batch_per_epoch=4, dataset=dict(type="Digits", split="train", pipeline=steps))
val_dataloader = dict(batch_size=90, dataset=dict(type="Digits", split="test", pipeline=steps))
val_evaluator = dict(type="Accuracy")
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
seed = 0
backend = "jax"
device = "cpu"
"""


@pytest.mark.parametrize("batch", ["global_batch_size=32", "batch_size=8"])
def test_the_command_line_trains_and_goes_on_with_another_number(batch, tmp_path):
    (tmp_path / "c.py").write_text(CONFIG.format(batch=batch))
    train = ["fkit", "train", "c.py", "--work-dir", "run"]
    child(*train, "--devices", "4", cwd=tmp_path)
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["devices"] == 4 and record["data"]["train"]["batch"] == 32
    more = ["--resume", "--cfg-options", "train_cfg.max_epochs=2"]
    if batch == "batch_size=8":
        done = child(*train, "--devices", "2", *more, cwd=tmp_path, code=2)
        assert "train_dataloader.batch_size: 32 -> 16" in done.stderr
        more.append("train_dataloader.batch_size=16")
    child(*train, "--devices", "2", *more, cwd=tmp_path)
    assert json.loads((tmp_path / "run/run.json").read_text())["devices"] == 2
    assert "began on 4 devices and goes on on 2" in (tmp_path / "run/log.txt").read_text()
    done = child("fkit", "test", "c.py", "run", "--devices", "4", cwd=tmp_path)
    assert done.stdout.startswith("accuracy/top1 ")


def test_torch_says_what_shares_a_step():
    cfg = fkit.load_config("digits/mlp", "seed=0").merge({"devices": 2})
    with pytest.raises(fkit.FkitError, match="on torch each device is a process of its own, and there are 1"):
        fkit.plan(cfg)
    assert fkit.program(cfg).spec.devices == fkit.plan(cfg, part="test").program.spec.devices == 1  # what a run was
    with pytest.raises(fkit.FkitError, match="and there are 1"):
        fkit.program(cfg.merge({"devices": 2}, source="the command line"))
