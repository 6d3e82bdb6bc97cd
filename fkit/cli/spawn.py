"""Commands that torch runs in a process for each of several devices."""

import argparse

from fkit.config.config import Config
from fkit.edge.fleet import place_in
from fkit.edge.spawn import together

__all__ = ["spawned"]


def spawned(command: str, arguments: argparse.Namespace, cfg: Config) -> int | None:
    """The exit code of a command that torch runs in a process for each of several devices; None where it is to be run here.

    Args:
        command: its name.
        arguments: as they were typed.
        cfg: what they name.
    """
    count = cfg.get("devices")
    if not isinstance(count, int) or count < 2 or (cfg.get("backend") or "torch") != "torch":
        return None
    if arguments.launcher not in (None, "none") or place_in(cfg).launcher != "none":
        return None
    return together((command, *arguments.parser.words, "--launcher", "pytorch", "--devices", "1"), count)
