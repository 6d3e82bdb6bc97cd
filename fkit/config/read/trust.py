"""``--trust``: a config that is more than data, run as Python in a process of its own; values come back as JSON."""

import json
import os
import subprocess
import sys
from typing import Any

from fkit.config.language.budget import Budget
from fkit.config.language.value import settle
from fkit.config.origin import Meta
from fkit.config.read.document import parse_json
from fkit.config.read.reader import Options
from fkit.config.read.source import absolute
from fkit.tree.error import FkitError, FkitRuntimeError, FkitValueError
from fkit.tree.node import Node, marks_of

__all__ = ["run_trusted"]


def run_trusted(file: str, options: Options, kind: type[Node]) -> Node:
    """The config that a file makes when it is executed, by a child process.

    Args:
        file: the file; with all its bases it runs as Python, and may do what Python may.
        options: how the files are read.
        kind: the class that its mappings become.

    Returns:
        the values; classes and functions as the names they can be imported by.

    Raises:
        FkitError: what is wrong with the files; FkitValueError: one raised, or left a value that is no config value.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "fkit.config.read.trusted", absolute(file), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    if done.stderr:
        sys.stderr.write(done.stderr)
    try:
        answer: Any = json.loads(done.stdout)
    except ValueError:
        raise FkitRuntimeError(
            f"The process that ran {file} ended with status {done.returncode} and gave no values."
        ) from None
    if "error" in answer:
        known: dict[str, type[FkitError]] = {kind.__name__: kind for kind in FkitError.__subclasses__()}
        error = known.get(answer["kind"], FkitValueError)
        raise error(answer["error"], origin=answer["origin"], repair="The file was run as Python, by --trust.")
    cfg = settle(parse_json(json.dumps(answer["config"]), file, Budget()), Budget(), kind)
    return kind.of(dict(cfg), marks_of(cfg), Meta(file, tuple(answer["environment"].items())))
