"""The README is true: its snippets run, its commands exist, and CI runs its test command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.cli.main import parser

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in fences if name == language]


def test_every_snippet_runs_in_order(capsys):
    source = "\n".join(blocks("python"))
    absolute = source.replace('"configs/', f'"{ROOT}/configs/')
    exec(compile(absolute, "README.md", "exec"), {"__name__": "readme"})
    assert "loss" in capsys.readouterr().out


def test_the_first_two_commands_are_the_job_and_the_tests():
    assert blocks("sh")[0].strip() == "python -m pip install nox && nox -s train"
    assert blocks("sh")[1].strip() == "python -m pip install nox && nox -s tests"


def test_ci_runs_the_test_command_of_the_readme():
    assert blocks("sh")[1].strip() in (ROOT / ".ci/run").read_text()


def test_the_commands_it_names_exist():
    known = parser()._subparsers._group_actions[0].choices
    named = set(re.findall(r"fkit (\w+)", "".join(blocks("")))) - {"COMMAND"}
    assert named and named <= set(known)


def test_its_links_lead_to_files():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def files():
    """The files of one's own experiment: the snippets that begin with a file's name, joined where it goes on."""
    texts = {}
    for text in blocks("python"):
        name = re.match(r"# (\w+\.py)\b.*\n", text)
        if name:
            texts[name[1]] = texts.get(name[1], "") + text
    return texts


def test_an_experiment_of_ones_own_takes_under_60_lines():
    texts = files()
    assert sorted(texts) == ["config.py", "own.py", "own_flax.py"]
    lines = [line for text in texts.values() for line in text.splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) < 60 and max(map(len, lines)) <= 120


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_an_experiment_of_ones_own_runs(tmp_path, backend):
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "fkit", "train", "config.py", "--allow", "own", "--seed", "0", "--backend", backend],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    epochs, brier = int(done.stdout.split()[1]) / 23, float(done.stdout.split("brier ")[1].split(",")[0])
    assert epochs < 20 and brier < 0.15  # the hook ended it
