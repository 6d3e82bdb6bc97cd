"""Short runs of the digits on a device, and the marks of tests that need one.

FKIT_CUDA_DEVICE names another device than "cuda": "cuda:1"; or "cpu", to try the tests themselves without a GPU.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import pytest
import torch

import fkit
from fkit.cli.main import main
from fkit.run.effect import WriteScalars

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
DEVICE = os.environ.get("FKIT_CUDA_DEVICE", "cuda")
SHORT = ("train_cfg.max_epochs=3", "param_scheduler.1.end=3", "param_scheduler.1.T_max=2")


@cache
def jax_has_it():
    """Whether JAX has the device."""
    try:
        return bool(jax.devices(DEVICE.partition(":")[0]))
    except RuntimeError:
        return False


on_torch = pytest.mark.skipif(
    DEVICE.startswith("cuda") and not torch.cuda.is_available(), reason="no GPU: torch sees no CUDA device"
)
on_jax = pytest.mark.skipif(not jax_has_it(), reason="no GPU: JAX sees no CUDA device")
on_gpu = pytest.mark.skipif(not DEVICE.startswith("cuda") or not torch.cuda.is_available(), reason="no GPU")
each_backend = pytest.mark.parametrize(
    "backend", [pytest.param("torch", marks=on_torch), pytest.param("jax", marks=on_jax)]
)


def config(**changes):
    """The ConvNet's, every loss logged."""
    logger = {"default_hooks": {"logger": {"type": "LoggerHook", "interval": 1}}}
    return fkit.load_config(CONVNET).merge({**logger, "seed": 7, **changes})


def losses(cfg, backend, steps):
    """Of a run's first steps, as its hooks log them."""
    plan = fkit.plan(cfg, backend=backend)
    values = []
    for run, effects in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
        values += [row.scalars["loss"] for row in effects if isinstance(row, WriteScalars) and row.mode == "train"]
        if run.iteration >= steps:
            return values
    raise AssertionError("the run ended early")


def batches(plan, count):
    """The first batches of the run's data."""
    stream = fkit.open_data(plan)["train"].batches(0, 0)
    return [next(stream) for _ in range(count)]


def curve(program, items, state=None):
    """The losses of a step on each batch, and the state after them."""
    state, numbers = program.init(0) if state is None else state, program.hyperparams()
    logs = []
    for batch in items:
        state, log = program.train_step(state, batch, numbers)
        logs.append(log["loss"])
    return [float(loss) for loss in logs], state


def command(folder, backend, *words, options=SHORT):
    """`fkit train` in a process of its own, begun."""
    line = [sys.executable, "-m", "fkit", "train", CONVNET, "--backend", backend, "--device", DEVICE]
    line += ["--work-dir", str(folder), *words, "--cfg-options", *options]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train(folder, backend, *words, options=SHORT):
    """`fkit train` in a process of its own, to its end."""
    child = command(folder, backend, *words, options=options)
    _, err = child.communicate(timeout=600)
    assert child.returncode == 0, err


def fingerprint(folder, capsys):
    """Of the newest checkpoint."""
    capsys.readouterr()
    assert main(["fingerprint", str(folder)]) == 0
    return capsys.readouterr().out
