"""A Python of its own."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.fixture
def run_python():
    """Runs code in a new Python; it must end well."""

    def run(code):
        command = [sys.executable, "-P", "-c", textwrap.dedent(code)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
