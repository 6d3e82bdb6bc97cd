"""Worker processes: order, bits, errors, and an end without leftovers."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkit.array.random import generator, key
from fkit.backend.torch.loader import workers
from fkit.structures.batch import Batch
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, RunError


def make(job: int) -> Batch:
    """A batch that its job decides: small arrays are pickled, large ones go through shared memory."""
    rng = generator(key(0, "data", job))
    images = rng.normal(size=(4, 3, 64, 64)).astype(np.float32)
    targets = {"gt_label": rng.integers(0, 10, 4), "boxes": {"xyxy": rng.normal(size=(4, 2, 4))}}
    valid = {"boxes": np.ones((4, 2), bool)}
    return Batch(images.transpose(0, 1, 3, 2), targets, valid, ({"job": job, "name": "x" * job},))


def fail(job: int) -> Batch:
    if job == 3:
        raise ValueError("sample 3 is torn")
    if job == 103:
        raise FkitKeyError("no category 'cat'", path="data")
    if job == 203:
        os.kill(os.getpid(), signal.SIGKILL)
    return make(job)


def alive() -> list[Any]:
    return multiprocessing.active_children()


@pytest.mark.parametrize("count", [1, 2])
def test_the_number_of_workers_changes_no_bit_and_no_order(count: int) -> None:
    here, there = list(workers(make, iter(range(7)), 0)), list(workers(make, iter(range(7)), count))
    assert len(here) == len(there) == 7
    for one, other in zip(here, there, strict=True):
        assert type(other.inputs) is np.ndarray and type(other.targets["gt_label"]) is np.ndarray
        assert one.inputs.tobytes() == other.inputs.tobytes() and one.inputs.shape == other.inputs.shape
        assert one.targets["gt_label"].tolist() == other.targets["gt_label"].tolist()
        assert (one.targets["boxes"]["xyxy"] == other.targets["boxes"]["xyxy"]).all()
        assert other.valid["boxes"].dtype == bool and one.meta == other.meta
    assert not alive()


def start(job: int) -> Batch:
    """How the process that makes it began, and the threads of OpenCV there."""
    import cv2

    spawned = "spawn_main" in " ".join(getattr(sys, "orig_argv", ())) and "forkserver" not in " ".join(sys.orig_argv)
    return Batch(np.array([spawned, cv2.getNumThreads()]), {}, {}, ({},))


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_start_as_they_are_told_to_and_opencv_has_its_threads(method: str) -> None:
    [batch] = workers(start, iter(range(1)), 1, method=method, cv2_threads=3)
    assert np.asarray(batch.inputs).tolist() == [method == "spawn", 3]


def test_jobs_are_asked_for_only_a_little_ahead() -> None:
    asked: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            asked.append(len(asked))
            yield asked[-1]

    found = workers(make, endless(), 1, ahead=2)
    assert next(found).meta[0]["job"] == 0
    assert next(found).meta[0]["job"] == 1
    assert len(asked) <= 2 + 2
    begin = time.monotonic()
    found.close()
    assert time.monotonic() - begin < 4
    assert not alive()


@pytest.mark.parametrize("count", [0, 1])
def test_an_error_in_the_pipeline_names_its_cause(count: int) -> None:
    found = workers(fail, iter(range(9)), count)
    assert [next(found).meta[0]["job"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RunError, match="the data pipeline raised ValueError: sample 3 is torn") as caught:
        next(found)
    assert caught.value.__cause__ is not None and "sample 3 is torn" in str(caught.value.__cause__)
    assert not alive()


@pytest.mark.parametrize("count", [0, 1])
def test_an_error_of_the_kit_arrives_as_itself(count: int) -> None:
    with pytest.raises(FkitKeyError, match="no category 'cat'") as caught:
        list(workers(fail, iter([101, 103]), count))
    assert caught.value.path == "data"


def test_a_worker_that_dies_is_an_error_and_signals_stay_as_they_were() -> None:
    before = signal.getsignal(signal.SIGCHLD)
    found = workers(fail, iter([1, 2, 203, 4]), 1)
    next(found)
    assert signal.getsignal(signal.SIGCHLD) is before
    with pytest.raises(RunError, match="a loader worker died: "):
        list(found)
    assert not alive()


def test_what_cannot_be_sent_to_a_worker_is_said() -> None:
    with pytest.raises(FkitTypeError, match=r"(?s)cannot be sent to worker processes.*top of a module.*num_workers=0"):
        list(workers(lambda job: Batch(np.zeros((1, job))), iter(range(3)), 2))
    assert alive() == []


def test_numbers_that_make_no_sense() -> None:
    with pytest.raises(FkitValueError, match="num_workers=-1"):
        workers(make, iter([]), -1)


_KILLED = """
import os, signal, sys
from fkit.backend.torch.loader import workers
from tests.backend.torch.test_loader import pid_of

if __name__ == "__main__":
    made = workers(pid_of, iter(range(100)), 2)
    found = {next(made).meta[0]["pid"] for _ in range(6)}
    print(*found, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def pid_of(job: int) -> Batch:
    return Batch(np.zeros((1, 1), np.float32), meta=({"pid": os.getpid()},))


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_workers_end_with_a_main_process_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(_KILLED)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    line = [sys.executable, str(tmp_path / "main.py")]
    done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(word) for word in done.stdout.split()]
    assert pids
    deadline = time.monotonic() + 30
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there: {pids}"
        time.sleep(0.05)


def ask(program: str, folder: Path, *words: str) -> tuple[int, str]:
    """(exit code, standard error) of a program in a process group of its own, once it is through."""
    (folder / "main.py").write_text(program)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    line = [sys.executable, str(folder / "main.py"), *words]
    done = subprocess.run(
        line, capture_output=True, text=True, env=env, timeout=120, check=False, start_new_session=True
    )
    return done.returncode, done.stdout + done.stderr


_GROUP = """
import os, signal
from fkit.backend.torch.loader import workers
from tests.backend.torch.test_loader import pid_of

if __name__ == "__main__":
    heard = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: heard.append(number))
    for start in range(2):  # the second loader finds the fork server running
        made = workers(pid_of, iter(range(50)), 2)
        next(made)
        os.killpg(0, signal.SIGTERM)
        os.killpg(0, signal.SIGINT)
        os.killpg(0, signal.SIGHUP)
        assert len(list(made)) == 49
    print(sorted(int(number) for number in heard))
"""


def test_a_signal_to_the_whole_group_leaves_workers_and_their_server_alone(tmp_path: Path) -> None:
    assert ask(_GROUP, tmp_path) == (0, "[1, 1, 2, 2, 15, 15]\n")


_EARLY = """
import os, signal, subprocess, sys, time
from fkit.backend.torch.loader import workers
from tests.backend.torch.test_loader import pid_of

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    # a SIGTERM every 10 ms while the fork server and the workers start
    ticks = "import os, signal, time\\nfor _ in range(600): os.kill(int(%r), 0); os.killpg(0, signal.SIGTERM); time.sleep(0.01)"
    ticker = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN)\\n" + ticks % os.getpid()])
    assert len(list(workers(pid_of, iter(range(50)), 2))) == 50
    ticker.kill()
    print("all there")
"""


def test_signals_while_the_workers_start_leave_them_alone(tmp_path: Path) -> None:
    assert ask(_EARLY, tmp_path) == (0, "all there\n")


_LEFT = """
from fkit.backend.torch.loader import workers
from tests.backend.torch.test_loader import pid_of

if __name__ == "__main__":
    made = workers(pid_of, iter(range(50)), 2)
    next(made)  # and never closed
"""


def test_a_process_that_leaves_its_workers_running_ends_all_the_same(tmp_path: Path) -> None:
    assert ask(_LEFT, tmp_path) == (0, "")


def sleep_long(job: int) -> Batch:
    if job:
        time.sleep(600)
    return pid_of(job)


def test_workers_that_are_at_a_long_sample_are_ended_after_a_while() -> None:
    made = workers(sleep_long, iter(range(9)), 3)
    next(made)
    began = time.monotonic()
    made.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 12 and not alive()
