"""Signals as schedulers and terminals send them: to the whole process group, loader workers and all, and more than one."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fkit.edge.checkpoint import newest, steps
from fkit.edge.signal import Again, Inbox
from tests.cli.test_run import ROOT, run, wait_for
from tests.run.small import measured

# two workers; a state of 50 MB, so that a save takes a while
CONFIG = f"""
_base_ = {str(ROOT / "configs/digits/mlp.py")!r}
model = dict(backbone=dict(hidden=(60_000,)), head=dict(in_channels=60_000))
train_dataloader = dict(batch_size=48, num_workers=2, num_batch_per_epoch=6)
val_dataloader = dict(batch_size=360, num_workers=1)
train_cfg = dict(max_epochs=2)
param_scheduler = dict(_delete_=True, type="ConstantLR", factor=0.5, end=2)
default_hooks = dict(logger=dict(type="LoggerHook", interval=1), checkpoint=dict(type="CheckpointHook", interval=9))
"""


def begin(folder, *words):
    """The command in a process group of its own."""
    (folder.parent / "big.py").write_text(CONFIG)
    return subprocess.Popen(
        [sys.executable, "-m", "fkit", "train", str(folder.parent / "big.py"), "--work-dir", str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    child = begin(folder)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0, err
    return folder


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
@pytest.mark.parametrize(("first", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_to_the_whole_group_until_the_run_is_saved(first, code, uninterrupted, tmp_path, capsys):
    folder = tmp_path / "run"
    child = begin(folder)
    wait_for(folder, 2)
    os.killpg(child.pid, first)
    deadline = time.monotonic() + 120
    while not steps(folder / "checkpoints") and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.03)
        os.killpg(child.pid, (signal.SIGINT, signal.SIGTERM)[int(time.monotonic() * 50) % 2])
    _, err = child.communicate(timeout=120)
    assert child.returncode == code, err
    assert f"{first.name}: the step in progress ends, and the run is saved" in err
    assert f"again: saving, since {first.name}" in err and "Traceback" not in err
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    found = newest(folder / "checkpoints")
    assert found.passed == () and found.meta["reason"] == first.name and 2 <= found.meta["step"] < 12
    if first == signal.SIGINT:
        return
    again = begin(folder, "--resume")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert run(capsys, "fingerprint", folder)[1] == run(capsys, "fingerprint", uninterrupted)[1]
    assert measured(folder) == measured(uninterrupted)


def test_what_an_inbox_does_with_signals():
    ears = Inbox()
    looks = iter(ears)
    assert [seen.kind for seen in next(looks)] == ["time"]
    ears.note(signal.SIGTERM)
    ears.note(signal.SIGINT)  # survived: nothing is saved yet
    assert [(seen.kind, seen.value) for seen in next(looks)][1:] == [("signal", "SIGTERM")]
    ears.saved()
    with pytest.raises(Again, match="SIGINT"):
        ears.note(signal.SIGINT)
    ears.ended()
    ears.note(signal.SIGTERM)  # passed over: how the run stands is being written
    assert ears.first == "SIGTERM"


FINALISED = """
import signal
from fkit.edge.signal import inbox

class Finalised:
    def __init__(self, deed):
        self.deed = deed
    def __del__(self):
        self.deed()

with inbox() as ears:
    ears.note(signal.SIGTERM)
    ears.saved()
    Finalised(lambda: signal.raise_signal(signal.SIGTERM))
    print("goes on")
    Finalised(lambda: 1 / 0)
"""


def test_a_signal_within_a_finaliser_passes_in_silence():
    child = subprocess.run(
        [sys.executable, "-P", "-c", FINALISED], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert child.stdout == "goes on\n"
    assert "ZeroDivisionError" in child.stderr and "Again" not in child.stderr  # another's fault is told
