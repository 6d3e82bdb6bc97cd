"""experiments/bench/gpu.py: every part runs, at toy size on the CPU; and without a GPU it says so."""

import json
import subprocess
import sys

import pytest
import torch

from tests.cuda.digits import ROOT

SCRIPT = str(ROOT / "experiments/bench/gpu.py")
WAYS = {
    "torch": ["bare, channels_last", "fkit", "fkit, compiled"],
    "jax": ["bare flax, channels last", "bare, the zoo's module", "fkit"],
    "loop": ["torch, mlp, train: fkit", "jax, mlp, val: bare"],
    "feed": ["bare, pinned memory and a side stream", "fkit.train"],
    "repeat": ["torch: two runs of 1 epochs of digits", "jax: two runs of 1 epochs of digits"],
}


@pytest.mark.parametrize("part", WAYS)
def test_every_part_runs(part, tmp_path):
    line = [sys.executable, SCRIPT, "--device", "cpu", "--small", "--minutes", "20", "--parts", part]
    done = subprocess.run([*line, "--json", str(tmp_path / "rows")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = {row[1]: row for row in json.loads((tmp_path / "rows").read_text())}
    assert set(WAYS[part]) <= set(rows) and all(row[0] == part and row[1] in done.stdout for row in rows.values())
    if part == "repeat":
        assert {rows[way][2] for way in WAYS[part]} == {"equal to the bit"}


def test_a_part_that_fails_is_said_and_the_others_go_on(tmp_path):
    line = [sys.executable, SCRIPT, "--device", "cpu", "--small", "--minutes", "0", "--parts", "feed", "loop"]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.count("failed: the minutes are over") == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line():
    done = subprocess.run([sys.executable, SCRIPT], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert "no GPU here" in done.stderr and done.stderr.count("\n") == 1
