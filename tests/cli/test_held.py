"""What ends a run while it validates, and what ends a test: the state is saved or the last checkpoint intact, one clear
message."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.cli.main import main
from fkit.edge.checkpoint import newest

ROOT = Path(__file__).parents[2]

# a transform that does harm at one sample of the held-out data, as long as the file `harm` says which
MINE = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
import fkit

@dataclass(frozen=True)
class Harm(fkit.Transform):
    def draw(self, sample, rng, fetch):
        return None

    def apply(self, sample, params):
        if sample["sample_idx"] == 200 and os.path.exists("harm"):
            how = Path("harm").read_text()
            if how == "raise":
                raise KeyError("gt_bboxes")
            if how == "exit":
                os._exit(7)
            os.kill(os.getpid(), getattr(signal, how))
        return sample

@dataclass(frozen=True)
class Broken(fkit.Hook):
    at: str = ""

    def answers(self, event):
        return event == self.at

    def __getattr__(self, name):
        if name == self.__dict__.get("at"):
            return lambda memory, run, event: 1 // 0
        raise AttributeError(name)
"""
CONFIG = f"""
_base_ = {str(ROOT / "configs/digits/mlp.py")!r}
custom_imports = dict(imports=["mine"])
steps = [dict(type="ToUnit"), dict(type="Harm"), dict(type="PackInputs")]
val_dataloader = dict(_delete_=True, batch_size=60, num_workers=WORKERS, dataset=dict(type="Digits", split="test", pipeline=steps))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
param_scheduler = None
device = "cpu"
"""


@pytest.fixture
def place(here):
    Path("mine.py").write_text(MINE)
    for name, workers in (("none", 0), ("one", 1)):
        Path(f"{name}.py").write_text(CONFIG.replace("WORKERS", str(workers)))
    return here


def train(name="none", *words):
    return main(["train", f"{name}.py", "--work-dir", "work", "--allow", "mine", *words])


def broken(event):
    Path("broken.py").write_text(f"_base_ = 'none.py'\ncustom_hooks = [dict(type='Broken', at={event!r})]\n")


def status():
    return json.loads(Path("work/run.json").read_text())["status"]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_a_validation_saves_the_run_before_it(name, code, place, capfd):
    Path("harm").write_text(name)
    assert train() == code and status() == "interrupted"
    err = capfd.readouterr().err
    assert f"{name}: the step in progress ends, and the run is saved" in err and "Traceback" not in err
    found = newest(Path("work/checkpoints"))
    assert found.meta["reason"] == name and found.saved.record["position"]["validate"]
    Path("harm").unlink()
    assert train("none", "--resume") == 0 and status() == "finished"


@pytest.mark.parametrize(
    ("how", "name", "code", "words"),
    [
        ("raise", "none", 2, "the sample has no 'gt_bboxes'"),
        ("raise", "one", 2, "the sample has no 'gt_bboxes'"),
        ("exit", "one", 1, "worker"),
    ],
)
def test_data_that_raise_or_a_worker_that_dies_in_a_validation_leave_the_last_checkpoint(
    how, name, code, words, place, capsys
):
    Path("harm").write_text(how)
    assert train(name) == code and status() == "failed"
    err = capsys.readouterr().err
    assert words in err and "val_dataloader" in err and "Traceback" not in err
    found = newest(Path("work/checkpoints"))
    assert found.passed == () and found.saved.record["position"]["validate"]
    Path("harm").unlink()
    assert train(name, "--resume") == 0 and status() == "finished"


def test_a_run_that_is_killed_in_a_validation_goes_on_to_the_same_bits(place, capsys):
    assert train() == 0
    capsys.readouterr()
    assert main(["fingerprint", "work"]) == 0
    whole = capsys.readouterr().out
    Path("work").rename("whole")
    Path("harm").write_text("SIGKILL")
    command = [sys.executable, "-m", "fkit", "train", "none.py", "--work-dir", "work", "--allow", "mine"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL and status() == "running"
    Path("harm").unlink()
    assert train("none", "--resume") == 0
    capsys.readouterr()
    assert main(["fingerprint", "work"]) == 0
    assert capsys.readouterr().out == whole


@pytest.mark.parametrize("event", ["before_val", "after_val_iter", "after_val_epoch", "before_save_checkpoint"])
def test_a_hook_that_raises_in_a_validation(event, place, capsys):
    broken(event)
    assert train("broken") == 1 and status() == "failed"
    err = capsys.readouterr().err
    assert f"hook 'custom_hooks.0' raised at {event}" in err and "ZeroDivisionError" in err and "Traceback" not in err


@pytest.fixture
def trained(place, capsys):
    assert train() == 0
    capsys.readouterr()
    return place


def score(name="none", *words):
    return main(["test", f"{name}.py", "work", "--allow", "mine", "--out", "scores.json", *words])


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_a_test(name, code, trained, capsys):
    Path("harm").write_text(name)
    before = sorted(Path("work").rglob("*"))
    assert score() == code
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err and not Path("scores.json").exists()
    assert sorted(Path("work").rglob("*")) == before and status() == "finished"


@pytest.mark.parametrize(
    ("how", "name", "code", "words"), [("raise", "none", 2, "gt_bboxes"), ("exit", "one", 1, "worker")]
)
def test_data_that_raise_or_a_worker_that_dies_in_a_test(how, name, code, words, trained, capsys):
    Path("harm").write_text(how)
    assert score(name) == code
    captured = capsys.readouterr()
    assert words in captured.err and "Traceback" not in captured.err and captured.out == ""
    assert not Path("scores.json").exists() and status() == "finished"


def test_a_hook_sees_a_test_and_one_that_raises_ends_it(trained, capsys):
    broken("after_test_iter")
    assert score("broken") == 1
    err = capsys.readouterr().err
    assert "hook 'custom_hooks.0' raised at after_test_iter" in err and "Traceback" not in err
    assert not Path("scores.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")
def test_scores_that_no_disk_takes(trained, capsys):
    assert main(["test", "none.py", "work", "--allow", "mine", "--out", "/dev/full"]) == 1
    captured = capsys.readouterr()
    assert "/dev/full: cannot be written: No space left on device" in captured.err and captured.out == ""
