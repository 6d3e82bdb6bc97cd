"""Backends by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from fkit.array import room
from fkit.tree.error import FkitValueError


@pytest.mark.parametrize("name", ["torsh", None, 3, []])
def test_an_unknown_backend_names_those_there_are(name):
    with pytest.raises(FkitValueError, match=r"backend = .* is unknown") as caught:
        room.open(name)
    assert "Backends: torch, jax" in str(caught.value)


def test_a_framework_that_is_missing_is_named_with_its_repair(tmp_path: Path):
    """A process in which jax cannot be found, as where it is not installed."""
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'jax': raise ModuleNotFoundError('no jax', name='jax')\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from fkit.array.room import open\n"
        "from fkit.tree.error import FkitImportError\n"
        "try: open('jax')\n"
        "except FkitImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "backend 'jax' needs the package 'jax', which is not installed.\n  pip install 'fkit-vision[jax]'\n"
    assert done.stdout == expected
