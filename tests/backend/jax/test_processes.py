"""Two processes of JAX train as one: the same losses, scores and files; going on alone; one that is killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONFIG = """
model = dict(
    type="ImageClassifier",
    backbone=dict(type="MLP", in_channels=64, hidden=[16], dropout=0.25),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=16),
)
steps = [dict(type="ToUnit"), dict(type="PackInputs")]
train_dataloader = dict(
    global_batch_size=32, num_batch_per_epoch=5, sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="Digits", split="train", pipeline=steps),
)
val_dataloader = dict(batch_size=80, dataset=dict(type="Digits", split="test", pipeline=steps))
val_evaluator = dict(type="Accuracy")
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
custom_hooks = [dict(type="EMAHook", momentum=0.1)]
default_hooks = dict(logger=dict(type="LoggerHook", interval=1), checkpoint=dict(type="CheckpointHook", interval=1))
seed = 0
backend = "jax"
device = "cpu"
dtype = "float64"
"""


def started(folder, *words, rank=0, world=1, port=0, devices=1):
    """``fkit train c.py`` as a process, one of several that a launcher has started."""
    launched = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    place = {**{name: str(value) for name, value in launched.items()}, "MASTER_ADDR": "127.0.0.1"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    words = ["train", "c.py", *words, *(["--launcher", "pytorch"] if world > 1 else [])]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "fkit", *words], cwd=folder, env={**environment, **(place if world > 1 else {})},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def free_port():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def together(folder, *words, devices=1):
    port = free_port()
    both = [started(folder, *words, rank=rank, world=2, port=port, devices=devices) for rank in (0, 1)]
    said = [one.communicate(timeout=600)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    return said


def alone(folder, *words):
    one = started(folder, *words)
    said, _ = one.communicate(timeout=600)
    assert one.returncode == 0, said


def rows(folder):
    table = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {(row["step"], row["mode"]): row.get("loss", row.get("accuracy/top1")) for row in table}


def apart(one, other, count=12):
    assert one.keys() >= other.keys() and len(other) == count
    return max(abs(one[at] - other[at]) / abs(one[at]) for at in other)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    (folder / "c.py").write_text(CONFIG)
    alone(folder, "--work-dir", "one")
    return folder


def test_two_processes_train_as_one_and_one_goes_on(place):
    first, second = together(place, "--work-dir", "two", "--cfg-options", "train_cfg.max_epochs=1")
    assert "accuracy/top1" in first and "accuracy/top1" not in second, "rank 0 alone speaks"
    record = json.loads((place / "two/run.json").read_text())
    assert record["status"] == "finished" and record["processes"] == 2
    alone(place, "--work-dir", "two", "--resume")
    assert apart(rows(place / "one"), rows(place / "two")) < 1e-10


def test_two_processes_of_two_devices_each_train_as_one(place):
    together(place, "--work-dir", "four", "--devices", "2", devices=2)
    assert apart(rows(place / "one"), rows(place / "four")) < 1e-10


def test_two_processes_take_several_steps_in_a_call(place):
    words = ("--cfg-options", "scan_steps=4", "default_hooks.logger.interval=5")
    together(place, "--work-dir", "scanned", *words)
    assert "up to 4 steps go into one call" in (place / "scanned/log.txt").read_text()
    assert apart(rows(place / "one"), rows(place / "scanned"), 4) < 1e-10


def test_a_process_that_is_killed_ends_the_other(place):
    port, words = free_port(), ("--work-dir", "dies", "--cfg-options", "train_cfg.max_epochs=3000")
    both = [started(place, *words, rank=rank, world=2, port=port) for rank in (0, 1)]
    until = time.monotonic() + 300
    while not (place / "dies/metrics.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.5)
    both[1].send_signal(signal.SIGKILL)
    said, _ = both[0].communicate(timeout=300)
    both[1].communicate()
    assert both[0].returncode != 0 and "another process of this run ended; the others end with it" in said
