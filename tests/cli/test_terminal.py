"""Runs in a real terminal: Ctrl-C as it sends it, to all of its processes, and what happens when it goes away."""

import json
import os
import select
import shutil
import stat
import subprocess
import sys
import time

import pytest

from fkit.edge.checkpoint import newest, steps
from tests.cli.test_run import CONVNET, ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no pseudoterminals")

LIMIT_SECONDS = 120

# a session's leader makes its standard input the terminal of the session, and becomes the command; a shell's background job
# or nohup would have left it signals that are ignored
OWN = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command with a terminal of its own, of which it is the foreground process group."""

    def __init__(self, *words, **environment):
        self.end, other = os.openpty()
        place = {"TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN, *map(str, words)],
            stdin=other, stdout=other, stderr=other, cwd=ROOT, env={**os.environ, **place, **environment},
            start_new_session=True,
        )  # fmt: skip
        os.close(other)
        self.seen = b""

    def read(self, until=lambda: False):
        """Read until something holds, or the command has closed its terminal."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not until():
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.end], [], [], 0.02)[0]:
                try:
                    self.seen += os.read(self.end, 65536)
                except OSError:  # Linux's word for the end
                    os.close(self.end)
                    return

    def press(self, key):
        os.write(self.end, key)

    def hang_up(self):
        """Close the window: SIGHUP to the group, and whatever is written from here on fails."""
        os.close(self.end)
        self.end = -1

    def code(self):
        return self.process.wait(LIMIT_SECONDS)


def rows(folder, count):
    """Whether the run has written so many lines of metrics."""
    path = folder / "metrics.jsonl"
    return lambda: path.exists() and path.read_bytes().count(b"\n") >= count


def status(folder):
    return json.loads((folder / "run.json").read_text())["status"]


def test_ctrl_c_under_nox_waits_for_the_run_and_says_how_to_go_on(tmp_path):
    if shutil.which("nox") is None:
        pytest.skip("nox is not installed")
    command = tmp_path / "bin" / "fkit"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fkit "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    folder = tmp_path / "run"
    nox = ("nox", "--no-venv", "--no-install", "--envdir", tmp_path / "nox", "-s", "train", "--")
    terminal = Terminal(*nox, "--work-dir", folder, PATH=f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    terminal.read(rows(folder, 3))
    terminal.press(b"\x03")
    terminal.read()
    assert terminal.code() == 130
    text = terminal.seen.decode()
    assert "SIGINT: stopped after iteration" in text and "Traceback" not in text, text[-2000:]
    assert text.rindex("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is hidden"
    assert f"go on with: nox -s train -- --work-dir {folder} --resume" in text
    assert status(folder) == "interrupted" and (folder / "curves.png").exists()
    assert newest(folder / "checkpoints").meta["reason"] == "SIGINT"


def test_a_terminal_that_goes_away_ends_the_run_saved(tmp_path):
    folder = tmp_path / "run"
    terminal = Terminal(sys.executable, "-m", "fkit", "train", CONVNET, "--work-dir", folder)
    terminal.read(rows(folder, 3))
    terminal.hang_up()
    assert terminal.code() == 129
    assert status(folder) == "interrupted" and steps(folder / "checkpoints")
    assert newest(folder / "checkpoints").meta["reason"] == "SIGHUP"
    log = (folder / "log.txt").read_text()
    assert "SIGHUP: stopped after iteration" in log and "Traceback" not in log
