"""What the kit ships beside its code, in a clone and in a wheel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.tree.error import FkitFileNotFoundError, FkitTypeError, FkitValueError
from fkit.tree.package import shipped_folder

ROOT = Path(__file__).parents[2]


def test_a_clone_ships_what_lies_beside_the_package() -> None:
    assert shipped_folder("configs") == ROOT / "configs"
    assert shipped_folder("configs/digits") == ROOT / "configs/digits"


def test_a_wheel_ships_what_lies_inside_of_the_package(tmp_path: Path) -> None:
    """Laid out as an installed wheel, beside a folder that has nothing to do with it."""
    shutil.copytree(ROOT / "fkit/tree", tmp_path / "fkit/tree")
    (tmp_path / "fkit/__init__.py").touch()
    (tmp_path / "fkit/shipped/configs").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    code = "from fkit.tree.package import shipped_folder; print(shipped_folder('configs'))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "fkit/shipped/configs")


@pytest.mark.parametrize("name", ["", "/etc", "../x", "configs/.."])
def test_other_paths_are_refused(name: str) -> None:
    with pytest.raises(FkitValueError, match="names no shipped folder"):
        shipped_folder(name)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(FkitFileNotFoundError, match="has no folder 'nothing'"):
        shipped_folder("nothing")
    with pytest.raises(FkitTypeError, match="named by its path"):
        shipped_folder(3)  # type: ignore[arg-type]
