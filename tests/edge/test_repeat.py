"""Runs that repeat to the bit: what is set where, and what is said of operations that cannot repeat."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.edge.repeat import repeat, telling
from fkit.recipe.settings import read
from fkit.tree.error import RunError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_on_the_cpu_nothing_is_set(backend, deterministic):
    open_room(backend)  # JAX sets variables of its own when it is imported
    before = dict(os.environ), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    settings = read(fkit.Config({"device": "cpu", "randomness": {"deterministic": deterministic}}))
    found = repeat(settings, backend)
    assert (found.record(), found.note) == ({"deterministic": deterministic}, "")
    assert before == (dict(os.environ), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)


def test_a_run_repeats_unless_it_is_told_not_to():
    assert repeat(read(fkit.Config({"device": "cpu"}))).deterministic


CUDA = """
import os, sys
from fkit.array.room import open
repeat = open("jax").repeat
print(repeat("cuda", sys.argv[1] == "True"), os.environ.get("XLA_FLAGS"))
import jax.numpy
jax.numpy.zeros(1)  # the flags are ones that XLA knows
print(repeat("cuda:0", True)[1])
"""


@pytest.mark.parametrize(
    ("deterministic", "flags", "want"),
    [
        (True, "--xla_foo=1", "({'XLA_FLAGS': '--xla_gpu_deterministic_ops=true'}, '') --xla_foo=1 WANTED"),
        (True, "--xla_gpu_deterministic_ops=false", "({'XLA_FLAGS': '--xla_gpu_deterministic_ops=true'}, '') WANTED"),
        (False, "", "({}, '') None"),
    ],
)
def test_flags_of_xla_are_set_before_jax_begins_and_too_late_is_said(deterministic, flags, want):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    if not flags:
        del env["XLA_FLAGS"]
    code = CUDA.replace("jax.numpy.zeros(1)", "jax.numpy.zeros(1)" if "foo" not in flags else "os._exit(0)")
    done = subprocess.run(
        [sys.executable, "-uc", code, str(deterministic)], env=env, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert lines[0] == want.replace("WANTED", "--xla_gpu_deterministic_ops=true"), done.stderr
    if not deterministic:
        assert "JAX was in use before XLA_FLAGS had --xla_gpu_deterministic_ops=true" in lines[1]
    elif "foo" not in flags:
        assert lines[1:] == [""]


def test_torch_says_which_operation_cannot_repeat_and_the_way_out_is_told():
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RunError) as caught, telling(open_room("torch")):
            try:
                torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))
            except RuntimeError as cause:  # as the loop tells it
                raise RunError("iteration 4: the model raised RuntimeError: ...") from cause
    finally:
        torch.use_deterministic_algorithms(False)
    assert str(caught.value) == (
        "iteration 4: the operation put_ has no deterministic form on this device, so the run would not repeat.\n"
        "  Take another layer or loss for it; or set randomness.deterministic=False, which is faster, and repeats no "
        "longer to the bit."
    )
    assert caught.value.exit_code == 1


def test_other_errors_stay_what_they_are():
    for error in (RuntimeError("out of memory"), ValueError("put_ does not have a deterministic implementation")):
        with pytest.raises(type(error), match=str(error)), telling(open_room("torch")):
            raise error


PUTTING = """
import sys
import torch
from torch import nn
from fkit.cli.train import train
from fkit.cli.main import message_of
import fkit


class Putting(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, inputs, samples=None, mode="tensor"):
        logits = self.fc(inputs.flatten(1))
        loss = nn.functional.cross_entropy(logits, samples.targets["gt_label"])
        return {"loss": loss + torch.zeros(3).put_(torch.tensor([0]), loss.detach()[None]).sum()}


torch.use_deterministic_algorithms(True)  # as on CUDA
cfg = fkit.load_config(sys.argv[1]).merge({"model": {"_delete_": True, "type": "Putting"}, "work_dir": sys.argv[2]})
try:
    train(cfg, "x", fkit.registry().register("models", Putting, backend="torch"))
except fkit.FkitError as error:
    print(*message_of(error))
"""


def test_a_run_that_cannot_repeat_fails_with_the_way_out(tmp_path):
    line = [sys.executable, "-c", PUTTING, str(ROOT / "configs/digits/convnet.py"), str(tmp_path / "run")]
    done = subprocess.run(
        line, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "iteration 1: the operation put_ has no deterministic form" in done.stdout, done.stderr
    assert "randomness.deterministic=False" in done.stdout and done.stdout.rstrip().endswith(" 1")
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["status"], record["deterministic"]) == ("failed", True)
    assert "the operation put_ has no deterministic form" in (tmp_path / "run/log.txt").read_text()
