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
from fkit.tree.error import FkitRuntimeError, FkitValueError
from fkit.tree.node import Node, marks_of

__all__ = ["run_trusted"]


def run_trusted(file: str, kind: type[Node]) -> Node:
    """The config that a file makes when it is executed, by a child process.

    Args:
        file: the file; with all its bases it runs as Python, and may do what Python may.
        kind: the class that its mappings become.

    Returns:
        the values; classes and functions as the names they can be imported by.

    Raises:
        FkitValueError: the file raised, or left a value that is no config value.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "fkit.config.read.trusted", os.path.abspath(os.path.expanduser(file))]
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
        raise FkitValueError(answer["error"], origin=answer["origin"], repair="The file was run as Python, by --trust.")
    cfg = settle(parse_json(json.dumps(answer["config"]), file, Budget()), Budget(), kind)
    return kind.of(dict(cfg), marks_of(cfg), Meta(file))
