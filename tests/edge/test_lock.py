"""One run at a time in a work folder: processes that hold one, end, are killed, and begin in the same moment."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.edge.lock import LOCK, hold
from fkit.tree.error import FkitOSError, FkitValueError

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from fkit.edge.lock import hold
from fkit.tree.error import FkitError
sys.stdin.readline()
try:
    with hold(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.readline()
except FkitError as error:
    print(f"{error.exit_code} {error.what}", flush=True)
    sys.stdin.readline()
"""


def child(folder):
    """A process that holds the folder when it gets a line, and lets go of it at the next."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        bufsize=1,
    )


def tell(process):
    process.stdin.write("\n")
    process.stdin.flush()


def end(process):
    process.kill()
    process.communicate()


def test_a_folder_that_stays_empty_leaves_nothing_and_another_stays(tmp_path):
    with hold(tmp_path / "a" / "b" / "c"):
        assert (tmp_path / "a/b/c" / LOCK).is_file()
    assert not list(tmp_path.iterdir())
    with hold(tmp_path / "a" / "b"):
        (tmp_path / "a/b/run.json").touch()
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["run.json"]


def test_a_second_process_is_told_who_holds_it_and_a_killed_one_lets_go(tmp_path):
    process = child(tmp_path)
    try:
        tell(process)
        assert process.stdout.readline() == "held\n"
        with pytest.raises(
            FkitValueError, match=f"another run is going on there \\(process {process.pid} on .+, since 2"
        ):
            hold(tmp_path).__enter__()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (tmp_path / LOCK).exists(), "the file of one that was killed stays, and holds nothing"
        with hold(tmp_path) as note:
            assert note == "" and json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    finally:
        end(process)


def test_of_processes_that_begin_in_the_same_moment_exactly_one_holds_a_fresh_folder(tmp_path):
    processes = [child(tmp_path / "a" / "b") for _ in range(5)]
    try:
        for process in processes:
            tell(process)
        said = [process.stdout.readline() for process in processes]
        assert said.count("held\n") == 1, said
        assert sum(line.startswith("2 ") and "another run is going on there (process" in line for line in said) == 4
    finally:
        for process in processes:
            end(process)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_no_program_that_is_started_inherits_it(tmp_path):
    with hold(tmp_path):
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        with hold(tmp_path):
            pass
    finally:
        end(sleeper)


def no_locks(handle):
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_disk_that_knows_no_locks_goes_by_the_words_of_the_file(tmp_path):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with hold(tmp_path, no_locks) as note:
        assert "this disk knows no locks (No locks available)" in note
        words = json.loads((tmp_path / LOCK).read_text())
    assert not list(tmp_path.iterdir())
    (tmp_path / LOCK).write_text(json.dumps({**words, "pid": sleeper.pid}))
    try:
        with pytest.raises(
            FkitValueError, match=f"process {sleeper.pid} on .+\n.*If it does not live any more, remove"
        ):
            hold(tmp_path, no_locks).__enter__()
    finally:
        end(sleeper)
    with hold(tmp_path, no_locks):
        pass
    (tmp_path / LOCK).write_text(json.dumps({**words, "host": "elsewhere"}))
    with pytest.raises(FkitValueError, match="on elsewhere, since"):
        hold(tmp_path, no_locks).__enter__()


@pytest.mark.parametrize("name", ["file/below", "x" * 300, "nul\0"])
def test_a_place_where_nothing_can_be_made(name, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FkitOSError, match="no folder can be made there: ") as caught:
        hold(tmp_path / name).__enter__()
    assert caught.value.exit_code == 2 and [path.name for path in tmp_path.iterdir()] == ["file"]
