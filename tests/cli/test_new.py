"""``fkit new``: what it writes is an experiment that passes its tests and trains, on both backends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.cli.main import main
from fkit.cli.new import write_experiment
from fkit.tree.package import shipped_folder

ROOT = Path(__file__).parents[2]


def child(folder, *words):
    """A command in a folder, as a user types it."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """An experiment written by a real command."""
    folder = tmp_path_factory.mktemp("new")
    said = child(folder, "fkit", "new", "mine")
    assert "cd mine\n  fkit train config.py" in said
    for name in (word for word in said.split() if word.endswith(".py") or word == "README.md"):
        assert (folder / "mine" / name).is_file(), name
    return folder / "mine"


def test_it_writes_what_git_has_of_the_template(mine):
    listed = subprocess.run(
        ["git", "ls-files", "experiments/own"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    names = {Path(name).name for name in listed.stdout.split()} or {
        file.name for file in shipped_folder("experiments/own").iterdir() if file.is_file()
    }
    assert {file.name for file in mine.iterdir()} == names and "pyproject.toml" in names
    assert all((mine / name).read_bytes() == (ROOT / "experiments/own" / name).read_bytes() for name in names)


def test_its_tests_pass(mine):
    assert " passed" in child(mine, "pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in child(mine.parent, "pytest", "-q", "-p", "no:cacheprovider", "mine", "-k", "metric or twins")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_it_trains(mine, backend):
    short = ("--cfg-options", "train_cfg.max_epochs=12", "train_dataloader.num_workers=1")
    said = child(mine, "fkit", "train", "robust.py", "--backend", backend, "--work-dir", f"work_dirs/{backend}", *short)
    assert float(re.search(r"accuracy/top1 ([\d.]+)", said)[1]) > 0.9
    assert (mine / "work_dirs" / backend / "curves.png").stat().st_size > 0


def test_what_its_readme_tells_exists(mine):
    text = (mine / "README.md").read_text()
    for line in (line.strip() for line in text.splitlines() if line.startswith("    fkit train ")):
        assert (mine / line.split()[2]).is_file(), line
    for name in {word.strip("`|,.;:") for word in text.split() if word.startswith("`") and ".py" in word}:
        assert (mine / name).is_file(), name


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "own.py").write_text("mine")
    assert main(["new", str(folder)]) == 2
    assert f"{folder} is not empty: it holds own.py." in capsys.readouterr().err
    assert [file.read_text() for file in folder.iterdir()] == ["mine"]
    assert main(["new", str(folder / "own.py")]) == 2 and "is a file" in capsys.readouterr().err
    assert main(["new", str(folder / "own.py" / "below")]) == 2 and "cannot be written" in capsys.readouterr().err


def test_an_empty_folder_and_one_of_hidden_files_will_do(tmp_path):
    (tmp_path / ".git").mkdir()
    assert "cd " not in child(tmp_path, "fkit", "new", ".")
    assert "cd 'a b'\n" in child(tmp_path, "fkit", "new", "a b")
    assert (tmp_path / "own.py").is_file()
    files = write_experiment(tmp_path / "a" / "b")
    assert all(file.is_file() for file in files) and {file.name for file in files} == set(os.listdir(tmp_path / "a/b"))
