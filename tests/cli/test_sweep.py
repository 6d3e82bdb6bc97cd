"""``fkit sweep``: many runs, each in its own folder, and what came of all."""

import json

import pytest
from PIL import Image

from tests.cli.test_run import run

SHORT = ["--cfg-options", "train_cfg.max_epochs=1"]


def test_a_sweep_of_processes_and_its_second_start(capsys, tmp_path):
    folder = tmp_path / "sweep"
    words = ("sweep", "digits/mlp", "seed=0..1", "--jobs", "2", "--work-dir", folder, *SHORT)
    code, out, err = run(capsys, *words)
    assert code == 0, err
    assert "runs  accuracy/top1" in out and "all  2/2" in out and "±" in out
    rows = json.loads((folder / "sweep.json").read_text())["runs"]
    assert [row["name"] for row in rows] == ["seed=0", "seed=1"] and {row["status"] for row in rows} == {"finished"}
    assert rows[0]["fingerprint"] != rows[1]["fingerprint"]
    assert 0.3 < rows[0]["scores"]["accuracy/top1"] <= 1
    with Image.open(folder / "sweep.png") as image:
        assert image.size[0] > 800
    before = (folder / "seed=0/log.txt").read_bytes()
    code, again, err = run(capsys, *words)
    assert code == 0 and "2 of 2 runs are finished already" in err
    assert again == out and (folder / "seed=0/log.txt").read_bytes() == before


def test_a_run_that_fails_is_told_and_the_others_go_on(capsys, tmp_path):
    words = (
        "sweep",
        "digits/mlp",
        "seed=0",
        "optimizer.lr=1e-3,1e30",
        "--vectorize",
        "--work-dir",
        tmp_path / "s",
        *SHORT,
    )
    code, out, err = run(capsys, *words)
    assert code == 1 and "lr=1e30: " in err and "not finite" in err
    assert "lr=1e-3  1/1" in out and "lr=1e30  0/1" in out


def test_a_sweep_for_slurm_is_a_script(capsys, tmp_path):
    folder = tmp_path / "s"
    code, out, err = run(
        capsys,
        "sweep",
        "digits/mlp",
        "seed=0..2",
        "--work-dir",
        folder,
        *SHORT,
        "--slurm",
        "partition=gpu",
        "time=1:00:00",
    )
    assert code == 0
    script, commands = ((folder / name).read_text() for name in ("sweep.sbatch", "commands.txt"))
    assert "#SBATCH --array=1-3" in script and "#SBATCH --partition=gpu" in script
    assert len(commands.splitlines()) == 3 and "seed=2" in commands.splitlines()[2]
    assert str(folder / "sweep.sbatch") in out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("digits/mlp",), "needs an axis"),
        (("seed=0..1",), "needs a CONFIG"),
        (("digits/mlp", "optimizer.rate=1"), "the config has no key"),
        (("digits/mlp", "seed=0..1", "--jobs", "0"), "at least one run at a time"),
        (("digits/mlp", "train_cfg.max_epohcs=1,2"), "Did you mean"),
        (("digits/mlp", "seed=x,y"), "seed"),
    ],
)
def test_wrong_words_are_refused_before_anything_begins(capsys, tmp_path, words, said):
    code, out, err = run(capsys, "sweep", *words, "--work-dir", tmp_path / "s")
    assert code == 2 and out == "" and said in err and "Traceback" not in err
    assert not (tmp_path / "s").exists()
