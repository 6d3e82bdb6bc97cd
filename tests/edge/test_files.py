"""Files that grow stay open: nothing that was added is lost, whoever ends the process or moves the file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.edge.files import Files
from fkit.edge.journal import Journal, read_rows
from fkit.run.effect import WriteScalars
from fkit.tree.error import FkitTypeError, RunError


def row(step):
    return WriteScalars(step, 0, "train", {"loss": 0.5})


def steps_of(path):
    return [line["step"] for line in read_rows(path)]


def test_a_file_is_opened_once(tmp_path):
    files = Files()
    assert [files.append(tmp_path / "a.txt", b"1\n") for _ in range(3)] == [True, False, False]
    files.close()
    assert files.append(tmp_path / "a.txt", b"2\n")
    assert (tmp_path / "a.txt").read_bytes() == b"1\n1\n1\n2\n"
    files.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from fkit.edge.files import Files
from fkit.edge.journal import Journal
from fkit.run.effect import WriteScalars
journal = Journal(Path(sys.argv[1]), Files())
for step in range(100):
    journal.write(WriteScalars(step, 0, "train", {"loss": 0.5}))
    journal.say(f"step {step}")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_outlives_kill_9(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert steps_of(tmp_path / "metrics.jsonl") == list(range(100))
    assert (tmp_path / "log.txt").read_text().splitlines()[-1].endswith("step 99")


@pytest.mark.parametrize("harm", ["remove", "rotate", "replace", "truncate"])
def test_a_file_that_a_user_takes_away_goes_on_and_its_rows_are_counted(harm, tmp_path):
    path = tmp_path / "metrics.jsonl"
    journal = Journal(tmp_path, Files())
    for step in range(3):
        journal.write(row(step))
    assert journal.rows == 3
    if harm == "remove":
        path.unlink()
    elif harm == "rotate":
        path.rename(tmp_path / "metrics.jsonl.1")
    elif harm == "replace":
        path.unlink()
        path.write_text('{"step": 7}\n')
    else:
        os.truncate(path, 0)
    for step in (3, 4):
        journal.write(row(step))
    assert steps_of(path) == ([7, 3, 4] if harm == "replace" else [3, 4])
    assert journal.rows == len(steps_of(path))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_said_by_files_that_are_open(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    journal = Journal(tmp_path, Files())
    for _ in range(2):
        with pytest.raises(RunError, match="cannot be written: No space left on device"):
            journal.write(row(1))


def test_a_folder_that_was_removed_is_said(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(folder, Files())
    journal.say("one")
    (folder / "log.txt").unlink()
    folder.rmdir()
    with pytest.raises(RunError, match="cannot be written: No such file"):
        journal.say("two")


def test_values_of_numpy_and_values_that_are_none(tmp_path):
    import numpy as np

    journal = Journal(tmp_path, Files())
    journal.write(WriteScalars(1, 0, "train", {"a": np.float32(0.5), "b": np.float32("nan"), "c": np.int64(3)}))
    line = (tmp_path / "metrics.jsonl").read_text()
    row = json.loads(line)
    assert list(row) == ["step", "epoch", "mode", "wall_time", "a", "b", "c"] and row.pop("wall_time") > 1.7e9
    assert row == {"step": 1, "epoch": 0, "mode": "train", "a": 0.5, "b": None, "c": 3}
    with pytest.raises(FkitTypeError, match="no form"):
        journal.write(WriteScalars(2, 0, "train", {"a": object()}))
    assert steps_of(tmp_path / "metrics.jsonl") == [1]
