"""`fkit test` as a user meets it: whose data it scores, where its scores go, and what it says before it begins."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fkit
from fkit.cli.main import main

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
SHORT = ["train_cfg.max_epochs=1", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "digits"
    assert main(["train", CONVNET, "--work-dir", str(folder), "--cfg-options", *SHORT]) == 0
    return folder


def without(*names):
    cfg = fkit.load_config(CONVNET)
    for name in names:
        cfg, _ = cfg.pop(name)
    return cfg


def score(capsys, trained, *words, config=CONVNET):
    """(exit code, standard output, standard error)."""
    capsys.readouterr()
    code = main(["test", str(config), str(trained), *map(str, words)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("place", "want"),
    [
        ("nofolder/a.json", "the folder nofolder is not there"),
        ("folder", "is a folder"),
        ("folder/", "is a folder"),
        ("new/", "is a folder"),
        ("file/a.json", "file is no folder"),
        ("/proc/a.json", "no file can be written in /proc"),
        ("cfg.py", "cfg.py would be written onto"),
        ("link.json", "which is the file cfg.py"),
    ],
)
def test_a_place_for_no_file_is_said_before_the_scoring(place, want, trained, capsys, here):
    Path("folder").mkdir()
    Path("file").touch()
    Path("cfg.py").write_text(f"_base_ = {CONVNET!r}\nmodel = dict(type='NotLookedAt')\n")
    Path("link.json").symlink_to("cfg.py")
    code, out, err = score(capsys, trained, "--out", place, config="cfg.py")
    assert (code, out) == (2, "") and err.startswith(f"fkit: --out {place}: ")
    assert want in err and "NotLookedAt" not in err and "Traceback" not in err
    assert sorted(os.listdir()) == ["cfg.py", "file", "folder", "link.json"]


def test_scores_go_into_a_pipe_or_in_place_of_older_ones(trained, capsys, tmp_path):
    assert score(capsys, trained, "--out", os.devnull)[0] == 0
    (tmp_path / "a.json").write_text("older")
    assert score(capsys, trained, "--out", tmp_path / "a.json")[0] == 0
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"accuracy/top1"}


@pytest.mark.parametrize("kind", ["dataloader", "evaluator"])
def test_a_test_that_a_config_says_it_has_not(kind, trained, capsys):
    code, out, err = score(capsys, trained, "--cfg-options", f"test_{kind}=None")
    assert (code, out) == (2, "") and f"test_{kind} = None: this config says that there is nothing to test" in err
    assert f"Set it, to val_{kind} say" in err


@pytest.mark.parametrize("kind", ["dataloader", "evaluator"])
def test_where_validation_is_taken_it_is_said(kind, trained, capsys, tmp_path):
    without(f"test_{kind}").dump(tmp_path / "cfg.py")
    code, out, err = score(capsys, trained, config=tmp_path / "cfg.py")
    assert code == 0 and out.startswith("accuracy/top1 0.")
    assert f"the config has no test_{kind}: val_{kind} is taken\n" in err


def test_neither_test_nor_validation(trained, capsys, tmp_path):
    without("test_dataloader", "val_dataloader").dump(tmp_path / "cfg.py")
    code, out, err = score(capsys, trained, config=tmp_path / "cfg.py")
    assert (code, out) == (2, "") and "a test needs test_dataloader" in err


def test_a_reader_that_goes_leaves_the_file(trained, tmp_path):
    out = tmp_path / "scores.json"
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m fkit test {CONVNET} {trained} --out {out} | true; echo ${{PIPESTATUS[0]}}",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0\n" and "Traceback" not in done.stderr
    assert set(json.loads(out.read_text())) == {"accuracy/top1"}


def test_the_average_of_the_weights_is_scored_where_the_run_validated_with_it_and_a_word_chooses(
    tmp_path, capsys, here
):
    cfg = fkit.load_config(CONVNET).merge({"custom_hooks": [dict(type="EMAHook", momentum=0.01)]})
    Path("ema.py").write_text(cfg.text("python"))
    assert main(["train", "ema.py", "--work-dir", "work", "--cfg-options", *SHORT]) == 0
    rows = [json.loads(line) for line in Path("work/metrics.jsonl").read_text().splitlines()]
    validated = next(row["accuracy/top1"] for row in reversed(rows) if row["mode"] == "val")
    scores = {}
    for word, said in ((None, "the moving average of the weights is taken"), ("ema", "the moving average"),
                       ("own", "the weights are taken, not their moving average")):  # fmt: skip
        code, out, err = score(capsys, "work", *(["--weights", word] if word else []), config="ema.py")
        assert code == 0 and said in err, err
        scores[word] = float(out.split()[1])
    assert scores[None] == scores["ema"] == pytest.approx(validated, abs=1e-4)
    assert abs(scores["own"] - scores["ema"]) > 1e-3
    code, _, err = score(capsys, "work")  # of a config that knows nothing of an average
    assert code == 0 and "not their moving average" in err
