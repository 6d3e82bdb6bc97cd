"""Commands that run in several processes, which this one starts where no launcher has."""

import argparse
from collections.abc import Sequence

from fkit.config.config import Config
from fkit.edge.fleet import place_in
from fkit.edge.past import Past
from fkit.edge.rerun import processes_of
from fkit.edge.spawn import together

__all__ = ["launched", "spawned", "spawned_again"]


def spawned(command: str, arguments: argparse.Namespace, cfg: Config) -> int | None:
    """The exit code of a command that torch runs in a process for each of several devices; None where it is to be run here.

    Args:
        command: its name. Another than "train" asks for them on the command line alone: a config that a run has kept says what
            that run was.
        arguments: as they were typed.
        cfg: what they name.
    """
    count = cfg.get("devices")
    if not isinstance(count, int) or count < 2 or (cfg.get("backend") or "torch") != "torch":
        return None
    if command != "train" and arguments.devices is None:
        return None
    if arguments.launcher not in (None, "none") or place_in(cfg).launcher != "none":
        return None
    return together((command, *arguments.parser.words), count)


def spawned_again(command: str, arguments: argparse.Namespace, pasts: Sequence[Past]) -> int | None:
    """The exit code of a command that executes runs again in as many processes as trained each of them; None where it is to be
    run here.

    Args:
        command: its name.
        arguments: as they were typed.
        pasts: what the runs left.
    """
    counts = {processes_of(past) for past in pasts}
    if len(counts) > 1 or counts == {1} or arguments.launcher is not None:
        return None
    if any(place_in(past.cfg).launcher != "none" for past in pasts):
        return None
    return together((command, *arguments.parser.words, "--launcher", "pytorch"), counts.pop())


def launched(past: Past, arguments: argparse.Namespace) -> Past:
    """A run that a launcher of the command line executes again, whatever started it then."""
    if arguments.launcher is None:
        return past
    return past._replace(cfg=past.cfg.merge({"launcher": arguments.launcher}, source="the command line"))
