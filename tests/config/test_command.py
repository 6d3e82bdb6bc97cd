"""``fkit config show|explain|diff`` as a user meets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.config.config import load_config, load_string


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fkit.cli.main", "config", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.py").write_text("model = dict(\n    type='A',\n    depth=50)\nscales = [1, 2]\n")
    (tmp_path / "child.py").write_text("_base_ = 'base.py'\nmodel = dict(depth=101)\n")
    return tmp_path


@pytest.mark.parametrize(("form", "suffix"), [("python", ".py"), ("yaml", ".yaml"), ("json", ".json")])
def test_show(folder: Path, form: str, suffix: str) -> None:
    done = run("show", "child.py", "--format", form, "--cfg-options", "model.depth=18", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_string(done.stdout, suffix) == load_config(folder / "child.py", "model.depth=18")


def test_explain_prints_the_chain(folder: Path) -> None:
    done = run("explain", "child.py", "model.depth", "--cfg-options", "model.depth=18", folder=folder)
    assert done.stdout.splitlines() == [
        "model.depth = 18",
        "  --cfg-options model.depth=18  18",
        "  child.py:2                    101",
        "  base.py:3                     50",
    ]


def test_explain_of_a_missing_key(folder: Path) -> None:
    done = run("explain", "child.py", "model.depht", folder=folder)
    assert done.returncode == 2 and done.stdout == ""
    assert "There is no key 'depht' in model" in done.stderr and "Did you mean 'depth'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_diff_names_both_origins(folder: Path) -> None:
    done = run("diff", "base.py", "child.py", folder=folder)
    assert done.stdout.splitlines() == ["- model.depth = 50  [base.py:3]", "+ model.depth = 101  [child.py:2]"]
    same = run("diff", "base.py", "base.py", folder=folder)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "The two configs are equal.\n")


def test_show_run_gives_the_keys_of_a_run(folder: Path) -> None:
    (folder / "old.py").write_text("model = dict(type='A')\ntotal_epochs = 3\noptimizer = dict(type='SGD', lr=0.1)\n")
    done = run("show", "old.py", "--run", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "max_epochs=3" in done.stdout and "total_epochs" not in done.stdout


def test_a_missing_file(folder: Path) -> None:
    done = run("show", "none.py", folder=folder)
    assert done.returncode == 2
    assert "There is no config file" in done.stderr and "Traceback" not in done.stderr


def test_show_words_can_be_pasted_into_a_shell(folder: Path) -> None:
    (folder / "odd.py").write_text(
        "a = dict(path='/my runs/{x}', id='7', b=dict(c=(1, None)))\nl = [dict(k=\"it's $HOME\")]\n"
    )
    lines = run("show", "odd.py", "--format", "words", folder=folder).stdout
    assert lines.splitlines()[:2] == ["'a.path=/my runs/{x}'", "\"a.id:='7'\""]
    (folder / "empty.py").write_text("")
    command = f"{sys.executable} -m fkit.cli.main config show empty.py --cfg-options {lines.replace(chr(10), ' ')}"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert load_string(done.stdout) == load_config(folder / "odd.py"), done.stderr


@pytest.mark.parametrize(("form", "suffix"), [("python", ".py"), ("yaml", ".yaml"), ("json", ".json")])
def test_a_word_with_a_placeholder_stays_when_the_text_is_read(folder: Path, form: str, suffix: str) -> None:
    words = ["name={{fileBasename}}", "root={{$HOME:/x}}/a", "m.x={{ _base_.model.type }}"]
    done = run("show", "child.py", "--format", form, "--cfg-options", *words, folder=folder)
    again = load_string(done.stdout, suffix)
    assert (again.name, again.root, again.m.x) == ("{{fileBasename}}", "{{$HOME:/x}}/a", "{{ _base_.model.type }}")


def test_every_mistake_is_one_message(folder: Path) -> None:
    for words in (
        ("show", "child.py", "--cfg-options", "model"),
        ("show", "child.py", "--cfg-options", "model=3"),
        ("show", "child.py", "--cfg-options", "model:={'a'"),
        ("explain", "child.py", "model..x"),
        ("explain", "child.py", "scales[9]"),
        ("diff", "child.py", "none.py"),
    ):
        done = run(*words, folder=folder)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("fkit: "), words
        assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 3, words


def test_plot_draws_the_schedules_and_names_the_picture(folder: Path) -> None:
    (folder / "run.py").write_text(
        "optimizer = dict(type='SGD', lr=0.1, momentum=0.9)\nlr_config = dict(policy='cyclic')\ntotal_epochs = 3\nmodel = dict(type='A')\n"
    )
    lost = run("show", "run.py", "--plot", "lr.png", folder=folder)
    assert lost.returncode == 2 and "--epoch-length N" in lost.stderr and not (folder / "lr.png").exists()
    done = run("show", "run.py", "--plot", "lr.png", "--epoch-length", "40", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "lr.png\n", "")
    assert (folder / "lr.png").read_bytes()[:4] == b"\x89PNG"
    if os.path.exists("/dev/full"):
        (folder / "full.png").symlink_to("/dev/full")
        full = run("show", "run.py", "--plot", "full.png", "--epoch-length", "40", folder=folder)
        assert full.returncode == 1 and full.stdout == "" and "No space left on device" in full.stderr
    alone = run("show", "run.py", "--epoch-length", "40", folder=folder)
    assert alone.returncode == 2 and "--epoch-length is for --plot" in alone.stderr


def test_groups_say_which_rate_and_decay_each_parameter_has(folder: Path) -> None:
    model = "dict(type='ImageClassifier', backbone=dict(type='ConvNet', channels=(4, 6)), neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=3, in_channels=6))"
    wrapper = "dict(optimizer=dict(type='SGD', lr=0.1, weight_decay=0.01), paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(haed=dict(lr_mult=2.0))))"
    (folder / "groups.py").write_text(f"model = {model}\noptim_wrapper = {wrapper}\n")
    done = run("show", "groups.py", "--groups", folder=folder)
    assert done.returncode == 0 and "no parameter's name contains 'haed'" in done.stderr
    assert (
        "group 1: lr 0.1, momentum 0, weight_decay 0; 4 parameters, 20 numbers\n    backbone.bn1.weight\n"
        in done.stdout
    )
    wrong = run(
        "show", "groups.py", "--groups", "--cfg-options", "optim_wrapper.paramwise_cfg.norm_decay_mul:=0", folder=folder
    )
    assert wrong.returncode == 2 and "Did you mean 'norm_decay_mult'" in wrong.stderr
