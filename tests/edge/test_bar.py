"""The line that shows how far a run is fits its terminal, in a real one too, also when its size changes."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from fkit.edge.bar import layout

WORDS = ("left 0:00:08", "loss 0.5000", "12.3 it/s", "lr 1.00e-03")


@pytest.mark.parametrize("columns", [1, 5, 12, 20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize(("done", "total"), [(0, 0), (7, 460), (460, 460), (99_999, 1_000_000)])
def test_what_is_least_useful_goes_first(columns, done, total):
    head, bar, tail = layout("train", done, total, WORDS, columns)
    assert len(head) + bar + len(tail) <= max(columns - 1, 1)
    shown = [word for word in WORDS if word in tail]
    assert shown == list(WORDS[: len(shown)])
    if columns >= 40:
        assert f"{done}/{total or '?'}" in tail and WORDS[0] in tail and (bar >= 10 or not total or total > 1e5)
    if columns >= 120:
        assert shown == list(WORDS) and (not total or bar == 40)


SCRIPT = """
import fcntl, struct, sys, termios, time
from fkit.edge.progress import Screen
screen = Screen()
for columns in (60, 120, 40):
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 20, columns, 0, 0))
    screen.show("train", 120, 460, ("left 0:00:08", "loss 0.5000", "12.3 it/s", "lr 1.00e-03"))
screen.close()
"""


def test_a_real_terminal_of_60_columns_and_of_others():
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 100, 0, 0))
    places = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=slave, stdout=slave, stderr=slave, env={**places, "TERM": "xterm"}
    )
    os.close(slave)
    text = ""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        text += data.decode()
    os.close(master)
    assert child.wait(60) == 0
    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line for line in re.split(r"[\r\n]+", bare) if "/460" in line]
    assert all(line.startswith("train ") for line in lines)
    tails = ["loss 0.5000", "loss 0.5000  12.3 it/s  lr 1.00e-03", ""]
    for tail, columns in zip(tails, (60, 120, 40), strict=True):
        [line] = {line for line in lines if line.endswith(f"━ 120/460  left 0:00:08  {tail}".rstrip())}
        assert len(line) <= columns - 1
    # the cursor waits at the line's beginning, so that what a narrower terminal breaks in two is cleared whole
    assert len(re.findall(r"lr 1\.00e-03\r", text)) >= 1 and text.count("\x1b[J") == 1
    assert text.index("lr 1.00e-03\r") < text.index("\x1b[J") < text.index("left 0:00:08\r")
