"""What a run asks of the machine it is on: its memory in words, and recordings of where time goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fkit.run.effect import Profile
from fkit.training.backend import Backend, Recording

__all__ = ["Recorder", "memory_now", "memory_words"]

_MIB = 1024  # KiB


def memory_words(machine: str, process: str) -> str:
    """The memory of a machine and of a process on one line.

    Args:
        machine: the text of Linux's /proc/meminfo.
        process: that of /proc/self/status.

    Example:
        >>> machine = "MemTotal: 4096 kB\\nMemAvailable: 1024 kB\\nSwapTotal: 2048 kB\\nSwapFree: 2048 kB"
        >>> memory_words(machine, "Name: python\\nVmRSS:  512 kB")
        'memory: 1 MB available, 3 MB used (75.0 %); swap: 2 MB available, 0 MB used; this process: 0 MB'
    """
    known = {**_kib(machine), **_kib(process)}
    total, free, process_kib = known.get("MemTotal", 0), known.get("MemAvailable", 0), known.get("VmRSS", 0)
    share = 100 * (total - free) / total if total else 0.0
    swap, unused = known.get("SwapTotal", 0), known.get("SwapFree", 0)
    return (
        f"memory: {free // _MIB} MB available, {(total - free) // _MIB} MB used ({share:.1f} %); "
        f"swap: {unused // _MIB} MB available, {(swap - unused) // _MIB} MB used; this process: {process_kib // _MIB} MB"
    )


def _kib(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}


def memory_now() -> str:
    """`memory_words` of this machine and process; where the system has no such files, that it has none."""
    try:
        return memory_words(Path("/proc/meminfo").read_text(), Path("/proc/self/status").read_text())
    except OSError:
        return "memory: this system does not say."


class Recorder:
    """The recording of a run's steps that is going on, if one is.

    Args:
        room: whose profiler records.
        folder: the work folder, where files go.
        say: called with a line for the log.
    """

    def __init__(self, room: Backend, folder: Path, say: Callable[[str], None]) -> None:
        self._room, self._folder, self._say = room, folder, say
        self._recording: Recording | None = None

    def perform(self, effect: Profile, run: Any) -> None:
        """Begin, go on with, or end a recording."""
        if effect.action == "start":
            self.end()
            self._recording = None if effect.tracing is None else self._room.record(effect.tracing, str(self._folder))
        elif effect.action == "step" and self._recording is not None:
            self._recording.step()
        elif effect.action == "stop":
            self.end()

    def end(self) -> None:
        """End the recording, if there is one, and say where it is."""
        recording, self._recording = self._recording, None
        if recording is not None:
            for line in recording.stop():
                self._say(line)
