"""Runs of several processes and of several devices, executed again by as many."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.run.probe import Taken, together
from fkit.run.start import Saved
from fkit.training.fleet import Fleet
from fkit.tree.error import FkitError
from fkit.tree.frozen import EMPTY

ROOT = Path(__file__).parents[2]
RULE = '''
"""Weights that shrink from a step on, as code that was changed since has it."""
from dataclasses import dataclass
import fkit

FROM = 0  # 0: never

@dataclass(frozen=True)
class Rule(fkit.Hook):
    at: int = 0

    def wrap(self, program):
        first = self.at or FROM

        def train_step(state, batch, hyperparams):
            state, logs = program.train_step(state, batch, hyperparams)
            if first and int(state.iteration) >= first:
                state = state.replace(params={name: value * (1 - 1e-4) for name, value in state.params.items()})
            return state, logs

        return program._replace(train_step=train_step)
'''
CHANGES = (
    "train_cfg.max_epochs=1", "param_scheduler:=None", "seed=0", "device=cpu", "default_hooks.logger.interval=3",
)  # fmt: skip


def said(folder, *words, **environment):
    """A command in a process of its own: its exit code, and what it said."""
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", **environment}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fkit", *words], cwd=folder, env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600,
    )  # fmt: skip
    return done.returncode, done.stdout


def train(folder, name, at, *changes):
    """A run of 12 steps by two processes."""
    rule = f"custom_hooks:=[{{'type': 'rules.Rule', 'at': {at}}}]"
    words = ["--devices", "2", "--work-dir", name, "--allow", "rules", "--cfg-options", *CHANGES, rule, *changes]
    code, text = said(folder, "train", "digits/mlp", *words)
    assert code == 0, text


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of two processes, of which the second takes its rule from step 7 on."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "rules.py").write_text(RULE)
    train(folder, "a", 0)
    train(folder, "b", 7)
    return folder


def test_a_run_of_two_processes_is_executed_again_by_two(runs):
    code, text = said(runs, "replay", "a", "--allow", "rules")
    assert code == 0 and "a: equal from step 0 to step 12, to the bit: 5 lines" in text, text
    (runs / "rules.py").write_text(RULE.replace("FROM = 0", "FROM = 7"))
    code, text = said(runs, "replay", "a", "--allow", "rules")
    (runs / "rules.py").write_text(RULE)
    assert code == 1 and "a: differs at step 9 (all on record up to step 6 is equal)" in text, text
    assert "params/head.fc.weight" in text and text.count("differs at") == 1


def test_runs_of_two_processes_are_bisected_by_two(runs):
    code, text = said(runs, "bisect", "a", "b", "--allow", "rules")
    assert code == 1 and "a and b: part at step 7; equal after step 6, to the bit" in text, text
    assert "the batches of step 7 are equal" in text and text.count("part at step") == 1


def test_one_process_does_not_execute_again_what_two_trained(runs, tmp_path):
    with pytest.raises(FkitError, match=r"by 2 processes, and is executed again by one process(.|\n)*torchrun --nproc"):
        fkit.replay(runs / "a", allow="rules")
    record = json.loads((runs / "b/run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "processes": 1}))
    (tmp_path / "config.py").write_text((runs / "b/config.py").read_text())
    with pytest.raises(FkitError, match=r"was trained by 2 processes of torch, and .* by one process of torch"):
        fkit.bisect(runs / "a", tmp_path, allow="rules")


def test_a_run_of_two_devices_is_executed_again_on_two(tmp_path):
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    words = ["digits/mlp", "--backend", "jax", "--work-dir", "a", "--cfg-options", *CHANGES]
    code, text = said(tmp_path, "train", *words, "parallel=pmap", "train_dataloader.drop_last=True", **two)
    assert code == 0, text
    code, text = said(tmp_path, "replay", "a", **two)
    assert code == 0 and re.search(r"a: equal from step 0 to step \d+, to the bit", text), text
    code, text = said(tmp_path, "replay", "a")
    assert code == 2 and "a: was trained on 2 devices" in text and "JAX has 1 here" in text, text
    assert f"XLA_FLAGS={two['XLA_FLAGS']}" in text
    more = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    assert said(tmp_path, "replay", "a", **more)[0] == 0  # on two of the four


def test_a_step_of_two_processes_has_the_batches_of_both():
    mine = Taken({"batch/inputs": np.zeros(1)}, ("3",), {"loss": 1.0}, Saved({}, EMPTY))
    fleet = Fleet(
        0, 2, gather=lambda row: [row, ({"batch/inputs": np.ones(2)}, ("9",), {}) if len(row) == 3 else [2.0]]
    )
    both = together(mine, fleet)
    assert list(both.batch) == ["batch/inputs", "batch/1/inputs"] and both.batch["batch/1/inputs"].sum() == 2
    assert (both.samples, both.logs) == (("3", "9"), {"loss": 1.5})
