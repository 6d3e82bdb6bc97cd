"""The worked scripts of experiments/script run, and do what they say."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments/script"


def script(name):
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def test_a_plain_training_trains_and_scores(tmp_path, capsys):
    scores = script("plain")["main"](str(tmp_path / "work"), 3)
    assert scores["accuracy/top1"] > 0.8 and (tmp_path / "work/curves.png").exists()
    assert "tested: {'accuracy/top1': 0." in capsys.readouterr().out


def test_a_loop_of_ones_own_learns_from_wrong_labels():
    parts = script("loop")
    plain, taught = ([*parts["train"](30, teach)][-1][1] for teach in (False, True))
    assert taught > plain + 0.03 and taught > 0.95
    text = (FOLDER / "loop.py").read_text().split('"""', 2)[2].split("if __name__")[0]
    assert len([line for line in text.splitlines() if line.strip()]) < 60


def test_a_hook_of_ones_own_moves_the_rate(tmp_path):
    rate = script("hook")["main"](str(tmp_path / "work"), 4)
    assert rate not in (0.0, pytest.approx(0.003))  # the config's
    assert "-> " in (tmp_path / "work/log.txt").read_text()


def test_the_hooks_own_test_passes():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "experiments/script"],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout
