"""A command in several processes of this machine: what ``fkit train --devices 2`` does with torch, without torchrun."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from fkit.edge.launch import STARTED
from fkit.edge.signal import hearing
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError, RunError

__all__ = ["together"]

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 20.0  # for the others to notice that one has gone, and then to end


def together(words: Sequence[str], count: int) -> int:
    """Run a command of ``fkit`` in so many processes, which know their places as torchrun's do, and wait for their end.

    Signals are handed on. Where one fails, the others are given a while to end by themselves, and are ended then.

    Args:
        words: of the command line after ``fkit``: ["train", "cfg.py"].
        count: of processes.

    Returns:
        0 where all ended well; else the exit code of the first that did not, 128 + N where signal N ended it.

    Raises:
        FkitValueError: ``count`` is less than 1.
    """
    expect(words, (list, tuple), "`words` are those of a command line")
    expect_number(count, "`count`", whole=True)
    if count < 1:
        raise FkitValueError(f"`count` = {count}: at least 1 process.")
    table = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count)}
    table |= {"LOCAL_WORLD_SIZE": str(count), STARTED: str(count)}
    table.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    command = [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "fkit", *words]
    children: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, frame: FrameType | None = None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    with hearing(hand_on):
        try:
            for rank in range(count):
                own = {**table, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                # of a session of their own: a Ctrl-C reaches them once, from here
                children.append(subprocess.Popen(command, env=own, start_new_session=True))
            return _wait(children)
        except OSError as cause:
            raise RunError(f"the processes of this run do not start: {cause}.") from cause
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
                    child.wait()


def _wait(children: list[subprocess.Popen[bytes]]) -> int:
    code, end, asked = 0, 0.0, False
    while any(child.poll() is None for child in children):
        if not code:
            code, end = _failed(children), time.monotonic() + _GRACE_SECONDS
        elif time.monotonic() > end:
            if asked:
                return code  # whoever called kills them
            for child in children:
                child.terminate()
            asked, end = True, time.monotonic() + _GRACE_SECONDS
        time.sleep(_LOOK_SECONDS)
    return code or _failed(children)


def _failed(children: list[subprocess.Popen[bytes]]) -> int:
    """The exit code of a process that failed; 0 where none has."""
    row = next(((rank, code) for rank, child in enumerate(children) if (code := child.poll())), None)
    return 0 if row is None else _told(*row)


def _told(rank: int, code: int) -> int:
    """The exit code of a process that failed; one that a signal ended has said nothing itself."""
    if code > 0:
        return code
    sys.stderr.write(f"fkit: process {rank} was ended by {signal.Signals(-code).name}\n")
    return 128 - code


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])
